"""Read one file of market data into columns of numbers, one series a symbol, every row checked."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from appliance.data.layout import Layout, nearest, recognise
from appliance.data.packing import Unzipped
from appliance.data.parquet import MAGIC, parquet_text
from appliance.data.reading import BLOCK, Reader, Series
from appliance.data.rows import Scratch
from appliance.data.rules import Findings
from appliance.domain.market import DAY, HOUR, RECORDED
from appliance.errors import DataError, UsageError

TELLING = 20
"""Bars of which some two would be neighbours, were they shorter than their smallest distance."""
_GZIP = b"\x1f\x8b"
Told = Callable[[int], None]
"""Hears how many bytes of a file have been read since it was last told."""
_UNITS = ((DAY, "d"), (HOUR, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"), (1, "ns"))


def untold(read: int) -> None:
    """Nobody watches."""


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

    def take(self, reader: Reader) -> None:
        """What a reader has found."""
        self.rows, self.bad, self.suspicious, self.silent = reader.rows, reader.bad, reader.suspicious, reader.silent
        self.symbols = tuple(sorted(reader.table))
        self.series = {symbol: series for symbol in self.symbols if (series := reader.table[symbol]) is not None}


def load(path: str, wanted: Sequence[str], findings: Findings, scratch: Scratch, told: Told = untold) -> Loaded:
    """Read a file. Bad rows go to ``findings`` and are left out; ``wanted`` (all when empty) chooses symbols; the rows
    are kept in ``scratch``, and ``told`` hears how many bytes of the file have been read since it was last told.

    Raises DataError when there is no such file, it cannot be read, is empty, or lacks a column, and UsageError for a
    Parquet file without pyarrow. Of a damaged gzip file the rows before the damage are taken, and ``findings`` told.
    """
    with _opened(path) as (stream, raw):
        first = stream.readline().removeprefix(codecs.BOM_UTF8)
        header = next(csv.reader([first.decode()]), None)
        if not header or not any(header):
            _whole(path, stream)
            raise DataError(f"{path}: the file is empty", hint="the first line must be a header such as ts,symbol,open")
        loaded = Loaded(Path(path).name, recognise(path, header))
        reader = Reader(loaded.name, loaded.layout, wanted, findings, scratch)
        reader.read(stream, 1, _telling(stream, raw, told))
        if not reader.rows:
            _whole(path, stream)
        if fault := _fault(stream):
            findings.cut_off(path, reader.rows, reader.bad, fault)
    loaded.take(reader)
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
        overlap = 0 < smallest < RECORDED[asked]
        telling = bool(found) and sum(series.rows.count for series in loaded.series.values()) >= TELLING
        if found != asked and (overlap or telling):
            raise UsageError(
                f"timeframe {asked!r} does not fit {loaded.name}: two of its bars are {_length(smallest)} apart",
                hint=f"it must be {found}" if found else "name a shorter one",
            )
        return asked
    if found:
        return found
    told = f"two bars are {_length(smallest)} apart or more" if smallest else "one bar tells no timeframe"
    raise DataError(f"{loaded.name}: {told}", hint=f"name it with --timeframe; it must be one of {', '.join(RECORDED)}")


def _timeframe(smallest: int) -> str:
    """The name of a length (ns), "" where it has none; days may be 23 or 25 hours apart where clocks change."""
    if abs(smallest - DAY) <= HOUR:
        return "1d"
    return next((name for name, length in RECORDED.items() if length == smallest), "")


def _length(ns: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if ns % size == 0)
    return f"{ns // size}{unit}"


@contextmanager
def text_rows(path: str, whole: bool = True) -> Iterator[Any]:
    """The csv reader of a file; everything that goes wrong while reading is a DataError, where it has to be ``whole``
    also that a gzip file ends too early."""
    with _opened(path) as (stream, _), io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        yield csv.reader(text)
        if whole:
            _whole(path, stream)


@contextmanager
def _opened(path: str) -> Iterator[tuple[Any, IO[bytes]]]:
    """The bytes of a file, unpacked, and the file as it lies on the disk."""
    try:
        with open(path, "rb") as raw:
            start = raw.read(4)
            raw.seek(0)
            if start[:2] == _GZIP or path.endswith(".gz"):
                yield io.BufferedReader(Unzipped(raw), BLOCK), raw
            elif start == MAGIC or path.endswith(".parquet"):
                yield io.BufferedReader(parquet_text(path, raw), BLOCK), raw
            else:
                yield raw, raw
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", hint=_neighbour(path)) from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder, not a file", hint="name each file in it: --data FILE --data FILE") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV text in UTF-8: {error}", hint="export it as plain CSV") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}", hint="look at its permissions") from None


def _neighbour(path: str) -> str:
    folder = Path(path).parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist either"
    return nearest(Path(path).name, (entry.name for entry in folder.iterdir())) or f"look into {folder}"


def _fault(stream: IO[bytes]) -> str:
    """What is wrong with the gzip file a stream comes from, "" where there is nothing, or no such file."""
    return str(getattr(getattr(stream, "raw", None), "fault", ""))


def _whole(path: str, stream: IO[bytes]) -> None:
    """Raise DataError where the stream ended because its file is damaged."""
    if fault := _fault(stream):
        raise DataError(f"{path}: the gzip data is damaged: {fault}", hint="copy the file again")


def _telling(stream: IO[bytes], raw: IO[bytes], told: Told) -> Callable[[], None]:
    before = 0
    place = getattr(getattr(stream, "raw", None), "place", raw.tell)

    def tell() -> None:
        nonlocal before
        read = place()
        told(read - before)
        before = read

    return tell
