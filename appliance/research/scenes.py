"""The market a strategy is checked on: recorded data, or seeded random walks of its symbols, by minutes or days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from appliance.data.sources.random_walk import random_walk
from appliance.domain.market import (
    DAY,
    HOUR,
    MINUTE,
    Bar,
    CorporateAction,
    MarketEvent,
    QuoteBar,
    Session,
    Sessions,
    known_at,
)

MONDAY = 1_578_268_800_000_000_000
"""2020-01-06, midnight UTC; New York is 5 hours behind all that winter."""
OPENS, SESSION_MINUTES = 14 * HOUR + 30 * MINUTE, 390
STRETCH = 16
"""A day moves a price this many times as far as a minute does."""


class Scene(Struct, frozen=True):
    """Market events in the order they become known, and the exchange's sessions (None: always open)."""

    name: str
    events: tuple[MarketEvent | CorporateAction, ...]
    sessions: tuple[Session, ...] | None = None

    @property
    def calendar(self) -> Sessions | None:
        """The sessions as a calendar."""
        return None if self.sessions is None else Sessions(self.sessions)

    @property
    def times(self) -> list[int]:
        """When something becomes known (ns UTC), each time once, in order."""
        return list(dict.fromkeys(known_at(event) for event in self.events))

    def until(self, time: int) -> Scene:
        """What is known at ``time`` (ns UTC), and nothing after it."""
        return replace(self, events=tuple(event for event in self.events if known_at(event) <= time))

    def up_to(self, events: int) -> Scene:
        """The first ``events`` events."""
        return replace(self, events=self.events[:events])

    @property
    def quoted(self) -> Scene:
        """The same with a quote bar, two cents wide, before each bar; itself when it has quote bars already."""
        if any(isinstance(event, QuoteBar) for event in self.events):
            return self
        events = (one for event in self.events for one in (_quotes(event), event) if one is not None)
        return replace(self, events=tuple(events))

    def changed_after(self, time: int) -> Scene:
        """The same until ``time`` (ns UTC), and another market after it: the bars rise where they fell."""
        turned: dict[str, float] = {}
        events: list[MarketEvent | CorporateAction] = []
        for event in self.events:
            if known_at(event) > time and isinstance(event, Bar):
                turned.setdefault(event.symbol, event.open)
                events.append(_mirrored(event, turned[event.symbol]))
            else:
                events.append(event)
        return replace(self, events=tuple(events))


def _quotes(event: object) -> QuoteBar | None:
    """A quote bar around a bar."""
    if not isinstance(event, Bar):
        return None
    prices = (event.open, event.high, event.low, event.close)
    bid, ask = (_cents(price - 0.01) for price in prices), (_cents(price + 0.01) for price in prices)
    return QuoteBar(event.symbol, event.timeframe, event.start, event.end, *bid, *ask)


def _mirrored(bar: Bar, axis: float) -> Bar:
    """A bar with its prices inverted about ``axis`` (USD), so that they stay above 0; its volume, too, is another."""
    square = axis * axis
    return replace(
        bar, open=_cents(square / bar.open), high=_cents(square / bar.low), low=_cents(square / bar.high),
        close=_cents(square / bar.close), volume=bar.volume + 1.0,
    )  # fmt: skip


def _cents(price: float) -> float:
    return max(round(price, 2), 0.01)


def weekdays(first: int = MONDAY) -> Iterator[int]:
    """Midnights (ns UTC) of the days from Monday to Friday, from a Monday on."""
    day = first
    while True:
        yield from (day + index * DAY for index in range(5))
        day += 7 * DAY


def sessions(days: int) -> tuple[Session, ...]:
    """Regular sessions of so many weekdays, 9:30 to 16:00 in New York, without holidays."""
    opens = ((day, day + OPENS) for day in islice(weekdays(), days))
    return tuple(Session(_date(day), opened, opened + SESSION_MINUTES * MINUTE) for day, opened in opens)


def minutes(symbols: Sequence[str], bars: int, seed: int) -> Scene:
    """``bars`` one-minute bars of each symbol, inside sessions."""
    days = sessions(-(-bars // SESSION_MINUTES))
    starts = [day.open + minute * MINUTE for day in days for minute in range(SESSION_MINUTES)][:bars]
    walks = [_placed(random_walk(bars, seed, symbol), starts, "1m", MINUTE) for symbol in symbols]
    return Scene(f"random walk {seed}, one-minute bars", _merged(walks), days)


def days(symbols: Sequence[str], bars: int, seed: int) -> Scene:
    """``bars`` daily bars of each symbol."""
    table = sessions(bars)
    starts = [day.open for day in table]
    walks = [
        _placed(map(_stretched, random_walk(bars, seed, symbol)), starts, "1d", SESSION_MINUTES * MINUTE)
        for symbol in symbols
    ]
    return Scene(f"random walk {seed}, daily bars", _merged(walks), table)


def _placed(walk: Iterator[Bar], starts: Sequence[int], timeframe: str, length: int) -> list[Bar]:
    return [
        replace(bar, timeframe=timeframe, start=start, end=start + length)
        for bar, start in zip(walk, starts, strict=True)
    ]


def _stretched(bar: Bar) -> Bar:
    """A minute's move made a day's: prices to the power of STRETCH about 100 USD."""
    opened, high, low, close = (
        _cents(100 * (price / 100) ** STRETCH) for price in (bar.open, bar.high, bar.low, bar.close)
    )
    return replace(bar, open=opened, high=high, low=low, close=close)


def _merged(walks: Sequence[list[Bar]]) -> tuple[Bar, ...]:
    return tuple(bar for row in zip(*walks, strict=True) for bar in row)


def _date(midnight: int) -> str:
    return datetime.fromtimestamp(midnight // 1_000_000_000, UTC).date().isoformat()
