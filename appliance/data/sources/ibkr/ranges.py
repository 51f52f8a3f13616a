"""A range of time as the questions that IB allows, session by session, and its bars as spans of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from appliance.data.options import NEW_YORK
from appliance.domain.market import SECOND, Session, Sessions, timeframe_ns
from appliance.errors import DataError


class Size(NamedTuple):
    """IB's name of a timeframe, and how much one question may ask for: ``seconds``, or else ``sessions``."""

    wire: str
    seconds: int = 0
    sessions: int = 0


SIZES: dict[str, Size] = {
    "1s": Size("1 secs", 1800), "5s": Size("5 secs", 3600), "10s": Size("10 secs", 14400),
    "15s": Size("15 secs", 14400), "30s": Size("30 secs", 28800),
    "1m": Size("1 min", sessions=1), "2m": Size("2 mins", sessions=2), "3m": Size("3 mins", sessions=5),
    "5m": Size("5 mins", sessions=5), "10m": Size("10 mins", sessions=5), "15m": Size("15 mins", sessions=5),
    "30m": Size("30 mins", sessions=20), "1d": Size("1 day", sessions=250),
}  # fmt: skip
"""From IB's table of step sizes. Bars of hours are not here: IB's begin on the clock, not with the session."""
DAILY = "1d"


class Page(NamedTuple):
    """One question: ``duration`` back from ``end``; of the answer, bars in ``[start, end)`` count (ns UTC)."""

    start: int
    end: int
    duration: str

    @property
    def wire_end(self) -> str:
        """The end as IB reads it; what has a fraction of a second is rounded up."""
        return datetime.fromtimestamp(-(-self.end // SECOND), UTC).strftime("%Y%m%d %H:%M:%S UTC")


def size_of(timeframe: str) -> Size:
    """IB's name of a timeframe. Raises DataError for one that it does not have, or has not aligned to sessions."""
    found = SIZES.get(timeframe)
    if found is None:
        raise DataError(
            f"Interactive Brokers has no bars of {timeframe} that begin with the session",
            hint=f"it has {', '.join(SIZES)}; build others from them",
        )
    return found


def pages(size: Size, sessions: Sessions, start: int, end: int) -> Iterator[Page]:
    """The questions for ``[start, end)`` from its beginning on; none for times when the exchange is closed."""
    inside = [session for session in sessions if session.open < end and start < session.close]
    if size.seconds:
        for session in inside:
            yield from _pieces(size.seconds * SECOND, max(start, session.open), min(end, session.close))
        return
    for at in range(0, len(inside), size.sessions):
        some = inside[at : at + size.sessions]
        yield Page(max(start, some[0].open), min(end, some[-1].close), f"{len(some)} D")


def _pieces(longest: int, start: int, end: int) -> Iterator[Page]:
    for begin in range(start, end, longest):
        until = min(begin + longest, end)
        yield Page(begin, until, f"{-(-(until - begin) // SECOND)} S")


class Spans:
    """What a bar covers (ns UTC), from the time or day that IB stamps on it."""

    def __init__(self, timeframe: str, sessions: Sessions) -> None:
        self._length = timeframe_ns(timeframe)
        self._sessions = sessions
        self._days: dict[str, Session] = {session.date: session for session in sessions}

    def of(self, stamp: object) -> tuple[int, int]:
        """A datetime is when the bar begins; a date is its session. A day without one stays whole, midnight to
        midnight in New York: who checks it sees that the exchange was closed. Raises ValueError for what is neither."""
        if isinstance(stamp, datetime):
            if stamp.tzinfo is None:
                raise ValueError(f"{stamp} is of no time zone")
            return self._from(int(stamp.timestamp()) * SECOND)
        if not isinstance(stamp, date):
            raise ValueError(f"{stamp!r} is no time")
        session = self._days.get(stamp.isoformat())
        return (session.open, session.close) if session is not None else (_midnight(stamp), _midnight(_next(stamp)))

    def _from(self, start: int) -> tuple[int, int]:
        session = self._sessions.at(start)
        end = start + self._length
        return start, min(end, session.close) if session is not None else end


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).timestamp()) * SECOND


def _next(day: date) -> date:
    return day + timedelta(days=1)


def known(sessions: Sessions) -> tuple[int, int]:
    """From where to where (ns UTC) a table of sessions reaches; (0, 0) for an empty one."""
    table: Sequence[Session] = tuple(sessions)
    return (table[0].open, table[-1].close) if table else (0, 0)
