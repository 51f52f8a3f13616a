"""What happens to an account without an order at a real broker: fees, transfers, other names, delistings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from appliance.core.gateway import GatewayCore
from appliance.core.guard import GuardCore
from appliance.core.host import HostCore
from appliance.core.limits import LimitValues, rules
from appliance.core.monitor import MonitorCore
from appliance.domain.messages import VenueActivity, VenueCancel, VenueLink
from appliance.domain.operations import Notice, Wakeup
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Activity, ActivityKind, Approved, Order, Part, Side
from tests.core.hosting import holding, host, live
from tests.core.make import again, approved, bar, fill, intent, order, report, snapshot, told, writers
from tests.playbook import BEGIN, Playbook

D = Decimal
KIND = ActivityKind
STOP = "trend-1-1-s100"


def gateway() -> GatewayCore:
    return GatewayCore("gateway", writers("gateway"))


def holds_spy(baseline: int = 0) -> Playbook:
    """A gateway with 100 SPY of strategy ``trend``, a stop behind them, and some that were there before us."""
    play = Playbook(gateway())
    play >> VenueLink(True) >> snapshot(1, positions={"SPY": D(baseline)})
    play >> approved(intent(stop=D(90))) >> told("trend-1-1", 100) >> report(STOP, "accept") << ...
    return play


def core_of(play: Playbook) -> GatewayCore:
    assert isinstance(play.core, GatewayCore)
    return play.core


def happens(kind: ActivityKind, symbol: str = "", **given: Any) -> VenueActivity:
    return VenueActivity(Activity(f"{kind.value}:1", kind, symbol, BEGIN + 1, **given), BEGIN + 1)


def looked(play: Playbook, positions: dict[str, Decimal], cash: str) -> dict[str, Any]:
    """The next look, half a minute later: what halts by it."""
    play.later(30) >> Wakeup() << ...
    fills = (told("trend-1-1", 100),)
    play >> snapshot(2, open=(STOP,), fills=fills, positions=positions, cash=D(cash)) << ...
    return dict(core_of(play).ledger.blocked)


def test_a_fee_is_booked_once_and_explains_the_cash() -> None:
    play = holds_spy()
    fee = happens(KIND.FEE, cash=D("-1.50"))
    play >> fee >> fee
    (activity,) = play.heard(Activity)
    assert [(part.strategy, part.cash) for part in activity.parts] == [("trend", D("-1.50"))]
    assert looked(play, {"SPY": D(100)}, "89997.50") == {}


def test_money_that_comes_or_goes_is_nobodys() -> None:
    play = holds_spy()
    play >> happens(KIND.TRANSFER, cash=D(5_000), text="ACH deposit")
    said = [event.body for event in play.unread if isinstance(event.body, Notice)]
    assert [(notice.code, notice.holds) for notice in said] == [("TRANSFER", True), ("TRANSFER", False)]
    assert "ACH deposit" in said[0].text
    (activity,) = play.heard(Activity)
    assert activity.parts == (Part("", D(0), D(5_000)),)
    assert core_of(play).ledger.account[""].cash == D(94_999)


def test_shares_that_are_transferred_are_of_no_strategy() -> None:
    play = holds_spy(baseline=7)
    play >> happens(KIND.TRANSFER, "SPY", position=D(157)) << ...
    assert core_of(play).reconciler.baseline("SPY") == 57
    assert core_of(play).ledger.holding("trend", "SPY") == 100
    assert looked(play, {"SPY": D(157)}, "89999") == {}


def test_cash_that_nobody_explains_is_told_once_with_both_figures_and_the_venues_counts() -> None:
    play = holds_spy()
    seen: dict[str, Any] = {"open": (STOP,), "fills": (told("trend-1-1", 100),), "positions": {"SPY": D(100)}}
    said = []
    for n in (2, 3, 4):
        play.later(30) >> Wakeup() >> snapshot(n, cash=D("89990"), **seen)
        said += play.heard(Notice)
    assert [(notice.code, notice.holds) for notice in said] == [("CASH_DIFFERS", True), ("CASH_DIFFERS", False)]
    assert "the venue says 89990 USD of cash, our books 89999: -9 USD" in said[0].text
    assert core_of(play).ledger.blocked == {}


def test_a_cent_is_not_worth_a_word() -> None:
    play = holds_spy()
    play.later(30) >> Wakeup() << ...
    play >> snapshot(2, open=(STOP,), fills=(told("trend-1-1", 100),), positions={"SPY": D(100)}, cash=D("89999.01"))
    assert play.heard(Notice) == []
    assert core_of(play).ledger.account[""].cash == D("89999.01")


def test_equity_and_buying_power_are_shown_as_the_venue_tells_them() -> None:
    play = holds_spy()
    play.later(30) >> Wakeup() << ...
    play >> snapshot(
        2, open=(STOP,), fills=(told("trend-1-1", 100),), positions={"SPY": D(100)}, cash=D(89_999), equity=D(99_999),
        buying_power=D(180_000),
    ) << "view/account"  # fmt: skip
    account = core_of(play).ledger.account[""]
    assert (account.equity, account.buying_power) == (D(99_999), D(180_000))


# --- another name ---------------------------------------------------------------------------------

RENAMED = happens(KIND.SYMBOL_CHANGE, "SPY", becomes="SPX", position=D(107))


def test_books_orders_stops_and_baseline_go_by_the_new_name() -> None:
    play = holds_spy(baseline=7)
    play >> RENAMED >> RENAMED
    orders = play.heard(Order)
    core = core_of(play)
    assert [(one.id, one.symbol, one.intent.symbol) for one in orders] == [(STOP, "SPX", "SPX")]
    assert (core.ledger.position("SPY"), core.ledger.position("SPX")) == (0, 100)
    assert core.ledger.holding("trend", "SPX") == 100
    assert (core.reconciler.baseline("SPY"), core.reconciler.baseline("SPX")) == (0, 7)
    assert core.ledger.protections["trend/SPX"].stop == 90
    assert [one.id for one in core.ledger.protective("trend", "SPX")] == [STOP]
    assert list(looked(play, {"SPX": D(107)}, "89999")) == ["SPY"]  # nobody buys by the old name
    assert again(core, gateway()).snapshot() == core.snapshot()


def test_its_stop_still_closes_it_by_the_new_name() -> None:
    play = holds_spy()
    play >> RENAMED << ...
    exit = intent(id="trend-1-2", symbol="SPX", side=Side.SELL, exit=True)
    play >> approved(exit)
    assert [said.order_id for said in play.heard(VenueCancel)] == [STOP]


def test_the_guard_watches_the_stop_by_the_new_name() -> None:
    play = Playbook(GuardCore("guard", writers("guard"), rules(LimitValues()))).later(60)
    play >> bar()
    sent = order(intent(stop=D(90)), OrderStatus.SENDING)
    play >> sent >> fill(sent) << ...
    play >> Activity("a", KIND.SYMBOL_CHANGE, "SPY", BEGIN, becomes="SPX") << ...
    play >> bar(80.0, start=play.now.time, symbol="SPY")
    play >> bar(80.0, start=play.now.time, symbol="SPX")
    (leaving,) = play.heard(Approved)
    assert (leaving.intent.symbol, leaving.intent.quantity, leaving.reduces) == ("SPX", D(100), True)


def test_a_host_holds_the_same_at_the_same_cost_by_the_new_name() -> None:
    play = live()
    holding(play, 100)
    core = play.core
    assert isinstance(core, HostCore)
    cost = core.tracker.portfolios["trend"].holdings["SPY"].cost
    parts = (Part("trend", D(100), D(0)),)
    play >> Activity("a", KIND.SYMBOL_CHANGE, "SPY", BEGIN, becomes="SPX", parts=parts) << ...
    portfolio = core.tracker.portfolios["trend"]
    assert portfolio.positions == {"SPX": D(100)}
    assert portfolio.holdings["SPX"].cost == cost
    assert core.bookings.positions["trend/SPX"] == 100
    assert core.bookings.positions["trend/SPY"] == 0


# --- no name any more -----------------------------------------------------------------------------

GONE = happens(KIND.DELISTING, "SPY", cash=D(250), text="cash merger")


def test_a_delisting_ends_the_position_its_stops_and_new_risk() -> None:
    play = holds_spy(baseline=25)
    play >> GONE
    assert [(one.strategy, one.quantity, one.cash) for one in play.unread[0].body.parts] == [
        ("trend", D(0), D(200)),
        ("", D(0), D(50)),
    ]
    assert [said.order_id for said in play.heard(VenueCancel)] == [STOP]
    core = core_of(play)
    assert (core.ledger.position("SPY"), core.reconciler.baseline("SPY")) == (0, 0)
    assert core.ledger.protections == {}
    assert "250 USD were paid" in core.ledger.blocked["SPY"].why


def test_guard_and_host_hold_nothing_of_what_was_delisted() -> None:
    activity = Activity("a", KIND.DELISTING, "SPY", BEGIN, D(250), parts=(Part("trend", D(0), D(250)),))
    guard = GuardCore("guard", writers("guard"), rules(LimitValues()))
    play = Playbook(guard).later(60)
    sent = order(intent(stop=D(90)), OrderStatus.SENDING)
    play >> bar() >> sent >> fill(sent) << ... >> activity
    assert list(guard.watched()) == []
    hosted = live()
    holding(hosted, 100)
    core = hosted.core
    assert isinstance(core, HostCore)
    cash = core.cash("trend")
    hosted >> activity << ...
    assert core.tracker.portfolios["trend"].positions == {}
    assert core.cash("trend") == cash + 250


@pytest.mark.parametrize("kind", list(ActivityKind))
def test_everyone_on_the_gateways_stream_takes_every_kind(kind: ActivityKind) -> None:
    activity = Activity("a", kind, "SPY", BEGIN, becomes="SPX", parts=(Part("trend", D(0), D(1)),))
    for core in (
        MonitorCore("monitor", writers("monitor")),
        GuardCore("guard", writers("guard"), rules(LimitValues())),
        host(),
    ):
        Playbook(core) >> activity << ...
