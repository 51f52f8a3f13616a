"""The gateway's own book: who placed which order under which id, and what it knows of them and of their fills.

It knows what IB's servers have told it. While the way to them is lost, it learns nothing; what happened meanwhile is in
the book once the way is back, and nobody is told of it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal

from tests.standins.brokerage import OPEN, Brokerage, Execution, Holding, Placed, Told
from tests.standins.ibkr.faults import Faults
from tests.standins.ibkr.layouts import NEW_YORK, Fill, Seen
from tests.standins.ibkr.market import Market
from tests.standins.ibkr.session import ACCOUNT
from tests.standins.ibkr.tickets import Ticket

FIRST_PERM_ID, REFUSED_PERM_ID = 600745655, 900745655
STATUSES = {"canceled": "Cancelled", "expired": "Cancelled", "rejected": "Inactive", "filled": "Filled"}
TYPES = {"market": "MKT", "limit": "LMT", "stop": "STP", "stop_limit": "STP LMT", "trailing_stop": "TRAIL"}


class Kept:
    """An order as the gateway keeps it. ``quiet``: nobody is told of it, or not before its end (``until_end``)."""

    def __init__(self, ticket: Ticket, client: int, quiet: bool = False, until_end: bool = False) -> None:
        self.ticket, self.client, self.quiet, self.until_end = ticket, client, quiet or until_end, until_end


class Book:
    """Confined to the stand-in's thread; ``apply`` what the brokerage tells."""

    def __init__(self, books: Brokerage, market: Market, faults: Faults) -> None:
        self._books, self._market, self._faults = books, market, faults
        self._kept: dict[str, Kept] = {}
        self._ids: dict[tuple[int, int], str] = {}
        self._last: dict[int, int] = {}
        self.placed: dict[str, Placed] = {}
        self.fills: list[Fill] = []
        self._fills: dict[int, list[Fill]] = defaultdict(list)
        """Those of each order, by permId."""
        self.withheld: set[str] = set()
        """Executions whose commission is not known yet."""
        self.holdings: dict[str, Holding] = {}
        self._refused: list[Seen] = []

    # --- ids --------------------------------------------------------------------------------------------------------

    def next_id(self, client: int) -> int:
        """The order id that a client shall use next."""
        return self._last.get(client, 0) + 1

    def fresh(self, client: int, order_id: int) -> bool:
        """Whether an order id is above all that the client has used; it is used from now on."""
        if order_id <= self._last.get(client, 0):
            return False
        self._last[client] = order_id
        return True

    def roll_back(self, next_id: int) -> None:
        """All clients start from this order id again."""
        self._last = dict.fromkeys(self._last, next_id - 1)

    def keep(self, kept: Kept, placed_id: str) -> None:
        """An order of a client was taken."""
        self._kept[placed_id] = kept
        self._ids[kept.client, kept.ticket.order_id] = placed_id

    def found(self, client: int, order_id: int) -> str | None:
        """The brokerage's id of a client's order."""
        return self._ids.get((client, order_id))

    def of(self, placed_id: str) -> Kept:
        """Who placed an order; one that no client placed is of client 0, and has no order id."""
        return self._kept.get(placed_id) or Kept(_by_hand(self.placed[placed_id]), 0)

    # --- what is known ----------------------------------------------------------------------------------------------

    def apply(self, told: Told) -> Fill | None:
        """Know what the brokerage tells from now on; the fill, where it is one."""
        self.holdings = self._books.holdings
        if told.order is None:
            return None
        self.placed[told.order.id] = told.order
        if told.execution is None:
            return None
        fill = self._filled(told.order, told.execution)
        self.fills.append(fill)
        self._fills[fill.perm_id].append(fill)
        return fill

    def seen(self, placed_id: str, commission: bool = False) -> Seen:
        """An order as it is shown; ``commission``: with what it cost."""
        placed, kept = self.placed[placed_id], self.of(placed_id)
        trailing = None
        if placed.type == "trailing_stop":  # nobody tells that it moves
            trailing = self._books.orders[placed_id].stop_price
        ticket = kept.ticket._replace(quantity=placed.quantity, trail_stop=trailing, oca_group=placed.group)
        fills = self._fills[perm_id(placed)]
        return Seen(
            ticket, self._market.con_id(placed.symbol), placed.symbol, kept.client, perm_id(placed), ACCOUNT,
            self._faults.strange or _status(placed), placed.filled, placed.average_price,
            fills[-1].price if fills else Decimal(0), self._cost(fills) if commission else None,
            why_held=_why_held(placed), ended=placed.ended or placed.filled_at,
            reason=_reason(placed),
        )  # fmt: skip

    def open(self, client: int | None = None) -> list[str]:
        """The orders that may still fill, of one client where it is given."""
        ids = [one.id for one in self.placed.values() if one.status in OPEN]
        return [one for one in ids if client is None or self.of(one).client == client]

    def filled(self, client: int) -> list[Seen]:
        """The orders of a client that are filled."""
        ids = [one.id for one in self.placed.values() if one.status == "filled" and self.of(one.id).client == client]
        return [self.seen(one) for one in ids]

    def completed(self, api_only: bool) -> list[Seen]:
        """The orders that have ended today, the refused ones too."""
        ended = [one.id for one in self.placed.values() if one.status not in OPEN]
        shown = [self.seen(one) for one in ended if one in self._kept or not api_only]
        today = [one for one in (*shown, *self._refused) if one.ended >= self.midnight()]
        return [_cancelled(one) for one in today] if self._faults.refused_as_cancelled else today

    def now(self) -> datetime:
        """The time in New York, where the gateway is."""
        return datetime.fromtimestamp(self._books.clock() // 10**9, UTC).astimezone(NEW_YORK)

    def midnight(self) -> int:
        """When the gateway's day began (ns UTC): it knows nothing of what ended before."""
        return int(self.now().replace(hour=0, minute=0, second=0).timestamp()) * 10**9

    def refused(self, ticket: Ticket, client: int, text: str) -> Seen:
        """An order that was not taken is kept as Inactive."""
        symbol = self._market.symbol(ticket.con_id, ticket.symbol) or ticket.symbol
        seen = Seen(
            ticket, self._market.con_id(symbol), symbol, client, REFUSED_PERM_ID + len(self._refused), ACCOUNT,
            self._faults.strange or "Inactive", ended=self._books.clock(), reason=text.partition("reason:")[2],
        )  # fmt: skip
        self._refused.append(seen)
        return seen

    def inactive(self, client: int | None = None) -> list[Seen]:
        """The orders that were not taken, of one client where it is given."""
        return [one for one in self._refused if client in (None, one.client)]

    def _filled(self, placed: Placed, one: Execution) -> Fill:
        """A correction has a higher last group; one that was undone is told as a correction to no shares (which is our
        guess: IB's documentation has nothing of it)."""
        ticket = self.of(placed.id).ticket
        shares = Decimal(0) if one.busted else one.quantity
        return Fill(
            f"0000e0d5.{0x67FE0000 + one.number:08x}.01.{one.revision:02d}", one.time, one.symbol,
            self._market.con_id(one.symbol), "BOT" if one.side == "buy" else "SLD", shares, one.price, ticket.order_id,
            perm_id(placed), self.of(placed.id).client, ACCOUNT, ticket.reference, one.cumulative, placed.average_price,
            Decimal(0) if one.busted else one.commission,
        )  # fmt: skip

    def _cost(self, fills: list[Fill]) -> Decimal:
        latest = {fill.exec_id.rpartition(".")[0]: fill.commission for fill in fills}
        return sum(latest.values(), Decimal(0))


def _cancelled(seen: Seen) -> Seen:
    """What was refused, as cancelled by the system."""
    if seen.status != "Inactive":
        return seen
    return seen._replace(status="Cancelled", reason=f"Rejected by System:\n{seen.reason}")


def perm_id(placed: Placed) -> int:
    """IB's own id of an order."""
    return FIRST_PERM_ID + placed.number


def _status(placed: Placed) -> str:
    waits = placed.status in ("held", "accepted") or (not placed.triggered and "stop" in placed.type)
    return STATUSES.get(placed.status) or ("PreSubmitted" if waits and not placed.filled else "Submitted")


def _why_held(placed: Placed) -> str:
    waits = placed.open and "stop" in placed.type and not placed.triggered
    return ",".join(["child"] * (placed.status == "held") + ["trigger"] * waits)


def _reason(placed: Placed) -> str:
    if placed.status == "filled":
        return f"Filled Size: {placed.filled:f}"
    return placed.text or ("Cancelled by Trader" if placed.status == "canceled" else "")


def _by_hand(placed: Placed) -> Ticket:
    return Ticket(
        0, "", placed.symbol, "STK", placed.side.upper(), placed.quantity, TYPES[placed.type], placed.limit_price,
        placed.trail or placed.stop_price, placed.time_in_force.upper(), placed.group, "", True, 0, placed.extended, "",
        0, None, placed.trail_percent,
    )  # fmt: skip
