"""Where a sweep keeps what it has found: one SQLite file, a row a combination, whole or absent after a kill -9."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from appliance.errors import EnvironmentFault

_TABLES = """
CREATE TABLE IF NOT EXISTS sweep (id INTEGER PRIMARY KEY CHECK (id = 1), job TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS session (number INTEGER PRIMARY KEY AUTOINCREMENT, wanted INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS outcome (
  number INTEGER PRIMARY KEY, session INTEGER NOT NULL, params TEXT NOT NULL, figures TEXT, error TEXT NOT NULL,
  seconds REAL NOT NULL
);
"""


class Outcome(Struct, frozen=True):
    """What one combination came to: its figures, or why it has none. ``seconds`` it took, which never repeats."""

    number: int
    params: dict[str, str]
    figures: dict[str, float | None] | None = None
    error: str = ""
    seconds: float = 0.0


class Store:
    """Opens or makes the file at ``path``. Written by one process; every outcome is on the disk when ``keep`` is over.

    ``session`` counts how often the sweep was begun or gone on with. Raises EnvironmentFault when it cannot be used.
    """

    def __init__(self, path: Path, wanted: int) -> None:
        self.path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=1.0)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_TABLES)
            self.session = self._connection.execute("INSERT INTO session (wanted) VALUES (?)", (wanted,)).lastrowid or 0
        except sqlite3.Error as error:
            raise self._fault(error) from None

    def job(self) -> bytes | None:
        """What the sweep is of, as it was begun with; None when it has not begun."""
        row = self._connection.execute("SELECT job FROM sweep").fetchone()
        return row[0].encode() if row else None

    def begin(self, job: bytes) -> None:
        """Write down what the sweep is of, once."""
        self._connection.execute("INSERT OR IGNORE INTO sweep (id, job) VALUES (1, ?)", (job.decode(),))

    def keep(self, outcome: Outcome) -> None:
        """Keep an outcome. Raises EnvironmentFault when it cannot be written, or is there already."""
        figures = msgspec.json.encode(outcome.figures).decode() if outcome.figures is not None else None
        row = (outcome.number, self.session, msgspec.json.encode(outcome.params).decode(), figures, outcome.error)
        try:
            self._connection.execute("INSERT INTO outcome VALUES (?, ?, ?, ?, ?, ?)", (*row, outcome.seconds))
        except sqlite3.Error as error:
            raise self._fault(error) from None

    def numbers(self) -> frozenset[int]:
        """Which combinations are done."""
        return frozenset(row[0] for row in self._connection.execute("SELECT number FROM outcome"))

    def outcomes(self) -> Iterator[Outcome]:
        """All that is done, in the order of the combinations."""
        rows = self._connection.execute("SELECT number, params, figures, error, seconds FROM outcome ORDER BY number")
        for number, params, figures, error, seconds in rows:
            yield Outcome(
                number,
                msgspec.json.decode(params, type=dict[str, str]),
                msgspec.json.decode(figures, type=dict[str, float | None]) if figures is not None else None,
                error,
                seconds,
            )

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _fault(self, error: sqlite3.Error) -> EnvironmentFault:
        return EnvironmentFault(
            f"{self.path}: {error}", hint="is another sweep at work there, or the disk full? name another --out"
        )
