"""A rule over whole arrays: the bars ``Strategy.signals`` may read, and what it wishes after each of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from appliance.domain.market import Bar, Sessions
from appliance.errors import DataError, StrategyError
from appliance.strategy.amounts import MOST
from appliance.strategy.bars import length_of
from appliance.strategy.base import Strategy
from appliance.strategy.context import Context
from appliance.strategy.indicators.arrays import COLUMNS, Columns, Floats, Ints, floats, units
from appliance.strategy.params import Value
from appliance.strategy.symbols import made_of_quotes, named_by

Times = npt.NDArray[np.int64]
REMEMBERED = 256_000_000
"""Bytes of indicator lines that bars remember; what was used longest ago goes first."""


@dataclass(frozen=True, slots=True, eq=False)
class BarArrays(Columns):
    """All bars of one ``symbol``, oldest first, as read-only arrays of one length: ``open``, ``high``, ``low``,
    ``close`` (USD), ``volume`` (shares), ``start`` and ``end`` (ns UTC); ``timeframe`` is the length of a bar, "1m".

    They remember the lines of indicators that were asked ``over`` them, so that many combinations of parameters share
    them; pickled or mapped from a file (``numpy.memmap``) they are the arrays alone. Raises DataError for columns that
    do not fit each other, and for a bar that begins before the one before it has ended.
    """

    symbol: str
    timeframe: str
    start: Times
    end: Times
    _lines: OrderedDict[object, dict[str, Floats]] = field(default_factory=OrderedDict, repr=False)
    _whole: dict[str, Ints] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in (*COLUMNS, "start", "end"):
            kind = np.float64 if name in COLUMNS else np.int64
            column = np.asarray(getattr(self, name), dtype=kind).view()
            column.flags.writeable = False
            object.__setattr__(self, name, column)
            if column.shape != (len(self.end),):
                raise DataError(
                    f"bars of {self.symbol}: {name} has shape {column.shape}, end has {self.end.shape}",
                    hint="give columns of one dimension and one length",
                )
        overlaps = np.flatnonzero((self.start[1:] < self.end[:-1]) | (self.end[1:] <= self.start[1:]))
        if len(overlaps):
            raise DataError(
                f"bars of {self.symbol}: the bar at row {overlaps[0] + 1} begins at {self.start[overlaps[0] + 1]}, "
                f"before the one before it has ended ({self.end[overlaps[0]]}), or ends before it begins",
                hint="give bars in order of time that do not overlap",
            )

    @classmethod
    def from_bars(cls, bars: Sequence[Bar]) -> BarArrays:
        """The arrays of one symbol's bars. Raises DataError when there is none, or one of another symbol."""
        if not bars or any(bar.symbol != bars[0].symbol for bar in bars):
            raise DataError("bars of one symbol are needed", hint="give at least one bar, all of one symbol")
        prices = (floats([getattr(bar, name) for bar in bars]) for name in COLUMNS)
        times = (np.array([getattr(bar, name) for bar in bars], dtype=np.int64) for name in ("start", "end"))
        return cls._made((*prices, bars[0].symbol, bars[0].timeframe, *times))

    @classmethod
    def _made(cls, columns: tuple[Any, ...]) -> BarArrays:
        return cls(*columns)

    def first(self, count: int) -> BarArrays:
        """The first ``count`` bars alone; nothing is remembered of those after them."""
        prices = (getattr(self, name)[:count] for name in COLUMNS)
        return self._made((*prices, self.symbol, self.timeframe, self.start[:count], self.end[:count]))

    def once(self, key: object, make: Callable[[], dict[str, Floats]]) -> dict[str, Floats]:
        """What ``make`` makes of these bars, remembered by ``key``."""
        found = self._lines.get(key)
        if found is None:
            found = self._lines[key] = make()
            for line in found.values():
                line.flags.writeable = False
            size = sum(line.nbytes for line in found.values())
            while len(self._lines) > 1 and size * len(self._lines) > REMEMBERED:
                self._lines.popitem(last=False)
        self._lines.move_to_end(key)
        return dict(found)

    def in_units(self, name: str) -> Ints:
        """A column in units, remembered: every average begins with it."""
        found = self._whole.get(name)
        if found is None:
            found = self._whole[name] = units(getattr(self, name))
            found.flags.writeable = False
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        columns = (getattr(self, name) for name in COLUMNS)
        return BarArrays, (*columns, self.symbol, self.timeframe, self.start, self.end)


def has_signals(strategy: type[Strategy]) -> bool:
    """Whether a strategy also gives its rule over whole arrays."""
    return strategy.signals is not Strategy.signals


def targets(
    strategy: type[Strategy],
    values: Mapping[str, Value],
    bars: Mapping[str, BarArrays],
    sessions: Sessions | None = None,
    name: str = "strategy",
) -> dict[str, Floats]:
    """What ``signals`` wishes, by symbol: shares to hold after each bar, NaN where it wishes nothing.

    ``values`` are those of ``Strategy.configure``. Raises StrategyError for a strategy without ``signals``, symbols
    that are not among ``bars``, bars of another length than it wants, and an answer that is not one number a bar.
    """
    made = _started(strategy, values, sessions, name)
    context = made._context
    symbols = context.symbols = named_by(name, made, context.indicators, context.windows)
    absent = [symbol for symbol in symbols if symbol not in bars]
    if absent:
        raise StrategyError(f"{name}: no bars of {absent[0]}", hint=f"there are bars of {', '.join(bars)}")
    wanted = {symbol: bars[symbol] for symbol in symbols}
    _check_lengths(name, made, wanted)
    given = wanted[symbols[0]] if len(symbols) == 1 else wanted
    answer = made.signals(given)
    by_symbol = answer if isinstance(answer, Mapping) else {symbols[0]: answer}
    if not isinstance(answer, Mapping) and len(symbols) > 1:
        raise StrategyError(f"{name}.signals: one array for {len(symbols)} symbols", hint="return a dict by symbol")
    return {symbol: _checked(name, symbol, by_symbol[symbol], wanted) for symbol in sorted(by_symbol)}


def _started(strategy: type[Strategy], values: Mapping[str, Value], sessions: Sessions | None, name: str) -> Strategy:
    """A strategy after its ``on_start``."""
    if not has_signals(strategy):
        raise StrategyError(
            f"{name}: {strategy.__name__} has no signals(bars)", hint="write one, or leave --vectorized away"
        )
    before_close = length_of(strategy.before_close, f"{strategy.__name__}.before_close")
    context = Context(name, sessions, before_close)
    made = strategy(context, values)
    context.starting = True
    made.on_start()
    context.starting = False
    if made_of_quotes(name, made.bars_from):
        raise StrategyError(f"{name}: its bars are made of quotes, which arrays do not hold", hint="run it by events")
    if context.wishes:
        raise StrategyError(f"{name}: on_start wishes something, which arrays do not tell", hint="wish it after a bar")
    return made


def _check_lengths(name: str, made: Strategy, bars: Mapping[str, BarArrays]) -> None:
    """Arrays hold bars as they come: none are built from them."""
    asked = [(one.timeframe, one.label) for one in made._context.indicators]
    for timeframe, what in ((made.timeframe, f"{name}.timeframe"), *asked):
        for one in bars.values():
            if timeframe not in ("", one.timeframe):
                raise StrategyError(
                    f"{what} wants bars of {timeframe}; those of {one.symbol} are of {one.timeframe}",
                    hint=f"give bars of {timeframe}, or run it event by event",
                )


def _checked(name: str, symbol: str, answer: Any, bars: Mapping[str, BarArrays]) -> Floats:
    """One symbol's targets as float64."""
    if symbol not in bars:
        raise StrategyError(f"{name}.signals: {symbol!r} is not a symbol of this strategy; it has {', '.join(bars)}")
    try:
        wished = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        told = f"{name}.signals: {answer!r:.80} are no numbers"
        raise StrategyError(told, hint="return an array of shares") from None
    count = len(bars[symbol])
    if wished.shape != (count,):
        raise StrategyError(
            f"{name}.signals: an answer of shape {wished.shape} for {count} bars of {symbol}",
            hint="return one number for each bar: shares to hold after it, NaN for no wish",
        )
    rows = np.flatnonzero(wished == wished)
    shares = wished[rows]
    wrong = rows[(np.rint(shares) != shares) | ~(np.abs(shares) <= float(MOST))]
    if len(wrong):
        raise StrategyError(
            f"{name}.signals: {float(wished[wrong[0]])} at bar {wrong[0]} of {symbol} is not a number of shares",
            hint="give whole numbers, NaN for no wish",
        )
    return wished
