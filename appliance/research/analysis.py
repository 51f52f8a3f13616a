"""What a run was worth: more than fifty figures of its marks, trades and entries, and the tables behind them.

Conventions are those of the modules of ``metrics``; ``METRICS`` says of each figure what it is, its unit, whose formula
it is and when it is None. A figure is never infinite and never NaN. ``convention`` gives those of others instead, under
their names, to compare with what they published.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from appliance.core.books.entries import Entry, Mark, Trade
from appliance.core.metrics.returns import TRADING_DAYS
from appliance.errors import UsageError
from appliance.research.metrics.backtesting_py import backtesting_py
from appliance.research.metrics.benchmark import Pairs, benchmark_figures, pairs
from appliance.research.metrics.catalog import METRICS, Metric
from appliance.research.metrics.costs import capacity, cost_figures, parity
from appliance.research.metrics.curves import Curves, curves
from appliance.research.metrics.drawdowns import Drawdown, drawdown_figures, drawdowns
from appliance.research.metrics.exposure import exposure_figures
from appliance.research.metrics.lean import lean_figures
from appliance.research.metrics.returns import Figures, return_figures
from appliance.research.metrics.risk import Search, Year, risk_figures
from appliance.research.metrics.series import NEW_YORK_DAYS, UTC_DAYS, Closes, Flow, Series, series
from appliance.research.metrics.slices import Slice, by_strategy, by_symbol
from appliance.research.metrics.trades import trade_figures

__all__ = ["CONVENTIONS", "METRICS", "Curves", "Drawdown", "Figures", "Metric", "PerformanceAnalyzer", "Slice"]

CONVENTIONS = ("appliance", "backtesting.py", "lean")
CRYPTO_DAYS = 365


class PerformanceAnalyzer:
    """Measures one run. ``marks``, ``trades`` (in order of their exits) and ``entries`` are its books.

    ``opening`` is the equity (USD) measuring began with at ``opened`` (ns UTC), by default what the first entry found,
    when the first of marks and entries was. ``flows`` are cash that
    was added or taken (ns UTC, USD): no profit. ``always_open``: days are UTC dates and 365 of them a year, else New
    York dates and 252; ``periods`` says otherwise. ``risk_free`` is a year's rate (fraction). ``trials`` is how many
    runs were made to find this one, ``trials_variance`` that of their daily Sharpe ratios. ``benchmark`` are its times
    (ns UTC) and closes, ``shares`` each fill's part of its bar's volume by its place among the entries, ``live`` the
    entries of the same orders live. Raises DataError for marks out of order, UsageError for options out of range.
    """

    def __init__(
        self,
        marks: Sequence[Mark],
        trades: Sequence[Trade] = (),
        entries: Sequence[Entry] = (),
        *,
        opening: float | None = None,
        opened: int | None = None,
        flows: Sequence[Flow] = (),
        always_open: bool = False,
        periods: int | None = None,
        risk_free: float = 0.0,
        trials: int = 1,
        trials_variance: float | None = None,
        benchmark: Closes | None = None,
        shares: Mapping[int, float | None] | None = None,
        live: Sequence[Entry] | None = None,
    ) -> None:
        per_year = periods if periods is not None else CRYPTO_DAYS if always_open else TRADING_DAYS
        _check(periods=per_year, risk_free=risk_free, trials=trials)
        self.marks, self.trades, self.entries = marks, trades, entries
        self.flows, self.shares, self.live = flows, shares or {}, live
        self.year, self.search = Year(per_year, risk_free), Search(trials, trials_variance)
        calendar = UTC_DAYS if always_open else NEW_YORK_DAYS
        self.series = series(marks, entries, flows, opening, calendar, opened)
        self._benchmark = benchmark

    def figures(self, convention: str = "appliance") -> Figures:
        """All figures by name, in the order of ``METRICS``; those of another ``convention`` by its names. Raises
        UsageError for one there is not."""
        made = _MADE.get(convention)
        if made is None:
            raise UsageError(f"convention {convention!r} is unknown", hint=f"one of {', '.join(CONVENTIONS)}")
        with np.errstate(all="ignore"):  # what overflows is None
            return made(self)

    @property
    def drawdowns(self) -> list[Drawdown]:
        """Each time a peak was left, in order of time."""
        return drawdowns(self.series) if self.series is not None else []

    @property
    def by_symbol(self) -> tuple[Slice, ...]:
        """The account by symbol."""
        return by_symbol(self.trades, self.entries)

    @property
    def by_strategy(self) -> tuple[Slice, ...]:
        """The account by strategy."""
        return by_strategy(self.trades, self.entries)

    def curves(self, window: int | None = None) -> Curves:
        """Daily returns, those by month and year, and what rolls over ``window`` days."""
        return curves(self.series, self.year, window) if self.series is not None else Curves()

    @cached_property
    def pair(self) -> Pairs | None:
        """Daily returns of the account and the benchmark; None without one."""
        if self.series is None or self._benchmark is None or not len(self._benchmark[0]):
            return None
        return pairs(self.series, self._benchmark)

    def _own(self) -> Figures:
        found = self._of_equity(self.series) if self.series is not None else {}
        found |= trade_figures(self.trades) | cost_figures(self.entries, self.series, self.year.periods)
        found["capacity"] = capacity(self.series, self.entries, self.shares)
        found |= parity(self.entries, self.live) if self.live is not None else {}
        return {metric.name: _finite(found.get(metric.name)) for metric in METRICS}

    def _of_equity(self, held: Series) -> Figures:
        found = return_figures(held, self.year.periods, self._added(held))
        found |= drawdown_figures(held, found["cagr"], found["total_return"], self.year.risk_free)
        found |= exposure_figures(held)
        if not held.ruined:
            found |= risk_figures(held.returns, self.year, self.search)
            found |= benchmark_figures(self.pair, self.year) if self.pair is not None else {}
        return found

    def _added(self, held: Series) -> float:
        return math.fsum(amount for time, amount in self.flows if time <= held.times[-1])

    def _backtesting_py(self) -> Figures:
        if not all(mark.equity > 0 for mark in self.marks):
            return {}  # returns are geometric there: of an account that is ruined there are none
        try:
            return _all_finite(backtesting_py(self.marks, self.trades))
        except OverflowError:
            return {}

    def _lean(self) -> Figures:
        if self.series is None:
            return {}
        return _all_finite(lean_figures(self.series, list(self.trades), self.year, self.pair))


_MADE: dict[str, Callable[[PerformanceAnalyzer], Figures]] = {
    "appliance": PerformanceAnalyzer._own,
    "backtesting.py": PerformanceAnalyzer._backtesting_py,
    "lean": PerformanceAnalyzer._lean,
}


def _finite(value: float | None) -> float | None:
    return value + 0 if value is not None and math.isfinite(value) else None  # no -0.0


def _all_finite(figures: Figures) -> Figures:
    return {name: _finite(value) for name, value in figures.items()}


def _check(**given: Any) -> None:
    for name, (least, most, allowed) in _ALLOWED.items():
        if not least <= given[name] <= most:
            raise UsageError(f"{name} {given[name]} is out of range", hint=f"give {allowed}")


_ALLOWED = {
    "periods": (1, 1_000_000, "how many daily returns a year has, 252 or 365 for example"),
    "risk_free": (-0.5, 10.0, "a year's rate as a fraction, 0.04 for 4 %"),
    "trials": (1, 1 << 62, "how many runs were made, at least 1"),
}
