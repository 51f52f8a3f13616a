"""The second level: blocks as blobs in one SQLite file that several processes share, bounded, and never trusted.

Whatever goes wrong with the file is told, and costs a question to the source, never an answer: a damaged file is
removed and begun anew, a damaged blob is removed, and a disk that is full or not writable turns this level off for a
while.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import astuple

from appliance.data.database import Database, Layout
from appliance.domain.market import DAY, MINUTE
from appliance.errors import EnvironmentFault

OFF = 10 * MINUTE
"""How long (ns) the file is left alone after it could not be used."""
_USED_EVERY = DAY
"""How often it is noted that a block was used: each note is a write to the card."""
_KEPT = 0.9
"""The part of the size that is left when there is too much."""
_TABLES = """
CREATE TABLE line (
  id INTEGER PRIMARY KEY, source TEXT NOT NULL, symbol TEXT NOT NULL, timeframe TEXT NOT NULL, adjusted TEXT NOT NULL,
  UNIQUE (source, symbol, timeframe, adjusted)
);
CREATE TABLE block (
  line INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, asked INTEGER NOT NULL, until INTEGER NOT NULL,
  settled INTEGER NOT NULL, last INTEGER NOT NULL, mark BLOB NOT NULL, used INTEGER NOT NULL, size INTEGER NOT NULL,
  checksum INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (line, start)
);
CREATE INDEX block_used ON block (used, size);
"""
_LAYOUT = Layout("data cache", 0x43414348, 1, _TABLES, kept=False, checked=0, wait=0.5)
"""Its blocks carry checksums, so that the first answer need not wait until the whole file was read."""
_OF = "(SELECT id FROM line WHERE (source, symbol, timeframe, adjusted) = (?, ?, ?, ?))"
_FOUND = "start, end, asked, until, settled, last, mark, body, checksum, used"
Found = TypeVar("Found")


class Line(NamedTuple):
    """What a block is a part of."""

    source: str
    symbol: str
    timeframe: str
    adjusted: str


class Stored(Struct, frozen=True):
    """A block as it lies in the file; see ``appliance.data.cache.policy.Known``. ``mark`` is what it depends on."""

    start: int
    end: int
    asked: int
    until: int
    settled: int
    last: int
    mark: bytes
    body: bytes

    def checksum(self, line: Line) -> int:
        """Of all there is to know of it: a wrong time would lie as well as a wrong price."""
        return zlib.crc32(self.body, zlib.crc32(repr((*line, *astuple(self)[:-1])).encode()))


class Disk:
    """The file at ``path``, of at most ``size`` bytes of blocks; ``tell`` hears what went wrong. May be used by several
    threads; ``now`` is ns UTC. No method raises for anything that is wrong with the file or the disk."""

    def __init__(self, path: Path, size: int, tell: Callable[[str], None]) -> None:
        self._path, self._size, self._tell = path, size, tell
        self._lock = threading.Lock()
        self._file: Database | None = None
        self._said = ""
        self._off_until = 0
        self.weight = self.written = 0

    def get(self, line: Line, first: int, last: int, now: int) -> list[Stored]:
        """The blocks of a line that start in ``[first, last]``, in order."""
        select = f"SELECT {_FOUND} FROM block WHERE line = {_OF} AND start BETWEEN ? AND ? ORDER BY start"

        def work(connection: sqlite3.Connection) -> list[Any]:
            return connection.execute(select, (*line, first, last)).fetchall()

        rows: list[Any] = self._tried(lambda file: file.read(work, []), now) or []
        old = [row[0] for row in rows if now - row[-1] >= _USED_EVERY]
        if old:
            self._tried(lambda file: file.write(lambda connection: _use(connection, line, old, now)), now)
        found = [(Stored(*row[:-2]), row[-2]) for row in rows]
        wrong = [stored.start for stored, checksum in found if stored.checksum(line) != checksum]
        if wrong:
            self.drop(line, wrong, now)
            self._tell(f"the data cache forgot {len(wrong)} damaged blocks of {line.symbol} {line.timeframe}")
        return [stored for stored, _ in found if stored.start not in wrong]

    def put(self, line: Line, stored: Sequence[Stored], now: int, alone: bool = False) -> None:
        """Keep blocks in place of those with the same start; ``alone``: of all others of their line."""

        def work(connection: sqlite3.Connection) -> int:
            return _put(connection, line, stored, now, alone)

        added = self._tried(lambda file: file.write(work), now)
        if added is None:
            return
        self.weight += added
        self.written += sum(len(one.body) for one in stored)
        if self.weight > self._size:
            self._tried(lambda file: file.write(self._shrink), now)

    def drop(self, line: Line, starts: Sequence[int], now: int) -> None:
        """Forget blocks of a line."""
        self._tried(lambda file: file.write(lambda connection: _drop(connection, line, starts)), now)

    def clear(self, now: int) -> None:
        """Forget all."""
        self._tried(lambda file: file.write(_clear), now)
        self.weight = 0

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    # --- never failing --------------------------------------------------------------------------------------------

    def _tried(self, work: Callable[[Database], Found], now: int) -> Found | None:
        """What ``work`` found; None where the file cannot be used."""
        with self._lock:
            if 0 < self._off_until - now <= OFF:  # not longer, should the clock be set back
                return None
            try:
                found = work(self._opened())
            except EnvironmentFault as error:
                self._turn_off(error, now)
                return None
            self._say_what_was_replaced()
            return found

    def _opened(self) -> Database:
        if self._file is None:
            self._file = Database(self._path, _LAYOUT)
            self.weight = self._file.read(_weight, 0)
        return self._file

    def _say_what_was_replaced(self) -> None:
        told = self._file.replaced if self._file is not None else ""
        if told and told != self._said:
            self._said = told
            self.weight = self._file.read(_weight, 0) if self._file is not None else 0
            self._tell(told)

    def _turn_off(self, error: EnvironmentFault, now: int) -> None:
        self._off_until = now + OFF
        if self._file is not None:
            self._file.close()
            self._file = None
        self._tell(f"the data cache goes on in memory for {OFF // MINUTE} minutes: {error.text}")

    def _shrink(self, connection: sqlite3.Connection) -> None:
        """Forget what was used longest ago, until there is room again."""
        self.weight = _weight(connection)  # another process may have been here
        select = "SELECT rowid, size FROM block ORDER BY used, start"
        gone: list[tuple[int]] = []
        if self.weight > self._size:
            for row, size in connection.execute(select).fetchall():
                if self.weight <= self._size * _KEPT:
                    break
                gone.append((row,))
                self.weight -= size
        connection.executemany("DELETE FROM block WHERE rowid = ?", gone)


def _weight(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT total(size) FROM block").fetchone()[0])


def _put(connection: sqlite3.Connection, line: Line, stored: Sequence[Stored], now: int, alone: bool) -> int:
    """How many bytes there are more."""
    connection.execute("INSERT OR IGNORE INTO line (source, symbol, timeframe, adjusted) VALUES (?, ?, ?, ?)", line)
    starts = [one.start for one in stored]
    freed = _drop(connection, line, None if alone else starts)
    insert = f"INSERT INTO block VALUES ({_OF}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    rows = [
        (
            *line, one.start, one.end, one.asked, one.until, one.settled, one.last, one.mark, now, len(one.body),
            one.checksum(line), one.body,
        )
        for one in stored
    ]  # fmt: skip
    connection.executemany(insert, rows)
    return sum(len(one.body) for one in stored) - freed


def _drop(connection: sqlite3.Connection, line: Line, starts: Sequence[int] | None) -> int:
    """How many bytes there are less; ``starts`` None: the whole line."""
    where = f"line = {_OF}" if starts is None else f"line = {_OF} AND start = ?"
    places: list[tuple[str | int, ...]] = [tuple(line)] if starts is None else [(*line, start) for start in starts]
    freed = [connection.execute(f"SELECT total(size) FROM block WHERE {where}", one).fetchone()[0] for one in places]
    connection.executemany(f"DELETE FROM block WHERE {where}", places)
    return int(sum(freed))


def _use(connection: sqlite3.Connection, line: Line, starts: Sequence[int], now: int) -> None:
    rows = [(now, *line, start) for start in starts]
    connection.executemany(f"UPDATE block SET used = ? WHERE line = {_OF} AND start = ?", rows)


def _clear(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM block")
