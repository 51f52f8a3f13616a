"""From stamps to spans of time: when rows are known, which dates were chosen, what lies inside the sessions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from appliance.data.layout import Kind
from appliance.data.options import FileOptions, new_york_date
from appliance.data.rows import Floats, Times, stamps_of
from appliance.domain.market import DAY, HOUR, SECOND, Session, Sessions
from appliance.errors import DataError

_HOLIDAYS = 7 * DAY
"""An exchange may be closed that long; data further outside the table means that the table is too short."""
Right = npt.NDArray[np.bool_]
_NOTHING: Times = np.empty(0, dtype=np.int64)


class Block(NamedTuple):
    """Rows in order of time: when each is ``known``, when its bar ``starts`` (ns UTC), and its ``numbers``, a row each;
    ``outside`` are the times of rows that were dropped because the market was closed."""

    known: Times
    starts: Times
    numbers: Floats
    outside: Times

    @classmethod
    def all_of(cls, known: Times, starts: Times, numbers: Floats) -> Block:
        """A block of which nothing was dropped."""
        return cls(known, starts, numbers, _NOTHING)

    def those(self, kept: Right) -> Block:
        """The rows that are ``kept``; the others are not told of."""
        return Block(self.known[kept], self.starts[kept], self.numbers[kept], self.outside)


class Placing:
    """How the rows of all files of a source are placed in time."""

    def __init__(self, options: FileOptions) -> None:
        self.options = options
        self._first, self._last = options.span
        self._dated = bool(options.start or options.end)
        chosen = options.sessions if options.session == "regular" else None
        self._sessions: tuple[Session, ...] = tuple(chosen) if chosen is not None else ()
        self._opens = np.array([session.open for session in self._sessions], dtype=np.int64)
        self._closes = np.array([session.close for session in self._sessions], dtype=np.int64)
        self._by_date: dict[str, Session] = {}

    @property
    def gaps_in(self) -> Sessions | None:
        """Where bars may be missing; None: nobody can say."""
        options = self.options
        return options.sessions if options.session == "regular" and options.sessions else None

    def of_dates(self, rows: Floats, kind: Kind, length: int) -> Block:
        """Packed rows of the chosen dates. A bar that ends at midnight is the day before's."""
        stamps = stamps_of(rows)
        known = stamps + length if kind.is_bar and self.options.bar_stamp == "start" else stamps.copy()
        starts = known - length if kind.is_bar else known
        block = Block.all_of(known, starts, rows[:, 1:])
        if not self._dated:
            return block
        if kind.is_bar:
            return block.those((known > self._first) & (known <= self._last))
        return block.those((known >= self._first) & (known < self._last))

    def in_sessions(self, block: Block, kind: Kind, length: int, following: int) -> Block:
        """What of it lies inside sessions; ``following`` is the start of the row after the block, if there is one."""
        if not self._sessions or not len(block.known):  # a table without rows is that of a market that never closes
            return block
        if length == DAY:
            return self._days(block)
        return self._inside(block, kind, length, following)

    def check_covered(self, symbol: str, start: int, known: int) -> None:
        """Raise DataError when data from ``start`` to ``known`` lie outside the table of sessions: nobody knows whether
        the market was open."""
        sessions = self._sessions
        if not sessions or (start >= sessions[0].open - _HOLIDAYS and known <= sessions[-1].close + _HOLIDAYS):
            return
        mine = f"{new_york_date(start)} to {new_york_date(known)}"
        raise DataError(
            f"{symbol}: data from {mine}, sessions only from {sessions[0].date} to {sessions[-1].date}",
            hint="choose dates inside the table with start and end, or use session all",
        )

    def _inside(self, block: Block, kind: Kind, length: int, following: int) -> Block:
        """An hour that begins before the open is cut there: it holds no earlier trade in files of regular hours, which
        stamp hours on the clock."""
        known, starts = block.known, block.starts
        after = np.searchsorted(self._opens, starts, side="right")
        closes = np.concatenate((np.zeros(1, dtype=np.int64), self._closes))[after]
        inside = known <= closes if kind.is_bar else known < closes
        if length == HOUR:
            cut = self._across_open(starts, known, following)
            opens = np.append(self._opens, 0)[after]
            starts = np.where(cut, opens, starts)
            inside |= cut & (known <= np.append(self._closes, 0)[after])
        outside = known[~inside]
        return Block(known[inside], starts[inside], block.numbers[inside], outside)

    def _across_open(self, starts: Times, known: Times, following: int) -> Right:
        """Bars that begin before an open and end after it, the last of each open."""
        first = np.append(self._opens, 2**63 - 1)
        ahead = first[np.searchsorted(self._opens, starts, side="right")]
        next_starts = np.append(starts[1:], following or 2**63 - 1)
        return (ahead < known) & (next_starts >= ahead)

    def _days(self, block: Block) -> Block:
        """Days with a session. A day begins at its open; it is known at its close, or later if the file's stamp says so
        (files put 16:00 on early closes too)."""
        at_start = self.options.bar_stamp == "start"
        self._by_date = self._by_date or {session.date: session for session in self._sessions}
        known, starts = block.known.copy(), block.starts.copy()
        inside = np.zeros(len(known), dtype=np.bool_)
        for row, (start, end) in enumerate(zip(starts.tolist(), known.tolist(), strict=True)):
            session = self._by_date.get(_day_of(start) if at_start else new_york_date(end - 1))
            if session is not None:
                inside[row] = True
                starts[row] = session.open
                known[row] = session.close if at_start else max(end, session.close)
        return Block(known[inside], starts[inside], block.numbers[inside], known[~inside])


def lost(sessions: Sessions, end: int, start: int, length: int) -> int:
    """How many bars of ``length`` ns fit into the sessions between two times."""
    found = 0
    at = sessions.next_open(end) if sessions.at(end) is None else end
    while at is not None and at < start and (session := sessions.at(at)) is not None:
        found += 1 if length == DAY else (min(session.close, start) - at) // length
        at = sessions.next_open(at)
    return found


def _day_of(start: int) -> str:
    """The day a daily bar stamped with its start is of: a UTC midnight names the UTC date, others New York's."""
    return datetime.fromtimestamp(start // SECOND, UTC).date().isoformat() if start % DAY == 0 else new_york_date(start)
