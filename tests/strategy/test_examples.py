"""The strategies an owner reads first do what their docstrings say, and are short and sound enough to copy."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from appliance.core.record import plain
from appliance.core.wishes import CancelWish, Wish, Wishes
from appliance.domain.market import DAY, MINUTE, Bar
from appliance.domain.trading import ZERO, Fill, Side
from appliance.errors import StrategyError
from appliance.research.checks import checked
from appliance.research.subject import Subject
from appliance.strategy.loader import load

FOLDER = Path(__file__).parents[2] / "strategies"
FILES = sorted(FOLDER.glob("*.py"))
MONDAY = 1_381_104_000_000_000_000
"""2013-10-07, midnight UTC: the open of an always open market."""
LINES_MAX = 80

Told = tuple[int, str]


class Trader:
    """Runs an example on closes, one bar each; every wish is granted at once, at the last price."""

    def __init__(self, name: str, length: int = MINUTE, **params: Any) -> None:
        self.runner = load((FOLDER / f"{name}.py").read_text(), f"strategies/{name}.py", params=params)
        self.length = length
        self.held: dict[str, Decimal] = {}
        self.prices: dict[str, float] = {}
        self.cash = Decimal(10_000)
        self.bars = 0
        self.told: list[Told] = []
        self.runner.set_cash(self.cash)
        self._grant(self.runner.start(MONDAY - 1))

    def sees(self, **closes: list[float]) -> list[Told]:
        """What it wishes on the next bars of these symbols, each with the number of its bar."""
        before = len(self.told)
        for row in zip(*closes.values(), strict=True):
            start = MONDAY + self.bars * self.length
            self._timers(start + self.length - 1)
            for symbol, close in zip(closes, map(float, row), strict=True):
                self.prices[symbol] = close
                bar = Bar(symbol, "1d" if self.length == DAY else "1m", start, start + self.length, *[close] * 4, 1.0)
                self._grant(self.runner.bar(bar, bar.end))
            self._timers(start + self.length)
            self.bars += 1
        return self.told[before:]

    def _timers(self, upto: int) -> None:
        while (due := self.runner.due()) is not None and due <= upto:
            self._grant(self.runner.timer(due, due))

    def _grant(self, wishes: Wishes) -> None:
        for wish in wishes:
            assert isinstance(wish, Wish) and not isinstance(wish, CancelWish)
            self.told.append((self.bars, _said(wish)))
            held = self.held.get(wish.symbol, ZERO)
            if wish.quantity != held:
                self._fill(wish.symbol, wish.quantity - held)

    def _fill(self, symbol: str, signed: Decimal) -> None:
        price = Decimal(repr(self.prices[symbol]))
        self.held[symbol] = self.held.get(symbol, ZERO) + signed
        self.cash -= signed * price
        self.runner.set_position(symbol, self.held[symbol])
        self.runner.set_cash(self.cash)
        side = Side.BUY if signed > 0 else Side.SELL
        fill = Fill("key", "id", self.runner.name, symbol, side, abs(signed), price, ZERO, MONDAY)
        self._grant(self.runner.fill(fill, MONDAY + self.bars * self.length))

    def stopped_out(self, symbol: str) -> None:
        """The broker's protective stop sells what is held."""
        self._fill(symbol, -self.held[symbol])


def _said(wish: Wish) -> str:
    trail = wish.trailing.distance if wish.trailing is not None else None
    rest = (("stop", wish.stop), ("profit", wish.take_profit), ("trail", trail))
    parts = [f"{name} {plain(value)}" for name, value in rest if value is not None]
    return " ".join((wish.symbol, plain(wish.quantity), *parts))


# --- all of them ------------------------------------------------------------------------------------------------------


def test_there_are_eight_examples() -> None:
    assert [file.stem for file in FILES] == [
        "bollinger", "buy_and_hold", "donchian_breakout", "momentum_rotation", "opening_range", "pairs",
        "rsi_reversion", "sma_cross",
    ]  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_example_is_short_and_says_idea_data_and_risk(file: Path) -> None:
    source = file.read_text()
    assert load(source, str(file)).name == file.stem
    head = source.split('"""')[1]
    assert source.startswith('"""Idea: ')
    assert "\nData: " in head and "\nRisk: " in head
    assert len(source.splitlines()) <= LINES_MAX


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_example_may_go_live(file: Path) -> None:
    assert checked(Subject(file.stem, str(file), file.read_text())) == []


# --- one by one -------------------------------------------------------------------------------------------------------

CALM = [100.0, 100.2] * 10
FALLS = [100.0 - step for step in range(6)]
SINGLE: dict[str, tuple[str, dict[str, Any], list[float], list[Told]]] = {
    "sma_cross buys when fast crosses above slow, and sells when it crosses below": (
        "sma_cross",
        {"fast": 2, "slow": 5},
        [10, 10, 10, 10, 10, 10, 11, 12, 12, 12, 9, 8, 8],
        [(6, "SPY 100"), (10, "SPY 0")],
    ),
    "bollinger buys the dip with a stop, and sells at the average": (
        "bollinger",
        {"window": 10, "loss": 2},
        [*CALM, 98.0, 98.1, 101.0],
        [(20, "SPY 100 stop 96.04"), (22, "SPY 0")],
    ),
    "bollinger leaves alone what is not an unusual dip": ("bollinger", {"window": 10}, [*CALM, 100.1, 100.0], []),
    "rsi buys when the index leaves the oversold zone, in a bracket, and sells above the middle": (
        "rsi_reversion",
        {"period": 3, "loss": 5, "gain": 10},
        [*FALLS, 94.0, 95.5, 96.0, 99.0],
        [(7, "SPY 100 stop 90.72 profit 105.05"), (9, "SPY 0")],
    ),
    "rsi does not buy while it goes on falling": ("rsi_reversion", {"period": 3}, [*FALLS, 94.0, 93.0, 92.0], []),
    "donchian buys a new high behind a trailing stop, and sells at a new low": (
        "donchian_breakout",
        {"entry": 5, "leave": 3, "period": 2, "ranges": 2, "risk": 100},
        [50, 51, 50, 51, 50, 52, 53, 54, 53, 51.5],
        [(5, "SPY 34 trail 2.94"), (9, "SPY 0")],
    ),
    "donchian buys no more than its cash pays for": (
        "donchian_breakout",
        {"entry": 5, "leave": 3, "period": 2, "risk": 100_000},
        [50, 51, 50, 51, 50, 52],
        [(5, "SPY 182 trail 4.41")],
    ),
    "the opening range is followed upwards, with a stop at its low, until the time to leave": (
        "opening_range",
        {"ready": "open+5m", "leave": "open+9m"},
        [100, 101, 102, 101, 100, 101, 102, 103, 104, 105, 106],
        [(7, "SPY 100 stop 100"), (8, "SPY 0")],
    ),
    "the opening range is followed downwards, once a day": (
        "opening_range",
        {"ready": "open+3m", "leave": "open+9m"},
        [100, 101, 100, 99, 102, 98, 102, 102, 102],
        [(3, "SPY -100 stop 101"), (8, "SPY 0")],
    ),
}


@pytest.mark.parametrize(("name", "params", "closes", "wanted"), SINGLE.values(), ids=SINGLE)
def test_an_example_does_what_its_docstring_says(
    name: str, params: dict[str, Any], closes: list[float], wanted: list[Told]
) -> None:
    assert Trader(name, **params).sees(SPY=closes) == wanted


def test_bollinger_does_not_buy_the_same_dip_again_after_its_stop() -> None:
    trader = Trader("bollinger", window=10)
    assert len(trader.sees(SPY=[*CALM, 98.0])) == 1
    trader.stopped_out("SPY")
    assert trader.sees(SPY=[90.0, 80.0, 60.0]) == []
    assert len(trader.sees(SPY=[100.0] * 10 + [100.2, 90.0])) == 1


def test_the_opening_range_begins_anew_with_every_session() -> None:
    trader = Trader("opening_range", ready="open+2m", leave="open+4m")
    assert trader.sees(SPY=[100, 101, 102, 102]) == [(2, "SPY 100 stop 100"), (3, "SPY 0")]
    trader.bars = DAY // MINUTE
    assert trader.sees(SPY=[200, 201, 200, 200, 199]) == [(1443, "SPY 0")]  # the break comes too late


def test_rotation_holds_the_strongest_and_pays_for_it_with_the_last() -> None:
    trader = Trader("momentum_rotation", DAY, symbols="A,B", timeframe="2d", lookback=1, invested=0.9)
    assert trader.sees(A=[10, 10, 11], B=[20, 20, 21]) == [(2, "A 818")]  # +10 % against +5 %
    assert trader.sees(A=[11, 12], B=[21, 22]) == []
    assert trader.sees(A=[12, 12], B=[22, 25]) == [(6, "A 0"), (6, "B 389")]


def test_rotation_stays_in_cash_when_everything_falls() -> None:
    trader = Trader("momentum_rotation", DAY, symbols="A,B", timeframe="2d", lookback=1)
    assert len(trader.sees(A=[10, 10, 11], B=[20, 20, 20])) == 1
    assert trader.sees(A=[11, 10], B=[20, 19]) == [(4, "A 0")]
    assert trader.sees(A=[10, 9], B=[19, 18]) == []


WIDE = [10.0, 10.1] * 5
FLAT = [20.0] * 10


def test_pairs_sells_the_dear_one_and_buys_the_cheap_one_until_they_are_near_again() -> None:
    trader = Trader("pairs", symbol="A", other="B", period=10, amount=1_000)
    assert trader.sees(A=[*WIDE, 10.3], B=[*FLAT, 20]) == [(10, "A -97"), (10, "B 50")]
    assert trader.sees(A=[10.2, 10.05], B=[20, 20]) == [(12, "A 0"), (12, "B 0")]


def test_pairs_buys_the_cheap_one_and_sells_the_dear_one_short() -> None:
    trader = Trader("pairs", symbol="A", other="B", period=10, amount=1_000)
    assert trader.sees(A=[*WIDE, 9.8], B=[*FLAT, 20]) == [(10, "A 102"), (10, "B -50")]


def test_pairs_gives_up_when_the_ratio_runs_away_and_stays_out_until_it_is_near() -> None:
    trader = Trader("pairs", symbol="A", other="B", period=10, amount=1_000, entry=1.5, give_up=2.7)
    assert trader.sees(A=[*WIDE, 10.2], B=[*FLAT, 20]) == [(10, "A -98"), (10, "B 50")]
    assert trader.sees(A=[11.5], B=[20]) == [(11, "A 0"), (11, "B 0")]


def test_pairs_does_nothing_on_a_bar_without_its_partner() -> None:
    trader = Trader("pairs", symbol="A", other="B", period=10)
    assert trader.sees(A=WIDE, B=FLAT) == []
    assert trader.sees(A=[12.0, 13.0]) == []


def test_buy_and_hold_buys_its_parts_at_the_first_look_and_leaves_them_alone_for_the_month() -> None:
    trader = Trader("buy_and_hold", DAY, symbols="A,B", parts="60,35")
    assert trader.sees(A=[10, 10, 15], B=[20, 20, 20]) == [(1, "A 600"), (1, "B 175")]


def test_buy_and_hold_sells_what_has_grown_and_then_buys_what_has_fallen_behind() -> None:
    trader = Trader("buy_and_hold", DAY, symbols="A,B", parts="60,35")
    assert len(trader.sees(A=[10] * 24 + [20], B=[20] * 25)) == 2  # to the end of October
    assert trader.sees(A=[20, 20, 20], B=[20, 20, 20]) == [(25, "A 480"), (26, "B 280")]


def test_buy_and_hold_says_what_is_wrong_with_its_parts() -> None:
    with pytest.raises(StrategyError, match="2 symbols, but 3 parts"):
        Trader("buy_and_hold", symbols="A,B", parts="1,2,3")
