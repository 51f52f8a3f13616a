"""Which orders the venue takes: what it would reject is not sent there."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from appliance.core.limits.base import Case, Refusal
from appliance.domain.trading import Intent, Side
from appliance.domain.venue import EVERYTHING, Takes, VenueTraits


class VenueTakes:
    """Type, time in force, a part of a share and a short position are such as the venue takes of the symbol. Binds
    reductions as well: it takes them no more than others, and who hears of it may ask in another way."""

    code = "UNSUPPORTED"
    binds_reductions = True

    def __init__(self, traits: VenueTraits) -> None:
        self._traits = traits

    def check(self, case: Case) -> Refusal | None:
        takes = self._traits.takes(case.intent.symbol)
        if takes is EVERYTHING:
            return None
        text = _nothing(case.intent) if takes is None else _what(case, takes)
        return Refusal(self.code, text) if text else None


def _nothing(intent: Intent) -> str:
    kind = "pairs such as BTC/USD" if "/" in intent.symbol else "stocks"
    return f"the venue takes no orders of {intent.symbol}: it does not trade {kind}"


def _what(case: Case, takes: Takes) -> str:
    intent = case.intent
    times = takes.orders.get(intent.type, ())
    if not times:
        return f"the venue takes no {intent.type.value} orders of {intent.symbol}; it takes {_names(takes.orders)}"
    if intent.time_in_force not in times:
        return (
            f"the venue takes no {intent.type.value} order of {intent.symbol} with time in force "
            f"{intent.time_in_force.value}; it takes {_names(times)}"
        )
    return _part(intent, takes) or _short(case, takes)


def _part(intent: Intent, takes: Takes) -> str:
    """Whether an order is for a part of a share where there are none, or for too small a one."""
    if not intent.quantity % 1:
        return ""
    times = takes.fractional.get(intent.type, ())
    if intent.time_in_force in times:
        small = intent.quantity % takes.smallest
        return f"quantity {intent.quantity} is no multiple of {takes.smallest}, the venue's smallest" if small else ""
    how = f"{intent.type.value} order with time in force {intent.time_in_force.value}"
    return f"quantity {intent.quantity}: the venue takes no {how} for a part of a share"


def _short(case: Case, takes: Takes) -> str:
    intent = case.intent
    if takes.shorts or intent.side is not Side.SELL or case.reduces:
        return ""
    left = case.position - case.selling - intent.quantity
    return f"{left} would be left: the venue lends no {intent.symbol} to sell short" if not left >= 0 else ""


def _names(found: Iterable[Enum]) -> str:
    return ", ".join(str(one.value) for one in found) or "none"
