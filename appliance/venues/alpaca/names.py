"""Names here and there: our order ids in the chain of orders that a change makes of one, and symbols of crypto.

Alpaca changes an order by putting another in its place, with an id and a client id of its own. Ours stays the first
one's: the n-th in its place is called ``<id>~n``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from decimal import Decimal
from typing import NamedTuple, TypeVar

from appliance.domain.trading import ID_LENGTH_MAX, ZERO
from appliance.venues.alpaca.reading import Body, maybe_number, maybe_text, text

T = TypeVar("T")
_MARK = "~"
REMEMBERED = 20_000
"""Orders whose names are remembered; older ones are asked for when they are needed."""
LINKS_MAX = 200
"""No order is changed more often: a chain that is longer goes round."""
_QUOTED_IN = ("USDT", "USDC", "USD", "BTC")


class Named(NamedTuple):
    """An order of Alpaca's: our id for it (a stranger's client id, or ""), and its symbol."""

    order_id: str
    symbol: str


def ours(client_id: str) -> str:
    """Our order id in a client order id."""
    base, mark, n = client_id.rpartition(_MARK)
    return base if mark and n.isdecimal() else client_id


def changed(order_id: str, n: int) -> str:
    """The client order id of the n-th order in the place of ours; "" where there is no room for it."""
    made = f"{order_id}{_MARK}{n}"
    return made if len(made) <= ID_LENGTH_MAX else ""


def symbol_of(body: Body) -> str:
    """The symbol as orders have it: positions and activities leave the / of crypto out. Raises Odd."""
    symbol = text(body, "symbol")
    return crypto_pair(symbol) if maybe_text(body, "asset_class") == "crypto" else symbol


def together(before: Decimal, filled: Decimal, anew: bool = False) -> Decimal:
    """Shares filled by an order and by those it took the place of, which had filled ``before``. It begins with what
    they had (as has been measured) or ``anew`` (as was reported once), and does not say which: fewer than before are
    its own alone. What this makes too little of, the executions themselves add up to."""
    return before + filled if anew or filled < before else filled


def crypto_pair(symbol: str) -> str:
    """BTCUSD as BTC/USD."""
    for quoted in _QUOTED_IN:
        if "/" not in symbol and symbol.endswith(quoted) and symbol != quoted:
            return f"{symbol.removesuffix(quoted)}/{quoted}"
    return symbol


class Names:
    """Which of Alpaca's orders is which of ours. From any thread."""

    def __init__(self) -> None:
        self._named: OrderedDict[str, Named] = OrderedDict()
        self._first: OrderedDict[str, str] = OrderedDict()
        self._after: OrderedDict[str, str] = OrderedDict()
        self._before: OrderedDict[str, Decimal] = OrderedDict()
        self._anew: OrderedDict[str, bool] = OrderedDict()
        self._one = threading.Lock()

    def learn(self, order: Body) -> Named:
        """Take the names out of an order's body; an order in another's place has the other's. Raises Odd."""
        venue_id, before = text(order, "id"), maybe_text(order, "replaces")
        refused = bool(before) and maybe_text(order, "status") == "rejected"
        with self._one:
            known = self._named.get(venue_id) or self._named.get(before)
            order_id = known.order_id if known else ours(maybe_text(order, "client_order_id"))
            named = Named(order_id, symbol_of(order) if order.get("symbol") else "")
            if not self._nameless(order):
                keep(self._named, venue_id, named)
            if refused:
                self._after.pop(before, None)  # the one it should have taken the place of is still at work
            elif before:
                keep(self._after, before, venue_id)
            self._witness(venue_id, maybe_number(order, "filled_qty") or ZERO)
            if after := maybe_text(order, "replaced_by"):
                keep(self._after, venue_id, after)
                if venue_id in self._named:
                    keep(self._named, after, named)
                self._carry(venue_id, after, order)
            if venue_id in self._named and order_id and not refused and order_id not in self._first:
                keep(self._first, order_id, venue_id)
        return named

    def nameless(self, order: Body) -> bool:
        """Whether an order took the place of one that we do not know, under a name that is not of ours: it may be ours
        all the same. Raises Odd."""
        text(order, "id")
        with self._one:
            return self._nameless(order)

    def _nameless(self, order: Body) -> bool:
        before, client_id = maybe_text(order, "replaces"), maybe_text(order, "client_order_id")
        known = before in self._named or order["id"] in self._named
        return bool(before) and not known and ours(client_id) == client_id

    def _carry(self, venue_id: str, after: str, order: Body) -> None:
        """What an order had filled when another took its place, with what was filled before it."""
        before = self._before.get(venue_id) if order.get("replaces") else ZERO
        if before is not None and order.get("status") == "replaced":
            keep(
                self._before, after, together(before, maybe_number(order, "filled_qty") or ZERO, venue_id in self._anew)
            )

    def witness(self, venue_id: str, filled: Decimal) -> None:
        """An order had filled so much at some time: fewer than those it took the place of, and it began anew."""
        with self._one:
            self._witness(venue_id, filled)

    def _witness(self, venue_id: str, filled: Decimal) -> None:
        if filled < self._before.get(venue_id, ZERO):
            keep(self._anew, venue_id, True)

    def anew(self, venue_id: str) -> bool:
        """Whether an order in another's place is known to have begun with nothing filled."""
        with self._one:
            return venue_id in self._anew

    def filled_before(self, order: Body) -> Decimal | None:
        """Shares filled by those that an order took the place of; None: not known. Raises Odd."""
        if not order.get("replaces"):
            return ZERO
        with self._one:
            return self._before.get(text(order, "id"))

    def name(self, venue_id: str, named: Named) -> None:
        """An order of Alpaca's is that one of ours, as has been found out."""
        with self._one:
            keep(self._named, venue_id, named)

    def get(self, venue_id: str) -> Named | None:
        """Whose order it is; None: not known."""
        with self._one:
            return self._named.get(venue_id)

    def latest(self, order_id: str) -> str:
        """Alpaca's id of the order that works in the place of ours; "": not known."""
        with self._one:
            found, steps = self._first.get(order_id, ""), 0
            while found in self._after and steps < LINKS_MAX:
                found, steps = self._after[found], steps + 1
            return found


def keep(remembered: OrderedDict[str, T], key: str, value: T) -> None:
    """Remember one more, and forget the oldest beyond REMEMBERED."""
    remembered[key] = value
    while len(remembered) > REMEMBERED:
        remembered.popitem(last=False)
