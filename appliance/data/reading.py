"""A file's rows into numbers, a block of them at a time; a block with anything unusual in it is read row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from appliance.data.layout import BARS, QUOTE_BARS, QUOTES, TRADES, Layout
from appliance.data.parsing import Table
from appliance.data.rows import Floats, Rows, Scratch, Times, packed
from appliance.data.rules import EARLIEST, LATEST, Findings

INFINITE = float("inf")
BLOCK = 1 << 20
"""Bytes of text that are read at a time."""
SETTLED = 8_192
"""Lines after which what was read one by one is kept as numbers."""
Row = Sequence[str]


class Series:
    """The good rows of one symbol in one file, the stamp of the last one and the smallest distance between two (ns)."""

    __slots__ = ("last", "rows", "sides", "smallest", "symbol", "waiting")

    def __init__(self, symbol: str, rows: Rows) -> None:
        self.symbol = symbol
        self.rows = rows
        self.last = 0
        self.smallest = 0
        self.sides = [0.0, 0.0, 0.0, 0.0]
        self.waiting: list[tuple[int, Sequence[float]]] = []

    def note_gap(self, stamp: int) -> None:
        """The next row has this stamp."""
        gap = stamp - self.last
        if self.last and (gap < self.smallest or not self.smallest):
            self.smallest = gap
        self.last = stamp

    def settle(self) -> None:
        """Keep what has been read row by row."""
        if self.waiting:
            stamps = np.array([stamp for stamp, _ in self.waiting], dtype=np.int64)
            self.rows.append(packed(stamps, np.array([values for _, values in self.waiting], dtype=np.float64)))
            self.waiting.clear()


class Reader:
    """Reads the rows of one file. ``wanted`` (all when empty) chooses symbols; bad rows go to ``findings`` and are left
    out. Counts as ``Loaded`` has them."""

    def __init__(self, name: str, layout: Layout, wanted: Iterable[str], findings: Findings, scratch: Scratch) -> None:
        self.table: dict[str, Series | None] = {}
        self.rows = self.suspicious = self.silent = self.bad = 0
        self._name, self._layout, self._findings, self._scratch = name, layout, findings, scratch
        self._chosen = frozenset(wanted)
        self._symbol, self._ts, self._flag = (layout.index(name) for name in ("symbol", "ts", "suspicious"))
        self._places = [*map(layout.index, layout.columns)]
        self._pick: Callable[[Row], tuple[str, ...]] = itemgetter(*self._places)
        self._step = 1 if layout.strict else 0
        self._parse = _PARSERS.get(layout.kind, _trade)
        self._width = 1 + (4 if layout.kind is QUOTES else len(layout.columns))

    def read(self, stream: IO[bytes], line: int, told: Callable[[], None]) -> None:
        """Read all rows of a stream of text, after so many lines of it; ``told`` is called after each block. Raises
        UnicodeDecodeError and csv.Error."""
        left = b""
        while True:
            block = stream.read(BLOCK)
            text = left + (block or (b"\n" if left else b""))
            if not text:
                break
            end = text.rfind(b"\n") + 1
            if _is_odd(text) or not end:
                self._one_by_one(_decoded(text, stream), line)
                break
            left = text[end:]
            line += self._block(text[:end], line)
            told()
        self.table.pop("", None)

    def _block(self, text: bytes, line: int) -> int:
        """Take a block of whole lines; how many they are."""
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        if b"\r" in text or not self._at_once(text):
            return self._one_by_one(io.StringIO(text.decode(), newline=""), line)
        return text.count(b"\n")

    def _series(self, symbol: str) -> Series | None:
        found = None
        if not self._chosen or symbol in self._chosen:
            found = Series(symbol, self._scratch.rows(self._width))
        self.table[symbol] = found
        return found

    # --- a whole block --------------------------------------------------------------------------------------------

    def _at_once(self, text: bytes) -> bool:
        """Whether every row of the block was good, and has been taken."""
        table = Table.of(text, self._layout.width)
        if table is None:
            return False
        rows = table.count
        table = self._of_wanted(table)
        flagged = table.is_one(self._flag) if self._flag >= 0 else None
        suspicious = int(flagged.sum()) if flagged is not None else 0
        table = table.only(~flagged) if flagged is not None and suspicious else table
        parts = self._parts(table) if table.count else []
        if parts is None:
            return False
        self.rows += rows
        self.suspicious += suspicious
        for series, stamps, numbers in parts:
            self._take(series, stamps, numbers)
        return True

    def _of_wanted(self, table: Table) -> Table:
        """The rows of wanted symbols."""
        texts, codes = table.codes(self._symbol)
        wanted = [self._known(text.decode()) is not None for text in texts]
        return table if all(wanted) else table.only(np.array(wanted)[codes])

    def _known(self, symbol: str) -> Series | None:
        return self.table[symbol] if symbol in self.table else self._series(symbol)

    def _parts(self, table: Table) -> list[tuple[Series, Times, Floats]] | None:
        """The numbers of each symbol; None when one of them may not be right."""
        stamps = table.stamps(self._ts)
        columns = [table.numbers(place) for place in self._places] if stamps is not None else []
        if stamps is None or any(column is None for column in columns):
            return None
        columns += [np.zeros(table.count)] * (self._width - 1 - len(columns))
        numbers: Floats = np.array(columns)
        right = _RIGHT[self._layout.kind.name](numbers) & (stamps >= EARLIEST) & (stamps < LATEST)
        if not right.all():
            return None
        parts = [*self._by_symbol(table, stamps, numbers.T)]
        in_order = (
            series.symbol and int(times[0]) >= series.last + self._step and bool(np.all(np.diff(times) >= self._step))
            for series, times, _ in parts
        )
        return parts if all(in_order) else None

    def _by_symbol(self, table: Table, stamps: Times, numbers: Floats) -> Iterator[tuple[Series, Times, Floats]]:
        texts, codes = table.codes(self._symbol)
        order = np.argsort(codes, kind="stable") if len(texts) > 1 else None
        ends = np.cumsum(np.bincount(codes)).tolist()
        for text, begin, end in zip(texts, [0, *ends], ends, strict=False):
            series, places = self.table[text.decode()], slice(None) if order is None else order[begin:end]
            if series is not None:
                yield series, stamps[places], numbers[places]

    def _take(self, series: Series, stamps: Times, numbers: Floats) -> None:
        gaps = np.diff(stamps)
        gaps = gaps[gaps > 0]
        series.note_gap(int(stamps[0]))
        if len(gaps):
            smallest = int(gaps.min())
            series.smallest = min(series.smallest, smallest) if series.smallest else smallest
        series.last = int(stamps[-1])
        if self._layout.kind is QUOTES:
            series.sides = numbers[-1].tolist()
        series.rows.append(packed(stamps, numbers))

    # --- row by row -----------------------------------------------------------------------------------------------

    def _one_by_one(self, text: Iterable[str], line: int) -> int:
        """Tells good from bad; what is wrong with a row is found out elsewhere. How many lines there were."""
        rows = csv.reader(text)
        for row in rows:
            if len(row) != self._layout.width:
                if row:
                    self.rows += 1
                    self._refuse(line + rows.line_num, row, None)
                continue
            self.rows += 1
            self._one(row, line + rows.line_num)
            if rows.line_num % SETTLED == 0:
                self._settle()
        self._settle()
        return rows.line_num

    def _settle(self) -> None:
        for series in self.table.values():
            if series is not None:
                series.settle()

    def _one(self, row: list[str], line: int) -> None:
        symbol = row[self._symbol]
        series = self._known(symbol)
        if series is None:
            return
        if self._flag >= 0 and row[self._flag] == "1":
            self.suspicious += 1
            return
        try:
            stamp = int(row[self._ts])
            values = self._parse(self._pick(row), series)
        except ValueError:
            values = None
        if values is None or stamp < series.last + self._step or not EARLIEST <= stamp < LATEST or not symbol:
            self._refuse(line, row, series.last or None)
            return
        series.note_gap(stamp)
        if values:
            series.waiting.append((stamp, values))
        else:
            self.silent += 1

    def _refuse(self, line: int, row: Row, last: int | None) -> None:
        self.bad += 1
        self._findings.add(self._name, line, self._layout, row, last)


def _is_odd(text: bytes) -> bool:
    """Whether from here on only a CSV reader can tell where rows end, or a decoder what they say."""
    return b'"' in text or b"\0" in text or not text.isascii()


def _decoded(text: bytes, stream: IO[bytes]) -> Iterable[str]:
    """The lines of the text and of what follows in the stream."""
    return io.TextIOWrapper(io.BufferedReader(_Joined(text, stream), BLOCK), encoding="utf-8", newline="")


class _Joined(io.RawIOBase):
    """Some bytes, and a stream after them."""

    def __init__(self, first: bytes, stream: IO[bytes]) -> None:
        self._first, self._stream = first, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        part, self._first = self._first[:size], self._first[size:]
        part = part or self._stream.read(size)
        buffer[: len(part)] = part
        return len(part)


Right = npt.NDArray[np.bool_]


def _right_candle(candle: Floats) -> Right:
    opened, high, low, close = candle
    inside = (low <= opened) & (opened <= high) & (low <= close) & (close <= high)
    return np.asarray(inside & (low > 0) & (high < INFINITE))


def _right_sizes(sizes: Floats) -> Right:
    return np.asarray(((sizes >= 0) & (sizes < INFINITE)).all(axis=0))


def _right_bar(numbers: Floats) -> Right:
    return np.asarray(_right_candle(numbers[:4]) & _right_sizes(numbers[4:]))


def _right_quote_bar(numbers: Floats) -> Right:
    bid, ask = numbers[:4], numbers[4:8]
    straight = (bid[0] <= ask[0]) & (bid[3] <= ask[3])
    return np.asarray(_right_candle(bid) & _right_candle(ask) & straight & _right_sizes(numbers[8:]))


def _right_quote(numbers: Floats) -> Right:
    """Both sides are there and not crossed: what else may be is decided row by row."""
    bid, ask = numbers[:2]
    return np.asarray((bid > 0) & (bid <= ask) & (ask < INFINITE) & _right_sizes(numbers[2:]))


def _right_trade(numbers: Floats) -> Right:
    return np.asarray((numbers[0] > 0) & (numbers[0] < INFINITE) & _right_sizes(numbers[1:]))


_RIGHT: dict[str, Callable[[Floats], Right]] = {
    BARS.name: _right_bar,
    QUOTE_BARS.name: _right_quote_bar,
    QUOTES.name: _right_quote,
    TRADES.name: _right_trade,
}

Values = Sequence[float] | None
"""A row's numbers; none of them when it gives no event; None when the row is bad. NaN fails every test below."""


def _bar(cells: tuple[str, ...], series: Series | None) -> Values:
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
            good = _bar((*prices, size), None)
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
