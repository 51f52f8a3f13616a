"""Orders between us and Alpaca: what is sent for one of ours, and what their bodies say. Tables, and no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from appliance.domain.messages import OpenOrder, VenueFill, VenueReport
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import ZERO, Order, OrderType, Side, TimeInForce
from appliance.venues.alpaca.names import Named, crypto_pair, symbol_of, together
from appliance.venues.alpaca.reading import (
    Body,
    Odd,
    maybe_number,
    maybe_text,
    moment,
    number,
    plain,
    rows,
    text,
)
from appliance.venues.alpaca.rejections import meaning

_E = OrderEvent
STATUS: dict[str, OrderEvent] = {
    **dict.fromkeys(
        (
            "new", "accepted", "pending_new", "accepted_for_bidding", "held", "partially_filled", "pending_cancel",
            "pending_replace", "pending_review", "stopped", "suspended", "calculated",
            "done_for_day",  # goes on in the next session, or expires
            "filled",  # what it filled is told by its fills
        ),
        _E.ACCEPT,
    ),
    "canceled": _E.CANCEL,
    "expired": _E.EXPIRE,
    "rejected": _E.REJECT,
}  # fmt: skip
"""What an order's status is to us; ``replaced`` is told by the order in its place."""
ENDED = ("filled", "canceled", "expired", "rejected", "replaced")
REPLACED = "replaced"
SIDES = {"buy": Side.BUY, "sell": Side.SELL, "sell_short": Side.SELL, "buy_to_cover": Side.BUY}
_TYPES = {kind.value: kind for kind in OrderType}
_TIMES = {time.value: time for time in TimeInForce}
_BY_PRICES = {
    (False, False): OrderType.MARKET, (True, False): OrderType.LIMIT, (False, True): OrderType.STOP,
    (True, True): OrderType.STOP_LIMIT,
}  # fmt: skip


def request(order: Order, extended_hours: bool) -> dict[str, Any]:
    """The body that asks for an order of ours, numbers as text; ``extended_hours``: it may also work outside the
    session, where Alpaca lets it."""
    for_the_day = order.time_in_force is TimeInForce.DAY
    crypto = "/" in order.symbol
    in_force = TimeInForce.GTC if crypto and for_the_day and order.type is OrderType.MARKET else order.time_in_force
    asked = {
        "symbol": order.symbol, "qty": plain(order.quantity), "side": order.side.value, "type": order.type.value,
        "time_in_force": in_force.value, "client_order_id": order.id,
    }  # fmt: skip
    if order.limit_price is not None:
        asked["limit_price"] = plain(order.limit_price)
    if order.stop_price is not None and order.trail is None:
        asked["stop_price"] = plain(order.stop_price)
    if order.trail is not None:
        asked["trail_percent" if order.trail.percent else "trail_price"] = plain(order.trail.distance)
    if extended_hours and for_the_day and order.type is OrderType.LIMIT and not crypto:
        return {**asked, "extended_hours": True}
    return asked


def differs(order: Order, placed: Body) -> str:
    """What an order that has our id there has otherwise than ours; "": nothing. Raises Odd."""
    pairs = (
        ("symbol", crypto_pair(order.symbol), crypto_pair(text(placed, "symbol"))),
        ("side", order.side, SIDES.get(text(placed, "side"))),
        ("qty", order.quantity, maybe_number(placed, "qty")),
    )
    return ", ".join(f"{name} {theirs} there, {our} here" for name, our, theirs in pairs if our != theirs)


class Standing(NamedTuple):
    """How an order stands, and what of it we do not understand ("": nothing)."""

    report: VenueReport
    odd: str = ""


def standing(
    order_id: str, links: Sequence[Body], at: int, said: str = "", anew: Callable[[str], bool] = lambda venue_id: False
) -> Standing:
    """How an order of ours stands: ``links`` are the orders there that were put one in another's place, of which the
    last one counts; ``anew``: which of them are known to have begun with nothing filled. Raises Odd."""
    last = links[-1]
    status = text(last, "status")
    filled = ZERO
    for link in links:
        filled = together(filled, maybe_number(link, "filled_qty") or ZERO, anew(text(link, "id")))
    event = STATUS.get(status)
    if event is _E.REJECT and filled:
        event = _E.CANCEL  # what has filled was not rejected
    odd = "" if event is not None else f"order status {status!r} is not one we know"
    reason = said or maybe_text(last, "reject_reason") or maybe_text(last, "reason")
    report = VenueReport(
        order_id, event or _E.ACCEPT, at, venue_id=text(last, "id"), text=reason or _reason(status), filled=filled,
        stop=_stop(last), code=str(meaning(reason)) if event is _E.REJECT else "",
    )  # fmt: skip
    return Standing(report, odd)


def _reason(status: str) -> str:
    """Alpaca tells no reason in an order's body."""
    return "rejected by Alpaca after it was taken" if status == "rejected" else ""


def _stop(order: Body) -> Decimal | None:
    """The price a trailing stop has come to."""
    return maybe_number(order, "stop_price") if order.get("type") == OrderType.TRAILING_STOP.value else None


def open_order(order: Body, order_id: str) -> OpenOrder:
    """An order that works there. Of a kind that we do not have it is shown by its prices; one for an amount of money
    has a quantity of what it has filled. Raises Odd."""
    limit, stop = maybe_number(order, "limit_price"), maybe_number(order, "stop_price")
    filled = maybe_number(order, "filled_qty") or ZERO
    kind = _TYPES.get(maybe_text(order, "type") or maybe_text(order, "order_type"))
    return OpenOrder(
        order_id=order_id, venue_id=text(order, "id"), symbol=symbol_of(order), side=side(order),
        quantity=maybe_number(order, "qty") or filled, type=kind or _BY_PRICES[limit is not None, stop is not None],
        filled=filled, limit_price=limit, stop_price=stop,
        time_in_force=_TIMES.get(maybe_text(order, "time_in_force"), TimeInForce.DAY),
    )  # fmt: skip


def flat(orders: Sequence[Body]) -> list[Body]:
    """Orders and the legs inside them, each once; one of several legs has no symbol of its own and is shown by them.
    Raises Odd."""
    found: dict[str, Body] = {}
    for order in orders:
        legs = [leg for leg in rows(order.get("legs") or []) if maybe_text(leg, "status") not in ENDED]
        if order.get("symbol") or not legs:
            found[text(order, "id")] = order
        found.update((text(leg, "id"), leg) for leg in legs)
    return list(found.values())


def side(of: Body) -> Side:
    """Buy or sell. Raises Odd."""
    found = SIDES.get(text(of, "side"))
    if found is None:
        raise Odd(f"side is {of['side']!r}, neither buy nor sell")
    return found


# --- fills ------------------------------------------------------------------------------------------------------------


def fill_key(venue_id: str, cumulative: Decimal) -> str:
    """What an execution is known by, told by the stream or by the account's activities: the order there, and what it
    had filled after it."""
    return f"{venue_id}:{plain(cumulative)}"


def fill_heard(data: Body, named: Named, at: int) -> VenueFill:
    """The execution of a ``fill`` or ``partial_fill`` event. Raises Odd."""
    order = data["order"]
    cumulative, quantity = number(order, "filled_qty"), number(data, "qty")
    if not 0 < quantity <= cumulative:
        raise Odd(f"a fill of {quantity} after which {cumulative} are filled")
    return VenueFill(
        fill_key(text(order, "id"), cumulative), named.order_id, symbol_of(order), side(order), quantity,
        number(data, "price"), ZERO, moment(data, "timestamp"), at,
    )  # fmt: skip


def fill_listed(row: Body, named: Named) -> VenueFill:
    """The execution of a FILL activity, told as of when it happened, so that it stands before or after a split as it
    did there. Raises Odd."""
    time = moment(row, "transaction_time")
    return VenueFill(
        fill_key(text(row, "order_id"), number(row, "cum_qty")), named.order_id, named.symbol or text(row, "symbol"),
        side(row), abs(number(row, "qty")), number(row, "price"), ZERO, time, time,
    )  # fmt: skip
