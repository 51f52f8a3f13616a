"""Splits and dividends: raw prices become adjusted ones, in exact decimals."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from appliance.data.layout import nearest
from appliance.data.load import text_rows
from appliance.data.options import midnight
from appliance.data.tracks import Track
from appliance.errors import DataError

_COLUMNS = ("symbol", "through_date", "price_factor", "split_factor")


class Factor(Struct, frozen=True):
    """For days up to the one before ``until`` (a New York midnight, ns UTC): what prices are multiplied by in all,
    and what sizes are divided by."""

    until: int
    price: Decimal
    split: float


Factors = dict[str, list[Factor]]


def load_factors(path: str) -> Factors:
    """The factors by symbol, dates ascending. Raises DataError naming file, row and column."""
    factors: Factors = {}
    with text_rows(path) as rows:
        header = next(rows, None) or []
        missing = [name for name in _COLUMNS if name not in header]
        if missing:
            guess = nearest(missing[0], header)
            raise DataError(
                f"{path}: missing column {missing[0]} in a file of factors",
                hint=f"{guess} it needs {','.join(_COLUMNS)}".strip(),
            )
        for row in rows:
            if row:
                cells = dict(zip(header, row, strict=False))
                _add(factors, path, rows, cells)
    return factors


def _add(factors: Factors, path: str, rows: Any, cells: dict[str, str]) -> None:
    symbol = _cell(path, rows, cells, "symbol", str)
    day = _cell(path, rows, cells, "through_date", date.fromisoformat)
    price = _cell(path, rows, cells, "price_factor", _positive)
    split = _cell(path, rows, cells, "split_factor", _positive)
    known = factors.setdefault(symbol, [])
    factor = Factor(midnight(day + timedelta(days=1)), price * split, float(split))
    if known and factor.until <= known[-1].until:
        raise DataError(
            f"{path} row {rows.line_num}: through_date = {day}: dates of {symbol} must ascend",
            hint="sort the file by symbol and date, one row for each date",
        )
    known.append(factor)


def _cell(path: str, rows: Any, cells: dict[str, str], column: str, read: Any) -> Any:
    text = cells.get(column, "")
    try:
        if text:
            return read(text)
    except (ValueError, InvalidOperation):
        pass
    raise DataError(
        f"{path} row {rows.line_num}: {column} = {text!r}: not usable", hint="give dates as YYYY-MM-DD, factors above 0"
    )


def _positive(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite() or number <= 0:
        raise ValueError(text)
    return number


def adjust(track: Track, factors: list[Factor]) -> None:
    """Adjust a track in place: prices times price and split factor of their day, sizes divided by the split factor.

    A bar that ends at midnight belongs to the day before. Days after the last row stay as they are.
    """
    shift = -1 if track.kind.is_bar else 0
    begin = 0
    for factor in factors:
        end = bisect_left(track.known, factor.until - shift)
        if begin < end and (factor.price != 1 or factor.split != 1):
            _scale(track, begin, end, factor)
        begin = max(begin, end)


def _scale(track: Track, begin: int, end: int, factor: Factor) -> None:
    """Prices are multiplied as decimals and rounded once, to the nearest float: one ulp off can miss a limit."""
    flat, width, prices = track.flat, track.width, len(track.kind.prices)
    seen: dict[float, float] = {}
    for at in range(begin * width, end * width):
        number = flat[at]
        if at % width >= prices:
            flat[at] = number / factor.split
            continue
        scaled = seen.get(number)
        if scaled is None:
            scaled = seen[number] = float(Decimal(repr(number)) * factor.price)
        flat[at] = scaled
