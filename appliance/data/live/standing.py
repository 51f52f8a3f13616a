"""Who stands in for a preferred source, who does not end, what nobody tells: notices that last as long. Pure.

Times are ns UTC.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.data.live.notices import Notices
from appliance.data.live.selection import Candidate, Selection, State
from appliance.domain.operations import Notice, Severity

SECOND = 1_000_000_000
UNHEARD = 20 * SECOND
"""How long (ns) after the start nobody need tell a symbol."""
CALM = 5 * SECOND
"""How long (ns) somebody has to tell everything before it is said that nobody does is over."""
STUCK = 5 * SECOND
"""How long a source may take to end once it is asked to."""


class Standing:
    """Says through ``notices`` which sources others stand in for, which do not end, and which symbols nobody tells."""

    def __init__(self, selection: Selection, notices: Notices) -> None:
        self._selection, self._notices = selection, notices
        self._since = 0
        self._missing = -CALM
        self._told: dict[str, None] = {}
        self._away: dict[str, None] = {}

    def shift(self, by: int) -> None:
        """The clock was set by so much (ns)."""
        self._since += by
        self._missing += by

    def look(self, now: int) -> list[Notice]:
        """What has begun or ended to be so."""
        self._since = self._since or now
        self._told.update(dict.fromkeys(symbol for symbol, name in self._selection.active.items() if name))
        found = self._nobody(now)
        for one in self._selection.candidates.values():
            found += self._stood_in(one, now)
            stuck = one.state is State.MUTE and now - one.since >= STUCK
            text = f"{one.name} does not end, though it was asked to; until it does it is not connected again"
            found += self._notices.hold(f"source_stuck/{one.name}", text if stuck else "", now)
        return found

    def _nobody(self, now: int) -> list[Notice]:
        late = now - self._since >= UNHEARD
        symbols = [
            symbol for symbol, name in self._selection.active.items() if not name and (late or symbol in self._told)
        ]
        whys = "; ".join(f"{one.name}: {one.why or one.state.value}" for one in self._selection.candidates.values())
        self._missing = now if symbols else self._missing
        if not symbols and now - self._missing < CALM:
            return []  # a source that is connected may be gone at once
        text = f"nobody tells {some(symbols)}: {whys}" if symbols else ""
        return self._notices.hold("no_source", text, now, Severity.CRITICAL)

    def _stood_in(self, one: Candidate, now: int) -> list[Notice]:
        """Whether others tell what this one should; that begins when it fails, and ends when it tells again."""
        names = list(self._selection.candidates)
        less = names[names.index(one.name) + 1 :]
        symbols = [
            symbol for symbol, name in self._selection.active.items() if name in less and symbol not in one.lacking
        ]
        why = self._failure(one, symbols)
        if symbols and not why and one.name in self._away:
            return []  # it is well, but not for long enough to be believed
        if not (symbols and why):
            self._away.pop(one.name, None)
            return self._notices.hold(f"failover/{one.name}", "", now)
        self._away[one.name] = None
        instead = ", ".join(name for name in less if name in self._selection.active.values())
        return self._notices.hold(
            f"failover/{one.name}", f"{instead} tells {some(symbols)} instead of {one.name}: {why}", now
        )

    def _failure(self, one: Candidate, symbols: Sequence[str]) -> str:
        """Why it does not tell these; "" where it is well, or only just begins."""
        if one.state in (State.FAILING, State.REFUSED, State.MUTE):
            return one.why
        return next((why for symbol in symbols if (why := self._selection.slow(one.name, symbol))), "")


def some(symbols: Sequence[str]) -> str:
    """Symbols in a line, however many there are."""
    if len(symbols) <= 3:
        return ", ".join(symbols)
    return f"{len(symbols)} symbols ({', '.join(symbols[:3])}, …)"
