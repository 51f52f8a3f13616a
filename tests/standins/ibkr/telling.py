"""What clients are told of orders without asking: each event's messages in the order that a gateway sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.standins.brokerage import OPEN, Told
from tests.standins.ibkr.book import Book
from tests.standins.ibkr.faults import Faults
from tests.standins.ibkr.layouts import (
    ERROR,
    Fill,
    Message,
    Seen,
    commission,
    execution,
    open_order,
    order_status,
)
from tests.standins.ibkr.peer import Peer
from tests.standins.ibkr.session import Session

APART = 0.05
"""Seconds in which what happens is told in the wrong order."""
OPENS = "Order Message:\n{0} 100 {1} NASDAQ.NMS\nWarning: your order will not be placed at the exchange until it opens."
Messages = Callable[[int], list[Message]]


class Telling:
    """``master``: the client id that is told of all clients' orders."""

    def __init__(self, book: Book, session: Session, faults: Faults) -> None:
        self._book, self._session, self._faults = book, session, faults
        self.master: int | None = None
        self._held: list[tuple[int, Messages]] = []

    def tell(self, told: Told, fill: Fill | None) -> None:
        """Tell of an event that the book knows already."""
        if told.order is None:
            return
        kept = self._book.of(told.order.id)
        if kept.quiet and not (kept.until_end and told.order.status not in OPEN):
            return
        seen = self._book.seen(told.order.id)
        if fill is None:
            self._send(kept.client, _EVENTS.get(told.what, _shown)(seen))
            return
        utc = self._faults.utc_times
        self._send(kept.client, lambda version: [execution(fill, version, utc=utc)])
        if told.what in ("fill", "partial_fill"):
            self._send(kept.client, _shown(seen))
        self._cost(told, kept.client, fill)

    def _cost(self, told: Told, client: int, fill: Fill) -> None:
        """The commission: late, or never."""
        assert told.order is not None
        after, placed_id = self._faults.commission_late, told.order.id
        if after:
            self._book.withheld.add(fill.exec_id)
        if after > 0:
            asyncio.get_running_loop().call_later(after, self._costs, placed_id, client, fill)
        elif not after:
            self._costs(placed_id, client, fill)

    def _costs(self, placed_id: str, client: int, fill: Fill) -> None:
        self._book.withheld.discard(fill.exec_id)
        seen = self._book.seen(placed_id, commission=True)
        if seen.status == "Filled":
            self._send(client, lambda version: [open_order(seen, version)])
        self._send(client, lambda version: [commission(fill)])

    # --- sending ----------------------------------------------------------------------------------------------------

    def _send(self, client: int, messages: Messages) -> None:
        if not self._faults.shuffled:
            self._deliver(client, messages)
            return
        if not self._held:
            asyncio.get_running_loop().call_later(APART, self._shuffle)
        self._held.append((client, messages))

    def _shuffle(self) -> None:
        held, self._held = self._held[::-1], []
        for client, messages in held:
            self._deliver(client, lambda version, messages=messages: messages(version)[::-1])  # type: ignore[misc]

    def _deliver(self, client: int, messages: Messages) -> None:
        for peer in self._session.peers:
            if peer.client in (client, self.master):
                for message in messages(peer.version):
                    self._one(peer, message)

    def _one(self, peer: Peer, message: Message) -> None:
        if str(message[0]) in self._faults.losing and self._faults.take("lost"):
            peer.note("lost", *(str(field) for field in message))
            return
        for _ in range(2 if self._faults.doubled else 1):
            if str(message[0]) == ERROR:
                peer.error(str(message[2]), int(str(message[3])), str(message[4]))
            else:
                peer.send(*message)


def _shown(seen: Seen) -> Messages:
    return lambda version: [open_order(seen, version), order_status(seen)]


def _new(seen: Seen) -> Messages:
    """A limit is at the exchange at once; a market order is not seen there before it fills."""
    waits = seen.status == "Submitted" and seen.ticket.type == "MKT"
    return _shown(seen._replace(status="PreSubmitted") if waits else seen)


def _waits(seen: Seen) -> Messages:
    text = OPENS.format(seen.ticket.action, seen.ticket.quantity, seen.symbol)
    warning = [4, 2, seen.ticket.order_id, 399, text]
    return lambda version: [*_shown(seen)(version), warning]


def _ended(seen: Seen) -> Messages:
    return lambda version: [order_status(seen), [4, 2, seen.ticket.order_id, 202, "Order Canceled - reason:"]]


def _rejected(seen: Seen) -> Messages:
    error = [4, 2, seen.ticket.order_id, 201, f"Order rejected - reason:{seen.reason}"]
    return lambda version: [error, *_shown(seen)(version)]


_EVENTS: dict[str, Callable[[Seen], Messages]] = {
    "new": _new, "held": _shown, "accepted": _waits, "canceled": _ended, "expired": _ended, "rejected": _rejected,
}  # fmt: skip
