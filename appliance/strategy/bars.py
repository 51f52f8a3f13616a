"""Longer bars from smaller ones as strategies ask for them, and the last bars as arrays."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from appliance.core import building
from appliance.core.building import FIELDS, rescale
from appliance.core.saving import CHUNK
from appliance.core.spans import Grid, bars_between
from appliance.domain.market import Bar, Sessions, Split, timeframe_ns
from appliance.errors import StrategyError

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

KEPT = 500
"""Bars a window keeps unless its author asks for more."""
KEPT_MAX = 100_000


def length_of(timeframe: str, asked: str) -> int:
    """Nominal length (ns) of a timeframe an author wrote in ``asked``. Raises StrategyError naming what is allowed."""
    try:
        return timeframe_ns(timeframe)
    except ValueError as error:
        raise StrategyError(f"{asked}: {error}", hint="for instance 5m, 1h or 1d") from None


class BarBuilder(building.BarBuilder):
    """Longer bars for a strategy: see ``appliance.core.building``. Raises StrategyError."""

    __slots__ = ()

    @staticmethod
    def wrong(text: str, hint: str) -> StrategyError:
        """The author's error."""
        return StrategyError(text, hint=hint)


class Bars(Struct, frozen=True, eq=False):
    """The last bars of a symbol, oldest first: ``end`` in ns UTC, prices in USD, ``volume`` in shares. ``len(bars)`` of
    each. The arrays are copies and cannot be written."""

    end: NDArray[int64]
    open: NDArray[float64]
    high: NDArray[float64]
    low: NDArray[float64]
    close: NDArray[float64]
    volume: NDArray[float64]

    def __len__(self) -> int:
        return len(self.end)


class BarWindow:
    """The last ``limit`` bars of one symbol and timeframe: O(1) a bar, 48 bytes each, held at most twice over."""

    __slots__ = ("_chunks", "_count", "_ends", "_flat", "_timeframe", "limit")

    def __init__(self, limit: int = KEPT) -> None:
        """Raises StrategyError unless ``limit`` is 1 to ``KEPT_MAX`` bars."""
        self.limit = _checked(limit, KEPT_MAX, "")
        self._ends = array("q")
        self._flat = array("d")
        self._count = 0
        self._timeframe = ""
        self._chunks: dict[str, list[list[float]]] = {}

    def __len__(self) -> int:
        return min(len(self._ends), self.limit)

    def grow(self, limit: int) -> None:
        """Keep ``limit`` bars from now on, if it kept fewer. Raises StrategyError unless it is 1 to ``KEPT_MAX``."""
        self.limit = max(self.limit, _checked(limit, KEPT_MAX, ""))

    def append(self, bar: Bar) -> None:
        """Take the next bar."""
        self._timeframe = bar.timeframe
        self._ends.append(bar.end)
        self._flat.extend((bar.open, bar.high, bar.low, bar.close, bar.volume))
        self._count += 1
        if len(self._ends) >= 2 * (self.limit + CHUNK):
            self._trim()

    def rescale(self, split: Split) -> None:
        """A split: the kept bars in prices and volumes of new shares."""
        self._chunks = {}
        rescale(self._flat, split)

    def last(self, count: int) -> Bars:
        """The last ``count`` bars, or as many as there have been. Raises StrategyError for more than ``limit``."""
        import numpy  # here: a host whose strategies ask for no arrays saves 20 MB

        count = min(_checked(count, self.limit, " as many as are kept; ask for more in on_start"), len(self._ends))
        begin = len(self._ends) - count
        ends = numpy.array(self._ends[begin:], dtype=numpy.int64)
        rows = numpy.array(self._flat[begin * FIELDS :], dtype=numpy.float64).reshape(count, FIELDS)
        return _bars(ends, rows)

    def filled(self, count: int, sessions: Sessions) -> Bars:
        """As ``last``, with a bar in place of each that is missing inside the sessions: at the close before it, volume
        0. Raises StrategyError for bars longer than a day."""
        import numpy

        known = self.last(count)
        if len(known) < 2:
            return known
        try:
            found = _filled(known, self._timeframe, sessions)[-count:]
        except ValueError as error:
            raise StrategyError(str(error), hint="ask for bars of a day or less, or without filled=True") from None
        ends = numpy.array([end for end, _ in found], dtype=numpy.int64)
        return _bars(ends, numpy.array([row for _, row in found], dtype=numpy.float64))

    def snapshot(self) -> dict[str, Any]:
        """Plain data from which ``restore`` goes on with the same bits: ``count`` bars so far, and the kept ones in
        ``chunks`` by number. A chunk that is full is the same object each time, and never changes."""
        kept = range(self._first() // CHUNK, -(-self._count // CHUNK))
        self._chunks = {str(number): self._chunk(number) for number in kept}
        return {"count": self._count, "chunks": dict(self._chunks), "timeframe": self._timeframe}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot; of a longer window, what fits."""
        rows = [row for number in sorted(data["chunks"], key=int) for row in data["chunks"][number]]
        self._count, self._timeframe = data["count"], data.get("timeframe", "")
        self._chunks = {}
        self._ends = array("q", (row[0] for row in rows))
        self._flat = array("d", (float(number) for row in rows for number in row[1:]))
        self._trim()

    def _first(self) -> int:
        """Number of the first bar to keep: chunks are kept whole, so that what is saved depends on the bars alone."""
        first = max(self._count - self.limit, 0)
        return first - first % CHUNK

    def _trim(self) -> None:
        more = len(self._ends) - (self._count - self._first())
        if more > 0:
            del self._ends[:more]
            del self._flat[: more * FIELDS]

    def _chunk(self, number: int) -> list[list[float]]:
        """Rows of one chunk: end (ns), open, high, low, close, volume."""
        found = self._chunks.get(str(number))
        if found is not None and len(found) == CHUNK:
            return found
        begin = number * CHUNK - (self._count - len(self._ends))
        end = min(begin + CHUNK, len(self._ends))
        return [[self._ends[at], *self._flat[at * FIELDS : (at + 1) * FIELDS]] for at in range(begin, end)]


def _bars(ends: NDArray[int64], rows: NDArray[float64]) -> Bars:
    columns = [rows[:, index].copy() for index in range(FIELDS)]
    for one in (ends, *columns):
        one.flags.writeable = False
    return Bars(ends, *columns)


def _filled(known: Bars, timeframe: str, sessions: Sessions) -> list[tuple[int, tuple[float, ...]]]:
    """End and row of each bar, and of each that is missing between them."""
    grid, length = Grid(timeframe, sessions), timeframe_ns(timeframe)
    columns = (known.open, known.high, known.low, known.close, known.volume)
    made: list[tuple[int, tuple[float, ...]]] = []
    for end, *row in zip(known.end.tolist(), *(column.tolist() for column in columns), strict=True):
        if made and end - made[-1][0] != length:
            span = grid.at(end - 1)
            last, close = made[-1][0], made[-1][1][3]
            until = span.start if span is not None else end
            made += [
                (stop, (close, close, close, close, 0.0)) for _, stop in bars_between(sessions, timeframe, last, until)
            ]
        made.append((end, tuple(row)))
    return made


def _checked(count: int, most: int, why: str) -> int:
    if type(count) is not int or not 1 <= count <= most:
        raise StrategyError(f"{count!r} bars: must be a whole number, 1 to {most}{why}")
    return count
