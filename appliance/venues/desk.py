"""Between the gateway and a broker: threads outside, one loop that decides, answers for the core.

The gateway's core asks by events and hears events. A broker's library blocks, hangs and calls from threads of its own.
The desk stands between: requests wait in the outbox for their turn, workers ask, the connection machine says when to
open and when to give up, and whatever was answered, heard or missed becomes an event, in the process's own thread.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from appliance.clients.bell import Bell
from appliance.core.breaker import Dice
from appliance.core.connection import BrokerManager, Do, LinkTerms, Phase, Step
from appliance.core.outbox import UNLIMITED, Outbox, Rates, Request, Urgency, order_id_of
from appliance.core.ports import Clock
from appliance.core.turn import Turn
from appliance.domain.messages import (
    Event,
    Now,
    VenueAsk,
    VenueCancel,
    VenueLink,
    VenueLook,
    VenueSubmit,
    local,
)
from appliance.domain.venue import LinkState
from appliance.errors import VenueBusy, VenueDown, VenueError, VenueRefused, VenueSilent
from appliance.venues import answers
from appliance.venues.base import BrokerInterface, Condition, Heard, Lost
from appliance.venues.crew import Crew, Done, Job

log = logging.getLogger(__name__)

SECOND = 1_000_000_000
ANSWERS = "venue/answers"
LANES = {"link": 1, "look": 1, "orders": 4}
"""Workers by what they do."""
KEPT = (None, Urgency.CANCEL, Urgency.REDUCE)
"""The least urgent of what is begun with so many idle workers for orders; with more, all is: the last is kept for
cancels, the one before for what reduces a position too."""
HEARD_MAX = 20_000
"""What may be heard between two rounds; beyond, the connection is given up: nothing is dropped unseen."""
GRACE = SECOND
"""How long (ns) questions may still take once their connection has ended."""
CLOSE_PATIENCE = 5 * SECOND
PATIENCE = {VenueSubmit: 20 * SECOND, VenueCancel: 20 * SECOND, VenueAsk: 30 * SECOND, VenueLook: 60 * SECOND}
"""How long (ns) a question may take, all its parts together: longer than the deadlines brokers are made with. It is for
calls that never return; a connection that answers nobody is found out by its heartbeat."""
LAST_WORDS = 0.5
"""Seconds that each thread is waited for at the end."""


class _Told(Struct, frozen=True):
    session: int
    heard: Heard


class _Asked(Struct, frozen=True):
    """What a worker does: a request to the broker over a connection, begun after so many comparisons were called for
    and so many things were told of."""

    request: Request
    session: int
    compared: int
    moved: int


class Desk:
    """The gateway's hook for a real broker. ``answer`` takes what the venue says; ``random`` is for the jitter. A
    thread that raises what is no VenueError ends the process: ``poll`` raises it."""

    def __init__(
        self,
        broker: BrokerInterface,
        clock: Clock,
        answer: Callable[[Event], None],
        random: Dice,
        rates: Rates = UNLIMITED,
        terms: LinkTerms = LinkTerms(),  # noqa: B008 - frozen
    ) -> None:
        self._broker, self._clock, self._answer = broker, clock, answer
        self.link = BrokerManager(random, terms)
        self.outbox = Outbox(rates, clock.ticks())
        self._bell = Bell()
        self._crew = Crew(LANES, self._bell)
        self._heard: deque[_Told] = deque()
        self._allowed: deque[tuple[int, int]] = deque()
        self._errands: deque[Do] = deque()
        self._moved = self._compared = 0
        self._wait: int | None = None
        self.counters: dict[str, int] = {}

    # --- from the gateway -----------------------------------------------------------------------------------------

    def request(self, event: Event) -> None:
        """What the gateway asks; what is urgent and allowed leaves before this returns."""
        now = self._clock.now(None)
        if isinstance(event.body, VenueLink):
            self._follow(self.link.connect(now.ticks), now)
        else:
            self._tell(self.outbox.put(event.body, now), now)
            self._withdraw(now)
        self._go_on(now)

    def observe(self, remaining: int, wait: int) -> None:
        """A reply said that so many requests are left for the next ``wait`` ns. May be called from any thread."""
        self._allowed.append((remaining, wait))

    # --- the engine's hooks ---------------------------------------------------------------------------------------

    def fds(self) -> Sequence[tuple[int, Callable[[], None]]]:
        """The bell that threads ring."""
        return ((self._bell.fileno(), self._bell.hush),)

    def poll(self, turn: Turn) -> None:
        """Hand on what was answered and heard, and do what time brings. Raises what a thread raised that it must not,
        EnvironmentFault when too many of them hang."""
        now = self._clock.now(None)
        while self._allowed:
            self.outbox.observe(now.ticks, *self._allowed.popleft())
        self._listen(now)
        for done in self._crew.take():
            self._did(done, now)
        for job in self._crew.overdue(now.ticks):
            self._hangs(job, now)
        self._follow(self.link.tick(now.ticks), now)
        self._tell(self.outbox.late(now), now)
        self._go_on(now)

    def next_deadline(self) -> int | None:
        """When (ticks) time brings something: a beat, an attempt, the end of patience, a request's turn."""
        times = (self.link.due(), self._crew.deadline(), self._wait)
        return min((time for time in times if time is not None), default=None)

    def close(self) -> None:
        """End the connection and the threads; waits for each of them half a second at most."""
        self.link.stop(self._clock.ticks())
        self._crew.abandon("link")
        self._crew.give("link", Do.CLOSE, self._broker.close, self._clock.ticks() + CLOSE_PATIENCE)
        self._crew.close(LAST_WORDS)
        self._bell.close()

    # --- what is heard --------------------------------------------------------------------------------------------

    def _hear(self, session: int, heard: Heard) -> None:
        """Called by the broker's threads."""
        if not isinstance(heard, Condition | Lost):
            self._moved += 1
        self._heard.append(_Told(session, heard))
        self._bell.ring()

    def _listen(self, now: Now) -> None:
        if len(self._heard) > HEARD_MAX:
            text = f"told more than {HEARD_MAX} events at once"
            self._follow(self.link.ended(self.link.session, now.ticks, text=text), now)
        for _ in range(len(self._heard)):
            told = self._heard.popleft()
            heard = told.heard
            if isinstance(heard, Lost):
                self._ended(told.session, heard.error, now, heard.state)
            elif isinstance(heard, Condition):
                log.info("%s: %s %s %s", self._broker.name, heard.state.value, heard.code, heard.text)
                step = self.link.condition(
                    told.session, now.ticks, heard.state, heard.code, heard.text, lost=heard.lost
                )
                self._follow(step, now)
            else:
                self._tell((heard,), now)

    def _ended(self, session: int, error: VenueError, now: Now, state: LinkState = LinkState.DOWN) -> None:
        if isinstance(error, VenueRefused) and state is LinkState.DOWN:
            state = LinkState.REFUSED
        self._follow(self.link.ended(session, now.ticks, state, _line(error), error.wait), now)

    # --- what is answered -----------------------------------------------------------------------------------------

    def _did(self, done: Done, now: Now) -> None:
        if done.error is not None and not isinstance(done.error, VenueError):
            raise done.error
        if isinstance(done.job.about, _Asked):
            self._answered(done.job.about, done.value, done.error, now)
        else:
            do, session = done.job.about
            self._ran(do, session, done.error, now)

    def _ran(self, do: Do, session: int, error: VenueError | None, now: Now) -> None:
        """An errand is done; who wants fewer beats has answered one."""
        if do is Do.BEAT and (error is None or isinstance(error, VenueBusy)):
            self.link.answered(session, now.ticks)
        elif error is not None:
            self._ended(session, error, now)
        elif do is Do.OPEN:
            self._follow(self.link.opened(session, now.ticks), now)

    def _answered(self, asked: _Asked, value: Any, error: VenueError | None, now: Now) -> None:
        request = asked.request
        if isinstance(error, VenueBusy):
            self._count("busy")
            self._tell(self.outbox.put_back(request, now, error.wait or SECOND), now)
            self._withdraw(now)
            return
        self.outbox.done(request)
        if error is not None:
            self._failed(asked, error, now)
        elif not isinstance(request, VenueLook):
            self._moved += 1  # what the core learns now, a look under way may not have
            if not self.outbox.holds(order_id_of(request)):  # else it was asked before it was sent again
                self._tell(answers.told_by(value), now)
        elif asked.compared == self._compared:  # else the connection was another one, or has lost something since
            newer = self.outbox.newer(request) if asked.moved == self._moved else None
            self._tell((value if newer is None else answers.renumbered(value, newer),), now)

    def _failed(self, asked: _Asked, error: VenueError, now: Now) -> None:
        request = asked.request
        self._count("unanswered")
        log.warning("%s: %s of %s: %s", self._broker.name, type(request).__name__, order_id_of(request), error.text)
        if isinstance(request, VenueCancel) and isinstance(error, VenueDown):
            self._tell(self.outbox.put_back(request, now), now)
        self._tell(answers.told_by_failure(request, error, now), now)
        if isinstance(error, VenueRefused):
            self._ended(asked.session, error, now)
        else:
            self.link.doubt(asked.session, now.ticks)

    def _hangs(self, job: Job, now: Now) -> None:
        """A job did not come back in its time: it may have been done, and its connection is worth nothing."""
        if not isinstance(job.about, _Asked):
            return  # closing: the next connection is opened all the same
        error = VenueSilent("a question did not come back", venue=self._broker.name)
        self._answered(job.about, None, error, now)
        self._ended(job.about.session, error, now)

    # --- what follows ---------------------------------------------------------------------------------------------

    def _follow(self, step: Step, now: Now) -> None:
        if Do.CLOSE in step.actions:
            self._crew.abandon("link")
            self._errands.clear()
            self._crew.hurry(now.ticks + GRACE)
            self._count("lost")
        self._errands += step.actions
        if step.link is not None:
            self._compared += 1
            self._withdraw(now)
            self._answer(local(step.link, now.time, ANSWERS))
        self._run_errands(now)

    def _withdraw(self, now: Now) -> None:
        """What is not to be sent over such a connection is denied, before the core hears how it stands; cancels are
        kept."""
        link = self.link
        if not link.state.up:
            self._tell(self.outbox.lost(link.text or "not connected", now), now)
        elif not link.state.trades:
            self._tell(self.outbox.deny(Urgency.RISK, link.text or link.state.value, now), now)

    def _run_errands(self, now: Now) -> None:
        """Open, close and beat, one after the other; who gives up waits for none of them."""
        while self._errands and self._crew.idle("link"):
            do, session = self._errands.popleft(), self.link.session
            works: dict[Do, Callable[[], object]] = {
                Do.OPEN: partial(self._broker.open, partial(self._hear, session)),
                Do.CLOSE: self._broker.close,
                Do.BEAT: self._broker.beat,
            }
            patience = CLOSE_PATIENCE if do is Do.CLOSE else 10 * CLOSE_PATIENCE
            self._crew.give("link", (do, session), works[do], now.ticks + patience)

    def _go_on(self, now: Now) -> None:
        """Let go what may go."""
        self._run_errands(now)
        self._wait = None
        while self.link.state.up and self.link.phase is Phase.OPEN:
            idle = self._crew.idle("orders")
            least = KEPT[idle] if idle < len(KEPT) else Urgency.RISK
            taken = self.outbox.take(now, least, self._crew.idle("look") > 0)
            if taken.request is None:
                self._wait = now.ticks + taken.wait if taken.wait else None
                return
            self._send(taken.request, now)

    def _send(self, request: Request, now: Now) -> None:
        about = _Asked(request, self.link.session, self._compared, self._moved)
        deadline = now.ticks + PATIENCE[type(request)]
        if isinstance(request, VenueLook):
            work = partial(answers.look, self._broker, request, now.time, lambda: self._moved)
            self._crew.give("look", about, work, deadline)
        else:
            self._crew.give("orders", about, partial(answers.ask, self._broker, request), deadline)

    def _tell(self, told: Sequence[answers.Told], now: Now) -> None:
        for one in told:
            self._answer(local(one, now.time, ANSWERS))

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1


def _line(error: VenueError) -> str:
    """An error in one line, with what to do about it."""
    return f"{error.text}; {error.hint}" if error.hint else error.text
