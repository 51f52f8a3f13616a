"""What goes wrong: an ambiguous answer is UNKNOWN until it is looked up, each refusal has its kind, nothing is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from appliance.clients.ibkr import Refused
from appliance.domain.messages import VenueFill, VenueReport
from appliance.domain.orders import OrderEvent
from appliance.domain.venue import SECOND, LinkState, Rejection
from appliance.errors import VenueDown, VenueError, VenueNonsense, VenueRefused, VenueSilent
from appliance.venues.base import Change, Condition, Lost
from appliance.venues.ibkr import IbkrBroker, questions
from appliance.venues.ibkr.connection import Connection
from tests.standins.ibkr import REJECTIONS, WARNINGS, IbkrStandIn, telling
from tests.standins.ibkr import book as standin
from tests.venues.ibkr.conftest import SHORT, Ears, Make, limit, order, terms, until

D = Decimal


def placed(gateway: IbkrStandIn) -> list[str]:
    return [record.client_id for record in gateway.books.log.accepted()]


def lost(one: object) -> bool:
    return isinstance(one, Lost)


# --- ambiguous answers ------------------------------------------------------------------------------------------------


def test_an_order_that_is_taken_and_never_answered_is_found_by_its_id(one: IbkrStandIn, make: Make) -> None:
    broker = make(one, **SHORT)
    one.faults.unanswered = 1
    with pytest.raises(VenueSilent, match=r"order a-1-1: no answer within 0.4 s"):
        broker.submit(order("a-1-1"))
    answer = broker.order("a-1-1")
    assert (answer.report.event, answer.report.filled) == (OrderEvent.FILL, D(10))
    assert [fill.order_id for fill in answer.fills] == ["a-1-1"]
    assert placed(one) == ["a-1-1"]


def test_an_order_that_is_swallowed_is_absent(one: IbkrStandIn, make: Make) -> None:
    broker = make(one, **SHORT)
    one.faults.swallowed = 1
    with pytest.raises(VenueSilent):
        broker.submit(order("a-1-1"))
    assert broker.order("a-1-1").report.event is OrderEvent.ABSENT
    assert placed(one) == []


def test_a_connection_that_is_reset_instead_of_an_answer_leaves_the_order_in_doubt(
    one: IbkrStandIn, make: Make
) -> None:
    ears = Ears()
    broker = make(one, ears)
    one.faults.hung_up = 1
    with pytest.raises(VenueSilent, match="the connection ended"):
        broker.submit(order("a-1-1"))
    assert ears.wait(lost).state is LinkState.DOWN
    with pytest.raises(VenueDown):
        broker.submit(order("a-1-2"))
    broker.open(ears)
    assert broker.order("a-1-1").report.event is OrderEvent.ABSENT
    assert len(ears.of(Lost)) == 1


@pytest.mark.parametrize("cut", [0, 3, 4, 5, 60, 400])
def test_an_answer_that_is_cut_at_any_byte_leaves_the_order_in_doubt(one: IbkrStandIn, make: Make, cut: int) -> None:
    ears = Ears()
    broker = make(one, ears)
    one.faults.cut = cut
    with pytest.raises(VenueSilent):
        broker.submit(limit("a-1-1"))
    ears.wait(lost)
    broker.open(ears)
    assert broker.order("a-1-1").report.event is OrderEvent.ACCEPT
    assert placed(one) == ["a-1-1"]


def test_a_cancel_that_is_swallowed_is_silent_and_may_be_asked_again(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears, **SHORT)
    broker.submit(limit("a-1-1"))
    one.faults.swallowed_cancels = 1
    with pytest.raises(VenueSilent, match="the cancel of a-1-1"):
        broker.cancel("a-1-1")
    assert broker.order("a-1-1").report.event is OrderEvent.ACCEPT
    broker.cancel("a-1-1")
    ears.report("cancel", "a-1-1")


def test_a_cancel_that_loses_the_race_says_that_the_order_was_filled(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    broker.submit(limit("a-1-1", "99"))
    one.faults.losing = frozenset({"3", "5"})
    one.books.price("SPY", "98", "98.5")
    ears.fill("a-1-1")
    report = broker.cancel("a-1-1")
    assert report is not None
    assert (report.event, report.filled) == (OrderEvent.FILL, D(10))


def test_a_fill_after_the_cancel_is_told(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    broker.submit(limit("a-1-1"))
    one.faults.late_fills = 1
    broker.cancel("a-1-1")
    ears.report("cancel", "a-1-1")
    assert ears.fill("a-1-1").quantity == 10
    assert broker.order("a-1-1").report.filled == 10


def test_half_of_an_order_filled_and_the_rest_cancelled_by_the_broker_is_told_in_this_order(
    one: IbkrStandIn, make: Make
) -> None:
    ears = Ears()
    broker = make(one, ears)
    one.faults.halves = 1
    broker.submit(limit("a-1-1", "101"))
    assert ears.report("cancel", "a-1-1").filled == 5
    told = [type(heard) for heard in ears.heard if isinstance(heard, VenueFill | VenueReport)]
    assert told.index(VenueFill) < len(told) - 1 - told[::-1].index(VenueReport)


# --- refusals ---------------------------------------------------------------------------------------------------------

KINDS = {
    "buying_power": Rejection.BUYING_POWER,
    "not_shortable": Rejection.NOT_SHORTABLE,
    "halted": Rejection.SYMBOL_HALTED_THERE,
    "tick": Rejection.PRICE,
    "unknown_symbol": Rejection.UNKNOWN_SYMBOL,
    "read_only": Rejection.NOT_ALLOWED,
    "duplicate_id": Rejection.OTHER,
    "filled": Rejection.OTHER,
    "type": Rejection.UNSUPPORTED,
    "time_in_force": Rejection.UNSUPPORTED,
    "fraction": Rejection.QUANTITY,
    "quantity": Rejection.QUANTITY,
    "parent": Rejection.OTHER,
}


def test_each_refusal_is_a_rejection_of_its_kind_with_the_gateways_words(one: IbkrStandIn, make: Make) -> None:
    assert set(KINDS) == set(REJECTIONS)
    broker = make(one, **SHORT)
    for number, (name, kind) in enumerate(KINDS.items()):
        one.faults.rejection, one.faults.rejected = name, 1
        report = broker.submit(order(f"a-1-{number}"))
        assert (report.event, report.code) == (OrderEvent.REJECT, kind.value), (name, report)
        assert report.text == REJECTIONS[name][1]
    assert placed(one) == []
    assert broker.submit(order("a-2-1")).event is OrderEvent.ACCEPT, "and the next one is taken"


@pytest.mark.parametrize("name", sorted(WARNINGS))
def test_a_warning_is_no_refusal(one: IbkrStandIn, make: Make, name: str) -> None:
    broker = make(one)
    one.faults.warning, one.faults.warned = name, 1
    assert broker.submit(limit("a-1-1")).event is OrderEvent.ACCEPT
    assert broker.order("a-1-1").report.event is OrderEvent.ACCEPT


def test_a_symbol_that_ib_does_not_know_is_refused_before_anything_is_sent(one: IbkrStandIn, make: Make) -> None:
    broker = make(one)
    for symbol in ("NOPE", "not a symbol", "BTC/USD"):
        report = broker.submit(order("a-1-1", symbol=symbol))
        assert (report.event, report.code) == (OrderEvent.REJECT, Rejection.UNKNOWN_SYMBOL.value)
    assert one.log.of("received", "3") == []


def test_a_change_that_is_refused_leaves_the_order_as_it_was(one: IbkrStandIn, make: Make) -> None:
    broker = make(one)
    broker.submit(limit("a-1-1"))
    one.faults.rejection, one.faults.rejected = "tick", 1
    report = broker.replace("a-1-1", Change(limit_price=D("90.001")))
    assert (report.event, report.code) == (OrderEvent.REJECT, Rejection.PRICE.value)
    assert broker.open_orders()[0].limit_price == D("90")


def test_an_order_that_is_refused_after_it_was_taken_is_rejected(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    broker.submit(limit("a-1-1"))
    one.books.reject(one.books.log.accepted("a-1-1")[0].order_id, "Trading in this security is halted.")
    report = ears.report("reject", "a-1-1")
    assert report.code == Rejection.SYMBOL_HALTED_THERE.value


def test_a_status_that_did_not_exist_yesterday_is_looked_up_and_never_guessed(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    one.faults.strange = "Quarantined"
    assert broker.submit(limit("a-1-1")).event is OrderEvent.ACCEPT, "the gateway has it among its open orders"
    one.books.price("SPY", "89", "89.5")
    ears.fill("a-1-1")
    assert ears.wait(lambda told: isinstance(told, Condition) and told.lost).code == "Quarantined"
    with pytest.raises(VenueNonsense, match="Quarantined"):
        broker.order("a-1-1")


@pytest.mark.parametrize("completed", [True, False])
def test_a_refused_order_that_is_listed_among_the_open_ones_does_not_work(
    one: IbkrStandIn, make: Make, monkeypatch: pytest.MonkeyPatch, completed: bool
) -> None:
    one.faults.rejection, one.faults.rejected, one.faults.inactive_listed = "not_shortable", 1, True
    make(one).submit(order("a-1-1"))
    if not completed:
        forgetful(monkeypatch)
    anew = IbkrBroker(terms(one, client_id=8))
    anew.open(Ears())
    assert anew.open_orders() == ()
    assert anew.order("a-1-1").report.event is OrderEvent.REJECT
    anew.close()


def test_an_order_whose_fate_is_refused_to_be_told_is_in_doubt_not_refused(
    one: IbkrStandIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no(self: Connection, ref: str) -> None:
        raise Refused(321, "Error validating request")

    broker = make(one)
    one.faults.strange = "Quarantined"
    monkeypatch.setattr(Connection, "order", no)
    with pytest.raises(VenueNonsense, match=r"order a-1-1 was sent, .* not told"):
        broker.submit(limit("a-1-1"))
    assert placed(one) == ["a-1-1"]


@pytest.mark.parametrize(("shares", "price"), [("-10", "100"), ("10", "-0.01"), ("nan", "100"), ("10", "inf")])
def test_an_execution_that_makes_no_sense_is_not_booked_and_everything_is_compared(
    one: IbkrStandIn, make: Make, monkeypatch: pytest.MonkeyPatch, shares: str, price: str
) -> None:
    tell = telling.execution

    def strange(*given: Any, **named: Any) -> Any:
        fields = list(tell(*given, **named))
        fields[19], fields[20] = shares, price
        return fields

    ears = Ears()
    broker = make(one, ears)
    monkeypatch.setattr(telling, "execution", strange)
    broker.submit(order("a-1-1"))
    assert ears.wait(lambda told: isinstance(told, Condition) and told.lost).code == "UNREADABLE"
    assert ears.of(VenueFill) == []


def test_an_execution_of_another_account_of_the_login_is_not_ours(
    one: IbkrStandIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = telling.execution

    def elsewhere(*given: Any, **named: Any) -> Any:
        fields = list(tell(*given, **named))
        fields[16] = "DU7654321"
        return fields

    ears = Ears()
    broker = make(one, ears)
    monkeypatch.setattr(telling, "execution", elsewhere)
    broker.submit(order("a-1-1"))
    ears.report("fill", "a-1-1")
    assert ears.of(VenueFill) == []


def test_an_order_that_the_system_has_cancelled_was_refused(one: IbkrStandIn, make: Make) -> None:
    one.faults.rejection, one.faults.rejected, one.faults.refused_as_cancelled = "not_shortable", 1, True
    make(one).submit(order("a-1-1"))
    anew = IbkrBroker(terms(one, client_id=8))
    anew.open(Ears())
    report = anew.order("a-1-1").report
    anew.close()
    assert (report.event, report.code) == (OrderEvent.REJECT, Rejection.NOT_SHORTABLE.value)


def test_an_execution_is_told_at_its_time_in_whichever_zone_the_gateway_writes_it(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    one.faults.utc_times = True
    broker.submit(order("a-1-1"))
    (execution,) = until(lambda: one.books.executions)
    assert ears.fill("a-1-1").time == execution.time // SECOND * SECOND
    assert [fill.time for fill in broker.fills(0)] == [ears.fill("a-1-1").time]


def test_a_gateway_that_tells_the_time_every_few_seconds_only_is_asked_no_more_often(
    one: IbkrStandIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "CLOCK_GAP", 0.3)
    broker = make(one, answer=0.5)
    one.faults.clock_gap = 0.25
    first = broker.clock()
    broker.beat()
    broker.beat()
    assert 0 <= broker.clock().time - first.time <= 2 * SECOND
    assert len(one.log.of("received", "49")) == 3


def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway no longer tells which orders have ended: it does so for a day."""
    monkeypatch.setattr(standin.Book, "completed", lambda self, api_only: [])


def test_an_end_that_was_heard_is_known_when_the_gateway_has_forgotten_it(
    one: IbkrStandIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears = Ears()
    broker = make(one, ears)
    broker.submit(limit("a-1-1"))
    broker.cancel("a-1-1")
    forgetful(monkeypatch)
    assert broker.order("a-1-1").report.event is OrderEvent.CANCEL
    broker.close()
    assert make(one).order("a-1-1").report.event is OrderEvent.ABSENT, "who has not heard it does not guess"


def test_an_order_that_worked_and_is_gone_is_absent_whatever_was_said_of_its_change(
    one: IbkrStandIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = make(one)
    broker.submit(limit("a-1-1"))
    one.faults.rejection, one.faults.rejected = "tick", 1
    assert broker.replace("a-1-1", Change(limit_price=D("90.001"))).event is OrderEvent.REJECT
    one.faults.losing = frozenset({"3", "4", "5"})
    one.books.cancel(one.books.log.accepted("a-1-1")[0].order_id)
    forgetful(monkeypatch)
    assert broker.order("a-1-1").report.event is OrderEvent.ABSENT


def test_an_order_that_filled_and_is_on_no_list_has_ended_with_its_fills(
    one: IbkrStandIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = make(one)
    broker.submit(order("a-1-1"))
    broker.close()
    forgetful(monkeypatch)
    answer = make(one).order("a-1-1")
    assert (answer.report.event, answer.report.filled) == (OrderEvent.CANCEL, D(10))
    assert [fill.quantity for fill in answer.fills] == [D(10)]


# --- what is told: lost, doubled, late --------------------------------------------------------------------------------


@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
def test_what_comes_twice_or_in_the_wrong_order_is_booked_once(
    one: IbkrStandIn, make: Make, doubled: bool, shuffled: bool
) -> None:
    ears = Ears()
    broker = make(one, ears)
    one.faults.doubled, one.faults.shuffled = doubled, shuffled
    assert broker.submit(order("a-1-1")).event is OrderEvent.ACCEPT
    assert ears.fill("a-1-1").commission == 1
    ears.report("fill", "a-1-1")
    assert len(ears.of(VenueFill)) == 1
    assert [fill.quantity for fill in broker.fills(0)] == [D(10)]


@pytest.mark.parametrize("kinds", ["3", "5", "11", "59", "3 5", "3 5 11 59"])
def test_what_is_lost_on_the_way_is_found_by_asking(one: IbkrStandIn, make: Make, kinds: str) -> None:
    broker = make(one, **SHORT)
    one.faults.losing = frozenset(kinds.split())
    if kinds.startswith("3 5"):
        with pytest.raises(VenueSilent):
            broker.submit(order("a-1-1"))
    else:
        assert broker.submit(order("a-1-1")).event is OrderEvent.ACCEPT
    answer = broker.order("a-1-1")
    assert (answer.report.event, answer.fills[0].quantity) == (OrderEvent.FILL, D(10))


def test_a_commission_that_comes_late_is_a_fee_of_its_own_and_cash_is_exact(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears, **SHORT)
    one.faults.commission_late = 0.5
    broker.submit(order("a-1-1"))
    fill = ears.fill("a-1-1")
    assert fill.commission == 0
    (fee,) = until(lambda: broker.activities(0))
    assert fee in ears.heard
    assert (fee.activity.cash, fee.activity.key) == (D(-1), f"{fill.fill_key}:commission")
    again = broker.fills(0)[0]
    assert (again.fill_key, again.commission) == (fill.fill_key, D(0)), "a fill is told the same each time"
    assert D(100_000) - fill.quantity * fill.price - fill.commission + fee.activity.cash == one.books.cash


# --- questions that are not answered ----------------------------------------------------------------------------------

QUESTIONS: dict[str, Any] = {
    "16": lambda broker: broker.open_orders(),
    "99": lambda broker: broker.order("a-1-1"),
    "7": lambda broker: broker.fills(0),
    "61": lambda broker: broker.positions(),
    "62": lambda broker: broker.account(),
    "49": lambda broker: broker.beat(),
}


@pytest.mark.parametrize("how", ["silent", "endless"])
@pytest.mark.parametrize("question", sorted(QUESTIONS))
def test_a_list_whose_end_does_not_come_is_no_answer_and_never_empty(
    one: IbkrStandIn, make: Make, question: str, how: str
) -> None:
    ears = Ears()
    broker = make(one, ears, **SHORT)
    setattr(one.faults, how, frozenset({question}))
    if (question, how) == ("49", "endless"):
        broker.beat()  # the time is all of its answer
        return
    with pytest.raises(VenueSilent, match=r"no answer within 0.4 s"):
        QUESTIONS[question](broker)
    if question in ("7", "62"):
        broker.beat()  # its late answer would say which question it is for
    else:
        ears.wait(lost)  # its late answer could be taken for the next one's


def test_what_waits_in_the_librarys_queue_ends_with_the_connection(one: IbkrStandIn, make: Make) -> None:
    broker = make(one)
    made = broker._connection
    assert made is not None
    made.line.client.throttleStart.emit()  # too many messages at once
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(ask, broker) for ask in QUESTIONS.values()]
        until(lambda: len(made.questions._asked) == 5)
        one.hang_up()
        for answer in asked:
            with pytest.raises(VenueSilent, match="ended"):
                answer.result(2)


def test_who_asks_in_the_moment_in_which_it_is_closed_has_asked_nothing(one: IbkrStandIn, make: Make) -> None:
    broker = make(one)
    loop, made = broker._loop, broker._connection
    assert loop is not None
    broker.close()
    until(loop.is_closed)
    broker._loop, broker._connection = loop, made  # as a thread has read them just before
    with pytest.raises(VenueDown, match="no connection"):
        broker.submit(order("a-1-1"))


@pytest.mark.parametrize("question", ["16", "99", "7"])
def test_who_does_not_tell_its_orders_at_the_start_is_not_open(one: IbkrStandIn, make: Make, question: str) -> None:
    broker = make(one, opened=False, **SHORT)
    one.faults.silent = frozenset({question})
    with pytest.raises(VenueSilent):
        broker.open(Ears())
    one.faults.silent = frozenset()
    broker.open(Ears())
    assert broker.open_orders() == ()


def test_a_half_open_connection_is_found_by_the_heartbeat_and_left(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears, **SHORT)
    broker.beat()
    one.faults.half_open = True
    with pytest.raises(VenueSilent):
        broker.beat()
    broker.close()
    broker.close()
    one.faults.half_open = False
    broker.open(ears)
    assert broker.submit(order("a-1-1")).event is OrderEvent.ACCEPT


def test_a_close_ends_what_is_asked_in_other_threads(one: IbkrStandIn, make: Make) -> None:
    broker, errors = make(one, answer=30.0), []
    one.faults.silent = frozenset({"61"})

    def ask() -> None:
        try:
            broker.positions()
        except VenueError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: one.log.of("received", "61"))
    broker.close()
    thread.join(5)
    assert [type(error) for error in errors] == [VenueSilent]


def test_a_connection_that_we_close_is_not_lost(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    broker.close()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "ibkr"])
    assert ears.of(Lost) == []


def test_no_thread_is_left_of_connections_that_have_ended(one: IbkrStandIn, make: Make) -> None:
    broker = make(one, opened=False)
    for _ in range(3):
        broker.open(Ears())
        broker.close()
    one.faults.silent = frozenset({"16"})
    with pytest.raises(VenueSilent):
        make(one, opened=False, **SHORT).open(Ears())
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "ibkr"])


def test_without_a_connection_nothing_is_sent(one: IbkrStandIn, make: Make) -> None:
    broker = make(one, opened=False)
    broker.close()
    asked: list[Any] = [
        lambda: broker.submit(order()), lambda: broker.cancel("a"), lambda: broker.order("a"), broker.open_orders,
        lambda: broker.fills(0), broker.positions, broker.account, broker.clock, broker.beat,
    ]  # fmt: skip
    for ask in asked:
        with pytest.raises(VenueDown, match="there is no connection"):
            ask()
    assert one.log.of("connected") == []


def test_a_message_that_cannot_be_read_calls_for_a_comparison(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    body = b"11\x00-1\x00not an execution\x00"
    one.push_raw(len(body).to_bytes(4, "big") + body)
    told = ears.wait(lambda heard: isinstance(heard, Condition))
    assert (told.code, told.lost, told.state) == ("UNREADABLE", True, LinkState.READY)
    assert broker.submit(order("a-1-1")).event is OrderEvent.ACCEPT


def test_an_answer_with_a_message_that_cannot_be_read_is_none(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    one.faults.endless = frozenset({"16"})
    errors = []

    def ask() -> None:
        try:
            broker.open_orders()
        except VenueError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: len(one.log.of("received", "16")) == 2)  # one at the start, and this one
    body = b"5\x001\x00an order of a kind that nobody knows\x00"
    one.push_raw(len(body).to_bytes(4, "big") + body)
    thread.join(5)
    assert [type(error) for error in errors] == [VenueNonsense]
    assert ears.of(Condition) == [], "who asked knows; to compare anew would ask the same again, for ever"


def test_a_status_that_says_nothing_is_looked_for_once(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    broker.submit(limit("a-1-1"))
    one.faults.strange = "Quarantined"
    for _ in range(3):
        assert [seen.order_id for seen in broker.open_orders()] == ["a-1-1"]
    assert len(ears.of(Condition)) == 1


def test_an_account_that_the_login_does_not_have_is_refused_by_name(one: IbkrStandIn, make: Make) -> None:
    broker = make(one, opened=False, account="U7654321")
    with pytest.raises(VenueRefused, match="no account U7654321") as caught:
        broker.open(Ears())
    assert "DU1234567" in caught.value.hint


def test_nobody_there_and_nobody_speaking_are_told_apart(one: IbkrStandIn, make: Make) -> None:
    one.faults.refuse = True
    with pytest.raises(VenueSilent, match="took the connection and does not answer"):
        make(one, opened=False).open(Ears())
    nobody = IbkrBroker(terms(one, port=1))
    with pytest.raises(VenueDown, match=r"127.0.0.1:1 cannot be reached") as caught:
        nobody.open(Ears())
    assert "is the gateway running?" in caught.value.hint
