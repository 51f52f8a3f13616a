"""What the closed trades (first in, first out) add up to. Money USD net of fees, times ns.

A trade of exactly 0 is neither won nor lost, but counts. Its return is profit over the value of its entry. How it went
between (``best``, ``worst``) counts only where every trade was watched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from appliance.core.books.entries import Trade
from appliance.core.metrics.returns import NOISE
from appliance.domain.trading import Side
from appliance.research.metrics.returns import Figures
from appliance.research.metrics.series import Floats, ratio


def trade_figures(trades: Sequence[Trade]) -> Figures:
    """Of the trades in order of their exits; counts are 0 and all else None without one."""
    if not trades:
        return {"trades": 0, "wins_in_a_row": 0, "losses_in_a_row": 0}
    profits = np.array([float(trade.profit) for trade in trades])
    return {
        "trades": len(trades),
        "long_trades": sum(trade.side is Side.BUY for trade in trades),
        **_money(profits),
        **_percent(returns_of(trades)),
        **_rows(profits),
        **_holding(trades),
        **_excursions(trades),
    }


def returns_of(trades: Sequence[Trade]) -> Floats:
    """Profit over the value of the entry, a fraction each; NaN where that is 0."""
    values = ((float(trade.profit), float(trade.quantity * trade.entry_price)) for trade in trades)
    return np.array([profit / value if value else np.nan for profit, value in values])


def _money(profits: Floats) -> Figures:
    won, lost, count = profits[profits > 0], profits[profits < 0], len(profits)
    win = float(won.mean()) if len(won) else None
    loss = float(lost.mean()) if len(lost) else None
    payoff = None if win is None or loss is None else ratio(win, -loss)
    rate, mean = len(won) / count, math.fsum(profits) / count
    return {
        "win_rate": rate,
        "average_win": win,
        "average_loss": loss,
        "payoff": payoff,
        "profit_factor": ratio(math.fsum(won), -math.fsum(lost)),
        "expectancy": mean,
        "expectancy_r": None if loss is None else ratio(mean, -loss),
        "quality": quality(profits),
        "kelly": None if payoff is None else rate - (1 - rate) / payoff,
        "best_trade": float(profits.max()),
        "worst_trade": float(profits.min()),
        "net_of_best_trade": math.fsum(profits) - float(profits.max()),
    }


def quality(profits: Floats) -> float | None:
    """System quality number: root of the count times mean over deviation (Tharp); None without variance."""
    spread = float(profits.std(ddof=1)) if len(profits) > 1 else 0.0
    if not spread > NOISE * max(1.0, abs(float(profits.mean()))):
        return None
    return math.sqrt(len(profits)) * float(profits.mean()) / spread


def _percent(returns: Floats) -> Figures:
    if not np.all(np.isfinite(returns)):
        return {}
    return {
        "average_trade_return": float(returns.mean()),
        "best_trade_return": float(returns.max()),
        "worst_trade_return": float(returns.min()),
    }


def _rows(profits: Floats) -> Figures:
    return {"wins_in_a_row": _longest(profits > 0), "losses_in_a_row": _longest(profits < 0)}


def _longest(which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    return max(accumulate(which.tolist(), lambda run, one: run + 1 if one else 0, initial=0))


def _holding(trades: Sequence[Trade]) -> Figures:
    held = [trade.exit_time - trade.entry_time for trade in trades]
    return {"average_holding": sum(held) // len(held), "longest_holding": max(held)}


def _excursions(trades: Sequence[Trade]) -> Figures:
    """How far trades went for and against, and what part of the way was got at entry, at exit and in all."""
    if any(trade.best is None or trade.worst is None for trade in trades):
        return {}
    gained = np.array([float(trade.profit + trade.fees) for trade in trades])
    best = np.maximum(np.array([float(trade.best or 0) for trade in trades]), gained)
    worst = np.minimum(np.array([float(trade.worst or 0) for trade in trades]), gained)
    way = best - worst
    moved = way > 0
    if not moved.any():
        return {"average_mae": float(worst.mean()), "average_mfe": float(best.mean())}
    return {
        "average_mae": float(worst.mean()),
        "average_mfe": float(best.mean()),
        "entry_efficiency": float((best[moved] / way[moved]).mean()),
        "exit_efficiency": float(((gained - worst)[moved] / way[moved]).mean()),
        "trade_efficiency": float((gained[moved] / way[moved]).mean()),
    }
