"""Whole arrays give the trades of the event-driven run, fill by fill and cent by cent, or a refusal."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.commands.options import sessions_cache, sessions_for
from appliance.core.limits import LimitValues, rules
from appliance.core.models import PRESETS, MarketModel
from appliance.core.models.commission import FREE, IB_EXACT, Alpaca, Commission, Percent
from appliance.core.models.impact import SquareRoot
from appliance.core.models.latency import Delay
from appliance.core.models.slippage import Fixed, Proportional, Spread, Volatility, VolumeShare
from appliance.core.wishes import Made
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.data.sources.random_walk import random_walk
from appliance.domain.market import HOUR, MINUTE, AlwaysOpen, Bar, Session, Sessions
from appliance.errors import DataError, StrategyError, UsageError
from appliance.research.vectorized import at_once
from appliance.research.vectorized import running as vectorized
from appliance.strategy import Strategy, crossed_above, crossed_below, loader, param
from appliance.strategy.runner import StrategyRunner
from appliance.strategy.signals import BarArrays, has_signals
from appliance.world.backtest import Backtest
from tests.data.real import needs_real_data, real

FOLDER = Path(__file__).parents[3] / "strategies"
EXAMPLES = {
    file.stem: strategy
    for file in sorted(FOLDER.glob("*.py"))
    if has_signals(strategy := loader.load_class(file.read_text(), str(file)))
}
CASH = Decimal(100_000)


def by_events(
    strategy: type[Strategy], params: Mapping[str, Any], bars: Sequence[Bar], model: MarketModel, cash: Decimal,
    sessions: Sessions | None,
) -> Backtest:  # fmt: skip
    values = strategy.configure(params)
    maker = Made("one", lambda: StrategyRunner(strategy, "one", values, sessions))
    test = Backtest("one", (maker,), rules(LimitValues()), cash, model, sessions)
    test.run(sorted(bars, key=lambda bar: (bar.end, bar.symbol)))
    return test


def arrays(bars: Sequence[Bar]) -> dict[str, BarArrays]:
    symbols = sorted({bar.symbol for bar in bars})
    return {symbol: BarArrays.from_bars([bar for bar in bars if bar.symbol == symbol]) for symbol in symbols}


def same(
    strategy: type[Strategy], params: Mapping[str, Any], bars: Sequence[Bar], model: MarketModel = MarketModel(),  # noqa: B008
    cash: Decimal = CASH, sessions: Sessions | None = None,
) -> vectorized.VectorRun:  # fmt: skip
    """Both paths agree on every fill, on what was denied, and on the money."""
    columns = arrays(bars)
    mine = vectorized.run(strategy, params, columns, model, cash, sessions)
    theirs = by_events(strategy, params, bars, model, cash, sessions)
    assert [
        (fill.time, fill.symbol, fill.signed, fill.price, fill.commission) for fill in mine.fills(columns)
    ] == [(one.time, one.symbol, one.quantity, one.price, one.fee) for one in theirs.book.entries]  # fmt: skip
    assert [one.decided for one in mine.filled] == [float(one.decided or 0) for one in theirs.book.entries]
    assert (mine.cash, mine.equity) == (theirs.cash, theirs.equity)
    assert (mine.denied, mine.orders) == (theirs.record.denied, theirs.record.orders)
    assert mine.fees == theirs.book.fees
    return mine


@cache
def recorded(name: str, symbol: str, stamp: str) -> tuple[tuple[Bar, ...], Sessions]:
    sessions = sessions_for(sessions_cache())
    source = FileSource([real(name)], FileOptions(bar_stamp=stamp, symbols=(symbol,), sessions=sessions))
    return tuple(source.batch(1 << 40).events), sessions  # type: ignore[arg-type]


# --- every example that has both ---------------------------------------------------------------------------------


@needs_real_data
@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(
    ("file", "symbol", "stamp"), [("equity_1min_bars", "SPY", "start"), ("equity_daily", "SPY", "start")]
)
def test_both_paths_of_an_example_give_the_same_trades_on_recorded_bars(
    name: str, file: str, symbol: str, stamp: str
) -> None:
    bars, sessions = recorded(file, symbol, stamp)
    assert len(same(EXAMPLES[name], {"symbol": symbol}, bars, sessions=sessions).filled) > 10


@pytest.mark.parametrize("name", EXAMPLES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), fast=st.integers(2, 12), slow=st.integers(5, 40), cash=st.sampled_from([9e3, 1e5]))
def test_both_paths_of_an_example_give_the_same_trades_on_random_walks(
    name: str, seed: int, fast: int, slow: int, cash: float
) -> None:
    params = {"symbol": "WALK"} | ({"fast": fast, "slow": slow} if name == "sma_cross" else {})
    same(EXAMPLES[name], params, list(random_walk(400, seed)), cash=Decimal(cash))


def test_sma_cross_has_both_paths() -> None:
    assert "sma_cross" in EXAMPLES


# --- any targets, any model that can be expressed ----------------------------------------------------------------

TABLE: dict[str, list[float]] = {}
"""What ``Told`` wishes after each bar."""


class Told(Strategy):
    """Wishes what a table says, by event or as arrays."""

    symbols: str = param("A")

    def on_start(self) -> None:
        self.state["seen"] = dict.fromkeys(self.symbols.split(","), 0)  # type: ignore[attr-defined]

    def on_bar(self, bar: Bar) -> None:
        seen = self.state["seen"]
        wished = TABLE[bar.symbol][seen[bar.symbol]]
        seen[bar.symbol] += 1
        if wished == wished:
            self.target(bar.symbol, quantity=wished)

    def signals(self, bars: Any) -> Any:
        return {symbol: np.array(TABLE[symbol]) for symbol in self.symbols.split(",")}  # type: ignore[attr-defined]


MODELS = [
    MarketModel(),
    MarketModel(FREE),
    MarketModel(IB_EXACT),
    MarketModel(Percent(Decimal("0.2"))),
    MarketModel(Alpaca()),
    MarketModel(Commission(Decimal("0.01"), Decimal(0), Decimal("0.05"))),
    MarketModel(Commission(Decimal("0.0035"), Decimal("0.35"), Decimal(1), False)),
    MarketModel(slippage=Fixed(0.02)),
    MarketModel(slippage=Proportional(0.05)),
    MarketModel(slippage=Spread()),
    MarketModel(slippage=VolumeShare(), impact=SquareRoot()),
    MarketModel(slippage=Volatility()),
]
SESSIONS = Sessions([Session(f"2020-01-0{day}", day * 24 * HOUR, day * 24 * HOUR + 9 * MINUTE) for day in range(1, 8)])
TRADED = (1, 2, 4, 5)
"""Days with bars: an order decided at the end of the second is for a session without any."""

wished = st.sampled_from([float("nan"), float("nan"), 0.0, 0.0, 100.0, 100.0, 37.0, -50.0, -100.0, 300.0, 7.0])


def walked(symbol: str, seed: int) -> list[Bar]:
    bars = random_walk(9 * len(TRADED), seed, symbol, price=50.0)
    return [
        replace(
            bar,
            start=TRADED[number // 9] * 24 * HOUR + number % 9 * MINUTE,
            end=TRADED[number // 9] * 24 * HOUR + number % 9 * MINUTE + MINUTE,
        )
        for number, bar in enumerate(bars)
    ]


@settings(max_examples=150, deadline=None)
@given(
    targets=st.lists(st.lists(wished, min_size=36, max_size=36), min_size=1, max_size=3),
    seed=st.integers(0, 10**6),
    model=st.sampled_from(MODELS),
    cash=st.sampled_from(["100000", "9000.01", "4999.99", "700"]),
    sessions=st.sampled_from([None, SESSIONS, AlwaysOpen()]),
    holes=st.sets(st.integers(0, 35), max_size=6),
)
def test_any_targets_give_the_same_trades_by_events_and_by_arrays(
    targets: list[list[float]], seed: int, model: MarketModel, cash: str, sessions: Sessions | None, holes: set[int]
) -> None:
    symbols = "ABC"[: len(targets)]
    bars: list[Bar] = []
    TABLE.clear()
    for symbol, wishes in zip(symbols, targets, strict=True):
        gone = holes if symbol == "B" else set()
        bars += [bar for number, bar in enumerate(walked(symbol, seed)) if number not in gone]
        TABLE[symbol] = [one for number, one in enumerate(wishes) if number not in gone]
    same(Told, {"symbols": ",".join(symbols)}, bars, model, Decimal(cash), sessions)


def one_symbol(targets: list[float], prices: list[float] | None = None) -> list[Bar]:
    TABLE.clear()
    TABLE["A"] = targets
    closes = prices or [50.0 + number for number in range(len(targets))]
    return [Bar("A", "1m", i * MINUTE, (i + 1) * MINUTE, p, p + 1, p - 1, p, 100.0) for i, p in enumerate(closes)]


def test_a_target_fills_at_the_next_open_and_a_flip_is_two_fills() -> None:
    bars = one_symbol([100.0, float("nan"), -100.0, float("nan")])
    run = same(Told, {}, bars)
    assert [(one.bar, one.shares, one.price) for one in run.filled] == [
        (1, 100, 51.0),
        (3, -100, 53.0),
        (3, -100, 53.0),
    ]
    assert run.equity == CASH + 200 - 3


def test_a_wish_after_the_last_bar_waits_for_a_market_that_does_not_come() -> None:
    run = same(Told, {}, one_symbol([0.0, 0.0, 100.0]))
    assert (len(run.filled), run.working, run.cash) == (0, 1, CASH)


def test_what_the_cash_does_not_pay_for_is_denied_and_asked_for_again_as_the_host_does() -> None:
    prices = [100.0] * 8 + [60.0] * 8
    run = same(Told, {}, one_symbol([100.0] * 16, prices), cash=Decimal(8_000))
    assert run.denied == 3
    assert len(run.filled) == 1


def test_the_fast_way_and_the_walk_agree_where_nothing_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = list(random_walk(5_000, 3))
    params = {"symbol": "WALK", "fast": 3, "slow": 9}
    columns = arrays(bars)
    fast = vectorized.run(EXAMPLES["sma_cross"], params, columns)
    monkeypatch.setattr(vectorized, "at_once", lambda *_: None)
    slow = vectorized.run(EXAMPLES["sma_cross"], params, columns)
    assert list(fast.filled) == list(slow.filled)
    assert (fast.cash, fast.equity, fast.positions) == (slow.cash, slow.equity, slow.positions)


def test_the_common_case_needs_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    def walked(*given: Any) -> None:
        raise AssertionError("walked")

    monkeypatch.setattr(vectorized, "walk", walked)
    run = vectorized.run(EXAMPLES["sma_cross"], {"symbol": "WALK"}, arrays(list(random_walk(3_000, 1))))
    assert len(run.filled) > 50


def test_prices_that_are_no_short_decimals_are_left_to_the_walk() -> None:
    assert at_once._units(np.array([0.1 + 0.2])) is None
    assert at_once._units(np.array([100.12345678])) is not None
    closes = [50.0 * 1.0001**number for number in range(40)]
    same(Told, {}, one_symbol([100.0, 0.0] * 20, closes))


def test_combinations_share_the_lines_of_indicators() -> None:
    columns = arrays(list(random_walk(500, 1)))
    made = [
        vectorized.run(EXAMPLES["sma_cross"], {"symbol": "WALK", "fast": fast, "slow": 30}, columns)
        for fast in (5, 10, 5)
    ]
    assert list(made[0].filled) == list(made[2].filled) != list(made[1].filled)
    assert len(columns["WALK"]._lines) == 3


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (MarketModel(participation=Decimal(10)), "participation"),
        (MarketModel(latency=Delay(5.0)), "latency"),
        (PRESETS["lean"], "at_once"),
    ],
)
def test_a_model_that_arrays_cannot_follow_is_refused_by_name(model: MarketModel, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        vectorized.run(Told, {}, arrays(one_symbol([0.0])), model)


def test_limits_that_arrays_cannot_follow_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="max_order_shares"):
        vectorized.check_expressible(MarketModel(), LimitValues(max_order_shares=Decimal(10)))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([1.0, 2.0], "shape"),
        ([1.0, 2.5, 3.0], r"2\.5 at bar 1 of A"),
        ([1.0, float("inf"), 3.0], "inf at bar 1"),
        ("many", "no numbers"),
        (None, "shape"),
    ],
)
def test_an_answer_that_is_no_number_of_shares_for_each_bar_is_refused(answer: Any, told: str) -> None:
    class Odd(Strategy):
        symbol: str = param("A")

        def signals(self, bars: Any) -> Any:
            return answer

    with pytest.raises(StrategyError, match=told):
        vectorized.run(Odd, {}, arrays(one_symbol([0.0, 0.0, 0.0])))


@needs_real_data
def test_files_give_the_arrays_of_the_bars_they_deliver() -> None:
    bars, sessions = recorded("equity_1min_bars", "SPY", "start")
    options = FileOptions(bar_stamp="start", symbols=("SPY",), sessions=sessions)
    found = vectorized.bars_of(FileSource([real("equity_1min_bars")], options))["SPY"]
    for name in ("open", "high", "low", "close", "volume", "start", "end"):
        assert getattr(found, name).tolist() == [getattr(bar, name) for bar in bars]
    assert pickle.loads(pickle.dumps(found)).close.tolist() == found.close.tolist()


@needs_real_data
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("equity_1min_quotebars", {}),
        ("equity_1min_bars", {"opens": True}),
        ("equity_daily", {"factors": real("equity_factors"), "prices": "raw"}),
    ],
)
def test_files_with_anything_but_bars_of_trades_are_refused(name: str, options: dict[str, Any]) -> None:
    _, sessions = recorded("equity_1min_bars", "SPY", "start")
    given = FileOptions(bar_stamp="start", symbols=("AAPL",) if name == "equity_daily" else (), sessions=sessions)
    with pytest.raises(UsageError, match="more than bars"):
        vectorized.bars_of(FileSource([real(name)], replace(given, **options)))


def test_a_strategy_without_signals_is_refused() -> None:
    class Events(Strategy):
        symbol: str = param("A")

    with pytest.raises(StrategyError, match="no signals"):
        vectorized.run(Events, {}, arrays(one_symbol([0.0])))


def test_longer_bars_than_those_there_are_refused() -> None:
    class Hourly(Told):
        timeframe = "1h"

    with pytest.raises(StrategyError, match="wants bars of 1h"):
        vectorized.run(Hourly, {}, arrays(one_symbol([0.0])))


def test_bars_that_overlap_are_refused() -> None:
    bars = one_symbol([0.0, 0.0])
    with pytest.raises(DataError, match="row 1"):
        BarArrays.from_bars([bars[0], replace(bars[1], start=1)])


def test_a_strategy_cannot_change_the_bars_the_next_one_reads() -> None:
    columns = BarArrays.from_bars(one_symbol([0.0, 0.0]))
    with pytest.raises(ValueError, match="read-only"):
        columns.close[0] = 1.0


def test_crossings_of_arrays_are_those_of_lines() -> None:
    first, other = np.array([np.nan, 1.0, 3.0, 3.0, 2.0, 1.0]), np.array([1.0, 2.0, 2.0, 3.0, 2.0, 2.0])
    assert crossed_above(first, other).tolist() == [False, False, True, False, False, False]
    assert crossed_below(first, other).tolist() == [False, False, False, False, False, True]
    assert crossed_above(first, 1.5).tolist() == [False, False, True, False, False, False]
