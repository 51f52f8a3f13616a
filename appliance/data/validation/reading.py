"""Rows of a file as events to be judged: nothing is refused here, for the verdict is what is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from appliance.data.layout import BARS, QUOTE_BARS, TRADES, Kind, nearest, recognise
from appliance.data.load import text_rows
from appliance.data.options import FileOptions, new_york_date
from appliance.data.rules import EARLIEST, LATEST
from appliance.data.validation.rules import RULES
from appliance.data.validation.verdicts import Finding
from appliance.domain.market import DAY, HOUR, RECORDED, SECOND, Bar, Heard, Quote, Sessions, Trade, timeframe_ns
from appliance.errors import DataError

SAMPLE = 1000
"""Rows that tell how long the bars of a file are."""
EVERY = 10_000
"""Rows between two words on how far it is."""
ROW, PACKED_ROW = 50, 9
"""Bytes a row takes, roughly, as text and packed."""
NAN = float("nan")
PROVENANCE = frozenset(("start", "source", "received", "revision"))
"""Columns of bars that are read where a file has them; ``start`` (ns UTC) says where a bar is shorter than usual."""
LONG_WEEKEND = 4 * DAY
"""Days, weeks and months of sessions may be longer than those of a clock by as much as a market stays closed."""
DIGITS_MAX = 9
"""Of a revision: more is no count."""
Row = Sequence[str]
Make = Callable[[Row, int], Heard]
Rows = Callable[[int], None]


class Recorded(Struct, frozen=True):
    """A file to be judged: what it holds (``timeframe`` is empty for ticks) and how it is read."""

    path: str
    kind: Kind
    timeframe: str
    header: tuple[str, ...]


def recorded(path: str, timeframe: str = "") -> Recorded:
    """Look at the beginning of a file. Quote bars are judged as the quotes at their ends. Raises DataError for a file
    that cannot be read or lacks a column, or where ``timeframe`` is not given and cannot be told; whether it is whole
    is told by who reads it to its end."""
    with text_rows(path, whole=False) as rows:
        header = next(rows, None)
        if not header:
            raise DataError(f"{path}: the file is empty", hint="the first line must be a header such as ts,symbol,open")
        layout = recognise(path, header)
        if not layout.kind.is_bar:
            return Recorded(path, layout.kind, "", layout.header)
        return Recorded(path, layout.kind, timeframe or _timeframe(path, rows, layout.header), layout.header)


def events(file: Recorded, options: FileOptions, read: Rows = lambda rows: None) -> Iterator[Heard | Finding]:
    """The events of a file, row by row, symbol by symbol as it has them; a Finding for a row that is none. ``options``
    choose symbols, dates and which end of a bar is stamped; ``read`` hears how many more rows have been read."""
    wanted, (first, last) = frozenset(options.symbols), options.span
    column = {name: place for place, name in enumerate(file.header)}
    stamp, name, width = column["ts"], column["symbol"], len(file.header)
    make = _MAKERS[file.kind.name](file, column, options)
    symbols: set[str] = set()
    with text_rows(file.path) as rows:
        next(rows)
        for number, row in enumerate(rows):
            if number % EVERY == EVERY - 1:
                read(EVERY)
            if not row:
                continue
            time = _time(row[stamp]) if len(row) == width else 0
            if not time or not row[name]:
                yield _unreadable(file, rows.line_num, row)
                continue
            symbols.add(row[name])
            if first <= time < last and (not wanted or row[name] in wanted):
                yield make(row, time)
    _all_there(file, options.symbols, symbols)


def check_spans(file: Recorded, options: FileOptions) -> None:
    """Raise DataError where a file's stamps do not tell what its bars cover: weeks, months, hours across a close."""
    told = file.kind is BARS and "start" in file.header and options.bar_stamp == "end"
    if file.timeframe and file.timeframe not in RECORDED and not told:
        raise DataError(
            f"{Path(file.path).name}: bars of {file.timeframe} begin and end with sessions, and it does not say when",
            hint="give their end as ts and a column start, as 'appliance data export' does, or shorter bars",
        )


def lines(path: str) -> int:
    """How many rows a file has, guessed by its size: for a bar that says how far a reader is."""
    size = Path(path).stat().st_size
    return max(1, size // (PACKED_ROW if path.endswith(".gz") else ROW))


def _all_there(file: Recorded, wanted: Sequence[str], symbols: set[str]) -> None:
    absent = [symbol for symbol in wanted if symbol not in symbols]
    if absent:
        known = sorted(symbols)
        raise DataError(
            f"{Path(file.path).name}: no symbol {', '.join(absent)}",
            hint=f"{nearest(absent[0], known)} there are {', '.join(known[:20])}".strip(),
        )


def _time(text: str) -> int:
    """A stamp (ns UTC), 0 where it is none."""
    try:
        stamp = int(text)
    except ValueError:
        return 0
    return stamp if EARLIEST <= stamp < LATEST else 0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return NAN


def _side(text: str) -> float:
    """A price of a quote; an empty field: nobody quotes."""
    return _number(text) if text else 0.0


def _unreadable(file: Recorded, line: int, row: Row) -> Finding:
    text = f"{Path(file.path).name} row {line}: {','.join(row)[:80]!r}"
    return Finding("unreadable", RULES["unreadable"].outcome, "", 0, text, Path(file.path).name)


def _bars(file: Recorded, column: Mapping[str, int], options: FileOptions) -> Make:
    cells = [column[name] for name in ("open", "high", "low", "close", "volume")]
    name, timeframe, span = column["symbol"], file.timeframe, _span(file, options)

    def make(row: Row, time: int) -> Bar:
        start, end = span(time)
        try:
            numbers = [float(row[cell]) for cell in cells]
        except ValueError:
            numbers = [_number(row[cell]) for cell in cells]
        opened, high, low, close, volume = numbers
        return Bar(row[name], timeframe, start, end, opened, high, low, close, volume)

    return _with_provenance(make, column, options, timeframe) if PROVENANCE & column.keys() else make


def _with_provenance(
    make: Callable[[Row, int], Bar], column: Mapping[str, int], options: FileOptions, timeframe: str
) -> Make:
    """Bars with what a file says beside their prices: where they begin, who told them, how often they were revised."""
    start, source, received, revision = (column.get(name) for name in ("start", "source", "received", "revision"))
    at_end = options.bar_stamp == "end"
    longest = timeframe_ns(timeframe)
    longest = longest if longest < DAY else longest * 11 // 10 + LONG_WEEKEND

    def whole(row: Row, time: int) -> Bar:
        bar = make(row, time)
        begin = _time(row[start]) if start is not None and at_end else 0
        inside = 0 < time - begin <= longest
        return replace(
            bar, start=begin if inside else bar.start, end=time if inside else bar.end,
            source="" if source is None else row[source], received=0 if received is None else _time(row[received]),
            revision=0 if revision is None else _count(row[revision]),
        )  # fmt: skip

    return whole


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else 0


def _quote_bars(file: Recorded, column: Mapping[str, int], options: FileOptions) -> Make:
    name, bid, ask, span = column["symbol"], column["bid_close"], column["ask_close"], _span(file, options)
    return lambda row, time: Quote(row[name], span(time)[1], _side(row[bid]), _side(row[ask]))


def _quotes(file: Recorded, column: Mapping[str, int], options: FileOptions) -> Make:
    """A row may tell one side alone: the other is as it was told last."""
    name, bid, ask = column["symbol"], column["bid"], column["ask"]
    received = _received(column)
    sides: dict[str, list[float]] = {}

    def make(row: Row, time: int) -> Quote:
        known = sides.setdefault(row[name], [0.0, 0.0])
        known[:] = [_number(row[cell]) if row[cell] else last for cell, last in zip((bid, ask), known, strict=True)]
        exchange, got = received(row, time)
        return Quote(row[name], exchange, known[0], known[1], received=got)

    return make


def _trades(file: Recorded, column: Mapping[str, int], options: FileOptions) -> Make:
    name, price, size = column["symbol"], column["price"], column["size"]
    received = _received(column)

    def make(row: Row, time: int) -> Trade:
        exchange, got = received(row, time)
        return Trade(row[name], exchange, _number(row[price]), _number(row[size]), received=got)

    return make


def _received(column: Mapping[str, int]) -> Callable[[Row, int], tuple[int, int]]:
    """Exchange time and receipt: where a file has ``exch_ts``, its ``ts`` is when the row was received."""
    place = column.get("exch_ts")
    if place is None:
        return lambda row, time: (time, 0)
    return lambda row, time: (_time(row[place]) or time, time)


_MAKERS: dict[str, Callable[[Recorded, Mapping[str, int], FileOptions], Make]] = {
    BARS.name: _bars,
    QUOTE_BARS.name: _quote_bars,
    TRADES.name: _trades,
    "tick quotes": _quotes,
}


def _span(file: Recorded, options: FileOptions) -> Callable[[int], tuple[int, int]]:
    """Start and end of a bar by its stamp. A day is that of its session."""
    check_spans(file, options)
    length = timeframe_ns(file.timeframe)
    at_start = options.bar_stamp == "start"
    if length == DAY:
        return _day_span(options.sessions, at_start)
    if at_start:
        return lambda stamp: (stamp, stamp + length)
    return lambda stamp: (stamp - length, stamp)


def _day_span(sessions: Sessions | None, at_start: bool) -> Callable[[int], tuple[int, int]]:
    by_date = {session.date: session for session in sessions or ()}

    def span(stamp: int) -> tuple[int, int]:
        utc = at_start and stamp % DAY == 0
        date = (
            datetime.fromtimestamp(stamp // SECOND, UTC).date().isoformat()
            if utc
            else new_york_date(stamp - (not at_start))
        )
        session = by_date.get(date)
        if session is None:
            return (stamp, stamp + DAY) if at_start else (stamp - DAY, stamp)
        return session.open, session.close if at_start else max(stamp, session.close)

    return span


def _timeframe(path: str, rows: Any, header: Sequence[str]) -> str:
    """By the commonest distance between two rows of a symbol."""
    stamp, name = header.index("ts"), header.index("symbol")
    last: dict[str, int] = {}
    steps: Counter[int] = Counter()
    for _, row in zip(range(SAMPLE), rows, strict=False):
        if len(row) == len(header) and (time := _time(row[stamp])):
            step = time - last.get(row[name], time)
            steps[DAY if abs(step - DAY) <= HOUR else step] += step > 0
            last[row[name]] = time
    step = steps.most_common(1)[0][0] if steps else 0
    found = next((frame for frame, length in RECORDED.items() if length == step), "")
    if not found:
        raise DataError(
            f"{Path(path).name}: its rows do not tell how long its bars are",
            hint=f"name it with --timeframe; it must be one of {', '.join(RECORDED)}",
        )
    return found
