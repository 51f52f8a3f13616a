"""What Alpaca sends, as ours: one function for each kind of message. Whatever is not as it should be is Odd."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from appliance.data.options import midnight
from appliance.data.sources.alpaca.times import Spans, nanoseconds
from appliance.data.sources.moments import EARLIEST, LATEST
from appliance.domain.market import Bar, CorporateAction, Dividend, PriceBand, Quote, Split, Trade, TradingStatus

Row = Mapping[str, Any]
_LOTS_UNTIL = midnight(date(2025, 11, 3))
"""Sizes of stock quotes are in round lots of 100 shares before, in shares since (the API's description of ``as``)."""
LOT = 100
HALTED = {"2", "H", "P", "Q"}
"""Status codes of tapes A and B (2 halt) and C (H halt, P volatility pause, Q quotes again, but no trades yet)."""
TRADING = {"3", "T"}
INFORMING = {"5", "6", "7", "8", "9", "A", "C", "D", "E", "F"}
"""Status codes that change nothing: price indications, imbalances, short sale restriction, price bands."""


class Odd(ValueError):
    """A message that cannot be understood; the text says what of it."""


def number(row: Row, key: str) -> float:
    """A number of a message as float. Raises Odd."""
    value = row.get(key)
    if isinstance(value, float):
        return value
    with suppress(OverflowError):
        if isinstance(value, int) and not isinstance(value, bool):
            return float(value)
    raise Odd(f"{key} is {value!r}, not a number")


def text(row: Row, key: str) -> str:
    """A text of a message that has to be there. Raises Odd."""
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise Odd(f"{key} is {value!r}, not a text")
    return value


def time_of(row: Row) -> int:
    """When it happened (ns UTC, exact): text in REST, a msgpack Timestamp in the stream. Raises Odd."""
    value = row.get("t")
    try:
        time = int(exact()) if (exact := getattr(value, "to_unix_nano", None)) is not None else nanoseconds(value)
    except ValueError as error:
        raise Odd(f"t: {error}") from None
    if not EARLIEST < time < LATEST:
        raise Odd(f"t is {value!r}, outside 1970 to 2100")
    return time


class Reader:
    """Reads the rows of one source; ``lots`` where sizes of old quotes are in round lots."""

    def __init__(self, name: str, *, lots: bool) -> None:
        self._name = name
        self._lots = lots

    def bar(self, symbol: str, timeframe: str, spans: Spans, row: Row, received: int, revision: int = 0) -> Bar:
        """A bar, end-stamped. Raises Odd."""
        start, end = spans.of(time_of(row))
        return Bar(
            symbol, timeframe, start, end, number(row, "o"), number(row, "h"), number(row, "l"), number(row, "c"),
            number(row, "v"), self._name, received, revision,
        )  # fmt: skip

    def quote(self, symbol: str, row: Row, received: int) -> Quote:
        """A quote; 0 is a side that nobody is on. Raises Odd."""
        time = time_of(row)
        lot = LOT if self._lots and time < _LOTS_UNTIL else 1
        return Quote(
            symbol, time, number(row, "bp"), number(row, "ap"), number(row, "bs") * lot, number(row, "as") * lot,
            source=self._name, received=received,
        )  # fmt: skip

    def trade(self, symbol: str, row: Row, received: int) -> Trade:
        """A trade. Raises Odd."""
        return Trade(symbol, time_of(row), number(row, "p"), number(row, "s"), self._name, received)

    def status(self, symbol: str, row: Row, was_halted: bool | None) -> TradingStatus | None:
        """A change of trading status; None for one that informs of something else while nothing is known. Raises Odd
        for a code that nobody has told us of."""
        code = text(row, "sc")
        reason = str(row.get("rm") or row.get("sm") or "")
        halted = True if code in HALTED else False if code in TRADING else was_halted
        if code not in HALTED | TRADING | INFORMING:
            raise Odd(f"status code {code!r} ({reason}) is not known")
        return None if halted is None else TradingStatus(symbol, time_of(row), halted, code, reason, self._name)

    def band(self, symbol: str, row: Row) -> PriceBand:
        """The prices between which it may trade. Raises Odd."""
        return PriceBand(symbol, time_of(row), number(row, "d"), number(row, "u"), self._name)


def _split(row: Row) -> Split:
    return _split_of(row, _exact(row, "new_rate"), _exact(row, "old_rate"))


def _stock_dividend(row: Row) -> Split:
    """A twentieth of a share for each one is a split of 21 for 20."""
    return _split_of(row, _exact(row, "rate") + 1, Fraction(1))


def _split_of(row: Row, new: Fraction, old: Fraction) -> Split:
    if new <= 0 or old <= 0:
        raise Odd(f"{new} new shares for {old} old ones")
    return Split(text(row, "symbol"), ex_date(row), (new / old).numerator, (new / old).denominator)


def _dividend(row: Row) -> Dividend:
    rate = _exact(row, "rate")
    return Dividend(text(row, "symbol"), ex_date(row), Decimal(rate.numerator) / Decimal(rate.denominator))


def _exact(row: Row, key: str) -> Fraction:
    """A number as it was written in decimals."""
    if not math.isfinite(number(row, key)):
        raise Odd(f"{key} is {row[key]!r}, not a number")
    return Fraction(str(row[key]))


def ex_date(row: Row) -> int:
    """New York's midnight of the ex-date (ns UTC). Raises Odd."""
    try:
        return midnight(date.fromisoformat(text(row, "ex_date")))
    except ValueError as error:
        raise Odd(f"ex_date: {error}") from None


ACTIONS: dict[str, tuple[str, Callable[[Row], CorporateAction]]] = {
    "forward_splits": ("forward_split", _split),
    "reverse_splits": ("reverse_split", _split),
    "stock_dividends": ("stock_dividend", _stock_dividend),
    "cash_dividends": ("cash_dividend", _dividend),
}
"""Corporate actions we know: their group in a reply, the type to ask for, and how to read one."""
