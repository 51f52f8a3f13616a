"""What the gateway and a host find by position is what a look at every row would find, whatever has happened."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from appliance.core import ledger as books
from appliance.core.base import Core
from appliance.core.booked import Booked
from appliance.core.booking import Bookings
from appliance.core.ledger import Ledger
from appliance.domain.orders import TRANSITIONS, OrderEvent
from appliance.domain.trading import Order, Side
from tests.core.hosting import host
from tests.core.make import intent, order, told, writers

D = Decimal
PLACES = [(strategy, symbol) for strategy in ("trend", "value") for symbol in ("SPY", "QQQ")]
Place = tuple[str, str]
NUMBER = st.integers(0, 11)
STEPS = st.lists(st.tuples(st.sampled_from(PLACES), NUMBER, st.sampled_from(OrderEvent)), max_size=60)


def happen(ledger: Ledger, place: Place, number: int, event: OrderEvent) -> None:
    """An order is opened, or something happens to it, if the life cycle allows it."""
    strategy, symbol = place
    order_id = f"{strategy}-{symbol}-{number}"
    known = ledger.orders.get(order_id)
    if (known.status if known is not None else None, event) not in TRANSITIONS:
        return
    if known is None:
        ledger.open(order(intent(id=order_id, strategy=strategy, symbol=symbol)), event)
    elif event is OrderEvent.FILL:
        ledger.book(told(order_id, 100), known)
    else:
        ledger.move(known, event)


def by_looking(ledger: Ledger, place: Place) -> dict[str, Order]:
    rows = ledger.orders.values()
    return {one.id: one for one in rows if not one.status.terminal and (one.intent.strategy, one.symbol) == place}


@given(STEPS, st.integers(0, 60))
def test_the_live_orders_of_a_position_are_those_among_all_rows(
    steps: list[tuple[Place, int, OrderEvent]], asked: int
) -> None:
    ledger = Ledger(Core("gateway", writers("gateway")))
    for index, (place, number, event) in enumerate(steps):
        happen(ledger, place, number, event)
        if index >= asked:
            assert {one.id: one for one in ledger.of(*place)} == by_looking(ledger, place)
    for place in PLACES:
        assert {one.id: one for one in ledger.of(*place)} == by_looking(ledger, place)
    everywhere = [by_looking(ledger, place) for place in PLACES]
    assert {one.id for one in ledger.live()} == {order_id for found in everywhere for order_id in found}


def test_the_live_orders_are_the_same_after_ended_ones_were_forgotten() -> None:
    ledger = Ledger(Core("gateway", writers("gateway")))
    happen(ledger, PLACES[0], 0, OrderEvent.SEND)
    assert [one.id for one in ledger.live()] == ["trend-SPY-0"]
    for number in range(1, 3 * books.ENDED_KEPT):
        happen(ledger, PLACES[0], number, OrderEvent.DENY)
    assert len(ledger.orders) < 2 * books.ENDED_KEPT + 2
    assert [one.id for one in ledger.of(*PLACES[0])] == [one.id for one in ledger.live()] == ["trend-SPY-0"]


BOOKED = st.lists(st.tuples(st.sampled_from(PLACES), NUMBER, st.booleans(), st.integers(0, 100)), max_size=60)


@given(BOOKED, st.integers(0, 60))
def test_what_a_host_has_under_way_in_a_position_is_what_has_not_ended_among_all_rows(
    steps: list[tuple[Place, int, bool, int]], asked: int
) -> None:
    bookings: Bookings = host().bookings
    for index, (place, number, ended, left) in enumerate(steps):
        booked = Booked(*place, Side.BUY, D(left), ended=ended)
        bookings._book(f"trend-1-{PLACES.index(place) * 100 + number}", booked)
        if index >= asked:
            found = dict(bookings._live(*place))
            rows = bookings.booked.items()
            assert found == {key: row for key, row in rows if not row.ended and (row.strategy, row.symbol) == place}
    trend = dict(bookings._all_live("trend"))
    assert trend == {key: row for key, row in bookings.booked.items() if not row.ended and row.strategy == "trend"}
