"""Everything that is measured of one account or strategy, in one object of plain data."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from appliance.core.metrics.costs import Costs, Exposure, Turnover
from appliance.core.metrics.drawdown import Drawdown
from appliance.core.metrics.latency import Histogram
from appliance.core.metrics.returns import TRADING_DAYS, Growth, Returns, ratio
from appliance.core.metrics.trips import RoundTrip, RoundTrips, Tally
from appliance.domain.performance import Figures
from appliance.domain.trading import ZERO, Fill, Moment

Money = Decimal | float


class Performance(Struct):
    """Fed by fills, marks and session closes, each O(1). Its fields are its whole state: packed and unpacked by
    ``wire`` it goes on to the same bits. ``equity`` (USD) and ``now`` (of 1) are the last ones told."""

    growth: Growth
    returns: Returns
    drawdown: Drawdown
    equity: float
    now: float | None = None
    exposure: Exposure = field(default_factory=Exposure)
    turnover: Turnover = field(default_factory=Turnover)
    costs: Costs = field(default_factory=Costs)
    trips: RoundTrips = field(default_factory=RoundTrips)
    tally: Tally = field(default_factory=Tally)
    to_order: Histogram = field(default_factory=Histogram)
    to_fill: Histogram = field(default_factory=Histogram)

    @staticmethod
    def opened(equity: Money, time: int, periods: int = TRADING_DAYS) -> Performance:
        """Measuring begins at ``time`` (ns UTC) with ``equity`` USD; a year has ``periods`` session closes (365 where
        the market never closes)."""
        start = float(equity)
        return Performance(Growth(start), Returns(time, periods), Drawdown(since=time, time=time), start)

    def fill(self, fill: Fill, decision_price: Decimal | None, decided: Moment | None, now: Moment) -> RoundTrip | None:
        """Book a fill; the round trip it closed, if it did. ``decision_price`` (USD) is the last price when it was
        ``decided``; either is None where nobody knows (a protective stop, an order of the owner): it is then not
        counted in slippage, in latency."""
        self.costs.fill(fill, decision_price)
        _elapsed(self.to_fill, decided, now)
        trip = self.trips.fill(fill)
        if trip is not None:
            self.tally.add(trip)
        return trip

    def ordered(self, decided: Moment, now: Moment) -> None:
        """An order decided at ``decided`` is known to be on its way to the venue: once an order."""
        _elapsed(self.to_order, decided, now)

    def mark(self, equity: Money, time: int, gross: Money = ZERO) -> None:
        """What it is worth (USD), and how much of that is in the market, after all that happened by ``time`` (ns UTC).
        Once a moment: a mark that is not later than the last is ignored, as is one that is no number."""
        growth = self.growth.of(float(equity))
        if growth is None or not math.isfinite(gross) or not time > self.drawdown.time:
            return
        self.equity, self.now = float(equity), growth
        self.drawdown.mark(growth, time)
        self.exposure.mark(float(equity), float(gross))

    def day(self, equity: Money, time: int) -> None:
        """A session closed at ``time`` (ns UTC) with ``equity`` USD; told twice it counts once."""
        growth = self.growth.of(float(equity))
        if growth is None or not self.returns.close(growth, time):
            return
        self.equity, self.now = float(equity), growth
        self.turnover.close(float(equity))
        if time > self.drawdown.time:
            self.drawdown.mark(growth, time)

    def flow(self, amount: Money) -> None:
        """``amount`` USD of cash was added (negative: taken) since the last mark: neither profit nor loss."""
        self.growth.flow(self.equity, float(amount))
        self.equity += float(amount)

    def summary(self) -> Figures:
        """The figures so far, not rounded."""
        return Figures(**self._of_equity(), **self._of_days(), **self._of_trips(), **self._of_fills())

    def _of_equity(self) -> dict[str, Any]:
        if self.now is None:
            return {}
        drawdown = self.drawdown
        return {
            "total_return": self.now - 1,
            "drawdown": drawdown.current, "max_drawdown": drawdown.deepest,
            "drawdown_time": drawdown.lasts, "max_drawdown_time": drawdown.longest,
            "under_water": drawdown.under_water,
            "exposure": self.exposure.share, "gross": self.exposure.gross,
            "leverage": self.exposure.leverage, "max_leverage": self.exposure.largest,
        }  # fmt: skip

    def _of_days(self) -> dict[str, Any]:
        returns = self.returns
        cagr = returns.cagr
        return {
            "days": returns.days, "cagr": cagr, "cagr_calendar": returns.cagr_calendar,
            "volatility": returns.volatility, "downside_deviation": returns.downside_deviation,
            "sharpe": returns.sharpe, "sortino": returns.sortino,
            "calmar": None if cagr is None else ratio(cagr, -self.drawdown.deepest),
            "best_day": returns.best, "worst_day": returns.worst,
            "turnover": self.turnover.annual(self.costs.traded, returns.periods),
        }  # fmt: skip

    def _of_trips(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "trips": tally.trips, "win_rate": tally.win_rate, "average_win": tally.average_win,
            "average_loss": tally.average_loss, "payoff": tally.payoff, "profit_factor": tally.profit_factor,
            "expectancy": tally.expectancy, "quality": tally.quality, "best_trip": tally.best,
            "worst_trip": tally.worst, "wins_in_a_row": tally.wins_in_a_row, "losses_in_a_row": tally.losses_in_a_row,
            "average_holding": tally.average_holding, "longest_holding": tally.longest if tally.trips else None,
        }  # fmt: skip

    def _of_fills(self) -> dict[str, Any]:
        costs = self.costs
        return {
            "fills": costs.fills, "traded": costs.traded, "fees": costs.fees,
            "slippage": costs.slippage if costs.judged else None, "slippage_bps": costs.slippage_bps,
            "order_latency_p50": self.to_order.percentile(50), "order_latency_p99": self.to_order.percentile(99),
            "fill_latency_p50": self.to_fill.percentile(50), "fill_latency_p99": self.to_fill.percentile(99),
        }  # fmt: skip


def _elapsed(histogram: Histogram, decided: Moment | None, now: Moment) -> None:
    """Ticks of another boot are not comparable."""
    if decided is not None and decided.boot == now.boot:
        histogram.add(now.ticks - decided.ticks)
