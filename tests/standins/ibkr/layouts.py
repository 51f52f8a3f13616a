"""The messages of trading, field by field, as server versions 157 to 178 send them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.standins.ibkr.tickets import NO_PROFILE, Ticket

UNSET = "1.7976931348623157E308"
NOT_SET = 2147483647
NO_PARENT = 9223372036854775807
NEW_YORK = ZoneInfo("America/New_York")
ORDER_STATUS, ERROR, OPEN_ORDER, EXECUTION, COMMISSION, POSITION = "3", "4", "5", "11", "59", "61"
Message = list[object]


class Seen(NamedTuple):
    """An order as the gateway shows it. ``commission`` is known of a filled one in the end; ``ended`` (ns UTC) of one
    that has ended."""

    ticket: Ticket
    con_id: int
    symbol: str
    client: int
    perm_id: int
    account: str
    status: str
    filled: Decimal = Decimal(0)
    average: Decimal = Decimal(0)
    last: Decimal = Decimal(0)
    commission: Decimal | None = None
    warning: str = ""
    why_held: str = ""
    ended: int = 0
    reason: str = ""

    @property
    def oca_type(self) -> int:
        """How its group works: 3 (less without block) of orders without a type, 1 (cancel) where they have a group."""
        return self.ticket.oca_type or (1 if self.ticket.oca_group and not self.ticket.parent else 3)

    @property
    def remaining(self) -> Decimal:
        """Shares that are not filled."""
        return self.ticket.quantity - self.filled


class Fill(NamedTuple):
    """An execution as the gateway shows it, and what it cost."""

    exec_id: str
    time: int
    symbol: str
    con_id: int
    side: str
    shares: Decimal
    price: Decimal
    order_id: int
    perm_id: int
    client: int
    account: str
    reference: str
    total: Decimal
    average: Decimal
    commission: Decimal = Decimal(0)
    realized: Decimal | None = None


def open_order(seen: Seen, version: int) -> Message:
    """openOrder: 136 fields from 170 on, 135 from 177 on."""
    ticket = seen.ticket
    old = [""] if version < NO_PROFILE else []
    head = [5, ticket.order_id, *_contract(seen), *_asked(seen), ticket.reference, seen.client, seen.perm_id]
    held = [
        ticket.outside_rth,
        0,
        0,
        "",
        f"{seen.perm_id}.0/{seen.account}/100",
        "",
        "",
        "",
        *old,
        "",
        ticket.good_till,
    ]
    prices = ["", "", "", 0, "", -1, 0, "", "", "", "", "", NOT_SET, 0, 0, 0, "", seen.oca_type, 0, 0, ""]
    neutral = [ticket.parent, 0, "", 0, "None", "", 0, "", "", "", "?", 0, 0, ""]
    trail = [0, 0, text(ticket.trail_stop), text(ticket.trail_percent), "", "", "", 0, 0, 0, NOT_SET, NOT_SET, "", ""]
    state = [0, "", "IB", 0, 0, "", 0, 0, seen.status, *[UNSET] * 9, text(seen.commission), "", ""]
    cost = ["USD" if seen.commission is not None else "", seen.warning, 0, 0, 0, "None"]
    adjusted = [UNSET, text(ticket.trail_stop) or UNSET, *[UNSET] * 4, 0, "", "", "", 0, 1, 0, 0, 0]
    return [*head, *held, *prices, *neutral, *trail, *state, *cost, *adjusted, *_lately(version)]


def _lately(version: int) -> list[object]:
    """What versions have added since 157."""
    added: list[tuple[int, list[object]]] = [(159, [""]), (160, [""]), (162, [0]), (170, ["", 100, 0.02, "", ""])]
    return [field for since, fields in added if version >= since for field in fields]


def completed_order(seen: Seen, version: int) -> Message:
    """completedOrder: 101 fields from 170 to 176; without order id and client, and with a total of 0."""
    ticket = seen.ticket
    old = [""] if version < NO_PROFILE else []
    kind = [*_contract(seen), *_asked(seen, total=Decimal(0)), ticket.reference, seen.perm_id, ticket.outside_rth, 0, 0]
    held = ["", "", "", "", *old, "", ticket.good_till, "", "", "", 0, "", -1, "", "", "", "", "", NOT_SET, 0, 0, ""]
    neutral = [seen.oca_type, 0, "", 0, "None", "", 0, 0, 0, "", 0, 0, text(ticket.trail_stop)]
    trail = [
        text(ticket.trail_percent),
        "",
        0,
        0,
        0,
        NOT_SET,
        NOT_SET,
        "",
        "",
        "",
        "IB",
        0,
        0,
        "",
        0,
        seen.status,
        0,
        0,
    ]
    cost = [0, text(ticket.trail_stop) or UNSET, UNSET, 0, 1, 0, "", text(seen.filled), NOT_SET, 0]
    owner = ["Not an insider or substantial shareholder", 0, 0, NO_PARENT, shown(seen.ended), seen.reason]
    late = ["", 100, 0.02, "", ""] if version >= 170 else []
    return [101, *kind, *held, *neutral, *trail, *cost, *owner, *late]


def _contract(seen: Seen) -> Message:
    return [seen.con_id, seen.symbol, "STK", "", 0, "?", "", "SMART", "USD", seen.symbol, "NMS"]


def _asked(seen: Seen, total: Decimal | None = None) -> Message:
    ticket = seen.ticket
    quantity = ticket.quantity if total is None else total
    prices = [text(ticket.limit or Decimal("0.0")), text(ticket.aux or Decimal("0.0"))]
    return [ticket.action, text(quantity), ticket.type, *prices, ticket.tif, ticket.oca_group, seen.account, "", 0]


def order_status(seen: Seen) -> Message:
    """orderStatus."""
    counts = [text(seen.filled), text(seen.remaining), text(seen.average)]
    ids = [seen.perm_id, seen.ticket.parent, text(seen.last), seen.client]
    return [3, seen.ticket.order_id, seen.status, *counts, *ids, seen.why_held, 0]


def execution(fill: Fill, version: int, request: int | str = -1, *, utc: bool = False) -> Message:
    """execDetails, told by itself or for a request; ``utc``: with its time as newer gateways have it."""
    contract = [fill.con_id, fill.symbol, "STK", "", 0.0, "", "", "SMART", "USD", fill.symbol, "NMS"]
    time = datetime.fromtimestamp(fill.time // 10**9, UTC).strftime("%Y%m%d-%H:%M:%S") if utc else shown(fill.time)
    what = [fill.exec_id, time, fill.account, "ISLAND", fill.side, text(fill.shares), text(fill.price)]
    whose = [fill.perm_id, fill.client, 0, text(fill.total), text(fill.average), fill.reference, "", "", "", 1]
    order_id = NOT_SET if fill.client == 0 and not fill.order_id else fill.order_id  # so it is with orders by hand
    return [11, request, order_id, *contract, *what, *whose, *([0] if version >= 178 else [])]


def commission(fill: Fill) -> Message:
    """commissionReport."""
    realized = UNSET if fill.realized is None else text(fill.realized)
    return [59, 1, fill.exec_id, text(fill.commission), "USD", realized, UNSET, ""]


def position(account: str, symbol: str, con_id: int, shares: Decimal, cost: Decimal) -> Message:
    """position."""
    contract = [con_id, symbol, "STK", "", 0.0, "", "", "", "USD", symbol, "NMS"]
    return [61, 3, account, *contract, text(shares), text(cost)]


def portfolio(account: str, symbol: str, con_id: int, numbers: Sequence[Decimal]) -> Message:
    """portfolioValue; ``numbers`` are position, market price, market value, average cost, unrealized and realized."""
    contract = [con_id, symbol, "STK", "", 0.0, "0", "", "NASDAQ", "USD", symbol, "NMS"]
    return [7, 8, *contract, *(text(number) for number in numbers), account]


def text(number: Decimal | None) -> str:
    """A number as the gateway writes it; nothing is an empty field."""
    return "" if number is None else f"{number:f}"


def shown(time: int) -> str:
    """A time (ns UTC) as the gateway writes it."""
    return datetime.fromtimestamp(time // 10**9, UTC).astimezone(NEW_YORK).strftime("%Y%m%d %H:%M:%S US/Eastern")
