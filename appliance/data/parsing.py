"""Plain CSV text into numbers, thousands of rows at a time: fields of digits and a point, no quotes.

A field of at most 15 digits is a whole number over a power of ten, both exact as floats, so that their quotient is the
very float that Python reads. Longer fields are read by Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from appliance.data.rows import Floats, Times

Places = npt.NDArray[np.int64]
PAD = 32
"""Bytes before the first row, so that what is looked at before a short field is there."""
STAMP_MAX = 19
"""Digits of a time that fits 64 bits."""
NUMBER_MAX = 16
"""Digits of a number and its point."""
_COMMA, _NEWLINE, _ZERO, _POINT = 44, 10, 48, 46
_POWERS = 10.0 ** np.arange(NUMBER_MAX + 1)


class Table:
    """The fields of a block of rows of ``width`` fields; ``text`` ends with a newline."""

    __slots__ = ("_bytes", "_ends", "_starts", "_text", "count")

    def __init__(self, text: bytes, ends: Places, count: int) -> None:
        self.count = count
        self._text = b" " * PAD + text
        self._bytes = np.frombuffer(self._text, dtype=np.uint8)
        self._ends = ends
        self._starts = np.concatenate((np.array([PAD]), ends.ravel()[:-1] + 1)).reshape(ends.shape)

    @classmethod
    def of(cls, text: bytes, width: int) -> Table | None:
        """The fields; None unless every row has as many as there are columns."""
        found = np.frombuffer(text, dtype=np.uint8)
        ends = np.flatnonzero((found == _COMMA) | (found == _NEWLINE))
        count = text.count(b"\n")
        if len(ends) != count * width:
            return None
        by_row = ends.reshape(count, width)
        return cls(text, by_row + PAD, count) if bool((found[by_row[:, -1]] == _NEWLINE).all()) else None

    def only(self, kept: Any) -> Table:
        """Some of the rows."""
        found = Table.__new__(Table)
        found._text, found._bytes = self._text, self._bytes
        found._starts, found._ends = self._starts[kept], self._ends[kept]
        found.count = len(found._ends)
        return found

    def texts(self, column: int) -> list[bytes]:
        """The fields of a column."""
        text, pairs = self._text, zip(self._starts[:, column].tolist(), self._ends[:, column].tolist(), strict=True)
        return [text[start:end] for start, end in pairs]

    def is_one(self, column: int) -> npt.NDArray[np.bool_]:
        """Which fields of a column are "1"."""
        starts = self._starts[:, column]
        found: npt.NDArray[np.bool_] = (self._ends[:, column] - starts == 1) & (self._bytes[starts] == _ZERO + 1)
        return found

    def codes(self, column: int) -> tuple[list[bytes], Places]:
        """The different texts of a column, and which of them each row has."""
        lengths = self._ends[:, column] - self._starts[:, column]
        if self.count and int(lengths.max()) > 8:
            texts = self.texts(column)
            places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
            return list(places), np.fromiter(map(places.__getitem__, texts), dtype=np.int64, count=len(texts))
        whole = np.zeros(self.count, dtype=np.uint64)
        for characters, inside in self._characters(column, int(lengths.max(initial=0))):
            whole = whole << np.uint64(8) | np.where(inside, characters, 0).astype(np.uint64)
        different, codes = np.unique(whole, return_inverse=True)
        return [int(one).to_bytes(8, "big").lstrip(b"\0") for one in different.tolist()], codes

    def stamps(self, column: int) -> Times | None:
        """A column of whole numbers; None when one of them is not made of digits alone, or too long."""
        lengths = self._ends[:, column] - self._starts[:, column]
        if not self.count or int(lengths.max()) > STAMP_MAX or not int(lengths.min()):
            return None
        found = np.zeros(self.count, dtype=np.int64)
        right = np.ones(self.count, dtype=np.bool_)
        for characters, inside in self._characters(column, int(lengths.max())):
            digits = np.where(inside, characters, _ZERO) - np.uint8(_ZERO)
            right &= digits < 10
            found = found * 10 + digits
        return found if bool(right.all()) else None

    def numbers(self, column: int) -> Floats | None:
        """A column of numbers; None when one of them is none."""
        lengths = self._ends[:, column] - self._starts[:, column]
        if self.count and int(lengths.max()) <= NUMBER_MAX:
            found = self._decimals(column, int(lengths.max()))
            if found is not None:
                return found
        try:
            return np.array([*map(float, self.texts(column))], dtype=np.float64)
        except ValueError:
            return None

    def _decimals(self, column: int, longest: int) -> Floats | None:
        """Numbers of digits with at most one point among them, and none without a digit."""
        whole = np.zeros(self.count, dtype=np.int64)
        decimals, digits_seen = np.zeros(self.count, dtype=np.int8), np.zeros(self.count, dtype=np.int8)
        points = np.zeros(self.count, dtype=np.int8)
        right = np.ones(self.count, dtype=np.bool_)
        for characters, inside in self._characters(column, longest):
            digits = np.where(inside, characters, _ZERO) - np.uint8(_ZERO)
            is_digit = digits < 10
            is_point = digits == np.uint8(_POINT - _ZERO + 256)
            right &= is_digit | is_point
            digits_seen += is_digit & inside
            decimals += points
            points += is_point
            whole = np.where(is_digit, whole * 10 + digits, whole)
        if not bool((right & (points < 2) & (digits_seen > 0) & (digits_seen < NUMBER_MAX)).all()):
            return None
        return whole / _POWERS[decimals]

    def _characters(self, column: int, longest: int) -> Any:
        """The fields of a column, one place at a time, flush right: bytes, and whether they belong to the field."""
        starts, ends = self._starts[:, column], self._ends[:, column]
        for place in range(longest):
            at = ends + (place - longest)
            yield self._bytes[at], at >= starts
