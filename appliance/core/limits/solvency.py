"""Whether the account can pay."""

from __future__ import annotations

from appliance.core.limits.base import Case, Refusal, within


class SufficientCash:
    """quantity × (limit price, else last price) + what working entries may still need ≤ cash (USD).

    A short sale is held to the same sum: a cash account lends nothing. Unknown cash or price: no.
    """

    code = "INSUFFICIENT_CASH"
    binds_reductions = False

    def check(self, case: Case) -> Refusal | None:
        price = case.reference
        if price is None or case.cash is None:
            what = "price" if price is None else "account"
            return Refusal(self.code, f"the {what} is not known")
        needed = case.intent.quantity * price + case.reserved
        if not within(needed, case.cash):
            return Refusal(self.code, f"{needed:.2f} USD needed, {case.cash:.2f} USD of cash")
        return None
