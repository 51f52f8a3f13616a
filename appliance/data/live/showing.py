"""What people see of sources and symbols: told when it changes, and at most each second. Pure; times are ns UTC."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from appliance.data.live.selection import Candidate, Selection
from appliance.domain.market import PriceBand, SymbolStatus, TradingStatus
from appliance.domain.operations import SourceState

SECOND = 1_000_000_000
HEARD = 10 * SECOND
"""When a source was last heard is news of its own only so often."""
SHOWN = 120
"""Characters of a code or a reason that people see."""
View = SourceState | SymbolStatus


class Showing:
    """Remembers what was shown; ``due`` gives what has changed since."""

    def __init__(self, every: int = SECOND) -> None:
        self._every = every
        self._shown: dict[str, SourceState] = {}
        self._statuses: dict[str, SymbolStatus] = {}
        self._changed: dict[str, None] = {}
        self._next = 0

    def resume(self, statuses: Iterable[SymbolStatus]) -> None:
        """These are shown already, since our last life."""
        self._statuses.update((one.symbol, one) for one in statuses)

    def halted(self, symbol: str) -> int | None:
        """Since when (ns UTC) a symbol is halted, if it is."""
        status = self._statuses.get(symbol)
        return status.time if status is not None and status.halted else None

    def shift(self, by: int) -> None:
        """The clock was set by so much (ns)."""
        self._next += by

    def heard(self, event: TradingStatus | PriceBand) -> None:
        """An exchange said something of a symbol, through any source."""
        known = self._statuses.get(event.symbol, SymbolStatus(event.symbol))
        if isinstance(event, TradingStatus):
            after = replace(
                known, halted=event.halted, time=event.time, code=event.code[:SHOWN], reason=event.reason[:SHOWN],
                source=event.source,
            )  # fmt: skip
            older = event.time < known.time
        else:
            after = replace(known, low=event.low, high=event.high, band=event.time, source=event.source)
            older = event.time < known.band
        if not older and replace(after, source=known.source) != known:
            self._statuses[event.symbol] = after
            self._changed[event.symbol] = None

    def due(self, selection: Selection, now: int) -> list[View]:
        """What is to be shown now."""
        if now < self._next:
            return []
        self._next = now + self._every
        found: list[View] = [*self._sources(selection), *(self._statuses[symbol] for symbol in self._changed)]
        self._changed.clear()
        return found

    def _sources(self, selection: Selection) -> Iterable[SourceState]:
        believed = list(selection.active.values())
        for one in selection.candidates.values():
            state = state_of(one, believed.count(one.name))
            shown = self._shown.get(one.name)
            if shown is None or _differ(shown, state):
                self._shown[one.name] = state
                yield state


def state_of(one: Candidate, tells: int) -> SourceState:
    """How a source does."""
    return SourceState(
        one.name, one.state.value, tells, len(one.lacking), round(one.health.score, 2), one.heard, one.since,
        one.backoff.failures, one.due, one.why, one.down,
    )  # fmt: skip


def _differ(shown: SourceState, state: SourceState) -> bool:
    return replace(state, heard=shown.heard) != shown or state.heard - shown.heard >= HEARD
