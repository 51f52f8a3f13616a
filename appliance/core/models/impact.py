"""How far a large order moves the price it is filled at, in USD a share; on top of slippage, never negative.

Both laws are written for a day: its volatility and its volume. A bar's own are scaled to it, with volume spread evenly
over a session of 6.5 hours and volatility growing with the square root of time. An order that is larger than the bar's
volume counts as all of it. Where no bar is known there is no impact.
"""

from __future__ import annotations

from math import sqrt

from msgspec import Struct

from appliance.core.models.slippage import Conditions

SESSION = 23_400_000_000_000
"""A US session of 6.5 hours (ns)."""


class NoImpact(Struct, frozen=True, tag="none"):
    """Small orders do not move prices."""

    def of(self, price: float, quantity: float, market: Conditions) -> float:
        """0."""
        return 0.0


class SquareRoot(Struct, frozen=True, tag="square_root"):
    """Price x ``factor`` x sigma x sqrt(Q / V): the square-root law (Torre 1997, BARRA Market Impact Model Handbook;
    Toth et al. 2011, Physical Review X 1, 021006, with a factor of about 1). Sigma and V of the bar give the same as
    those of its day, because both scale alike."""

    factor: float = 1.0

    def of(self, price: float, quantity: float, market: Conditions) -> float:
        """USD a share."""
        return price * self.factor * market.volatility * sqrt(market.share(quantity))


class Linear(Struct, frozen=True, tag="linear"):
    """Price x ``factor`` x sigma x Q / V, of a day. The factor is gamma = 0.314 of the linear permanent impact that
    Almgren, Thum, Hauptmann and Li measured ("Direct Estimation of Equity Market Impact", 2005, Risk 18), without
    their turnover term; all of it is paid, where half would be the average over the order."""

    factor: float = 0.314

    def of(self, price: float, quantity: float, market: Conditions) -> float:
        """USD a share."""
        if not market.length:
            return 0.0
        bars = max(SESSION / market.length, 1.0)
        return price * self.factor * market.volatility * market.share(quantity) / sqrt(bars)


class Almgren(Struct, frozen=True, tag="almgren"):
    """Price x sigma x (``temporary`` |Q / (V T)|^0.6 + ``permanent`` / 2 x Q / V): the same paper's whole cost, for an
    order worked over the bar (T is the bar's part of the day), with eta = 0.142 and gamma = 0.314, without the
    turnover term."""

    temporary: float = 0.142
    permanent: float = 0.314

    def of(self, price: float, quantity: float, market: Conditions) -> float:
        """USD a share."""
        if not market.length:
            return 0.0
        bars = max(SESSION / market.length, 1.0)
        share = market.share(quantity)
        daily = market.volatility * sqrt(bars)
        return float(price * daily * (self.temporary * share**0.6 + self.permanent / 2 * share / bars))


AnyImpact = NoImpact | SquareRoot | Linear | Almgren
