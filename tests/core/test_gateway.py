"""The gateway, told as conversations with the guard, the owner and the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.core.gateway import GatewayCore
from appliance.domain.messages import VenueAsk, VenueCancel, VenueLink, VenueLook, VenueReport, VenueSubmit
from appliance.domain.operations import CommandResult, Inhibit, Latch, LatchFile, LatchState, Notice, Peer, Verb, Wakeup
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Account, Approved, Fill, Order, OrderType, Position, Side
from appliance.domain.venue import VenueTraits
from tests.core.make import again, approved, command, intent, moment, report, snapshot, status, told, writers
from tests.playbook import BEGIN, SECOND, Playbook

D = Decimal
PAPER = VenueTraits()
ALPACA = VenueTraits(refuses_duplicates=True, absent_is_final=False)
IBKR = VenueTraits(refuses_duplicates=False, absent_is_final=False)
ENTRY = intent()
EXIT = intent(id="trend-1-2", counter=2, side=Side.SELL, exit=True)


def gateway(traits: VenueTraits = PAPER) -> GatewayCore:
    return GatewayCore("gateway", writers("gateway"), traits)


def linked(traits: VenueTraits = PAPER, core: GatewayCore | None = None, **seen: Any) -> Playbook:
    """A gateway whose venue is up and reconciled."""
    play = Playbook(core or gateway(traits))
    play >> VenueLink(True) >> snapshot(1, **seen) << ...
    return play


def entered(play: Playbook, quantity: int = 100, stop: str | None = None) -> None:
    """An entry, sent, accepted and filled; with a stop, that rests at the venue."""
    wanted = intent(quantity=D(quantity), stop=D(stop) if stop else None)
    play >> approved(wanted) >> report(wanted.id, "accept") >> told(wanted.id, quantity)
    if stop:
        play >> report(f"{wanted.id}-s{quantity}", "accept")
    play << ...


def blocked(said: Any) -> bool:
    return isinstance(said, Latch) and bool(said.blocked)


def submits(order_id: str, quantity: int) -> Any:
    def fits(said: Any) -> bool:
        return isinstance(said, VenueSubmit) and (said.order.id, said.order.quantity) == (order_id, D(quantity))

    fits.__name__ = f"VenueSubmit {order_id} {quantity}"
    return fits


def cancels(order_id: str) -> Any:
    def fits(said: Any) -> bool:
        return isinstance(said, VenueCancel) and said.order_id == order_id

    fits.__name__ = f"VenueCancel {order_id}"
    return fits


def notice(code: str, holds: bool = True) -> Any:
    def fits(said: Any) -> bool:
        return isinstance(said, Notice) and (said.code, said.holds) == (code, holds)

    fits.__name__ = f"Notice {code} {holds}"
    return fits


def core_of(play: Playbook) -> GatewayCore:
    assert isinstance(play.core, GatewayCore)
    return play.core


# --- the happy path -------------------------------------------------------------------------------


def test_an_approved_intent_is_journalled_sent_once_accepted_and_filled() -> None:
    with linked() as play:
        play >> approved() << status("sending", attempt=1, approval=approved(), intent=ENTRY) << VenueSubmit
        play >> report(ENTRY.id, "accept", venue_id="v7") << status("accepted", venue_id="v7")
        play >> told(ENTRY.id, 60, key="a") << Fill << status("partially_filled", filled=D(60))
        play << Account << Position("SPY", D(60), D(100)) << "view/account"
        play >> told(ENTRY.id, 40, price="110", key="b") << Fill
        (
            play
            << status("filled", filled=D(100), average_price=D(104))
            << Account
            << Position("SPY", D(100), D(104))
            << Account
        )
    assert core_of(play).ledger.account[""].cash == D(100_000) - 60 * 100 - 40 * 110 - 2


def test_the_order_of_journal_and_send_is_the_order_of_the_outputs() -> None:
    with linked() as play:
        play >> approved() << "gateway/orders" << "venue/requests"


def test_a_duplicate_approval_is_answered_and_not_sent_again() -> None:
    with linked() as play:
        play >> approved() << status("sending") << VenueSubmit >> approved() << status("sending")
        play >> report(ENTRY.id, "accept") << status("accepted") >> approved() << status("accepted")


def test_the_same_id_with_other_content_blocks_the_symbol_and_is_not_sent() -> None:
    with linked() as play:
        play >> approved() << status("sending") << VenueSubmit
        play >> approved(replace(ENTRY, quantity=D(7))) << blocked << "view/latch"
        play >> approved(intent(id="trend-1-3")) << status("denied", code="SYMBOL_HALTED")


def test_a_fill_that_overtakes_the_acceptance_fills() -> None:
    with linked() as play:
        play >> approved() << ... >> told(ENTRY.id, 100) << Fill << status("filled") << ...
        play >> report(ENTRY.id, "accept")


def test_a_fill_told_twice_is_booked_once() -> None:
    with linked() as play:
        play >> approved() >> told(ENTRY.id, 100) << ... >> told(ENTRY.id, 100)
        play >> Wakeup() << ...
    assert core_of(play).ledger.position("SPY") == 100


def test_a_fill_after_a_cancel_is_booked() -> None:
    with linked() as play:
        play >> approved() >> report(ENTRY.id, "accept") >> report(ENTRY.id, "cancel") << ...
        (
            play
            >> told(ENTRY.id, 40, key="a")
            << Fill
            << status("canceled", filled=D(40))
            << Account
            << Position
            << Account
        )
        play >> told(ENTRY.id, 60, key="b") << Fill << status("filled", filled=D(100)) << Account << Position << Account


@pytest.mark.parametrize("after", ["reject", "fill"])
def test_a_fill_that_cannot_be_is_booked_and_blocks_the_symbol(after: str) -> None:
    with linked() as play:
        play >> approved() << ...
        play >> (told(ENTRY.id, 100) if after == "fill" else report(ENTRY.id, "reject")) << ...
        (
            play
            >> told(ENTRY.id, 5, key="late")
            << Fill
            << Order
            << Account
            << Position
            << Account
            << blocked
            << "view/latch"
        )
    assert core_of(play).ledger.position("SPY") == (105 if after == "fill" else 5)


def test_an_overfill_is_booked_and_blocks_the_symbol() -> None:
    with linked() as play:
        play >> approved() << ... >> told(ENTRY.id, 120) << Fill << status("filled", filled=D(120))
        play << Account << Position << Account << blocked << "view/latch"


def test_what_is_not_ours_is_left_alone() -> None:
    with linked() as play:
        play >> report("somebody", "fill") >> report("somebody", "absent")


def test_a_rejection_is_terminal_and_carries_the_venues_words() -> None:
    with linked() as play:
        play >> approved() << ... >> report(ENTRY.id, "reject", text="no shares to borrow")
        play << status("rejected", text="no shares to borrow")


# --- the last hop ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "approval",
    [
        approved(intent(decided=moment(boot="boot-0"))),
        approved(intent(), at=moment(boot="boot-0")),
        approved(intent(), valid=SECOND - 1),
        approved(intent(valid=SECOND - 1)),
    ],
)
def test_an_approval_that_is_late_or_of_another_boot_is_not_sent(approval: Approved) -> None:
    with linked().later(1) as play:
        play >> approval << status("denied", code="EXPIRED", attempt=0)


def test_an_approval_is_good_to_the_last_nanosecond() -> None:
    with linked().later(1) as play:
        play >> approved(valid=SECOND) << status("sending") << VenueSubmit


@pytest.mark.parametrize(
    ("verb", "code"), [(Verb.HALT, "HALTED"), (Verb.REDUCE, "REDUCING"), (Verb.FLATTEN, "REDUCING")]
)
def test_a_lowered_latch_denies_new_risk_at_the_last_hop(verb: Verb, code: str) -> None:
    with linked() as play:
        play >> command(verb) << ... >> approved() << status("denied", code=code)


def test_reductions_pass_when_reducing_and_the_guards_own_exits_when_halted() -> None:
    with linked() as play:
        entered(play)
        (
            play
            >> command(Verb.REDUCE)
            << ...
            >> approved(replace(EXIT, quantity=D(40)))
            << status("sending")
            << VenueSubmit
        )
        (
            play
            >> command(Verb.HALT, "c2")
            << ...
            >> approved(replace(EXIT, id="trend-1-8"))
            << status("denied", code="HALTED")
        )
        own = replace(EXIT, id="guard-1-1", quantity=D(60))
        play >> approved(own) << status("sending") << VenueSubmit


def test_an_exit_of_the_guard_without_a_position_is_denied() -> None:
    with linked() as play:
        play >> approved(replace(EXIT, id="guard-1-1")) << status("denied", code="NOTHING_TO_REDUCE")


def test_a_silent_guard_and_an_inhibit_deny_new_risk_and_clear_themselves() -> None:
    with linked() as play:
        play >> Peer("guard", False) >> approved() << status("denied", code="GUARD_SILENT") >> Peer("guard", True)
        (
            play
            >> Inhibit("BUS_LOST", True, "gone")
            >> approved(intent(id="trend-1-3"))
            << status("denied", code="BUS_LOST")
        )
        play >> Inhibit("BUS_LOST", False) >> approved(intent(id="trend-1-4")) << status("sending") << VenueSubmit


# --- no answer ------------------------------------------------------------------------------------


def unknown(traits: VenueTraits, **wanted: Any) -> Playbook:
    """An order was sent and nobody answered."""
    play = linked(traits)
    play >> approved(intent(**wanted)) << status("sending") << VenueSubmit
    play >> report(ENTRY.id, "lose") << status("unknown") << VenueAsk(ENTRY.id)
    return play


def test_no_answer_is_unknown_asked_about_and_blocks_new_risk_on_its_symbol() -> None:
    with unknown(PAPER) as play:
        play >> approved(intent(id="trend-1-3")) << status("denied", code="UNKNOWN_ORDER")
        play >> approved(intent(id="trend-1-4", symbol="QQQ")) << status("sending") << VenueSubmit
        play >> report(ENTRY.id, "accept") << status("accepted")
        play >> approved(intent(id="trend-1-5")) << status("sending") << VenueSubmit


def test_it_is_asked_again_until_the_venue_answers() -> None:
    with unknown(PAPER) as play:
        assert play.core.deadline() == play.now.ticks + PAPER.ask_every
        play.later(2) >> Wakeup() << VenueAsk(ENTRY.id) >> report(ENTRY.id, "lose")
        play.later(2) >> Wakeup() << VenueAsk(ENTRY.id) >> report(ENTRY.id, "reject") << status("rejected")
        play.later(2) >> Wakeup()


def test_absent_where_that_is_final_is_sent_again_under_the_same_id() -> None:
    with unknown(PAPER) as play:
        play >> report(ENTRY.id, "absent") << status("sending", id=ENTRY.id, attempt=2) << submits(ENTRY.id, 100)


def test_absent_once_is_too_early_and_two_must_lie_apart() -> None:
    with unknown(ALPACA) as play:
        play >> report(ENTRY.id, "absent")
        play.later(1.9) >> report(ENTRY.id, "absent")
        play.later(2) >> Wakeup() << VenueAsk(ENTRY.id)
        play >> report(ENTRY.id, "absent") << status("sending", attempt=2) << submits(ENTRY.id, 100)


def test_where_duplicates_are_taken_the_id_is_burnt() -> None:
    with unknown(IBKR) as play:
        play >> report(ENTRY.id, "absent")
        play.later(2) >> report(ENTRY.id, "absent") << status("not_placed")


@pytest.mark.parametrize("why", ["expired", "halted", "reducing"])
def test_what_may_no_longer_be_sent_is_not_sent_again(why: str) -> None:
    with unknown(PAPER, valid=10 * SECOND) as play:
        if why == "expired":
            play.later(11)
        else:
            play >> command(Verb.HALT if why == "halted" else Verb.REDUCE) << ...
        play >> report(ENTRY.id, "absent") << status("not_placed")


def test_what_the_owner_cancelled_while_it_was_in_doubt_is_not_sent_again() -> None:
    with unknown(PAPER) as play:
        play >> command(Verb.CANCEL_ALL) << cancels(ENTRY.id) << CommandResult
        play >> report(ENTRY.id, "absent") << status("not_placed")


@pytest.mark.parametrize("late", [told(ENTRY.id, 100), report(ENTRY.id, "accept")])
def test_a_late_word_of_an_order_that_was_never_there_is_adopted_and_blocks(late: Any) -> None:
    with unknown(IBKR) as play:
        play >> report(ENTRY.id, "absent")
        play.later(2) >> report(ENTRY.id, "absent") << status("not_placed") >> late
        said = play.heard(Latch)
        assert said[0].blocked
        assert core_of(play).ledger.orders[ENTRY.id].status in (OrderStatus.FILLED, OrderStatus.ACCEPTED)


def test_a_snapshot_that_shows_a_burnt_order_open_adopts_it_and_blocks() -> None:
    with unknown(IBKR) as play:
        play >> report(ENTRY.id, "absent")
        play.later(2) >> report(ENTRY.id, "absent") << status("not_placed")
        play.later(30) >> Wakeup() << VenueLook
        play >> snapshot(2, open=(ENTRY.id,)) << status("accepted") << blocked << "view/latch" << cancels(ENTRY.id)
        play << cancels(ENTRY.id)  # it is open and must go


def test_an_accepted_order_the_venue_no_longer_knows_is_over_and_blocks_its_symbol() -> None:
    with linked() as play:
        play >> approved() >> report(ENTRY.id, "accept") << ... >> report(ENTRY.id, "absent")
        play << status("canceled", text="the venue no longer knows it") << blocked << "view/latch"


def test_an_order_for_the_day_that_nobody_knows_the_day_after_has_expired() -> None:
    with linked() as play:
        play >> approved() >> report(ENTRY.id, "accept") << ...
        play.later(16 * 3_600) >> report(ENTRY.id, "absent") << status("expired")


def test_an_order_that_is_over_in_our_books_and_works_at_the_venue_must_go() -> None:
    with linked() as play:
        play >> approved() >> report(ENTRY.id, "accept") >> report(ENTRY.id, "cancel") << ...
        play.later(30) >> Wakeup() << VenueLook >> snapshot(2, open=(ENTRY.id,))  # it may have ended since
        play.later(30) >> Wakeup() << VenueLook >> snapshot(3, open=(ENTRY.id,)) << cancels(ENTRY.id) << blocked
        play << "view/latch"
        play.later(30) >> Wakeup() << VenueLook >> snapshot(4)


# --- startup --------------------------------------------------------------------------------------


def restarted(play: Playbook, traits: VenueTraits = PAPER) -> Playbook:
    after = Playbook(again(play.core, gateway(traits)))
    after.now = play.now
    return after


def test_decisions_wait_until_the_venue_has_been_looked_at() -> None:
    play = Playbook(gateway())
    assert not play.core.accepts("guard/decisions")
    with play:
        play >> VenueLink(True) << VenueLook
        assert not play.core.recovered()
        play >> snapshot(1) << Account << "view/account"
        assert play.core.recovered()
        assert play.core.accepts("guard/decisions")
        play >> VenueLink(False) << notice("VENUE_DOWN")
        assert not play.core.accepts("guard/decisions")


def test_a_snapshot_that_was_not_asked_for_is_not_taken() -> None:
    with Playbook(gateway()) as play:
        play >> VenueLink(True) << VenueLook >> snapshot(7)
        assert not play.core.recovered()


def test_a_look_without_an_answer_is_taken_again() -> None:
    with Playbook(gateway()) as play:
        play >> VenueLink(True) << VenueLook
        assert play.core.deadline() is not None
        play.later(5) >> Wakeup() << VenueLook >> snapshot(1) >> snapshot(2) << ...
        assert play.core.recovered()


def test_an_order_that_may_never_have_left_is_asked_about_before_anything_else() -> None:
    play = linked()
    play >> approved() << ...
    with restarted(play) as after:
        after >> VenueLink(True) << VenueLook >> snapshot(1) << VenueAsk(ENTRY.id)
        assert not after.core.recovered()
        after >> report(ENTRY.id, "absent") << status("unknown") << status("sending", attempt=2) << VenueSubmit
        assert after.core.recovered()


def test_after_another_boot_it_is_not_sent_again() -> None:
    play = linked()
    play >> approved() << ...
    after = Playbook(again(play.core, gateway()), boot="boot-2")
    with after:
        after >> VenueLink(True) >> snapshot(1) << VenueLook << VenueAsk(ENTRY.id)
        after >> report(ENTRY.id, "absent") << status("unknown") << status("not_placed")


def test_an_order_found_open_is_accepted_and_a_fill_from_the_snapshot_is_booked() -> None:
    play = linked()
    play >> approved() >> approved(intent(id="trend-1-3", symbol="QQQ")) << ...
    with restarted(play) as after:
        seen = snapshot(1, open=("trend-1-3",), fills=(told(ENTRY.id, 100),), positions={"SPY": D(100)}, cash=D(89_999))
        after >> VenueLink(True) << VenueLook >> seen << Fill << status("filled") << Account << Position << Account
        after << status("accepted", id="trend-1-3")
        assert after.core.recovered()


def test_an_answer_lost_while_the_link_fell_does_not_keep_it_unready_for_ever() -> None:
    play = linked()
    play >> approved() << ...
    with restarted(play) as after:
        after >> VenueLink(True) >> snapshot(1) << VenueLook << VenueAsk(ENTRY.id)
        after >> VenueLink(False) >> VenueLink(True) << notice("VENUE_DOWN") << notice("VENUE_DOWN", False) << VenueLook
        seen = snapshot(2, fills=(told(ENTRY.id, 100),), positions={"SPY": D(100)}, cash=D(89_999))
        after >> seen << ...
        assert after.core.recovered()


def test_a_fill_told_while_it_is_asked_about_is_an_answer() -> None:
    play = linked()
    play >> approved() << ...
    with restarted(play) as after:
        after >> VenueLink(True) >> snapshot(1) << ... >> told(ENTRY.id, 100) << ...
        assert after.core.recovered()


def test_what_was_there_before_us_is_the_baseline_and_explained() -> None:
    with linked(positions={"SPY": D(7)}) as play:
        entered(play)
        play.later(30) >> Wakeup() << VenueLook
        play >> snapshot(2, fills=(told(ENTRY.id, 100),), positions={"SPY": D(107)}, cash=D(89_999))
        assert core_of(play).ledger.blocked == {}


def test_a_difference_nobody_can_explain_blocks_its_symbol_and_trades_nothing() -> None:
    with linked() as play:
        play.later(30) >> Wakeup() << VenueLook >> snapshot(2, positions={"SPY": D(5)}) << blocked << "view/latch"
        play >> approved() << status("denied", code="SYMBOL_HALTED")
        play >> approved(intent(id="trend-1-3", symbol="QQQ")) << status("sending") << VenueSubmit


def test_cash_follows_the_venue() -> None:
    with linked() as play:
        play.later(30) >> Wakeup() << VenueLook
        play >> snapshot(2, cash=D(5)) << notice("CASH_DIFFERS") << (lambda said: said.cash == 5) << "view/account"


# --- exits and protective stops -------------------------------------------------------------------

STOP = f"{ENTRY.id}-s100"


def test_a_protective_stop_rests_for_each_fill() -> None:
    with linked() as play:
        play >> approved(intent(stop=D(90))) << ...
        play >> told(ENTRY.id, 60, key="a") << Fill << Order << Account << Position << Account
        play << status("sending", id=f"{ENTRY.id}-s60", side=Side.SELL, type=OrderType.STOP, stop_price=D(90))
        play << submits(f"{ENTRY.id}-s60", 60)
        play >> told(ENTRY.id, 40, key="b") << Fill << Order << Account << Position << Account
        play << status("sending", id=STOP, protects=ENTRY.id) << submits(STOP, 40)


def test_an_exit_cancels_the_resting_stop_awaits_its_end_and_then_goes() -> None:
    with linked() as play:
        entered(play, stop="90")
        play >> approved(EXIT) << status("waiting") << cancels(STOP)
        play >> report(STOP, "cancel") << status("canceled", id=STOP)
        play << status("sending", id=EXIT.id, quantity=D(100)) << submits(EXIT.id, 100)


def test_an_exit_asks_for_no_more_than_remains() -> None:
    with linked() as play:
        entered(play, stop="90")
        play >> approved(EXIT) << status("waiting") << cancels(STOP)
        play >> told(STOP, 30, Side.SELL, "90") << ...
        play >> report(STOP, "cancel") << status("canceled", id=STOP)
        play << status("sending", quantity=D(70)) << submits(EXIT.id, 70)


def test_a_stop_that_fills_while_the_exit_waits_leaves_nothing() -> None:
    with linked() as play:
        entered(play, stop="90")
        play >> approved(EXIT) << status("waiting") << cancels(STOP)
        play >> told(STOP, 100, Side.SELL, "90") << Fill << status("filled", id=STOP) << Account << Position << Account
        play << status("denied", id=EXIT.id, code="NOTHING_LEFT")


def test_a_cancel_that_is_not_answered_is_asked_for_again() -> None:
    with linked() as play:
        entered(play, stop="90")
        play >> approved(EXIT) << status("waiting") << cancels(STOP)
        play.later(2) >> Wakeup() << cancels(STOP)
        play >> report(STOP, "cancel") << status("canceled") << status("sending") << VenueSubmit


def test_a_stop_that_was_never_there_is_not_sent_again_while_an_exit_waits_for_its_end() -> None:
    with linked() as play:
        play >> approved(intent(stop=D(90))) >> told(ENTRY.id, 100) >> report(STOP, "lose") << ...
        play >> approved(EXIT) << status("waiting") << cancels(STOP)
        play >> report(STOP, "absent") << status("not_placed", id=STOP)
        play << status("sending", id=EXIT.id) << submits(EXIT.id, 100)


def test_a_waiting_exit_goes_on_after_a_restart() -> None:
    play = linked()
    entered(play, stop="90")
    play >> approved(EXIT) << ...
    with restarted(play) as after:
        seen = snapshot(1, open=(STOP,), fills=(told(ENTRY.id, 100),), positions={"SPY": D(100)}, cash=D(89_999))
        after >> VenueLink(True) << VenueLook >> seen << cancels(STOP)
        after >> report(STOP, "cancel") << status("canceled") << status("sending") << submits(EXIT.id, 100)


def test_what_a_partial_exit_leaves_is_protected_again() -> None:
    with linked() as play:
        entered(play, stop="90")
        part = replace(EXIT, quantity=D(40))
        play >> approved(part) >> report(STOP, "cancel") << status("waiting") << cancels(STOP) << Order
        play << status("sending", id=part.id) << submits(part.id, 40)
        play << status("sending", quantity=D(60), stop_price=D(90), side=Side.SELL) << submits(f"{part.id}-s0", 60)
        play >> told(part.id, 40, Side.SELL) << Fill << status("filled") << Account << Position << Account


def test_a_rejected_exit_leaves_the_position_protected_again() -> None:
    with linked() as play:
        entered(play, stop="90")
        play >> approved(EXIT) >> report(STOP, "cancel") << ... >> report(EXIT.id, "reject") << status("rejected")
        play << status("sending", quantity=D(100), stop_price=D(90)) << VenueSubmit


def test_protection_and_the_exits_that_still_work_never_exceed_what_is_held() -> None:
    with linked() as play:
        entered(play, stop="90")
        first, second = replace(EXIT, quantity=D(40)), replace(EXIT, id="trend-1-3", quantity=D(60))
        play >> approved(first) >> approved(second) >> report(STOP, "cancel") << ...
        play >> told(first.id, 40, Side.SELL) << Fill << status("filled") << Account << Position << Account
        live = [order for order in core_of(play).ledger.live() if order.side is Side.SELL]
        assert sum(order.remaining for order in live) <= 60


def test_a_position_the_stop_has_closed_leaves_no_stop_price_behind() -> None:
    with linked() as play:
        entered(play, stop="90")
        play >> told(STOP, 100, Side.SELL, "90") << ...
        later = intent(id="trend-1-5")
        play >> approved(later) >> told(later.id, 100) << ...
        part = replace(EXIT, quantity=D(40))
        play >> approved(part) << status("sending") << VenueSubmit
        play >> told(part.id, 40, Side.SELL) << Fill << status("filled") << Account << Position << Account


# --- the owner ------------------------------------------------------------------------------------


def test_a_halt_cancels_entries_spares_stops_and_is_acknowledged_after_the_latch() -> None:
    with linked() as play:
        entered(play, stop="90")
        play >> approved(intent(id="trend-1-3")) << ...
        (
            play
            >> command(Verb.HALT, reason="smoke")
            << (lambda said: said.state is LatchState.HALTED and said.why == "smoke")
        )
        play << "view/latch" << cancels("trend-1-3") << (lambda said: said.done and "generation 1" in said.text)


def test_a_halt_of_everything_cancels_the_stops_too() -> None:
    with linked() as play:
        entered(play, stop="90")
        play >> command(Verb.HALT, everything=True) << Latch << Latch << cancels(STOP) << CommandResult


def test_a_cancel_of_the_owner_is_asked_for_again_until_the_order_has_ended() -> None:
    with linked() as play:
        play >> approved() >> report(ENTRY.id, "accept") << ...
        play >> command(Verb.CANCEL_ALL) << cancels(ENTRY.id) << CommandResult
        play.later(2) >> Wakeup() << cancels(ENTRY.id)
        play.later(2) >> Wakeup() << cancels(ENTRY.id) >> report(ENTRY.id, "cancel") << status("canceled")
        play.later(2) >> Wakeup()


def test_cancel_all_changes_no_state() -> None:
    with linked() as play:
        play >> command(Verb.CANCEL_ALL) << (lambda said: said.text == "0 cancels sent")
        play >> approved() << status("sending") << VenueSubmit


def test_a_halt_while_an_exit_of_a_strategy_waits_keeps_it_back_and_protects_again() -> None:
    with linked() as play:
        entered(play, stop="90")
        play >> approved(EXIT) << status("waiting") << cancels(STOP) >> command(Verb.HALT) << ...
        play >> report(STOP, "cancel") << status("canceled", id=STOP) << status("denied", id=EXIT.id, code="HALTED")
        play << status("sending", quantity=D(100), stop_price=D(90)) << VenueSubmit


def test_a_command_is_acted_on_once_and_answered_as_often_as_it_is_asked() -> None:
    with linked() as play:
        play >> command(Verb.HALT) << Latch << Latch << CommandResult >> command(Verb.HALT) << CommandResult


def test_a_command_that_is_late_is_void() -> None:
    with linked() as play:
        play.later(1) >> command(Verb.HALT, expires=BEGIN) << (lambda said: not said.done and "expired" in said.text)
        play >> approved() << status("sending") << VenueSubmit


def test_only_who_names_the_generation_he_saw_resumes() -> None:
    with linked() as play:
        play >> command(Verb.HALT) << ...
        play >> command(Verb.RESUME, "c2", generation=0) << (lambda said: not said.done and "generation 1" in said.text)
        play >> approved() << status("denied", code="HALTED")
        (
            play
            >> command(Verb.RESUME, "c3", generation=1)
            << (lambda said: said.state is LatchState.ACTIVE)
            << "view/latch"
        )
        play << (lambda said: said.done) >> approved(intent(id="trend-1-3")) << status("sending") << VenueSubmit


def test_resume_releases_blocked_symbols_of_an_active_latch_as_well() -> None:
    with linked() as play:
        play.later(30) >> Wakeup() >> snapshot(2, positions={"SPY": D(5)}) << ...
        (
            play
            >> command(Verb.RESUME, generation=0)
            << (lambda said: not said.blocked)
            << "view/latch"
            << (lambda said: said.done)
        )
        play >> approved() << status("sending") << VenueSubmit


def test_the_latch_outlives_a_restart() -> None:
    play = linked()
    play >> command(Verb.HALT) << ...
    with linked(core=again(play.core, gateway())) as after:  # type: ignore[arg-type]
        after >> approved() << status("denied", code="HALTED")


def test_a_latch_file_halts_cancels_and_stays_when_it_is_gone() -> None:
    with linked() as play:
        (
            play
            >> approved()
            << ...
            >> LatchFile(LatchState.HALTED, "panic")
            << (lambda said: said.by == "file")
            << "view/latch"
        )
        play << cancels(ENTRY.id) >> command(Verb.RESUME, generation=1) << (lambda said: not said.done)
        play >> LatchFile(LatchState.ACTIVE) >> approved(intent(id="trend-1-3")) << status("denied", code="HALTED")
        play >> command(Verb.RESUME, "c2", generation=1) << Latch << Latch << (lambda said: said.done)


def test_flatten_lowers_to_reducing_and_never_raises() -> None:
    with linked() as play:
        (
            play
            >> command(Verb.FLATTEN)
            << (lambda said: said.state is LatchState.REDUCING)
            << "view/latch"
            << CommandResult
        )
        play >> command(Verb.HALT, "c2") << ... >> command(Verb.FLATTEN, "c3") << (lambda said: "halted" in said.text)


def test_an_order_message_set_aside_anywhere_halts_once() -> None:
    with linked() as play:
        play >> Peer("guard", True, poisoned=1) << (lambda said: said.state is LatchState.HALTED) << "view/latch"
        play >> Peer("guard", True, poisoned=1)


def test_a_consumer_below_retention_gets_the_live_orders() -> None:
    with linked() as play:
        entered(play, stop="90")
    assert [event.body.id for event in play.core.compact("gateway/orders")] == [STOP]


def test_a_report_that_cannot_be_blocks_and_changes_nothing() -> None:
    with linked() as play:
        entered(play, stop="90")
        (
            play
            >> approved(EXIT)
            << ...
            >> VenueReport(EXIT.id, report("x", "accept").event, BEGIN)
            << blocked
            << "view/latch"
        )
    assert core_of(play).ledger.orders[EXIT.id].status is OrderStatus.WAITING
