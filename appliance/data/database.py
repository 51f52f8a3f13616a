"""A SQLite file of ours: opened in WAL, proven, and begun anew where it is damaged; whole transactions or nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from appliance.errors import EnvironmentFault

CHECKED_MAX = 64_000_000
"""Bytes a card reads in a second or two."""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BESIDE = ("", "-wal", "-shm")
"""The files a database in WAL is made of."""

Found = TypeVar("Found")
Work = Callable[[sqlite3.Connection], Found]


class Layout(Struct, frozen=True):
    """What kind of file it is: ``name`` for people, ``mark`` (application_id) and ``version`` of its ``tables``.

    ``kept``: a damaged file is kept beside as ``.broken-N``; else it is removed, and a file of another version is taken
    for damaged. One of up to ``checked`` bytes is proven whole when it is opened; damage in a larger one is found
    when it is met. ``page`` is its page size in bytes, ``wait`` how long (s) another writer is waited for.
    """

    name: str
    mark: int
    version: int
    tables: str
    kept: bool = True
    checked: int = CHECKED_MAX
    page: int = 4096
    wait: float = 5.0


class Database:
    """One connection to the file at ``path``; used by one thread at a time, of several processes one writes at a time.

    ``replaced`` says what became of a damaged file ("": it was none). A reader of an absent file has no connection:
    ``read`` gives ``absent`` then. Raises EnvironmentFault naming the path and what to do.
    """

    def __init__(self, path: Path, layout: Layout, read_only: bool = False) -> None:
        self.path, self.replaced = path, ""
        self._layout, self._read_only = layout, read_only
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)
        self.read(lambda connection: None, None)

    def read(self, work: Work[Found], absent: Found) -> Found:
        """What ``work`` finds. A damaged file is replaced, and the work done again on the empty one."""
        return self._tried(work, absent)

    def write(self, work: Work[Found]) -> Found:
        """Do ``work`` in one transaction: all of it is in the file, or nothing when it raises."""
        if self._read_only:
            raise EnvironmentFault(f"{self.path}: was opened to be read only", hint="open it as its writer")
        return self.bare(lambda connection: _transaction(connection, work))

    def bare(self, work: Work[Found]) -> Found:
        """Do ``work`` outside a transaction: what SQLite allows nowhere else, such as a checkpoint."""
        done: list[Found] = []
        self._tried(lambda connection: done.append(work(connection)), None)
        return done[-1]

    def size(self) -> int:
        """Bytes in use: free pages do not count."""
        return self.read(_used, 0)

    def close(self) -> None:
        """Close the connection; the last one to close writes what is in the log into the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- opening --------------------------------------------------------------------------------------------------

    def _tried(self, work: Work[Found], absent: Found) -> Found:
        try:
            return self._done(work, absent)
        except sqlite3.Error as error:
            if not _damaged(error) or self._read_only:
                raise self._fault(error) from error
            self._replace(error)
        try:
            return self._done(work, absent)
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _done(self, work: Work[Found], absent: Found) -> Found:
        if self._connection is not None and not self._there():
            self.close()  # somebody moved or removed the file: what is written into it nobody would see
        try:
            connection = self._connection or self._opened()
        except OSError as error:
            raise EnvironmentFault(
                f"{self.path}: cannot be opened: {error.strerror}", hint="check the permissions there"
            ) from error
        return absent if connection is None else work(connection)

    def _there(self) -> bool:
        """Whether the file that is open still is the one at the path."""
        with suppress(OSError):
            return _identity(self.path) == self._file
        return False

    def _opened(self) -> sqlite3.Connection | None:
        """A connection that is ready; None for a reader while there is nothing to read."""
        if self._read_only and not self.path.exists():
            return None
        connection = self._connect()
        try:
            ready = self._prepared(connection)
        except BaseException:
            connection.close()
            raise
        if not ready:
            connection.close()
            return None
        self._connection, self._file = connection, _identity(self.path)
        return connection

    def _connect(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        if not self._read_only:
            with suppress(OSError):  # what cannot be made cannot be opened either, and that is told
                self.path.parent.mkdir(parents=True, exist_ok=True)
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=self._layout.wait, check_same_thread=False,
            cached_statements=64,
        )  # fmt: skip

    def _prepared(self, connection: sqlite3.Connection) -> bool:
        """Whether the file is ours and has its tables; a writer makes them."""
        new = not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if not new:
            self._check(connection)
        if self._read_only:
            return not new
        if new:  # only a file without tables takes these two
            connection.execute(f"PRAGMA page_size = {self._layout.page}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise EnvironmentFault(
                f"{self.path}: this file system allows no write-ahead log (mode {mode})",
                hint="put the state directory on a local disk: --state DIR",
            )
        # NORMAL: no commit waits for the card. A power cut may take the last ones, which sources can tell again.
        for pragma in ("synchronous = NORMAL", "wal_autocheckpoint = 1000", "journal_size_limit = 8388608"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        if new:
            _transaction(connection, self._create)
        return True

    def _create(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            return  # another process was faster
        for statement in filter(str.strip, self._layout.tables.split(";\n")):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {self._layout.mark}")
        connection.execute(f"PRAGMA user_version = {self._layout.version}")

    def _check(self, connection: sqlite3.Connection) -> None:
        layout = self._layout
        mark = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if mark != layout.mark:
            raise EnvironmentFault(f"{self.path}: is a database, but no {layout.name}", hint="move it away first")
        if version != layout.version:
            if not layout.kept and not self._read_only:
                raise _damage(f"is of version {version}, not {layout.version}")
            raise EnvironmentFault(
                f"{self.path}: was written by another build (version {version}, this one knows {layout.version})",
                hint="start that build again, or choose another state directory with --state DIR",
            )
        if self.path.stat().st_size <= layout.checked:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise _damage(found)

    # --- failing --------------------------------------------------------------------------------------------------

    def _replace(self, error: sqlite3.Error) -> None:
        """Put the damaged file aside, or away, and say so."""
        self.close()
        aside = next(name for name in map(self._aside, count(1)) if not name.exists())
        for beside in _BESIDE:
            file = self.path.with_name(self.path.name + beside)
            with suppress(FileNotFoundError):
                self._move(file, aside.with_name(aside.name + beside))
        what = f"was kept as {aside.name}" if self._layout.kept else "was removed"
        self.replaced = f"{self.path}: was damaged ({error}); it {what}, and an empty {self._layout.name} was begun"

    def _move(self, file: Path, aside: Path) -> None:
        try:
            if self._layout.kept:
                os.replace(file, aside)
            else:
                file.unlink()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise EnvironmentFault(
                f"{self.path}: is damaged, and cannot be moved away: {error.strerror}",
                hint="move it away by hand, or make its directory writable",
            ) from error

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.broken-{number}")

    def _fault(self, error: sqlite3.Error) -> EnvironmentFault:
        if _damaged(error):
            text, hint = f"is damaged: {error}", "its writer puts it aside and begins anew when it starts again"
        elif isinstance(error, sqlite3.OperationalError):
            text = f"cannot be used: {error}"
            hint = "check free space and permissions there, and whether another process writes for long"
        else:
            text, hint = f"does not take this: {error}", "report it with this text"
        return EnvironmentFault(f"{self.path}: {text}", hint=hint)


def _transaction(connection: sqlite3.Connection, work: Work[Found]) -> Found:
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    return found


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _used(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _damaged(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGE


def _damage(text: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
