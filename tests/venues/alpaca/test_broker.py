"""The broker against the stand-in, over real sockets: all is well there, and says so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from appliance.domain.messages import VenueFill, VenueReport
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import ActivityKind, OrderType, Side, TimeInForce, Trail
from appliance.errors import VenueDown
from appliance.venues.alpaca import AlpacaBroker
from appliance.venues.base import Change, Lost
from tests.standins.alpaca import AlpacaTrading
from tests.venues.alpaca.conftest import Broker, Ear, wanted

D = Decimal
E = OrderEvent
LIMIT: dict[str, Any] = {"type": OrderType.LIMIT, "limit_price": D("50"), "time_in_force": TimeInForce.GTC}


def ended(broker: AlpacaBroker, order_id: str) -> tuple[OrderEvent, Decimal]:
    report = broker.order(order_id).report
    return report.event, report.filled


# --- orders ---------------------------------------------------------------------------------------


def test_a_market_order_is_taken_once_and_its_fill_is_told_by_stream_and_by_question_alike(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    report = broker.submit(wanted())
    assert (report.event, report.order_id) == (E.ACCEPT, "trend-1-1")
    told = ear.until(VenueFill)
    (accepted,) = alpaca.books.log.accepted()
    assert accepted.client_id == "trend-1-1"
    answer = broker.order("trend-1-1")
    (listed,) = broker.fills(0)
    assert {told.fill_key} == {listed.fill_key} == {fill.fill_key for fill in answer.fills}
    assert (listed.order_id, listed.quantity, listed.price) == ("trend-1-1", D(10), D("100.01"))
    assert (answer.report.event, answer.report.filled) == (E.ACCEPT, D(10))
    assert broker.positions() == {"SPY": D(10)} == alpaca.books.positions
    assert broker.account().cash == alpaca.books.cash == D("98999.9")


def test_partial_fills_have_keys_of_their_own_and_add_up(broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear) -> None:
    report = broker.submit(wanted(**LIMIT))
    for quantity in (3, 5, 2):
        alpaca.books.fill(report.venue_id, quantity, "50")
    ear.until(VenueFill, 3)
    fills = ear.of(VenueFill)
    assert [fill.fill_key.partition(":")[2] for fill in fills] == ["3", "8", "10"]
    assert [fill.fill_key for fill in broker.fills(0)] == [fill.fill_key for fill in fills]
    assert [fill.fill_key for fill in broker.order("trend-1-1").fills] == [fill.fill_key for fill in fills]


def test_a_cancel_is_asked_for_and_its_end_is_told(broker: AlpacaBroker, ear: Ear) -> None:
    report = broker.submit(wanted(**LIMIT))
    (resting,) = broker.open_orders()
    assert (resting.order_id, resting.venue_id, resting.limit_price) == ("trend-1-1", report.venue_id, D(50))
    assert (resting.type, resting.time_in_force, resting.quantity) == (OrderType.LIMIT, TimeInForce.GTC, D(10))
    assert broker.cancel("trend-1-1", report.venue_id) is None
    assert ear.until(VenueReport, event=E.CANCEL).order_id == "trend-1-1"
    assert broker.open_orders() == ()
    assert ended(broker, "trend-1-1") == (E.CANCEL, D(0))


def test_a_cancel_finds_its_order_without_alpacas_id_also_after_a_restart(broker: AlpacaBroker, make: Broker) -> None:
    broker.submit(wanted(**LIMIT))
    fresh = make()
    fresh.open(Ear())
    assert fresh.cancel("trend-1-1") is None
    assert ended(fresh, "trend-1-1") == (E.CANCEL, D(0))


def test_a_cancel_of_what_has_ended_says_how_it_ended(broker: AlpacaBroker) -> None:
    filled = broker.submit(wanted())
    report = broker.cancel("trend-1-1", filled.venue_id)
    assert report is not None
    assert (report.event, report.filled) == (E.ACCEPT, D(10))
    absent = broker.cancel("trend-1-9")
    assert absent is not None
    assert absent.event is E.ABSENT


def test_an_order_nobody_knows_is_absent(broker: AlpacaBroker) -> None:
    answer = broker.order("trend-1-7")
    assert (answer.report.event, answer.fills) == (E.ABSENT, ())


def test_an_order_sent_twice_is_one_order_and_its_state_is_the_answer(
    broker: AlpacaBroker, alpaca: AlpacaTrading
) -> None:
    first = broker.submit(wanted(**LIMIT))
    again = broker.submit(wanted(**LIMIT))
    assert (again.event, again.venue_id) == (E.ACCEPT, first.venue_id)
    assert len(alpaca.books.log.accepted("trend-1-1")) == 1


def test_an_order_that_has_our_id_and_other_content_is_told_of(broker: AlpacaBroker, ear: Ear) -> None:
    broker.submit(wanted(**LIMIT))
    report = broker.submit(wanted(quantity="11", **LIMIT))
    assert report.event is E.ACCEPT
    assert "qty 10 there, 11 here" in report.text
    assert any("other content" in one.text for one in ear.heard if getattr(one, "lost", False))


@pytest.mark.parametrize(
    "given",
    [
        {"type": OrderType.STOP, "side": Side.SELL, "stop_price": D("90")},
        {"type": OrderType.STOP_LIMIT, "stop_price": D("110"), "limit_price": D("111")},
        {"type": OrderType.TRAILING_STOP, "side": Side.SELL, "trail": Trail(D("1.5"))},
        {"type": OrderType.TRAILING_STOP, "side": Side.SELL, "trail": Trail(D("2"), percent=True)},
    ],
)
def test_every_kind_of_order_is_taken_as_it_was_meant(
    broker: AlpacaBroker, alpaca: AlpacaTrading, given: dict[str, Any]
) -> None:
    broker.submit(wanted("hold", "10"))
    assert broker.submit(wanted(**given, time_in_force=TimeInForce.GTC)).event is E.ACCEPT
    (shown,) = broker.open_orders()
    assert (shown.type, shown.side) == (given["type"], given.get("side", Side.BUY))
    (there,) = (one for one in alpaca.books.orders.values() if one.client_id == "trend-1-1")
    trail = given.get("trail")
    if trail is not None:
        assert (there.trail_percent if trail.percent else there.trail) == trail.distance
        assert shown.stop_price is not None
        assert broker.order("trend-1-1").report.stop == shown.stop_price
    else:
        assert (there.stop_price, there.limit_price) == (given["stop_price"], given.get("limit_price"))


def test_crypto_and_parts_of_shares_are_counted_to_the_last_digit(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    alpaca.books.price("BTC/USD", "50000", "50000.5")
    assert broker.submit(wanted("coins", "0.000000001", symbol="BTC/USD")).event is E.ACCEPT
    assert broker.submit(wanted("part", "0.123456789")).event is E.ACCEPT
    assert broker.positions() == {"BTC/USD": D("0.000000001"), "SPY": D("0.123456789")}
    assert {fill.symbol for fill in broker.fills(0)} == {"BTC/USD", "SPY"}
    assert abs(broker.account().cash - alpaca.books.cash) < D("1e-9")  # it is told with nine digits


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"quantity": "1000000"}, "BUYING_POWER"), ({"symbol": "NOPE"}, "UNKNOWN_SYMBOL"),
        ({"type": OrderType.LIMIT, "limit_price": D("50.005")}, "PRICE"),
        ({"side": Side.SELL, "quantity": "0.5"}, "NOT_SHORTABLE"),
        ({"time_in_force": TimeInForce.GTC, "quantity": "0.5"}, "UNSUPPORTED"),
    ],
)  # fmt: skip
def test_an_order_that_is_refused_has_a_code_and_alpacas_own_words(
    broker: AlpacaBroker, alpaca: AlpacaTrading, given: dict[str, Any], code: str
) -> None:
    report = broker.submit(wanted(**given))
    assert (report.event, report.code) == (E.REJECT, code)
    assert report.text
    assert not alpaca.books.log.accepted()


# --- changes --------------------------------------------------------------------------------------


def test_a_changed_order_keeps_our_id_and_its_fills_are_ours(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    first = broker.submit(wanted(**LIMIT))
    changed = broker.replace("trend-1-1", Change(limit_price=D("51")), first.venue_id)
    assert (changed.event, changed.order_id, changed.filled) == (E.ACCEPT, "trend-1-1", D(0))
    assert changed.venue_id != first.venue_id
    alpaca.books.fill(changed.venue_id, 4, "51")
    last = alpaca.books.replace(changed.venue_id, "made-on-the-web-page", limit_price="52")
    (shown,) = broker.open_orders()
    assert (shown.order_id, shown.quantity, shown.filled, shown.limit_price) == ("trend-1-1", D(10), D(4), D(52))
    alpaca.books.fill(last.id, 6, "51")
    assert ear.until(VenueFill, 2).order_id == "trend-1-1"
    ear.until(VenueReport, filled=D(10))
    answer = broker.order("trend-1-1")
    assert [fill.quantity for fill in answer.fills] == [D(4), D(6)]
    assert {fill.order_id for fill in broker.fills(0)} == {"trend-1-1"}


def test_an_order_changed_twice_is_cancelled_by_its_first_id(broker: AlpacaBroker, make: Broker, ear: Ear) -> None:
    first = broker.submit(wanted(**LIMIT))
    broker.replace("trend-1-1", Change(limit_price=D("51")))
    broker.replace("trend-1-1", Change(quantity=D(7)))
    fresh = make()
    fresh.open(Ear())
    (shown,) = fresh.open_orders()
    assert (shown.order_id, shown.quantity, shown.limit_price) == ("trend-1-1", D(7), D(51))
    assert fresh.cancel("trend-1-1", first.venue_id) is None  # Alpaca's id of the first is what the journal has
    assert ended(fresh, "trend-1-1") == (E.CANCEL, D(0))
    assert ear.until(VenueReport, event=E.CANCEL).order_id == "trend-1-1"


def test_an_order_changed_by_its_owners_hand_is_still_ours(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    first = broker.submit(wanted(**LIMIT))
    alpaca.books.replace(first.venue_id, "made-on-the-web-page", limit_price="52")
    (shown,) = broker.open_orders()
    assert (shown.order_id, shown.limit_price) == ("trend-1-1", D(52))
    assert broker.cancel("trend-1-1", first.venue_id) is None
    assert ended(broker, "trend-1-1") == (E.CANCEL, D(0))


def test_a_change_that_cannot_be_is_refused_and_the_order_stays(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    first = broker.submit(wanted(**LIMIT))
    refused = broker.replace("trend-1-1", Change(limit_price=D("50.005")))
    assert (refused.event, refused.code) == (E.REJECT, "PRICE")
    alpaca.books.fill(first.venue_id, 4, "50")
    assert "filled in part" in broker.replace("trend-1-1", Change(limit_price=D(51))).text
    alpaca.books.fill(first.venue_id, 6, "50")
    assert "filled already" in broker.replace("trend-1-1", Change(limit_price=D(52))).text
    assert broker.replace("trend-1-8", Change(limit_price=D(52))).event is E.ABSENT
    long_id = "x" * 47
    broker.submit(wanted(long_id, **LIMIT))
    assert "no room" in broker.replace(long_id, Change(limit_price=D(52))).text
    assert [one.order_id for one in broker.open_orders()] == [long_id]


def test_an_id_that_alpaca_would_not_take_is_not_sent(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    assert broker.submit(wanted("x" * 49)).event is E.REJECT
    assert not alpaca.books.log.accepted()


# --- the account ----------------------------------------------------------------------------------


def test_strangers_orders_and_fills_are_shown_under_their_own_names(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    alpaca.books.place("web-1", "SPY", "buy", 2)
    alpaca.books.place("web-2", "SPY", "buy", 3, type="limit", limit_price="40")
    assert ear.until(VenueFill).order_id == "web-1"
    assert [one.order_id for one in broker.open_orders()] == ["web-2"]
    assert [fill.order_id for fill in broker.fills(0)] == ["web-1"]


def test_many_orders_and_many_fills_come_page_by_page(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    alpaca.books.price("SPY", "10", "10.01")
    for n in range(510):
        alpaca.books.place(f"rest-{n}", "SPY", "buy", 1, type="limit", limit_price="1")
    for n in range(203):
        alpaca.books.place(f"fill-{n}", "SPY", "buy", 1)
    assert len({one.order_id for one in broker.open_orders()}) == 510
    fills = broker.fills(0)
    assert len({fill.fill_key for fill in fills}) == len({fill.order_id for fill in fills}) == 203


def test_the_orders_of_many_fills_are_named_in_few_questions(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    for n in range(620):
        alpaca.books.place(f"fill-{n}", "SPY", "buy", 1)
    before = len(alpaca.log.of("request"))
    assert {fill.order_id for fill in broker.fills(0)} == {f"fill-{n}" for n in range(620)}
    assert len(alpaca.log.of("request")) - before <= 7 + 2


def test_a_short_position_is_negative(broker: AlpacaBroker) -> None:
    broker.submit(wanted(side=Side.SELL))
    assert broker.positions() == {"SPY": D(-10)}


def test_what_happens_without_an_order_is_an_activity(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    broker.submit(wanted())
    alpaca.books.dividend("SPY", "0.5")
    alpaca.books.split("SPY", 2, 1)
    alpaca.books.fee("1.2")
    alpaca.books.interest("0.3")
    alpaca.books.transfer(cash="1000")
    alpaca.books.transfer("SPY", 5)
    alpaca.books.rename("SPY", "SPX")
    told = {one.activity.kind: one.activity for one in broker.activities(0)}
    assert (told[ActivityKind.DIVIDEND].cash, told[ActivityKind.DIVIDEND].amount) == (D(5), D("0.5"))
    split = told[ActivityKind.SPLIT]
    assert (split.new, split.old, split.position) == (2, 1, D(20))
    assert told[ActivityKind.FEE].cash == D("-1.2")
    assert told[ActivityKind.INTEREST].cash == D("0.3")
    renamed = told[ActivityKind.SYMBOL_CHANGE]
    assert (renamed.symbol, renamed.becomes, renamed.position) == ("SPY", "SPX", D(25))
    assert broker.positions() == {"SPX": D(25)}
    keys = [one.activity.key for one in broker.activities(0)]
    assert len(keys) == len(set(keys)) == 7


def test_a_corrected_and_an_undone_execution_are_told_with_what_they_correct(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    broker.submit(wanted())
    first = ear.until(VenueFill)
    alpaca.books.correct(1, price="99.5")
    corrected = ear.until(VenueFill, 2)
    assert (corrected.corrects, corrected.price) == (first.fill_key, D("99.5"))
    assert [fill.fill_key for fill in broker.fills(0)] == [corrected.fill_key]
    alpaca.books.bust(1)
    undone = ear.until(VenueFill, 3)
    assert (undone.corrects, undone.quantity) == (corrected.fill_key, D(0))


def test_a_correction_that_was_not_heard_is_found_in_the_list(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    broker.submit(wanted())
    first = ear.until(VenueFill)
    alpaca.faults.lost_events = 1
    alpaca.books.correct(1, price="99.5")
    (listed,) = broker.fills(0)
    assert (listed.corrects, listed.price) == (first.fill_key, D("99.5"))


def test_the_clock_is_alpacas_and_says_when_the_market_changes(broker: AlpacaBroker, alpaca: AlpacaTrading) -> None:
    clock = broker.clock()
    assert abs(clock.time - alpaca.books.clock()) < 5_000_000_000
    assert clock.open is True
    assert clock.next_open > clock.time
    assert clock.next_close > clock.time


# --- the connection -------------------------------------------------------------------------------


def test_it_beats_while_it_is_open_and_is_down_before_and_after(make: Broker, ear: Ear) -> None:
    broker = make()
    broker.close()
    with pytest.raises(VenueDown):
        broker.positions()
    broker.open(ear)
    broker.beat()
    broker.close()
    broker.close()
    for call in (broker.beat, broker.positions, lambda: broker.submit(wanted())):
        with pytest.raises(VenueDown):
            call()
    assert ear.of(Lost) == []


def test_it_can_be_opened_again_and_knows_what_happened_meanwhile(
    broker: AlpacaBroker, alpaca: AlpacaTrading, ear: Ear
) -> None:
    report = broker.submit(wanted(**LIMIT))
    broker.close()
    alpaca.books.fill(report.venue_id, 10, "50")
    broker.open(ear)
    assert [fill.order_id for fill in broker.fills(0)] == ["trend-1-1"]
    assert ear.of(VenueFill) == []


def test_no_secret_is_in_what_can_be_shown(broker: AlpacaBroker, make: Broker) -> None:
    secret = "stand-in-secret"
    wrong = make(secret=secret)
    with pytest.raises(Exception, match="refuses key") as raised:
        wrong.open(Ear())
    shown = f"{raised.value!r} {raised.value} {broker!r} {vars(raised.value)}"
    assert secret not in shown
