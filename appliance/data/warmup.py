"""The bars a strategy is fed with before the first live one, so that it begins with what it needs to know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from appliance.domain.market import Bar

if TYPE_CHECKING:
    from appliance.data.history import History

Need = tuple[str, str, int]
"""Symbol, timeframe ("" for the bars as they come), and how many bars of it."""


def needs_of(asked: Iterable[Need], symbols: Iterable[str], count: int | None) -> tuple[Need, ...]:
    """What to warm up with: what a strategy asks for, or ``count`` bars of each of its symbols where that is given."""
    found = asked if count is None else ((symbol, "", count) for symbol in symbols)
    return tuple(need for need in found if need[2] > 0)


def warm_up(needs: Sequence[Need], history: History, first: int) -> tuple[Bar, ...]:
    """The bars to feed before live data that begin at ``first`` (ns UTC), by end, then symbol, as a source delivers.

    They are the shortest bars of each symbol, enough of them for every need: a need of longer bars begins where the
    first of these does. Where the history is shorter than a need, all of it is given. Raises DataError.
    """
    symbols = sorted({symbol for symbol, _, _ in needs})
    found: list[Bar] = []
    for symbol in symbols:
        longest: tuple[Bar, ...] = ()
        for need in needs:
            bars = _needed(need, history, first) if need[0] == symbol else ()
            longest = bars if len(bars) > len(longest) else longest
        found += longest
    return tuple(sorted(found, key=lambda bar: (bar.end, bar.symbol)))


def _needed(need: Need, history: History, first: int) -> tuple[Bar, ...]:
    symbol, timeframe, count = need
    shortest = history.bars(symbol, "", first, count)
    if not timeframe or not shortest or timeframe == shortest[-1].timeframe:
        return shortest
    longer = history.bars(symbol, timeframe, first, count)
    return _since(longer[0].start if len(longer) == count else 0, symbol, history, first, count)


def _since(start: int, symbol: str, history: History, first: int, count: int) -> tuple[Bar, ...]:
    """The shortest bars that began at or after ``start``: asked for in growing numbers, until they reach so far."""
    while True:
        bars = history.bars(symbol, "", first, count)
        if len(bars) < count or bars[0].start < start:
            return tuple(bar for bar in bars if bar.start >= start)
        count *= 2
