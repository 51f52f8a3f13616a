"""How a run went over time: returns by month and year, rolling Sharpe ratio and volatility."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from numpy.lib.stride_tricks import sliding_window_view

from appliance.core.metrics.returns import NOISE
from appliance.research.metrics.risk import Year
from appliance.research.metrics.series import Series, compounded, months_of

WINDOWS = (126, 63, 21)
"""Days a rolling figure looks back: the first of which there are twice as many days."""


class Curves(Struct, frozen=True):
    """How the result went: ``returns`` are daily fractions, ``months`` those by year and month, ``years`` by year;
    ``rolling_sharpe`` and ``rolling_volatility`` (a year, fraction) are of the last ``window`` days at those times."""

    returns: Sequence[float] = ()
    months: dict[tuple[int, int], float] = {}
    years: dict[int, float] = {}
    window: int = 0
    rolling_times: Sequence[int] = ()
    rolling_sharpe: Sequence[float | None] = ()
    rolling_volatility: Sequence[float] = ()


def curves(series: Series, year: Year, window: int | None = None) -> Curves:
    """All of them; ``window`` days, by default by how long it lasted. Too few days: nothing rolls."""
    returns = series.returns
    months = months_of(series.days[: len(returns)])
    by_month = {(group[0], group[1]): value for group, value in compounded(returns, months).items()}
    by_year = {group[0]: value for group, value in compounded(returns, [(one[0],) for one in months]).items()}
    back = window if window is not None else _window(len(returns))
    if not 2 <= back <= len(returns):
        return Curves(returns.tolist(), by_month, by_year)
    spans = sliding_window_view(returns, back)
    spread = spans.std(axis=1, ddof=1)
    means = spans.mean(axis=1) - year.daily
    sharpe = [
        float(mean / deviation * year.root) if deviation > NOISE else None
        for mean, deviation in zip(means, spread, strict=True)
    ]
    times = [int(time) for time in series.closed[back - 1 : len(returns)]]
    return Curves(returns.tolist(), by_month, by_year, back, times, sharpe, (spread * year.root).tolist())


def _window(count: int) -> int:
    return next((window for window in WINDOWS if count >= 2 * window), 0)
