"""The risk guard: every intent is answered, and what it does not know it denies."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.core.guard import GuardCore
from appliance.core.limits import LimitValues, rules
from appliance.domain.market import Bar, MarketEvent, Quote
from appliance.domain.messages import Stage, Step, Ticks
from appliance.domain.operations import Latch, LatchState, Peer, Verb
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Account, Approved, Denied, Intent, Order, OrderType, Side, Trail
from tests.core.make import again, bar, command, fill, intent, moment, order, quote, writers
from tests.playbook import BEGIN, SECOND, Playbook

D = Decimal
LIMITS = LimitValues(D(100), D(150), D(20_000), D(5), 60 * SECOND)
ACCOUNT = Account(D(100_000))


def guard(limits: LimitValues = LIMITS) -> GuardCore:
    return GuardCore("guard", writers("guard"), rules(limits))


def ready(limits: LimitValues = LIMITS) -> Playbook:
    """A guard that knows price (100), cash and that nothing is held."""
    play = Playbook(guard(limits)).later(60)
    return play >> bar() >> ACCOUNT


def entered(play: Playbook, quantity: int = 100, **given: Any) -> Order:
    """An entry that was approved, sent and filled; a position stands."""
    wanted = intent(quantity=D(quantity), **given)
    sent = order(wanted, OrderStatus.SENDING)
    play >> sent >> fill(sent) >> replace(sent, status=OrderStatus.FILLED, filled=sent.quantity) << ...
    return sent


def sell(quantity: int, **given: Any) -> Intent:
    return intent(id="trend-1-9", side=Side.SELL, quantity=D(quantity), exit=True, **given)


def denied(code: str) -> Any:
    def fits(body: Any) -> bool:
        return isinstance(body, Denied) and body.code == code

    fits.__name__ = f"Denied {code}"
    return fits


def test_an_intent_within_all_limits_is_approved_with_the_moment_it_was() -> None:
    with ready() as play:
        play >> intent() << Approved(intent(), play.now.moment, 3 * SECOND, False)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (intent(quantity=D(101)), "MAX_ORDER_SIZE"),
        (intent(quantity=D("NaN")), "MALFORMED"),
        (intent(quantity=D(0)), "MALFORMED"),
        (intent(type=OrderType.LIMIT), "MALFORMED"),
        (intent(type=OrderType.LIMIT, limit_price=D("105.01")), "PRICE_COLLAR"),
        (intent(symbol="QQQ"), "STALE_PRICE"),
        (intent(decided=moment(boot="boot-0")), "EXPIRED"),
        (intent(valid=60 * SECOND - 1), "EXPIRED"),
    ],
)
def test_an_intent_beyond_a_limit_is_denied_by_its_rule(wanted: Intent, code: str) -> None:
    with ready() as play:
        play >> wanted << denied(code)


def test_an_intent_is_valid_to_the_last_nanosecond() -> None:
    with ready() as play:
        play >> intent(valid=60 * SECOND) << Approved


def test_what_is_approved_counts_before_the_gateway_has_said_anything() -> None:
    with ready() as play:
        play >> intent() << Approved
        play >> intent(id="trend-1-2", quantity=D(51)) << denied("MAX_POSITION")
        play >> intent(id="trend-1-3", quantity=D(50)) << Approved


def test_an_ended_order_counts_no_more() -> None:
    with ready() as play:
        play >> intent() << Approved >> order(status=OrderStatus.REJECTED)
        play >> intent(id="trend-1-2") << Approved


def test_cash_that_working_entries_may_need_is_reserved() -> None:
    with ready(LimitValues()) as play:
        play >> Account(D(15_000)) >> intent() << Approved
        play >> intent(id="trend-1-2", quantity=D(51)) << denied("INSUFFICIENT_CASH")
        play >> intent(id="trend-1-3", quantity=D(50)) << Approved


def test_an_intent_that_was_answered_is_not_answered_again() -> None:
    with ready() as play:
        play >> intent() << Approved >> intent()


def test_an_order_of_the_gateway_is_adopted_and_its_intent_not_decided_again() -> None:
    with ready() as play:
        play >> order(status=OrderStatus.ACCEPTED) >> intent()
        play >> intent(id="trend-1-2", quantity=D(51)) << denied("MAX_POSITION")


@pytest.mark.parametrize("missing", ["price", "account"])
def test_a_missing_input_denies_new_risk(missing: str) -> None:
    play = Playbook(guard(LimitValues())).later(60)
    if missing != "price":
        play >> bar()
    if missing != "account":
        play >> ACCOUNT
    with play:
        play >> intent() << denied("INSUFFICIENT_CASH")


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_price_that_is_none_is_not_taken(price: float) -> None:
    with Playbook(guard(LimitValues())).later(60) as play:
        play >> ACCOUNT >> bar(price) >> Ticks(1, (quote(price, price),)) >> intent() << denied("INSUFFICIENT_CASH")


def test_a_silent_gateway_denies_new_risk_and_passes_reductions() -> None:
    with ready() as play:
        entered(play)
        play >> Peer("gateway", False) >> intent(id="trend-1-2", quantity=D(1)) << denied("GATEWAY_SILENT")
        play >> sell(40) << Approved >> Peer("gateway", True) >> intent(id="trend-1-3", quantity=D(1)) << Approved


# --- brackets and trails --------------------------------------------------------------------------


LIMIT, STOP = OrderType.LIMIT, OrderType.STOP


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (intent(stop=D(100)), ("stop 100", "below", "100.0")),
        (intent(stop=D(101)), ("stop 101", "below", "100.0")),
        (intent(take_profit=D(100)), ("take_profit 100", "above", "100.0")),
        (intent(side=Side.SELL, stop=D(99)), ("stop 99", "above", "100.0")),
        (intent(side=Side.SELL, take_profit=D(101)), ("take_profit 101", "below", "100.0")),
        (intent(type=LIMIT, limit_price=D(98), stop=D(98)), ("stop 98", "below", "98")),
        (intent(type=LIMIT, limit_price=D(102), stop=D(101)), ("stop 101", "below", "100.0")),  # it fills at once
        (intent(type=STOP, stop_price=D(103), stop=D(103)), ("stop 103", "below", "103")),
        (intent(type=OrderType.TRAILING_STOP), ("trailing_stop", "needs", "trail")),
        (intent(trailing=Trail(D(0))), ("trailing 0", "USD", "more than 0")),
        (intent(trailing=Trail(D(100), percent=True)), ("trailing 100", "percent", "less than 100")),
        (intent(trailing=Trail(D("NaN"), percent=True)), ("trailing NaN", "percent", "less than 100")),
        (intent(take_profit=D(-1)), ("take_profit -1", "not a", "positive price")),
    ],
)
def test_a_bracket_on_the_wrong_side_and_a_trail_that_is_none_are_refused_with_their_numbers(
    wanted: Intent, numbers: tuple[str, ...]
) -> None:
    with ready() as play:
        play >> wanted
        said = play.heard(Denied)[0]
        assert said.code == "MALFORMED"
        assert all(number in said.text for number in numbers), said.text


@pytest.mark.parametrize(
    "wanted",
    [
        intent(stop=D("99.99"), take_profit=D("100.01")),
        intent(side=Side.SELL, stop=D(101), take_profit=D(99)),
        intent(type=STOP, stop_price=D(103), stop=D(101), take_profit=D(104)),
        intent(type=LIMIT, limit_price=D(98), stop=D(97), take_profit=D(99)),
        intent(trailing=Trail(D("99.99"), percent=True)),
    ],
)
def test_a_bracket_on_the_right_sides_is_approved(wanted: Intent) -> None:
    with ready() as play:
        play >> wanted << Approved


def test_a_stop_entry_needs_the_cash_it_may_cost() -> None:
    with ready(LimitValues()) as play:
        play >> Account(D(10_400)) >> intent(type=STOP, stop_price=D(105)) << denied("INSUFFICIENT_CASH")
        play >> intent(id="trend-1-2", type=STOP, stop_price=D(104)) << Approved


def test_an_entry_that_rests_counts_as_long_as_it_works() -> None:
    rests = order(intent(type=LIMIT, limit_price=D(98)), OrderStatus.ACCEPTED)
    with ready() as play:
        play >> rests.intent << Approved >> rests >> bar()
        play >> intent(id="trend-1-2", quantity=D(51)) << denied("MAX_POSITION")
        play >> replace(rests, status=OrderStatus.CANCELED) >> intent(id="trend-1-3", quantity=D(51)) << Approved


# --- reductions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "entry", "exit"),
    [
        (LatchState.ACTIVE, Approved, Approved),
        (LatchState.REDUCING, denied("REDUCING"), Approved),
        (LatchState.HALTED, denied("HALTED"), denied("HALTED")),
    ],
)
def test_what_passes_in_each_state_of_the_latch(state: LatchState, entry: Any, exit: Any) -> None:
    with ready() as play:
        entered(play)
        play >> Latch(state, 1) >> sell(60) << exit >> intent(id="trend-1-2", quantity=D(10)) << entry


def test_a_reduction_needs_no_price_no_cash_and_knows_no_limit_but_sense() -> None:
    with Playbook(guard()).later(60) as play:
        entered(play, 500)
        play >> sell(500) << (lambda said: isinstance(said, Approved) and said.reduces)
        play >> replace(sell(1), id="trend-1-10", quantity=D("NaN")) << denied("MALFORMED")


def test_exits_together_never_exceed_what_is_held() -> None:
    with ready(LimitValues(stale_price=60 * SECOND)) as play:
        entered(play)
        play >> Latch(LatchState.REDUCING, 1) >> sell(60) << Approved
        play >> replace(sell(41), id="trend-1-10") << denied("REDUCING")
        play >> replace(sell(40), id="trend-1-11") << Approved


def test_a_resting_entry_of_another_strategy_does_not_hold_up_an_exit_and_is_no_reduction() -> None:
    with ready() as play:
        entered(play)
        short = intent(id="mean-1-1", strategy="mean", side=Side.SELL, quantity=D(50), type=LIMIT, limit_price=D(101))
        play >> short << (lambda said: isinstance(said, Approved) and not said.reduces)
        play >> sell(100) << (lambda said: isinstance(said, Approved) and said.reduces)


def test_an_order_that_crosses_zero_is_new_risk() -> None:
    with ready() as play:
        entered(play)
        play >> Latch(LatchState.REDUCING, 1) >> sell(101) << denied("REDUCING")


def test_a_protective_stop_does_not_count_against_an_exit() -> None:
    with ready() as play:
        sent = entered(play)
        resting = order(sent.intent, id=f"{sent.id}-s100", side=Side.SELL, protects=sent.id, type=OrderType.STOP)
        play >> resting >> sell(100) << Approved


# --- lockstep -------------------------------------------------------------------------------------


def test_staged_intents_are_taken_in_strategy_and_counter_order() -> None:
    names = [("b", 1), ("a", 10), ("a", 9), ("c", 1)]
    with ready(LimitValues()) as play:
        for strategy, n in names:
            wanted = intent(id=f"x-1-{strategy}{n}", strategy=strategy, counter=n, staged=True, quantity=D(1))
            play >> wanted
        assert play.core.held() == 4
        play >> Step(Stage.HOSTS, play.now.time) >> Step(Stage.TAKE, play.now.time)
        taken = [said.intent for said in play.heard(Approved)]
        assert [(one.strategy, one.counter) for one in taken] == [("a", 9), ("a", 10), ("b", 1), ("c", 1)]
        assert play.core.held() == 0


def test_market_events_count_at_the_guards_stage_only() -> None:
    with Playbook(guard(LimitValues())).later(60) as play:
        play >> ACCOUNT >> Step(Stage.VENUE, play.now.time, 0, (bar(),)) >> intent() << Denied
        play >> Step(Stage.GUARD, play.now.time, 0, (bar(),)) >> intent(id="trend-1-2") << Approved


# --- stops ----------------------------------------------------------------------------------------


def stopped(play: Playbook, side: Side = Side.BUY, stop: str = "90") -> None:
    entered(play, side=side, stop=D(stop))


def exits(side: Side, quantity: int) -> Any:
    def fits(said: Any) -> bool:
        wanted = said.intent
        return isinstance(said, Approved) and wanted.exit and (wanted.side, wanted.quantity) == (side, D(quantity))

    return fits


AFTER = BEGIN + 60 * SECOND


@pytest.mark.parametrize(
    ("side", "stop", "event", "crossed"),
    [
        (Side.BUY, "90", bar(95, AFTER, low=90.01), False),
        (Side.BUY, "90", bar(95, AFTER, low=90.0), True),
        (Side.BUY, "90", bar(95, AFTER, high=200.0), False),
        (Side.SELL, "110", bar(105, AFTER, high=110.0), True),
        (Side.SELL, "110", bar(105, AFTER, low=50.0), False),
        (Side.BUY, "90", bar(95, AFTER - SECOND, low=80.0), False),  # began before the stop was active: only its close
        (Side.BUY, "90", bar(89, AFTER - SECOND, low=80.0), True),
        (Side.BUY, "90", quote(90.0, 90.1, AFTER), True),
        (Side.BUY, "90", quote(95.0, 95.1, AFTER, low=89.0, low_time=AFTER + 1), True),
        (Side.BUY, "90", quote(95.0, 95.1, AFTER, low=89.0, low_time=AFTER), False),  # an extreme from before
        (Side.SELL, "110", quote(105, 105.1, AFTER, high=111.0, high_time=AFTER + 1), True),
        (Side.SELL, "110", quote(109.9, 110.0, AFTER), True),
        (Side.BUY, "90", bar(1, AFTER, symbol="QQQ"), False),
    ],
)
def test_a_stop_is_crossed_by_what_happened_since_it_is_active(
    side: Side, stop: str, event: MarketEvent, crossed: bool
) -> None:
    with ready() as play:
        stopped(play, side, stop)
        play >> (Ticks(1, (event,)) if isinstance(event, Quote) else event)
        if crossed:
            play << exits(side.opposite, 100)


def test_a_crossed_stop_is_one_exit_even_when_halted_and_not_twice() -> None:
    with ready() as play:
        stopped(play)
        play >> Latch(LatchState.HALTED, 1) >> bar(80, AFTER) << exits(Side.SELL, 100)
        play >> bar(70, AFTER + 60 * SECOND) >> Ticks(1, (quote(60, 61, AFTER),))


@pytest.mark.parametrize(
    ("side", "wished", "events", "crossed"),
    [
        (Side.BUY, {"trailing": Trail(D(5))}, [bar(100, AFTER), bar(95, AFTER + 60 * SECOND)], "95.0"),
        (Side.BUY, {"trailing": Trail(D(5))}, [bar(100, AFTER), bar(96, AFTER + 60 * SECOND)], None),
        (Side.BUY, {"trailing": Trail(D(5))}, [bar(100, AFTER, high=110.0), bar(105, AFTER + 60 * SECOND)], "105.0"),
        (Side.BUY, {"trailing": Trail(D(5))}, [bar(108, AFTER, open=100, low=96.0, high=110.0)], None),
        (Side.BUY, {"trailing": Trail(D(5)), "stop": D(98)}, [bar(100, AFTER), bar(98, AFTER + 60 * SECOND)], "98.0"),
        (Side.BUY, {"trailing": Trail(D(1), True)}, [bar(200, AFTER), bar(198, AFTER + 60 * SECOND)], "198.0"),
        (Side.SELL, {"trailing": Trail(D(5))}, [bar(100, AFTER, low=90.0), bar(95, AFTER + 60 * SECOND)], "95.0"),
        (Side.BUY, {"trailing": Trail(D(5))}, [quote(110, 110.1, AFTER + 1), quote(105, 105.1, AFTER + 2)], "105.0"),
        (Side.BUY, {"trailing": Trail(D(5))}, [bar(100, AFTER - SECOND, low=50.0), bar(96, AFTER)], None),
        (Side.BUY, {"take_profit": D(120)}, [bar(130, AFTER)], None),
    ],
)
def test_the_second_net_follows_a_trailing_stop_and_leaves_take_profits_alone(
    side: Side, wished: dict[str, Any], events: list[MarketEvent], crossed: str | None
) -> None:
    with ready() as play:
        entered(play, side=side, **wished)
        for event in events:
            play >> (Ticks(1, (event,)) if isinstance(event, Quote) else event)
        if crossed is not None:
            play << (lambda said: said.intent.reason == f"stop {crossed} crossed")


def test_where_bars_have_taken_a_trailing_stop_outlives_a_restart() -> None:
    play = ready()
    entered(play, trailing=Trail(D(5)))
    play >> bar(100, AFTER, high=110.0)
    with Playbook(again(play.core, guard())).later(60) as after:
        after >> bar(105, AFTER + 60 * SECOND) << exits(Side.SELL, 100)


def test_an_exit_that_came_to_nothing_is_tried_again_at_the_next_price() -> None:
    with ready() as play:
        stopped(play)
        play >> bar(80, AFTER)
        exit = play.heard(Approved)[0].intent
        play >> order(exit, OrderStatus.REJECTED) >> bar(80, AFTER + 60 * SECOND) << exits(Side.SELL, 100)


def test_a_position_that_is_gone_has_no_stop() -> None:
    with ready() as play:
        stopped(play)
        out = order(sell(100), OrderStatus.SENDING)
        play >> out >> fill(out) >> bar(80, AFTER)


def test_an_exit_names_the_resting_stops_of_its_own_symbol() -> None:
    with ready() as play:
        stopped(play)
        sent = order(intent(stop=D(90)))
        other = order(intent(id="trend-1-7", symbol="QQQ", stop=D(9)))
        play >> replace(sent, id="mine", side=Side.SELL, protects=sent.id)
        play >> replace(other, id="other", side=Side.SELL, protects=other.id)
        play >> bar(80, AFTER) << (lambda said: said.intent.replaces == ("mine",))


def test_flatten_writes_one_exit_for_each_holding_once_per_command() -> None:
    with ready() as play:
        entered(play)
        entered(play, 30, id="mean-1-1", strategy="mean", side=Side.SELL, symbol="QQQ")
        play >> command(Verb.FLATTEN) << exits(Side.SELL, 100) << exits(Side.BUY, 30)
        play >> command(Verb.FLATTEN)


def test_flatten_may_name_a_symbol_and_expires() -> None:
    with ready() as play:
        entered(play)
        play >> command(Verb.FLATTEN, "c1", symbol="QQQ") >> command(Verb.FLATTEN, "c2", expires=BEGIN)
        play >> command(Verb.HALT, "c3") >> command(Verb.FLATTEN, "c4", symbol="SPY") << exits(Side.SELL, 100)


def test_a_guard_that_restarts_goes_on_where_it_was() -> None:
    play = ready()
    stopped(play)
    play >> intent(id="trend-1-5", quantity=D(40)) << Approved
    with Playbook(again(play.core, guard())).later(60) as after:
        after >> intent(id="trend-1-5", quantity=D(40))  # answered before
        after >> intent(id="trend-1-6", quantity=D(11)) << denied("MAX_POSITION")
        after >> bar(80, AFTER) << exits(Side.SELL, 100)


# --- nonsense -------------------------------------------------------------------------------------

ODD = st.one_of(st.just(D("NaN")), st.just(D("Infinity")), st.just(D("-Infinity")), st.just(D(0)), st.just(D(-1)))
ODD_PRICE = st.sampled_from([float("nan"), float("inf"), float("-inf"), 0.0, -1.0])
PRICES = ("quantity", "limit_price", "stop_price", "stop", "take_profit")
TRAILS = ("trail", "trailing")
WHAT = (*PRICES, *TRAILS, "cash", "price", "no price", "no cash", "boot", "late")


@given(
    what=st.sampled_from(WHAT), odd=ODD, price=ODD_PRICE, kind=st.sampled_from(OrderType), side=st.sampled_from(Side)
)
def test_nothing_is_approved_while_any_input_is_missing_or_no_number(
    what: str, odd: Decimal, price: float, kind: OrderType, side: Side
) -> None:
    play = Playbook(guard(LimitValues(D(1_000), D(1_000), D(1_000_000), D(50), 60 * SECOND))).later(60)
    fields: dict[str, Any] = {"type": kind, "side": side, "limit_price": D(100), "stop_price": D(100), "quantity": D(1)}
    fields["trail"] = Trail(D(5))
    if what in PRICES:
        fields[what] = odd
    if what in TRAILS:
        fields[what] = Trail(odd, percent=price > 0)
    if what != "no price":
        happened: Bar = bar(price) if what == "price" else bar()
        play >> happened
    if what != "no cash":
        play >> Account(odd if what == "cash" else D(100_000))
    if what == "boot":
        fields["decided"] = moment(boot="another")
    if what == "late":
        fields["valid"] = 59 * SECOND
    play >> intent(**fields) << Denied


@given(kind=st.sampled_from(OrderType), side=st.sampled_from(Side))
def test_the_same_with_every_input_in_order_is_approved(kind: OrderType, side: Side) -> None:
    with ready(LimitValues(D(1_000), D(1_000), D(1_000_000), D(50), 60 * SECOND)) as play:
        wanted = intent(
            type=kind, side=side, limit_price=D(100), stop_price=D(100), quantity=D(1), trail=Trail(D(5)),
            stop=D(99) if side is Side.BUY else D(101), take_profit=D(101) if side is Side.BUY else D(99),
            trailing=Trail(D("99.9"), percent=True),
        )  # fmt: skip
        play >> wanted << Approved


# --- strategies against each other ----------------------------------------------------------------


def opposed(net: int) -> Playbook:
    """``trend`` holds 100 shares, ``mean`` so many less that the account holds ``net``."""
    play = ready(LimitValues(require_cash=True))
    entered(play)
    short = intent(id="mean-1-1", strategy="mean", side=Side.SELL, quantity=D(100 - net))
    sent = order(short, OrderStatus.SENDING)
    play >> sent >> fill(sent) >> replace(sent, status=OrderStatus.FILLED, filled=sent.quantity) << ...
    return play


@pytest.mark.parametrize(
    ("net", "quantity", "reduces"), [(40, 40, True), (40, 41, False), (0, 1, False), (-5, 1, False)]
)
def test_an_exit_reduces_only_as_far_as_the_account_holds_beyond_what_others_hold_against_it(
    net: int, quantity: int, reduces: bool
) -> None:
    play = opposed(net) >> sell(quantity)
    (said,) = play.heard(Approved)
    assert said.reduces is reduces
    play = opposed(net) >> Latch(LatchState.REDUCING) >> sell(quantity)
    play << (Approved if reduces else denied("REDUCING"))


def test_an_exit_that_is_new_risk_to_the_account_needs_the_cash() -> None:
    play = opposed(0) >> Account(D(50)) >> sell(1)
    play << denied("INSUFFICIENT_CASH")
    opposed(40) >> Account(D(50)) >> sell(1) << Approved
