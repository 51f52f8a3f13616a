"""Rows become market events: a track is one symbol of one file, ready to play, read and built a block at a time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import repeat
from typing import Any, Protocol

import numpy as np
from msgspec import Struct

from appliance.data.layout import BARS, OPENS, QUOTE_BARS, QUOTES, TRADES, Kind
from appliance.data.placing import Block, Placing, lost
from appliance.data.reading import Series
from appliance.data.rows import Floats, Times, stamps_of
from appliance.domain.market import RECORDED, SECOND, Bar, MarketEvent, Quote, QuoteBar, Sessions, Trade

GAPS_SHOWN = 5
BLOCK = 4_096
"""Rows that are read and placed at a time."""
_RECENT = 3
"""Blocks a track keeps: the one that is built, and those still asked about."""
_EVENTS: dict[str, Callable[..., MarketEvent]] = {
    QUOTE_BARS.name: QuoteBar,
    QUOTES.name: Quote,
    TRADES.name: Trade,
    BARS.name: Bar,
    OPENS.name: Trade,
}


class Gap(Struct, frozen=True):
    """Bars that are missing inside sessions: ``missing`` of them in ``[start, end)`` (ns UTC)."""

    symbol: str
    start: int
    end: int
    missing: int

    def __str__(self) -> str:
        at = datetime.fromtimestamp(self.start // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{self.symbol}: {self.missing} missing from {at}"


class Adjusting(Protocol):
    """What changes the numbers of a symbol after the fact: splits and dividends."""

    def __call__(self, known: Times, numbers: Floats) -> Floats:
        """The numbers of rows that are ``known`` at these times, as they are to be."""


class Marks:
    """Times that lie in blocks, in order: how many there are until when."""

    __slots__ = ("_begins", "_blocks", "_lasts", "_of", "count")

    def __init__(self, of: Callable[[int], Times]) -> None:
        self.count = 0
        self._of = of
        self._blocks: list[int] = []
        self._begins: list[int] = []
        self._lasts: list[int] = []

    def add(self, block: int, times: Times) -> None:
        """Take the times of the next block."""
        if len(times):
            self._blocks.append(block)
            self._begins.append(self.count)
            self._lasts.append(int(times[-1]))
            self.count += len(times)

    def before(self, time: int) -> int:
        """How many lie before ``time``."""
        at = bisect_left(self._lasts, time)
        return self._within(at, time, "left") if at < len(self._lasts) else self.count

    def through(self, time: int) -> int:
        """How many lie at or before ``time``."""
        at = bisect_right(self._lasts, time)
        return self._within(at, time, "right") if at < len(self._lasts) else self.count

    def _within(self, at: int, time: int, side: Any) -> int:
        return self._begins[at] + int(np.searchsorted(self._of(self._blocks[at]), time, side))

    def place(self, number: int) -> tuple[int, int]:
        """In which block the time of this ``number`` lies, and where there."""
        at = bisect_right(self._begins, number) - 1
        return self._blocks[at], number - self._begins[at]

    def time(self, number: int) -> int:
        """The time of this ``number``."""
        block, row = self.place(number)
        return int(self._of(block)[row])


class Track:
    """Events of one symbol, kind and file in time order: blocks of rows, read, placed and adjusted when asked for."""

    __slots__ = (
        "_adjust",
        "_length",
        "_outside",
        "_placing",
        "_raw",
        "_recent",
        "_rows",
        "gaps",
        "kind",
        "missing",
        "symbol",
        "timeframe",
    )  # fmt: skip

    def __init__(
        self, series: Series, kind: Kind, timeframe: str, placing: Placing, adjust: Adjusting | None = None
    ) -> None:
        self.symbol, self.kind, self.timeframe = series.symbol, kind, timeframe
        self.missing = 0
        self.gaps: list[Gap] = []
        self._length = RECORDED.get(timeframe, 0)
        self._raw, self._placing, self._adjust = series.rows, placing, adjust
        self._recent: dict[int, Block] = {}
        self._rows = Marks(lambda number: self._block(number).known)
        self._outside = Marks(lambda number: self._block(number).outside)
        self._survey()

    def __len__(self) -> int:
        return self._rows.count

    def _survey(self) -> None:
        """Go through all rows once: how many of them there are, until when, and what is missing between them. Raises
        DataError when they lie outside the table of sessions."""
        first = last = end = 0
        for number in range(-(-self._raw.count // BLOCK)):
            dated, block = self._placed(number)
            if len(dated.known):
                first, last = first or int(dated.starts[0]), int(dated.known[-1])
            self._rows.add(number, block.known)
            self._outside.add(number, block.outside)
            if len(block.known):
                self._miss(block, end)
                end = int(block.known[-1])
        if first:
            self._placing.check_covered(self.symbol, first, last)

    def _placed(self, number: int) -> tuple[Block, Block]:
        """A block of the chosen dates, and what of it lies inside the sessions."""
        begin, end = number * BLOCK, (number + 1) * BLOCK
        rows = self._raw.read(begin, end + 1)
        dated = self._placing.of_dates(rows[:BLOCK], self.kind, self._length)
        following = int(stamps_of(rows)[BLOCK]) if len(rows) > BLOCK else 0
        if following and self._placing.options.bar_stamp != "start":
            following -= self._length
        return dated, self._placing.in_sessions(dated, self.kind, self._length, following)

    def _miss(self, block: Block, end: int) -> None:
        """Count what is missing in a block, and between it and ``end``, where the one before it has ended."""
        sessions = self._placing.gaps_in
        if not self.kind.is_bar or sessions is None:
            return
        ends = np.concatenate((np.array([end or int(block.starts[0])], dtype=np.int64), block.known[:-1]))
        for row in np.flatnonzero(block.starts > ends).tolist():
            self._miss_between(sessions, int(ends[row]), int(block.starts[row]))

    def _miss_between(self, sessions: Sessions, end: int, start: int) -> None:
        if missing := lost(sessions, end, start, self._length):
            self.missing += missing
            if len(self.gaps) < GAPS_SHOWN:
                self.gaps.append(Gap(self.symbol, end, start, missing))

    def _block(self, number: int) -> Block:
        found = self._recent.get(number)
        if found is None:
            found = self._made(number)
            if len(self._recent) >= _RECENT:
                del self._recent[next(iter(self._recent))]
            self._recent[number] = found
        return found

    def _made(self, number: int) -> Block:
        _, block = self._placed(number)
        if self._adjust is None:
            return block
        return block._replace(numbers=self._adjust(block.known, block.numbers))

    # --- what a source asks ---------------------------------------------------------------------------------------

    @property
    def first(self) -> int:
        """When the first event is known (ns UTC)."""
        return self._rows.time(0)

    @property
    def last(self) -> int:
        """When the last event is known (ns UTC)."""
        return self._rows.time(len(self) - 1)

    @property
    def outside(self) -> int:
        """Rows that were dropped because the market was closed."""
        return self._outside.count

    def outside_through(self, time: int) -> int:
        """How many of them were known at ``time`` (ns UTC)."""
        return self._outside.through(time) if self._outside.count else 0

    def before(self, time: int) -> int:
        """How many events are known before ``time`` (ns UTC)."""
        return self._rows.before(time)

    def through(self, time: int) -> int:
        """How many events are known at ``time`` (ns UTC)."""
        return self._rows.through(time)

    def time(self, row: int) -> int:
        """When the event of a row is known (ns UTC)."""
        return self._rows.time(row)

    def block(self, begin: int, end: int) -> Block:
        """The rows from ``begin`` up to, not including, ``end``, in one; at least one."""
        parts = self._blocks(begin, end)
        columns = zip(*parts, strict=True)
        return parts[0] if len(parts) == 1 else Block(*map(np.concatenate, columns))

    def known(self, begin: int, end: int) -> Times:
        """When the events of these rows are known (ns UTC)."""
        return self.block(begin, end).known

    def events(self, begin: int, end: int) -> list[MarketEvent]:
        """The events of the rows from ``begin`` up to, not including, ``end``."""
        return [event for block in self._blocks(begin, end) for event in self._events(block)]

    def _blocks(self, begin: int, end: int) -> list[Block]:
        found: list[Block] = []
        while begin < end:
            number, at = self._rows.place(begin)
            block = self._block(number)
            part = slice(at, at + end - begin)
            found.append(Block.all_of(block.known[part], block.starts[part], block.numbers[part]))
            begin += len(found[-1].known)
        return found

    def _events(self, block: Block) -> Sequence[MarketEvent]:
        make = _EVENTS[self.kind.name]
        known, columns = block.known.tolist(), block.numbers.T.tolist()
        if not self.kind.is_bar:
            return list(map(make, repeat(self.symbol), known, *columns))
        return list(map(make, repeat(self.symbol), repeat(self.timeframe), block.starts.tolist(), known, *columns))


class Opens(Track):
    """The open of each bar of a track, as a trade of no shares at the bar's start."""

    __slots__ = ("_of",)

    def __init__(self, of: Track) -> None:
        self._of = of
        super().__init__(Series(of.symbol, of._raw), OPENS, "", of._placing)

    def _survey(self) -> None:
        for number in range(-(-self._raw.count // BLOCK)):
            self._rows.add(number, self._made(number).known)

    def _made(self, number: int) -> Block:
        block = self._of._block(number)
        opens = np.stack((block.numbers[:, 0], np.zeros(len(block.known))), axis=1)
        return Block.all_of(block.starts, block.starts, opens)
