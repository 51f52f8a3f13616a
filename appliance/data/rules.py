"""What makes a row bad. The loader's quick test only says that something is wrong; this says what, and where."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from msgspec import Struct

from appliance.data.layout import Layout
from appliance.errors import DataError

SHOWN = 10
"""Verdicts an error message lists."""
KEPT = 1000
"""Verdicts a report keeps; beyond that they are only counted."""
EARLIEST, LATEST = 10**17, 8 * 10**18
"""Stamps (ns UTC) outside 1973 to 2223 are in another unit, or broken."""


class Verdict(Struct, frozen=True):
    """Why a row is bad. ``row`` is the line an editor shows (the header is 1); ``advice`` says what to do."""

    file: str
    row: int
    column: str
    value: str
    rule: str
    advice: str

    def __str__(self) -> str:
        return f"{self.file} row {self.row}: {self.column} = {self.value!r}: {self.rule}; {self.advice}"


Fault = tuple[str, str, str, str]
"""Column, value, rule, advice."""


class Findings:
    """Bad rows of all files of one load: counted, the first of them kept."""

    def __init__(self, keep: int) -> None:
        self.count = 0
        self.verdicts: list[Verdict] = []
        self._keep = keep
        self._damage: list[str] = []

    def add(self, file: str, number: int, layout: Layout, row: Sequence[str], last: int | None) -> None:
        """Count a bad row, and explain it while there is room."""
        self.count += 1
        if len(self.verdicts) < self._keep:
            self.verdicts.append(Verdict(file, number, *explain(layout, row, last)))

    def cut_off(self, path: str, rows: int, bad: int, fault: str) -> None:
        """A file is damaged after so many ``rows``, ``bad`` of them bad: what follows is lost."""
        self.count += 1
        self._damage.append(f"{path}: the gzip data is damaged after {rows - bad:,} good rows: {fault}")
        advice = "copy the file again: what follows is lost"
        self.verdicts.append(
            Verdict(path.rpartition("/")[2], rows + 2, "file", "", f"the gzip data ends: {fault}", advice)
        )

    def refuse(self) -> None:
        """Raise DataError with the first bad rows, if there are any, or for a file that is damaged."""
        if self._damage:
            raise DataError(
                "\n".join(self._damage),
                hint="copy the file again, or take the rows there are with --bad-rows quarantine",
            )
        if not self.count:
            return
        shown = "\n".join(f"  {verdict}" for verdict in self.verdicts[:SHOWN])
        more = f"\n  and {self.count - SHOWN} more" if self.count > SHOWN else ""
        raise DataError(
            f"{self.count} bad row{'s' if self.count > 1 else ''}:\n{shown}{more}",
            hint="correct the file, or leave such rows out with --bad-rows quarantine",
        )


def explain(layout: Layout, row: Sequence[str], last: int | None) -> Fault:
    """The first rule a row breaks; ``last`` is the stamp of the symbol's row before it (ns UTC), if there was one."""
    return next(_faults(layout, row, last), ("row", ",".join(row), "not usable", "look at the row"))


def _faults(layout: Layout, row: Sequence[str], last: int | None) -> Iterator[Fault]:
    if len(row) != layout.width:
        advice = f"the header has {layout.width} columns: complete the row, or quote a field that holds a comma"
        yield "row", ",".join(row)[:80], f"{len(row)} fields", advice
        return
    cells = dict(zip(layout.header, row, strict=True))
    yield from _stamp_faults(layout, cells, last)
    yield from _number_faults(layout, cells)
    yield from _price_faults(layout, cells)


def _stamp_faults(layout: Layout, cells: dict[str, str], last: int | None) -> Iterator[Fault]:
    if not cells["symbol"]:
        yield "symbol", "", "empty field", "name the symbol"
    text = cells["ts"]
    if not text:
        yield "ts", text, "empty field", "give the time as integer nanoseconds, UTC"
        return
    try:
        stamp = int(text)
    except ValueError:
        yield "ts", text, "not a whole number", "give the time as integer nanoseconds, UTC"
        return
    if not EARLIEST <= stamp < LATEST:
        yield "ts", text, "not in nanoseconds", "multiply seconds by 1000000000, milliseconds by 1000000"
    elif last is not None and stamp < last:
        yield "ts", text, f"time goes back within {cells['symbol']} (the row before: {last})", "sort the file by time"
    elif last is not None and stamp == last and layout.strict:
        yield "ts", text, f"time stands still within {cells['symbol']}", "keep one bar for each time"


def _number_faults(layout: Layout, cells: dict[str, str]) -> Iterator[Fault]:
    for column in layout.columns:
        text, is_size = cells[column], column in layout.sizes
        if not text:
            if not _side_is_empty(layout, cells, column):
                yield column, text, "empty field", "fill it in, or leave the row out"
            continue
        try:
            number = float(text)
        except ValueError:
            yield column, text, "not a number", "write digits and a decimal point, no unit and no thousands separator"
            continue
        if not math.isfinite(number):
            yield column, text, "NaN" if math.isnan(number) else "infinite", "give the real figure, or leave it out"
        elif number < 0:
            yield column, text, f"negative {'size' if is_size else 'price'}", "look at the source: it cannot be"
        elif number == 0 and not is_size and not layout.zero_is_none:
            yield column, text, "zero price", "leave the row out: nothing traded at 0"


def _side_is_empty(layout: Layout, cells: dict[str, str], column: str) -> bool:
    """Whether a quote has no prices at all on this column's side, and all of them on the other."""
    sides = layout.sides
    if not sides:
        return False
    mine, other = sides if column.startswith("bid") else sides[::-1]
    return not any(cells[name] for name in mine) and all(cells[name] for name in other)


def _price_faults(layout: Layout, cells: dict[str, str]) -> Iterator[Fault]:
    """Only reached when every field is a number or rightly empty."""
    for names in layout.candles:
        opened, high, low, close = (float(cells[name] or 0) for name in names)
        advice = "look whether the columns are swapped"
        if low > high:
            yield names[2], cells[names[2]], f"low above {names[1]} {high:g}", advice
        for name, price in ((names[0], opened), (names[3], close)):
            if price and not low <= price <= high:
                yield name, cells[name], f"outside low {low:g} .. high {high:g}", advice
    for bid, ask in layout.crossing:
        if cells[bid] and cells[ask] and float(cells[bid]) > float(cells[ask]) > 0:
            yield bid, cells[bid], f"crossed: above {ask} {cells[ask]}", "look whether bid and ask are swapped"
