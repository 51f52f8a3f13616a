"""How a simulated market fills orders and what it charges: every rule is a choice, and a model is a set of choices."""

from __future__ import annotations

from msgspec import Struct

from appliance.core.models.commission import Commission
from appliance.core.models.financing import Financing
from appliance.domain.trading import AccountKind


class MarketModel(Struct, frozen=True):
    """All choices of one simulated market, pessimistic where none is made. ``financing`` is of margin accounts."""

    commission: Commission = Commission()
    financing: Financing = Financing()
    account: AccountKind = AccountKind.SECURED
