"""Rows become market events: spans of time, sessions, dates, gaps. A track is one symbol of one file, ready to play."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from appliance.data.layout import BARS, OPENS, QUOTE_BARS, QUOTES, TRADES, Kind
from appliance.data.load import Series
from appliance.data.options import FileOptions, new_york_date
from appliance.domain.market import (
    DAY,
    HOUR,
    SECOND,
    TIMEFRAMES,
    Bar,
    MarketEvent,
    Quote,
    QuoteBar,
    Session,
    Sessions,
    Trade,
)
from appliance.errors import DataError

GAPS_SHOWN = 5
_EVENTS: dict[str, Callable[..., MarketEvent]] = {
    QUOTE_BARS.name: QuoteBar,
    QUOTES.name: Quote,
    TRADES.name: Trade,
    BARS.name: Bar,
    OPENS.name: Trade,
}
_HOLIDAYS = 7 * DAY
"""An exchange may be closed that long; data further outside the table means that the table is too short."""


class Gap(Struct, frozen=True):
    """Bars that are missing inside sessions: ``missing`` of them in ``[start, end)`` (ns UTC)."""

    symbol: str
    start: int
    end: int
    missing: int

    def __str__(self) -> str:
        at = datetime.fromtimestamp(self.start // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{self.symbol}: {self.missing} missing from {at}"


class Track:
    """Events of one symbol, kind and file in time order; numbers lie in arrays, events are built when asked for.

    ``known`` is when each can be known, ``starts`` when each bar begins (ns UTC), ``outside`` the times of rows that
    were dropped because the market was closed.
    """

    __slots__ = ("flat", "kind", "known", "outside", "starts", "symbol", "timeframe", "width")

    def __init__(self, series: Series, kind: Kind, width: int, timeframe: str, options: FileOptions) -> None:
        self.symbol, self.kind, self.timeframe, self.width = series.symbol, kind, timeframe, width
        self.flat = series.flat
        self.outside = array("q")
        length = TIMEFRAMES.get(timeframe, 0)
        at_start = kind.is_bar and options.bar_stamp == "start"
        self.known = array("q", (stamp + length for stamp in series.stamps)) if at_start else series.stamps
        self.starts = self.known if not kind.is_bar else array("q", (known - length for known in self.known))
        self._place(options, length)

    def __len__(self) -> int:
        return len(self.known)

    def event(self, row: int) -> MarketEvent:
        """The event of one row."""
        numbers = self.flat[row * self.width : (row + 1) * self.width]
        make = _EVENTS[self.kind.name]
        if self.kind.is_bar:
            return make(self.symbol, self.timeframe, self.starts[row], self.known[row], *numbers)
        return make(self.symbol, self.known[row], *numbers)

    def _place(self, options: FileOptions, length: int) -> None:
        """Keep the chosen dates, then what lies inside the sessions."""
        first, last = options.span
        near = bisect_left if not self.kind.is_bar else bisect_right  # a bar that ends at midnight is the day before's
        if options.start or options.end:
            self._keep([(near(self.known, first), near(self.known, last))])
        if options.session == "all" or options.sessions is None or not len(self):
            return
        sessions = tuple(options.sessions)
        if not sessions:  # a table without rows is that of a market that never closes
            return
        _covered(self, sessions)
        kept = self._daily(options, sessions) if length == DAY else self._inside(sessions, length)
        self.outside = self._keep(kept)

    def _inside(self, sessions: tuple[Session, ...], length: int) -> list[tuple[int, int]]:
        """Ranges of rows inside sessions. An hour that begins before the open is cut there: it holds no earlier trade
        in files of regular hours, which stamp hours on the clock."""
        ranges = []
        for session in sessions:
            if session.close <= self.starts[0]:
                continue
            if session.open >= self.known[-1]:
                break
            begin = bisect_left(self.starts, session.open)
            if length == HOUR and begin and self.starts[begin - 1] < session.open < self.known[begin - 1]:
                begin -= 1
                self.starts[begin] = session.open
            end = (bisect_right if self.kind.is_bar else bisect_left)(self.known, session.close)
            if begin < end:
                ranges.append((begin, end))
        return ranges

    def _daily(self, options: FileOptions, sessions: tuple[Session, ...]) -> list[tuple[int, int]]:
        """Ranges of days with a session. A day begins at its open; it is known at its close, or later if the file's
        stamp says so (files put 16:00 on early closes too)."""
        by_date = {session.date: session for session in sessions}
        kept = []
        for row, (start, known) in enumerate(zip(self.starts, self.known, strict=True)):
            session = by_date.get(_day_of(start) if options.bar_stamp == "start" else new_york_date(known - 1))
            if session is not None:
                kept.append((row, row + 1))
                self.starts[row] = session.open
                self.known[row] = session.close if options.bar_stamp == "start" else max(known, session.close)
        return kept

    def _keep(self, ranges: list[tuple[int, int]]) -> array[int]:
        """Keep these ranges of rows; returns when the others were known."""
        known, starts, flat, dropped = array("q"), array("q"), array("d"), array("q")
        at = 0
        for begin, end in ranges:
            dropped.extend(self.known[at:begin])
            known.extend(self.known[begin:end])
            starts.extend(self.starts[begin:end])
            flat.extend(self.flat[begin * self.width : end * self.width])
            at = end
        dropped.extend(self.known[at:])
        self.known, self.flat = known, flat
        self.starts = starts if self.kind.is_bar else known
        return dropped

    def gaps(self, options: FileOptions) -> tuple[int, list[Gap]]:
        """How many bars are missing inside regular sessions between the first and the last, and the first gaps."""
        found: list[Gap] = []
        missing = 0
        if not self.kind.is_bar or options.session != "regular" or not options.sessions:
            return 0, found
        length = TIMEFRAMES[self.timeframe]
        for row in range(1, len(self)):
            end, start = self.known[row - 1], self.starts[row]
            if start > end and (lost := _lost(options.sessions, end, start, length)):
                missing += lost
                if len(found) < GAPS_SHOWN:
                    found.append(Gap(self.symbol, end, start, lost))
        return missing, found


def opens_of(track: Track) -> Track:
    """The open of each bar of a track, as a trade of no shares at the bar's start."""
    series = Series(track.symbol)
    series.stamps = array("q", track.starts)
    for opened in track.flat[:: track.width]:
        series.flat.extend((opened, 0.0))
    return Track(series, OPENS, 2, "", FileOptions(session="all"))


def _lost(sessions: Sessions, end: int, start: int, length: int) -> int:
    """How many bars of ``length`` ns fit into the sessions between two times."""
    lost = 0
    at = sessions.next_open(end) if sessions.at(end) is None else end
    while at is not None and at < start and (session := sessions.at(at)) is not None:
        lost += 1 if length == DAY else (min(session.close, start) - at) // length
        at = sessions.next_open(at)
    return lost


def _covered(track: Track, sessions: tuple[Session, ...]) -> None:
    """Raise DataError when the data lies outside the table of sessions: nobody knows whether the market was open."""
    if track.starts[0] < sessions[0].open - _HOLIDAYS or track.known[-1] > sessions[-1].close + _HOLIDAYS:
        mine = f"{new_york_date(track.starts[0])} to {new_york_date(track.known[-1])}"
        raise DataError(
            f"{track.symbol}: data from {mine}, sessions only from {sessions[0].date} to {sessions[-1].date}",
            hint="choose dates inside the table with start and end, or use session all",
        )


def _day_of(start: int) -> str:
    """The day a daily bar stamped with its start is of: a UTC midnight names the UTC date, others New York's."""
    return datetime.fromtimestamp(start // SECOND, UTC).date().isoformat() if start % DAY == 0 else new_york_date(start)
