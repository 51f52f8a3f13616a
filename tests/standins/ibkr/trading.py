"""Orders: placed, changed, cancelled and listed, over the brokerage."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.standins.brokerage import Brokerage, Placed, Refusal
from tests.standins.ibkr.book import Book, Kept, perm_id
from tests.standins.ibkr.faults import REJECTIONS, WARNINGS, Faults
from tests.standins.ibkr.layouts import completed_order, open_order, order_status
from tests.standins.ibkr.market import Market
from tests.standins.ibkr.peer import Handler, Peer
from tests.standins.ibkr.tickets import Ticket, read

TYPES = {
    "MKT": "market", "LMT": "limit", "STP": "stop", "STP LMT": "stop_limit", "TRAIL": "trailing_stop",
    "MOC": "market", "LOC": "limit",
}  # fmt: skip
TIMES = {"DAY": "day", "GTC": "gtc", "GTD": "gtc", "IOC": "ioc", "FOK": "fok", "OPG": "opg"}
ELSEWHERE = ("REL", "MIDPRICE", "PEG MKT", "MIT", "LIT", "MTL", "TRAIL LIMIT")
"""Types that IB has and this gateway has not."""
ENDED = ("canceled", "expired", "rejected")


class Trading:
    """``connected`` is whether IB's servers can be reached: an order that comes while they cannot is lost. ``whole``:
    orders are for whole shares."""

    def __init__(self, books: Brokerage, book: Book, market: Market, faults: Faults) -> None:
        self._books, self._book, self._market, self._faults = books, book, market, faults
        self._waiting: dict[tuple[int, int], Ticket] = {}
        self.connected = True
        self.whole = True
        self.handlers: dict[str, Handler] = {
            "3": self._place, "4": self._cancel, "58": self._cancel_all, "8": self._ids, "5": self._own,
            "16": self._all, "15": self._bind, "99": self._completed,
        }  # fmt: skip

    def gone(self, peer: Peer) -> None:
        """Orders stay."""

    def restarted(self) -> None:
        """What was not transmitted is lost."""
        self._waiting.clear()

    # --- placing ----------------------------------------------------------------------------------------------------

    def _place(self, peer: Peer, fields: list[str]) -> None:
        order_id = fields[1]
        try:
            ticket = read(fields, peer.version)
        except (ValueError, IndexError) as error:
            peer.error(order_id, 321, f"Error validating request.-'bH' : cause - {error}")
            return
        if not self.connected or self._faults.take("swallowed"):
            peer.note("swallowed", order_id, ticket.reference)
            return
        if self._faults.take("hung_up"):
            peer.note("swallowed", order_id, ticket.reference)
            peer.hang_up()
            return
        try:
            self._accept(peer, ticket)
        except Refusal as refusal:
            self._refuse(peer, ticket, refusal)

    def _accept(self, peer: Peer, ticket: Ticket) -> None:
        known = self._book.found(peer.client, ticket.order_id)
        if known is not None and self._books.orders[known].open:
            self._modify(peer, ticket, known)
            return
        self._allow(peer, ticket, known)
        if not ticket.transmit:
            self._waiting[peer.client, ticket.order_id] = ticket
            return
        self._waiting.pop((peer.client, ticket.order_id), None)
        for one in (*self._before(peer, ticket), ticket):
            try:
                self._take(peer, one)
            except Refusal as refusal:
                self._refuse(peer, one, refusal)

    def _allow(self, peer: Peer, ticket: Ticket, known: str | None) -> None:
        if self._faults.read_only:
            raise Refusal("read_only", "")
        if known is not None and self._books.orders[known].client_id == ticket.reference:
            raise Refusal("filled" if self._books.orders[known].status == "filled" else "duplicate_id", "")
        again = (peer.client, ticket.order_id) in self._waiting
        if not again and not self._book.fresh(peer.client, ticket.order_id):
            raise Refusal("duplicate_id", "")
        if self._faults.take("rejected"):
            raise Refusal(self._faults.rejection, "")
        self._check(ticket)

    def _check(self, ticket: Ticket) -> None:
        if self._market.symbol(ticket.con_id, ticket.symbol) is None or ticket.kind not in ("STK", ""):
            raise Refusal("unknown_symbol", "")
        if ticket.strange:
            raise Refusal("strange", ticket.strange)
        if ticket.type not in (*TYPES, *ELSEWHERE):
            raise Refusal("strange", "Invalid order type was entered")
        if ticket.type in ELSEWHERE:
            raise Refusal("type", "")
        if ticket.tif not in TIMES:
            raise Refusal("time_in_force", "")
        if self.whole and ticket.quantity % 1:
            raise Refusal("fraction", "")

    def _before(self, peer: Peer, ticket: Ticket) -> list[Ticket]:
        """What waited for this order to be transmitted: its parent, and the parent's other children."""
        if not ticket.parent:
            return []
        kin = [
            key for key, one in sorted(self._waiting.items())
            if key[0] == peer.client and ticket.parent in (one.order_id, one.parent)
        ]  # fmt: skip
        return [self._waiting.pop(key) for key in kin]

    def _take(self, peer: Peer, ticket: Ticket) -> None:
        symbol = self._market.symbol(ticket.con_id, ticket.symbol)
        assert symbol is not None
        if self._books.listed(symbol) is None:
            self._books.asset(symbol)
        closing = self._faults.closing_unanswered and ticket.type in ("MOC", "LOC")
        kept = Kept(ticket, peer.client, quiet=self._faults.take("unanswered"), until_end=closing)
        half = self._faults.take("halves")
        before, self._books.automatic = self._books.automatic, self._books.automatic and not half
        try:
            placed = self._books.place(
                ticket.reference, symbol, ticket.action.lower(), ticket.quantity, type=TYPES[ticket.type],
                **self._asked(ticket), **self._kin(peer, ticket),
            )  # fmt: skip
        finally:
            self._books.automatic = before
        self._book.keep(kept, placed.id)
        peer.note("accepted", str(ticket.order_id), ticket.reference)
        if self._faults.take("warned") and not kept.quiet:
            peer.error(ticket.order_id, *WARNINGS[self._faults.warning])
        if half:
            self._halve(placed)

    def _halve(self, placed: Placed) -> None:
        if placed.quantity > 1:
            self._books.fill(placed.id, placed.quantity // 2)
        self._books.cancel(placed.id)

    def _asked(self, ticket: Ticket) -> dict[str, Any]:
        stop = ticket.trail_stop if ticket.type == "TRAIL" else ticket.aux if "STP" in ticket.type else None
        trail = ticket.aux if ticket.type == "TRAIL" and ticket.trail_percent is None else None
        closing = ticket.type in ("MOC", "LOC")
        return {
            "limit_price": ticket.limit if TYPES[ticket.type] in ("limit", "stop_limit") else None, "stop_price": stop,
            "trail": trail, "trail_percent": ticket.trail_percent if ticket.type == "TRAIL" else None,
            "time_in_force": "cls" if closing else TIMES[ticket.tif], "extended": ticket.outside_rth,
        }  # fmt: skip

    def _kin(self, peer: Peer, ticket: Ticket) -> dict[str, Any]:
        """Its parent and its group: the children of one parent are a group of themselves, named by its permId."""
        parent = self._book.found(peer.client, ticket.parent) if ticket.parent else ""
        if parent is None or (parent and self._books.orders[parent].status in ENDED):
            raise Refusal("parent", "")
        siblings = str(perm_id(self._books.orders[parent])) if parent else ""
        return {
            "parent": parent, "group": ticket.oca_group or siblings,
            "group_reduces": ticket.oca_type in (2, 3) or (bool(siblings) and not ticket.oca_group),
        }  # fmt: skip

    def _modify(self, peer: Peer, ticket: Ticket, known: str) -> None:
        kept = self._book.of(known)
        if self._faults.read_only:
            raise Refusal("read_only", "")
        if self._faults.take("rejected"):
            raise Refusal(self._faults.rejection, "", alive=True)
        if ticket.type not in TYPES or ticket.action != kept.ticket.action:
            peer.error(ticket.order_id, 105, "Order being modified does not match the original order.")
            return
        try:
            self._books.modify(known, quantity=ticket.quantity, type=TYPES[ticket.type], **self._asked(ticket))
        except Refusal as refusal:
            raise Refusal(refusal.code, refusal.text, alive=True) from None
        kept.ticket = ticket

    def _refuse(self, peer: Peer, ticket: Ticket, refusal: Refusal) -> None:
        code, text = REJECTIONS.get(refusal.code, (201, f"Order rejected - reason:{refusal.text}"))
        if refusal.code == "strange":
            code, text = 321, f"Error validating request.-'bw' : cause - {refusal.text}"
        peer.note("refused", str(ticket.order_id), ticket.reference, str(code))
        peer.error(ticket.order_id, code, text)
        if code == 201 and not refusal.facts.get("alive"):
            self._inactive(peer, ticket, text)

    def _inactive(self, peer: Peer, ticket: Ticket, text: str) -> None:
        seen = self._book.refused(ticket, peer.client, text)
        peer.send(*open_order(seen, peer.version))
        peer.send(*order_status(seen))

    # --- cancelling -------------------------------------------------------------------------------------------------

    def _cancel(self, peer: Peer, fields: list[str]) -> None:
        order_id = int(fields[2])
        if self._faults.read_only:
            peer.error(order_id, *REJECTIONS["read_only"])
            return
        if not self.connected or self._faults.take("swallowed_cancels"):
            peer.note("swallowed", fields[2])
            return
        if self._waiting.pop((peer.client, order_id), None) is not None:
            peer.error(order_id, 202, "Order Canceled - reason:")
            return
        known = self._book.found(peer.client, order_id)
        if known is None:
            peer.error(order_id, 10147, f"OrderId {order_id} that needs to be cancelled is not found.")
            return
        try:
            self._end(known)
        except Refusal:
            state = self._book.seen(known).status
            why = f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {state}."
            peer.error(order_id, 10148, why)

    def _end(self, known: str) -> None:
        placed = self._books.cancel(known)
        if self._faults.take("late_fills"):
            loop = asyncio.get_running_loop()
            loop.call_later(self._faults.late_after, lambda: self._books.fill(placed.id, late=True))

    def _cancel_all(self, peer: Peer, fields: list[str]) -> None:
        if self._faults.read_only:
            peer.error(-1, *REJECTIONS["read_only"])
            return
        if not self.connected:
            return
        for one in self._book.open():
            if self._books.orders[one].open:
                self._end(one)
        for seen in self._book.filled(peer.client):
            text = f"Cancel attempted when order is not in a cancellable state.  Order permId ={seen.perm_id}"
            peer.error(seen.ticket.order_id, 161, text)

    # --- listing ----------------------------------------------------------------------------------------------------

    def _ids(self, peer: Peer, fields: list[str]) -> None:
        peer.send(9, 1, self._book.next_id(peer.client))

    def _own(self, peer: Peer, fields: list[str]) -> None:
        self._list(peer, peer.client, "5")

    def _all(self, peer: Peer, fields: list[str]) -> None:
        self._list(peer, None, "16")

    def greet(self, peer: Peer) -> None:
        """A client that comes back is told of its open orders before anything else, without having asked."""
        if self._book.open(peer.client):
            self._list(peer, peer.client, "71")

    def _list(self, peer: Peer, client: int | None, request: str) -> None:
        inactive = self._book.inactive(client) if self._faults.inactive_listed else []
        for seen in (*map(self._book.seen, self._book.open(client)), *inactive):
            peer.send(*open_order(seen, peer.version))
            peer.send(*order_status(seen))
        peer.end(request, 53, 1)

    def _bind(self, peer: Peer, fields: list[str]) -> None:
        if peer.client != 0 and fields[2] == "1":
            cause = "Only the default client (i.e 0) can auto bind orders"
            peer.error(-1, 321, f"Error validating request.-'bH' : cause - {cause}")

    def _completed(self, peer: Peer, fields: list[str]) -> None:
        completed = self._book.completed(api_only=fields[1] == "1")
        for seen in completed if self._faults.statuses_first else []:
            if seen.client == peer.client:
                peer.send(*order_status(seen))
        for seen in completed:
            peer.send(*completed_order(seen, peer.version))
        peer.end("99", 102)
