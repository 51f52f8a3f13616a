"""Bars of one symbol from what is told live: trades, or smaller bars. Late ones revise, time closes. Pure; ns UTC.

A bar is told once: when a smaller bar reaches its end, with the first trade or smaller bar beyond it, or when it has
been over for ``grace`` by the clock, and for as long as the source lately took to tell anything (delayed data). What
comes for it later, but within ``late``, makes a revision of it; later still, it is counted. A span in which nothing was
traded has no bar, and neither has one that was not heard from its beginning (``begin``): it would pass for whole.
Trades and smaller bars outside the sessions belong to no bar.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import isfinite
from typing import Generic, Protocol, TypeVar

from appliance.core.building import merge, row_of
from appliance.core.spans import Grid, Span
from appliance.domain.market import SECOND, Bar, Sessions, Trade

GRACE = 2 * SECOND
"""How long after its end a bar waits for what belongs to it."""
LATE = 120 * SECOND
"""How long after its end a bar may be revised."""
AHEAD = 60 * SECOND
"""What is of a later time than this after it came has a wrong clock: it may not end the bars before it."""
COUNTS = ("told", "revised", "late", "partial", "outside", "unusable")

Piece = TypeVar("Piece", bound=Bar | Trade)
Piece_contra = TypeVar("Piece_contra", contravariant=True)


class Sum(Protocol[Piece_contra]):
    """What the pieces of one span amount to."""

    def add(self, piece: Piece_contra) -> bool | None:
        """Take a piece; whether it changed the sum, None: it is too late to be taken."""

    def row(self) -> list[float]:
        """Open, high, low, close and volume so far."""


class Forming(Generic[Piece]):
    """A bar that is built: ``revision`` is None until it has been told."""

    __slots__ = ("revision", "span", "total")

    def __init__(self, span: Span, total: Sum[Piece]) -> None:
        self.span, self.total = span, total
        self.revision: int | None = None


class Building(ABC, Generic[Piece]):
    """Bars of ``symbol`` and ``timeframe`` that name ``source``. ``counts`` says what became of the pieces: bars
    ``told`` and ``revised``; pieces too ``late``, of a ``partial`` bar, ``outside`` the sessions, or ``unusable``."""

    def __init__(
        self, symbol: str, timeframe: str, sessions: Sessions | None = None, source: str = "",
        grace: int = GRACE, late: int = LATE,
    ) -> None:  # fmt: skip
        """Raises ValueError for what is no timeframe."""
        self.symbol, self.timeframe, self.source = symbol, timeframe, source
        self.counts = dict.fromkeys(COUNTS, 0)
        self._grid = Grid(timeframe, sessions)
        self._grace, self._late = grace, late
        self._forming: dict[int, Forming[Piece]] = {}
        self._span: Span | None = None
        self._whole = self._over = self._newest = self._heard = self._behind = 0

    def begin(self, time: int) -> None:
        """All is heard from ``time`` on, and nothing may be known before: bars under way are given up."""
        self._whole = max(self._whole, time)
        for start in [start for start, one in self._forming.items() if one.revision is None and start < self._whole]:
            del self._forming[start]

    def add(self, piece: Piece) -> tuple[Bar, ...]:
        """Take what was told; the bars that are complete or revised now, in order of end."""
        start, end = self._times(piece)
        if piece.received and end > piece.received + AHEAD:
            self.counts["unusable"] += 1
            return ()
        span = self._at(start)
        if span is None:
            self.counts["outside"] += 1
            return ()
        if end >= self._heard:
            self._heard, self._behind = end, max(0, piece.received - end) if piece.received else 0
        self._newest = max(self._newest, end)
        told = self._close(span.start, piece.received)
        if end > span.close or not self._usable(piece):
            self.counts["unusable"] += 1
            self._spoil(span)
        elif span.start < self._whole and span.start not in self._forming:
            self.counts["partial"] += 1
        else:
            told += self._take(span, piece)
            if end >= span.end:
                told += self._close(span.end, piece.received)
        return tuple(told)

    def tick(self, now: int) -> tuple[Bar, ...]:
        """Time goes on: the bars that are over for longer than ``grace``, and than the source lately took to tell."""
        if not self._heard:
            return ()
        until = now - self._grace - self._behind
        self._newest = max(self._newest, until)
        return tuple(self._close(until, now))

    def deadline(self) -> int | None:
        """When ``tick`` has a bar to tell, or None."""
        ends = (one.span.end for one in self._forming.values() if one.revision is None)
        return min((end + self._grace + self._behind for end in ends), default=None)

    # -- inside -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def _times(self, piece: Piece) -> tuple[int, int]:
        """When a piece begins and when it is over; a trade is over at once, and reaches no end."""

    @abstractmethod
    def _usable(self, piece: Piece) -> bool:
        """Whether its prices are some."""

    @abstractmethod
    def _sum(self) -> Sum[Piece]:
        """The sum of nothing."""

    @abstractmethod
    def _spoil(self, span: Span) -> None:
        """A piece of a span was left out."""

    def _at(self, time: int) -> Span | None:
        span = self._span
        if span is None or not span.start <= time < span.close:
            self._span = span = self._grid.at(time)
        return span

    def _take(self, span: Span, piece: Piece) -> list[Bar]:
        if self._newest - span.end > self._late:
            self.counts["late"] += 1
            return []
        one = self._forming.setdefault(span.start, Forming(span, self._sum()))
        changed = one.total.add(piece)
        if changed is None:
            self.counts["late"] += 1
        elif changed and span.end <= self._over:
            self.counts["revised"] += 1
            one.revision = (one.revision or 0) + 1
            return [self._bar(one, one.revision, piece.received)]
        return []

    def _close(self, until: int, received: int) -> list[Bar]:
        """Bars that end at or before ``until`` are over; those that cannot be revised any more are forgotten."""
        if until <= self._over:
            return []
        self._over = until
        told = []
        for start in sorted(self._forming):
            one = self._forming[start]
            if one.revision is None and one.span.end <= until:
                one.revision = 0
                self.counts["told"] += 1
                told.append(self._bar(one, 0, received))
            if one.span.end < self._newest - self._late:
                del self._forming[start]
        return told

    def _bar(self, one: Forming[Piece], revision: int, received: int) -> Bar:
        opened, high, low, close, volume = one.total.row()
        return Bar(
            self.symbol, self.timeframe, one.span.start, one.span.end, opened, high, low, close, volume,
            self.source, received, revision,
        )  # fmt: skip


class TradeBars(Building[Trade]):
    """Bars from trades, in any order: the open is the earliest trade's price and the close the latest one's; of trades
    of one time the first told opens and the last told closes. Which trades count (odd lots, conditions) is the
    source's to say; one without a price or a size is left out."""

    def _times(self, piece: Trade) -> tuple[int, int]:
        return piece.time, piece.time

    def _usable(self, piece: Trade) -> bool:
        return all(isfinite(number) and number > 0 for number in (piece.price, piece.size))

    def _sum(self) -> Sum[Trade]:
        return _Trades()

    def _spoil(self, span: Span) -> None:
        """A trade without a price is none."""


class _Trades:
    """The sum of trades; O(1) in memory."""

    __slots__ = ("_first", "_last", "_row")

    def __init__(self) -> None:
        self._first = self._last = 0
        self._row: list[float] = []

    def add(self, piece: Trade) -> bool:
        row, price = self._row, piece.price
        if not row:
            self._first = self._last = piece.time
            self._row = [price, price, price, price, piece.size]
            return True
        if piece.time < self._first:
            self._first, row[0] = piece.time, price
        if price > row[1]:
            row[1] = price
        if price < row[2]:
            row[2] = price
        if piece.time >= self._last:
            self._last, row[3] = piece.time, price
        row[4] += piece.size
        return True

    def row(self) -> list[float]:
        return self._row


class PartBars(Building[Bar]):
    """Bars from smaller ones of one timeframe, in any order; a revised one takes the place of what it revises. A
    smaller bar that is not there was not traded. One that cannot be used (no prices, or across an edge) takes the bar
    that it belongs to with it."""

    def _times(self, piece: Bar) -> tuple[int, int]:
        return piece.start, piece.end

    def _usable(self, piece: Bar) -> bool:
        prices = piece.open, piece.high, piece.low, piece.close
        return all(isfinite(price) and price > 0 for price in prices) and 0 <= piece.volume < float("inf")

    def _sum(self) -> Sum[Bar]:
        return _Parts(self._late)

    def _spoil(self, span: Span) -> None:
        if span.end > self._over:
            self.begin(span.start + 1)


class _Parts:
    """The sum of smaller bars. Those that nothing can revise any more are kept as their sum only, so that a day of
    seconds does not take the memory of all of them."""

    __slots__ = ("_base", "_late", "_newest", "_parts", "_through")

    def __init__(self, late: int) -> None:
        self._late, self._through, self._newest = late, 0, 0
        self._base: list[float] = []
        self._parts: dict[int, Bar] = {}

    def add(self, piece: Bar) -> bool | None:
        if piece.start < self._through:
            return None
        before = self._parts.get(piece.start)
        if before is not None and row_of(before) == row_of(piece):
            return False
        self._parts[piece.start] = piece
        self._newest = max(self._newest, piece.end)
        if next(iter(self._parts)) <= self._newest - 2 * self._late:
            self._settle(self._newest - self._late)
        return True

    def _settle(self, settled: int) -> None:
        for start in sorted(start for start, part in self._parts.items() if part.end <= settled):
            part = self._parts.pop(start)
            self._base = _joined(self._base, part)
            self._through = part.end

    def row(self) -> list[float]:
        row = list(self._base)
        for start in sorted(self._parts):
            row = _joined(row, self._parts[start])
        return row


def _joined(row: list[float], part: Bar) -> list[float]:
    if not row:
        return row_of(part)
    merge(row, part)
    return row
