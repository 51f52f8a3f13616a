"""Which span of time a bar of a timeframe covers: bars follow the sessions.

Inside a session they are counted from its open (an hour of New York is 09:30 to 10:30), and the last one may be
shorter. A day is one session; weeks and months are the sessions whose dates lie in them. A market that never closes has
one session a UTC day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from appliance.domain.market import DAY, AlwaysOpen, Session, Sessions, timeframe_ns, timeframe_parts


class Span(NamedTuple):
    """A bar's nominal ``start`` and ``end``, and the ``close`` of the session in it that was asked about (ns UTC);
    after it, up to the end, the market is closed, or another session of the same bar."""

    start: int
    end: int
    close: int


class Grid:
    """The spans of one timeframe. ``sessions`` None: a market that never closes. Raises ValueError for what is no
    timeframe."""

    __slots__ = ("_length", "_sessions", "_unit")

    def __init__(self, timeframe: str, sessions: Sessions | None = None) -> None:
        self._length = timeframe_ns(timeframe)
        self._unit = timeframe_parts(timeframe)
        self._sessions = sessions if sessions else AlwaysOpen()

    def at(self, time: int) -> Span | None:
        """The span that ``time`` (ns UTC) belongs to; None when the market is closed then."""
        session = self._sessions.at(time)
        if session is None:
            return None
        start, end = self._span(time, session)
        return Span(start, end, min(end, session.close))

    def next_open(self, time: int) -> int | None:
        """When the market is open next, from ``time`` on (ns UTC); None beyond the table."""
        coming = self._sessions.coming(time)
        return None if coming is None else max(time, coming.open)

    def _span(self, time: int, session: Session) -> tuple[int, int]:
        """A bar of days begins with the open of the first and ends with the close of the last session that share it."""
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


def stretches(sessions: Sessions, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of ``[start, end)`` (ns UTC) in which the market is open."""
    session = sessions.coming(start) if start < end else None
    while session is not None and session.open < end:
        yield max(start, session.open), min(end, session.close)
        session = sessions.coming(session.close)


def bars_between(sessions: Sessions, timeframe: str, last: int, until: int) -> Iterator[tuple[int, int]]:
    """The bars that fit between one that ended at ``last`` and one that begins at ``until`` (ns UTC). Raises ValueError
    for weeks and months."""
    unit, length = timeframe_parts(timeframe)[1], timeframe_ns(timeframe)
    if unit in ("w", "mo"):
        raise ValueError(f"bars of {timeframe} are not filled: fill days, and build from them")
    for start, stop in stretches(sessions, last, until):
        if length == DAY:
            session = sessions.at(start)
            if session is not None and start == session.open and stop == session.close:
                yield start, stop
            continue
        for begin in range(start, stop, length):
            yield begin, min(begin + length, stop)
