"""One SQLite file a process: what it consumed, produced and knows, written in one transaction a turn.

WAL, one connection under the process's lock; inputs and outputs are chained by hash in the order they were written.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from appliance.core.ports import Commit, DeadLetter, Input, Saved
from appliance.domain.messages import Event
from appliance.domain.operations import Head, Spot
from appliance.errors import EnvironmentFault, JournalError
from appliance.shell import audit
from appliance.shell.locks import Lock

CHECKPOINT_EVERY = 5_000
"""Inputs between two checkpoints."""
PRUNE_MAX = 10_000
"""Messages of a stream forgotten in one transaction, which the loop must wait for."""
INPUTS_KEPT = 100_000
LETTERS_KEPT = 1_000

_INPUT = "INSERT INTO input VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_OUTPUT = "INSERT INTO output VALUES (?, ?, ?, ?, ?, ?, ?)"
_STATE = "INSERT INTO state VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_CURSOR = "INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)"
_HEAD = "INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?, ?, ?)"
_COUNTER = "INSERT OR REPLACE INTO counters VALUES (?, ?)"
_LETTER = "INSERT INTO dead_letter (position, payload, error, time) VALUES (?, ?, ?, ?)"
_READ = "SELECT payload FROM output WHERE stream = ? AND (epoch, seq) > (?, ?) ORDER BY epoch, seq LIMIT ?"
_PRUNABLE = "stream = ? AND (epoch, seq) <= (?, ?) AND seq <= ?"


class Journal:
    """A process's Store. Opening takes ``lock`` (default: the file's name with ``.lock``).

    Raises JournalError for a file that is damaged, foreign or from a newer build, and for any failure to read or
    write; after a failed write it refuses everything. Raises EnvironmentFault when another process holds the lock.
    """

    def __init__(
        self, path: Path, process: str, lock: Lock | None = None, checkpoint_every: int = CHECKPOINT_EVERY
    ) -> None:
        self.path = path
        self.process = process
        self._every = checkpoint_every
        self._lock = lock or Lock(path.with_name(path.name + ".lock"))
        self._lock.acquire()
        self._broken: BaseException | None = None
        self._full = True
        self._heads: dict[str, Head] = {}
        self._counters: dict[str, int] = {}
        self._boot = ""
        try:
            self._connection = self._opened()
        except BaseException:
            self._lock.release()
            raise

    # --- opening and closing --------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self.path, isolation_level=None)
        except sqlite3.Error as error:
            raise self._error("cannot be opened", error) from error
        try:
            self._prepare(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise self._unusable(error) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Ask before touching: a damaged file stays as it is.
        new = not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if not new:
            self._check(connection)
        # Small pages: a commit touches half a dozen, and each is written whole to the card.
        connection.execute("PRAGMA page_size = 2048")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise JournalError(
                f"{self.path}: this file system allows no write-ahead log (mode {mode})",
                hint="put the state directory on a local disk: --state DIR",
            )
        for pragma in (
            "synchronous = FULL", "busy_timeout = 5000", "wal_autocheckpoint = 2000", "journal_size_limit = 8388608",
            "temp_store = MEMORY", "mmap_size = 0",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
        if new:
            self._create(connection)
        self._n, self._hash, _ = connection.execute("SELECT n, hash, pruned FROM chain").fetchone()
        since = "SELECT count(*) FROM input WHERE n > (SELECT max(n) FROM checkpoint)"
        self._since = connection.execute(since).fetchone()[0]

    def _check(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            raise JournalError(f"{self.path}: is a database, but no journal", hint="move it away, then start again")
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        if int(meta["schema"]) > audit.SCHEMA:
            raise JournalError(
                f"{self.path}: written by a newer build (schema {meta['schema']}, this one knows {audit.SCHEMA})",
                hint="start the newer build again, or choose another state directory with --state DIR",
            )
        if meta["process"] != self.process:
            raise JournalError(
                f"{self.path}: is the journal of {meta['process']}, not of {self.process}",
                hint="put the files in journal/ back to their own names",
            )

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for statement in filter(str.strip, audit.TABLES.split(";")):
            connection.execute(statement)
        meta = {"schema": str(audit.SCHEMA), "process": self.process, "boot": "", "created": str(time.time_ns())}
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        connection.execute("INSERT INTO chain VALUES (0, ?, 0, 0)", (bytes(audit.HASH_BYTES),))
        connection.execute("INSERT INTO checkpoint VALUES (0, ?)", (msgspec.msgpack.encode(Saved()),))
        connection.execute("COMMIT")
        _sync(self.path.parent)

    def close(self) -> None:
        """Close the file and let go of the lock."""
        self._connection.close()
        self._lock.release()

    # --- the Store ------------------------------------------------------------------------------------------------

    def load(self) -> Saved:
        """The last committed state."""
        with self._guarded("cannot be read"):
            saved = self._saved()
        self._heads, self._counters, self._boot = dict(saved.heads), dict(saved.counters), saved.boot
        return saved

    def _saved(self) -> Saved:
        execute = self._connection.execute
        heads = execute("SELECT stream, last_epoch, last_seq, epoch, after_epoch, after_seq FROM head")
        return Saved(
            boot=execute("SELECT value FROM meta WHERE key = 'boot'").fetchone()[0],
            time=execute("SELECT time FROM chain").fetchone()[0],
            cursors={row[0]: Spot(*row[1:]) for row in execute("SELECT stream, epoch, seq FROM cursor")},
            rows=dict(execute("SELECT key, value FROM state")),
            heads={stream: Head(Spot(le, ls), epoch, Spot(ae, as_)) for stream, le, ls, epoch, ae, as_ in heads},
            counters=dict(execute("SELECT name, value FROM counters")),
        )

    def commit(self, commit: Commit) -> None:
        """Write everything in one transaction, on the disk before it returns when ``commit.sync``."""
        with self._transaction(commit.sync):
            if commit.checkpoint is not None:  # the state this commit starts from, as the core itself tells it
                self._write_checkpoint(msgspec.structs.replace(self._saved(), rows=commit.checkpoint))
            self._write_state(commit)
            self._write_chain(commit.inputs, commit.outputs)
            self._write_rest(commit)

    def _write_state(self, commit: Commit) -> None:
        many = self._connection.executemany
        if commit.cursors:
            many(_CURSOR, [(stream, spot.epoch, spot.seq) for stream, spot in commit.cursors.items()])
        gone = [(key,) for key, value in commit.rows.items() if value is None]
        if len(gone) < len(commit.rows):
            many(_STATE, [(key, value) for key, value in commit.rows.items() if value is not None])
        if gone:
            many("DELETE FROM state WHERE key = ?", gone)

    def _write_chain(self, inputs: Iterable[Input], outputs: Iterable[tuple[Event, bytes]]) -> None:
        n, previous = self._n, self._hash
        taken: list[tuple[object, ...]] = []
        made: list[tuple[object, ...]] = []
        for entry in inputs:
            n += 1
            now = entry.now
            head = audit.input_head(n, now.time, now.boot, now.ticks, entry.position)
            digest = audit.link(previous, head, entry.payload)
            taken.append((n, now.time, now.boot, now.ticks, entry.position, entry.payload, previous, digest))
            previous = digest
        for event, payload in outputs:
            n += 1
            head = audit.output_head(n, event.stream, event.epoch, event.seq)
            digest = audit.link(previous, head, payload)
            made.append((n, event.stream, event.epoch, event.seq, payload, previous, digest))
            previous = digest
        if n == self._n:
            return
        self._connection.executemany(_INPUT, taken)
        self._connection.executemany(_OUTPUT, made)
        self._n, self._hash = n, previous
        self._since += len(taken)

    def _write_rest(self, commit: Commit) -> None:
        heads = {name: head for name, head in commit.heads.items() if self._heads.get(name) != head}
        if heads:
            self._connection.executemany(_HEAD, [_head_row(name, head) for name, head in heads.items()])
            self._heads.update(heads)
        counters = {name: value for name, value in commit.counters.items() if self._counters.get(name) != value}
        if counters:
            self._connection.executemany(_COUNTER, counters.items())
            self._counters.update(counters)
        if commit.dead_letters:
            letters = [(dead.position, dead.payload, dead.error, dead.time) for dead in commit.dead_letters]
            self._connection.executemany(_LETTER, letters)
        if commit.boot and commit.boot != self._boot:
            self._connection.execute("UPDATE meta SET value = ? WHERE key = 'boot'", (commit.boot,))
            self._boot = commit.boot
        chain = "UPDATE chain SET n = ?, hash = ?, time = iif(?, ?, time)"
        self._connection.execute(chain, (self._n, self._hash, commit.time, commit.time))
        if self._since >= self._every:
            self._write_checkpoint(self._saved())

    def _write_checkpoint(self, saved: Saved) -> None:
        row = (self._n, msgspec.msgpack.encode(saved))
        self._connection.execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", row)
        self._since = 0

    def read(self, stream: str, after: Spot, limit: int) -> list[bytes]:
        """Up to ``limit`` produced messages of ``stream`` beyond ``after``, in order."""
        with self._guarded("cannot be read"):
            return [row[0] for row in self._connection.execute(_READ, (stream, after.epoch, after.seq, limit))]

    def floor(self, stream: str) -> Spot:
        """The position before the oldest retained message of ``stream``."""
        with self._guarded("cannot be read"):
            row = self._connection.execute("SELECT epoch, seq FROM floor WHERE stream = ?", (stream,)).fetchone()
        return Spot(*row) if row else Spot()

    def prune(self, stream: str, upto: Spot) -> None:
        """Forget produced messages of ``stream`` at or below ``upto``, at most PRUNE_MAX of them in one call."""
        first = "SELECT seq FROM output WHERE stream = ? ORDER BY epoch, seq LIMIT 1"
        last = f"SELECT epoch, seq, n FROM output WHERE {_PRUNABLE} ORDER BY epoch DESC, seq DESC LIMIT 1"
        with self._guarded("cannot be read"):
            lowest = self._connection.execute(first, (stream,)).fetchone()
            if lowest is None:
                return
            # seq goes on across epochs, so it bounds the number; the epoch bounds nothing by itself.
            where = (stream, upto.epoch, upto.seq, min(upto.seq, lowest[0] + PRUNE_MAX - 1))
            found = self._connection.execute(last, where).fetchone()
        if found is None:
            return
        epoch, seq, n = found
        with self._transaction(sync=False):
            self._connection.execute(f"DELETE FROM output WHERE {_PRUNABLE}", where)
            self._connection.execute("INSERT OR REPLACE INTO floor VALUES (?, ?, ?)", (stream, epoch, seq))
            self._connection.execute("UPDATE chain SET pruned = max(pruned, ?)", (n,))

    # --- beyond the Store -----------------------------------------------------------------------------------------

    def retain(self, inputs: int = INPUTS_KEPT, letters: int = LETTERS_KEPT) -> None:
        """Forget inputs before a checkpoint with ``inputs`` or more after it, and all but the last dead letters."""
        enough = "SELECT n FROM input ORDER BY n DESC LIMIT 1 OFFSET ?"
        base = f"SELECT max(n) FROM checkpoint WHERE n < ({enough})"
        with self._guarded("cannot be read"):
            upto = self._connection.execute(base, (inputs - 1,)).fetchone()[0]
            low = self._connection.execute("SELECT max(n) FROM dead_letter").fetchone()[0]
        if not upto and (low or 0) <= letters:
            return
        with self._transaction(sync=False):
            self._connection.execute("DELETE FROM dead_letter WHERE n <= ?", ((low or 0) - letters,))
            if upto:
                self._connection.execute("DELETE FROM input WHERE n <= ?", (upto,))
                self._connection.execute("DELETE FROM checkpoint WHERE n < ?", (upto,))
                self._connection.execute("UPDATE chain SET pruned = max(pruned, ?)", (upto,))

    def readable(self) -> None:
        """Prove that the file can still be read. Raises JournalError when it cannot."""
        with self._guarded("cannot be read"):
            self._connection.execute("SELECT n FROM chain").fetchone()

    def snapshot_to(self, path: Path) -> None:
        """Write a consistent copy to a new file and sync it; a half-written one is removed.

        Raises EnvironmentFault when the copy cannot be made: the journal itself is none the worse.
        """
        if path.exists():
            raise EnvironmentFault(f"{path}: is there already", hint="choose another name")
        try:
            self._connection.execute("VACUUM INTO ?", (str(path),))
            _sync(path)
            _sync(path.parent)
        except (sqlite3.Error, OSError) as error:
            path.unlink(missing_ok=True)
            raise EnvironmentFault(
                f"{path}: no copy of the journal can be made: {error}", hint="check free space and permissions there"
            ) from error

    def mark(self, name: str, value: str, now: int) -> None:
        """Note, before entering it, what we may die in (a strategy, a message); ``now`` is ns UTC."""
        with self._transaction(sync=False):
            self._connection.execute("INSERT OR REPLACE INTO marker VALUES (?, ?, ?)", (name, value, now))

    def unmark(self, name: str) -> None:
        """Note that we came out of it."""
        with self._transaction(sync=False):
            self._connection.execute("DELETE FROM marker WHERE name = ?", (name,))

    def markers(self) -> dict[str, str]:
        """What was entered and never left."""
        with self._guarded("cannot be read"):
            return dict(self._connection.execute("SELECT name, value FROM marker ORDER BY name"))

    def dead_letters(self) -> list[DeadLetter]:
        """What was set aside, oldest first."""
        with self._guarded("cannot be read"):
            return audit.dead_letters(self._connection)

    def tail(self, limit: int) -> list[audit.Line]:
        """The last ``limit`` inputs and outputs, oldest first."""
        with self._guarded("cannot be read"):
            return audit.tail(self._connection, limit)

    def verify(self) -> audit.Report:
        """Recompute the whole chain; slow on a long journal."""
        with self._guarded("cannot be read"):
            return audit.verify(self._connection)

    # --- failing --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self, sync: bool) -> Iterator[None]:
        with self._guarded("cannot be written"):
            execute = self._connection.execute
            if sync != self._full:  # only outside a transaction does SQLite take it
                execute("PRAGMA synchronous = FULL" if sync else "PRAGMA synchronous = NORMAL")
                self._full = sync
            execute("BEGIN IMMEDIATE")
            try:
                yield
                execute("COMMIT")
            except BaseException as error:
                # What we remember of the chain may be ahead of the file: only a fresh start is right again.
                self._broken = error
                with contextlib.suppress(sqlite3.Error):
                    execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        if self._broken is not None:
            raise self._error("is no longer written after a failure", self._broken)
        try:
            yield
        except (sqlite3.Error, OverflowError) as error:
            self._broken = error
            raise self._error(what, error) from error

    def _error(self, what: str, error: BaseException) -> JournalError:
        hint = "check free space, permissions and the disk (dmesg), then start again; nothing committed is lost"
        return JournalError(f"{self.path}: {what}: {error}", hint=hint)

    def _unusable(self, error: sqlite3.Error) -> JournalError:
        if isinstance(error, sqlite3.OperationalError):  # locked, full, read-only: not the file's content
            return self._error("cannot be opened", error)
        return JournalError(
            f"{self.path}: is damaged: {error}",
            hint="it is left untouched; keep a copy, then have it rebuilt by the owner's command",
        )


def _head_row(name: str, head: Head) -> tuple[str, int, int, int, int, int]:
    return name, head.last.epoch, head.last.seq, head.epoch, head.after.epoch, head.after.seq


def _sync(path: Path) -> None:
    """Flush a file or a directory to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
