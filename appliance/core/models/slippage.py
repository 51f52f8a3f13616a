"""What an order pays beyond the price it met, in USD a share; never negative.

Limit orders are not touched below their limit: one that is filled at a better open gives back at most what is better.
"""

from __future__ import annotations

from math import log, sqrt

from msgspec import Struct

PARKINSON = 2 * sqrt(log(2))
"""High over low, in logarithms, of a day is so many standard deviations (Parkinson 1980, Journal of Business 53)."""


class Conditions(Struct, frozen=True, gc=False):
    """What is known of the market an order meets: ``spread`` USD (0: unknown), and of the bar that tells of it, or
    else of the last one, ``high``, ``low`` (USD), ``volume`` (shares) and ``length`` (ns); 0 without a bar."""

    spread: float = 0.0
    high: float = 0.0
    low: float = 0.0
    volume: float = 0.0
    length: int = 0

    @property
    def volatility(self) -> float:
        """Standard deviation of the return over the bar (fraction), by its range; 0 when there is no bar."""
        return log(self.high / self.low) / PARKINSON if self.high > self.low > 0 else 0.0

    def share(self, quantity: float) -> float:
        """How much of the bar's volume an order of ``quantity`` shares is, at most all of it; 0 without a bar."""
        if self.volume <= 0:
            return 1.0 if self.length else 0.0
        return min(quantity / self.volume, 1.0)


class NoSlippage(Struct, frozen=True, tag="none"):
    """The price that was met."""

    def of(self, price: float, quantity: float, market: Conditions) -> float:
        """0."""
        return 0.0


class Fixed(Struct, frozen=True, tag="fixed"):
    """``usd`` a share, whatever the price is."""

    usd: float

    def of(self, price: float, quantity: float, market: Conditions) -> float:
        """USD a share."""
        return self.usd


class Ticks(Struct, frozen=True, tag="ticks"):
    """``ticks`` price steps of ``tick`` USD."""

    ticks: float
    tick: float = 0.01

    def of(self, price: float, quantity: float, market: Conditions) -> float:
        """USD a share."""
        return self.ticks * self.tick


class Proportional(Struct, frozen=True, tag="percent"):
    """``percent`` of the price (0.05 is five basis points)."""

    percent: float

    def of(self, price: float, quantity: float, market: Conditions) -> float:
        """USD a share."""
        return price * self.percent / 100


class Spread(Struct, frozen=True, tag="spread"):
    """``percent`` of the spread of the last quote; where none is known the spread is taken for ``assumed_percent`` of
    the price. On trades and their bars 50 is half the spread; a price of a quote has crossed it already."""

    percent: float = 50.0
    assumed_percent: float = 0.1

    def of(self, price: float, quantity: float, market: Conditions) -> float:
        """USD a share."""
        return (market.spread or price * self.assumed_percent / 100) * self.percent / 100


class VolumeShare(Struct, frozen=True, tag="volume_share"):
    """Price x ``impact`` x (share of the bar's volume) squared, the share at most ``limit_percent``: zipline's and
    LEAN's VolumeShareSlippage with their parameters. Zipline also fills no more than that share: ``--participation``.
    """

    limit_percent: float = 2.5
    impact: float = 0.1

    def of(self, price: float, quantity: float, market: Conditions) -> float:
        """USD a share."""
        return price * self.impact * min(market.share(quantity), self.limit_percent / 100) ** 2


class Volatility(Struct, frozen=True, tag="volatility"):
    """``factor`` standard deviations of the bar's return (``Conditions.volatility``) of the price."""

    factor: float = 0.1

    def of(self, price: float, quantity: float, market: Conditions) -> float:
        """USD a share."""
        return price * self.factor * market.volatility


AnySlippage = NoSlippage | Fixed | Ticks | Proportional | Spread | VolumeShare | Volatility
