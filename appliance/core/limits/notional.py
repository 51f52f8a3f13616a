"""How much money one order may move."""

from __future__ import annotations

from decimal import Decimal

from appliance.core.limits.base import Case, Refusal, within


class MaxNotional:
    """quantity × (limit price, else last price) ≤ limit (USD). Without a price: no."""

    code = "MAX_NOTIONAL"
    binds_reductions = False

    def __init__(self, limit: Decimal) -> None:
        self._limit = limit

    def check(self, case: Case) -> Refusal | None:
        price = case.reference
        if price is None:
            return Refusal(self.code, f"no price of {case.intent.symbol} is known")
        notional = case.intent.quantity * price
        if not within(notional, self._limit):
            return Refusal(self.code, f"{notional:.2f} USD, at most {self._limit} an order")
        return None
