"""What a split does to a price over a closed market, and which splits there usually are."""

from __future__ import annotations

import math

from appliance.domain.market import Bar

_USUAL = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)
RATIOS: tuple[tuple[int, int], ...] = (*((n, 1) for n in _USUAL), *((1, n) for n in _USUAL))
"""New shares for old ones, of splits that happen; those below 2:1 hide in what markets do."""
_SHIFTS = tuple((math.log(old / new), new, old) for new, old in RATIOS)
TOLERANCE = math.log(1.15)
"""How far the first price after a split may be from what the split alone would make of the last one."""


def way(start: float, end: float) -> float:
    """From one price to another, in logarithms; the quotient of the two may be too small or large for a float."""
    return math.log(end) - math.log(start)


def nearest_split(last: float, bar: Bar) -> tuple[int, int] | None:
    """The usual split (new, old) that best explains the way from ``last`` (USD) to the open of a bar; None: none does,
    or the close is nearer to the last price than to what the split makes of it."""
    moved, at_close = way(last, bar.open), way(last, bar.close)
    distance, shift, new, old = min((abs(moved - shift), shift, new, old) for shift, new, old in _SHIFTS)
    stays = abs(at_close - shift) < abs(at_close)
    return (new, old) if distance <= TOLERANCE and stays else None
