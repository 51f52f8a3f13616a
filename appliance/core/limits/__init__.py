"""One small class per risk rule. A rule that cannot know denies: write ``not within(value, limit)``."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from appliance.core.limits.base import Case, Refusal, Rule
from appliance.core.limits.collar import PriceCollar
from appliance.core.limits.margin import InitialMargin, NoShortSales
from appliance.core.limits.notional import MaxNotional
from appliance.core.limits.position import MaxPosition
from appliance.core.limits.size import MaxOrderSize
from appliance.core.limits.solvency import SufficientCash
from appliance.core.limits.staleness import StalePrice
from appliance.core.limits.venue import VenueTakes
from appliance.core.limits.wellformed import WellFormed
from appliance.domain.trading import AccountKind
from appliance.domain.venue import VenueTraits

__all__ = ["Case", "LimitValues", "Refusal", "Rule", "rules"]


class LimitValues(Struct, frozen=True):
    """The owner's limits; None leaves a rule out. Shares, USD, percent of the last price, ns."""

    max_order_shares: Decimal | None = None
    max_position_shares: Decimal | None = None
    max_order_notional: Decimal | None = None
    price_collar_percent: Decimal | None = None
    stale_price: int | None = None
    require_cash: bool = True


def rules(
    values: LimitValues, account: AccountKind = AccountKind.SECURED, traits: VenueTraits | None = None
) -> tuple[Rule, ...]:
    """The rules in force for a kind of account at a venue of these ``traits`` (None: one that takes every order), as
    they are asked; the first no is the answer."""
    found: list[Rule] = [WellFormed()]
    if traits is not None:
        found.append(VenueTakes(traits))
    if values.max_order_shares is not None:
        found.append(MaxOrderSize(values.max_order_shares))
    if values.stale_price is not None:
        found.append(StalePrice(values.stale_price))
    if values.price_collar_percent is not None:
        found.append(PriceCollar(values.price_collar_percent))
    if values.max_order_notional is not None:
        found.append(MaxNotional(values.max_order_notional))
    if values.max_position_shares is not None:
        found.append(MaxPosition(values.max_position_shares))
    if account is AccountKind.CASH:
        found.append(NoShortSales())
    if values.require_cash:
        found.append(InitialMargin() if account is AccountKind.MARGIN else SufficientCash())
    return tuple(found)
