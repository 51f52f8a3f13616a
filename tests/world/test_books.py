"""Several strategies of one box on the same symbols, in opposite directions: their books add up to the account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.core.portfolio import differences
from appliance.core.wishes import Made, Wish, Wishes
from appliance.domain.market import Bar
from appliance.domain.trading import Fill, Side
from appliance.world.backtest import Backtest
from tests.core.hosting import Scripted, own, target
from tests.core.make import bar
from tests.playbook import BEGIN, SECOND

D = Decimal
CASH = D(1_000_000)


class Keeping(Scripted):
    """It knows its cash, and counts by itself what its fills have cost."""

    def __init__(self, name: str, **script: Any) -> None:
        super().__init__(name, ("QQQ", "SPY"), **script)
        self.cash = D(0)
        self.spent = D(0)
        self.begun = D(0)

    def set_cash(self, cash: Decimal) -> None:
        self.cash = cash

    def start(self, now: int) -> Wishes:
        self.begun = self.cash
        return ()

    def fill(self, fill: Fill, now: int) -> Wishes:
        self.spent += fill.signed * fill.price + fill.commission
        return super().fill(fill, now)


def run(*strategies: Keeping, closes: list[int]) -> Backtest:
    makers = [Made(one.name, lambda one=one: one) for one in strategies]  # type: ignore[misc]
    found = Backtest("trend", makers, rules(LimitValues(require_cash=False)), CASH, MarketModel())
    found.run(market(closes))
    return found


def market(closes: list[int]) -> list[Bar]:
    """Bars of both symbols, minute by minute."""
    return [
        bar(close / 4 + len(symbol) % 3, BEGIN + number * 60 * SECOND, symbol=symbol, high=close, low=close / 8)
        for number, close in enumerate(closes)
        for symbol in ("QQQ", "SPY")
    ]


def alternating(quantity: int) -> Any:
    """A script: long at an even close, short at an odd one."""

    def wishes(told: Bar) -> Wish:
        return Wish(told.symbol, D(quantity) * (1 if int(told.close) % 2 else -1))

    return wishes


def check(found: Backtest, *strategies: Keeping) -> None:
    tracker = found.host.tracker
    books = [tracker.portfolios[one.name] for one in strategies]
    positions = {symbol: quantity for symbol, quantity in found.record.positions.items() if quantity}
    assert differences(books, positions, found.cash - CASH) == []
    for one, book in zip(strategies, books, strict=True):
        assert one.cash == book.cash == one.begun - one.spent
        assert {symbol: q for symbol, q in one.positions.items() if q} == book.positions
        equity = book.equity(tracker.prices)
        assert equity == book.allotment + book.realised + (book.unrealised(tracker.prices) or 0) - book.fees


@pytest.mark.parametrize("sizes", [(100, -100), (100, -60, 7), (1, 1, 1)])
def test_strategies_in_opposite_directions_add_up_to_the_account(sizes: tuple[int, ...]) -> None:
    strategies = [Keeping(f"s{n}", bar=alternating(size)) for n, size in enumerate(sizes)]
    found = run(*strategies, closes=[100 + n * n % 17 for n in range(60)])
    assert found.record.fills > 30
    check(found, *strategies)


@given(
    closes=st.lists(st.integers(20, 400), min_size=3, max_size=25),
    plans=st.lists(st.lists(st.integers(-30, 30), min_size=1, max_size=6), min_size=1, max_size=4),
)
@settings(max_examples=50, deadline=None)
def test_whatever_they_do_their_books_add_up(closes: list[int], plans: list[list[int]]) -> None:
    def plan(numbers: list[int]) -> Any:
        def wishes(told: Bar) -> Any:
            number = numbers[int(told.close) % len(numbers)]
            if number % 3:
                return Wish(told.symbol, D(number))
            side = Side.BUY if number > 0 else Side.SELL
            return own(side, abs(number) + 1, f"t{number}", 50 if number % 2 else None)

        return wishes

    strategies = [Keeping(f"s{n}", bar=plan(numbers)) for n, numbers in enumerate(plans)]
    check(run(*strategies, closes=closes), *strategies)


def test_one_that_wishes_nothing_has_what_it_was_allotted() -> None:
    quiet, busy = Keeping("quiet"), Keeping("busy", bar=target(10))
    check(run(quiet, busy, closes=[50, 51, 52]), quiet, busy)
    assert quiet.cash == CASH / 2
