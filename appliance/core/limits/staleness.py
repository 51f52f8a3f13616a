"""How old the last price may be."""

from __future__ import annotations

from appliance.core.limits.base import Case, Refusal

SECOND = 1_000_000_000


class StalePrice:
    """now − time of the last price ≤ limit (ns of market time), judged the same in every driver."""

    code = "STALE_PRICE"
    binds_reductions = False

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def check(self, case: Case) -> Refusal | None:
        if case.price is None:
            return Refusal(self.code, f"no price of {case.intent.symbol} is known")
        age = case.now.time - case.price.time
        if not (age <= self._limit):
            seconds, most = age / SECOND, self._limit / SECOND
            return Refusal(self.code, f"the last price is {seconds:.1f} s old, at most {most:.1f} s")
        return None
