"""A market with a clock of its own, and a source that tells its past, as late as it likes and wrong at first."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from threading import Event, Lock

from msgspec.structs import replace

from appliance.data.sources.base import Traits
from appliance.domain.market import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    AlwaysOpen,
    Bar,
    CorporateAction,
    Session,
    Sessions,
    timeframe_ns,
)
from appliance.errors import SourceDown

MONDAY = 1_700_438_400 * SECOND
"""2023-11-20T00:00:00Z."""


def sessions_of_days(days: int, opens: int = 14 * HOUR + 30 * MINUTE, length: int = 2 * HOUR) -> Sessions:
    """Sessions from the Monday before on, Saturdays and Sundays not."""
    found = []
    for day in range(-7, days):
        if day % 7 < 5:
            start = MONDAY + day * DAY + opens
            found.append(Session(f"day {day}", start, start + length))
    return Sessions(found)


class Market:
    """Bars of every session from ``MONDAY`` on: some minutes have none. ``now`` is what its clock says."""

    def __init__(self, sessions: Sessions, seed: int = 1, days: int = 12) -> None:
        self.sessions, self.seed = sessions, seed
        self.now = MONDAY
        self._until = MONDAY + days * DAY
        self._bars: dict[tuple[str, str], list[Bar]] = {}

    def clock(self) -> int:
        return self.now

    def bars(self, symbol: str, timeframe: str) -> list[Bar]:
        """All bars there ever are, by end."""
        if (symbol, timeframe) not in self._bars:
            chance = random.Random(f"{self.seed} {symbol} {timeframe}")
            spans = [span for span in self._spans(timeframe) if chance.random() < 0.8]
            self._bars[symbol, timeframe] = [
                Bar(
                    symbol,
                    timeframe,
                    start,
                    end,
                    10.0,
                    12.0,
                    9.0,
                    round(chance.uniform(9, 12), 2),
                    100.0,
                    "market",
                    end,
                )
                for start, end in spans
            ]
        return self._bars[symbol, timeframe]

    def _spans(self, timeframe: str) -> Iterator[tuple[int, int]]:
        length = timeframe_ns(timeframe)
        for session in self._sessions():
            if length >= DAY:
                yield session.open, session.close
            else:
                for start in range(session.open, session.close, length):
                    yield start, min(start + length, session.close)

    def _sessions(self) -> Iterator[Session]:
        if isinstance(self.sessions, AlwaysOpen):
            yield from (self.sessions.at(day) for day in range(MONDAY, self._until, DAY))
        else:
            yield from (one for one in self.sessions if MONDAY <= one.open < self._until)


class Source:
    """The market's past: a bar is told ``delay`` ns after its end; with ``corrections`` some are wrong at first, and
    put right up to so many ns after their end. ``asked`` are its questions; ``errors`` are raised one after the other,
    and with ``fails_after`` it hangs up after about so many bars.
    """

    def __init__(self, market: Market, delay: int = 0, corrections: int = 0, name: str = "market") -> None:
        self.name, self.traits = name, Traits(timeframes=("1m", "5m", "1h", "1d"), history=True, actions=True)
        self.market, self.delay, self.corrections = market, delay, corrections
        self.asked: list[tuple[str, str, int, int]] = []
        self.acted: list[tuple[tuple[str, ...], int, int]] = []
        self.known_actions: list[CorporateAction] = []
        self.errors: list[Exception] = []
        self.gate: Event | None = None
        self.waiting = Event()
        self.fails_after: int | None = None
        self._lock = Lock()

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        with self._lock:
            self.asked += [(symbol, timeframe, start, end) for symbol in symbols]
        self.waiting.set()
        if self.gate is not None:
            assert self.gate.wait(20)
        if self.errors:
            raise self.errors.pop(0)
        found = [bar for symbol in symbols for bar in self.truth(symbol, timeframe, start, end)]
        for at in range(0, len(found), 11):
            if self.fails_after is not None and at >= self.fails_after:
                break
            yield tuple(found[at : at + 11])
        if self.fails_after is not None:
            raise SourceDown("hangs up", source=self.name)

    def truth(self, symbol: str, timeframe: str, start: int, end: int) -> list[Bar]:
        """What it tells now, without being asked."""
        now = self.market.now
        return [
            self._said(bar, now)
            for bar in self.market.bars(symbol, timeframe)
            if start <= bar.start and bar.end <= end and bar.end + self.delay <= now
        ]

    def _said(self, bar: Bar, now: int) -> Bar:
        chance = random.Random(bar.end)
        if not self.corrections or chance.random() < 0.5 or now >= bar.end + chance.randrange(self.corrections):
            return bar
        return replace(bar, close=bar.close + 1)

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        self.acted.append((tuple(symbols), start, end))
        if self.errors:
            raise self.errors.pop(0)
        return tuple(one for one in self.known_actions if one.symbol in symbols and start <= one.time < end)

    def close(self) -> None:
        """There is no server to leave."""
