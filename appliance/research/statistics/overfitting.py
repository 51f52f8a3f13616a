"""How likely the best of many trials is only the best fitted: probability of backtest overfitting by combinatorially
symmetric cross-validation (Bailey, Borwein, López de Prado and Zhu, 2015).

The days are cut into an even number of parts. For every choice of half of them, the trial with the best Sharpe ratio
there is ranked in the other half; overfitted is what ends in the lower half of the trials.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from msgspec import Struct

from appliance.errors import UsageError
from appliance.research.metrics.series import Floats

PARTS_MAX = 20
CHUNK = 4_000_000
"""Numbers worked on at once."""


class Overfitting(Struct, frozen=True):
    """``probability`` is the share of the ``choices`` in which the best trial ranked in the lower half outside;
    ``median_rank`` where it ranked (0 worst, 1 best), ``loss`` the share in which it lost money there. ``slope`` is of
    its Sharpe ratio outside on that inside: below 0, the better the fit the worse it does. None: not defined."""

    probability: float
    median_rank: float
    loss: float
    slope: float | None
    choices: int
    trials: int


def overfitting(returns: Floats, parts: int = 16) -> Overfitting:
    """Of daily ``returns`` (fractions), one row a day and one column a trial. Days that do not fill the last part are
    left out. Raises UsageError for less than two trials or two days a part, an odd number of parts, or a value that is
    no number."""
    _check(returns, parts)
    days, trials = returns.shape
    length = days // parts
    cut = returns[: length * parts].reshape(parts, length, trials)
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    chosen = np.zeros((len(list(combinations(range(parts), parts // 2))), parts))
    for at, one in enumerate(combinations(range(parts), parts // 2)):
        chosen[at, one] = 1.0
    found = [_ranked(part, sums, squares, length * parts // 2) for part in _split(chosen, trials)]
    ranks, inside, outside, earned = (np.concatenate([one[place] for one in found]) for place in range(4))
    return Overfitting(
        float(np.mean(ranks <= 0.5)), float(np.median(ranks)), float(np.mean(earned < 0)), _slope(inside, outside),
        len(chosen), trials,
    )  # fmt: skip


def _split(chosen: Floats, trials: int) -> list[Floats]:
    return np.array_split(chosen, max(1, len(chosen) * trials // CHUNK))


def _ranked(chosen: Floats, sums: Floats, squares: Floats, count: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Of each choice: the relative rank outside of the trial best inside, its ratios, and what it made outside."""
    other = 1 - chosen
    inside, outside = (_ratios(half @ sums, half @ squares, count) for half in (chosen, other))
    rows = np.arange(len(chosen))
    best = inside.argmax(axis=1)
    theirs = outside[rows, best][:, None]
    below = (outside < theirs).sum(axis=1) + ((outside == theirs).sum(axis=1) + 1) / 2
    ranks: Floats = below / (outside.shape[1] + 1)
    return ranks, inside[rows, best], outside[rows, best], (other @ sums)[rows, best]


def _ratios(sums: Floats, squares: Floats, count: int) -> Floats:
    """Sharpe ratios, not annualised; 0 without variance."""
    means = sums / count
    variance = np.maximum(squares / count - means**2, 0.0) * count / (count - 1)
    flat = variance <= 1e-24
    ratios: Floats = np.where(flat, 0.0, means / np.sqrt(np.where(flat, 1.0, variance)))
    return ratios


def _slope(inside: Floats, outside: Floats) -> float | None:
    centred = inside - inside.mean()
    squares = float(centred @ centred)
    return float(centred @ outside) / squares if squares > 1e-18 else None


def _check(returns: Floats, parts: int) -> None:
    if parts % 2 or not 2 <= parts <= PARTS_MAX:
        raise UsageError(f"{parts} parts are out of range", hint=f"give an even number from 2 to {PARTS_MAX}")
    if returns.ndim != 2 or returns.shape[1] < 2 or returns.shape[0] < 2 * parts:
        raise UsageError(
            f"returns of shape {returns.shape} are too few",
            hint=f"give a row for each of at least {2 * parts} days and a column for each of at least 2 trials",
        )
    if not np.all(np.isfinite(returns)):
        day, trial = np.argwhere(~np.isfinite(returns))[0]
        raise UsageError(f"the return of trial {trial} on day {day} is no number", hint="leave that trial out")
