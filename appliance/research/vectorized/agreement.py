"""Whether a strategy's ``signals`` say the same as its ``on_bar``: before anybody believes a sweep by whole arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import repeat, zip_longest

import numpy as np

from appliance.core.books.entries import Entry
from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.core.wishes import Made
from appliance.domain.market import SECOND, Bar, Sessions
from appliance.domain.trading import Fill
from appliance.errors import StrategyError
from appliance.research.vectorized import running as vectorized
from appliance.strategy.base import Strategy
from appliance.strategy.indicators.arrays import COLUMNS
from appliance.strategy.params import Value
from appliance.strategy.runner import StrategyRunner
from appliance.strategy.signals import BarArrays, targets
from appliance.world.backtest import Backtest

COMPARED = 5_000
"""Bars of each symbol that are run event by event."""
CUTS = (0.25, 0.5, 0.75)
"""Where bars are cut off to see whether what was wished before changes."""


def check_agreement(
    strategy: type[Strategy],
    params: Mapping[str, Value],
    bars: Mapping[str, BarArrays],
    model: MarketModel = MarketModel(),  # noqa: B008 - frozen
    cash: Decimal = Decimal(100_000),
    sessions: Sessions | None = None,
) -> int:
    """Compare ``signals`` with itself where later bars are cut off, and its fills with the event-driven ones over the
    first ``COMPARED`` bars; how many fills that were: none prove nothing.

    Arguments as for ``vectorized.run``. Raises StrategyError with the first difference.
    """
    _check_past(strategy, params, bars, sessions)
    last = max(int(one.end[min(COMPARED, len(one)) - 1]) for one in bars.values())
    some = _until(bars, last)
    mine = [*vectorized.run(strategy, params, some, model, cash, sessions).fills(some)]
    booked = _by_events(strategy, params, some, model, cash, sessions)
    for number, (fill, entry) in enumerate(zip_longest(mine, booked)):
        ours, theirs = _of_fill(fill), _of_entry(entry)
        if ours != theirs:
            raise StrategyError(
                f"{strategy.__name__}: signals and on_bar trade differently from fill {number + 1} on: "
                f"{_told(ours)} by signals, {_told(theirs)} by on_bar",
                hint="let both say the same after each bar, or run it event by event",
            )
    return len(mine)


def _check_past(
    strategy: type[Strategy], params: Mapping[str, Value], bars: Mapping[str, BarArrays], sessions: Sessions | None
) -> None:
    name, values = strategy.__name__, strategy.configure(params)
    whole = targets(strategy, values, bars, sessions, name)
    ends = np.sort(np.concatenate([one.end for one in bars.values()]))
    for cut in CUTS:
        part = _until(bars, int(ends[int(cut * (len(ends) - 1))]))
        for symbol, wished in targets(strategy, values, part, sessions, name).items():
            before = whole[symbol][: len(wished)]
            differs = np.flatnonzero(~((wished == before) | (np.isnan(wished) & np.isnan(before))))
            if len(differs):
                row = int(differs[0])
                when = _when(int(bars[symbol].end[row]))
                raise StrategyError(
                    f"{name}.signals looks ahead: after the bar of {symbol} that ends {when} "
                    f"it wishes {before[row]:g} shares, and {wished[row]:g} where later bars are cut off",
                    hint="let the number at a bar depend on that bar and those before it alone",
                )


def _until(bars: Mapping[str, BarArrays], time: int) -> dict[str, BarArrays]:
    """The bars that have ended at ``time`` (ns UTC)."""
    return {symbol: one.first(int(np.searchsorted(one.end, time, side="right"))) for symbol, one in bars.items()}


def _by_events(
    strategy: type[Strategy],
    params: Mapping[str, Value],
    bars: Mapping[str, BarArrays],
    model: MarketModel,
    cash: Decimal,
    sessions: Sessions | None,
) -> Sequence[Entry]:
    values = strategy.configure(params)
    maker = Made("one", lambda: StrategyRunner(strategy, "one", values, sessions))
    test = Backtest("one", (maker,), rules(LimitValues()), cash, model, sessions)
    every = sorted((bar for one in bars.values() for bar in _bars(one)), key=lambda bar: (bar.end, bar.symbol))
    test.run(every)
    return test.book.entries


def _bars(arrays: BarArrays) -> Iterator[Bar]:
    times = arrays.start.tolist(), arrays.end.tolist()
    columns = (getattr(arrays, name).tolist() for name in COLUMNS)
    return map(Bar, repeat(arrays.symbol), repeat(arrays.timeframe), *times, *columns)


_Trade = tuple[int, str, Decimal, Decimal, Decimal]
"""Time (ns UTC), symbol, shares (signed), price and fee (USD)."""


def _of_fill(fill: Fill | None) -> _Trade | None:
    return None if fill is None else (fill.time, fill.symbol, fill.signed, fill.price, fill.commission)


def _of_entry(entry: Entry | None) -> _Trade | None:
    return None if entry is None else (entry.time, entry.symbol, entry.quantity, entry.price, entry.fee)


def _told(trade: _Trade | None) -> str:
    if trade is None:
        return "none"
    time, symbol, shares, price, _ = trade
    return f"{shares:+} {symbol} at {price} ({_when(time)})"


def _when(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
