"""An account without credit spends no borrowed money: neither the proceeds of short sales nor what secures them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.core.models.commission import FREE
from appliance.core.wishes import Made, Silent, Wish, Wishes
from appliance.domain.market import Bar
from appliance.world.backtest import Backtest
from tests.core.make import bar
from tests.playbook import BEGIN, SECOND

D = Decimal
MINUTE = 60 * SECOND
SYMBOLS = ("QQQ", "SPY")


class Wanting(Silent):
    """Wants what a table says after each minute: symbol and shares."""

    def __init__(self, wanted: Sequence[tuple[str, int] | None]) -> None:
        super().__init__("wanting", SYMBOLS)
        self.wanted = list(wanted)

    def bar(self, bar: Bar, now: int) -> Wishes:
        if bar.symbol != SYMBOLS[-1] or not self.wanted:
            return ()
        wish = self.wanted.pop(0)
        return (Wish(wish[0], D(wish[1])),) if wish is not None else ()


def run(*wanted: tuple[str, int] | None, price: float = 100.0) -> Backtest:
    """Each minute at one price, with 10,000 USD."""
    test = Backtest(
        "one", [Made("wanting", lambda: Wanting(wanted))], rules(LimitValues()), D(10_000), MarketModel(FREE)
    )
    test.run(bar(price, BEGIN + n * MINUTE, symbol=symbol) for n in range(len(wanted) + 2) for symbol in SYMBOLS)
    return test


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        ([("SPY", -100)], {"SPY": -100}),
        ([("SPY", -101)], {}),
        ([("SPY", -100), ("SPY", -101)], {"SPY": -100}),  # the proceeds are no cash of ours
        ([("SPY", -100), ("QQQ", -100)], {"SPY": -100}),
        ([("SPY", -100), ("QQQ", 1)], {"SPY": -100}),
        ([("SPY", -60), ("QQQ", 40)], {"SPY": -60, "QQQ": 40}),
        ([("SPY", -60), ("QQQ", 41)], {"SPY": -60}),
        ([("SPY", -100), ("SPY", 100)], {"SPY": 100}),  # bought back and turned: its proceeds pay for that
        ([("SPY", -100), ("SPY", 101)], {"SPY": 0}),
        ([("SPY", -100), ("SPY", -50), ("QQQ", 50)], {"SPY": -50, "QQQ": 50}),
        ([("SPY", -100), ("SPY", -50), ("QQQ", 51)], {"SPY": -50}),
    ],
)
def test_what_is_sold_short_is_secured_by_cash_that_is_there_once(
    wanted: list[tuple[str, int]], held: dict[str, int]
) -> None:
    assert run(*wanted).record.positions == held


wishes = st.lists(st.one_of(st.none(), st.tuples(st.sampled_from(SYMBOLS), st.integers(-150, 150))), max_size=12)


@settings(deadline=None, max_examples=150)
@given(wishes)
def test_at_one_price_no_account_ever_holds_more_than_it_is_worth(wanted: list[tuple[str, int] | None]) -> None:
    positions = run(*wanted).record.positions
    assert sum(abs(shares) for shares in positions.values()) <= 100
