"""Which bars are not there: counted against the sessions, marked, and filled only for those who ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from appliance.domain.market import DAY, SECOND, WEEK, Bar, Session, Sessions, timeframe_ns, timeframe_parts

FILLED = "filled"
"""The source of a bar that was filled in."""


def missing(sessions: Sessions, timeframe: str, last: int, bar_start: int, bar_end: int) -> int:
    """How many bars of a timeframe are missing between one that ended at ``last`` and one of ``[bar_start, bar_end)``
    (ns UTC). Bars of a session begin at its open, and its last may be shorter; days, weeks and months are counted by
    the sessions' dates. 0 outside the table of sessions: nobody knows."""
    count, unit = timeframe_parts(timeframe)
    if unit == "d":
        return max(0, (_between(sessions, last, bar_end) - 1) // count)
    if unit == "w":
        return max(0, round((bar_end - last) / (count * WEEK)) - 1)
    if unit == "mo":
        return max(0, (_month(bar_end) - _month(last)) // count - 1)
    return sum(-(-(stop - start) // timeframe_ns(timeframe)) for start, stop in _open(sessions, last, bar_start))


def forward_filled(bars: Sequence[Bar], sessions: Sessions, timeframe: str) -> tuple[Bar, ...]:
    """Bars of one symbol, in order, and between them one for each that is missing inside the sessions: at the close
    before it, volume 0, source ``filled``. Only who asks gets it: a filled price was not traded. Nothing is filled
    before the first bar or after the last. Raises ValueError for weeks and months."""
    made: list[Bar] = []
    for bar in bars:
        if made:
            before = made[-1]
            made += [
                Bar(bar.symbol, timeframe, start, end, *(before.close,) * 4, 0.0, FILLED)
                for start, end in spans(sessions, timeframe, before.end, bar.start)
            ]
        made.append(bar)
    return tuple(made)


def spans(sessions: Sessions, timeframe: str, last: int, until: int) -> Iterator[tuple[int, int]]:
    """Start and end (ns UTC) of each bar that fits between two times, inside the sessions; of a day only the whole one.
    Raises ValueError for weeks and months."""
    unit = timeframe_parts(timeframe)[1]
    length = timeframe_ns(timeframe)
    if unit in ("w", "mo"):
        raise ValueError(f"bars of {timeframe} are not filled: fill days, and build from them")
    for start, stop in _open(sessions, last, until):
        if length == DAY:
            session = sessions.at(start)
            if session is not None and start == session.open and stop == session.close:
                yield start, stop
            continue
        for begin in range(start, stop, length):
            yield begin, min(begin + length, stop)


def _open(sessions: Sessions, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The open stretches of ``[start, end)``."""
    session = sessions.coming(start) if start < end else None
    while session is not None and session.open < end:
        yield max(start, session.open), min(end, session.close)
        session = sessions.coming(session.close)


def _between(sessions: Sessions, last: int, end: int) -> int:
    """Sessions from the one that ended at or before ``last`` to that of ``end``; 0 where one is not known."""
    first, second = day_of(sessions, last), day_of(sessions, end)
    return sessions.number(second) - sessions.number(first) if first and second else 0


def day_of(sessions: Sessions, end: int) -> Session | None:
    """The session of a daily bar that ends at ``end`` (ns UTC): that which is open until then, or closed before."""
    return sessions.at(end - 1) or sessions.previous(end)


def _month(end: int) -> int:
    at = datetime.fromtimestamp((end - 1) // SECOND, UTC)
    return at.year * 12 + at.month
