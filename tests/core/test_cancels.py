"""A strategy's cancel: always passed by the guard, in its order; acted on by the gateway for its own orders only."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from appliance.core.guard import GuardCore
from appliance.core.limits import LimitValues, rules
from appliance.domain.messages import Stage, Step, VenueAsk, VenueLink, VenueLook, VenueSubmit
from appliance.domain.operations import Latch, LatchState, Peer, Wakeup
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Account, Approved, Cancel, OrderType, Side
from tests.core.make import again, approved, bar, cancel, fill, intent, order, report, snapshot, status, told, writers
from tests.core.test_brackets import PROFIT, bracketed, covered
from tests.core.test_gateway import ENTRY, EXIT, IBKR, STOP, cancels, core_of, linked, restarted
from tests.playbook import BEGIN, SECOND, Playbook

D = Decimal
REST = intent(type=OrderType.LIMIT, limit_price=D(90))


def resting(play: Playbook) -> Playbook:
    """An entry that rests in the market."""
    return play >> approved(REST) >> report(REST.id, "accept") << ...


# --- the gateway ----------------------------------------------------------------------------------


def test_a_working_order_is_cancelled_until_it_has_ended() -> None:
    with resting(linked()) as play:
        play >> cancel() << cancels(REST.id)
        play.later(2) >> Wakeup() << cancels(REST.id)
        play >> report(REST.id, "cancel") << status("canceled", id=REST.id)
        play.later(2) >> Wakeup()


def test_an_order_that_fills_before_its_cancel_arrives_is_filled() -> None:
    with resting(linked()) as play:
        play >> cancel() << cancels(REST.id) >> told(REST.id, 100) << ...
        assert core_of(play).ledger.orders[REST.id].status is OrderStatus.FILLED
        play.later(2) >> Wakeup()


@pytest.mark.parametrize(
    "wanted", [cancel(strategy="mean"), cancel("trend-1-99"), cancel("nobody-1-1"), cancel("trend-1-1", strategy="")]
)
def test_the_order_of_another_strategy_and_one_that_is_not_known_are_left_alone(wanted: Cancel) -> None:
    with resting(linked()) as play:
        play >> wanted
        play.later(2) >> Wakeup()


def test_an_order_that_has_ended_is_left_alone() -> None:
    with resting(linked()) as play:
        play >> report(REST.id, "expire") << status("expired") >> cancel()


def test_an_order_in_doubt_that_is_cancelled_is_not_sent_again() -> None:
    with linked() as play:
        play >> approved() >> report(ENTRY.id, "lose") << ... >> cancel() << cancels(ENTRY.id)
        play >> report(ENTRY.id, "absent") << status("not_placed", id=ENTRY.id)


def test_a_cancel_outlives_a_restart() -> None:
    play = resting(linked())
    play >> cancel() << cancels(REST.id)
    with restarted(play) as after:
        after >> VenueLink(True) << VenueLook >> snapshot(1, open=(REST.id,)) << cancels(REST.id)
        after >> report(REST.id, "cancel") << status("canceled", id=REST.id)


def test_a_waiting_exit_that_is_taken_back_is_denied_and_what_it_cancelled_comes_back() -> None:
    with bracketed(linked()) as play:
        play >> approved(EXIT) << ... >> cancel(EXIT.id) << status("denied", id=EXIT.id, code="CANCELED")
        play >> report(STOP, "cancel") << status("canceled") >> report(PROFIT, "cancel") << status("canceled")
        play << status("sending", stop_price=D(90)) << VenueSubmit << status("sending", limit_price=D(120))
        play << VenueSubmit
        assert covered(play) == -100


def test_a_waiting_entry_that_is_taken_back_is_denied_and_the_exit_before_it_goes_on() -> None:
    short = intent(id="trend-1-4", side=Side.SELL)
    with bracketed(linked()) as play:
        play >> approved(EXIT) >> approved(short) << ... >> cancel(short.id)
        play << status("denied", id=short.id, code="CANCELED")
        play >> report(STOP, "cancel") >> report(PROFIT, "cancel") << status("canceled") << status("canceled")
        play << status("sending", id=EXIT.id) << VenueSubmit


def test_a_resting_exit_that_is_cancelled_brings_the_protection_back() -> None:
    out = replace(EXIT, type=OrderType.LIMIT, limit_price=D(130))
    with bracketed(linked()) as play:
        play >> approved(out) >> report(STOP, "cancel") >> report(PROFIT, "cancel") >> report(out.id, "accept") << ...
        play >> cancel(out.id) << cancels(out.id) >> report(out.id, "cancel") << ...
        assert covered(play) == -100


@pytest.mark.parametrize(("gone", "stays"), [(STOP, PROFIT), (PROFIT, STOP)])
def test_a_protective_order_its_strategy_cancels_goes_alone_and_is_not_placed_again(gone: str, stays: str) -> None:
    part = replace(EXIT, quantity=D(40))
    with bracketed(linked()) as play:
        play >> cancel(gone) << cancels(gone) >> report(gone, "cancel") << status("canceled", id=gone)
        play >> approved(part) << status("waiting") << cancels(stays) >> report(stays, "cancel") << ...
        play >> told(part.id, 40, Side.SELL) << ...
        kinds = [each.type for each in core_of(play).ledger.protective("trend", "SPY")]
        assert kinds == [OrderType.LIMIT if gone == STOP else OrderType.STOP]


def test_a_protective_order_that_was_never_there_and_is_not_wanted_is_not_placed_anew() -> None:
    with linked(IBKR) as play:
        play >> approved(intent(stop=D(90))) >> told(ENTRY.id, 100) >> report(STOP, "lose") << ...
        play >> cancel(STOP) << cancels(STOP) >> report(STOP, "absent")
        play.later(2) >> Wakeup() << cancels(STOP) << VenueAsk(STOP)
        play >> report(STOP, "absent") << status("not_placed", id=STOP)


# --- the guard ------------------------------------------------------------------------------------


def guarded() -> Playbook:
    return Playbook(GuardCore("guard", writers("guard"), rules(LimitValues()))).later(60)


@pytest.mark.parametrize("state", LatchState)
def test_a_cancel_passes_in_every_state_without_a_price_an_account_or_a_gateway(state: LatchState) -> None:
    with guarded() as play:
        play >> Latch(state, 1) >> Peer("gateway", False) >> cancel(valid=0) << cancel(valid=0)


def test_staged_cancels_are_taken_in_their_round_after_the_intents_of_their_counter() -> None:
    with guarded() as play:
        play >> bar() >> Account(D(100_000))
        for strategy, counter in (("b", 1), ("a", 2), ("a", 1)):
            name = f"{strategy}{counter}"
            play >> cancel(f"x-{name}", id=f"c-{name}", strategy=strategy, counter=counter, staged=True)
            play >> intent(id=f"i-{name}", strategy=strategy, counter=counter, staged=True, quantity=D(1))
        assert play.core.held() == 6
        play >> Step(Stage.HOSTS, play.now.time) >> Step(Stage.TAKE, play.now.time)
        said = [event.body for event in play.unread]
        play << ...
        names = [body.id if isinstance(body, Cancel) else body.intent.id for body in said]
        assert names == ["i-a1", "c-a1", "i-a2", "c-a2", "i-b1", "c-b1"]
        assert play.core.held() == 0


def test_a_staged_cancel_outlives_a_restart() -> None:
    play = guarded() >> cancel(staged=True)
    fresh = GuardCore("guard", writers("guard"), rules(LimitValues()))
    with Playbook(again(play.core, fresh)) as after:
        assert after.core.held() == 1
        after >> Step(Stage.TAKE, after.now.time) << Cancel


@pytest.mark.parametrize(
    ("gone", "kind", "watched"),
    [("s", OrderType.STOP, False), ("t", OrderType.LIMIT, True), ("s2", OrderType.STOP, True)],
)
def test_the_guard_watches_a_stop_no_longer_whose_strategy_cancels_it(
    gone: str, kind: OrderType, watched: bool
) -> None:
    """Unless another stop of the position still rests."""
    with guarded() as play:
        sent = order(intent(stop=D(90)), OrderStatus.SENDING)
        play >> sent >> fill(sent) >> replace(sent, status=OrderStatus.FILLED, filled=D(100))
        names = [("s", OrderType.STOP), ("t", OrderType.LIMIT), *([("s2", OrderType.STOP)] if gone == "s2" else [])]
        for name, each in names:
            play >> order(sent.intent, id=name, side=Side.SELL, protects=sent.id, type=each)
        play >> cancel(gone) << Cancel >> bar(80, BEGIN + 60 * SECOND)
        assert kind in OrderType
        if watched:
            play << Approved


def test_a_cancel_of_another_strategy_does_not_take_the_guards_eye_from_a_stop() -> None:
    with guarded() as play:
        sent = order(intent(stop=D(90)), OrderStatus.SENDING)
        play >> sent >> fill(sent) >> replace(sent, status=OrderStatus.FILLED, filled=D(100))
        play >> order(sent.intent, id="s", side=Side.SELL, protects=sent.id, type=OrderType.STOP)
        play >> cancel("s", strategy="mean") << Cancel >> bar(80, BEGIN + 60 * SECOND) << Approved
