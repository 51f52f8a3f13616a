"""How old what we know of a symbol is, by channel: sessions and halts explain silence. Pure; times are ns UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from appliance.data.sources.base import Kind
from appliance.domain.market import Sessions, TradingStatus


class Freshness(Enum):
    """LATE: longer silent than usual. STALE: twice that, not to be acted on. CLOSED and HALTED: silence is right."""

    FRESH = "fresh"
    LATE = "late"
    STALE = "stale"
    CLOSED = "closed"
    HALTED = "halted"

    __hash__ = object.__hash__


class Staleness:
    """``limits`` (ns) is how long each channel is silent at most in session; a channel without one is not watched."""

    def __init__(self, sessions_of: Callable[[str], Sessions], limits: Mapping[Kind, int], since: int) -> None:
        self._sessions_of, self._limits, self._since = sessions_of, dict(limits), since
        self._heard: dict[tuple[str, Kind], int] = {}
        self._halted: set[str] = set()
        self._resumed: dict[str, int] = {}

    def heard(self, symbol: str, kind: Kind, now: int) -> None:
        """Data of ``symbol`` came. Signs of life of the wire are none."""
        self._heard[symbol, kind] = now

    def status(self, status: TradingStatus, now: int) -> None:
        """A halt began or ended; silence counts anew from its end."""
        if status.halted:
            self._halted.add(status.symbol)
        elif status.symbol in self._halted:
            self._halted.discard(status.symbol)
            self._resumed[status.symbol] = now

    def shift(self, by: int) -> None:
        """The clock was set by so much (ns)."""
        self._since += by
        self._heard = {key: time + by for key, time in self._heard.items()}
        self._resumed = {symbol: time + by for symbol, time in self._resumed.items()}

    def of(self, symbol: str, kind: Kind, now: int) -> Freshness:
        """How fresh ``symbol`` is on channel ``kind``. What was never heard is silent since the start."""
        session = self._sessions_of(symbol).at(now)
        if session is None:
            return Freshness.CLOSED
        if symbol in self._halted:
            return Freshness.HALTED
        limit = self._limits.get(kind)
        heard = self._heard.get((symbol, kind), self._since)
        silent = now - max(heard, session.open, self._resumed.get(symbol, 0))
        if limit is None or silent < limit:
            return Freshness.FRESH
        return Freshness.LATE if silent < 2 * limit else Freshness.STALE

    def telling(self, symbol: str, now: int) -> bool:
        """Whether silence of ``symbol`` needs an explanation: in session and not halted."""
        return symbol not in self._halted and self._sessions_of(symbol).at(now) is not None
