"""`appliance panic`: what is left when the gateway is dead. It takes the gateway's lock and talks to the broker."""

from __future__ import annotations

from decimal import Decimal

from appliance.domain.messages import Event, EventType, Now, VenueCancel, VenueLook, VenueSnapshot, VenueSubmit, local
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Intent, Order, OrderType, Side
from appliance.processes import core_of
from appliance.runs import read_spec
from appliance.shell.clock import DataClock, MachineClock
from appliance.shell.journal import Journal
from appliance.shell.locks import Lock
from appliance.shell.paths import StatePaths
from appliance.venues.paper import PAPER, PaperVenue


def panic(paths: StatePaths, close: bool) -> dict[str, int]:
    """Cancel every open order at the broker, and with ``close`` sell or buy back every position.

    What it does there the gateway finds unexplained when it comes back, and halts those symbols: the owner has acted
    around it. Raises EnvironmentFault while the gateway lives.
    """
    spec = read_spec(paths)
    with Lock(paths.lock("gateway")):
        answers: list[Event] = []
        clock = DataClock() if spec.lockstep else MachineClock()
        journal = Journal(paths.journal(PAPER), PAPER, Lock(paths.lock(PAPER)))
        build = core_of(PAPER, spec)
        venue = PaperVenue(build, journal, clock, answers.append, lambda event, payload: None, False)  # type: ignore[arg-type]
        venue.turn.start()
        snapshot = _look(venue, answers)
        for order_id in snapshot.open:
            venue.request(local(VenueCancel(order_id)))
        closing = [order for order in _closing(snapshot, clock.now(None)) if close]
        for order in closing:
            venue.request(local(VenueSubmit(order)))
        journal.close()
    return {"canceled": len(snapshot.open), "closing": len(closing)}


def _look(venue: PaperVenue, answers: list[Event]) -> VenueSnapshot:
    venue.request(local(VenueLook(0)))
    found: VenueSnapshot = next(event.body for event in answers if event.type is EventType.VENUE_SNAPSHOT)
    return found


def _closing(snapshot: VenueSnapshot, now: Now) -> list[Order]:
    orders = []
    for symbol, quantity in snapshot.positions.items():
        side = Side.SELL if quantity > Decimal(0) else Side.BUY
        order_id = f"panic-{now.time}-{symbol}"[:48]
        intent = Intent(
            order_id, "panic", 0, symbol, side, abs(quantity), now.moment, 0, "panic", "panic", exit=True,
        )  # fmt: skip
        orders.append(Order(order_id, intent, None, OrderStatus.SENDING, symbol, side, abs(quantity), OrderType.MARKET))
    return orders
