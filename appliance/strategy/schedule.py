"""When a strategy's timers and session events are due, in market time. Pure: the same table gives the same times.

Local time needs no time zone database: a regular session of New York opens at 09:30, so its open says when its day
began, in summer and winter. A market that never closes has one session a UTC day, and its local time is UTC.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, AlwaysOpen, Session, Sessions
from appliance.errors import StrategyError
from appliance.strategy.bars import length_of

REGULAR_OPEN = 9 * HOUR + 30 * MINUTE
"""Local time of a regular session's open, ns after midnight; half days open at the same time."""
BEFORE_CLOSE = 5 * MINUTE
"""How long before the close ``before_close`` is told, ns."""
TIMERS_MAX = 100
SESSION_EVENTS = ("open", "before_close", "close")
"""What ``on_session`` is told of every session, in the order of a day."""

_WALL = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
_RELATIVE = re.compile(r"(?:(open)(?:\+(\w+))?|(close)(?:-(\w+))?)")
_AT_HINT = 'write local time as "15:55", or relative to the session: "open", "open+30m", "close-5m", "close"'


class Timer(Struct, frozen=True):
    """A rule for every session: ``offset`` ns after its ``origin`` (``open``, ``close``, or ``midnight`` before it)
    and, where ``every`` (ns) is not 0, again and again until the close."""

    name: str
    origin: str
    offset: int = 0
    every: int = 0


class Due(Struct, frozen=True):
    """What is due at ``time`` (ns UTC): hook (``on_timer`` or ``on_session``) and name, in the order to be told."""

    time: int
    calls: tuple[tuple[str, str], ...]


class Schedule:
    """Timers and session events of one strategy. ``sessions`` None: a market that never closes.

    ``begin`` says from when on; ``take`` then gives each due time once and in order. How far it has come is all there
    is to save.
    """

    __slots__ = ("_before_close", "_known", "_next", "_opens", "_sessions", "_tells", "_through", "_timers")

    def __init__(self, sessions: Sessions | None = None, before_close: int = BEFORE_CLOSE) -> None:
        self._opens = REGULAR_OPEN if sessions else 0
        self._sessions = sessions if sessions else AlwaysOpen()
        self._before_close = before_close
        self._timers: dict[str, Timer] = {}
        self._tells = False
        self._through = 0
        self._next: int | None = None
        self._known = True  # of no timers, none is due

    # -- what is asked for --------------------------------------------------------------------------------------------

    def every(self, interval: str, name: str = "") -> str:
        """A timer at the open and each ``interval`` ("30s", "5m", "1h") after it, while the session is open; its name.

        Raises StrategyError for what is no length of time, or a day and longer, and for a name that is taken.
        """
        asked = f"every({interval!r})"
        length = length_of(interval, asked)
        if length >= DAY:
            raise StrategyError(f"{asked}: must be below a day", hint='for once a session write at("open+1m")')
        return self._add(Timer(name or interval, "open", every=length), asked)

    def at(self, time: str, name: str = "") -> str:
        """A timer once a session: at local time ("15:55"), or relative ("open+30m", "close-5m"); its name.

        A session that does not contain the time is passed over: 15:55 on a half day. The close itself is contained.
        Raises StrategyError for a text that is neither, a time that no session contains, and a name that is taken.
        """
        asked = f"at({time!r})"
        timer = _timer(time, name, asked)
        if len(self._sessions) and not any(self._first(timer, s, s.open - 1) is not None for s in self._sessions):
            raise StrategyError(f"{asked}: no session contains it, so it would never come", hint=_AT_HINT)
        return self._add(timer, asked)

    def tell_sessions(self) -> None:
        """Let the ``SESSION_EVENTS`` of every session be due too."""
        self._tells = True
        self._known = False

    def _add(self, timer: Timer, asked: str) -> str:
        known = self._timers.get(timer.name)
        if known is not None and known != timer:
            raise StrategyError(f"{asked}: another timer is called {timer.name!r}", hint="give it a name of its own")
        if known is None and len(self._timers) >= TIMERS_MAX:
            raise StrategyError(f"{asked}: a strategy has at most {TIMERS_MAX} timers")
        self._timers[timer.name] = timer
        self._known = False
        return timer.name

    # -- what is due --------------------------------------------------------------------------------------------------

    def begin(self, now: int) -> None:
        """Nothing is due up to and at ``now`` (ns UTC); also: forget what became due while the box was off."""
        self._through = now
        self._known = False

    @property
    def timed(self) -> bool:
        """Whether anything has been asked for."""
        return bool(self._timers) or self._tells

    def deadline(self) -> int | None:
        """When something is due next (ns UTC); None when nothing will be."""
        if not self._known:
            self._next = self.next_after(self._through)
            self._known = True
        return self._next

    def take(self, now: int) -> Due | None:
        """The first that is due by ``now`` (ns UTC) and has not been taken; None when there is nothing left."""
        time = self.deadline()
        if time is None or time > now:
            return None
        self.begin(time)
        return Due(time, self.calls_at(time))

    def next_after(self, time: int) -> int | None:
        """The first due time after ``time`` (ns UTC), whatever has been taken; None beyond the table of sessions."""
        if not self._timers and not self._tells:
            return None
        session = self._sessions.coming(time)
        while session is not None:
            found = [due for _, timer in self._rules() if (due := self._first(timer, session, time)) is not None]
            if found:
                return min(found)
            session = self._sessions.coming(session.close)
        return None

    def calls_at(self, time: int) -> tuple[tuple[str, str], ...]:
        """What is due at exactly ``time`` (ns UTC). Where one session ends as another opens, its calls come first."""
        ended, under_way = self._sessions.previous(time), self._sessions.at(time)
        touching = [s for s in (ended if ended and ended.close == time else None, under_way) if s is not None]
        return tuple(
            (hook, timer.name)
            for session in touching
            for hook, timer in self._rules()
            if self._first(timer, session, time - 1) == time
        )

    def snapshot(self) -> dict[str, Any]:
        """Plain data for ``restore``; the timers are not in it, since ``on_start`` makes them again."""
        return {"through": self._through}

    def restore(self, data: dict[str, Any]) -> None:
        """Go on after what had been taken."""
        self.begin(data["through"])

    # -- inside -------------------------------------------------------------------------------------------------------

    def _rules(self) -> list[tuple[str, Timer]]:
        """Hook and rule of everything asked for, in the order to be told at one time."""
        timers = [("on_timer", timer) for timer in self._timers.values()]
        if not self._tells:
            return timers
        opening = (
            ("on_session", Timer("open", "open")),
            ("on_session", Timer("before_close", "close", -self._before_close)),
        )
        return [*opening, *timers, ("on_session", Timer("close", "close"))]

    def _first(self, timer: Timer, session: Session, after: int) -> int | None:
        """The first time after ``after`` (ns UTC) that a rule gives in one session."""
        origins = {"open": session.open, "close": session.close, "midnight": session.open - self._opens}
        time = origins[timer.origin] + timer.offset
        if timer.every:
            time += max(0, (after - time) // timer.every + 1) * timer.every
            return time if time < session.close else None
        return time if after < time and session.open <= time <= session.close else None


def _timer(text: str, name: str, asked: str) -> Timer:
    """What ``at`` was asked for. Raises StrategyError with examples."""
    wall = _WALL.fullmatch(text) if isinstance(text, str) else None
    if wall is not None:
        hours, minutes, seconds = (int(part or 0) for part in wall.groups())
        return Timer(name or text, "midnight", hours * HOUR + minutes * MINUTE + seconds * SECOND)
    found = _RELATIVE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise StrategyError(f"{asked}: not a time of day", hint=_AT_HINT)
    length = found[2] or found[4]
    offset = length_of(length, asked) if length else 0
    if offset >= DAY:
        raise StrategyError(f"{asked}: reaches beyond the session", hint=_AT_HINT)
    return Timer(name or text, found[1] or found[3], offset if found[1] else -offset)
