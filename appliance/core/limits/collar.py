"""How far from the market an order may be priced."""

from __future__ import annotations

from decimal import Decimal

from appliance.core.limits.base import Case, Refusal, within


class PriceCollar:
    """|limit or stop price − last price| ≤ percent of the last price. Without a last price: no."""

    code = "PRICE_COLLAR"
    binds_reductions = False

    def __init__(self, percent: Decimal) -> None:
        self._percent = percent

    def check(self, case: Case) -> Refusal | None:
        if case.price is None:
            return Refusal(self.code, f"no price of {case.intent.symbol} is known")
        last = Decimal(repr(case.price.value))
        for price in (case.intent.limit_price, case.intent.stop_price):
            if price is not None and not within(abs(price - last) * 100, self._percent * last):
                return Refusal(self.code, f"price {price} is more than {self._percent} % from the last, {last}")
        return None
