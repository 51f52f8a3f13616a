"""When an order meets the market, and at what price: plain rules, each for one order and one quote."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from tests.standins.brokerage.orders import Placed

STOPS = ("stop", "stop_limit", "trailing_stop")
LIMITED = ("limit", "stop_limit")


def stirred(order: Placed, bid: Decimal, ask: Decimal) -> Placed:
    """The order after a quote was seen: a trailing stop follows, a stop that is reached is triggered."""
    if order.type not in STOPS or order.triggered:
        return order
    if order.type == "trailing_stop":
        order = _trailed(order, bid, ask)
    assert order.stop_price is not None
    reached = ask >= order.stop_price if order.side == "buy" else bid <= order.stop_price
    return replace(order, triggered=True) if reached else order


def _trailed(order: Placed, bid: Decimal, ask: Decimal) -> Placed:
    """A sale's stop is that far below the best bid since it was placed, a purchase's above the best ask."""
    price = ask if order.side == "buy" else bid
    better = min if order.side == "buy" else max
    extreme = price if order.extreme is None else better(order.extreme, price)
    distance = order.trail if order.trail is not None else extreme * (order.trail_percent or 0) / 100
    return replace(order, extreme=extreme, stop_price=extreme + order.sign * distance)


def price_of(order: Placed, bid: Decimal, ask: Decimal) -> Decimal | None:
    """The price it fills at with this quote; None: not now."""
    if order.type in STOPS and not order.triggered:
        return None
    price = ask if order.side == "buy" else bid
    if order.type in LIMITED and order.limit_price is not None:
        good = price <= order.limit_price if order.side == "buy" else price >= order.limit_price
        return price if good else None
    return price
