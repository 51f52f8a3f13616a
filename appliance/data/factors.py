"""Splits and dividends: raw prices become adjusted ones, in exact decimals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from msgspec import Struct

from appliance.data.layout import Kind, nearest
from appliance.data.load import text_rows
from appliance.data.options import midnight, new_york_date
from appliance.data.rows import Floats, Times
from appliance.domain.market import CorporateAction, Dividend, Sessions, Split
from appliance.errors import DataError

_CENT = Decimal("0.01")
_SMALL = 100
_PRECISION = Fraction(1, 10_000)
"""How exact the split factors of a file are; two splits that differ by less are of the same small numbers."""
REMEMBERED = 4_096
"""Adjusted prices that are remembered: most come again and again."""
_COLUMNS = ("symbol", "through_date", "price_factor", "split_factor")


class Factor(Struct, frozen=True):
    """For days up to the one before ``until`` (a New York midnight, ns UTC): what prices are multiplied by in all,
    and what sizes are divided by. ``dividends`` is the part of ``price`` that dividends make, ``splits`` the other;
    ``reference`` is the last raw price (USD) of these days, None where the file does not say it."""

    until: int
    price: Decimal
    split: float
    dividends: Decimal = Decimal(1)
    splits: Decimal = Decimal(1)
    reference: Decimal | None = None


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
    reference = _cell(path, rows, cells, "reference_price", _not_negative) if cells.get("reference_price") else None
    until = midnight(day + timedelta(days=1))
    factor = Factor(until, price * split, float(split), price, split, reference or None)
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


def _not_negative(text: str) -> Decimal:
    return Decimal(0) if Decimal(text) == 0 else _positive(text)


def actions_of(symbol: str, factors: Sequence[Factor], sessions: Sessions | None) -> list[CorporateAction]:
    """The splits and dividends that the factors of a symbol come from, in order of time: each at the New York midnight
    of its ex-date, the next session after the days of its factor (without a table of sessions the next day).

    A dividend is round(reference price x (1 - its price factor / the next one), 2) USD a share. A split is the ratio of
    two split factors. Raises DataError where a dividend has no reference price.
    """
    found: list[CorporateAction] = []
    for before, after in pairwise(factors):
        time = _ex_date(before.until, sessions)
        if before.dividends != after.dividends:
            if before.reference is None:
                raise DataError(
                    f"factors of {symbol}: no reference_price on {new_york_date(before.until - 1)}: nobody knows the "
                    "dividend",
                    hint="give a file with that column, or --prices adjusted",
                )
            amount = before.reference * (1 - before.dividends / after.dividends)
            found.append(Dividend(symbol, time, amount.quantize(_CENT, ROUND_HALF_UP)))
        if before.splits != after.splits:
            ratio = _ratio(after.splits, before.splits)
            found.append(Split(symbol, time, ratio.numerator, ratio.denominator, before.reference or Decimal(0)))
    return found


def _ex_date(until: int, sessions: Sessions | None) -> int:
    session = sessions.coming(until) if sessions else None
    return until if session is None else max(until, midnight(date.fromisoformat(session.date)))


def _ratio(after: Decimal, before: Decimal) -> Fraction:
    """The ratio of two rounded factors: that of small whole numbers within their precision, else as they are."""
    exact = Fraction(after) / Fraction(before)
    near = exact.limit_denominator(_SMALL)
    return near if abs(near / exact - 1) < _PRECISION else exact.limit_denominator(10**6)


class Adjuster:
    """Adjusts one symbol's rows: prices times price and split factor of their day, sizes divided by the split factor.

    ``prices`` is how many of the numbers of a row are prices. A bar that ends at midnight belongs to the day before.
    Days after the last factor stay as they are.
    """

    def __init__(self, factors: Sequence[Factor], kind: Kind) -> None:
        self._factors, self._prices = factors, len(kind.prices)
        self._bounds = np.array([factor.until + kind.is_bar for factor in factors], dtype=np.int64)
        self._seen: tuple[Factor | None, dict[float, float]] = None, {}

    def __call__(self, known: Times, numbers: Floats) -> Floats:
        """The numbers of rows that are ``known`` at these times (ns UTC), adjusted."""
        adjusted = numbers.copy()
        ends = np.searchsorted(known, self._bounds, side="left").tolist()
        begin = 0
        for factor, end in zip(self._factors, ends, strict=True):
            if begin < end and (factor.price != 1 or factor.split != 1):
                part = adjusted[begin:end]
                part[:, : self._prices] = self._scaled(part[:, : self._prices], factor)
                part[:, self._prices :] /= factor.split
            begin = max(begin, end)
        return adjusted

    def _scaled(self, prices: Floats, factor: Factor) -> Floats:
        """Prices are multiplied as decimals and rounded once, to the nearest float: one ulp off can miss a limit."""
        if self._seen[0] is not factor or len(self._seen[1]) > REMEMBERED:
            self._seen = factor, {}
        seen = self._seen[1]
        different, places = np.unique(prices, return_inverse=True)
        for number in different.tolist():
            if number not in seen:
                seen[number] = float(Decimal(repr(number)) * factor.price)
        return np.array([seen[number] for number in different.tolist()])[places].reshape(prices.shape)
