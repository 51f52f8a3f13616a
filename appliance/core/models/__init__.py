"""How a simulated market fills orders and what it charges: every rule is a choice, and a model is a set of choices."""

from __future__ import annotations

from msgspec import Struct

from appliance.core.models.commission import Commission


class MarketModel(Struct, frozen=True):
    """All choices of one simulated market. The defaults are pessimistic."""

    commission: Commission = Commission()
