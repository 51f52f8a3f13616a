"""Whether a source tells bars when others do: who is late, or leaves them out, several times in a row lags. Pure."""

from __future__ import annotations

from typing import TypeVar

from appliance.data.live.reserve import GRACE
from appliance.domain.market import Bar

LATE = 2 * GRACE
"""How long (ns) after another's a telling is late: bars that are built wait for what belongs to them, and are not."""
IN_A_ROW = 3
"""Bars of a symbol, one after the other, that make a source lag, or that show that it lags no more."""
KEPT_MAX = 8192

Key = TypeVar("Key")
Value = TypeVar("Value")
Mark = tuple[str, str, int]
"""Symbol, timeframe, end."""


class Punctuality:
    """Times are ns UTC. A source's first telling of a bar counts: late is more than ``late`` ns after the first of all
    sources, whether it comes at all or not."""

    def __init__(self, late: int = LATE) -> None:
        self._late = late
        self._first: dict[Mark, int] = {}
        self._seen: dict[tuple[str, Mark], None] = {}
        self._wanted: dict[tuple[str, Mark], Bar] = {}
        self._runs: dict[tuple[str, str], int] = {}
        self._lagging: dict[tuple[str, str], None] = {}

    def told(self, name: str, bar: Bar, now: int) -> bool | None:
        """``name`` told ``bar``: True when it begins to lag with it, False when it ceases to, None otherwise."""
        first = _kept(self._first, _mark(bar), now)
        return self._count(name, bar, now - first > self._late)

    def expects(self, name: str, bar: Bar) -> None:
        """``name`` should have told ``bar`` by now, as another did."""
        _kept(self._wanted, (name, _mark(bar)), bar)

    def overdue(self, now: int) -> list[tuple[str, str]]:
        """Sources and symbols that begin to lag since what was expected of them has not come."""
        over = [key for key in self._wanted if now - self._first.get(key[1], 0) > self._late]
        late = [(key[0], self._wanted.pop(key)) for key in over]
        return [(name, bar.symbol) for name, bar in late if self._count(name, bar, True)]

    def shift(self, by: int) -> None:
        """The clock was set by so much (ns)."""
        self._first = {mark: time + by for mark, time in self._first.items()}

    def forget(self, name: str) -> None:
        """A new connection is judged anew."""
        self._runs = _without(self._runs, name)
        self._lagging = _without(self._lagging, name)

    def _count(self, name: str, bar: Bar, late: bool) -> bool | None:
        if (name, _mark(bar)) in self._seen:
            return None
        _kept(self._seen, (name, _mark(bar)), None)
        key = name, bar.symbol
        run = self._runs.get(key, 0)
        self._runs[key] = run = min(run, 0) - 1 if late else max(run, 0) + 1
        if run <= -IN_A_ROW and key not in self._lagging:
            self._lagging[key] = None
            return True
        if run >= IN_A_ROW and key in self._lagging:
            del self._lagging[key]
            return False
        return None


def _without(kept: dict[tuple[str, str], Value], name: str) -> dict[tuple[str, str], Value]:
    return {key: value for key, value in kept.items() if key[0] != name}


def _mark(bar: Bar) -> Mark:
    return bar.symbol, bar.timeframe, bar.end


def _kept(kept: dict[Key, Value], key: Key, value: Value) -> Value:
    """What is kept under a key, else ``value`` from now on; the oldest is forgotten."""
    found = kept.setdefault(key, value)
    if len(kept) > KEPT_MAX:
        del kept[next(iter(kept))]
    return found
