"""Figures by other people's conventions, to compare with what they published. Ours are in ``analysis``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from appliance.core.books.entries import Mark, Trade
from appliance.domain.market import DAY

Floats = NDArray[np.float64]
Figures = dict[str, float | None]
WEEKENDS = 2 / 7 * 0.6
"""More than so many of the days on weekends make a market that never closes."""
PERIODS = {7: 52, 31: 12, 365: 1}
"""Bars of so many days, and how many of them a year has."""
YEAR = 365.25
"""Days."""


def backtesting_py(marks: Sequence[Mark], trades: Sequence[Trade]) -> Figures:
    """The figures of backtesting.py 0.6.6 by its names, without those that need a benchmark.

    ``marks`` are the equity at the end of each bar, the first bar too; ``trades`` the closed ones, in order of their
    exits. Returns are geometric and by the bars' last values of a UTC day; Sharpe and volatility compound the variance;
    profit factor and best and worst trade are of percent returns net of fees; a year has 252 days, 365 where weekends
    are traded. What has no value (no trade, no loss, no change) is None.
    """
    if not marks:
        return {}
    ends, equity = [mark.time for mark in marks], np.array([mark.equity for mark in marks])
    return _equity_figures(ends, equity) | _trade_figures(trades) | {"Exposure Time [%]": _exposure(ends, trades)}


def _equity_figures(ends: Sequence[int], equity: Floats) -> Figures:
    returns = _day_returns(ends, equity)
    year = _periods_a_year(ends)
    mean = _geometric_mean(returns)
    annual = (1 + mean) ** year - 1
    drawdown = float((1 - equity / np.maximum.accumulate(equity)).max())
    volatility = _compounded_volatility(returns, mean, year)
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)) * np.sqrt(year)) if len(returns) else 0.0
    total = float(equity[-1] / equity[0])
    years = (_day(ends[-1]) - _day(ends[0])) / YEAR
    return {
        "Equity Final [$]": float(equity[-1]),
        "Equity Peak [$]": float(equity.max()),
        "Return [%]": (total - 1) * 100,
        "Return (Ann.) [%]": annual * 100,
        "Volatility (Ann.) [%]": _percent(volatility),
        "CAGR [%]": (total ** (1 / years) - 1) * 100 if years else None,
        "Sharpe Ratio": _ratio(annual, volatility),
        "Sortino Ratio": _ratio(annual, downside),
        "Calmar Ratio": _ratio(annual, drawdown),
        "Max. Drawdown [%]": -drawdown * 100,
    }


def _trade_figures(trades: Sequence[Trade]) -> Figures:
    if not trades:
        return {"# Trades": 0.0}
    profits = np.array([float(trade.profit) for trade in trades])
    returns = np.array([float(trade.profit / (trade.quantity * trade.entry_price)) for trade in trades])
    gains, losses = returns[returns > 0].sum(), -returns[returns < 0].sum()
    spread = float(profits.std(ddof=1)) if len(profits) > 1 else 0.0
    return {
        "# Trades": float(len(trades)),
        "Win Rate [%]": float((profits > 0).mean()) * 100,
        "Best Trade [%]": float(returns.max()) * 100,
        "Worst Trade [%]": float(returns.min()) * 100,
        "Avg. Trade [%]": _geometric_mean(returns) * 100,
        "Profit Factor": _ratio(float(gains), float(losses)),
        "Expectancy [%]": float(returns.mean()) * 100,
        "SQN": _ratio(float(np.sqrt(len(profits)) * profits.mean()), spread),
        "Commissions [$]": float(sum(trade.fees for trade in trades)),
    }


def _exposure(ends: Sequence[int], trades: Sequence[Trade]) -> float:
    """Percent of the bars in which something was held, those of entry and exit with them."""
    held = np.zeros(len(ends), dtype=bool)
    for trade in trades:
        held[bisect_right(ends, trade.entry_time) : bisect_right(ends, trade.exit_time) + 1] = True
    return float(held.mean()) * 100


def _day_returns(ends: Sequence[int], equity: Floats) -> Floats:
    """The change from the last value of each day to that of the next."""
    days = np.array([_day(end) for end in ends])
    last = equity[np.append(days[1:] != days[:-1], True)]
    changes: Floats = last[1:] / last[:-1] - 1
    return changes


def _periods_a_year(ends: Sequence[int]) -> int:
    """How many returns a year has, by the distance of the bars and the weekdays they fall on."""
    days = np.array([_day(end) for end in ends])
    distance = int(np.median(np.diff(np.array(ends[-100:])))) // DAY if len(ends) > 1 else 0
    weekends = ((days + 3) % 7 >= 5).mean()  # 1970-01-01 was a Thursday
    return PERIODS.get(distance, 365 if weekends > WEEKENDS else 252)


def _geometric_mean(returns: Floats) -> float:
    if not len(returns) or np.any(returns <= -1):
        return 0.0
    return float(np.exp(np.log(returns + 1).sum() / len(returns)) - 1)


def _compounded_volatility(returns: Floats, mean: float, year: int) -> float | None:
    """The standard deviation of a year's return when each of its returns is drawn alone."""
    if len(returns) < 2:
        return None
    square = (1 + mean) ** 2
    return float(np.sqrt((float(returns.var(ddof=1)) + square) ** year - square**year))


def _ratio(value: float, by: float | None) -> float | None:
    return value / by if by else None


def _percent(value: float | None) -> float | None:
    return None if value is None else value * 100


def _day(end: int) -> int:
    """The UTC day (since 1970) of a bar: one that ends at midnight is of the day before."""
    return (end - 1) // DAY
