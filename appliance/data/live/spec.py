"""What live market data are to be in one run: sources, symbols, and what is expected of them."""

from __future__ import annotations

from msgspec import Struct

from appliance.data.calendars import CalendarOptions, SessionsOf, calendar_of, hours
from appliance.data.sources.base import Kind
from appliance.data.sources.spec import SourceSpec
from appliance.data.validation.limits import DEFAULTS, ValidationLimits
from appliance.domain.market import SECOND, Sessions


class LiveSpec(Struct, frozen=True):
    """``sources`` in order of preference tell ``symbols``: bars of ``timeframe``, and what else is among ``kinds``.

    ``calendar`` says when each of them trades. ``mute`` (ns) of silence in session gives
    a connection up; a preferred source is returned to after ``hold`` ns of health. ``history_mb`` and ``cache_mb``
    bound the files of past data.
    """

    sources: tuple[SourceSpec, ...]
    symbols: tuple[str, ...]
    timeframe: str = "1m"
    kinds: tuple[str, ...] = ("bars", "quotes", "statuses")
    calendar: CalendarOptions = CalendarOptions()
    mute: int = 10 * SECOND
    hold: int = 30 * SECOND
    limits: ValidationLimits = DEFAULTS
    history_mb: int = 2_048
    cache_mb: int = 256

    @property
    def subscribed(self) -> tuple[Kind, ...]:
        """What is subscribed to."""
        return tuple(map(Kind, self.kinds))

    def sessions_of(self, sessions: Sessions) -> SessionsOf:
        """The sessions of each symbol, given the exchange's regular ones."""
        return calendar_of(self.calendar, sessions)

    def usual(self, sessions: Sessions) -> Sessions:
        """The sessions of a symbol of which nothing else is said, given the exchange's regular ones."""
        return hours(sessions, self.calendar.hours, self.calendar.extended)
