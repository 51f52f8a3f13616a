"""Orders that make no sense whatever the limits are."""

from __future__ import annotations

from appliance.core.limits.base import Case, Refusal, positive
from appliance.domain.trading import ID_LENGTH_MAX, OrderType

_NEEDS = {
    OrderType.LIMIT: ("limit_price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("limit_price", "stop_price"),
}


class WellFormed:
    """Quantity finite and positive, prices present where the type needs them, finite and positive, id short enough."""

    code = "MALFORMED"
    binds_reductions = True

    def check(self, case: Case) -> Refusal | None:
        intent = case.intent
        if not positive(intent.quantity):
            return Refusal(self.code, f"quantity {intent.quantity} is not a positive number of shares")
        for name in _NEEDS.get(intent.type, ()):
            if not positive(getattr(intent, name)):
                return Refusal(self.code, f"a {intent.type.value} order needs a positive {name}")
        for name in ("limit_price", "stop_price", "stop"):
            price = getattr(intent, name)
            if price is not None and not positive(price):
                return Refusal(self.code, f"{name} {price} is not a positive price")
        if not (0 < len(intent.id) <= ID_LENGTH_MAX):
            return Refusal(self.code, f"order id of {len(intent.id)} characters, at most {ID_LENGTH_MAX}")
        return None
