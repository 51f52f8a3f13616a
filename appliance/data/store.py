"""The history store: the box's own bars, splits and dividends, in one SQLite file that several processes read.

A bar is a row of its line (symbol and timeframe), found by its end; beside the bars the store keeps which spans a
source has told whole, so that a missing bar there is one that was not traded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from appliance.data import storing
from appliance.data.database import Database
from appliance.data.spans import Span, without
from appliance.domain.market import DAY, Bar, CorporateAction, timeframe_ns

PAGE = 10_000
"""Bars of one page."""
REMOVED_AT_ONCE = 1_000
"""Bars of each symbol that one transaction of ``tidy`` may remove."""
_FROM = f"SELECT {storing.COLUMNS} FROM bar JOIN source ON source.id = bar.source WHERE line = ?"
_BETWEEN = f"{_FROM} AND bar.end > ? AND bar.end <= ? AND bar.end - length >= ? ORDER BY bar.end LIMIT {PAGE}"
_BEFORE = f"{_FROM} AND bar.end <= ? ORDER BY bar.end DESC LIMIT ?"
_COVERED = "SELECT start, end FROM covered WHERE line = ? AND end > ? AND start < ?"
_ACTIONS = "SELECT body FROM action WHERE symbol = ? AND time >= ? AND time < ? ORDER BY time, kind, number"
_HOLDINGS = """
SELECT symbol, timeframe,
  (SELECT end - length FROM bar WHERE line = id ORDER BY end LIMIT 1),
  (SELECT end FROM bar WHERE line = id ORDER BY end DESC LIMIT 1), bars
FROM line WHERE bars > 0
"""


class StoreLimits(Struct, frozen=True):
    """How much is kept: ``size_mb`` million bytes of the file in all, and by timeframe how many ``days`` (0 or absent:
    for ever)."""

    size_mb: int = 2_048
    days: dict[str, int] = field(default_factory=lambda: {"1s": 30, "5s": 60, "10s": 60, "15s": 60, "30s": 90})


USUAL = StoreLimits()
"""Seconds for a month or two, minutes and longer for ever: five years of minutes of 20 symbols are some 800 MB."""


class Holding(Struct, frozen=True):
    """What there is of a symbol: from the start of the ``first`` bar to the end of the ``last`` one (ns UTC)."""

    symbol: str
    timeframe: str
    first: int
    last: int
    bars: int


class HistoryStore:
    """The store in the file at ``path``. Used by one thread at a time; while one process writes, others may read, and a
    second writer waits for the first one's transaction.

    A damaged file, or one that is no database, is put aside as ``.broken-N`` and begun anew by a writer; ``replaced``
    says so then. A reader (``read_only``) of an absent file sees an empty store, until there is one. Every method
    raises EnvironmentFault naming the file and what to do when it cannot be read or written.
    """

    def __init__(self, path: Path, read_only: bool = False, limits: StoreLimits = USUAL) -> None:
        self.path, self.limits = path, limits
        self._file = Database(path, storing.LAYOUT, read_only)

    @property
    def replaced(self) -> str:
        """What became of a file that was damaged; "": it was none."""
        return self._file.replaced

    @property
    def size(self) -> int:
        """Bytes in use."""
        return self._file.size()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    # --- bars -----------------------------------------------------------------------------------------------------

    def add(self, bars: Iterable[Bar]) -> int:
        """Keep bars, all of them or none; how many rows are new or changed. What is known already changes nothing: a
        bar is replaced by one of a higher revision, or of the same revision and source that was received no earlier and
        says something else. Raises DataError for a bar that is no span of time."""
        told = tuple(bars)
        return self._file.write(lambda connection: storing.add_bars(connection, told))

    def bars(self, symbol: str, timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        """Bars with ``start <= bar.start`` and ``bar.end <= end`` (ns UTC), by end, at most ``PAGE`` in a page."""
        after = start
        while page := self._page(symbol, timeframe, (after, end, start)):
            yield page
            after = page[-1].end

    def last(self, symbol: str, timeframe: str, until: int, count: int) -> tuple[Bar, ...]:
        """The last ``count`` bars that ended at or before ``until`` (ns UTC), oldest first."""
        found = self._rows(symbol, timeframe, _BEFORE, (until, max(count, 0)))
        return tuple(storing.bar_of(symbol, timeframe, row) for row in reversed(found))

    def holdings(self) -> tuple[Holding, ...]:
        """What there is, by symbol, then length of the bars."""
        found = [Holding(*row) for row in self._select(_HOLDINGS)]
        return tuple(sorted(found, key=lambda one: (one.symbol, timeframe_ns(one.timeframe))))

    # --- what is covered ------------------------------------------------------------------------------------------

    def cover(self, symbol: str, timeframe: str, start: int, end: int) -> None:
        """Note that a source has told all bars there are in ``[start, end)`` (ns UTC): what is not here was not
        traded."""

        def work(connection: sqlite3.Connection) -> None:
            storing.cover_span(connection, storing.make_line(connection, symbol, timeframe), start, end)

        self._file.write(work)

    def lacking(self, symbol: str, timeframe: str, start: int, end: int) -> tuple[Span, ...]:
        """The parts of ``[start, end)`` (ns UTC) that no source has told whole, in order."""
        spans: list[Span] = self._rows(symbol, timeframe, _COVERED, (start, end))
        return without(start, end, spans)

    # --- splits and dividends -------------------------------------------------------------------------------------

    def add_actions(self, actions: Iterable[CorporateAction]) -> int:
        """Keep splits and dividends, all or none; how many are new or changed. The actions of one symbol, time and kind
        that come together replace those that came before."""
        told = tuple(actions)
        return self._file.write(lambda connection: storing.add_actions(connection, told))

    def actions(self, symbols: Iterable[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        """Splits and dividends with an ex-date in ``[start, end)`` (ns UTC), by symbol, then time."""
        found = [row[0] for symbol in sorted(set(symbols)) for row in self._select(_ACTIONS, (symbol, start, end))]
        return tuple(map(storing.action_of, found))

    # --- keeping it small -----------------------------------------------------------------------------------------

    def tidy(self, now: int) -> int:
        """Remove what is too old at ``now`` (ns UTC), then the oldest bars of the shortest timeframe until the file is
        small enough, and give the space back. What was removed is no longer covered. How many bars were removed."""
        removed = sum(
            self._cut(timeframe, now - days * DAY) for timeframe, days in self.limits.days.items() if days > 0
        )
        while self._file.size() > self.limits.size_mb * 1_000_000 and (shortest := self._oldest()):
            timeframe, first = shortest
            removed += self._step(timeframe, first + REMOVED_AT_ONCE * timeframe_ns(timeframe))
        self._file.bare(storing.shrink)
        return removed

    def _cut(self, timeframe: str, until: int) -> int:
        """Remove the bars of a timeframe that ended at or before ``until``, some at a time."""
        removed = 0
        while (first := self._first(timeframe)) is not None and first <= until:
            removed += self._step(timeframe, min(first + REMOVED_AT_ONCE * timeframe_ns(timeframe), until))
        self._step(timeframe, until)
        return removed

    def _step(self, timeframe: str, until: int) -> int:
        return self._file.write(lambda connection: storing.remove_bars(connection, timeframe, until))

    def _first(self, timeframe: str) -> int | None:
        """The end of the oldest bar of a timeframe."""
        oldest = "SELECT min((SELECT min(end) FROM bar WHERE line = id)) FROM line WHERE timeframe = ? AND bars > 0"
        found = self._select(oldest, (timeframe,))
        return int(found[0][0]) if found and found[0][0] is not None else None

    def _oldest(self) -> tuple[str, int] | None:
        """The shortest timeframe there is, and the end of its oldest bar; None where nothing is left."""
        there = [row[0] for row in self._select("SELECT DISTINCT timeframe FROM line WHERE bars > 0")]
        shortest = min(there, key=timeframe_ns, default="")
        first = self._first(shortest)
        return None if first is None else (shortest, first)

    # --- reading --------------------------------------------------------------------------------------------------

    def _page(self, symbol: str, timeframe: str, bounds: tuple[int, int, int]) -> tuple[Bar, ...]:
        return tuple(storing.bar_of(symbol, timeframe, row) for row in self._rows(symbol, timeframe, _BETWEEN, bounds))

    def _rows(self, symbol: str, timeframe: str, select: str, more: tuple[int, ...]) -> list[Any]:
        def work(connection: sqlite3.Connection) -> list[Any]:
            line = storing.line_of(connection, symbol, timeframe)
            return [] if line is None else connection.execute(select, (line, *more)).fetchall()

        return self._file.read(work, [])

    def _select(self, select: str, values: tuple[object, ...] = ()) -> list[Any]:
        return self._file.read(lambda connection: connection.execute(select, values).fetchall(), [])
