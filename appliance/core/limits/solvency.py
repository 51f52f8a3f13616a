"""Whether the account can pay."""

from __future__ import annotations

from decimal import Decimal

from appliance.core.limits.base import Case, Refusal, positive, within
from appliance.domain.trading import ZERO


class SufficientCash:
    """quantity × (limit price, else last price) + what working entries may still need ≤ free cash (USD).

    A short sale is held to the same sum: this account lends nothing. Free cash is without the proceeds of short sales
    and as much again, which secures them; of what working exits buy back, without what that costs. Unknown cash or
    price: no.
    """

    code = "INSUFFICIENT_CASH"
    binds_reductions = False

    def check(self, case: Case) -> Refusal | None:
        price = case.reference
        if price is None or case.cash is None:
            what = "price" if price is None else "account"
            return Refusal(self.code, f"the {what} is not known")
        secured = ZERO
        for symbol, shares in case.positions.items():
            if shares < 0:
                last = case.prices.get(symbol)
                value = Decimal(repr(last.value)) if last is not None else None
                if value is None or not positive(value):
                    return Refusal(self.code, f"the price of {symbol} is not known")
                secured -= (2 * shares + min(case.covering.get(symbol, ZERO), -shares)) * value
        needed = case.intent.quantity * price + case.reserved + secured
        if not within(needed, case.cash):
            return Refusal(self.code, f"{needed:.2f} USD needed, {case.cash:.2f} USD of cash")
        return None
