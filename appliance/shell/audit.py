"""What a journal holds, and reading it live or in a copy: the hash chain, what happened, dead letters, checkpoints."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from appliance.core.ports import DeadLetter, Input, Saved
from appliance.domain.messages import Now
from appliance.errors import JournalError

SCHEMA = 1
HASH_BYTES = 16
FAULTS_MAX = 20
"""A report names no more faults than this."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE chain (n INTEGER NOT NULL, hash BLOB NOT NULL, pruned INTEGER NOT NULL, time INTEGER NOT NULL);
CREATE TABLE cursor (stream TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE head (
    stream TEXT PRIMARY KEY, last_epoch INTEGER NOT NULL, last_seq INTEGER NOT NULL, epoch INTEGER NOT NULL,
    after_epoch INTEGER NOT NULL, after_seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE floor (stream TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE output (
    n INTEGER PRIMARY KEY, stream TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, payload BLOB NOT NULL,
    previous BLOB NOT NULL, hash BLOB NOT NULL, UNIQUE (stream, epoch, seq)
);
CREATE TABLE input (
    n INTEGER PRIMARY KEY, time INTEGER NOT NULL, boot TEXT NOT NULL, ticks INTEGER NOT NULL, position TEXT NOT NULL,
    payload BLOB NOT NULL, previous BLOB NOT NULL, hash BLOB NOT NULL
);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE dead_letter (
    n INTEGER PRIMARY KEY, position TEXT NOT NULL, payload BLOB NOT NULL, error TEXT NOT NULL, time INTEGER NOT NULL
);
CREATE TABLE checkpoint (n INTEGER PRIMARY KEY, state BLOB NOT NULL);
CREATE TABLE marker (name TEXT PRIMARY KEY, value TEXT NOT NULL, time INTEGER NOT NULL) WITHOUT ROWID;
"""


class Line(Struct, frozen=True):
    """One journalled row: ``kind`` is ``in`` or ``out``, ``time`` is ns UTC, 0 for outputs."""

    n: int
    kind: str
    position: str
    payload: bytes
    time: int = 0


class Report(Struct, frozen=True):
    """What ``verify`` found: rows checked, the first and last of them, rows pruned in between, and the faults."""

    rows: int
    first: int
    last: int
    pruned: int
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.faults


class Checkpoint(Struct, frozen=True):
    """The whole state as it was after row ``n``; ``n`` 0 is the empty journal."""

    n: int
    saved: Saved


class _Row(Struct, frozen=True):
    n: int
    head: str
    payload: bytes
    previous: bytes
    hash: bytes
    line: Line


def link(previous: bytes, head: str, payload: bytes) -> bytes:
    """The hash of a row, given the hash of the row before it."""
    return sha256(b"%s%s\n%s" % (previous, head.encode(), payload)).digest()[:HASH_BYTES]


def input_head(n: int, time: int, boot: str, ticks: int, position: str) -> str:
    """What the chain hashes of an input besides its payload."""
    return f"in {n} {time} {boot} {ticks} {position}"


def output_head(n: int, stream: str, epoch: int, seq: int) -> str:
    """What the chain hashes of an output besides its payload."""
    return f"out {n} {stream}:{epoch}:{seq}"


def opened(path: Path) -> sqlite3.Connection:
    """A connection for reading a copy. Raises JournalError when there is none or it is no journal."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        connection.execute("SELECT n FROM chain").fetchone()
    except sqlite3.Error as error:
        raise JournalError(f"{path}: cannot be read as a journal: {error}", hint="name a journal or a copy") from error
    return connection


def verify(connection: sqlite3.Connection) -> Report:
    """Recompute the chain. Below the prune point rows may be missing, above it none."""
    n, last_hash, pruned = connection.execute("SELECT n, hash, pruned FROM chain").fetchone()
    faults: list[str] = []
    rows, first, gone = 0, 0, 0
    before: _Row | None = None
    for row in _rows(connection):
        rows, first = rows + 1, first or row.n
        missing = row.n - (before.n if before else 0) - 1
        gone += missing
        faults += _check(row, before, missing, pruned)
        before = row
    at = before.n if before else 0
    if n > max(at, pruned) or at > n:
        faults.append(f"the journal ends at row {at}, its head says {n}")
    elif before is not None and at == n and before.hash != last_hash:
        faults.append(f"row {n}: its hash is not the one in the head")
    return Report(rows, first, at, gone, tuple(faults[:FAULTS_MAX]))


def _check(row: _Row, before: _Row | None, missing: int, pruned: int) -> list[str]:
    faults = []
    if missing and row.n - 1 > pruned:
        faults.append(f"row {row.n} ({row.line.position}): {missing} rows before it are missing, none was pruned there")
    elif missing == 0 and before is not None and row.previous != before.hash:
        faults.append(f"row {row.n} ({row.line.position}): it does not follow from row {before.n}")
    if link(row.previous, row.head, row.payload) != row.hash:
        faults.append(f"row {row.n} ({row.line.position}): its content is not what was written")
    return faults


def tail(connection: sqlite3.Connection, limit: int) -> list[Line]:
    """The last ``limit`` rows, oldest first."""
    rows = heapq.merge(_inputs(connection, "DESC"), _outputs(connection, "DESC"), key=lambda row: -row.n)
    return [row.line for row in islice(rows, limit)][::-1]


def lines(connection: sqlite3.Connection, after: int = 0) -> Iterator[Line]:
    """Every row beyond ``after`` in written order; the inputs of a commit come before its outputs."""
    return (row.line for row in _rows(connection) if row.n > after)


def inputs(connection: sqlite3.Connection, after: int = 0) -> Iterator[tuple[int, Input]]:
    """The inputs beyond row ``after``, in the order in which they were handled, with their row numbers."""
    select = "SELECT n, time, boot, ticks, position, payload FROM input WHERE n > ? ORDER BY n"
    for n, time, boot, ticks, position, payload in connection.execute(select, (after,)):
        yield n, Input(Now(time, boot, ticks), position, payload)


def checkpoint(connection: sqlite3.Connection, upto: int) -> Checkpoint | None:
    """The latest checkpoint at or before row ``upto``, or None when retention has taken it."""
    select = "SELECT n, state FROM checkpoint WHERE n <= ? ORDER BY n DESC LIMIT 1"
    row = connection.execute(select, (upto,)).fetchone()
    return None if row is None else Checkpoint(row[0], msgspec.msgpack.decode(row[1], type=Saved))


def dead_letters(connection: sqlite3.Connection) -> list[DeadLetter]:
    """What was set aside, oldest first."""
    select = "SELECT position, payload, error, time FROM dead_letter ORDER BY n"
    return [DeadLetter(*row) for row in connection.execute(select)]


def _rows(connection: sqlite3.Connection) -> Iterator[_Row]:
    return heapq.merge(_inputs(connection), _outputs(connection), key=lambda row: row.n)


def _inputs(connection: sqlite3.Connection, order: str = "") -> Iterator[_Row]:
    select = f"SELECT n, time, boot, ticks, position, payload, previous, hash FROM input ORDER BY n {order}"
    for n, time, boot, ticks, position, payload, previous, digest in connection.execute(select):
        head = input_head(n, time, boot, ticks, position)
        yield _Row(n, head, payload, previous, digest, Line(n, "in", position, payload, time))


def _outputs(connection: sqlite3.Connection, order: str = "") -> Iterator[_Row]:
    select = f"SELECT n, stream, epoch, seq, payload, previous, hash FROM output ORDER BY n {order}"
    for n, stream, epoch, seq, payload, previous, digest in connection.execute(select):
        line = Line(n, "out", f"{stream}:{epoch}:{seq}", payload)
        yield _Row(n, output_head(n, stream, epoch, seq), payload, previous, digest, line)
