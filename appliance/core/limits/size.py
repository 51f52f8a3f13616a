"""How large one order may be, in shares."""

from __future__ import annotations

from decimal import Decimal

from appliance.core.limits.base import Case, Refusal, within


class MaxOrderSize:
    """quantity ≤ limit (shares)."""

    code = "MAX_ORDER_SIZE"
    binds_reductions = False

    def __init__(self, limit: Decimal) -> None:
        self._limit = limit

    def check(self, case: Case) -> Refusal | None:
        if not within(case.intent.quantity, self._limit):
            return Refusal(self.code, f"{case.intent.quantity} shares, at most {self._limit} an order")
        return None
