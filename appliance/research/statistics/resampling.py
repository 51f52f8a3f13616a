"""Monte Carlo: what else the same trades or the same days could have given, by chance alone.

Trades: the order of their profits is shuffled, or as many are drawn with replacement; profits are USD and add up.
Days: daily returns are drawn in blocks, of a fixed length (Künsch 1989) or of geometric lengths (stationary, Politis
and Romano 1994), and compounded. Seeded: the same arguments give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from msgspec import Struct
from numpy.random import Generator
from numpy.typing import NDArray

from appliance.core.metrics.returns import NOISE, TRADING_DAYS
from appliance.errors import UsageError
from appliance.research.metrics.series import Floats

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
CHUNK = 250_000
"""Numbers drawn at once: they fit into a cache."""
RUNS_MAX = 1_000_000
Draw = Callable[[int], Floats]
Places = NDArray[np.int64]


class Distribution(Struct, frozen=True):
    """A figure over all runs: its ``percentiles``, the ``actual`` one, and what share of the runs were below that, ties
    counted half. None: not defined."""

    percentiles: dict[int, float]
    actual: float | None
    rank: float | None


class Simulated(Struct, frozen=True):
    """``runs`` of ``count`` trades or days. ``end_equity`` is USD, ``max_drawdown`` a fraction not above 0, ``sharpe``
    of a year (None for trades); ``ruined`` is the share of runs in which equity fell by ``ruin`` from a peak."""

    method: str
    runs: int
    seed: int
    count: int
    ruin: float
    end_equity: Distribution
    max_drawdown: Distribution
    ruined: float
    sharpe: Distribution | None = None


def shuffled_trades(
    profits: Sequence[float],
    opening: float,
    runs: int = 10_000,
    seed: int = 1,
    ruin: float = 0.5,
    replace: bool = False,
) -> Simulated:
    """The trades' ``profits`` (USD, net) in other orders from ``opening`` USD; ``replace`` draws them with replacement,
    else the end equity is always the same. Raises UsageError without trades or for options out of range."""
    made = _numbers(profits, "trade")
    _check(runs, ruin, opening)
    rng = np.random.default_rng(seed)

    def draw(rows: int) -> Floats:
        if replace:
            return made[rng.integers(0, len(made), (rows, len(made)))]
        drawn: Floats = rng.permuted(np.broadcast_to(made, (rows, len(made))), axis=1)
        return drawn

    ends, depths = _runs(draw, runs, len(made), lambda drawn: opening + np.cumsum(drawn, axis=1), opening)
    path = opening + np.cumsum(made)[None, :]
    return Simulated(
        "trades with replacement" if replace else "trades", runs, seed, len(made), ruin,
        _distribution(ends, float(path[0, -1])), _distribution(depths, float(_deepest(path, opening)[0])),
        float(np.mean(depths <= -ruin)),
    )  # fmt: skip


def resampled_returns(
    returns: Sequence[float],
    opening: float,
    runs: int = 10_000,
    seed: int = 1,
    ruin: float = 0.5,
    block: int | None = None,
    method: str = "stationary",
    periods: int = TRADING_DAYS,
) -> Simulated:
    """Daily ``returns`` (fractions) drawn anew in blocks of ``block`` days, on average when ``stationary``, always when
    ``moving``; by default the third root of their number. A block goes on from the last day to the first when
    stationary. ``periods`` are days of a year. Raises UsageError without returns or for options out of range."""
    made = _numbers(returns, "daily return")
    _check(runs, ruin, opening)
    length = block if block is not None else max(1, round(len(made) ** (1 / 3)))
    if not 1 <= length <= len(made):
        raise UsageError(f"block {length} is out of range", hint=f"give 1 to {len(made)} days")
    if method not in _PLACES:
        raise UsageError(f"method {method!r} is unknown", hint=f"one of {', '.join(_PLACES)}")
    rng, places = np.random.default_rng(seed), _PLACES[method]
    ratios: list[Floats] = []

    def draw(rows: int) -> Floats:
        drawn: Floats = made[places(rng, rows, len(made), length)]
        ratios.append(_sharpe(drawn, periods))
        return drawn

    def grown(drawn: Floats) -> Floats:
        path: Floats = opening * np.cumprod(1.0 + drawn, axis=1, dtype=np.float64)
        return path

    ends, depths = _runs(draw, runs, len(made), grown, opening)
    path: Floats = opening * np.cumprod(1.0 + made, dtype=np.float64)[None, :]
    sharpe = float(_sharpe(made[None, :], periods)[0])
    return Simulated(
        f"{method} blocks of {length} days", runs, seed, len(made), ruin,
        _distribution(ends, float(path[0, -1])), _distribution(depths, float(_deepest(path, opening)[0])),
        float(np.mean(depths <= -ruin)), _distribution(np.concatenate(ratios), sharpe),
    )  # fmt: skip


def _runs(
    draw: Draw, runs: int, count: int, path_of: Callable[[Floats], Floats], opening: float
) -> tuple[Floats, Floats]:
    """End equity and largest drawdown of each run, drawn a part at a time."""
    paths = map(path_of, map(draw, _rows(runs, count)))
    parts = [(path[:, -1].copy(), _deepest(path, opening)) for path in paths]
    return np.concatenate([ends for ends, _ in parts]), np.concatenate([depths for _, depths in parts])


def _rows(runs: int, count: int) -> Iterator[int]:
    most = max(1, CHUNK // count)
    for begin in range(0, runs, most):
        yield min(most, runs - begin)


def _deepest(paths: Floats, opening: float) -> Floats:
    """Largest drawdown of each path (row) of equity that began at ``opening``."""
    peaks = np.maximum(np.maximum.accumulate(paths, axis=1), opening)
    deepest: Floats = np.minimum((paths / peaks).min(axis=1) - 1, 0.0)
    return deepest


def _sharpe(rows: Floats, periods: int) -> Floats:
    """Of each row, of a year; NaN without variance."""
    if rows.shape[1] < 2:
        return np.full(len(rows), np.nan)
    spread = rows.std(axis=1, ddof=1)
    spread[spread <= NOISE] = np.nan
    found: Floats = rows.mean(axis=1) / spread * math.sqrt(periods)
    return found


def moving_blocks(rng: Generator, rows: int, count: int, length: int) -> Places:
    """Places (rows × count) of whole blocks of ``length`` one after another, the last one cut."""
    blocks = -(-count // length)
    starts = rng.integers(0, count - length + 1, (rows, blocks, 1))
    return (starts + np.arange(length)).reshape(rows, blocks * length)[:, :count]


def stationary_blocks(rng: Generator, rows: int, count: int, length: int) -> Places:
    """Places (rows × count): a block begins each day with the chance of 1 in ``length``, else goes on past the end."""
    begins = rng.random((rows, count)) < 1 / length
    begins[:, 0] = True
    starts = rng.integers(0, count, (rows, count))
    days = np.arange(count)
    since = np.maximum.accumulate(np.where(begins, days, 0), axis=1)
    places: Places = (np.take_along_axis(starts, since, axis=1) + days - since) % count
    return places


_PLACES = {"stationary": stationary_blocks, "moving": moving_blocks}


def _distribution(values: Floats, actual: float) -> Distribution:
    known = values[np.isfinite(values)]
    if not len(known):
        return Distribution({}, None, None)
    found = dict(zip(PERCENTILES, np.percentile(known, PERCENTILES).tolist(), strict=True))
    if not math.isfinite(actual):
        return Distribution(found, None, None)
    near = 1e-9 * max(1.0, abs(actual))
    below, equal = np.mean(known < actual - near), np.mean(np.abs(known - actual) <= near)
    return Distribution(found, actual, float(below + equal / 2))


def _numbers(values: Sequence[float], name: str) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if not len(found):
        raise UsageError(f"there is no {name} to draw from", hint="take a result with at least one")
    bad = np.flatnonzero(~np.isfinite(found))
    if len(bad):
        raise UsageError(f"{name} {int(bad[0])} is {found[bad[0]]}, no finite number", hint="leave it out")
    return found


def _check(runs: int, ruin: float, opening: float) -> None:
    if not 1 <= runs <= RUNS_MAX:
        raise UsageError(f"{runs} runs are out of range", hint=f"give 1 to {RUNS_MAX:,}")
    if not 0 < ruin <= 1:
        raise UsageError(
            f"ruin {ruin} is out of range", hint="give the drawdown that ends it as a fraction, 0.5 for 50 %"
        )
    if not 0 < opening < math.inf:
        raise UsageError(f"opening equity {opening} is not above 0", hint="give what the run began with, USD")
