"""Crossings of whole arrays, as ``Line.crossed_above`` and ``crossed_below`` tell them of each bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import NDArray


def crossed_above(first: NDArray[float64], other: NDArray[float64] | float) -> NDArray[bool_]:
    """Where ``first`` went from at or below ``other`` to above it with this bar; False while either one warms up."""
    import numpy as np  # here: live processes load this module and never call it

    level = np.broadcast_to(other, first.shape)
    found = np.zeros(first.shape, dtype=np.bool_)
    found[1:] = (first[1:] > level[1:]) & (first[:-1] <= level[:-1])
    return found


def crossed_below(first: NDArray[float64], other: NDArray[float64] | float) -> NDArray[bool_]:
    """Where ``first`` went from at or above ``other`` to below it with this bar; False while either one warms up."""
    import numpy as np

    level = np.broadcast_to(other, first.shape)
    found = np.zeros(first.shape, dtype=np.bool_)
    found[1:] = (first[1:] < level[1:]) & (first[:-1] >= level[:-1])
    return found
