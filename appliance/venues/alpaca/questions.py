"""What is asked of the trading API, page by page: orders and what was put in their place, fills, activities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from appliance.domain.messages import OpenOrder, VenueActivity, VenueFill
from appliance.domain.trading import ZERO
from appliance.venues.alpaca.activities import Holdings, Row, halves, listed, names_symbol, told
from appliance.venues.alpaca.client import Clock, Requests
from appliance.venues.alpaca.executions import Executions
from appliance.venues.alpaca.names import LINKS_MAX, Named, Names, symbol_of, together
from appliance.venues.alpaca.orders import ENDED, REPLACED, STATUS, fill_listed, flat, open_order
from appliance.venues.alpaca.reading import (
    SECOND,
    Body,
    Odd,
    body,
    maybe_text,
    moment,
    number,
    rfc3339,
    rows,
    text,
    to_the_second,
)
from appliance.venues.alpaca.rejections import Declined

DAY = 86_400 * SECOND
FILLS_MARGIN = 60 * SECOND
"""Fills are asked for from this long (ns) before: the stream tells them a little later than they happened."""
LATE = DAY
"""Activities are asked for from this long (ns) before: some are written down later than they happened."""
BEGINNING = 7 * DAY
"""How far back (ns) the first look goes; more than LATE and the look's own overlap, so that nothing it has seen comes
again as new."""
ORDERS_PAGE, ACTIVITIES_PAGE = 500, 100
PAGES_MAX = 1_000
HALF_DONE = 1_800 * SECOND
"""How long (ns) a split may be written down by half; after that, what is not there is not there."""
_TIE = 1_000_000
"""Pages of orders overlap by this much (ns): several may have been placed at once."""
_BY_ONE = 5
"""So many orders whose names we lack are asked for one by one; more, in a list."""


class Questions:
    """One account's. Raises Odd, Declined, and what ``Requests.ask`` raises."""

    def __init__(self, requests: Requests, names: Names, executions: Executions, clock: Clock) -> None:
        self._requests, self._names, self._executions, self._clock = requests, names, executions, clock
        self._halves: dict[str, Row] = {}

    def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        """The answer to one question."""
        return self._requests.ask("GET", path, params)

    def send(self, method: str, path: str, data: dict[str, Any] | None = None) -> Any:
        """The answer to what changes something."""
        return self._requests.ask(method, path, data)

    # --- orders ---------------------------------------------------------------------------------------------------

    def by_client_id(self, client_id: str) -> Body | None:
        """The order with a client order id; None: there is none."""
        return self._order("/orders:by_client_order_id", {"client_order_id": client_id})

    def by_id(self, venue_id: str) -> Body | None:
        """The order with an id of Alpaca's; None: there is none."""
        return self._order(f"/orders/{venue_id}")

    def _order(self, path: str, params: dict[str, Any] | None = None) -> Body | None:
        try:
            found = body(self.get(path, params))
        except Declined as no:
            if no.no_order:
                return None
            raise
        self._names.learn(found)
        return found

    def chain(self, order_id: str, venue_id: str = "") -> tuple[Body, ...]:
        """An order of ours (or, without an id of ours, one of Alpaca's) and those that were put one in another's place;
        () where there is none."""
        found = self.by_client_id(order_id) if order_id else self.by_id(venue_id)
        links: list[Body] = []
        while found is not None and len(links) < LINKS_MAX:
            links.append(found)
            after = maybe_text(found, "replaced_by")
            if found.get("status") != REPLACED or not after:
                break
            if any(after == link["id"] for link in links):
                raise Odd(f"order {after} is in its own place")
            found = self.by_id(after)
        return tuple(links)

    def open_orders(self) -> tuple[OpenOrder, ...]:
        """All that work, each under the id of ours."""
        found: dict[str, Body] = {}
        after = 0
        for _ in range(PAGES_MAX):
            page = rows(self.get("/orders", self._page_of_orders(after)))
            new = [one for one in page if text(one, "id") not in found]
            found.update((text(one, "id"), one) for one in new)
            if len(page) < ORDERS_PAGE:
                break
            if not new:
                raise Odd(f"more than {ORDERS_PAGE} orders of one instant")
            after = max(moment(one, "submitted_at") for one in page) - _TIE
        return tuple(self._open_order(one) for one in flat(list(found.values())))

    @staticmethod
    def _page_of_orders(after: int) -> dict[str, Any]:
        asked = {"status": "open", "limit": ORDERS_PAGE, "direction": "asc", "nested": "false"}
        return {**asked, "after": rfc3339(after)} if after else asked

    def _open_order(self, order: Body) -> OpenOrder:
        """One put in the place of another has what that one filled, as ours has."""
        named = self._named_by(order)
        shown = open_order(order, named.order_id)
        before = self._filled_before(order)
        if together(before, shown.filled, self._names.anew(shown.venue_id)) == shown.filled:
            return shown
        return replace(shown, quantity=shown.quantity + before, filled=shown.filled + before)

    def _filled_before(self, order: Body) -> Decimal:
        """Shares filled by those that an order took the place of: they are asked for back to the first, and learnt from
        there on."""
        older: list[Body] = []
        at: Body | None = order
        while at is not None and self._names.filled_before(at) is None and len(older) < LINKS_MAX:
            at = self.by_id(text(at, "replaces"))
            older += [at] if at is not None else []
        for one in reversed(older):
            self._names.learn(one)
        return self._names.filled_before(order) or ZERO

    def _named_by(self, order: Body) -> Named:
        """Whose order it is, also where it was put in another's place before our time."""
        if self._names.get(text(order, "id")) is None:
            self._filled_before(order)
        return self._names.learn(order)

    # --- fills ----------------------------------------------------------------------------------------------------

    def fills(self, since: int) -> tuple[VenueFill, ...]:
        """All executions from ``since`` (ns UTC) on and a little before, oldest first."""
        found = list(self._activities("/FILL", since - FILLS_MARGIN if since else self._clock() - BEGINNING))
        self._learn(found)
        read = [self._listed(row, self._whose(text(row, "order_id"))) for row in found]
        return tuple(sorted(read, key=lambda fill: (fill.time, fill.fill_key)))

    def fills_of(self, links: Sequence[Body]) -> tuple[VenueFill, ...]:
        """The executions of an order of ours, oldest first; as many as are listed already."""
        return tuple(fill for link in links for fill in self._fills_of(link))

    def _fills_of(self, link: Body) -> list[VenueFill]:
        venue_id, expected = text(link, "id"), number(link, "filled_qty")
        named, found, filled = self._names.learn(link), list[VenueFill](), ZERO
        if not expected:
            return found
        asked = {"direction": "desc", "order_id": venue_id}
        for row in self._activities("/FILL", moment(link, "created_at") - SECOND, **asked):
            if text(row, "order_id") == venue_id:
                found.append(self._listed(row, named))
                filled += found[-1].quantity
            if filled >= expected:
                break
        return found[::-1]

    def _listed(self, row: Body, named: Named) -> VenueFill:
        fill = fill_listed(row, named)
        self._names.witness(text(row, "order_id"), number(row, "cum_qty") - fill.quantity)
        return self._executions.listed(fill)

    def _learn(self, found: Sequence[Body]) -> None:
        """The names of the orders that these filled, where we lack them: of many, page by page."""
        lacking = {venue_id for row in found if self._names.get(venue_id := text(row, "order_id")) is None}
        after = min((moment(row, "transaction_time") for row in found), default=0) - DAY
        while len(lacking) > _BY_ONE:
            asked = {"status": "all", "limit": ORDERS_PAGE, "direction": "asc", "after": rfc3339(after)}
            page = rows(self.get("/orders", asked))
            for order in page:
                self._named_by(order)
                lacking.discard(text(order, "id"))
            before, after = after, max((moment(one, "submitted_at") for one in page), default=after) - _TIE
            if len(page) < ORDERS_PAGE or after <= before:
                return

    def _whose(self, venue_id: str) -> Named:
        """Whose order it is; a stranger's where even Alpaca does not know it."""
        named = self._names.get(venue_id)
        if named is not None:
            return named
        order = self.by_id(venue_id)
        if order is not None:
            return self._named_by(order)
        self._names.name(venue_id, Named("", ""))
        return Named("", "")

    # --- the account ----------------------------------------------------------------------------------------------

    def activities(self, since: int) -> tuple[VenueActivity, ...]:
        """What happened without an order from ``since`` (ns UTC) on, or is written down since, oldest first."""
        after = since - LATE if since else self._clock() - BEGINNING
        found = listed(list(self._activities("", after, category="non_trade_activity")))
        self._halves = halves(found)
        if not names_symbol(found):
            return told(Holdings(rows=found))
        oldest = min(row.time for row in found)
        return told(Holdings(self.positions(), self.fills(oldest), found))

    def _activities(self, path: str, after: int, **more: str) -> Iterator[Body]:
        asked = {"after": to_the_second(after), "direction": "asc", "page_size": ACTIVITIES_PAGE, **more}
        last = ""
        for _ in range(PAGES_MAX):
            page = rows(self.get(f"/account/activities{path}", {**asked, "page_token": last} if last else asked))
            yield from page
            if len(page) < ACTIVITIES_PAGE:
                return
            if text(page[-1], "id") == last:
                raise Odd(f"the page after {last} is the page before")
            last = text(page[-1], "id")
        raise Odd(f"more than {PAGES_MAX} pages of activities")

    def positions(self) -> dict[str, Decimal]:
        """Shares (signed) by symbol, without those that are 0. What a split or a new name has taken away and not given
        back yet is held as before: nothing has been told of it."""
        found = {symbol_of(one): _shares(one) for one in rows(self.get("/positions"))}
        since = self._clock() - HALF_DONE
        for symbol, row in self._halves.items():
            if row.time >= since:
                found.setdefault(symbol, -row.shares)
        return {symbol: shares for symbol, shares in found.items() if shares}


def _shares(position: Body) -> Decimal:
    sides = {"long": 1, "short": -1}
    side = text(position, "side")
    if side not in sides:
        raise Odd(f"side is {side!r}, neither long nor short")
    return abs(number(position, "qty")) * sides[side]


def ended(order: Body) -> bool:
    """Whether nothing more is expected of an order there."""
    status = text(order, "status")
    return status in ENDED and (status in STATUS or status == REPLACED)
