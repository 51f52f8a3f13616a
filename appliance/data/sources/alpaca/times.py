"""Alpaca's times and timeframes as ours: RFC 3339 and stamps at the start there, ns UTC and spans of sessions here."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from appliance.data.options import NEW_YORK
from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, AlwaysOpen, Sessions, timeframe_ns, timeframe_parts
from appliance.errors import DataError

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))")
_WIRE: dict[str, tuple[str, tuple[int, ...]]] = {
    "m": ("Min", tuple(range(1, 60))), "h": ("Hour", tuple(range(1, 24))),
    "d": ("Day", (1,)), "w": ("Week", (1,)), "mo": ("Month", (1, 2, 3, 4, 6, 12)),
}  # fmt: skip
"""Alpaca's name of each unit and how many of it make a bar."""
_SESSION_GRID = 30
"""Sessions open at half past: only minutes that divide 30 begin with them. Alpaca stamps all bars on the clock, so an
hour of it that holds the open holds trades from before it too."""


def nanoseconds(text: object) -> int:
    """An RFC 3339 time in ns UTC, exactly. Raises ValueError."""
    found = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is not a time")
    seconds = int(datetime.fromisoformat(f"{found[1]}+00:00").timestamp())
    offset = (int(found[4]) * HOUR + int(found[5]) * MINUTE) * (-1 if found[3] == "-" else 1) if found[3] else 0
    return seconds * SECOND + int((found[2] or "").ljust(9, "0")) - offset


def rfc3339(time: int) -> str:
    """A time (ns UTC) as Alpaca writes it."""
    return f"{datetime.fromtimestamp(time // SECOND, UTC):%Y-%m-%dT%H:%M:%S}.{time % SECOND:09d}Z"


def wire_timeframe(timeframe: str, market: str) -> str:
    """Alpaca's name of a timeframe: ``5Min``. Raises DataError for one that it does not have, or has not aligned to
    sessions."""
    try:
        count, unit = timeframe_parts(timeframe)
    except ValueError as error:
        raise DataError(f"timeframe {error}") from None
    name, counts = _WIRE.get(unit, ("", ()))
    if count not in counts:
        raise DataError(f"Alpaca has no bars of {timeframe}", hint="it has 1m to 59m, 1h to 23h, 1d, 1w, 1mo")
    aligned = unit not in ("m", "h") or (unit == "m" and _SESSION_GRID % count == 0)
    if market == "stocks" and not aligned:
        raise DataError(
            f"Alpaca's bars of {timeframe} begin on the clock, not with the session",
            hint="build them from 30m or shorter bars",
        )
    return f"{count}{name}"


class Span(NamedTuple):
    """What a bar covers, ns UTC."""

    start: int
    end: int


class Spans:
    """From the start that Alpaca stamps on a bar to what the bar covers. A day begins at its session's open and ends at
    its close; weeks and months go from their first open to their last close; crypto's are whole."""

    def __init__(self, timeframe: str, sessions: Sessions) -> None:
        self._count, self._unit = timeframe_parts(timeframe)
        self._length = timeframe_ns(timeframe)
        self._sessions = None if isinstance(sessions, AlwaysOpen) else sessions
        self._known: dict[int, Span] = {}

    @property
    def before(self) -> int:
        """How far before a bar's start (ns) its stamp may be."""
        return 0 if self._plain else self._length + 3 * DAY

    def of(self, stamp: int) -> Span:
        """What the bar with this stamp (ns UTC) covers."""
        if self._plain:
            return Span(stamp, stamp + self._length)
        if stamp not in self._known:
            self._known[stamp] = self._period(stamp)
        return self._known[stamp]

    @property
    def _plain(self) -> bool:
        return self._unit in ("m", "h") or (self._unit != "mo" and self._sessions is None)

    def _period(self, stamp: int) -> Span:
        """A day without a session stays whole: who checks it sees that the exchange was closed."""
        zone = UTC if self._sessions is None else NEW_YORK
        first = datetime.fromtimestamp(stamp // SECOND, zone)
        last = datetime.combine(self._after(first.date()), first.time(), zone)
        whole = Span(stamp, int(last.timestamp()) * SECOND)
        if self._sessions is None:
            return whole
        start = self._sessions.next_open(stamp - 1)
        closed = self._sessions.previous(whole.end)
        if start is None or closed is None or not whole.start <= start < closed.close <= whole.end:
            return whole
        return Span(start, closed.close)

    def _after(self, day: date) -> date:
        if self._unit == "mo":
            months = day.year * 12 + day.month - 1 + self._count
            return date(months // 12, months % 12 + 1, day.day)
        return day + timedelta(days=7 if self._unit == "w" else 1)
