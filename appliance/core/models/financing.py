"""What holding costs: the fee for borrowed shares, interest on borrowed money. Rates are percent a year, simple.

Defaults are what an easy-to-borrow US stock and a small margin account cost at Interactive Brokers, rounded up: 0.25 %
borrow fee, and benchmark plus 1.5 % (published tiers of 2024 and 2025; both change, so choose those of your period).
Accrual is by calendar days over 360, as that broker counts USD.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from msgspec import Struct

from appliance.domain.trading import ZERO

CENT = Decimal("0.01")


class Financing(Struct, frozen=True):
    """Rates in percent a year, and how many days a year of interest has."""

    borrow_percent: Decimal = Decimal("0.25")
    margin_percent: Decimal = Decimal("6.5")
    days: int = 360


def borrow_fee(worth: Decimal, days: int, rates: Financing) -> Decimal:
    """USD for having had shares worth ``worth`` USD (of a short position, at the close) lent for ``days`` days; to the
    cent, half up. Raises ValueError for fewer than 0 days."""
    return _accrued(worth, rates.borrow_percent, days, rates.days)


def margin_interest(cash: Decimal, days: int, rates: Financing) -> Decimal:
    """USD of interest on what an account owes: ``cash`` below 0 for ``days`` days; 0 when nothing is owed. To the
    cent, half up. Raises ValueError for fewer than 0 days."""
    return _accrued(max(-cash, ZERO), rates.margin_percent, days, rates.days)


def _accrued(worth: Decimal, percent: Decimal, days: int, year: int) -> Decimal:
    if days < 0:
        raise ValueError(f"{days} days: interest does not run backwards")
    return (abs(worth) * percent * days / (100 * year)).quantize(CENT, ROUND_HALF_UP)
