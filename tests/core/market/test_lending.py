"""What a margin account lends, costs and must keep; what a cash account does not do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from appliance.core.books.entries import EntryKind
from appliance.core.limits import Case, LimitValues, rules
from appliance.core.limits.base import Price
from appliance.core.limits.margin import InitialMargin, NoShortSales
from appliance.core.market.lending import Lending
from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.models.commission import FREE
from appliance.core.models.financing import Financing
from appliance.core.streams import Writers
from appliance.core.wishes import Made, Silent, Wish, Wishes
from appliance.domain.market import Bar, Dividend, Session, Sessions
from appliance.domain.messages import Now
from appliance.domain.trading import AccountKind, Activity, ActivityKind, Side
from appliance.world.backtest import Backtest
from tests.core.make import bar, intent
from tests.playbook import BEGIN, SECOND

D = Decimal
DAY = 86_400 * SECOND
RATES = Financing(D("3.6"), D("7.2"), 360)  # a cent of each hundred a day, and two
MARGIN = MarketModel(FREE, financing=RATES, account=AccountKind.MARGIN)


def session(date: str, day: int) -> Session:
    return Session(date, BEGIN + day * DAY, BEGIN + day * DAY + 3600 * SECOND)


WEEK = Sessions(
    [session("2023-11-16", 0), session("2023-11-17", 1), session("2023-11-20", 4), session("2023-11-21", 5)]
)
CLOSE = BEGIN + 3600 * SECOND


def charged(day: int, cash: str, **positions: int) -> list[tuple[ActivityKind, str, Decimal]]:
    """What is charged at a session's close, at prices of 100."""
    lending = Lending(MarketSimulator("paper", Writers(()), D(0)), MARGIN, WEEK)
    lending.hear([bar(100.0, symbol=symbol) for symbol in positions])
    held = {symbol: D(shares) for symbol, shares in positions.items()}
    charges: list[Activity] = lending.charges(CLOSE + day * DAY, D(cash), held)
    return [(one.kind, one.symbol, one.cash) for one in charges]


def test_a_short_position_pays_for_its_shares_each_night_and_thrice_over_a_weekend() -> None:
    assert charged(0, "100000", SPY=-100) == [(ActivityKind.BORROW, "SPY", D("-1.00"))]
    assert charged(1, "100000", SPY=-100) == [(ActivityKind.BORROW, "SPY", D("-3.00"))]


def test_interest_is_owed_on_what_is_lacking_without_the_proceeds_of_short_sales() -> None:
    assert charged(0, "-10000", SPY=300) == [(ActivityKind.INTEREST, "", D("-2.00"))]
    both = charged(0, "0", QQQ=-100, SPY=300)
    assert both == [(ActivityKind.BORROW, "QQQ", D("-1.00")), (ActivityKind.INTEREST, "", D("-2.00"))]
    assert charged(0, "5000", SPY=300) == []


@pytest.mark.parametrize(
    ("cash", "shares", "called"),
    [
        ("-7498", 100, False),  # 2,502 of 10,000, less 1.50 of interest
        ("-7499", 100, True),
        ("13001", -100, False),  # 3,001 of 10,000, less 1.00 for the shares
        ("13000", -100, True),
    ],
)
def test_less_equity_than_a_quarter_of_long_or_three_tenths_of_short_value_is_called(
    cash: str, shares: int, called: bool
) -> None:
    assert (ActivityKind.MARGIN_CALL in [kind for kind, _, _ in charged(0, cash, SPY=shares)]) is called


def test_a_secured_account_is_charged_nothing() -> None:
    market = MarketSimulator("paper", Writers(()), D(100), MarketModel(FREE))
    market.positions["SPY"] = D(-100)
    for day in range(3):
        market.market((bar(100.0, BEGIN + day * DAY),), Now(BEGIN + day * DAY, "b", 0))
    assert market.cash == D(100)
    assert market.activities == {}


# --- what the guard allows --------------------------------------------------------------------------------------------


def case(
    side: Side, quantity: int, held: int = 0, cash: str = "1000", selling: int = 0, leaves: bool = True, **given: Any
) -> Case:  # fmt: skip
    positions = {"SPY": D(held), **{symbol: D(shares) for symbol, shares in given.items()}}
    prices = {symbol: Price(10.0, 0) for symbol in positions if symbol != "NONE"}
    wanted = intent(side=side, quantity=D(quantity), exit=leaves and side is Side.SELL)
    now = Now(0, "b", 0)
    return Case(
        wanted, now, prices["SPY"], D(held), D(0), D(selling), D(cash), D(0), False, positions, prices
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (case(Side.SELL, 10, held=10), True),
        (case(Side.SELL, 11, held=10), False),
        (case(Side.SELL, 5, held=10, selling=6), False),
        (case(Side.SELL, 1), False),
        (case(Side.SELL, 1, held=10, leaves=False), False),  # another strategy holds them
        (case(Side.BUY, 10, held=-5), True),
    ],
)
def test_a_cash_account_does_not_sell_what_it_does_not_have(wanted: Case, passes: bool) -> None:
    assert (NoShortSales().check(wanted) is None) is passes


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (case(Side.BUY, 200), True),  # 2,000 USD on 1,000 of equity
        (case(Side.BUY, 201), False),
        (case(Side.SELL, 200), True),
        (case(Side.SELL, 201), False),
        (case(Side.BUY, 100, held=100, cash="0"), True),
        (case(Side.BUY, 101, held=100, cash="0"), False),
        (case(Side.BUY, 100, QQQ=-100, cash="2000"), True),  # short 1,000: equity 1,000
        (case(Side.BUY, 101, QQQ=-100, cash="2000"), False),
        (case(Side.BUY, 1, NONE=5), False),  # nobody knows what it is worth
    ],
)
def test_a_margin_account_takes_on_twice_its_equity_and_not_a_dollar_more(wanted: Case, passes: bool) -> None:
    assert (InitialMargin().check(wanted) is None) is passes


@pytest.mark.parametrize(("account", "codes"), [
    (AccountKind.SECURED, ["INSUFFICIENT_CASH"]),
    (AccountKind.CASH, ["SHORT_SALE", "INSUFFICIENT_CASH"]),
    (AccountKind.MARGIN, ["INSUFFICIENT_MARGIN"]),
])  # fmt: skip
def test_each_kind_of_account_has_its_rules(account: AccountKind, codes: list[str]) -> None:
    assert [rule.code for rule in rules(LimitValues(), account)][1:] == codes


# --- a whole run ------------------------------------------------------------------------------------------------------


class Target(Silent):
    """Wants so many shares, once."""

    def __init__(self, shares: int) -> None:
        super().__init__("target", ("SPY",))
        self.shares: int | None = shares

    def bar(self, bar: Bar, now: int) -> Wishes:
        wanted, self.shares = self.shares, None
        return (Wish("SPY", D(wanted)),) if wanted is not None else ()


def run(shares: int, *closes: float) -> Backtest:
    limits = rules(LimitValues(), AccountKind.MARGIN)
    made = Made("target", lambda: Target(shares))
    found = Backtest("margin", [made], limits, D(10_000), MARGIN, WEEK, "event")
    starts = [day * DAY + number * 600 * SECOND for day in (0, 1, 4, 5) for number in range(3)]
    found.run([bar(close, BEGIN + start) for start, close in zip(starts, closes, strict=False)])
    return found


def test_charges_reach_account_portfolio_and_books_to_the_cent() -> None:
    found = run(150, *[100.0] * 12)
    interest = found.book.of(EntryKind.INTEREST)
    assert [entry.amount for entry in interest] == [D("-1.00"), D("-3.00"), D("-1.00")]  # 5,000 owed, then a bit more
    assert [entry.time for entry in interest] == [CLOSE, CLOSE + DAY, CLOSE + 4 * DAY]
    portfolio = found.host.tracker.portfolios["target"]
    assert portfolio.interest == D("-5.00")
    assert portfolio.cash == found.cash == found.book.cash == found.gateway.ledger.account[""].cash


def test_a_position_that_has_eaten_its_margin_is_ended_on_the_day_after() -> None:
    found = run(150, 100, 100, 40, 40, 40, 40)
    assert found.record.positions == {"SPY": D(0)}
    last = found.book.entries[-1]
    assert (last.kind, last.quantity, last.order_id[:5]) == (EntryKind.FILL, D(-150), "guard")


def test_a_margin_account_buys_with_money_it_does_not_have_and_no_more_than_that() -> None:
    assert run(200, 100, 100, 100).record.positions == {"SPY": D(200)}
    assert run(201, 100, 100, 100).record.positions == {}


def test_nights_of_sessions_in_which_nothing_happened_are_charged_as_well() -> None:
    quiet = run_of(150, (0, 0), (0, 1), (0, 2), (5, 0))  # nobody tells of the days 1 and 4
    assert [entry.amount for entry in quiet.book.of(EntryKind.INTEREST)] == [D("-5.00")]
    always = run_of(-50, (0, 0), (0, 1), (0, 2), (4, 0), sessions=None)  # a weekend where every day is a session
    assert [entry.amount for entry in always.book.of(EntryKind.BORROW)] == [D("-2.00")]


def test_the_nights_before_an_ex_date_are_charged_on_what_was_owed_before_the_dividend() -> None:
    paid = run_of(150, (0, 0), (0, 1), (0, 2), Dividend("SPY", BEGIN + DAY - 1, D(20)), (1, 0))
    assert [(entry.kind, entry.amount) for entry in paid.book.entries[1:]] == [
        (EntryKind.INTEREST, D("-1.00")), (EntryKind.DIVIDEND, D("3000.00")),
    ]  # fmt: skip


def run_of(shares: int, *what: Any, sessions: Sessions | None = WEEK) -> Backtest:
    """Bars of 100 at (day, tenth of an hour), and corporate actions between them."""
    made = Made("target", lambda: Target(shares))
    found = Backtest("margin", [made], rules(LimitValues(), AccountKind.MARGIN), D(10_000), MARGIN, sessions, "event")
    found.run([bar(100.0, BEGIN + one[0] * DAY + one[1] * 600 * SECOND) if type(one) is tuple else one for one in what])
    return found
