"""From a wished position to orders: what is missing, split where it crosses zero, deferred while orders oppose."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from appliance.domain.trading import ZERO, Side

BUY, SELL = Side.BUY, Side.SELL


class Leg(Struct, frozen=True, gc=False):
    """One order to ask for: ``quantity`` shares; ``exit`` when it only closes what is held."""

    side: Side
    quantity: Decimal
    exit: bool


def legs(target: Decimal, held: Decimal, on_its_way: Decimal) -> tuple[Leg, ...] | None:
    """The orders that lead from ``held`` (confirmed, signed shares) plus what is on its way to ``target``.

    None: wait until what is on its way has ended. An exit never exceeds what is confirmed, and a flip is two orders:
    out, then in; brokers refuse the direct way.
    """
    expected = held + on_its_way
    if target == expected:
        return ()
    missing, same_side = target - expected, target * expected
    if on_its_way and (missing * on_its_way < 0 or abs(target) < abs(expected) or same_side < 0):
        return None
    if not expected or (same_side > 0 and abs(target) > abs(expected)):
        return (_leg(missing, exits=False),)
    if same_side >= 0:
        return (_leg(missing, exits=True),)
    return (_leg(-expected, exits=True), _leg(target, exits=False))


def _leg(change: Decimal, exits: bool) -> Leg:
    return Leg(BUY, change, exits) if change > ZERO else Leg(SELL, -change, exits)
