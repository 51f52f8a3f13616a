"""Times rounded outward, so that no bar of an exchange lies across the edge of what is asked for. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from appliance.domain.market import SECOND, Sessions, timeframe_parts

_EPOCH = date(1970, 1, 1)


def outward(start: int, end: int, timeframe: str, sessions: Sessions) -> tuple[int, int]:
    """``[start, end)`` (ns UTC), and all of the sessions, for weeks and months also of the UTC weeks and months, that
    it cuts."""
    first, last = sessions.at(start), sessions.at(end)
    start = first.open if first is not None else start
    end = last.close if last is not None and last.open < end else end
    unit = timeframe_parts(timeframe)[1]
    if unit not in ("w", "mo"):
        return start, end
    return _ns(_first_of(_day(start), unit)), _ns(_next(_first_of(_day(end - 1), unit), unit))


def _day(time: int) -> date:
    return datetime.fromtimestamp(time // SECOND, UTC).date()


def _first_of(day: date, unit: str) -> date:
    return day - timedelta(days=day.weekday()) if unit == "w" else day.replace(day=1)


def _next(first: date, unit: str) -> date:
    return first + timedelta(days=7) if unit == "w" else (first + timedelta(days=31)).replace(day=1)


def _ns(day: date) -> int:
    return (day - _EPOCH).days * 86_400 * SECOND
