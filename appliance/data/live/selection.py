"""Which source is believed for which symbol: in order of preference, failing over at once, returning with patience.

Pure: told what happened and when (ns UTC of one clock), it says which connections to open and to end, and every
switch. All sources are connected all the time; the ones in reserve are heard too, but only the active one is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from msgspec import Struct

from appliance.core.breaker import Backoff, CircuitBreaker, Dice, Health
from appliance.data.sources.base import Linked

SECOND = 1_000_000_000
LOOK = SECOND // 5
"""Time is looked at every so often (ns) at least: silence is found before its limit is over, not after it."""


class State(Enum):
    """RESTING: waits before it is tried again. REFUSED: it wants no more attempts. MUTE: connected, and silent."""

    RESTING = "resting"
    CONNECTING = "connecting"
    LIVE = "live"
    MUTE = "mute"
    FAILING = "failing"
    REFUSED = "refused"

    __hash__ = object.__hash__


WAITING = (State.RESTING, State.FAILING, State.REFUSED)


class Terms(Struct, frozen=True):
    """``mute`` (ns) of silence in session ends a connection, ``connect`` ns without ``Linked`` too. A preferred source
    is returned to after ``hold`` ns of health. Attempts are ``first`` to ``longest`` ns apart, after a refusal
    ``refused`` ns.
    """

    mute: int = 10 * SECOND
    connect: int = 20 * SECOND
    hold: int = 30 * SECOND
    first: int = SECOND
    longest: int = 60 * SECOND
    refused: int = 600 * SECOND


class Switch(Struct, frozen=True):
    """``symbols`` are told by ``new`` now ("" : nobody) and no longer by ``old``: ``why``, when (ns UTC), and how long
    it took (ns) to ``detect`` since the old one was last heard, which is 0 for a return."""

    symbols: tuple[str, ...]
    old: str
    new: str
    why: str
    time: int
    detect: int = 0
    back: bool = False


class Changes(Struct):
    """What to do: ``connect`` and ``end`` connections by name of source; ``switches`` have happened."""

    connect: list[str] = []
    end: list[str] = []
    switches: list[Switch] = []


class Candidate:
    """One source, as far as the choice is concerned."""

    def __init__(self, name: str, terms: Terms, random: Dice) -> None:
        self.name = name
        self.state, self.since, self.why = State.RESTING, 0, "not tried yet"
        self.backoff = Backoff(terms.first, terms.longest, random)
        self.breaker = CircuitBreaker()
        self.health = Health()
        self.heard = self.due = self.healthy = 0
        self.proven = False
        self.lacking: dict[str, str] = {}

    def become(self, state: State, now: int, why: str = "") -> None:
        """Change state."""
        self.state, self.since, self.why = state, now, why

    def able(self, symbol: str) -> bool:
        """Whether it could tell ``symbol`` now."""
        return self.state is State.LIVE and symbol not in self.lacking


class Selection:
    """``names`` in order of preference; ``open_since``: since when (ns UTC) ``symbol`` should be told at ``now``, None
    while its market is closed or halted."""

    def __init__(
        self,
        names: Sequence[str],
        symbols: Sequence[str],
        open_since: Callable[[str, int], int | None],
        random: Dice,
        terms: Mapping[str, Terms] | None = None,
    ) -> None:
        self._terms = {name: (terms or {}).get(name, Terms()) for name in names}
        self.candidates = {name: Candidate(name, self._terms[name], random) for name in names}
        self._open_since = open_since
        self.active: dict[str, str] = dict.fromkeys(symbols, "")
        self._stale: dict[tuple[str, str], int] = {}
        self._lagging: dict[tuple[str, str], None] = {}

    # --- what happens ---------------------------------------------------------------------------------------------

    def linked(self, name: str, linked: Linked, now: int) -> Changes:
        """A connection is up; it is believed from its first data on, or at once where nobody else is."""
        one = self.candidates[name]
        one.become(State.LIVE, now)
        one.heard = one.healthy = now
        one.lacking = dict(linked.lacking)
        return self._choose(now)

    def heard(self, name: str, symbol: str, now: int) -> Changes:
        """Market data came from ``name``."""
        one = self.candidates[name]
        one.heard = now
        if not one.proven:  # a connection that brings nothing is no success
            one.proven, one.healthy = True, now
            one.breaker.succeeded()
            one.health.succeeded(now - one.since)
            one.backoff.reset()
        if self._stale.pop((name, symbol), None) is not None:
            one.healthy = now  # one quote after a long silence is no reason to come back at once
        return Changes()

    def stale(self, name: str, symbol: str, now: int) -> Changes:
        """``name`` tells other symbols but not ``symbol``, though it should."""
        self._stale.setdefault((name, symbol), now)
        return self._choose(now)

    def lags(self, name: str, symbol: str, now: int, lags: bool = True) -> Changes:
        """``name`` tells ``symbol`` so late that others are quicker, or no longer does."""
        if lags:
            self._lagging[name, symbol] = None
        else:
            self._lagging.pop((name, symbol), None)
            self.candidates[name].healthy = now
        return self._choose(now)

    def ended(self, name: str, why: str, now: int, wait: int = 0, refused: bool = False) -> Changes:
        """A connection ended or did not come about; ``wait`` (ns) is how long the source wants to be left alone."""
        one, terms = self.candidates[name], self._terms[name]
        one.proven = False
        one.health.failed()
        one.breaker.failed(now, why, wait)
        pause = one.backoff.next(max(wait, terms.refused if refused else 0))
        one.due = max(now + pause, one.breaker.until)
        if one.state is State.MUTE:  # we ended it, whatever it says of that
            one.become(State.FAILING, now, one.why)
        else:
            one.become(State.REFUSED if refused else State.FAILING, now, why)
        self._stale = {key: since for key, since in self._stale.items() if key[0] != name}
        self._lagging = {key: None for key in self._lagging if key[0] != name}
        return self._choose(now)

    def tick(self, now: int) -> Changes:
        """What time brings: connections to try, mute ones to end, returns."""
        ended = []
        connect = []
        for one in self.candidates.values():
            if self._hangs(one, now):
                ended.append(one.name)
            elif one.state in WAITING and now >= one.due and one.breaker.allows(now):
                one.become(State.CONNECTING, now, one.why if one.backoff.failures else "")
                connect.append(one.name)
        changes = self._choose(now)
        changes.connect, changes.end = connect, ended
        return changes

    def _hangs(self, one: Candidate, now: int) -> bool:
        terms = self._terms[one.name]
        if one.state is State.CONNECTING and now - one.since >= terms.connect:
            one.become(State.MUTE, now, f"no connection after {terms.connect / SECOND:g} s")
            return True
        if one.state is not State.LIVE:
            return False
        opened = [self._open_since(symbol, now) for symbol in self.active if symbol not in one.lacking]
        since = [time for time in opened if time is not None]
        if not since or now - max(one.heard, min(since)) < terms.mute - LOOK:
            return False
        one.become(State.MUTE, now, f"connected, but silent for {terms.mute / SECOND:g} s in session")
        return True

    # --- the choice -----------------------------------------------------------------------------------------------

    def _choose(self, now: int) -> Changes:
        moved: dict[tuple[str, str], list[str]] = {}
        for symbol, old in self.active.items():
            new = self._best(symbol, old, now)
            if new != old:
                self.active[symbol] = new
                moved.setdefault((old, new), []).append(symbol)
        return Changes(switches=[self._switch(*pair, symbols, now) for pair, symbols in moved.items()])

    def _best(self, symbol: str, old: str, now: int) -> str:
        """The first that is able; the one that tells now keeps it until a preferred one has been healthy for long."""
        able = [name for name, one in self.candidates.items() if one.able(symbol)]
        fresh = [name for name in able if not self.slow(name, symbol)] or able
        if old not in fresh:
            return fresh[0] if fresh else ""
        for name in fresh[: fresh.index(old)]:
            one = self.candidates[name]
            if one.proven and now - one.healthy >= self._terms[name].hold:
                return name
        return old

    def slow(self, name: str, symbol: str) -> str:
        """How a connected source is slow with a symbol, "" where it is not."""
        if (name, symbol) in self._lagging:
            return f"late with {symbol}"
        return f"stale on {symbol}" if (name, symbol) in self._stale else ""

    def _switch(self, old: str, new: str, symbols: list[str], now: int) -> Switch:
        names = list(self.candidates)
        if old and self.candidates[old].able(symbols[0]) and not self.slow(old, symbols[0]):
            back = names.index(new) < names.index(old)
            return Switch(tuple(symbols), old, new, f"{new} is healthy again", now, back=back)
        if not old:
            return Switch(tuple(symbols), old, new, f"{new} is connected", now)
        one = self.candidates[old]
        why = one.why or one.lacking.get(symbols[0], "") or self.slow(old, symbols[0])
        return Switch(tuple(symbols), old, new, why, now, now - one.heard)
