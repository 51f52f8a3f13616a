"""Which bars are not there: counted against the sessions."""

from __future__ import annotations

from datetime import UTC, datetime

from appliance.core.spans import stretches
from appliance.domain.market import SECOND, WEEK, Session, Sessions, timeframe_ns, timeframe_parts


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
    return sum(-(-(stop - start) // timeframe_ns(timeframe)) for start, stop in stretches(sessions, last, bar_start))


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
