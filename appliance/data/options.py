"""How files of market data are to be read: the owner's choices, checked."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from appliance.domain.market import RECORDED, SECOND, Sessions
from appliance.errors import UsageError

NEW_YORK = ZoneInfo("America/New_York")
_CHOICES = {
    "bar_stamp": ("start", "end"),
    "session": ("regular", "all"),
    "bad_rows": ("refuse", "quarantine"),
    "prices": ("adjusted", "raw"),
}


class FileOptions(Struct, frozen=True):
    """How to read files. ``start`` and ``end`` are inclusive New York dates (YYYY-MM-DD, empty: open).

    ``bar_stamp`` says which end of a bar the file's ``ts`` is. ``session`` ``regular`` needs ``sessions``.
    ``factors`` is the path of a file of price and split factors: ``prices`` are ``adjusted`` by them, or stay ``raw``
    and the splits and dividends happen; ``timeframe`` is inferred where empty; ``opens`` tells the open of each trade
    bar, as a trade of no shares when the bar begins.
    """

    bar_stamp: str = "end"
    symbols: tuple[str, ...] = ()
    session: str = "regular"
    sessions: Sessions | None = None
    start: str = ""
    end: str = ""
    factors: str = ""
    bad_rows: str = "refuse"
    timeframe: str = ""
    prices: str = "adjusted"
    opens: bool = False

    def checked(self) -> FileOptions:
        """These options. Raises UsageError naming the first one that is wrong and what it may be."""
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} {getattr(self, name)!r}", hint=f"it must be one of {', '.join(allowed)}")
        if self.timeframe and self.timeframe not in RECORDED:
            raise UsageError(f"timeframe {self.timeframe!r}", hint=f"it must be one of {', '.join(RECORDED)}")
        if self.session == "regular" and self.sessions is None:
            raise UsageError("session 'regular' without a table of sessions", hint="load one, or use session 'all'")
        first, last = self.span
        if first >= last:
            raise UsageError(f"start {self.start} is after end {self.end}", hint="swap the two dates")
        return self

    @property
    def span(self) -> tuple[int, int]:
        """``[first, last)`` in ns UTC: the New York midnights around the chosen dates."""
        first = midnight(_day("start", self.start)) if self.start else 0
        last = midnight(_day("end", self.end) + timedelta(days=1)) if self.end else 2**63 - 1
        return first, last


def midnight(day: date) -> int:
    """The New York midnight (ns UTC) that begins a day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).timestamp()) * SECOND


def new_york_date(time: int) -> str:
    """The New York date (YYYY-MM-DD) of a time (ns UTC)."""
    return datetime.fromtimestamp(time // SECOND, NEW_YORK).date().isoformat()


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{name} {text!r} is not a date", hint="write it as YYYY-MM-DD") from None
