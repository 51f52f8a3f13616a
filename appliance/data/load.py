"""Read one file of market data into columns of numbers, one series a symbol, every row checked."""

from __future__ import annotations

import csv
import gzip
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

from appliance.data.layout import BARS, QUOTE_BARS, QUOTES, Layout, nearest, recognise
from appliance.data.rules import EARLIEST, LATEST, Findings
from appliance.domain.market import DAY, HOUR, TIMEFRAMES
from appliance.errors import DataError, UsageError

INFINITE = float("inf")
TELLING = 20
"""Bars of which some two would be neighbours, were they shorter than their smallest distance."""
_GZIP = b"\x1f\x8b"
_UNITS = ((DAY, "d"), (HOUR, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"), (1, "ns"))


class Series:
    """The good rows of one symbol in one file: stamps (ns UTC), and ``width`` numbers a row in ``flat``."""

    __slots__ = ("flat", "last", "sides", "smallest", "stamps", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.stamps = array("q")
        self.flat = array("d")
        self.last = 0
        self.smallest = 0
        self.sides = [0.0, 0.0, 0.0, 0.0]


class Loaded:
    """One file after reading: its layout, the wanted series, the names of all symbols, and what was left out."""

    def __init__(self, name: str, layout: Layout) -> None:
        self.name = name
        self.layout = layout
        self.series: dict[str, Series] = {}
        self.symbols: tuple[str, ...] = ()
        self.rows = 0
        self.suspicious = 0
        self.silent = 0
        """Good rows that give no event: one side of the quote is unknown, or older than the other and crossed."""
        self.bad = 0


def load(path: str, wanted: Sequence[str], findings: Findings) -> Loaded:
    """Read a file. Bad rows go to ``findings`` and are left out; ``wanted`` (all when empty) chooses symbols.

    Raises DataError when there is no such file, it cannot be read, is empty, or lacks a column.
    """
    with text_rows(path) as rows:
        header = next(rows, None)
        if not header or not any(header):
            raise DataError(f"{path}: the file is empty", hint="the first line must be a header such as ts,symbol,open")
        loaded = Loaded(Path(path).name, recognise(path, header))
        _read(loaded, rows, wanted, findings)
    if not loaded.rows:
        raise DataError(f"{path}: a header, but no rows", hint="look whether the export went through")
    return loaded


def timeframe_of(loaded: Loaded, asked: str = "") -> str:
    """The timeframe's name: as asked, or by the smallest distance between two stamps of a symbol. Empty for ticks.

    Raises UsageError when what is asked does not fit that distance (few bars may lie further apart than they are long),
    DataError when nothing is asked and none fits."""
    if not loaded.layout.kind.is_bar:
        return ""
    smallest = min((series.smallest for series in loaded.series.values() if series.smallest), default=0)
    found = _timeframe(smallest)
    if asked:
        overlap = 0 < smallest < TIMEFRAMES[asked]
        telling = bool(found) and sum(len(series.stamps) for series in loaded.series.values()) >= TELLING
        if found != asked and (overlap or telling):
            raise UsageError(
                f"timeframe {asked!r} does not fit {loaded.name}: two of its bars are {_length(smallest)} apart",
                hint=f"it must be {found}" if found else "name a shorter one",
            )
        return asked
    if found:
        return found
    told = f"two bars are {_length(smallest)} apart or more" if smallest else "one bar tells no timeframe"
    raise DataError(
        f"{loaded.name}: {told}", hint=f"name it with --timeframe; it must be one of {', '.join(TIMEFRAMES)}"
    )


def _timeframe(smallest: int) -> str:
    """The name of a length (ns), "" where it has none; days may be 23 or 25 hours apart where clocks change."""
    if abs(smallest - DAY) <= HOUR:
        return "1d"
    return next((name for name, length in TIMEFRAMES.items() if length == smallest), "")


def _length(ns: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if ns % size == 0)
    return f"{ns // size}{unit}"


@contextmanager
def text_rows(path: str) -> Iterator[Any]:
    """The csv reader of a file; everything that goes wrong while reading is a DataError."""
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == _GZIP or path.endswith(".gz")
        opener: Callable[..., Any] = gzip.open if packed else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
            yield csv.reader(text)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", hint=_neighbour(path)) from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder, not a file", hint="name each file in it: --data FILE --data FILE") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the gzip data is damaged: {error}", hint="copy the file again") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV text in UTF-8: {error}", hint="export it as plain CSV") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}", hint="look at its permissions") from None


def _neighbour(path: str) -> str:
    folder = Path(path).parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist either"
    return nearest(Path(path).name, (entry.name for entry in folder.iterdir())) or f"look into {folder}"


def _read(loaded: Loaded, rows: Any, wanted: Sequence[str], findings: Findings) -> None:
    """The hot loop: it only tells good from bad; what is wrong with a row is found out elsewhere."""
    layout = loaded.layout
    width, step = layout.width, 1 if layout.strict else 0
    symbol_at, ts_at, flag_at = layout.index("symbol"), layout.index("ts"), layout.index("suspicious")
    pick, parse = _picker(layout), _PARSERS.get(layout.kind, _trade)
    table: dict[str, Series | None] = {}
    chosen = frozenset(wanted)
    for row in rows:
        if len(row) != width:
            if row:
                loaded.rows += 1
                _bad(loaded, findings, rows, row, None)
            continue
        loaded.rows += 1
        symbol = row[symbol_at]
        try:
            series = table[symbol]
        except KeyError:
            series = table[symbol] = Series(symbol) if not chosen or symbol in chosen else None
        if series is None:
            continue
        if flag_at >= 0 and row[flag_at] == "1":
            loaded.suspicious += 1
            continue
        last = series.last
        try:
            stamp = int(row[ts_at])
            values = parse(pick(row), series)
        except ValueError:
            values = None
        if values is None or stamp < last + step or not EARLIEST <= stamp < LATEST or not symbol:
            _bad(loaded, findings, rows, row, last or None)
            continue
        gap = stamp - last
        if last and (gap < series.smallest or not series.smallest):
            series.smallest = gap
        series.last = stamp
        if values:
            series.stamps.append(stamp)
            series.flat.extend(values)
        else:
            loaded.silent += 1
    table.pop("", None)
    loaded.symbols = tuple(sorted(table))
    loaded.series = {symbol: series for symbol in loaded.symbols if (series := table[symbol]) is not None}


def _bad(loaded: Loaded, findings: Findings, rows: Any, row: Sequence[str], last: int | None) -> None:
    loaded.bad += 1
    findings.add(loaded.name, rows.line_num, loaded.layout, row, last)


def _picker(layout: Layout) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """Takes a row's number fields, in the order of ``layout.columns``."""
    picked: Callable[[Sequence[str]], tuple[str, ...]] = itemgetter(*map(layout.index, layout.columns))
    return picked


Values = Sequence[float] | None
"""A row's numbers; none of them when it gives no event; None when the row is bad. NaN fails every test below."""


def _bar(cells: tuple[str, ...], series: Series) -> Values:
    opened, high, low, close, volume = values = tuple(map(float, cells))
    if 0 < low <= opened <= high and low <= close <= high < INFINITE and 0 <= volume < INFINITE:
        return values
    return None


def _quote_bar(cells: tuple[str, ...], series: Series) -> Values:
    if "" in cells:
        return _one_sided_bar(cells)
    values = tuple(map(float, cells))
    bid_open, bid_high, bid_low, bid_close, ask_open, ask_high, ask_low, ask_close = values[:8]
    if (
        0 < bid_low <= bid_open <= bid_high
        and bid_low <= bid_close <= bid_high
        and 0 < ask_low <= ask_open <= ask_high
        and ask_low <= ask_close <= ask_high < INFINITE
        and bid_open <= ask_open
        and bid_close <= ask_close
        and bid_high < INFINITE
        and all(0 <= size < INFINITE for size in values[8:])
    ):
        return values
    return None


def _one_sided_bar(cells: tuple[str, ...]) -> Values:
    """A span in which only one side was quoted: nothing to trade on, and nothing wrong with it."""
    for mine, other in ((0, 4), (4, 0)):
        if not any(cells[mine : mine + 4]) and all(cells[other : other + 4]):
            size = cells[8 + other // 4] if len(cells) > 8 else "0"
            prices = cells[other : other + 4]
            good = _bar((*prices, size), Series(""))
            return () if good else None
    return None


def _quote(cells: tuple[str, ...], series: Series) -> Values:
    """Sides that are empty keep their last value; a side at 0 is gone until it is quoted again."""
    bid, ask = cells[0], cells[1]
    if not bid and not ask:
        return None
    sides = series.sides.copy()
    for at, price in ((0, bid), (1, ask)):
        if price:
            sides[at] = float(price)
            sides[at + 2] = float(cells[at + 2] or 0) if len(cells) > 2 else 0.0
    if not all(0 <= number < INFINITE for number in sides):
        return None
    if bid and ask and sides[0] > sides[1] > 0:
        return None
    series.sides = sides
    return sides if 0 < sides[0] <= sides[1] else ()


def _trade(cells: tuple[str, ...], series: Series) -> Values:
    price, size = values = (float(cells[0]), float(cells[1]))
    return values if 0 < price < INFINITE and 0 <= size < INFINITE else None


_PARSERS: dict[Any, Callable[[tuple[str, ...], Series], Values]] = {
    BARS: _bar,
    QUOTE_BARS: _quote_bar,
    QUOTES: _quote,
}
