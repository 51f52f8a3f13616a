"""Orders that make no sense whatever the limits are."""

from __future__ import annotations

from decimal import Decimal

from appliance.core.limits.base import Case, Refusal, positive
from appliance.domain.trading import AUCTIONS, ID_LENGTH_MAX, Intent, OrderType, Side, Trail

_NEEDS = {
    OrderType.LIMIT: ("limit_price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("limit_price", "stop_price"),
}
TRAILING_STOP = OrderType.TRAILING_STOP
_PRICES = ("limit_price", "stop_price", "stop", "take_profit")
PERCENT_MAX = 100


class WellFormed:
    """Quantity finite and positive, prices and trails present where the type needs them, finite and positive, a trail
    below 100 percent, no stop in an auction, id short enough; a stop behind an entry and its take-profit on the right
    side of its price."""

    code = "MALFORMED"
    binds_reductions = True

    def check(self, case: Case) -> Refusal | None:
        intent = case.intent
        text = _quantity(intent) or _prices(intent) or _trails(intent) or _id(intent)
        if not text and not intent.exit:
            text = _bracket(case)
        return Refusal(self.code, text) if text else None


def _quantity(intent: Intent) -> str:
    return "" if positive(intent.quantity) else f"quantity {intent.quantity} is not a positive number of shares"


def _prices(intent: Intent) -> str:
    for name in _NEEDS.get(intent.type, ()):
        if not positive(getattr(intent, name)):
            return f"a {intent.type.value} order needs a positive {name}"
    for name in _PRICES:
        price = getattr(intent, name)
        if price is not None and not positive(price):
            return f"{name} {price} is not a positive price"
    return ""


def _trails(intent: Intent) -> str:
    if intent.time_in_force in AUCTIONS and intent.type not in (OrderType.MARKET, OrderType.LIMIT):
        return f"time in force {intent.time_in_force.value} is for market and limit orders, not for {intent.type.value}"
    if intent.trail is None and intent.type is TRAILING_STOP:
        return "a trailing_stop order needs a trail: how far it stays behind, in USD or percent"
    for name in ("trail", "trailing"):
        trail: Trail | None = getattr(intent, name)
        if trail is not None and not (
            positive(trail.distance) and not (trail.percent and trail.distance >= PERCENT_MAX)
        ):
            kind = f" percent: more than 0, less than {PERCENT_MAX}" if trail.percent else " USD: more than 0"
            return f"{name} {trail.distance}{kind}"
    return ""


def _id(intent: Intent) -> str:
    fits = 0 < len(intent.id) <= ID_LENGTH_MAX
    return "" if fits else f"order id of {len(intent.id)} characters, at most {ID_LENGTH_MAX}"


def _bracket(case: Case) -> str:
    """A stop that would be hit at once, or a take-profit that would fill at once, by the price known so far."""
    intent = case.intent
    if intent.stop is None and intent.take_profit is None:
        return ""
    price = _expected(case)
    if price is None:
        return ""
    long = intent.side is Side.BUY
    behind, ahead = ("below", "above") if long else ("above", "below")
    for name, wanted, value in (("stop", behind, intent.stop), ("take_profit", ahead, intent.take_profit)):
        if value is not None and not (value < price if wanted == "below" else value > price):
            return f"{name} {value} is not {wanted} the price {price} of a {'long' if long else 'short'} entry"
    return ""


def _expected(case: Case) -> Decimal | None:
    """The price (USD) an entry would be filled at: the last one, unless it waits for another first."""
    intent, last = case.intent, Decimal(repr(case.price.value)) if case.price is not None else None
    higher, lower = (max, min) if intent.side is Side.BUY else (min, max)
    if intent.stop_price is not None:
        return higher(intent.stop_price, last) if last is not None else intent.stop_price
    if intent.limit_price is not None:
        return lower(intent.limit_price, last) if last is not None else intent.limit_price
    return last
