"""The same arithmetic on whole arrays: sums of integers that fit 64 bits, and Python's integers where they would not.

A window's sum is a difference of cumulative sums. Those may run over 64 bits and come round: integers of numpy count
modulo 2**64, so the difference is right whenever the sum of the window itself fits, and that is what is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd, sqrt
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from appliance.domain.market import Bar
from appliance.strategy.indicators.units import SCALE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[Any]
"""Whole numbers: int64, or Python's own where those would overflow."""

INT_MAX = 2**63 - 1
UNITS_MAX = 2**55
"""Prices in units are below it (3.6e8 USD), or they are Python's integers; a hundred times as much fits 64 bits."""
FLOAT_EXACT = 2**53
"""Below it a float holds every whole number."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Bars as arrays of float64, all of one length: prices in USD, volume in shares."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @classmethod
    def of(cls, bars: Sequence[Bar]) -> Columns:
        """The columns of some bars."""
        return cls(*(floats([getattr(bar, name) for bar in bars]) for name in COLUMNS))

    def __len__(self) -> int:
        return len(self.close)

    def part(self, begin: int, end: int) -> Columns:
        """The rows from ``begin`` up to, not including, ``end``."""
        return Columns(*(getattr(self, name)[begin:end] for name in COLUMNS))

    def in_units(self, name: str) -> Ints:
        """A column in units."""
        return units(getattr(self, name))

    def once(self, key: object, make: Callable[[], dict[str, Floats]]) -> dict[str, Floats]:
        """What ``make`` makes of these bars; bars that are looked at again and again remember it by ``key``."""
        return make()

    def bars(self, symbol: str) -> Iterator[Bar]:
        """The rows again, as bars of ``symbol`` of 1 ns each, numbered by their time."""
        rows = zip(*(getattr(self, name).tolist() for name in COLUMNS), strict=True)
        return (Bar(symbol, "", index, index + 1, *row) for index, row in enumerate(rows))


COLUMNS = ("open", "high", "low", "close", "volume")


def floats(values: Sequence[float]) -> Floats:
    """An array of float64."""
    return np.array(values, dtype=np.float64)


def units(values: Floats, scale: float = SCALE) -> Ints:
    """Each value in units, as ``round(value * scale)`` has it."""
    scaled = values * scale
    if largest(scaled) < UNITS_MAX:
        return np.rint(scaled).astype(np.int64)
    return as_objects(map(round, scaled.tolist()))


def coarse(whole: Ints) -> tuple[Ints, int]:
    """Whole numbers over their greatest common divisor, and the divisor: prices in cents make small numbers."""
    step = int(np.gcd.reduce(whole)) if whole.dtype != object and len(whole) else 1
    return (whole // step, step) if step > 1 else (whole, 1)


def largest(values: Ints | Floats) -> Any:
    """The largest magnitude of an array, 0 when it is empty."""
    most = max(abs(values.max()), abs(values.min())) if len(values) else 0
    return most.item() if isinstance(most, np.generic) else most


def as_objects(values: Iterator[int]) -> Ints:
    """An array of Python's integers."""
    return np.array([*values], dtype=object)


def within(bound: int, *arrays: Ints) -> tuple[Ints, ...]:
    """The arrays as they are if results up to ``bound`` fit 64 bits, else as Python's integers."""
    if bound <= INT_MAX:
        return arrays
    return tuple(array.astype(object) for array in arrays)


def window_sums(whole: Ints, period: int) -> Ints:
    """Sum of each ``period`` numbers in a row; the caller has seen to ``within``."""
    sums = np.concatenate((np.zeros(1, dtype=whole.dtype), np.cumsum(whole, dtype=whole.dtype)))
    return sums[period:] - sums[:-period] if period < len(sums) else whole[:0]


def price_sums(whole: Ints, period: int) -> Ints:
    """Sum of each ``period`` numbers in a row, of whatever size."""
    (whole,) = within(period * largest(whole), whole)
    return window_sums(whole, period)


def weighted_sums(whole: Ints, period: int) -> Ints:
    """For each window: the oldest number once, the next twice, … the newest ``period`` times."""
    (whole,) = within(period * (period + 1) // 2 * largest(whole), whole)
    places = np.arange(1, len(whole) + 1).astype(whole.dtype)
    sums = window_sums(whole, period)
    weighted: Ints = window_sums(whole * places, period) - sums * places[: len(sums)] + sums
    return weighted


def moments(whole: Ints, period: int) -> tuple[Ints, Ints]:
    """For each window: its sum, and ``period * sum of squares - sum**2``, which is period**2 times its variance."""
    (whole,) = within((period * largest(whole)) ** 2, whole)
    sums = window_sums(whole, period)
    return sums, period * window_sums(whole * whole, period) - sums * sums


def quotients(numerators: Ints, denominator: int, step: int = 1) -> Floats:
    """``step * numerator / denominator``, each rounded once, as Python divides integers."""
    common = gcd(step, denominator)
    return _divided(numerators, np.array([denominator // common], dtype=object), step // common)


def ratios(numerators: Ints, denominators: Ints, empty: float, step: int = 1, divisor: int = 1) -> Floats:
    """``step * numerator / (divisor * denominator)``, each rounded once; ``empty`` where the denominator is 0."""
    common = gcd(step, divisor)
    (denominators,) = within(largest(denominators) * (divisor // common), denominators)
    nothing = denominators == 0
    under = np.where(nothing, 1, denominators) * (divisor // common)
    return np.where(nothing, empty, _divided(numerators, under, step // common))


def shares(numerators: Floats, denominators: Floats, empty: float) -> Floats:
    """``numerator / denominator`` of floats; ``empty`` where the denominator is 0."""
    nothing = denominators == 0
    return np.where(nothing, empty, numerators / np.where(nothing, 1.0, denominators))


def _divided(numerators: Ints, under: Ints, step: int) -> Floats:
    """Where floats hold both exactly their quotient is rounded once; else Python's division does it."""
    if numerators.dtype != object and max(largest(numerators) * step, largest(under)) < FLOAT_EXACT:
        return np.asarray(numerators * step / under.astype(np.int64), dtype=np.float64)
    pairs = zip((numerators.astype(object) * step).tolist(), np.resize(under, len(numerators)).tolist(), strict=True)
    return floats([above / below for above, below in pairs])


def roots(squares: Ints, step: int = 1) -> Floats:
    """``sqrt(step**2 * square)``, as Python takes the root of an integer."""
    if squares.dtype != object and max(largest(squares), step * step) < FLOAT_EXACT:
        return np.sqrt(squares.astype(np.float64) * float(step * step))
    return floats([sqrt(step * step * square) for square in squares.tolist()])


def scores(whole: Ints, period: int, step: int = 1) -> Floats:
    """Standard deviations from the mean of each window to its last number; 0 where all are equal."""
    sums, squares = moments(whole, period)
    above = quotients(period * whole[period - 1 :].astype(sums.dtype) - sums, 1, step)
    return shares(above, roots(squares, step), 0.0)


def warm(values: Floats, length: int) -> Floats:
    """``length`` values: NaN first, for as long as there are too few bars."""
    return np.concatenate((np.full(length - len(values), np.nan), values))


def highest(values: Floats, period: int) -> Floats:
    """The largest of each ``period`` values in a row."""
    most: Floats = _windows(values, period).max(axis=1)
    return most


def lowest(values: Floats, period: int) -> Floats:
    """The smallest of each ``period`` values in a row."""
    least: Floats = _windows(values, period).min(axis=1)
    return least


def _windows(values: Floats, period: int) -> Floats:
    if period > len(values):
        return np.empty((0, 1))
    return np.lib.stride_tricks.sliding_window_view(values, period)


def signs(whole: Ints) -> Ints:
    """1 where a number is above the one before it, -1 where below, 0 where equal, and first of all."""
    return np.sign(np.diff(whole, prepend=whole[:1]))


def joined(parts: Sequence[Floats]) -> Floats:
    """The parts after one another."""
    return np.concatenate(parts)


def changes(prices: Floats, scale: float) -> Ints:
    """Each price's return from the one before it, in whole numbers of ``1 / scale``; 0 where that was 0."""
    whole = units(prices)
    return units(ratios(np.diff(whole), whole[:-1], 0.0), scale)


def smoothed(values: list[float], start: float, weight: float) -> list[float]:
    """``start``, then moved towards each value in turn by ``weight`` of the way: the recursion of EMA."""
    found = [start]
    for value in values:
        start += weight * (value - start)
        found.append(start)
    return found


def wilder(values: Sequence[float], period: int) -> Floats:
    """The sum of the first ``period`` values over ``period``, then moved towards each by a ``period``-th of the way."""
    if len(values) < period:
        return floats([])
    average = reduce(add, values[:period], 0) / period
    found = [average]
    for value in values[period:]:
        average += (value - average) / period
        found.append(average)
    return floats(found)


def rises(whole: Ints) -> tuple[Ints, Ints]:
    """How far each number is above the one before it, and how far below; 0 where it is not."""
    change = np.diff(whole)
    return np.maximum(change, 0), np.maximum(-change, 0)


def true_ranges(columns: Columns) -> tuple[Ints, Ints, Ints]:
    """Highs and lows in units, and true ranges (the first one is high - low alone)."""
    high, low, close = columns.in_units("high"), columns.in_units("low"), columns.in_units("close")
    last = close[:-1]
    later = np.maximum(high[1:], last) - np.minimum(low[1:], last)
    return high, low, np.concatenate(((high - low)[:1], later))


def movements(high: Ints, low: Ints) -> tuple[Ints, Ints]:
    """Directional movement up and down from the bar before: the larger one counts alone."""
    up, down = np.diff(high), -np.diff(low)
    return np.where((up > down) & (up > 0), up, 0), np.where((down > up) & (down > 0), down, 0)
