"""What a host keeps of its strategies' fortunes: portfolios, performance, and the last prices they are marked at.

Portfolios and performances are rows of the host's state; prices are not: after a restart the next bars bring them. A
fill changes its strategy's two rows, a price none: what marks have changed since the last row is in memory, is written
by the next fill or by `save`, and is lost in a crash.
"""

from __future__ import annotations

from decimal import Decimal

from appliance.core.activities import price_after
from appliance.core.base import Rows
from appliance.core.metrics.performance import Performance
from appliance.core.metrics.returns import TRADING_DAYS
from appliance.core.metrics.trips import RoundTrip
from appliance.core.portfolio import Portfolio
from appliance.domain import wire
from appliance.domain.market import SECOND, Sessions
from appliance.domain.performance import PerformanceReport, rounded
from appliance.domain.trading import Activity, ActivityKind, Fill, Moment, Part

FOREVER = 1 << 62


class Tracker:
    """Marks every portfolio once a second of market time: when the first price of a later one comes, with all those
    before it, so that the bars of one moment count together; and a strategy before each of its fills. ``calendar`` says
    when a session closes, which makes a daily return. Without ``keep`` nobody asks how well a strategy does: there are
    portfolios, and nothing is measured."""

    def __init__(
        self,
        portfolios: Rows[Portfolio],
        performances: Rows[Performance],
        calendar: Sessions | None = None,
        keep: bool = True,
    ) -> None:
        self.portfolios = portfolios
        self._rows = performances
        self._saves = keep
        self._live: dict[str, Performance] = {}
        self.prices: dict[str, float] = {}
        self._moment = 0
        self._calendar = calendar
        self._close = 0

    def open(self, strategy: str, allotment: Decimal, time: int, periods: int = TRADING_DAYS) -> None:
        """A strategy has ``allotment`` USD from ``time`` (ns UTC) on. One that is known keeps all it has; a changed
        allotment comes, or goes, as cash that is no profit."""
        known = self.portfolios.get(strategy)
        if known is None:
            self.portfolios[strategy] = Portfolio.opened(strategy, allotment)
            self._keep(strategy, Performance.opened(allotment, time, periods))
        elif known.allotment != allotment:
            self._allot(known, allotment)

    def _allot(self, portfolio: Portfolio, allotment: Decimal) -> None:
        performance, strategy = self.performance(portfolio.strategy), portfolio.strategy
        performance.flow(allotment - portfolio.allotment)
        self.portfolios[strategy] = portfolio.allotted(allotment)
        self._keep(strategy, performance)

    def performance(self, strategy: str) -> Performance:
        """What has been measured of a strategy so far. Raises KeyError for one that was never opened."""
        live = self._live.get(strategy)
        if live is None:
            live = self._live[strategy] = _copy(self._rows[strategy])
        return live

    def _keep(self, strategy: str, performance: Performance) -> None:
        """Write it with this turn: a copy, for what is in memory goes on changing."""
        self._live[strategy] = performance
        self._rows[strategy] = _copy(performance) if self._saves else performance

    def close(self, strategy: str) -> None:
        """Forget a strategy that was removed."""
        self.portfolios.drop(strategy)
        self._rows.drop(strategy)
        self._live.pop(strategy, None)

    def price(self, symbol: str, price: float, time: int) -> None:
        """The last price (USD) of ``symbol``, known at ``time`` (ns UTC)."""
        if time > self._close and self._calendar is not None:
            self._session_over(time, self._calendar)
        if time // SECOND > self._moment // SECOND:
            self.mark()
        self._moment = max(self._moment, time)
        self.prices[symbol] = price

    def _session_over(self, time: int, calendar: Sessions) -> None:
        """The first price after a close: the day counts, and the next close is known."""
        if self._close:
            self.day(self._close)
        session = calendar.coming(time)
        self._close = session.close if session is not None else FOREVER

    def decision_price(self, symbol: str) -> Decimal | None:
        """The last price (USD) anyone could decide on; None before there is one."""
        price = self.prices.get(symbol)
        return None if price is None else Decimal(repr(float(price)))

    def ordered(self, strategy: str, decided: Moment, now: Moment) -> None:
        """An order of ``strategy`` is known to be on its way to the venue: once an order."""
        if self._saves and strategy in self.portfolios:
            self.performance(strategy).ordered(decided, now)

    def fill(
        self, fill: Fill, now: Moment, decision_price: Decimal | None = None, decided: Moment | None = None
    ) -> RoundTrip | None:
        """Book a fill; the round trip it closed, if it did. A strategy that was never opened has no portfolio: ignored.
        ``decision_price`` and ``decided`` as for `Performance.fill`."""
        portfolio = self.portfolios.get(fill.strategy)
        if portfolio is None:
            return None
        trip = self._measured(portfolio, fill, now, decision_price, decided) if self._saves else None
        self.portfolios[fill.strategy] = portfolio.booked(fill)
        if fill.symbol not in self.prices:
            self.prices[fill.symbol] = float(fill.price)
        return trip

    def _measured(
        self, before: Portfolio, fill: Fill, now: Moment, decision_price: Decimal | None, decided: Moment | None
    ) -> RoundTrip | None:
        self._mark(before)
        performance = self.performance(fill.strategy)
        trip = performance.fill(fill, decision_price, decided, now)
        self._keep(fill.strategy, performance)
        return trip

    def activity(self, activity: Activity, part: Part) -> None:
        """What happened to a strategy without an order."""
        portfolio = self.portfolios.get(part.strategy)
        if portfolio is None:
            return
        performance = self.performance(part.strategy)
        if activity.kind is ActivityKind.SYMBOL_CHANGE:
            performance.trips.rename(activity.symbol, activity.becomes)
        if activity.kind in (ActivityKind.SPLIT, ActivityKind.DELISTING):
            trip = performance.trips.split(activity.symbol, part.quantity, part.cash, activity.time)
            if trip is not None:
                performance.tally.add(trip)
        self.portfolios[part.strategy] = portfolio.changed(activity, part)
        self._keep(part.strategy, performance)

    def split(self, activity: Activity) -> None:
        """The last price of a symbol, as it would have been quoted after a corporate action."""
        price, action = self.prices.get(activity.symbol), activity.action
        if price is not None and action is not None:
            self.prices[activity.symbol] = price_after(price, action)

    def mark(self) -> None:
        """Mark all at the prices there are, for the moment of the last of them; twice for one moment is once."""
        for portfolio in self.portfolios.values():
            self._mark(portfolio)

    def _mark(self, portfolio: Portfolio) -> None:
        value = portfolio.valued(self.prices)
        if value is not None:
            self.performance(portfolio.strategy).mark(value.equity, self._moment, value.gross)

    def day(self, time: int) -> None:
        """A session closed at ``time`` (ns UTC): each has a daily return more. Told twice, it counts once."""
        self.mark()
        for strategy, portfolio in self.portfolios.items():
            value = portfolio.valued(self.prices)
            if value is not None:
                self.performance(strategy).day(value.equity, time)
        self.save()

    def save(self) -> None:
        """Have every performance written with this turn: once a minute is enough."""
        for strategy, performance in self._live.items():
            self._keep(strategy, performance)

    def report(self, strategy: str, time: int) -> PerformanceReport:
        """What is published of one strategy ``time`` (ns UTC). Raises KeyError for one that was never opened."""
        portfolio = self.portfolios[strategy]
        value = portfolio.valued(self.prices)
        return rounded(
            PerformanceReport(
                name=strategy, at=time, allotment=portfolio.allotment, cash=portfolio.cash,
                equity=value.equity if value else None, realised=portfolio.realised,
                unrealised=value.unrealised if value else None, fees=portfolio.fees, positions=portfolio.positions,
                figures=rounded(self.performance(strategy).summary()),
            )
        )  # fmt: skip


def _copy(performance: Performance) -> Performance:
    return wire.unpack(wire.pack(performance), Performance)
