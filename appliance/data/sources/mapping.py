"""From a server's rows to bars, quotes, trades and halts: which of its fields is which of ours.

A field is named by its path: ``close``, ``k.c``, ``4`` in a row that is a list; a name with dots in it is tried whole
first. Numbers may be written as text. What is null, no number or not finite is no value, and never becomes one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from appliance.data.layout import nearest
from appliance.data.sources.moments import instant, span
from appliance.domain.market import Bar, Quote, Trade, TradingStatus

Row = Any
SHOWN = 120
"""Characters of a row that a message shows."""


class Missing(LookupError):
    """A field that the mapping names is not in the row; ``hint`` names those that are there."""

    def __init__(self, path: str, there: Iterable[str], where: str = "") -> None:
        names = [*there]
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        self.text = f"no field {path!r}{f' in {where}' if where else ''}"
        self.hint = f"{nearest(path, names)} there are {', '.join(names[:20]) or 'none'}{more}".strip()
        super().__init__(f"{self.text}; {self.hint}")


class Unusable(ValueError):
    """A row without an event in it: the text names the field and its value."""


class Untimed(Unusable):
    """A row whose time cannot be read. When no row's can, the mapping is wrong, and not the rows."""


class Times(Struct, frozen=True, forbid_unknown_fields=True):
    """How a server writes times: ``form`` as in ``moments.FORMS``, ``zone`` for those without an offset; ``stamp``:
    whether a bar carries its ``start`` or its ``end``."""

    form: str = "iso"
    zone: str = "UTC"
    stamp: str = "start"


class BarFields(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="bars"):
    """Paths of a bar's fields. ``volume`` "": the server has none, it is 0. ``closed``: true once a bar is complete;
    without it every bar is. ``timeframe``: the server's own name of it, where it tells more than one."""

    time: str
    open: str
    high: str
    low: str
    close: str
    volume: str = ""
    symbol: str = ""
    closed: str = ""
    timeframe: str = ""


class QuoteFields(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="quotes"):
    """Paths of a quote's fields; without ``time`` it is when it was received."""

    bid: str
    ask: str
    bid_size: str = ""
    ask_size: str = ""
    time: str = ""
    symbol: str = ""


class TradeFields(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="trades"):
    """Paths of a trade's fields; without ``time`` it is when it was received."""

    price: str
    size: str
    time: str = ""
    symbol: str = ""


class StatusFields(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="statuses"):
    """Paths of a halt's fields; ``halted`` and ``trading`` are the values of ``code`` that mean so. Any other code is
    taken for a halt."""

    code: str
    trading: tuple[str, ...]
    halted: tuple[str, ...] = ()
    reason: str = ""
    time: str = ""
    symbol: str = ""


Fields = BarFields | QuoteFields | TradeFields | StatusFields


def pick(row: Row, path: str) -> Any:
    """The value at a path; ``$`` is the row itself. Raises Missing."""
    if path == "$":
        return row
    here, rest, done = row, path, ""
    while rest:
        if isinstance(here, Mapping) and rest in here:
            return here[rest]
        step, _, rest = rest.partition(".")
        here = _step(here, step, path, done)
        done = f"{done}.{step}" if done else step
    return here


def _step(here: Row, step: str, path: str, done: str) -> Any:
    if isinstance(here, Mapping):
        if step in here:
            return here[step]
        raise Missing(path, map(str, here), done)
    if isinstance(here, list):
        if step.isdecimal() and int(step) < len(here):
            return here[int(step)]
        raise Missing(path, map(str, range(len(here))), done)
    raise Missing(path, (), done or shown(here))


def has(row: Row, path: str) -> bool:
    """Whether there is something other than null at a path."""
    try:
        return pick(row, path) is not None
    except Missing:
        return False


def number(row: Row, path: str) -> float:
    """A finite number at a path, as a number or as text. Raises Missing, Unusable."""
    value = pick(row, path)
    try:
        if not isinstance(value, bool | None):
            found = float(value)
            if math.isfinite(found):
                return found
    except (TypeError, ValueError, OverflowError):
        pass
    raise Unusable(f"{path} is {shown(value)}, no number")


def time_at(row: Row, path: str, times: Times, otherwise: int) -> int:
    """The time (ns UTC) at a path, ``otherwise`` without a path. Raises Missing, Untimed."""
    if not path:
        return otherwise
    value = pick(row, path)
    try:
        return instant(value, times.form, times.zone)
    except ValueError as error:
        raise Untimed(f"{path}: {error}") from None


def shown(value: object) -> str:
    """The beginning of a value as a message shows it."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


class Reader(Struct, frozen=True):
    """Reads the rows of one server, called ``source``."""

    source: str
    times: Times

    def bar(self, row: Row, fields: BarFields, symbol: str, timeframe: str, received: int) -> Bar | None:
        """A bar; None while it is still forming. Raises Missing, Unusable."""
        if fields.closed and pick(row, fields.closed) not in (True, 1, "true"):
            return None
        opened, high, low, close = (number(row, path) for path in (fields.open, fields.high, fields.low, fields.close))
        volume = number(row, fields.volume) if fields.volume else 0.0
        start, end = span(time_at(row, fields.time, self.times, 0), timeframe, self.times.stamp, self.times.zone)
        return Bar(symbol, timeframe, start, end, opened, high, low, close, volume, self.source, received)

    def quote(self, row: Row, fields: QuoteFields, symbol: str, received: int) -> Quote:
        """A quote. Raises Missing, Unusable."""
        time = time_at(row, fields.time, self.times, received)
        bid, ask = number(row, fields.bid), number(row, fields.ask)
        bid_size, ask_size = (number(row, path) if path else 0.0 for path in (fields.bid_size, fields.ask_size))
        return Quote(symbol, time, bid, ask, bid_size, ask_size, source=self.source, received=received)

    def trade(self, row: Row, fields: TradeFields, symbol: str, received: int) -> Trade:
        """A trade. Raises Missing, Unusable."""
        time = time_at(row, fields.time, self.times, received)
        return Trade(symbol, time, number(row, fields.price), number(row, fields.size), self.source, received)

    def status(self, row: Row, fields: StatusFields, symbol: str, received: int) -> TradingStatus:
        """A halt or its end. Raises Missing, Unusable."""
        code = str(pick(row, fields.code))
        reason = str(pick(row, fields.reason)) if fields.reason else ""
        time = time_at(row, fields.time, self.times, received)
        return TradingStatus(symbol, time, code not in fields.trading, code, reason, self.source)
