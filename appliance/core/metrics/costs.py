"""What trading costs and how much there is of it: fees, slippage against the decision price, turnover, exposure."""

from __future__ import annotations

import math
from decimal import Decimal

from msgspec import Struct

from appliance.core.metrics.returns import ratio
from appliance.domain.trading import ZERO, Fill


class Costs(Struct):
    """Sums over fills, USD. ``traded`` is notional bought and sold. ``slippage`` is what was paid above the decision
    price, or got below it (a cost is positive), over the fills whose decision price is known: ``judged`` is their
    notional."""

    fills: int = 0
    traded: Decimal = ZERO
    fees: Decimal = ZERO
    slippage: Decimal = ZERO
    judged: Decimal = ZERO

    def fill(self, fill: Fill, decision_price: Decimal | None) -> None:
        """Count a fill in; ``decision_price`` is the last price (USD) when it was decided, None where nobody knows."""
        notional = fill.quantity * fill.price
        self.fills += 1
        self.traded += notional
        self.fees += fill.commission
        if decision_price is not None:
            self.slippage += fill.signed * (fill.price - decision_price)
            self.judged += notional

    def merged(self, other: Costs) -> Costs:
        """Both together; in whatever order, the result is the same."""
        return Costs(
            self.fills + other.fills, self.traded + other.traded, self.fees + other.fees,
            self.slippage + other.slippage, self.judged + other.judged,
        )  # fmt: skip

    @property
    def slippage_bps(self) -> float | None:
        """Slippage in basis points of the notional it was measured on."""
        return ratio(float(self.slippage) * 10_000, float(self.judged))


class Exposure(Struct):
    """How much of the time and of the equity is in the market. ``moments`` counts the marks, ``exposed`` those with
    something held; ``gross`` is the last gross exposure (USD), leverage that over equity."""

    moments: int = 0
    exposed: int = 0
    gross: float = 0.0
    leverage: float | None = None
    largest: float | None = None

    def mark(self, equity: float, gross: float) -> None:
        """At this moment equity and gross exposure are these (USD)."""
        self.moments += 1
        self.exposed += gross > 0
        self.gross = gross
        self.leverage = gross / equity if equity > 0 and math.isfinite(gross / equity) else None
        if self.leverage is not None:
            self.largest = max(self.leverage, self.largest or 0.0)

    @property
    def share(self) -> float | None:
        """Share of the marks with something held."""
        return ratio(self.exposed, self.moments)


class Turnover(Struct):
    """Average equity (USD) at session closes, which turnover is measured by."""

    closes: int = 0
    equity: float = 0.0

    def close(self, equity: float) -> None:
        """A session closed with ``equity``."""
        self.closes += 1
        self.equity += (equity - self.equity) / self.closes

    def annual(self, traded: Decimal, periods: int) -> float | None:
        """How often in a year of ``periods`` sessions the average equity is turned over: half of what is bought and
        sold, for what is bought is sold again."""
        if not self.closes or not self.equity > 0:
            return None
        return ratio(float(traded) / 2 / self.equity * periods, self.closes)
