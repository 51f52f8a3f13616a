"""The connection to a broker: who may be asked, when to try again, and when to give an old connection up. Pure.

Told what happened and when (ticks, ns of one clock that never goes back), it says what to do (open, close, beat) and
what the gateway's core is to hear. One connection is open at a time; what is told of one that was given up is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct

from appliance.core.breaker import Backoff, Dice
from appliance.domain.messages import VenueLink
from appliance.domain.venue import LinkState

SECOND = 1_000_000_000
STEADY = 10 * SECOND
"""A connection that stands for so long (ns) is a success: what ends sooner is tried again ever later."""


class LinkEvent(Enum):
    """What can happen to a connection."""

    TRY = "try"
    AUTHENTICATE = "authenticate"
    OPEN = "open"
    COMPARE = "compare"  # what was told in between may be gone
    DEGRADE = "degrade"
    RECOVER = "recover"
    LOSE = "lose"
    RESET = "reset"
    NEED_2FA = "need_2fa"
    REFUSE = "refuse"

    __hash__ = object.__hash__  # Enum's own is slow, and there is only one of each


class Phase(Enum):
    """How far a connection has come: none, being opened, open."""

    IDLE = "idle"
    OPENING = "opening"
    OPEN = "open"

    __hash__ = object.__hash__


class Do(Enum):
    """What is to be done with the broker."""

    OPEN = "open"
    CLOSE = "close"
    BEAT = "beat"

    __hash__ = object.__hash__


_S, _E = LinkState, LinkEvent
UP = (_S.SYNCING, _S.READY, _S.DEGRADED)
RESTING = (_S.DOWN, _S.WAITING_RESET, _S.WAITING_2FA, _S.REFUSED)
STARTING = (_S.CONNECTING, _S.AUTHENTICATING)


def _rows(states: Iterable[LinkState], event: LinkEvent, to: LinkState) -> dict[tuple[LinkState, LinkEvent], LinkState]:
    return {(state, event): to for state in states}


LINK_TRANSITIONS: dict[tuple[LinkState, LinkEvent], LinkState] = {
    **_rows(RESTING, _E.TRY, _S.CONNECTING),
    **_rows(STARTING, _E.AUTHENTICATE, _S.AUTHENTICATING),
    **_rows(STARTING, _E.OPEN, _S.SYNCING),
    **_rows((_S.SYNCING, _S.READY), _E.COMPARE, _S.SYNCING),
    **_rows(UP, _E.DEGRADE, _S.DEGRADED),
    **_rows(UP, _E.RECOVER, _S.READY),
    (_S.DEGRADED, _E.COMPARE): _S.SYNCING,
    # A venue that restarts, or wants its owner, behind a connection that stays: all is compared once it is back.
    **_rows((_S.WAITING_RESET, _S.WAITING_2FA), _E.DEGRADE, _S.DEGRADED),
    **_rows((_S.WAITING_RESET, _S.WAITING_2FA), _E.RECOVER, _S.SYNCING),
    **_rows((_S.WAITING_RESET, _S.WAITING_2FA), _E.COMPARE, _S.SYNCING),
    **_rows(LinkState, _E.LOSE, _S.DOWN),
    **_rows(LinkState, _E.RESET, _S.WAITING_RESET),
    **_rows(LinkState, _E.NEED_2FA, _S.WAITING_2FA),
    **_rows(LinkState, _E.REFUSE, _S.REFUSED),
}

ENDS = {_S.WAITING_RESET: _E.RESET, _S.WAITING_2FA: _E.NEED_2FA, _S.REFUSED: _E.REFUSE}
"""How a connection ends, by what is to be waited for; all else is DOWN."""
CONDITIONS = {
    _S.READY: _E.RECOVER, _S.SYNCING: _E.COMPARE, _S.DEGRADED: _E.DEGRADE, _S.WAITING_RESET: _E.RESET,
    _S.WAITING_2FA: _E.NEED_2FA,
}  # fmt: skip
"""What a venue says of its surroundings while the connection stands."""


class Pace(Struct, frozen=True):
    """Attempts are ``first`` to ``longest`` ns apart, with jitter."""

    first: int
    longest: int


class LinkTerms(Struct, frozen=True):
    """How patient we are (ns). A beat every ``beat_every``, given up after ``beat_patience``; an attempt that does not
    come back is given up after ``open_patience``, which is longer than brokers' own deadlines for it. Peers that may be
    back are tried within 4 s, so that 30 s are enough to be reconciled; where the owner must act, more slowly, and in
    time for the same 30 s: he may have."""

    beat_every: int = 5 * SECOND
    beat_patience: int = 5 * SECOND
    open_patience: int = 45 * SECOND
    down: Pace = Pace(SECOND // 2, 4 * SECOND)
    reset: Pace = Pace(2 * SECOND, 5 * SECOND)
    owner: Pace = Pace(5 * SECOND, 25 * SECOND)


class Step(Struct, frozen=True):
    """What follows: what to do, in this order, and what the gateway's core hears."""

    actions: tuple[Do, ...] = ()
    link: VenueLink | None = None


NOTHING = Step()


class BrokerManager:
    """The state machine of one connection. ``session`` numbers the connections opened; methods that take it ignore what
    is told of an older one."""

    def __init__(self, random: Dice, terms: LinkTerms = LinkTerms()) -> None:  # noqa: B008 - frozen
        self.state, self.phase = LinkState.DOWN, Phase.IDLE
        self.since = self.session = self._opened = 0
        self.code = self.text = ""
        self._terms = terms
        self._wanted = False
        self._due = 0
        self._beaten: int | None = None
        self._told: VenueLink | None = None
        self._early: list[tuple[LinkState, str, str]] = []
        self._backoffs = {
            state: Backoff(pace.first, pace.longest, random)
            for state, pace in (
                (LinkState.DOWN, terms.down), (LinkState.WAITING_RESET, terms.reset),
                (LinkState.WAITING_2FA, terms.owner), (LinkState.REFUSED, terms.owner),
            )
        }  # fmt: skip

    # --- what is wanted -------------------------------------------------------------------------------------------

    def connect(self, now: int) -> Step:
        """The gateway's core has started and wants the connection; where it stands already, it is to be compared."""
        if not self._wanted:
            self._wanted, self._due = True, now
            return self.tick(now)
        self._told = None
        if self.phase is Phase.OPEN and self.state in (LinkState.READY, LinkState.SYNCING):
            self._move(LinkEvent.COMPARE, now)
        return self._step()

    def stop(self, now: int) -> Step:
        """It is wanted no more."""
        self._wanted = False
        if self.phase is Phase.IDLE:
            return NOTHING
        return self._end(LinkState.DOWN, "closed", "", now)

    # --- what happens ---------------------------------------------------------------------------------------------

    def opened(self, session: int, now: int) -> Step:
        """The connection is there and we are who we say; what happened while it was opened counts now."""
        if session != self.session or self.phase is not Phase.OPENING:
            return NOTHING
        self.phase, self._due, self._beaten = Phase.OPEN, now + self._terms.beat_every, None
        self._opened = now
        self.code = self.text = ""
        self._move(LinkEvent.OPEN, now)
        early, self._early = self._early, []
        for state, code, text in early:
            self._condition(state, code, text, False, now)
        return self._step()

    def ended(
        self, session: int, now: int, state: LinkState = LinkState.DOWN, text: str = "", wait: int = 0, code: str = ""
    ) -> Step:
        """The connection ended, or did not come about: what to wait for, why, and how long (ns) the venue wants to be
        left alone."""
        if session != self.session or self.phase is Phase.IDLE:
            return NOTHING
        return self._end(state, text, code, now, wait)

    def condition(
        self, session: int, now: int, state: LinkState, code: str = "", text: str = "", lost: bool = False
    ) -> Step:
        """The venue says how its surroundings stand; ``lost``: compare anew."""
        if session != self.session or self.phase is Phase.IDLE:
            return NOTHING
        if state in (LinkState.DOWN, LinkState.REFUSED):
            return self._end(state, text, code, now)
        if self.phase is Phase.OPENING:
            return self._while_opening(state, code, text)
        self._condition(state, code, text, lost, now)
        return self._step()

    def answered(self, session: int, now: int) -> Step:
        """The venue has answered a beat."""
        if session == self.session and self.phase is Phase.OPEN:
            self._beaten, self._due = None, now + self._terms.beat_every
            self._judge(now)
        return NOTHING

    def doubt(self, session: int, now: int) -> None:
        """A question was not answered: beat at once, to know whether anybody is there."""
        if session == self.session and self.phase is Phase.OPEN and self._beaten is None:
            self._due = min(self._due, now)

    def due(self) -> int | None:
        """When (ticks) ``tick`` is to be called next; None: never."""
        if self.phase is Phase.IDLE:
            return self._due if self._wanted else None
        if self.phase is Phase.OPENING:
            return self.since + self._terms.open_patience
        return self._due if self._beaten is None else self._beaten + self._terms.beat_patience

    def tick(self, now: int) -> Step:
        """What time brings: an attempt, a beat, the end of patience."""
        due = self.due()
        if due is None or now < due:
            return NOTHING
        if self.phase is Phase.IDLE:
            return self._try(now)
        if self.phase is Phase.OPENING:
            return self._end(LinkState.DOWN, f"not open after {self._terms.open_patience / SECOND:g} s", "", now)
        if self._beaten is not None:
            return self._end(LinkState.DOWN, f"no answer within {self._terms.beat_patience / SECOND:g} s", "", now)
        self._beaten = now
        return Step((Do.BEAT,))

    # --- how it goes on -------------------------------------------------------------------------------------------

    def _try(self, now: int) -> Step:
        self.session += 1
        self.phase, self._early = Phase.OPENING, []
        self._move(LinkEvent.TRY, now)
        # Attempts that fail as the one before are no news: the journal would fill with them.
        return Step((Do.OPEN,), self._tell() if self._told is None else None)

    def _while_opening(self, state: LinkState, code: str, text: str) -> Step:
        if state is LinkState.AUTHENTICATING:
            self.state = LINK_TRANSITIONS[self.state, LinkEvent.AUTHENTICATE]
        else:
            self._early.append((state, code, text))
        return NOTHING

    def _condition(self, state: LinkState, code: str, text: str, lost: bool, now: int) -> None:
        event = CONDITIONS.get(state)
        if lost and state is LinkState.READY:
            event = LinkEvent.COMPARE
        if event is None or (event is LinkEvent.RECOVER and self.state is LinkState.SYNCING):
            return  # it is compared already
        if lost:
            self._told = None
        before = self.state
        self._move(event, now)
        if self.state is not before or lost:
            self.code, self.text = code, text

    def _end(self, state: LinkState, text: str, code: str, now: int, wait: int = 0) -> Step:
        self._judge(now)
        self._move(ENDS.get(state, LinkEvent.LOSE), now)
        self.phase, self._beaten = Phase.IDLE, None
        self.code, self.text = code, text
        self._due = now + self._backoffs[self.state].next(wait)
        return Step((Do.CLOSE,), self._tell() if self._is_news() else None)

    def _judge(self, now: int) -> None:
        """A connection that stood for long was a success."""
        if self.phase is Phase.OPEN and now - self._opened >= STEADY:
            for backoff in self._backoffs.values():
                backoff.reset()

    def _move(self, event: LinkEvent, now: int) -> None:
        after = LINK_TRANSITIONS[self.state, event]
        if after is not self.state or event in (LinkEvent.TRY, LinkEvent.OPEN):
            self.since = now
        self.state = after

    def _step(self) -> Step:
        return Step((), self._tell() if self._is_news() else None)

    def _is_news(self) -> bool:
        told = self._told
        return told is None or (told.state, told.code, told.text) != (self.state, self.code, self.text)

    def _tell(self) -> VenueLink:
        self._told = VenueLink(self.state.up, self.text, self.state, self.code)
        return self._told
