"""What a broker's answer, or the lack of it, is to the gateway's core; and one picture out of several answers. Pure but
for asking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from appliance.core.outbox import Request, denied
from appliance.domain.messages import (
    Now,
    VenueActivity,
    VenueAsk,
    VenueFill,
    VenueLook,
    VenueReport,
    VenueSnapshot,
    VenueSubmit,
)
from appliance.domain.orders import OrderEvent
from appliance.domain.venue import Rejection
from appliance.errors import VenueDown, VenueError, VenueRefused, VenueSilent
from appliance.venues.base import Answer, BrokerInterface

Told = VenueReport | VenueFill | VenueActivity | VenueSnapshot
LOOKS_MAX = 3
"""How often a look is made anew because something happened meanwhile."""
LOSE, REJECT = OrderEvent.LOSE, OrderEvent.REJECT


def ask(broker: BrokerInterface, request: Request) -> VenueReport | Answer | None:
    """Put a request about one order to the broker. Raises VenueError."""
    if isinstance(request, VenueSubmit):
        return broker.submit(request.order)
    if isinstance(request, VenueAsk):
        return broker.order(request.order_id)
    assert not isinstance(request, VenueLook)
    return broker.cancel(request.order_id, request.venue_id)


def told_by(answer: VenueReport | Answer | None) -> Sequence[Told]:
    """What an answer tells: fills come before the report that counts them. None, to a cancel: it is told by ``hear``
    when the order has ended."""
    if isinstance(answer, Answer):
        return (*answer.fills, answer.report)
    return (answer,) if answer is not None else ()


def told_by_failure(request: Request, error: VenueError, now: Now) -> Sequence[VenueReport]:
    """What it means that a request failed. Only where the venue is certain an order was never sent; elsewhere it is in
    doubt. A cancel without an answer is none: the core asks for it again until the order has ended."""
    if isinstance(request, VenueSubmit):
        return (_unsent(request.order.id, error, now),)
    if isinstance(request, VenueAsk):
        return (VenueReport(request.order_id, LOSE, now.time, text=error.text),)
    return ()


def _unsent(order_id: str, error: VenueError, now: Now) -> VenueReport:
    if isinstance(error, VenueDown):
        return denied(order_id, Rejection.NOT_SENT, error.text, now)
    if isinstance(error, VenueRefused):
        return VenueReport(order_id, REJECT, now.time, text=error.text, code=Rejection.NOT_ALLOWED)
    return VenueReport(order_id, LOSE, now.time, text=error.text)


def look(broker: BrokerInterface, wanted: VenueLook, at: int, heard: Callable[[], int]) -> VenueSnapshot:
    """All of the account, begun at ``at`` (ns UTC): several answers, the positions first and last. Where these differ,
    or something was ``heard`` of meanwhile (its count), anew. Raises VenueError: a missing answer is no empty one."""
    for attempt in range(1, LOOKS_MAX + 1):
        before = heard()
        seen = _seen(broker, wanted, at)
        if seen.positions == _held(broker) and (heard() == before or attempt == LOOKS_MAX):
            return seen
    raise VenueSilent(f"positions changed during each of {LOOKS_MAX} looks", venue=broker.name)


def renumbered(seen: VenueSnapshot, wanted: VenueLook) -> VenueSnapshot:
    """A look as the answer to one that was called for while it was under way."""
    return replace(seen, n=wanted.n)


def _held(broker: BrokerInterface) -> dict[str, Decimal]:
    return {symbol: shares for symbol, shares in sorted(broker.positions().items()) if shares}


def _seen(broker: BrokerInterface, wanted: VenueLook, at: int) -> VenueSnapshot:
    positions = _held(broker)
    orders = broker.open_orders()
    fills = broker.fills(wanted.since)
    activities = broker.activities(wanted.since)
    account = broker.account()
    return VenueSnapshot(
        wanted.n, at, tuple(order.order_id for order in orders if order.order_id), fills, positions, account.cash,
        wanted.since, activities, orders, account.equity, account.buying_power,
    )  # fmt: skip
