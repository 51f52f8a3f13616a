"""The broker against the stand-in, over real sockets, with everything wrong that can be: no order twice, none lost."""

from __future__ import annotations

import socket
import threading
import time
from decimal import Decimal
from typing import Any

import pytest

from appliance.domain.messages import VenueFill, VenueReport
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import OrderType, TimeInForce
from appliance.domain.venue import LinkState, Rejection
from appliance.errors import (
    VenueBusy,
    VenueDown,
    VenueError,
    VenueNonsense,
    VenueRefused,
    VenueSilent,
)
from appliance.venues.alpaca import AlpacaBroker, AlpacaBrokerOptions
from appliance.venues.alpaca.client import Requests
from appliance.venues.base import Change, Condition, Lost
from tests.standins.alpaca import AlpacaTrading
from tests.venues.alpaca.conftest import Broker, Ear, wanted

D = Decimal
E = OrderEvent
LIMIT: dict[str, Any] = {"type": OrderType.LIMIT, "limit_price": D("50"), "time_in_force": TimeInForce.GTC}
AFTER = ["504 after", "502 after", "html after", "empty after", "timeout after", "cut after"]
BEFORE = [
    "504 before", "500 before", "502 before", "503 before", "html before", "timeout before", "cut before",
]  # fmt: skip


# --- an order whose answer does not come -----------------------------------------------------------


@pytest.mark.parametrize("fault", AFTER)
def test_an_order_that_was_taken_and_not_answered_is_in_doubt_and_found_by_its_id(
    broker: AlpacaBroker, alpaca: AlpacaTrading, fault: str
) -> None:
    alpaca.faults.next(fault)
    with pytest.raises(VenueSilent):
        broker.submit(wanted(**LIMIT))
    assert posts(alpaca) == 1  # alpaca-py would have sent it four times
    assert broker.order("trend-1-1").report.event is E.ACCEPT
    assert broker.submit(wanted(**LIMIT)).event is E.ACCEPT
    assert len(alpaca.books.log.accepted()) == 1


def posts(alpaca: AlpacaTrading) -> int:
    return sum(entry.facts["method"] == "POST" for entry in alpaca.log.of("request", "/v2/orders"))


@pytest.mark.parametrize("fault", BEFORE)
def test_an_order_that_never_arrived_is_in_doubt_absent_and_may_be_sent_again(
    broker: AlpacaBroker, alpaca: AlpacaTrading, fault: str
) -> None:
    alpaca.faults.next(fault)
    with pytest.raises(VenueSilent):
        broker.submit(wanted(**LIMIT))
    assert posts(alpaca) == 1
    assert broker.order("trend-1-1").report.event is E.ABSENT
    assert not alpaca.books.log.accepted()
    assert broker.submit(wanted(**LIMIT)).event is E.ACCEPT
    assert len(alpaca.books.log.accepted()) == 1


@pytest.mark.parametrize("cut", [1, 40, 200, 400, 550])
@pytest.mark.parametrize("end", [True, False])
def test_an_answer_cut_at_any_byte_is_a_doubt_and_never_a_rejection(
    broker: AlpacaBroker, alpaca: AlpacaTrading, cut: int, end: bool
) -> None:
    alpaca.faults.next("cut after", cut=cut, end=end)
    with pytest.raises(VenueSilent):
        broker.submit(wanted(**LIMIT))
    assert broker.order("trend-1-1").report.event is E.ACCEPT
    assert len(alpaca.books.log.accepted()) == 1


def test_an_order_that_comes_late_after_a_504_is_found_in_the_end(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    alpaca.faults.next("504 late")
    with pytest.raises(VenueSilent):
        broker.submit(wanted(**LIMIT))
    assert broker.order("trend-1-1").report.event is E.ABSENT  # which is not final, as its traits say
    alpaca.books.log.until(lambda records: [one for one in records if one.kind == "accepted"])
    assert broker.order("trend-1-1").report.event is E.ACCEPT


def test_an_answer_that_drips_ends_at_the_deadline(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    alpaca.faults.drip = 0.2
    began = time.monotonic()
    with pytest.raises(VenueSilent, match="no whole answer"):
        broker.submit(wanted(**LIMIT))
    assert time.monotonic() - began < 3


def test_a_slow_answer_is_an_answer(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    alpaca.faults.next("slow", after=0.3)
    assert broker.submit(wanted(**LIMIT)).event is E.ACCEPT


def test_an_id_that_is_taken_and_cannot_be_looked_up_is_a_doubt(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    alpaca.faults.next("duplicate")
    with pytest.raises(VenueSilent, match="not found"):
        broker.submit(wanted(**LIMIT))
    for then in ("429", "404"):
        alpaca.faults.next("duplicate")
        alpaca.faults.next("429", on="GET /v2/orders:by", status=int(then), body={"message": "no", "code": 1})
        with pytest.raises(VenueSilent, match="may have been done"):
            broker.submit(wanted(**LIMIT))


def test_an_id_that_is_taken_while_the_keys_expire_is_a_doubt_and_ends_the_connection(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    alpaca.faults.next("duplicate")
    alpaca.faults.next("401", on="GET /v2/orders:by", status=401, body={"message": "unauthorized"})
    with pytest.raises(VenueSilent, match="may have been done"):
        broker.submit(wanted(**LIMIT))
    assert ear.until(Lost).state is LinkState.REFUSED


def test_an_order_that_cannot_be_found_yet_is_absent_for_now(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    alpaca.faults.orders_lag = 3600
    broker.submit(wanted(**LIMIT))
    assert broker.order("trend-1-1").report.event is E.ABSENT
    alpaca.faults.clear()
    assert broker.order("trend-1-1").report.event is E.ACCEPT


def test_a_connection_that_does_not_come_about_has_sent_nothing(make: Broker, ear: Ear) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(VenueDown, match=f"{nobody.removeprefix('http://')} cannot be reached"):
        make(url=nobody).open(ear)
    options = AlpacaBrokerOptions(key="k", secret="s", url=nobody, connect=0.3)
    with pytest.raises(VenueDown):
        Requests(options, time.time_ns, lambda left, until: None).ask("POST", "/orders", {})


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("buying power", "BUYING_POWER"), ("held", "QUANTITY_HELD"), ("wash trade", "WASH_TRADE"),
        ("wash trade 422", "WASH_TRADE"), ("minimum", "QUANTITY"), ("opposite", "WASH_TRADE"),
        ("blocked", "NOT_ALLOWED"), ("suspended", "NOT_ALLOWED"), ("closed", "MARKET_CLOSED"),
        ("halted", "SYMBOL_HALTED_THERE"), ("not fractionable", "QUANTITY"), ("not shortable", "NOT_SHORTABLE"),
        ("new code", "OTHER"),
    ],
)  # fmt: skip
def test_each_refusal_is_a_rejection_with_its_code(
    broker: AlpacaBroker, alpaca: AlpacaTrading, fault: str, code: str
) -> None:
    alpaca.faults.next(fault)
    report = broker.submit(wanted())
    assert (report.event, report.code) == (E.REJECT, Rejection(code))
    assert report.text


def test_an_order_rejected_after_it_was_taken_is_told(broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear) -> None:
    alpaca.faults.reject_later = 1
    broker.submit(wanted(**LIMIT))
    assert ear.until(VenueReport, event=E.REJECT).order_id == "trend-1-1"
    assert broker.order("trend-1-1").report.event is E.REJECT


def test_too_many_requests_is_certainly_not_done_and_says_when_it_may_be(
    broker: AlpacaBroker, alpaca: AlpacaTrading
) -> None:
    alpaca.faults.next("429")
    with pytest.raises(VenueBusy) as busy:
        broker.submit(wanted())
    assert 1_000_000_000 <= busy.value.wait <= 62_000_000_000
    assert broker.order("trend-1-1").report.event is E.ABSENT
    alpaca.faults.next("429")
    broker.beat()  # it is there


def test_each_answer_tells_how_many_requests_are_left(broker: AlpacaBroker) -> None:
    told: list[tuple[int, int]] = []
    broker.limits = lambda left, until: told.append((left, until))
    broker.positions()
    broker.positions()
    (first, until), (second, _) = told
    assert first - second == 1
    assert abs(until - time.time_ns()) <= 61_000_000_000


def test_keys_that_expire_while_it_runs_end_the_connection_once(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    alpaca.expire_keys()
    for _ in range(2):
        with pytest.raises(VenueRefused) as refused:
            broker.submit(wanted())
    assert refused.value.hint
    (lost,) = ear.of(Lost)
    assert lost.state is LinkState.REFUSED
    assert not alpaca.books.log.accepted()
    alpaca.renew_keys()
    broker.open(ear)
    broker.beat()


@pytest.mark.parametrize("fault", ["401", "403"])
def test_an_account_that_does_not_let_us_in_refuses_us_at_the_door(
    make: Broker, alpaca: AlpacaTrading, ear: Ear, fault: str
) -> None:
    alpaca.faults.next(fault)
    with pytest.raises(VenueRefused, match="refuses key"):
        make().open(ear)
    assert ear.heard == []


def test_an_account_that_is_blocked_or_in_other_money_refuses_us_at_the_door(
    make: Broker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    for change, said in (
        ({"account_blocked": True}, "account status"), ({"status": "ACCOUNT_CLOSED"}, "account status"),
        ({"currency": "EUR"}, "in EUR"),
    ):  # fmt: skip
        alpaca.rest.account = change
        with pytest.raises(VenueRefused, match=said):
            make().open(ear)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"busy": True}, VenueBusy),
        ({"reset": True}, VenueSilent),
        ({"broken": 502}, VenueSilent),
        ({"html": True}, VenueNonsense),
    ],
)
def test_a_door_that_does_not_open_says_why(
    make: Broker, alpaca: AlpacaTrading, ear: Ear, fault: dict[str, Any], kind: type[VenueError]
) -> None:
    for name, value in fault.items():
        setattr(alpaca.faults, name, value)
    with pytest.raises(kind):
        make().open(ear)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [({"taken": True}, VenueBusy), ({"deaf": True}, VenueSilent), ({"garbled": True}, VenueNonsense)],
)
def test_a_stream_that_does_not_listen_says_why(
    make: Broker, alpaca: AlpacaTrading, ear: Ear, fault: dict[str, Any], kind: type[VenueError]
) -> None:
    for name, value in fault.items():
        setattr(alpaca.faults, name, value)
    began = time.monotonic()
    broker = make()
    with pytest.raises(kind):
        broker.open(ear)
    assert time.monotonic() - began < 5
    with pytest.raises(VenueDown):
        broker.positions()


# --- the stream -----------------------------------------------------------------------------------


def test_a_stream_that_is_cut_is_lost_once_and_questions_go_on(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    alpaca.hang_up()
    lost = ear.until(Lost)
    assert (lost.state, type(lost.error)) == (LinkState.DOWN, VenueDown)
    with pytest.raises(VenueDown, match="stream"):
        broker.beat()
    assert broker.positions() == {}  # a cancel would get through as well
    assert len(ear.of(Lost)) == 1


def test_a_half_open_link_is_found_by_its_pings_and_can_be_closed(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    alpaca.freeze()
    began = time.monotonic()
    ear.until(Lost)
    assert time.monotonic() - began < 3
    with pytest.raises(VenueSilent):
        broker.beat()
    began = time.monotonic()
    broker.close()
    assert time.monotonic() - began < 3.5
    alpaca.thaw()
    broker.open(ear)
    broker.beat()


def test_a_cancel_does_not_wait_for_an_order_that_hangs(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    resting = broker.submit(wanted("rest", **LIMIT))
    alpaca.faults.next("timeout before")
    doubts: list[VenueError] = []

    def hang() -> None:
        try:
            broker.submit(wanted("hang", **LIMIT))
        except VenueError as error:
            doubts.append(error)

    hanging = threading.Thread(target=hang)
    hanging.start()
    alpaca.log.until(lambda entries: [one for one in entries if "hang" in str(one)])
    began = time.monotonic()
    assert broker.cancel("rest", resting.venue_id) is None
    assert time.monotonic() - began < 0.3
    hanging.join(5)
    assert [type(one) for one in doubts] == [VenueSilent]


def test_events_told_twice_and_in_the_wrong_order_are_the_same_fills(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    resting = broker.submit(wanted(**LIMIT))
    ear.until(VenueReport)
    alpaca.faults.twice = True  # type: ignore[attr-defined]
    alpaca.faults.swapped_events = 1
    for quantity in (3, 7):
        alpaca.books.fill(resting.venue_id, quantity, "50")
    ear.until(VenueFill, 4)
    told = {fill.fill_key: fill.quantity for fill in ear.of(VenueFill)}
    assert sorted(told.values()) == [D(3), D(7)]
    assert set(told) == {fill.fill_key for fill in broker.fills(0)}


def test_a_fill_whose_event_is_lost_is_in_the_list_and_in_the_answer(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    resting = broker.submit(wanted(**LIMIT))
    ear.until(VenueReport)
    alpaca.faults.lost_events = 1
    alpaca.books.fill(resting.venue_id, 4, "50")
    alpaca.books.fill(resting.venue_id, 6, "50")
    ear.until(VenueFill)
    assert ear.until(VenueReport, filled=D(10)).order_id == "trend-1-1"  # more than was heard: the core asks
    assert [fill.quantity for fill in broker.order("trend-1-1").fills] == [D(4), D(6)]


@pytest.mark.parametrize("text", [True, False])
def test_frames_are_read_whether_binary_or_text(make: Broker, alpaca: AlpacaTrading, ear: Ear, text: bool) -> None:
    alpaca.faults.text_frames = text
    broker = make()
    broker.open(ear)
    broker.submit(wanted())
    assert ear.until(VenueFill).quantity == D(10)


@pytest.mark.parametrize(
    "frame",
    [b"{ no JSON", b"\xff\x00", "[]", '{"stream":"trade_updates"}', '{"stream":"trade_updates","data":{"event":7}}'],
)
def test_a_frame_that_cannot_be_read_is_a_reason_to_compare_and_the_stream_goes_on(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear, frame: bytes | str
) -> None:
    alpaca.raw(frame)
    assert ear.until(Condition).lost
    broker.submit(wanted())
    ear.until(VenueFill)


def test_an_event_and_a_status_that_did_not_exist_yesterday_are_told_and_harm_nothing(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    alpaca.faults.new_status = "hibernating"
    alpaca.faults.new_event = "hibernated"
    assert broker.submit(wanted(**LIMIT)).event is E.ACCEPT
    for _ in range(3):
        assert broker.order("trend-1-1").report.event is E.ACCEPT
    assert [one.order_id for one in broker.open_orders()] == ["trend-1-1"]
    ear.until(Condition, lost=True)
    by_answer = [one for one in ear.of(Condition) if one.text.startswith("order trend-1-1")]
    assert len(by_answer) == 1  # or every look would be a reason for the next


def test_no_answer_is_never_an_empty_list(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    broker.submit(wanted())
    broker.submit(wanted("rest", **LIMIT))
    alpaca.books.split("SPY", 2, 1)
    calls = (
        broker.positions,
        broker.open_orders,
        lambda: broker.fills(0),
        lambda: broker.activities(0),
        broker.account,
    )
    for fault in ({"html": True}, {"broken": 503}, {"damaged": "json"}, {"damaged": "short"}, {"damaged": "gzip"}):
        for name, value in fault.items():
            setattr(alpaca.faults, name, value)
        for call in calls:
            with pytest.raises(VenueSilent):
                call()
        alpaca.faults.clear()


# --- cancels and changes that race -----------------------------------------------------------------


def test_a_cancel_that_loses_the_race_ends_in_the_fill(broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear) -> None:
    resting = broker.submit(wanted(**LIMIT))
    alpaca.faults.cancel_loses = 1
    assert broker.cancel("trend-1-1", resting.venue_id) is None
    assert ear.until(VenueFill).quantity == D(10)
    again = broker.cancel("trend-1-1", resting.venue_id)
    assert again is not None
    assert (again.event, again.filled) == (E.ACCEPT, D(10))


def test_a_fill_after_the_cancel_is_told_by_the_stream_and_by_the_list(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    resting = broker.submit(wanted(**LIMIT))
    alpaca.faults.late_fill = 1
    broker.cancel("trend-1-1", resting.venue_id)
    fill = ear.until(VenueFill)
    assert [one.fill_key for one in broker.fills(0)] == [fill.fill_key]


def test_an_order_that_filled_in_part_and_was_cancelled_there_says_how_much(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    alpaca.faults.partial_then_cancel = 1
    broker.submit(wanted(**LIMIT))
    report = ear.until(VenueReport, event=E.CANCEL)
    assert report.filled == D(5)
    answer = broker.order("trend-1-1")
    assert (answer.report.event, answer.report.filled) == (E.CANCEL, D(5))
    assert sum(fill.quantity for fill in answer.fills) == D(5)


def test_fills_that_are_listed_late_are_missing_and_not_made_up(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    alpaca.faults.activities_lag = 3600
    broker.submit(wanted())
    answer = broker.order("trend-1-1")
    assert (answer.report.filled, answer.fills) == (D(10), ())  # the core goes on asking
    alpaca.faults.clear()
    assert [fill.quantity for fill in broker.order("trend-1-1").fills] == [D(10)]


def test_a_cancel_that_stays_pending_leaves_the_order_open(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    resting = broker.submit(wanted(**LIMIT))
    alpaca.faults.cancel_hangs = 1
    assert broker.cancel("trend-1-1", resting.venue_id) is None
    assert broker.order("trend-1-1").report.event is E.ACCEPT


def test_a_change_that_loses_to_the_fill_leaves_the_fill(broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear) -> None:
    broker.submit(wanted(**LIMIT))
    alpaca.faults.replace_loses = 1
    broker.replace("trend-1-1", Change(limit_price=D(51)))
    fill = ear.until(VenueFill)
    answer = broker.order("trend-1-1")
    assert (answer.report.event, answer.report.filled) == (E.ACCEPT, D(10))
    assert [one.fill_key for one in answer.fills] == [fill.fill_key]


@pytest.mark.parametrize("fault", ["504 after", "timeout after", "cut after"])
def test_a_change_without_an_answer_is_a_doubt_and_keeps_our_id(
    broker: AlpacaBroker, alpaca: AlpacaTrading, fault: str
) -> None:
    first = broker.submit(wanted(**LIMIT))
    alpaca.faults.next(fault, on="PATCH")
    with pytest.raises(VenueSilent):
        broker.replace("trend-1-1", Change(limit_price=D(51)))
    (shown,) = broker.open_orders()
    assert (shown.order_id, shown.limit_price) == ("trend-1-1", D(51))
    assert broker.replace("trend-1-1", Change(limit_price=D(52)), first.venue_id).event is E.ACCEPT
    (shown,) = broker.open_orders()
    assert shown.limit_price == D(52)
