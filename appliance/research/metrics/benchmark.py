"""Compared with holding a benchmark: daily returns of both, on the days both are known."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from appliance.research.metrics.returns import Figures, annual, correlation
from appliance.research.metrics.risk import Year, deviation
from appliance.research.metrics.series import Closes, Floats, Ints, Series, closes_at, compounded, months_of, ratio


class Pairs(Struct, frozen=True):
    """Daily returns of the account (``ours``) and of the benchmark (``theirs``), and the ``days`` they belong to."""

    ours: Floats
    theirs: Floats
    days: Ints


def pairs(series: Series, closes: Closes) -> Pairs:
    """The benchmark at each session close, its last price known then; from its first price where there was none."""
    at = np.concatenate(([series.opened], series.closed))
    prices = closes_at(at, closes)
    known = np.flatnonzero(np.isfinite(prices))
    if len(known) and known[0] > 0:
        prices[known[0] - 1] = _first(closes)
    theirs = (prices[1:] / prices[:-1] - 1)[: len(series.returns)]
    good = np.isfinite(theirs)
    return Pairs(series.returns[good], theirs[good], series.days[: len(series.returns)][good])


def _first(closes: Closes) -> float:
    return next(float(price) for price in closes[1] if np.isfinite(price) and price > 0)


def benchmark_figures(pair: Pairs, year: Year) -> Figures:
    """Of daily returns; None each where nothing is known of the benchmark."""
    if not len(pair.ours):
        return {}
    growth = float(np.prod(1 + pair.theirs))
    ours = float(np.prod(1 + pair.ours))
    years = len(pair.theirs) / year.periods
    cagr = annual(growth, years)
    slope, linked = beta(pair), correlation(pair.ours, pair.theirs)
    mine = annual(ours, years)
    return {
        "benchmark_return": growth - 1,
        "benchmark_cagr": cagr,
        "excess_return": ours - growth,
        "alpha": alpha(pair, year, slope),
        "beta": slope,
        "correlation": linked,
        "r_squared": None if linked is None else linked**2,
        **_tracking(pair, year),
        "treynor": None if mine is None else ratio(mine - year.risk_free, slope),
        "up_capture": capture(pair, year, up=True),
        "down_capture": capture(pair, year, up=False),
    }


def beta(pair: Pairs) -> float | None:
    """Covariance over the benchmark's variance; None below two days or where that does not vary."""
    if len(pair.ours) < 2 or deviation(pair.theirs) is None:
        return None
    centred = pair.theirs - pair.theirs.mean()
    return float(centred @ pair.ours) / float(centred @ centred)


def alpha(pair: Pairs, year: Year, slope: float | None) -> float | None:
    """What a year earned beyond beta times the benchmark (Jensen 1968), compounded: ``(1 + mean) ** periods - 1``."""
    if slope is None:
        return None
    rest = pair.ours - year.daily - slope * (pair.theirs - year.daily)
    return float((1 + rest.mean()) ** year.periods - 1)


def _tracking(pair: Pairs, year: Year) -> Figures:
    apart = pair.ours - pair.theirs
    spread = deviation(apart)
    return {
        "tracking_error": None if spread is None else spread * year.root,
        "information_ratio": None if spread is None else float(apart.mean()) / spread * year.root,
    }


def capture(pair: Pairs, year: Year, up: bool) -> float | None:
    """A year's growth over that of the benchmark in the months in which it rose (fell)."""
    months = months_of(pair.days)
    theirs, ours = compounded(pair.theirs, months), compounded(pair.ours, months)
    chosen = [month for month, value in theirs.items() if (value > 0 if up else value < 0)]
    years = len(chosen) / 12
    growths = (float(np.prod([1 + of[month] for month in chosen])) for of in (ours, theirs))
    mine, other = (annual(growth, years) for growth in growths)
    return ratio(mine, other)
