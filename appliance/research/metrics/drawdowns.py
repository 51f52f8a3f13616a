"""How far below the peak, how long and how often.

Conventions: a peak is the highest growth at a mark so far, the opening too; the depth counts the lowest growth between
marks, which came after that peak for certain. A drawdown lasts from the last mark at its peak to the first that reaches
it again. Depths are fractions not above 0, times ns.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from appliance.research.metrics.returns import Figures
from appliance.research.metrics.risk import shortfall
from appliance.research.metrics.series import Floats, Series, ratio


class Drawdown(Struct, frozen=True):
    """One: from the peak at ``start`` (ns UTC) down to ``depth`` (fraction, below 0) at ``trough``, back up at ``end``.
    None: not yet."""

    start: int
    trough: int
    end: int | None
    depth: float


def depths(series: Series) -> Floats:
    """How far below the peak each mark lies at its lowest."""
    peaks = np.maximum.accumulate(np.concatenate(([1.0], series.growth)))
    found: Floats = np.minimum(series.lowest / peaks[:-1], series.growth / peaks[1:]) - 1
    return found


def drawdowns(series: Series) -> list[Drawdown]:
    """All drawdowns in order of time, the deepest moment of each at a mark or before it."""
    growth = np.concatenate(([1.0], series.growth))
    times = np.concatenate(([series.opened], series.times))
    peaks = np.flatnonzero(growth >= np.maximum.accumulate(growth))
    deep = np.concatenate(([0.0], depths(series)))
    found = []
    for at, start in enumerate(peaks):
        after = peaks[at + 1] if at + 1 < len(peaks) else len(growth)
        recovered = at + 1 < len(peaks)
        stretch = deep[start + 1 : after + recovered]
        if len(stretch) and stretch.min() < 0:
            trough = start + 1 + int(stretch.argmin())
            end = int(times[after]) if recovered else None
            found.append(Drawdown(int(times[start]), int(times[trough]), end, float(stretch.min())))
    return found


def drawdown_figures(series: Series, cagr: float | None, year_return: float | None, risk_free: float) -> Figures:
    """Of every mark; Ulcer and Serenity of daily closes. ``year_return`` is what the total return was (fraction)."""
    found, deep = drawdowns(series), depths(series)
    peak = max(1.0, float(series.growth.max()))
    deepest = min(0.0, float(deep.min()))
    lasted = [_lasted(one, int(series.times[-1])) for one in found]
    present = found[-1] if found and found[-1].end is None and series.growth[-1] < peak else None
    recovered = [one.end - one.trough for one in found if one.end is not None]
    ulcer = ulcer_index(series.closes)
    return {
        "drawdown": float(series.growth[-1]) / peak - 1,
        "max_drawdown": deepest,
        "average_drawdown": float(np.mean([one.depth for one in found])) if found else None,
        "drawdowns": len(found),
        "drawdown_time": int(series.times[-1]) - present.start if present is not None else 0,
        "max_drawdown_time": max(lasted, default=0),
        "max_recovery_time": max(recovered, default=None),
        "under_water": float(np.mean(series.growth < np.maximum.accumulate(np.maximum(series.growth, 1.0)))),
        "calmar": ratio(cagr, -deepest),
        "recovery_factor": ratio(year_return, -deepest),
        "ulcer_index": ulcer,
        "ulcer_performance": None if year_return is None else ratio(year_return - risk_free, ulcer),
        "serenity": serenity(series, ulcer, risk_free),
    }


def _lasted(one: Drawdown, last: int) -> int:
    return (last if one.end is None else one.end) - one.start


def daily_depths(closes: Floats) -> Floats:
    """How far below its peak each daily close lies."""
    found: Floats = closes / np.maximum.accumulate(np.maximum(closes, 1.0)) - 1
    return found


def ulcer_index(closes: Floats) -> float | None:
    """Root of the mean square of the daily depths, over n days (Martin 1987)."""
    value = float(np.sqrt(np.mean(daily_depths(closes) ** 2)))
    return value if value > 0 else None


def serenity(series: Series, ulcer: float | None, risk_free: float) -> float | None:
    """Sum of daily returns over ulcer index times pitfall, the mean of the worst 5 % of the depths in deviations of a
    day (KeyQuant 2017)."""
    returns = series.returns
    if ulcer is None or series.ruined or len(returns) < 2:
        return None
    pitfall = ratio(-shortfall(daily_depths(series.closes), 0.05), float(returns.std(ddof=1)))
    return None if pitfall is None else ratio(float(returns.sum()) - risk_free, ulcer * pitfall)
