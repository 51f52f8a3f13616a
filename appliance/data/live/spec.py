"""What live market data are to be in one run: sources, symbols, and what is expected of them."""

from __future__ import annotations

from msgspec import Struct

from appliance.data.sources.base import Kind
from appliance.data.sources.spec import SourceSpec
from appliance.data.validation.limits import DEFAULTS, ValidationLimits
from appliance.domain.market import SECOND, AlwaysOpen, Sessions


class LiveSpec(Struct, frozen=True):
    """``sources`` in order of preference tell ``symbols``: bars of ``timeframe``, and what else is among ``kinds``.

    ``always`` are symbols that trade day and night whatever the sessions are. ``mute`` (ns) of silence in session gives
    a connection up; a preferred source is returned to after ``hold`` ns of health. ``history_mb`` and ``cache_mb``
    bound the files of past data.
    """

    sources: tuple[SourceSpec, ...]
    symbols: tuple[str, ...]
    timeframe: str = "1m"
    kinds: tuple[str, ...] = ("bars", "quotes", "statuses")
    always: tuple[str, ...] = ()
    mute: int = 10 * SECOND
    hold: int = 30 * SECOND
    limits: ValidationLimits = DEFAULTS
    history_mb: int = 2_048
    cache_mb: int = 256

    @property
    def subscribed(self) -> tuple[Kind, ...]:
        """What is subscribed to."""
        return tuple(map(Kind, self.kinds))


class Hours:
    """The sessions of each symbol (a ``SessionsOf``): those of the exchange, or day and night for those ``always``."""

    def __init__(self, sessions: Sessions, always: tuple[str, ...] = ()) -> None:
        self._sessions = sessions
        self._open = dict.fromkeys(always, AlwaysOpen())

    def __call__(self, symbol: str) -> Sessions:
        """The sessions of ``symbol``."""
        return self._open.get(symbol, self._sessions)
