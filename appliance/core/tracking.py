"""What a host keeps of its strategies' fortunes: portfolios, performance, and the last prices they are marked at.

Portfolios and performances are rows of the host's state; prices are not: after a restart the next bars bring them. A
fill changes its strategy's two rows, a price none. Performance that only marks have changed is written by `save`.
"""

from __future__ import annotations

from decimal import Decimal

from appliance.core.base import Rows
from appliance.core.metrics.performance import Performance
from appliance.core.metrics.returns import TRADING_DAYS
from appliance.core.metrics.trips import RoundTrip
from appliance.core.portfolio import Portfolio
from appliance.domain.market import SECOND
from appliance.domain.performance import PerformanceReport, rounded
from appliance.domain.trading import Fill, Moment


class Tracker:
    """Marks every portfolio once a second of market time: when the first price of a later one comes, with all those
    before it, so that the bars of one moment count together; and a strategy before each of its fills."""

    def __init__(self, portfolios: Rows[Portfolio], performances: Rows[Performance]) -> None:
        self.portfolios = portfolios
        self.performances = performances
        self.prices: dict[str, float] = {}
        self._moment = 0

    def open(self, strategy: str, allotment: Decimal, time: int, periods: int = TRADING_DAYS) -> None:
        """A strategy has ``allotment`` USD from ``time`` (ns UTC) on. One that is known keeps all it has; a changed
        allotment comes, or goes, as cash that is no profit."""
        known = self.portfolios.get(strategy)
        if known is None:
            self.portfolios[strategy] = Portfolio.opened(strategy, allotment)
            self.performances[strategy] = Performance.opened(allotment, time, periods)
        elif known.allotment != allotment:
            self._allot(known, allotment)

    def _allot(self, portfolio: Portfolio, allotment: Decimal) -> None:
        performance, strategy = self.performances[portfolio.strategy], portfolio.strategy
        performance.flow(allotment - portfolio.allotment)
        self.portfolios[strategy] = portfolio.allotted(allotment)
        self.performances[strategy] = performance

    def close(self, strategy: str) -> None:
        """Forget a strategy that was removed."""
        self.portfolios.drop(strategy)
        self.performances.drop(strategy)

    def price(self, symbol: str, price: float, time: int) -> None:
        """The last price (USD) of ``symbol``, known at ``time`` (ns UTC)."""
        if time // SECOND > self._moment // SECOND:
            self.mark()
        self._moment = max(self._moment, time)
        self.prices[symbol] = price

    def decision_price(self, symbol: str) -> Decimal | None:
        """The last price (USD) anyone could decide on; None before there is one."""
        price = self.prices.get(symbol)
        return None if price is None else Decimal(repr(float(price)))

    def ordered(self, strategy: str, decided: Moment, now: Moment) -> None:
        """An order of ``strategy`` is known to be on its way to the venue: once an order."""
        if strategy in self.performances:
            self.performances[strategy].ordered(decided, now)

    def fill(
        self, fill: Fill, now: Moment, decision_price: Decimal | None = None, decided: Moment | None = None
    ) -> RoundTrip | None:
        """Book a fill; the round trip it closed, if it did. A strategy that was never opened has no portfolio: ignored.
        ``decision_price`` and ``decided`` as for `Performance.fill`."""
        portfolio = self.portfolios.get(fill.strategy)
        if portfolio is None:
            return None
        self._mark(portfolio)
        performance = self.performances[fill.strategy]
        trip = performance.fill(fill, decision_price, decided, now)
        self.portfolios[fill.strategy] = portfolio.booked(fill)
        self.performances[fill.strategy] = performance
        self.prices.setdefault(fill.symbol, float(fill.price))
        return trip

    def mark(self) -> None:
        """Mark all at the prices there are, for the moment of the last of them; twice for one moment is once."""
        for portfolio in self.portfolios.values():
            self._mark(portfolio)

    def _mark(self, portfolio: Portfolio) -> None:
        value = portfolio.valued(self.prices)
        if value is not None:
            self.performances[portfolio.strategy].mark(value.equity, self._moment, value.gross)

    def day(self, time: int) -> None:
        """A session closed at ``time`` (ns UTC): each has a daily return more. Told twice, it counts once."""
        self.mark()
        for strategy, portfolio in self.portfolios.items():
            value = portfolio.valued(self.prices)
            if value is not None:
                self.performances[strategy].day(value.equity, time)
        self.save()

    def save(self) -> None:
        """Have every performance written with this turn: once a minute is enough."""
        for strategy, performance in self.performances.items():
            self.performances[strategy] = performance

    def report(self, strategy: str, time: int) -> PerformanceReport:
        """What is published of one strategy ``time`` (ns UTC). Raises KeyError for one that was never opened."""
        portfolio = self.portfolios[strategy]
        value = portfolio.valued(self.prices)
        return rounded(
            PerformanceReport(
                name=strategy, at=time, allotment=portfolio.allotment, cash=portfolio.cash,
                equity=value.equity if value else None, realised=portfolio.realised,
                unrealised=value.unrealised if value else None, fees=portfolio.fees, positions=portfolio.positions,
                figures=rounded(self.performances[strategy].summary()),
            )
        )  # fmt: skip
