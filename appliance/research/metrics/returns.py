"""What was made: growth, a year's growth, days, weeks and months. Returns are fractions."""

from __future__ import annotations

import numpy as np

from appliance.core.metrics.returns import YEAR
from appliance.research.metrics.series import Floats, Series, compounded, months_of, weeks_of

Figures = dict[str, float | None]


def return_figures(series: Series, periods: int, added: float) -> Figures:
    """Growth by trading days and by the calendar; ``added`` is the cash (USD) that came in between."""
    end = float(series.growth[-1])
    years = (int(series.closed[-1]) - series.opened) / YEAR
    return {
        "total_return": end - 1,
        "profit": float(series.equity[-1]) - series.opening - added,
        "end_equity": float(series.equity[-1]),
        "peak_equity": max(series.opening, float(series.equity.max())),
        "days": len(series.returns),
        "cagr": None if series.ruined else annual(float(series.closes[-1]), len(series.returns) / periods),
        "cagr_calendar": None if series.ruined else annual(float(series.closes[-1]), years),
        **_extremes(series),
        "stability": None if series.ruined else stability(series.returns),
    }


def annual(growth: float, years: float) -> float | None:
    """Growth to ``growth`` times the money in ``years``, as a year's return; None where it is none."""
    if not growth > 0 or not years > 0 or abs(np.log(growth) / years) > 700:
        return None
    return float(growth ** (1 / years) - 1)


def _extremes(series: Series) -> Figures:
    returns = series.returns
    days = series.days[: len(returns)]
    weeks = list(compounded(returns, weeks_of(days)).values())
    months = list(compounded(returns, months_of(days)).values())
    return {
        "best_day": _most(returns), "worst_day": _least(returns), "mean_day": _mean(returns),
        "best_week": _most(weeks), "worst_week": _least(weeks),
        "best_month": _most(months), "worst_month": _least(months),
        "positive_days": _mean([value > 0 for value in returns.tolist()]),
        "positive_months": _mean([value > 0 for value in months]),
    }  # fmt: skip


def stability(returns: Floats) -> float | None:
    """R² of the cumulated log return on time; None without variance or where all was lost."""
    if len(returns) < 2 or np.any(returns <= -1):
        return None
    logs = np.cumsum(np.log1p(returns))
    return correlation(np.arange(len(logs), dtype=np.float64), logs, squared=True)


def correlation(left: Floats, right: Floats, squared: bool = False) -> float | None:
    """Pearson's, or its square; None below two pairs or without variance."""
    if len(left) < 2:
        return None
    one, other = left - left.mean(), right - right.mean()
    squares = float(one @ one) * float(other @ other)
    if not squares > 0 or np.ptp(left) <= 1e-12 or np.ptp(right) <= 1e-12:
        return None
    value = float(np.clip(float(one @ other) / np.sqrt(squares), -1.0, 1.0))
    return value**2 if squared else value


def _most(values: Floats | list[float]) -> float | None:
    return float(max(values)) if len(values) else None


def _least(values: Floats | list[float]) -> float | None:
    return float(min(values)) if len(values) else None


def _mean(values: Floats | list[float] | list[bool]) -> float | None:
    return float(np.mean(values)) if len(values) else None
