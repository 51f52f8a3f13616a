"""Which bars the history store lacks: those a session should have, that are not there and that no source denied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from msgspec import Struct

from appliance.core.spans import bars_between
from appliance.domain.market import DAY, Bar, Sessions, timeframe_ns, timeframe_parts

Span = tuple[int, int]
ISLAND = 30
"""Bars between two gaps that are asked for together with them: a question costs more than so many bars."""


class Held(Protocol):
    """What is asked of the store."""

    def lacking(self, symbol: str, timeframe: str, start: int, end: int) -> tuple[Span, ...]: ...

    def bars(self, symbol: str, timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]: ...


class Gap(Struct, frozen=True):
    """A row of ``bars`` bars that are lacking: the first begins at ``start``, the last ends at ``end`` (ns UTC);
    ``days`` are the sessions they belong to (YYYY-MM-DD)."""

    symbol: str
    timeframe: str
    start: int
    end: int
    bars: int
    days: tuple[str, ...]


def countable(timeframe: str) -> bool:
    """Whether sessions tell how many bars of a timeframe there should be: of weeks and months nobody looks for gaps."""
    count, unit = timeframe_parts(timeframe)
    return unit in ("s", "m", "h") or (count, unit) == (1, "d")


def gaps(store: Held, sessions: Sessions, symbol: str, timeframe: str, start: int, end: int) -> Iterator[Gap]:
    """The gaps within ``[start, end)`` (ns UTC), in order. A bar that a source was asked for and did not have was not
    traded: it is no gap. None of weeks and months."""
    if not countable(timeframe):
        return
    length = timeframe_ns(timeframe)
    for begin, stop in store.lacking(symbol, timeframe, start, end):
        begin, stop = _first(sessions, length, begin), _last(sessions, length, stop)
        held = (bar for page in store.bars(symbol, timeframe, begin, stop) for bar in page)
        for last, until in _between(held, begin, stop):
            missing = list(bars_between(sessions, timeframe, last, until))
            if missing:
                yield Gap(symbol, timeframe, missing[0][0], missing[-1][1], len(missing), _days(sessions, missing))


def questions(found: Iterable[Gap]) -> tuple[Span, ...]:
    """What to ask a source for to fill gaps of one symbol and timeframe, in order: near ones in one question."""
    spans: list[Span] = []
    for gap in found:
        if spans and gap.start - spans[-1][1] <= ISLAND * timeframe_ns(gap.timeframe):
            spans[-1] = spans[-1][0], gap.end
        else:
            spans.append((gap.start, gap.end))
    return tuple(spans)


def lacking_days(found: Iterable[Gap]) -> int:
    """How many sessions lack a bar."""
    return len({day for gap in found for day in gap.days})


def _between(bars: Iterable[Bar], begin: int, stop: int) -> Iterator[Span]:
    """Where there is no bar between two times."""
    last = begin
    for bar in bars:
        if bar.start > last:
            yield last, bar.start
        last = max(last, bar.end)
    if last < stop:
        yield last, stop


def _days(sessions: Sessions, missing: Iterable[Span]) -> tuple[str, ...]:
    days: dict[str, None] = {}
    until = 0
    for start, _ in missing:
        if start >= until and (session := sessions.at(start)) is not None:
            days[session.date], until = None, session.close
    return tuple(days)


def _first(sessions: Sessions, length: int, time: int) -> int:
    """Where the bar begins that a time lies in."""
    session = sessions.at(time)
    if session is None:
        return time
    return session.open if length == DAY else time - (time - session.open) % length


def _last(sessions: Sessions, length: int, time: int) -> int:
    """Where the bar ends that a time lies in; a time between two bars stays."""
    session = sessions.at(time)
    if session is None or time == session.open:
        return time
    return session.close if length == DAY else min(session.close, time + (session.open - time) % length)
