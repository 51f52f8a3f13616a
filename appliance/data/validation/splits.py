"""What a split does to a price over a closed market, and which splits there usually are."""

from __future__ import annotations

import math

_USUAL = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)
RATIOS: tuple[tuple[int, int], ...] = (*((n, 1) for n in _USUAL), *((1, n) for n in _USUAL))
"""New shares for old ones, of splits that happen; those below 2:1 hide in what markets do."""
TOLERANCE = math.log(1.15)
"""How far the first price after a split may be from what the split alone would make of the last one."""


def nearest_split(last: float, price: float) -> tuple[int, int] | None:
    """The usual split (new, old) that best explains the way from ``last`` to ``price`` (USD); None: none does."""
    moved = math.log(price / last)
    distance, new, old = min((abs(moved + math.log(new / old)), new, old) for new, old in RATIOS)
    return (new, old) if distance <= TOLERANCE else None
