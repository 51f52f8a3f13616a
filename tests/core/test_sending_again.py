"""What may be sent again, and for how long something is asked about."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.core.gateway import GatewayCore
from appliance.domain.messages import VenueActivity, VenueAsk, VenueCancel, VenueLink, VenueLook, VenueSubmit
from appliance.domain.operations import Inhibit, Notice, Peer, Severity, Verb, Wakeup
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Activity, ActivityKind, OrderType, Side, TimeInForce
from appliance.domain.venue import LinkState, Rejection
from tests.core.make import again, approved, command, intent, report, snapshot, status, told, writers
from tests.core.test_brokers import ALPACA, ENTRY, EXIT, STOP, core_of, corrects, filled, linked, look, notice
from tests.playbook import BEGIN, SECOND, Playbook

D = Decimal
OTHER = intent(id="trend-1-9", counter=9)
RESTS = intent(type=OrderType.LIMIT, limit_price=D(90))


def absent_twice(play: Playbook, order_id: str) -> Playbook:
    play >> report(order_id, "lose") >> report(order_id, "absent") << ...
    return play.later(2)


def blocked(play: Playbook) -> object:
    core_of(play).block("SPY", "something differs", play.now)
    play << ...
    return report(OTHER.id, "absent")


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda play: Peer("guard", False), lambda play: Inhibit("CLOCK", True), blocked,
        lambda play: VenueLink(True, "no way to the market", LinkState.DEGRADED),
    ],
    ids=["guard silent", "inhibited", "symbol halted", "market lost"],
)  # fmt: skip
def test_an_entry_is_not_sent_again_where_no_new_risk_is_taken(meanwhile: Any) -> None:
    with linked() as play:
        play >> approved() << ...
        absent_twice(play, ENTRY.id)
        play >> meanwhile(play) << ...
        play >> report(ENTRY.id, "absent") << status("not_placed")


def test_an_exit_is_not_sent_again_for_what_the_venue_has_taken_back_meanwhile() -> None:
    with linked() as play:
        filled(play)
        play >> approved(EXIT) << ...
        absent_twice(play, EXIT.id)
        play >> corrects("b", f"{ENTRY.id}:100", 60) << ...
        play >> report(EXIT.id, "absent") << status("not_placed")


def test_an_exit_that_still_fits_is_sent_again() -> None:
    with linked() as play:
        filled(play)
        play >> approved(EXIT) << ...
        absent_twice(play, EXIT.id)
        play >> report(EXIT.id, "absent") << status("sending", attempt=2) << VenueSubmit


def asks(play: Playbook, seconds: int = 10) -> int:
    """How often something is asked about in so many seconds."""
    play << ...
    for _ in range(seconds):
        play.later(1) >> Wakeup()
    return len(play.heard(VenueAsk))


def test_an_order_is_asked_about_until_its_fills_are_here_and_no_longer() -> None:
    with linked() as play:
        play >> approved(RESTS) >> report(ENTRY.id, "accept") << ...
        play >> report(ENTRY.id, "partial_fill", filled=D(50)) << VenueAsk(ENTRY.id)
        play >> report(ENTRY.id, "partial_fill", filled=D(50))
        assert asks(play) >= 4
        play >> told(ENTRY.id, 50) >> report(ENTRY.id, "accept", filled=D(50))
        assert asks(play) == 0


def test_an_order_that_is_missing_from_what_works_is_asked_about_until_that_is_answered() -> None:
    core = GatewayCore("gateway", writers("gateway"), ALPACA)
    with linked(core=core) as play:
        play >> approved(RESTS) >> report(ENTRY.id, "accept") << ...
        play >> VenueLink(False) >> VenueLink(True) << ...
        play >> snapshot(2) << VenueAsk(ENTRY.id) >> report(ENTRY.id, "lose") << ...
        assert asks(play) >= 4
        play >> report(ENTRY.id, "absent") << ...
        play >> report(ENTRY.id, "absent") << ...
        assert core.ledger.orders[ENTRY.id].status is OrderStatus.ACCEPTED, "twice at once is once"
        play >> report(ENTRY.id, "accept")
        assert asks(play) == 0


def test_a_stop_that_is_refused_for_how_long_it_should_rest_is_placed_for_the_day() -> None:
    with linked() as play:
        play >> approved(intent(stop=D(90))) >> told(ENTRY.id, 100) << ...
        play >> report(STOP, "reject", code=Rejection.UNSUPPORTED) << status("rejected")
        play << status("sending", time_in_force=TimeInForce.DAY, stop_price=D(90), type=OrderType.STOP) << VenueSubmit
        (fresh,) = core_of(play).ledger.protective("trend", "SPY")
        play >> report(fresh.id, "reject", code=Rejection.UNSUPPORTED) << status("rejected")
        play << notice("STOP_MISSING/trend/SPY")


def test_an_order_that_does_not_end_however_often_it_is_cancelled_is_told_to_its_owner() -> None:
    with linked() as play:
        filled(play, stop="90")
        play >> approved(EXIT) << status("waiting") << ...
        for _ in range(5):
            play.later(2) >> Wakeup()
        (said,) = play.heard(Notice)
        assert (said.code, said.severity) == (f"NOT_CANCELLED/{STOP}", Severity.CRITICAL)
        assert "an exit waits" in said.text
        play.later(2) >> Wakeup() << VenueCancel(STOP)
        play >> report(STOP, "cancel") << status("canceled") << status("sending") << VenueSubmit
        play << notice(f"NOT_CANCELLED/{STOP}", False)


@pytest.mark.parametrize("verb", [Verb.REDUCE, Verb.HALT, Verb.FLATTEN])
def test_an_entry_that_may_still_wait_for_its_turn_goes_no_more_once_entries_are_paused(verb: Verb) -> None:
    with linked() as play:
        play >> approved() << status("sending") << VenueSubmit
        play >> command(verb)
        (cancel,) = play.heard(VenueCancel)
        assert cancel.order_id == ENTRY.id
        play >> report(ENTRY.id, "deny", code=Rejection.NOT_SENT) << status("denied")


def test_a_clock_that_has_been_put_back_hides_no_fills() -> None:
    core = GatewayCore("gateway", writers("gateway"), ALPACA)
    days = 86_400
    play = Playbook(core, start=BEGIN + 9 * days * SECOND)
    play >> VenueLink(True) >> snapshot(1) << ...
    back = Playbook(again(core, GatewayCore("gateway", writers("gateway"), ALPACA)), boot="boot-2")
    back >> VenueLink(True)
    (asked,) = back.heard(VenueLook)
    assert asked.since == BEGIN - days * SECOND
    back >> snapshot(1) << ...
    back.later(3600)
    look(back) << ...
    assert core_of(back).reconciler.told_from() <= BEGIN


def test_an_order_that_was_found_to_work_is_not_gone_because_it_was_absent_before() -> None:
    core = GatewayCore("gateway", writers("gateway"), ALPACA)
    with linked(core=core) as play:
        play >> approved() >> report(ENTRY.id, "accept") << ...
        for n in (2, 3):
            play >> VenueLink(False) >> VenueLink(True) >> snapshot(n) << ...
            play >> report(ENTRY.id, "absent") << ...
            assert core.ledger.orders[ENTRY.id].status is OrderStatus.ACCEPTED
            look(play, open=(ENTRY.id,)).later(60) << ...


@pytest.mark.parametrize("heard", [False, True])
def test_a_commission_that_is_told_after_its_fill_was_booked_is_a_fee_once(heard: bool) -> None:
    free = told(ENTRY.id, 100)
    dear = replace(free, commission=D(1))
    fee = Activity(f"{free.fill_key}:commission", ActivityKind.FEE, "", BEGIN, cash=D(-1))
    with linked() as play:
        play >> approved() >> report(ENTRY.id, "accept") >> replace(free, commission=D(0)) << ...
        if heard:
            play >> VenueActivity(fee, BEGIN) << ...
        cash = core_of(play).ledger.account[""].cash
        for _ in range(3):
            look(play, fills=(dear,), positions={"SPY": D(100)}, cash=cash if heard else cash - 1)
        fees = play.heard(Activity)
        assert [one.cash for one in fees] == ([] if heard else [D(-1)])
    assert core_of(play).ledger.account[""].cash == (cash if heard else cash - 1)


def test_what_never_happened_may_be_said_to_have_never_happened_twice() -> None:
    with linked() as play:
        play >> approved() >> report(ENTRY.id, "accept") << ...
        play >> corrects("b", f"{ENTRY.id}:100", 0) >> corrects("c", "b", 0) << ...
        play >> told(ENTRY.id, 100) << ...
    assert core_of(play).ledger.position("SPY") == 0


def test_an_exit_goes_that_would_sell_what_was_taken_back_or_sold_by_another_order_after_its_cancel() -> None:
    with linked() as play:
        filled(play, stop="90")
        play >> approved(EXIT) >> report(STOP, "cancel") >> report(EXIT.id, "accept") << ...
        play >> told(STOP, 10, Side.SELL)
        assert EXIT.id in [one.order_id for one in play.heard(VenueCancel)]
    with linked() as play:
        filled(play)
        second = intent(id="trend-1-3", counter=3, side=Side.SELL, exit=True)
        play >> approved(EXIT) >> report(EXIT.id, "cancel") >> approved(second) >> report(second.id, "accept") << ...
        play >> told(EXIT.id, 10, Side.SELL)
        assert [one.order_id for one in play.heard(VenueCancel)] == [second.id]
    with linked() as play:
        filled(play)
        play >> approved(EXIT) >> report(EXIT.id, "accept") << ...
        play >> told(EXIT.id, 40, Side.SELL) << ...
        play >> replace(corrects("b", f"{EXIT.id}:40", 30, order_id=EXIT.id), side=Side.SELL)
        assert play.heard(VenueCancel) == [], "what is left is what it sells"
        play >> corrects("c", f"{ENTRY.id}:100", 60)
        assert [one.order_id for one in play.heard(VenueCancel)] == [EXIT.id]
