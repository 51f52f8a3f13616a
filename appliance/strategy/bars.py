"""Longer bars from smaller ones, and the last bars as arrays. Nothing here knows more than the bars it was given.

Bars follow the sessions. Inside a session they are counted from its open (an hour of New York is 09:30 to 10:30), and
the last one may be shorter. A day is one session; weeks and months are the sessions whose dates lie in them. A market
that never closes has one session a UTC day.
"""

from __future__ import annotations

from array import array
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from appliance.core.activities import price_after
from appliance.core.saving import CHUNK
from appliance.domain.market import (
    DAY,
    SECOND,
    AlwaysOpen,
    Bar,
    Session,
    Sessions,
    Split,
    timeframe_ns,
    timeframe_parts,
)
from appliance.errors import StrategyError

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

KEPT = 500
"""Bars a window keeps unless its author asks for more."""
KEPT_MAX = 100_000
_FIELDS = 5


def length_of(timeframe: str, asked: str) -> int:
    """Nominal length (ns) of a timeframe an author wrote in ``asked``. Raises StrategyError naming what is allowed."""
    try:
        return timeframe_ns(timeframe)
    except ValueError as error:
        raise StrategyError(f"{asked}: {error}", hint="for instance 5m, 1h or 1d") from None


class BarBuilder:
    """Bars of one symbol and ``timeframe``, built from smaller ones. ``sessions`` None: a market that never closes.

    A bar is told when a smaller bar reaches its end or, where that one is missing, before the first bar beyond it. It
    is stamped with its nominal start and end and holds what there was: a span without data gives no bar. Smaller bars
    outside the sessions belong to no bar; one that begins before the last one ended (a revision) is left out.
    """

    __slots__ = (
        "_bar", "_close", "_end", "_length", "_sessions", "_source", "_start", "_through", "_unit", "symbol",
        "timeframe",
    )  # fmt: skip

    def __init__(self, symbol: str, timeframe: str, sessions: Sessions | None = None) -> None:
        self._length = length_of(timeframe, f"bars of {symbol}")
        self._unit = timeframe_parts(timeframe)
        self._sessions = sessions if sessions else AlwaysOpen()
        self.symbol, self.timeframe = symbol, timeframe
        self._source = ""
        self._start = self._end = self._close = self._through = 0
        self._bar: list[float] | None = None

    @property
    def label(self) -> str:
        """What it builds, such as ``bars(SPY, 1h)``."""
        return f"bars({self.symbol}, {self.timeframe})"

    def add(self, bar: Bar) -> tuple[Bar, ...]:
        """Take the next smaller bar; the bars that are complete now, oldest first (usually none, at most two).

        Raises StrategyError for a bar that is not smaller, is of another timeframe than the ones before, or reaches
        over the end of the bar under way.
        """
        if bar.timeframe != self._source:
            self._take_source(bar)
        if bar.start < self._through:
            return ()
        done: tuple[Bar, ...] = ()
        if bar.start >= self._close:
            done = self._told() if bar.start >= self._end else ()
            if not self._enter(bar):
                return done
        if bar.end > self._close and timeframe_ns(bar.timeframe) < DAY:  # a day may be known after its close
            raise self._straddles(bar)
        self._merge(bar)
        self._through = bar.end
        return (*done, *self._told()) if bar.end >= self._end else done

    def rescale(self, split: Split) -> None:
        """A split: the bar under way goes on in new shares."""
        if self._bar is not None:
            _rescale(self._bar, split)

    def snapshot(self) -> dict[str, Any]:
        """Plain data from which ``restore`` goes on with the same bits."""
        return {
            "source": self._source,
            "span": [self._start, self._end, self._close],
            "through": self._through,
            "bar": None if self._bar is None else list(self._bar),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot of a builder of the same symbol and timeframe."""
        self._source = data["source"]
        self._start, self._end, self._close = data["span"]
        self._through = data["through"]
        self._bar = None if data["bar"] is None else [float(number) for number in data["bar"]]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _take_source(self, bar: Bar) -> None:
        if self._source:
            raise StrategyError(
                f"{self.label} are built from {self._source} bars; now a {bar.timeframe} bar of {self.symbol} came",
                hint="give one timeframe of each symbol as data",
            )
        if length_of(bar.timeframe, f"a bar of {bar.symbol}") >= self._length:
            raise StrategyError(
                f"{self.label} cannot be built from {bar.timeframe} bars",
                hint=f"use {bar.timeframe} bars as they come, ask for longer ones, or give smaller ones as data",
            )
        self._source = bar.timeframe

    def _enter(self, bar: Bar) -> bool:
        """Find the session of a bar, and its span if the last one is over; False when the market is closed then."""
        session = self._sessions.at(bar.start)
        if session is None:
            self._check_outside(bar)
            return False
        if bar.start >= self._end:
            self._start, self._end = self._span(bar.start, session)
        self._close = min(self._end, session.close)
        return True

    def _check_outside(self, bar: Bar) -> None:
        """A bar outside is left out whole; one that reaches into a session, or is of a whole day, cannot be placed."""
        coming = self._sessions.coming(bar.start)
        if (coming is not None and bar.end > coming.open) or timeframe_ns(bar.timeframe) >= DAY:
            raise self._straddles(bar)

    def _straddles(self, bar: Bar) -> StrategyError:
        return StrategyError(
            f"{self.label}: the {bar.timeframe} bar from {_text(bar.start)} to {_text(bar.end)} UTC lies across an "
            "edge of one, or of a session",
            hint="use smaller bars as data, or a length that a whole number of them fills from the session's open",
        )

    def _span(self, time: int, session: Session) -> tuple[int, int]:
        """Start and end of the bar that ``time`` in ``session`` belongs to. A bar of days begins with the open of the
        first and ends with the close of the last session that share it."""
        if self._length < DAY:
            start = time - (time - session.open) % self._length
            return start, min(start + self._length, session.close)
        key, first, last = self._group(session), session, session
        while (before := self._sessions.previous(first.open)) is not None and self._group(before) == key:
            first = before
        while (after := self._sessions.coming(last.close)) is not None and self._group(after) == key:
            last = after
        return first.open, last.close

    def _group(self, session: Session) -> int:
        """What the sessions of one bar have in common. Days are counted as sessions of the table."""
        count, unit = self._unit
        day = date.fromisoformat(session.date)
        if unit == "d":
            return self._sessions.number(session) // count
        if unit == "w":
            return (day.toordinal() - 1) // 7 // count
        return (day.year * 12 + day.month - 1) // count

    def _merge(self, bar: Bar) -> None:
        under_way = self._bar
        if under_way is None:
            self._bar = [bar.open, bar.high, bar.low, bar.close, bar.volume]
            return
        if bar.high > under_way[1]:
            under_way[1] = bar.high
        if bar.low < under_way[2]:
            under_way[2] = bar.low
        under_way[3] = bar.close
        under_way[4] += bar.volume

    def _told(self) -> tuple[Bar, ...]:
        """The bar under way, ended. One made of daily bars ends when the last of them was known, if that was later."""
        if self._bar is None:
            return ()
        (opened, high, low, close, volume), self._bar = self._bar, None
        end = max(self._end, self._through)
        return (Bar(self.symbol, self.timeframe, self._start, end, opened, high, low, close, volume),)


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

    __slots__ = ("_chunks", "_count", "_ends", "_flat", "limit")

    def __init__(self, limit: int = KEPT) -> None:
        """Raises StrategyError unless ``limit`` is 1 to ``KEPT_MAX`` bars."""
        self.limit = _checked(limit, KEPT_MAX, "")
        self._ends = array("q")
        self._flat = array("d")
        self._count = 0
        self._chunks: dict[str, list[list[float]]] = {}

    def __len__(self) -> int:
        return min(len(self._ends), self.limit)

    def grow(self, limit: int) -> None:
        """Keep ``limit`` bars from now on, if it kept fewer. Raises StrategyError unless it is 1 to ``KEPT_MAX``."""
        self.limit = max(self.limit, _checked(limit, KEPT_MAX, ""))

    def append(self, bar: Bar) -> None:
        """Take the next bar."""
        self._ends.append(bar.end)
        self._flat.extend((bar.open, bar.high, bar.low, bar.close, bar.volume))
        self._count += 1
        if len(self._ends) >= 2 * (self.limit + CHUNK):
            self._trim()

    def rescale(self, split: Split) -> None:
        """A split: the kept bars in prices and volumes of new shares."""
        self._chunks = {}
        _rescale(self._flat, split)

    def last(self, count: int) -> Bars:
        """The last ``count`` bars, or as many as there have been. Raises StrategyError for more than ``limit``."""
        import numpy  # here: a host whose strategies ask for no arrays saves 20 MB

        count = min(_checked(count, self.limit, " as many as are kept; ask for more in on_start"), len(self._ends))
        begin = len(self._ends) - count
        ends = numpy.array(self._ends[begin:], dtype=numpy.int64)
        rows = numpy.array(self._flat[begin * _FIELDS :], dtype=numpy.float64).reshape(count, _FIELDS)
        columns = [rows[:, index].copy() for index in range(_FIELDS)]
        for one in (ends, *columns):
            one.flags.writeable = False
        return Bars(ends, *columns)

    def snapshot(self) -> dict[str, Any]:
        """Plain data from which ``restore`` goes on with the same bits: ``count`` bars so far, and the kept ones in
        ``chunks`` by number. A chunk that is full is the same object each time, and never changes."""
        kept = range(self._first() // CHUNK, -(-self._count // CHUNK))
        self._chunks = {str(number): self._chunk(number) for number in kept}
        return {"count": self._count, "chunks": dict(self._chunks)}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot; of a longer window, what fits."""
        rows = [row for number in sorted(data["chunks"], key=int) for row in data["chunks"][number]]
        self._count = data["count"]
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
            del self._flat[: more * _FIELDS]

    def _chunk(self, number: int) -> list[list[float]]:
        """Rows of one chunk: end (ns), open, high, low, close, volume."""
        found = self._chunks.get(str(number))
        if found is not None and len(found) == CHUNK:
            return found
        begin = number * CHUNK - (self._count - len(self._ends))
        end = min(begin + CHUNK, len(self._ends))
        return [[self._ends[at], *self._flat[at * _FIELDS : (at + 1) * _FIELDS]] for at in range(begin, end)]


def _rescale(numbers: list[float] | array[float], split: Split) -> None:
    """Rows of open, high, low, close and volume, in place."""
    for at, number in enumerate(numbers):
        numbers[at] = number * split.new / split.old if at % _FIELDS == 4 else price_after(number, split)


def _text(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _checked(count: int, most: int, why: str) -> int:
    if type(count) is not int or not 1 <= count <= most:
        raise StrategyError(f"{count!r} bars: must be a whole number, 1 to {most}{why}")
    return count
