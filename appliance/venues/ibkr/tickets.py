"""Our orders in IB's words and back, and what IB takes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from appliance.domain.messages import OpenOrder
from appliance.domain.trading import Order, OrderType, Side, TimeInForce
from appliance.domain.venue import SECOND, Takes, VenueTraits
from appliance.venues.base import Change
from appliance.venues.ibkr.told import Seen, Ticket

_T, _F = OrderType, TimeInForce
TYPES: dict[OrderType, str] = {
    _T.MARKET: "MKT", _T.LIMIT: "LMT", _T.STOP: "STP", _T.STOP_LIMIT: "STP LMT", _T.TRAILING_STOP: "TRAIL",
}  # fmt: skip
AT_CLOSE: dict[OrderType, str] = {_T.MARKET: "MOC", _T.LIMIT: "LOC"}
"""Orders of the closing auction are types of their own, for the day."""
_KINDS: dict[str, tuple[OrderType, TimeInForce | None]] = {
    **{word: (kind, None) for kind, word in TYPES.items()},
    **{word: (kind, _F.CLS) for kind, word in AT_CLOSE.items()},
}
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL, "SSHORT": Side.SELL, "BOT": Side.BUY, "SLD": Side.SELL}
REDUCE_WITH_BLOCK = 2
"""Of a group's orders, what one fills the others lose, and only one of them is routed at a time, so that both cannot
fill at once; type 3 is without that block."""
_RESTING = (_F.DAY, _F.GTC)
ORDERS: dict[OrderType, tuple[TimeInForce, ...]] = {
    _T.MARKET: (_F.DAY, _F.GTC, _F.IOC, _F.OPG, _F.CLS),
    _T.LIMIT: (_F.DAY, _F.GTC, _F.IOC, _F.FOK, _F.OPG, _F.CLS),
    _T.STOP: _RESTING,
    _T.STOP_LIMIT: _RESTING,
    _T.TRAILING_STOP: _RESTING,
}
_WHOLE = Decimal(1)


def traits(outside_rth: bool) -> VenueTraits:
    """What IB takes of US stocks: whole shares. Crypto goes to another exchange there, and is not taken."""
    extended = {_T.LIMIT: _RESTING} if outside_rth else {}
    return VenueTraits(
        refuses_duplicates=False, absent_is_final=False, flips_at_once=True, oco=True, ask_every=2 * SECOND,
        look_every=30 * SECOND, looks_to_differ=3,
        stocks=Takes(orders=ORDERS, fractional={}, extended=extended, smallest=_WHOLE), crypto=None,
    )  # fmt: skip


def ticket(order: Order, account: str, outside_rth: bool) -> Ticket | str:
    """An order of ours in IB's words; or why there are none for it."""
    if order.time_in_force not in ORDERS[order.type]:
        return f"{order.type.value} orders are not taken for {order.time_in_force.value}"
    closing = order.time_in_force is _F.CLS
    trail = order.trail
    if order.type is _T.TRAILING_STOP and trail is None:
        return "a trailing stop without its distance"
    resting = order.type is _T.LIMIT and order.time_in_force in _RESTING
    asked = Ticket(
        action=order.side.name, quantity=order.quantity, type=(AT_CLOSE if closing else TYPES)[order.type],
        tif="DAY" if closing else order.time_in_force.name, limit=order.limit_price,
        aux=order.stop_price, group=order.oco, ref=order.id, account=account, outside_rth=outside_rth and resting,
    )  # fmt: skip
    if trail is None or order.type is not _T.TRAILING_STOP:
        return asked
    asked = asked._replace(aux=None, trail_stop=order.stop_price)
    return asked._replace(trail_percent=trail.distance) if trail.percent else asked._replace(aux=trail.distance)


def changed(asked: Ticket, change: Change) -> Ticket:
    """A ticket that asks for something else."""
    if change.quantity is not None:
        asked = asked._replace(quantity=change.quantity)
    if change.limit_price is not None:
        asked = asked._replace(limit=change.limit_price)
    if change.stop_price is None:
        return asked
    stop = change.stop_price
    return asked._replace(trail_stop=stop) if asked.type == "TRAIL" else asked._replace(aux=stop)


def fields(asked: Ticket) -> dict[str, Any]:
    """The library's fields of a ticket. Numbers are written out by us: as floats they would not be the same."""
    numbers = {
        "totalQuantity": asked.quantity, "lmtPrice": asked.limit, "auxPrice": asked.aux,
        "trailStopPrice": asked.trail_stop, "trailingPercent": asked.trail_percent,
    }  # fmt: skip
    return {
        "action": asked.action, "orderType": asked.type, "tif": asked.tif, "ocaGroup": asked.group,
        "ocaType": REDUCE_WITH_BLOCK if asked.group else 0, "orderRef": asked.ref, "account": asked.account,
        "outsideRth": asked.outside_rth, **{name: f"{one:f}" for name, one in numbers.items() if one is not None},
    }  # fmt: skip


def open_order(seen: Seen, filled: Decimal) -> OpenOrder:
    """An order that works. A type that we do not know is shown as what it is most like: a limit order where it has a
    limit. Raises ValueError for a side that we do not know."""
    asked = seen.ticket
    if asked.action not in SIDES:
        raise ValueError(f"action {asked.action!r} of order {seen.perm_id}")
    known, force = _KINDS.get(asked.type, (_T.LIMIT if asked.limit else _T.MARKET, None))
    trailing = known is _T.TRAILING_STOP
    stops = known in (_T.STOP, _T.STOP_LIMIT)
    return OpenOrder(
        order_id=asked.ref, venue_id=str(seen.perm_id), symbol=seen.symbol, side=SIDES[asked.action],
        quantity=asked.quantity, type=known, filled=filled,
        limit_price=asked.limit if known in (_T.LIMIT, _T.STOP_LIMIT) else None,
        stop_price=asked.trail_stop if trailing else asked.aux if stops else None,
        time_in_force=force or _TIFS.get(asked.tif, _F.DAY),
    )  # fmt: skip


_TIFS = {force.name: force for force in TimeInForce} | {"GTD": _F.GTC}
