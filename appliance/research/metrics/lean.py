"""Figures by the conventions of LEAN (Apache-2.0), under its names, as fractions where it shows percent.

They differ from ours: the first day's return is left out, a year of returns is ``(1 + mean) ** 252 - 1``, Sortino's
deviation is that of the losing days alone, trades are judged by the capital realised so far, a year has 365 days,
drawdown is of the marks alone, and the probabilistic Sharpe ratio takes excess kurtosis for kurtosis. Its rate without
risk in 2013 was 0.0075.
"""

from __future__ import annotations

import numpy as np

from appliance.core.books.entries import Trade
from appliance.research.metrics.benchmark import Pairs
from appliance.research.metrics.deflated import probabilistic_sharpe
from appliance.research.metrics.returns import Figures, annual
from appliance.research.metrics.risk import Year, daily_sharpe, deviation, kurtosis, skew
from appliance.research.metrics.series import Floats, Series, ratio

DAYS = 365 * 86_400 * 1_000_000_000
"""A year of LEAN, ns."""


def lean_figures(series: Series, trades: list[Trade], year: Year, pair: Pairs | None) -> Figures:
    """Of the marks and closed trades; benchmark figures only with one. What LEAN shows as 0 for want of a value is
    None. Its probabilistic Sharpe ratio is against an annual one of 1."""
    years = (int(series.closed[-1]) - series.opened) / DAYS
    growth = np.concatenate(([1.0], series.growth))
    returns = series.returns[1:]
    yearly, spread = _yearly(returns, year), deviation(returns)
    scatter = None if spread is None else spread * year.root
    return {
        "Start Equity": series.opening,
        "End Equity": float(series.equity[-1]),
        "Net Profit": float(series.growth[-1]) - 1,
        "Compounding Annual Return": annual(float(series.growth[-1]), years),
        "Drawdown": -float((growth / np.maximum.accumulate(growth) - 1).min()),
        "Annual Standard Deviation": scatter,
        "Annual Variance": None if scatter is None else scatter**2,
        "Sharpe Ratio": ratio(yearly - year.risk_free, scatter),
        "Sortino Ratio": ratio(yearly - year.risk_free, _losing(returns, year)),
        "Probabilistic Sharpe Ratio": _likely(returns, year),
        **_trades(trades, series.opening),
        **({} if pair is None else _benchmark(pair, year)),
    }


def _yearly(returns: Floats, year: Year) -> float:
    return float((1 + returns.mean()) ** year.periods - 1) if len(returns) else 0.0


def _losing(returns: Floats, year: Year) -> float | None:
    spread = deviation(returns[returns < 0])
    return None if spread is None else spread * year.root


def _likely(returns: Floats, year: Year) -> float | None:
    found, bent, tails = daily_sharpe(returns, Year(year.periods)), skew(returns), kurtosis(returns)
    if found is None or bent is None or tails is None:
        return None
    return probabilistic_sharpe(found, len(returns), bent, tails, 1 / year.root)


def _trades(trades: list[Trade], opening: float) -> Figures:
    if not trades:
        return {}
    won: list[float] = []
    lost: list[float] = []
    capital = opening
    for trade in trades:
        profit = float(trade.profit)
        (won if profit > 0 else lost).append(profit / capital if capital else np.nan)
        capital += profit
    win, loss = (float(np.mean(of)) if of else None for of in (won, lost))
    rate, payoff = len(won) / len(trades), None if loss is None else ratio(win, -loss)
    return {
        "Average Win": win,
        "Average Loss": loss,
        "Win Rate": rate,
        "Loss Rate": 1 - rate,
        "Profit-Loss Ratio": payoff,
        "Expectancy": None if payoff is None else rate * payoff - (1 - rate),
        "Total Fees": float(sum(trade.fees for trade in trades)),
    }


def _benchmark(pair: Pairs, year: Year) -> Figures:
    returns, others = pair.ours[1:], pair.theirs[1:]
    ours, theirs = _yearly(returns, year), _yearly(others, year)
    spread, apart = deviation(others), deviation(returns - others)
    beta = None if spread is None else float(np.cov(returns, others)[0, 1]) / spread**2
    error = None if apart is None else apart * year.root
    return {
        "Alpha": None if beta is None else ours - (year.risk_free + beta * (theirs - year.risk_free)),
        "Beta": beta,
        "Information Ratio": ratio(ours - theirs, error),
        "Tracking Error": error,
        "Treynor Ratio": ratio(ours - year.risk_free, beta),
    }
