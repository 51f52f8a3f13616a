"""How a simulated market fills orders and what it charges: every rule is a choice, and a model is a set of choices."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from appliance.core.models.commission import IB_EXACT, AnyCommission, Commission, Percent
from appliance.core.models.fills import Fills
from appliance.core.models.financing import Financing
from appliance.core.models.impact import AnyImpact, NoImpact
from appliance.core.models.latency import AnyLatency, Delay
from appliance.core.models.sizing import Sizer, Sizing
from appliance.core.models.slippage import AnySlippage, NoSlippage
from appliance.domain.trading import AccountKind


class MarketModel(Struct, frozen=True):
    """All choices of one simulated market.

    ``participation``: at most so many percent of an event's volume are filled, for all orders together; None: all that
    is asked. ``financing`` has the rates; they are charged on a margin ``account`` only.
    """

    commission: AnyCommission = Commission()
    fills: Fills = Fills()
    sizing: Sizing = Sizing()
    slippage: AnySlippage = NoSlippage()
    impact: AnyImpact = NoImpact()
    participation: Decimal | None = None
    latency: AnyLatency = Delay()
    financing: Financing = Financing()
    account: AccountKind = AccountKind.SECURED

    @property
    def sizer(self) -> Sizer:
        """How ``target(weight=)`` counts shares."""
        return Sizer(self.sizing, self.commission)


PRESETS: dict[str, MarketModel] = {
    "pessimistic": MarketModel(),
    "lean": MarketModel(
        IB_EXACT,
        Fills(
            market="at_once", bars="ended", trailing="close", market_on="quotes", resting_on="trades",
            trailing_on="quotes", bound="none", stop_limit="close",
        ),
        Sizing(Decimal("0.25"), "equity"),
    ),
    "backtesting.py": MarketModel(
        Percent(Decimal("0.2")), Fills(limit="touch"), Sizing(commission="order"),
    ),
}  # fmt: skip
"""Models with a name. ``lean``: the conventions of QuantConnect's LEAN for US equities. ``backtesting.py``: those of
that package, with its ``commission=.002``."""
