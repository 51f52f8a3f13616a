"""What is known of orders at the gateway, ours and others', and what is worth telling of them. Pure; times ns UTC.

Statuses are those of the wire. What the libraries make of them by themselves ("Cancelled" after any error with an
order's id, "ValidationError" after a warning) is never asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from appliance.domain.messages import VenueReport
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import ZERO
from appliance.venues.ibkr.told import Deal, Done, Seen, Status, Ticket
from appliance.venues.ibkr.words import rejection

ACCEPT, FILL, CANCEL, REJECT, EXPIRE = (
    OrderEvent.ACCEPT, OrderEvent.FILL, OrderEvent.CANCEL, OrderEvent.REJECT, OrderEvent.EXPIRE,
)  # fmt: skip
WORKING = ("PreSubmitted", "Submitted")
ON_ITS_WAY = ("ApiPending", "PendingSubmit", "PendingCancel")
"""The gateway has it, IB may not: it works until something else is told."""
CANCELLED = ("Cancelled", "ApiCancelled")
FILLED, INACTIVE = "Filled", "Inactive"
BY_SYSTEM = "rejected by system"
"""So begins why a completed order was cancelled that was refused."""
KEPT = 5_000
"""Orders that are remembered; working ones always."""


class Known(Struct):
    """An order by its reference. ``told`` is the last that was worth telling, ``text`` what was said of it, ``doubted``
    the status that calls for a look."""

    ref: str
    order_id: int = 0
    client: int = -1
    perm_id: int = 0
    status: str = ""
    filled: Decimal = ZERO
    ticket: Ticket | None = None
    symbol: str = ""
    con_id: int = 0
    code: int = 0
    text: str = ""
    told: tuple[OrderEvent, Decimal] | None = None
    doubted: str = ""

    @property
    def ended(self) -> bool:
        """Whether the last we heard is that it is over."""
        return self.told is not None and self.told[0] in (FILL, CANCEL, REJECT, EXPIRE)


class Book:
    """Orders by reference, by client and order id, and by IB's own id. ``client`` is ours."""

    def __init__(self, client: int) -> None:
        self._client = client
        self._orders: dict[str, Known] = {}
        self._ids: dict[int, str] = {}
        self._perms: dict[int, str] = {}
        self._next = 1

    # --- ids ------------------------------------------------------------------------------------------------------

    def valid(self, order_id: int) -> None:
        """The gateway says which order id is the next; it may roll back, ours do not."""
        self._next = max(self._next, order_id)

    def leap(self) -> None:
        """It says that an id was used that we did not know of: leave a gap."""
        self._next += 1_000

    def take_id(self) -> int:
        """An order id that was never used as far as anybody knows."""
        taken, self._next = self._next, self._next + 1
        return taken

    def _used(self, client: int, order_id: int) -> None:
        if client == self._client:
            self.valid(order_id + 1)

    # --- what is told ---------------------------------------------------------------------------------------------

    def unsent(self, known: Known) -> None:
        """It was not sent after all: its reference was never used."""
        del self._orders[known.ref], self._ids[known.order_id]

    def sent(self, asked: Ticket, order_id: int) -> Known:
        """An order is about to be sent."""
        known = Known(asked.ref, order_id, self._client, ticket=asked)
        self._orders[asked.ref] = known
        self._ids[order_id] = asked.ref
        self._forget()
        return known

    def seen(self, seen: Seen) -> Known | None:
        """openOrder; None for an order without a reference."""
        self._used(seen.client, seen.order_id)
        ref = seen.ticket.ref or self._perms.get(seen.perm_id, "")
        if not ref:
            return None
        known = self._orders.setdefault(ref, Known(ref))
        known.symbol, known.con_id, known.ticket = seen.symbol, seen.con_id, seen.ticket
        known.text = seen.text or known.text
        self._name(known, seen.order_id, seen.client, seen.perm_id)
        known.status = seen.status
        return known

    def status(self, status: Status) -> Known | None:
        """orderStatus; None for an order that we do not know."""
        self._used(status.client, status.order_id)
        ref = self._perms.get(status.perm_id, "")
        if not ref and status.client == self._client:
            ref = self._ids.get(status.order_id, "")
        known = self._orders.get(ref)
        if known is None:
            return None
        self._name(known, status.order_id, status.client, status.perm_id)
        known.status, known.filled = status.status, max(known.filled, status.filled)
        return known

    def done(self, done: Done) -> None:
        """completedOrder: its reference was used."""
        if done.ref:
            known = self._orders.setdefault(done.ref, Known(done.ref))
            known.perm_id, known.filled = done.perm_id, max(known.filled, done.filled)
            self._perms[done.perm_id] = done.ref

    def dealt(self, deal: Deal) -> Deal:
        """execDetails: with the order's reference, also where IB left it out."""
        self._used(deal.client, deal.order_id)
        ref = deal.ref or self._perms.get(deal.perm_id, "")
        if ref:
            known = self._orders.setdefault(ref, Known(ref, symbol=deal.symbol))
            self._name(known, deal.order_id, deal.client, deal.perm_id)
        return deal._replace(ref=ref)

    def said(self, order_id: int, code: int, text: str) -> Known | None:
        """An error or a warning about an order id of ours."""
        known = self._orders.get(self._ids.get(order_id, ""))
        if known is not None:
            known.code, known.text = code, text
        return known

    def _name(self, known: Known, order_id: int, client: int, perm_id: int) -> None:
        known.order_id, known.client = order_id or known.order_id, client
        known.perm_id = perm_id or known.perm_id
        if client == self._client and order_id:
            self._ids[order_id] = known.ref
        if perm_id:
            self._perms[perm_id] = known.ref

    # --- what is known --------------------------------------------------------------------------------------------

    def get(self, ref: str) -> Known | None:
        """An order by its reference."""
        return self._orders.get(ref)

    def ours(self, known: Known) -> bool:
        """Whether it is this client's, so that it can be changed and cancelled."""
        return known.client == self._client and known.order_id > 0

    def filled(self, seen: Seen) -> Decimal:
        """Shares of an open order that are filled, as its status said."""
        known = self._orders.get(seen.ticket.ref)
        return known.filled if known is not None else ZERO

    def hint(self, known: Known, now: int) -> VenueReport | None:
        """What the last status is worth to the gateway; None: nothing new, or in doubt."""
        event = EVENTS.get(known.status)
        if event is None or (event is ACCEPT and known.told is not None) or known.told == (event, known.filled):
            return None
        if event is CANCEL and known.ended:
            return None  # an order that was refused is also cancelled
        return self.report(known, event, now)

    def refused(self, known: Known, now: int) -> VenueReport:
        """It was refused; one that had filled ends as it is."""
        return self.report(known, CANCEL if known.filled else REJECT, now)

    def report(self, known: Known, event: OrderEvent, now: int) -> VenueReport:
        """How an order stands; remembered as told."""
        known.told = (event, known.filled)
        code = rejection(known.code, known.text).value if event is REJECT else ""
        return VenueReport(
            known.ref, event, now, venue_id=str(known.perm_id or ""), text=known.text, filled=known.filled, code=code,
            stop=known.ticket.trail_stop if known.ticket is not None else None,
        )  # fmt: skip

    def _forget(self) -> None:
        if len(self._orders) <= 2 * KEPT:
            return
        old = [one for one in self._orders.values() if one.ended][:KEPT]
        for known in old:
            del self._orders[known.ref]
            self._ids.pop(known.order_id, None)
            self._perms.pop(known.perm_id, None)


EVENTS: dict[str, OrderEvent] = {
    **dict.fromkeys(WORKING, ACCEPT), **dict.fromkeys(CANCELLED, CANCEL), FILLED: FILL,
}  # fmt: skip
"""Of the others (Inactive, and statuses that did not exist yesterday) the gateway must ask."""


def doubtful(known: Known) -> bool:
    """Whether an order's status does not say how it stands; each time that it comes to such a one."""
    doubt = "" if known.status in EVENTS or known.status in ON_ITS_WAY or known.ended else known.status
    new, known.doubted = doubt not in ("", known.doubted), doubt
    return new


def works(seen: Iterable[Seen]) -> list[Seen]:
    """Of all that were told while open orders were asked for, those that work, each as it was told last. One of an
    unknown status is there, so it works until it is gone; one that was refused is listed, too, by gateways of 2026."""
    return [one for one in _last(seen) if one.status not in (*CANCELLED, FILLED, INACTIVE)]


def inactive(seen: Iterable[Seen]) -> list[Seen]:
    """Those of them that were refused."""
    return [one for one in _last(seen) if one.status == INACTIVE]


def _last(seen: Iterable[Seen]) -> list[Seen]:
    return list({(one.client, one.order_id, one.perm_id): one for one in seen}.values())


def ending(done: Done) -> OrderEvent | None:
    """How a completed order ended; None for a status that we do not know."""
    if done.status == FILLED:
        return FILL
    if done.status == INACTIVE:
        return CANCEL if done.filled else REJECT
    if done.status in CANCELLED:
        if done.text.lower().startswith(BY_SYSTEM) and not done.filled:
            return REJECT
        return EXPIRE if "expire" in done.text.lower() else CANCEL
    return None
