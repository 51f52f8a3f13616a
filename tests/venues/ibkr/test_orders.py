"""The life of orders over real sockets: what is placed, filled, changed and cancelled, and what the books say then."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from appliance.domain.messages import VenueFill
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Order, OrderType, Side, TimeInForce, Trail
from appliance.venues.base import Change
from tests.standins.ibkr import IbkrStandIn
from tests.venues.ibkr.conftest import Ears, Make, limit, order, until

D = Decimal


def placed(gateway: IbkrStandIn) -> list[str]:
    return [record.client_id for record in gateway.books.log.accepted()]


def test_a_market_order_is_accepted_and_its_fill_told_once_with_its_commission(
    gateway: IbkrStandIn, make: Make
) -> None:
    ears = Ears()
    broker = make(gateway, ears)
    report = broker.submit(order("a-1-1"))
    assert (report.event, report.venue_id != "", report.code) == (OrderEvent.ACCEPT, True, "")
    fill = ears.fill("a-1-1")
    assert (fill.symbol, fill.side, fill.quantity, fill.price) == ("SPY", Side.BUY, D(10), D("100.01"))
    assert (fill.commission, fill.corrects) == (D(1), "")
    assert ears.report("fill", "a-1-1").filled == 10
    told = [one for one in ears.heard if getattr(one, "order_id", "") == "a-1-1"]
    assert told[0] == fill, "what follows of a fill is told after it"
    assert len(ears.of(type(fill))) == 1
    assert broker.fills(0)[0].fill_key == fill.fill_key
    assert broker.positions() == gateway.books.positions == {"SPY": D(10)}
    account = broker.account()
    assert (account.cash, account.equity) == (gateway.books.cash, gateway.books.equity)
    assert placed(gateway) == ["a-1-1"]


def test_a_limit_order_rests_is_changed_under_its_id_and_cancelled(gateway: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(gateway, ears)
    assert broker.submit(limit("a-1-2", "90.25", time_in_force=TimeInForce.GTC)).event is OrderEvent.ACCEPT
    (resting,) = broker.open_orders()
    assert (resting.order_id, resting.limit_price, resting.quantity) == ("a-1-2", D("90.25"), D(10))
    assert (resting.type, resting.time_in_force) == (OrderType.LIMIT, TimeInForce.GTC)
    assert broker.replace("a-1-2", Change(D(7), D("91.5"))).event is OrderEvent.ACCEPT
    (resting,) = broker.open_orders()
    assert (resting.order_id, resting.limit_price, resting.quantity) == ("a-1-2", D("91.5"), D(7))
    assert broker.order("a-1-2").report.event is OrderEvent.ACCEPT
    broker.cancel("a-1-2")
    assert ears.report("cancel", "a-1-2").filled == 0
    assert broker.open_orders() == ()
    assert broker.order("a-1-2").report.event is OrderEvent.CANCEL
    assert placed(gateway) == ["a-1-2"]


def test_the_number_of_an_order_goes_over_the_wire_as_it_was_written(one: IbkrStandIn, make: Make) -> None:
    broker = make(one, opened=True)
    one.books.price("SPY", "0.12345", "0.12355")
    broker.submit(limit("a-1-1", "0.10", quantity="123456789"))
    sent = one.log.of("received", "3")[0].fields
    assert (sent[17], sent[19], sent[26]) == ("123456789", "0.10", "a-1-1")


ASKED = [
    (order(type=OrderType.STOP, side=Side.SELL, stop_price=D("95")), ("STP", "", "95", "DAY", "", "")),
    (
        order(type=OrderType.STOP_LIMIT, side=Side.SELL, stop_price=D("95"), limit_price=D("94.5")),
        ("STP LMT", "94.5", "95", "DAY", "", ""),
    ),
    (
        order(type=OrderType.TRAILING_STOP, side=Side.SELL, trail=Trail(D("1.5")), time_in_force=TimeInForce.GTC),
        ("TRAIL", "", "1.5", "GTC", "", ""),
    ),
    (
        order(type=OrderType.TRAILING_STOP, side=Side.SELL, trail=Trail(D("2"), percent=True), stop_price=D("98")),
        ("TRAIL", "", "", "DAY", "98", "2"),
    ),
    (limit(time_in_force=TimeInForce.CLS), ("LOC", "90", "", "DAY", "", "")),
    (order(time_in_force=TimeInForce.CLS), ("MOC", "", "", "DAY", "", "")),
    (limit(time_in_force=TimeInForce.OPG), ("LMT", "90", "", "OPG", "", "")),
    (limit(time_in_force=TimeInForce.FOK), ("LMT", "90", "", "FOK", "", "")),
]


@pytest.mark.parametrize(("wanted", "fields"), ASKED, ids=[row[1][0] + row[1][3] for row in ASKED])
def test_each_kind_of_order_is_asked_for_in_ibs_words(
    one: IbkrStandIn, make: Make, wanted: object, fields: tuple[str, ...]
) -> None:
    broker = make(one)
    broker.submit(wanted)  # type: ignore[arg-type]
    sent = one.log.of("received", "3")[0].fields
    tail = sent.index("", 60)
    assert (sent[18], sent[19], sent[20], sent[21]) == fields[:4]
    assert {fields[4], fields[5]} <= {"", *sent[tail:]}


RESTING = [
    (order(type=OrderType.STOP, side=Side.SELL, stop_price=D("95")), Change(stop_price=D("96"))),
    (
        order(type=OrderType.STOP_LIMIT, side=Side.SELL, stop_price=D("95"), limit_price=D("94")),
        Change(D(3), D("94.5"), D("95.5")),
    ),
    (
        order(type=OrderType.TRAILING_STOP, side=Side.SELL, trail=Trail(D("2")), stop_price=D("97")),
        Change(quantity=D(4)),
    ),
]


@pytest.mark.parametrize(("wanted", "change"), RESTING, ids=[row[0].type.value for row in RESTING])
def test_each_resting_order_is_changed_in_what_was_named_and_nothing_else(
    one: IbkrStandIn, make: Make, wanted: Order, change: Change
) -> None:
    broker = make(one)
    broker.submit(wanted)
    (before,) = broker.open_orders()
    assert broker.replace(wanted.id, change).event is OrderEvent.ACCEPT
    (after,) = broker.open_orders()
    expected = {name: getattr(change, name) for name in ("quantity", "limit_price", "stop_price")}
    assert after == replace(before, **{name: value for name, value in expected.items() if value is not None})


def test_partial_fills_add_up_and_a_cancel_leaves_the_rest(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    one.books.automatic = False
    broker.submit(limit("a-1-1", "100"))
    number = one.books.log.accepted("a-1-1")[0]
    for shares, price in ((3, "99.5"), (4, "99.25")):
        one.books.fill(number.order_id, shares, price)
    assert [ears.fill("a-1-1", quantity=D(3)).price, ears.fill("a-1-1", quantity=D(4)).price] == [D("99.5"), D("99.25")]
    assert broker.open_orders()[0].filled == 7
    assert broker.order("a-1-1").report.filled == 7
    broker.cancel("a-1-1")
    assert ears.report("cancel", "a-1-1").filled == 7
    answer = broker.order("a-1-1")
    assert (answer.report.event, answer.report.filled) == (OrderEvent.CANCEL, D(7))
    assert [fill.quantity for fill in answer.fills] == [D(3), D(4)]
    assert broker.account().cash == one.books.cash


def test_what_one_of_a_group_fills_the_other_loses(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    broker.submit(order("a-1-1"))
    ears.fill("a-1-1")
    broker.submit(order("a-1-1-s10", Side.SELL, type=OrderType.STOP, stop_price=D("95"), oco="a-1-1-s10"))
    broker.submit(limit("a-1-1-t10", "110", side=Side.SELL, oco="a-1-1-s10"))
    one.books.price("SPY", "110", "110.02")
    assert ears.fill("a-1-1-t10").quantity == 10
    assert ears.report("cancel", "a-1-1-s10").filled == 0
    assert broker.open_orders() == ()
    assert broker.positions() == {}


def test_an_id_that_nobody_sent_is_absent(gateway: IbkrStandIn, make: Make) -> None:
    broker = make(gateway)
    assert broker.order("a-1-9").report.event is OrderEvent.ABSENT
    report = broker.cancel("a-1-9")
    assert report is not None
    assert report.event is OrderEvent.ABSENT
    assert broker.replace("a-1-9", Change(D(1))).event is OrderEvent.REJECT


def test_an_id_that_was_sent_is_never_sent_again_also_by_another_process(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    broker.submit(order("a-1-1"))
    ears.fill("a-1-1")
    broker.submit(limit("a-1-2"))
    assert broker.submit(limit("a-1-2")).event is OrderEvent.ACCEPT
    broker.close()
    again = make(one)
    assert again.submit(order("a-1-1")).event is OrderEvent.FILL
    assert again.submit(limit("a-1-2")).event is OrderEvent.ACCEPT
    assert placed(one) == ["a-1-1", "a-1-2"]


def test_after_a_restart_our_orders_are_changed_and_cancelled_as_before(one: IbkrStandIn, make: Make) -> None:
    make(one).submit(limit("a-1-1"))
    ears = Ears()
    # the first process is gone without a word
    one.hang_up()
    again = make(one, ears)
    assert again.replace("a-1-1", Change(limit_price=D("89"))).event is OrderEvent.ACCEPT
    again.cancel("a-1-1")
    ears.report("cancel", "a-1-1")
    again.submit(limit("a-1-2"))
    ids = [int(entry.fields[1]) for entry in one.log.of("received", "3")]
    assert ids[0] == ids[1] < ids[2], "a new order has an id that was never used"


def test_orders_and_fills_of_others_are_shown_and_not_taken_for_ours(one: IbkrStandIn, make: Make) -> None:
    ears, other = Ears(), make(one, client_id=8)
    broker = make(one, ears)
    other.submit(order("theirs"))
    other.submit(limit("theirs-2"))
    until(lambda: one.books.positions)
    assert [fill.order_id for fill in broker.fills(0)] == ["theirs"]
    assert [seen.order_id for seen in broker.open_orders()] == ["theirs-2"]
    assert ears.of(VenueFill) == [], "another client's fills are told to that client"
    refused = broker.cancel("theirs-2")
    assert refused is not None
    assert refused.event is OrderEvent.ACCEPT
    assert "client 8" in refused.text
    assert [seen.order_id for seen in broker.open_orders()] == ["theirs-2"]


def test_a_bust_and_a_correction_take_the_place_of_what_they_correct(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    broker.submit(order("a-1-1"))
    first = ears.fill("a-1-1")
    one.books.correct(one.books.executions[0].number, price="99.5")
    corrected = ears.fill("a-1-1", corrects=first.fill_key)
    assert (corrected.price, corrected.quantity) == (D("99.5"), D(10))
    one.books.bust(one.books.executions[0].number)
    bust = ears.fill("a-1-1", corrects=corrected.fill_key)
    assert (bust.quantity, bust.commission) == (D(0), D(0))
    keys = [fill.fill_key for fill in broker.fills(0)]
    assert keys == [first.fill_key, corrected.fill_key, bust.fill_key]
    fresh = make(one, client_id=9).fills(0)
    assert fresh[-1].fill_key == bust.fill_key, "who comes later knows the same keys"
