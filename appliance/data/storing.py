"""The rows of the history store: how bars, spans and actions are written, and how a row is a bar again."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from appliance.data.database import Layout
from appliance.data.spans import merged
from appliance.domain.market import Bar, CorporateAction, Dividend, Split, timeframe_ns
from appliance.errors import DataError

TABLES = """
CREATE TABLE line (
  id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, timeframe TEXT NOT NULL, bars INTEGER NOT NULL DEFAULT 0,
  UNIQUE (symbol, timeframe)
);
CREATE TABLE source (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE bar (
  line INTEGER NOT NULL, end INTEGER NOT NULL, length INTEGER NOT NULL, open REAL, high REAL, low REAL, close REAL,
  volume REAL, source INTEGER NOT NULL, received INTEGER NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (line, end)
) WITHOUT ROWID;
CREATE TABLE covered (
  line INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, PRIMARY KEY (line, start)
) WITHOUT ROWID;
CREATE TABLE action (
  symbol TEXT NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (symbol, time, kind, number)
) WITHOUT ROWID;
"""
LAYOUT = Layout("history store", 0x48495354, 1, TABLES)
COLUMNS = "bar.end - length, bar.end, open, high, low, close, volume, source.name, received, revision"
"""What ``bar_of`` reads. A line counts its own bars: to count them anew would read the whole file."""

_NEW = "INSERT OR IGNORE INTO bar VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_BETTER = """
UPDATE bar SET length = ?3, open = ?4, high = ?5, low = ?6, close = ?7, volume = ?8, source = ?9, received = ?10,
  revision = ?11
WHERE line = ?1 AND end = ?2 AND (?11 > revision OR (?11 = revision AND ?9 = source AND ?10 >= received
  AND (length, open, high, low, close, volume) IS NOT (?3, ?4, ?5, ?6, ?7, ?8)))
"""
_INTEGER_MAX = 2**63 - 1
Row = tuple[int | float, ...]


def bar_of(symbol: str, timeframe: str, row: Sequence[object]) -> Bar:
    """The bar of a row of ``COLUMNS``."""
    if None in row:  # SQLite keeps a NaN as NULL
        row = [math.nan if value is None else value for value in row]
    return Bar(symbol, timeframe, *row)  # type: ignore[arg-type]


def line_of(connection: sqlite3.Connection, symbol: str, timeframe: str) -> int | None:
    """The number of a line; None where there is none."""
    select = "SELECT id FROM line WHERE symbol = ? AND timeframe = ?"
    row = connection.execute(select, (symbol, timeframe)).fetchone()
    return None if row is None else int(row[0])


def make_line(connection: sqlite3.Connection, symbol: str, timeframe: str) -> int:
    """The number of a line, which is made where there is none. Raises DataError for what is no timeframe."""
    try:
        timeframe_ns(timeframe)
    except ValueError as error:
        raise DataError(f"bars of {symbol}: timeframe {error}") from None
    known = line_of(connection, symbol, timeframe)
    if known is not None:
        return known
    return int(
        connection.execute("INSERT INTO line (symbol, timeframe) VALUES (?, ?)", (symbol, timeframe)).lastrowid or 0
    )


def add_bars(connection: sqlite3.Connection, bars: Iterable[Bar]) -> int:
    """See ``HistoryStore.add``."""
    sources: dict[str, int] = {}
    changed = 0
    for (symbol, timeframe), mine in groupby(bars, key=lambda bar: (bar.symbol, bar.timeframe)):
        line = make_line(connection, symbol, timeframe)
        rows = [_row(line, _source(connection, sources, bar.source), bar) for bar in mine]
        new = _changes(connection, _NEW, rows)
        if new:
            connection.execute("UPDATE line SET bars = bars + ? WHERE id = ?", (new, line))
        changed += new + (_changes(connection, _BETTER, rows) if new < len(rows) else 0)
    return changed


def _row(line: int, source: int, bar: Bar) -> Row:
    numbers = 0, bar.start, bar.end, bar.received, bar.revision
    if bar.start >= bar.end or min(numbers) < 0 or max(numbers) > _INTEGER_MAX:
        raise DataError(
            f"{bar.symbol} {bar.timeframe}: a bar from {bar.start} to {bar.end} (received {bar.received}, revision "
            f"{bar.revision}) is no span of time",
            hint="its start must be before its end, both in ns UTC since 1970",
        )
    return (
        line, bar.end, bar.end - bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume, source, bar.received,
        bar.revision,
    )  # fmt: skip


def _source(connection: sqlite3.Connection, known: dict[str, int], name: str) -> int:
    if name not in known:
        connection.execute("INSERT OR IGNORE INTO source (name) VALUES (?)", (name,))
        known[name] = connection.execute("SELECT id FROM source WHERE name = ?", (name,)).fetchone()[0]
    return known[name]


def _changes(connection: sqlite3.Connection, statement: str, rows: Iterable[Sequence[object]]) -> int:
    before = connection.total_changes
    connection.executemany(statement, rows)
    return connection.total_changes - before


def cover_span(connection: sqlite3.Connection, line: int, start: int, end: int) -> None:
    """Add a span to what is covered: those it touches become one with it."""
    touching = "line = ? AND end >= ? AND start <= ?"
    spans = connection.execute(f"SELECT start, end FROM covered WHERE {touching}", (line, start, end)).fetchall()
    connection.execute(f"DELETE FROM covered WHERE {touching}", (line, start, end))
    rows = [(line, *span) for span in merged([*spans, (start, end)])]
    connection.executemany("INSERT INTO covered VALUES (?, ?, ?)", rows)


def remove_bars(connection: sqlite3.Connection, timeframe: str, until: int) -> int:
    """Remove the bars of a timeframe that ended at or before ``until`` (ns UTC): what it covers begins there now. How
    many."""
    execute = connection.execute
    removed = 0
    for (line,) in execute("SELECT id FROM line WHERE timeframe = ?", (timeframe,)).fetchall():
        gone = execute("DELETE FROM bar WHERE line = ? AND end <= ?", (line, until)).rowcount
        if gone:
            execute("UPDATE line SET bars = bars - ? WHERE id = ?", (gone, line))
        execute("DELETE FROM covered WHERE line = ? AND end <= ?", (line, until))
        execute("UPDATE covered SET start = ? WHERE line = ? AND start < ?", (until, line, until))
        removed += gone
    return removed


def add_actions(connection: sqlite3.Connection, actions: Iterable[CorporateAction]) -> int:
    """See ``HistoryStore.add_actions``."""
    ordered = sorted(actions, key=_group)
    return sum(_put_actions(connection, group, list(mine)) for group, mine in groupby(ordered, key=_group))


def _group(action: CorporateAction) -> tuple[str, int, str]:
    return action.symbol, action.time, type(action).__name__


def _put_actions(connection: sqlite3.Connection, group: tuple[str, int, str], mine: list[CorporateAction]) -> int:
    bodies = list(dict.fromkeys(map(msgspec.json.encode, mine)))
    where = "symbol = ? AND time = ? AND kind = ?"
    select = f"SELECT body FROM action WHERE {where} ORDER BY number"
    known = [row[0] for row in connection.execute(select, group)]
    if known == bodies:
        return 0
    connection.execute(f"DELETE FROM action WHERE {where}", group)
    rows = [(*group, number, body) for number, body in enumerate(bodies)]
    connection.executemany("INSERT INTO action VALUES (?, ?, ?, ?, ?)", rows)
    return sum(body not in known for body in bodies) or 1


def action_of(body: bytes) -> CorporateAction:
    """The split or dividend of a row."""
    return msgspec.json.decode(body, type=Split | Dividend)


def shrink(connection: sqlite3.Connection) -> None:
    """Give free pages back to the disk, and write the log into the file."""
    connection.executescript("PRAGMA incremental_vacuum")  # execute() would free one page only: it steps once
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
