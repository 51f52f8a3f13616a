"""Protective orders: a stop and a take-profit are one group, and never sell a position twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.domain.messages import VenueAsk, VenueLink, VenueLook, VenueSubmit
from appliance.domain.operations import CommandResult, Latch, Verb, Wakeup
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Account, Fill, Order, OrderType, Position, Side, TimeInForce, Trail
from appliance.domain.venue import VenueTraits
from tests.core.make import again, approved, cancel, command, intent, report, snapshot, status, told
from tests.core.test_gateway import ENTRY, EXIT, IBKR, STOP, cancels, core_of, gateway, linked, restarted, submits
from tests.playbook import Playbook

D = Decimal
PROFIT = f"{ENTRY.id}-t100"
FIVE = Trail(D(5))
BOOKED = (Account, Position, Account)


def bracketed(play: Playbook, quantity: int = 100, **given: Any) -> Playbook:
    """100 shares bought, a stop at 90 and a take-profit at 120 rest behind them."""
    wanted = intent(**{"quantity": D(quantity), "stop": D(90), "take_profit": D(120), **given})
    play >> approved(wanted) >> report(wanted.id, "accept") >> told(wanted.id, quantity)
    play >> report(STOP, "accept") >> report(PROFIT, "accept") << ...
    return play


def covered(play: Playbook) -> Decimal:
    return core_of(play).ledger.covered("trend", "SPY")


def status_of(play: Playbook, order_id: str) -> OrderStatus:
    return core_of(play).ledger.orders[order_id].status


def followed(play: Playbook, *expected: Any) -> Playbook:
    """A fill was booked, and this followed."""
    play << Fill << Order
    for each in (*BOOKED, *expected):
        play << each
    return play


def test_a_filled_entry_is_protected_by_a_stop_and_a_take_profit_of_one_group() -> None:
    with linked() as play:
        play >> approved(intent(stop=D(90), take_profit=D(120))) << ... >> told(ENTRY.id, 100)
        play << Fill << Order << Account << Position << Account
        both: dict[str, Any] = {
            "side": Side.SELL, "oco": STOP, "protects": ENTRY.id, "quantity": D(100), "time_in_force": TimeInForce.GTC,
        }  # fmt: skip
        play << status("sending", id=STOP, type=OrderType.STOP, stop_price=D(90), limit_price=None, **both)
        play << submits(STOP, 100)
        play << status("sending", id=PROFIT, type=OrderType.LIMIT, limit_price=D(120), stop_price=None, **both)
        play << submits(PROFIT, 100)
        assert covered(play) == -100


@pytest.mark.parametrize(
    ("wished", "legs"),
    [
        ({"stop": D(90)}, [(OrderType.STOP, D(90), None, None)]),
        ({"take_profit": D(120)}, [(OrderType.LIMIT, None, D(120), None)]),
        ({"trailing": FIVE}, [(OrderType.TRAILING_STOP, None, None, FIVE)]),
        ({"trailing": FIVE, "stop": D(90)}, [(OrderType.TRAILING_STOP, D(90), None, FIVE)]),
        (
            {"trailing": FIVE, "take_profit": D(120)},
            [(OrderType.TRAILING_STOP, None, None, FIVE), (OrderType.LIMIT, None, D(120), None)],
        ),
    ],
)
def test_what_rests_is_what_was_wished(wished: dict[str, Any], legs: list[tuple[Any, ...]]) -> None:
    with linked() as play:
        play >> approved(intent(**wished)) << ... >> told(ENTRY.id, 100)
        sent = [said.order for said in play.heard(VenueSubmit)]
        assert [(leg.type, leg.stop_price, leg.limit_price, leg.trail) for leg in sent] == legs
        assert len({leg.oco for leg in sent}) == 1
        assert bool(sent[0].oco) == (len(legs) == 2)


def test_a_venue_without_groups_gets_the_stop_alone_and_its_text_says_so() -> None:
    with linked(VenueTraits(oco=False)) as play:
        play >> approved(intent(stop=D(90), take_profit=D(120))) << ... >> told(ENTRY.id, 100) << Fill << Order
        for each in BOOKED:
            play << each
        play << status("sending", id=STOP, oco="", text=core_of(play).ledger.orders[STOP].text) << submits(STOP, 100)
        assert "take-profit 120 left out" in core_of(play).ledger.orders[STOP].text


def test_an_entry_filled_in_parts_has_a_group_for_each_and_all_together_cover_what_is_held() -> None:
    with linked() as play:
        play >> approved(intent(stop=D(90), take_profit=D(120))) << ...
        for quantity, key, held in ((60, "a", 60), (40, "b", 100)):
            play >> told(ENTRY.id, quantity, key=key) << ...
            assert covered(play) == -held
        groups = {order.oco for order in core_of(play).ledger.protective("trend", "SPY")}
        assert groups == {f"{ENTRY.id}-s60", STOP}


# --- one fills ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other", "price"), [(STOP, PROFIT, "90"), (PROFIT, STOP, "120")])
def test_when_one_of_a_group_fills_the_other_is_cancelled_until_it_has_ended(one: str, other: str, price: str) -> None:
    with bracketed(linked()) as play:
        play >> told(one, 100, Side.SELL, price)
        followed(play, status("accepted", id=other, quantity=D(0)), cancels(other))
        play.later(2) >> Wakeup() << cancels(other)
        play >> report(other, "cancel") << status("canceled", id=other)
        play.later(2) >> Wakeup()
        assert core_of(play).ledger.holding("trend", "SPY") == 0
        assert not core_of(play).ledger.protections


@pytest.mark.parametrize("first", [STOP, PROFIT])
def test_a_group_filled_by_both_in_parts_ends_with_exactly_what_was_held(first: str) -> None:
    second = PROFIT if first == STOP else STOP
    with bracketed(linked()) as play:
        play >> told(first, 60, Side.SELL) << ...
        assert (covered(play), core_of(play).ledger.orders[second].remaining) == (-40, 40)
        play >> told(second, 40, Side.SELL) << ...
        assert status_of(play, first) is OrderStatus.FILLED
        assert status_of(play, second) is OrderStatus.FILLED
        assert core_of(play).ledger.blocked == {}
        assert not core_of(play).ledger.live()


def test_both_of_a_group_filled_beyond_the_entry_blocks_the_symbol() -> None:
    with bracketed(linked()) as play:
        play >> told(STOP, 100, Side.SELL) << ... >> told(PROFIT, 100, Side.SELL)
        assert play.heard(Latch)[0].blocked


def test_a_take_profit_that_the_venue_cancelled_before_we_heard_of_the_stop_changes_nothing() -> None:
    with bracketed(linked()) as play:
        play >> report(PROFIT, "cancel") << status("canceled", id=PROFIT)
        assert covered(play) == -100
        followed(play >> told(STOP, 100, Side.SELL))
        assert not core_of(play).ledger.live()


# --- exits ----------------------------------------------------------------------------------------


def test_an_exit_goes_when_both_have_ended() -> None:
    with bracketed(linked()) as play:
        play >> approved(EXIT) << status("waiting") << cancels(STOP) << cancels(PROFIT)
        play >> report(PROFIT, "cancel") << status("canceled", id=PROFIT)
        play.later(2) >> Wakeup() << cancels(STOP)
        play >> report(STOP, "cancel") << status("canceled", id=STOP) << status("sending") << submits(EXIT.id, 100)


def test_what_a_partial_exit_leaves_is_protected_by_a_new_group_as_soon_as_it_is_sent() -> None:
    part = replace(EXIT, quantity=D(40))
    with bracketed(linked()) as play:
        play >> approved(part) >> report(STOP, "cancel") << ... >> report(PROFIT, "cancel") << Order
        play << status("sending", id=part.id) << submits(part.id, 40)
        stop, profit = f"{part.id}-s0", f"{part.id}-t0"
        play << status("sending", id=stop, oco=stop, stop_price=D(90)) << submits(stop, 60)
        play << status("sending", id=profit, oco=stop, limit_price=D(120)) << submits(profit, 60)
        followed(play >> told(part.id, 40, Side.SELL))
        assert covered(play) == -60


def test_a_group_beside_an_exit_that_turns_up_after_all_must_go() -> None:
    """The venue said it never had the exit, so the position was protected again; then the exit fills in part."""
    with bracketed(linked(IBKR)) as play:
        play >> approved(EXIT) >> report(STOP, "cancel") >> report(PROFIT, "cancel") >> report(EXIT.id, "lose") << ...
        play >> report(EXIT.id, "absent")
        play.later(2) >> report(EXIT.id, "absent") << status("not_placed", id=EXIT.id) << ...
        assert covered(play) == -100
        anew = [order.id for order in core_of(play).ledger.protective("trend", "SPY")]
        gone = (cancels(order_id) for order_id in (EXIT.id, *anew))
        followed(play >> told(EXIT.id, 40, Side.SELL), Latch, Latch, *gone)
        for order_id in anew:
            play >> report(order_id, "cancel") << status("canceled", id=order_id)
        left = core_of(play).ledger.working_exits("SPY", -1)
        assert (left, covered(play), core_of(play).ledger.holding("trend", "SPY")) == (60, 0, 60)
        play >> report(EXIT.id, "cancel", filled=D(40)) << status("canceled", id=EXIT.id) << ...
        assert covered(play) == -60


def limit_exit(quantity: int = 100, **given: Any) -> Any:
    return replace(EXIT, quantity=D(quantity), type=OrderType.LIMIT, limit_price=D(130), **given)


@pytest.mark.parametrize("end", ["cancel", "expire", "reject"])
def test_a_resting_exit_that_ends_unfilled_brings_the_protection_back(end: str) -> None:
    out = limit_exit()
    with bracketed(linked()) as play:
        play >> approved(out) >> report(STOP, "cancel") >> report(PROFIT, "cancel") << ...
        play >> report(out.id, "accept") << status("accepted", id=out.id, type=OrderType.LIMIT, limit_price=D(130))
        assert covered(play) == 0
        play >> report(out.id, end) << Order << status("sending", stop_price=D(90)) << VenueSubmit
        play << status("sending", limit_price=D(120)) << VenueSubmit
        assert covered(play) == -100


def test_what_a_resting_exit_leaves_is_protected_while_it_rests_and_all_of_it_when_it_ends() -> None:
    out = limit_exit(40)
    with bracketed(linked()) as play:
        play >> approved(out) >> report(STOP, "cancel") >> report(PROFIT, "cancel") << ...
        assert covered(play) == -60
        play >> report(out.id, "accept") >> report(out.id, "expire") << ...
        assert covered(play) == -100
        ids = [order.id for order in core_of(play).ledger.protective("trend", "SPY")]
        assert len(ids) == len(set(ids)) == 4


@pytest.mark.parametrize("reason", ["stop", "flatten"])
def test_the_guards_exit_takes_the_place_of_one_that_rests(reason: str) -> None:
    out, own = limit_exit(), replace(EXIT, id="guard-1-1", reason=reason)
    with bracketed(linked()) as play:
        play >> approved(out) >> report(STOP, "cancel") >> report(PROFIT, "cancel") >> report(out.id, "accept") << ...
        play >> approved(own) << status("waiting", id=own.id) << cancels(out.id)
        play.later(2) >> Wakeup() << cancels(out.id)
        play >> report(out.id, "cancel") << status("canceled", id=out.id) << status("sending", id=own.id)
        play << submits(own.id, 100)


def test_the_guards_exit_goes_before_one_of_the_strategy_that_waits_as_well() -> None:
    out, own = limit_exit(), replace(EXIT, id="guard-1-1")
    with bracketed(linked()) as play:
        play >> approved(out) >> approved(own) << ... >> report(STOP, "cancel") >> report(PROFIT, "cancel")
        play << Order << Order << status("sending", id=own.id) << submits(own.id, 100)
        play << status("denied", id=out.id, code="NOTHING_LEFT")


def test_a_resting_entry_of_one_strategy_does_not_hold_up_the_exit_of_another() -> None:
    other = intent(id="mean-1-1", strategy="mean", side=Side.SELL, type=OrderType.LIMIT, limit_price=D(130))
    with bracketed(linked()) as play:
        play >> approved(other) << status("sending") << VenueSubmit
        play >> approved(replace(EXIT, id="guard-1-1")) << status("waiting") << cancels(STOP) << cancels(PROFIT)


# --- entries that rest ----------------------------------------------------------------------------


def test_an_entry_rests_as_it_was_asked_for() -> None:
    wanted = intent(type=OrderType.TRAILING_STOP, trail=FIVE, time_in_force=TimeInForce.GTC)
    with linked() as play:
        (
            play
            >> approved(wanted)
            << status("sending", trail=FIVE, time_in_force=TimeInForce.GTC)
            << submits(ENTRY.id, 100)
        )


def test_an_entry_against_one_that_works_in_the_other_direction_is_denied() -> None:
    rests = intent(type=OrderType.LIMIT, limit_price=D(90))
    with linked() as play:
        play >> approved(rests) >> report(rests.id, "accept") << ...
        short = intent(id="trend-1-4", side=Side.SELL)
        play >> approved(short) << status("denied", code="OPPOSED")
        play >> approved(replace(short, id="mean-1-1", strategy="mean")) << status("sending") << VenueSubmit


@pytest.mark.parametrize("early", [True, False])
def test_an_entry_after_the_cancel_of_an_opposed_one_goes_whether_or_not_that_has_ended_yet(early: bool) -> None:
    rests, short = intent(type=OrderType.LIMIT, limit_price=D(90)), intent(id="trend-1-4", side=Side.SELL)
    gone = report(rests.id, "cancel")
    with linked() as play:
        play >> approved(rests) >> report(rests.id, "accept") >> cancel(rests.id) << ...
        play >> (gone if early else approved(short)) << Order
        play >> (approved(short) if early else gone) << ...
        assert status_of(play, short.id) is OrderStatus.SENDING


def test_an_entry_that_waits_for_an_opposed_one_to_end_is_denied_when_that_fills() -> None:
    rests, short = intent(type=OrderType.LIMIT, limit_price=D(90)), intent(id="trend-1-4", side=Side.SELL)
    with linked() as play:
        play >> approved(rests) >> report(rests.id, "accept") >> cancel(rests.id) >> approved(short) << ...
        play >> told(rests.id, 100)
        followed(play, status("denied", id=short.id, code="EXIT_FIRST"))


def test_of_two_entries_that_would_wait_for_the_same_exit_the_opposed_one_is_denied() -> None:
    with bracketed(linked()) as play:
        play >> approved(EXIT) << ...
        play >> approved(intent(id="trend-1-4", side=Side.SELL)) << status("waiting", id="trend-1-4")
        again_long = intent(id="trend-1-5", type=OrderType.STOP, stop_price=D(130))
        play >> approved(again_long) << status("denied", id="trend-1-5", code="OPPOSED")


def test_a_flip_is_not_begun_before_an_exit_that_rests() -> None:
    with bracketed(linked()) as play:
        play >> approved(limit_exit()) >> report(STOP, "cancel") >> report(PROFIT, "cancel") << ...
        short = intent(id="trend-1-4", side=Side.SELL)
        play >> approved(short) << status("denied", code="EXIT_FIRST")


# --- what fails meanwhile -------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [STOP, PROFIT])
def test_a_protective_order_the_venue_never_had_is_placed_anew_in_its_group(lost: str) -> None:
    with linked(IBKR) as play:
        play >> approved(intent(stop=D(90), take_profit=D(120))) >> told(ENTRY.id, 100) << ...
        play >> report(lost, "lose") >> report(lost, "absent") << ...
        play.later(2) >> report(lost, "absent") << status("not_placed", id=lost)
        play << status("sending", id=f"{lost}-r", oco=STOP, quantity=D(100)) << submits(f"{lost}-r", 100)
        assert covered(play) == -100


def test_one_placed_anew_that_comes_after_all_ends_with_the_shares_that_its_group_had_left() -> None:
    with linked(IBKR) as play:
        play >> approved(intent(stop=D(90), take_profit=D(120))) >> told(ENTRY.id, 100) << ...
        play >> report(STOP, "accept") >> report(PROFIT, "lose") >> report(PROFIT, "absent") << ...
        play.later(2) >> report(PROFIT, "absent") >> report(f"{PROFIT}-r", "accept") << ...
        play >> told(f"{PROFIT}-r", 40, Side.SELL) >> told(PROFIT, 60, Side.SELL) << ...
        assert status_of(play, PROFIT) is OrderStatus.PARTIALLY_FILLED
        play >> report(PROFIT, "fill", filled=D(60)) << status("filled", id=PROFIT, quantity=D(60))
        play >> report(STOP, "cancel") >> report(f"{PROFIT}-r", "cancel") << ...
        assert covered(play) == 0
        play.later(2) >> Wakeup()


def test_one_that_the_owner_wanted_gone_is_not_placed_anew() -> None:
    with linked(IBKR) as play:
        play >> approved(intent(stop=D(90))) >> told(ENTRY.id, 100) >> report(STOP, "lose") << ...
        play >> command(Verb.CANCEL_ALL, everything=True) << cancels(STOP) << CommandResult
        play >> report(STOP, "absent") << ...
        play.later(2) >> report(STOP, "absent") << status("not_placed", id=STOP)


@pytest.mark.parametrize("verb", [Verb.HALT, Verb.CANCEL_ALL])
def test_a_halt_and_a_cancel_of_everything_working_spare_both(verb: Verb) -> None:
    with bracketed(linked()) as play:
        play >> command(verb)
        assert all("Cancel" not in type(event.body).__name__ for event in play.unread)
        play << ...


def test_where_a_trailing_stop_stood_is_where_the_next_one_begins() -> None:
    part = replace(EXIT, quantity=D(40))
    with bracketed(linked(), stop=None, take_profit=None, trailing=FIVE) as play:
        play >> approved(part) << status("waiting") << cancels(STOP)
        play >> report(STOP, "cancel", stop=D(104)) << status("canceled", stop_price=D(104)) << Order << VenueSubmit
        play << status("sending", type=OrderType.TRAILING_STOP, stop_price=D(104), trail=FIVE) << VenueSubmit


def test_a_group_half_of_which_filled_unheard_comes_right_after_a_restart() -> None:
    play = bracketed(linked())
    with restarted(play) as after:
        fills = (told(ENTRY.id, 100), told(STOP, 100, Side.SELL, "90"))
        after >> VenueLink(True) << VenueLook >> snapshot(1, fills=fills, cash=D(98_998))
        followed(after, status("accepted", id=PROFIT, quantity=D(0)), cancels(PROFIT), VenueAsk(PROFIT))
        after >> report(PROFIT, "cancel") << status("canceled", id=PROFIT)
        assert after.core.recovered()
        assert not core_of(after).ledger.live()


def test_a_position_that_was_being_protected_anew_goes_on_after_a_restart() -> None:
    play = bracketed(linked())
    core = core_of(play)
    play >> told(STOP, 30, Side.SELL, "90", key="a") << ...
    core.ledger.holdings["trend/SPY"] = D(50)
    core.plans.trim(core.ledger.orders[STOP], play.now)
    fills = (told(ENTRY.id, 100), told(STOP, 30, Side.SELL, "90", key="a"))
    with Playbook(again(core, gateway())) as after:
        seen = snapshot(1, open=(STOP, PROFIT), fills=fills, positions={"SPY": D(70)}, cash=D(92_698))
        after >> VenueLink(True) << VenueLook >> seen << cancels(STOP) << cancels(PROFIT)
        after >> report(STOP, "cancel", filled=D(30)) >> report(PROFIT, "cancel") << ...
        assert core_of(after).ledger.covered("trend", "SPY") == -50
