"""Whether a result stands on a plateau or on a lonely peak: each point's objective among its neighbours.

A point's neighbours lie within ``radius`` of it on every axis, itself too. One that was run without a result counts as
the worst there is; one that was not run, outside the grid or excluded, does not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from appliance.errors import UsageError
from appliance.research.metrics.series import Floats

CHUNK = 20_000_000
"""Distances looked at at once."""


class Plateau(Struct, frozen=True):
    """Of each point, in the order given: the ``mean`` and the ``worst`` objective among its ``neighbours`` (how many,
    itself counted), and ``drop``, how much worse than its own the mean is. NaN where the point has no result."""

    mean: Floats
    worst: Floats
    drop: Floats
    neighbours: NDArray[np.int64]
    minimize: bool = False

    def best(self, of: str = "mean") -> int | None:
        """The point with the best ``mean`` or ``worst``: the first of equals, None where no point has a result. Raises
        UsageError for another word."""
        if of not in ("mean", "worst"):
            raise UsageError(f"{of!r} is unknown", hint="one of mean, worst")
        scores = self.mean if of == "mean" else self.worst
        if not np.isfinite(scores).any():
            return None
        return int(np.nanargmin(scores) if self.minimize else np.nanargmax(scores))


def plateau(
    coordinates: Sequence[Sequence[float]] | Floats,
    objectives: Sequence[float | None],
    radius: float = 1.0,
    minimize: bool = False,
) -> Plateau:
    """Score points by their neighbours.

    ``coordinates`` are one row a point and one column a varied parameter: the places of its values along the grid, with
    ``radius`` 1; or, for drawn points, values scaled to 0 … 1 with a smaller one. Values without an order (modes) are
    put further apart than ``radius``. Raises UsageError for shapes that do not fit or a radius that is not above 0.
    """
    places, values = _checked(coordinates, objectives, radius)
    known = np.isfinite(values)
    if not known.any():
        empty = np.full(len(values), np.nan)
        return Plateau(empty, empty, empty, np.zeros(len(values), dtype=np.int64), minimize)
    filled = np.where(known, values, values[known].max() if minimize else values[known].min())
    mean, worst = np.empty(len(values)), np.empty(len(values))
    counts = np.empty(len(values), dtype=np.int64)
    rows = max(1, CHUNK // (len(values) * max(1, places.shape[1])))
    for begin in range(0, len(values), rows):
        part = slice(begin, begin + rows)
        near = np.all(np.abs(places[part, None, :] - places[None, :, :]) <= radius + 1e-9, axis=2)
        counts[part] = near.sum(axis=1)
        mean[part] = near @ filled / counts[part]
        worst[part] = _worst(near, filled, minimize)
    drop = (mean - values) if minimize else (values - mean)
    return Plateau(np.where(known, mean, np.nan), np.where(known, worst, np.nan), drop, counts, minimize)


def _worst(near: NDArray[np.bool_], values: Floats, minimize: bool) -> Floats:
    far = -math.inf if minimize else math.inf
    among = np.where(near, values, far)
    found: Floats = among.max(axis=1) if minimize else among.min(axis=1)
    return found


def _checked(
    coordinates: Sequence[Sequence[float]] | Floats, objectives: Sequence[float | None], radius: float
) -> tuple[Floats, Floats]:
    values = np.array([math.nan if value is None else value for value in objectives], dtype=np.float64)
    wide = {len(row) for row in coordinates}
    if len(coordinates) != len(values) or len(wide) > 1:
        widths = " or ".join(map(str, sorted(wide)))
        raise UsageError(
            f"{len(coordinates)} coordinates of {widths} numbers for {len(values)} objectives",
            hint="give one row for each point, each as long as the others",
        )
    places = np.asarray(coordinates, dtype=np.float64).reshape(len(values), *wide or (1,))
    bad = np.argwhere(~np.isfinite(places))
    if len(bad):
        raise UsageError(f"a coordinate of point {bad[0][0]} is no number", hint="give finite numbers")
    if not 0 < radius < math.inf:
        raise UsageError(f"radius {radius} is not above 0", hint="give 1 for the next values of a grid")
    return places, values
