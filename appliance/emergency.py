"""`appliance panic`: what is left when the gateway is dead. It takes the gateway's lock and talks to the broker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial

from appliance.broking import broker_of
from appliance.domain.messages import (
    Event,
    EventType,
    Now,
    VenueCancel,
    VenueLook,
    VenueReport,
    VenueSnapshot,
    VenueSubmit,
    local,
)
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import Intent, Order, OrderType, Side
from appliance.errors import VenueError
from appliance.processes import core_of
from appliance.runs import RunSpec, read_spec
from appliance.shell.clock import DataClock, MachineClock
from appliance.shell.journal import Journal
from appliance.shell.locks import Lock
from appliance.shell.paths import StatePaths
from appliance.venues.base import BrokerInterface
from appliance.venues.paper import PAPER, PaperVenue

CANCELS_WITHIN = 10.0
"""Seconds that cancels may take before positions are closed all the same."""
log = logging.getLogger(__name__)


def panic(paths: StatePaths, close: bool) -> dict[str, int]:
    """Cancel every open order at the broker, and with ``close`` sell or buy back every position; how many of each, and
    how many the broker did not take.

    What it does there the gateway finds unexplained when it comes back, and halts those symbols: the owner has acted
    around it. Raises EnvironmentFault while the gateway lives, VenueError where the broker cannot be reached.
    """
    spec = read_spec(paths)
    with Lock(paths.lock("gateway")):
        if spec.broker is not None:
            return _at_the_broker(broker_of(spec.broker, paths), close)
        return _on_paper(spec, paths, close)


def _on_paper(spec: RunSpec, paths: StatePaths, close: bool) -> dict[str, int]:
    answers: list[Event] = []
    clock = DataClock() if spec.lockstep else MachineClock()
    journal = Journal(paths.journal(PAPER), PAPER, Lock(paths.lock(PAPER)))
    build = core_of(PAPER, spec)
    venue = PaperVenue(build, journal, clock, answers.append, lambda event, payload: None, False)  # type: ignore[arg-type]
    venue.turn.start()
    snapshot = _look(venue, answers)
    for order_id in snapshot.open:
        venue.request(local(VenueCancel(order_id)))
    closing = _closing(snapshot.positions, clock.now(None)) if close else []
    for order in closing:
        venue.request(local(VenueSubmit(order)))
    journal.close()
    return {"canceled": len(snapshot.open), "closing": len(closing)}


def _at_the_broker(broker: BrokerInterface, close: bool) -> dict[str, int]:
    """Each order and position on its own: what one of them fails at keeps nothing from the others."""
    broker.open(lambda heard: None)
    try:
        found = broker.open_orders()
        canceled = [_done(partial(broker.cancel, one.order_id, one.venue_id)) for one in found]
        closing: list[bool] = []
        if close:
            _wait_for_none(broker)
            orders = _closing(broker.positions(), MachineClock().now(None))
            closing = [_done(partial(broker.submit, one)) for one in orders]
    finally:
        broker.close()
    failed = [*canceled, *closing].count(False)
    told = {"canceled": canceled.count(True), "closing": closing.count(True)}
    return {**told, "failed": failed} if failed else told


def _done(ask: Callable[[], VenueReport | None]) -> bool:
    """Whether the broker took it; why not is logged."""
    try:
        report = ask()
    except VenueError as error:
        log.critical("%s", error)
        return False
    if report is None or report.event is not OrderEvent.REJECT:
        return True
    log.critical("%s: rejected: %s %s", report.order_id, report.code, report.text)
    return False


def _wait_for_none(broker: BrokerInterface) -> None:
    """Shares that a working order holds cannot be sold; what still works after a while stays as it is."""
    until = time.monotonic() + CANCELS_WITHIN
    while time.monotonic() < until and broker.open_orders():
        time.sleep(0.2)


def _look(venue: PaperVenue, answers: list[Event]) -> VenueSnapshot:
    venue.request(local(VenueLook(0)))
    found: VenueSnapshot = next(event.body for event in answers if event.type is EventType.VENUE_SNAPSHOT)
    return found


def _closing(positions: dict[str, Decimal], now: Now) -> list[Order]:
    orders = []
    for symbol, quantity in positions.items():
        side = Side.SELL if quantity > Decimal(0) else Side.BUY
        order_id = f"panic-{now.time}-{symbol}"[:48]
        intent = Intent(
            order_id, "panic", 0, symbol, side, abs(quantity), now.moment, 0, "panic", "panic", exit=True,
        )  # fmt: skip
        orders.append(Order(order_id, intent, None, OrderStatus.SENDING, symbol, side, abs(quantity), OrderType.MARKET))
    return orders
