"""What a run saw of the market, kept small: each symbol's price path, and how much of its bar each fill took."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import numpy as np

from appliance.core.books.entries import Entry, EntryKind
from appliance.domain.market import (
    ACTIONS,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Bar,
    CorporateAction,
    MarketEvent,
    Split,
    known_at,
    last_price,
)

GRAINS = (SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, DAY)
"""Spans of time (ns) of which a path may keep one price each; all but the last end at every session's close."""
SPANS_MAX = 200_000
"""Spans between the first and the last event of a run, at most."""


class Path:
    """The last price (USD) of each span of time in which there was one, and when it was known (ns UTC)."""

    __slots__ = ("prices", "since", "times", "units")

    def __init__(self) -> None:
        self.times = array("q")
        self.prices = array("d")
        self.since: list[int] = []
        self.units: list[float] = []

    def __len__(self) -> int:
        return len(self.times)

    def at(self, time: int) -> float | None:
        """The last price known at ``time``, None before the first."""
        found = bisect_right(self.times, time)
        return self.prices[found - 1] if found else None

    def worth(self, time: int) -> float | None:
        """What one share bought at the beginning is worth at ``time`` (USD), splits and dividends kept in it."""
        price, found = self.at(time), bisect_right(self.since, time)
        return price if price is None or not found else price * self.units[found - 1]

    def act(self, action: CorporateAction) -> None:
        """A split, or a dividend that buys more of the symbol at its last price."""
        if isinstance(action, Split):
            more = action.new / action.old
        else:
            price = self.at(action.time - 1)
            more = 1 + float(action.amount) / price if price else 1.0
        self.since.append(action.time)
        self.units.append((self.units[-1] if self.units else 1.0) * more)

    def extend(self, times: Sequence[int], prices: Sequence[float], grain: int) -> None:
        """Take what follows, in time order: of each span of ``grain`` ns the last stays."""
        known = np.asarray(times, dtype=np.int64)
        spans = (known - 1) // grain
        last = np.flatnonzero(np.append(spans[1:] != spans[:-1], True))
        if self.times and (self.times[-1] - 1) // grain == spans[0]:
            self.times.pop()
            self.prices.pop()
        self.times.extend(known[last].tolist())
        self.prices.extend(np.asarray(prices, dtype=np.float64)[last].tolist())


class Tape:
    """Hears a run batch by batch. ``first`` and ``last`` (ns UTC) are when its data begin and end."""

    def __init__(self, first: int, last: int) -> None:
        self.grain = grain_for(first, last)
        self.paths: dict[str, Path] = {}
        self.shares: dict[int, float | None] = {}
        """Of each fill, by its place among the entries: its shares over those of its bar; None without any volume."""
        self._seen = 0

    def note(self, events: Iterable[MarketEvent | CorporateAction], entries: Sequence[Entry]) -> None:
        """Hear a batch of events, and all entries made so far: the last of them were made while it happened."""
        heard: dict[str, list[MarketEvent]] = {}
        actions: list[CorporateAction] = []
        for event in events:
            if isinstance(event, ACTIONS):
                actions.append(event)
            else:
                heard.setdefault(event.symbol, []).append(event)
        for symbol, mine in heard.items():
            priced = [event for event in mine if type(event) is Bar] or mine
            path = self.paths.setdefault(symbol, Path())
            path.extend([known_at(event) for event in priced], [last_price(event) for event in priced], self.grain)
        for action in actions:
            self.paths.setdefault(action.symbol, Path()).act(action)
        self._match(heard, entries)

    def _match(self, heard: dict[str, list[MarketEvent]], entries: Sequence[Entry]) -> None:
        bars: dict[str, tuple[list[int], list[float]]] = {}
        for at in range(self._seen, len(entries)):
            entry = entries[at]
            if entry.kind is not EntryKind.FILL or entry.symbol not in heard:
                continue
            if entry.symbol not in bars:
                mine = [event for event in heard[entry.symbol] if isinstance(event, Bar)]
                bars[entry.symbol] = [bar.end for bar in mine], [bar.volume for bar in mine]
            ends, volumes = bars[entry.symbol]
            if ends:
                self.shares[at] = _share(entry, volumes[min(bisect_right(ends, entry.time), len(ends) - 1)])
        self._seen = len(entries)


def grain_for(first: int, last: int) -> int:
    """The finest span (ns) of which a run from ``first`` to ``last`` (ns UTC) has no more than ``SPANS_MAX``."""
    return next((grain for grain in GRAINS if (last - first) // grain <= SPANS_MAX), GRAINS[-1])


def _share(entry: Entry, volume: float) -> float | None:
    """What part of its bar's volume a fill was; one at the end of a bar took of what the next one had."""
    return float(abs(entry.quantity)) / volume if volume > 0 else None
