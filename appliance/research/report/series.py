"""Long series made short enough to draw, with their extremes kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

POINTS = 1_400
"""Points of a line, at most about: more than a screen has columns."""


def thinned(values: Sequence[float], points: int = POINTS, keep: Sequence[int] = ()) -> list[int]:
    """Which places to draw: all when they are few, else of each stretch the lowest and the highest, the two ends, and
    those of ``keep``."""
    count = len(values)
    if count <= points:
        return list(range(count))
    stretches = points // 2
    kept = {0, count - 1, *keep}
    for stretch in range(stretches):
        places = range(stretch * count // stretches, (stretch + 1) * count // stretches)
        kept.add(min(places, key=values.__getitem__))
        kept.add(max(places, key=values.__getitem__))
    return sorted(kept)


def place(times: Sequence[int], time: int) -> float:
    """Where on an axis that counts points a time lies, a fraction between its neighbours."""
    after = bisect_right(times, time)
    if not after or after == len(times):
        return float(max(0, after - 1))
    before = times[after - 1]
    return round(after - 1 + (time - before) / (times[after] - before), 2)


def seconds(times: Sequence[int]) -> list[int]:
    """Times (ns) in seconds, as the page has them."""
    return [time // 1_000_000_000 for time in times]
