"""How large a position may become, counting everything that is on its way."""

from __future__ import annotations

from decimal import Decimal

from appliance.core.limits.base import Case, Refusal, within


class MaxPosition:
    """|position ± working orders of this side ± this order| ≤ limit (shares): the worst case."""

    code = "MAX_POSITION"
    binds_reductions = False

    def __init__(self, limit: Decimal) -> None:
        self._limit = limit

    def check(self, case: Case) -> Refusal | None:
        if not within(case.worst, self._limit):
            return Refusal(self.code, f"position could become {case.worst} shares, at most {self._limit}")
        return None
