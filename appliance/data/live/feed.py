"""Live sources as a feed process's hooks: threads outside, one desk that decides, offers for the core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from msgspec.structs import replace

from appliance.clients.bell import Bell
from appliance.core.feed import GONE, FeedCore
from appliance.core.ports import Clock
from appliance.core.turn import Turn
from appliance.data.live.conduit import Asker, Conduit, Crashed, Ended, Kept, Learned, Said
from appliance.data.live.desk import Desk, Todo
from appliance.data.live.sequencer import Key
from appliance.data.live.showing import View
from appliance.data.sources.base import HistorySource, Kind, LiveSource
from appliance.domain.market import DAY, HOUR, SECOND, Bar, MarketEvent
from appliance.domain.messages import Offer, local
from appliance.domain.operations import Notice, Severity, SourceState

PAUSE = 10_000_000
"""How long (ns) after quotes the next ones wait, and conflate; bars and all else never wait."""
ROUND = 100_000_000
"""How often (ns) time is looked at."""
STEP = 5 * SECOND
"""A wall clock that goes so far (ns) from the machine's ticks at once was set by somebody."""
LEARN = 6 * HOUR
"""How often splits are asked for; those of ``AHEAD`` (ns) from now on."""
AHEAD = 7 * DAY
PATIENCE = 2.0
"""Seconds that connections are waited for at the end, all together."""
MakeDesk = Callable[[dict[Key, int]], Desk]
"""Makes the desk, given the ends of the last bars in the core's journal."""
Keep = Callable[[Sequence[Bar]], None]
"""Keeps published bars (the history store); called in history's thread. Where it raises, the owner is told."""


class LiveFeed:
    """Offers what live sources tell. A thread that raises what is no SourceError ends the process: poll raises it."""

    def __init__(
        self,
        sources: Sequence[LiveSource],
        history: Sequence[HistorySource],
        symbols: Sequence[str],
        kinds: Sequence[Kind],
        make_desk: MakeDesk,
        clock: Clock,
        keep: Keep | None = None,
    ) -> None:
        self._symbols = tuple(symbols)
        self._bell = Bell()
        self._conduits = {source.name: Conduit(source, symbols, kinds, self._bell) for source in sources}
        self._asker = Asker(history, self._bell)
        self._make_desk, self._clock, self._keep = make_desk, clock, keep
        self._desk: Desk | None = None
        self._events: list[MarketEvent] = []
        self._notices: list[Notice] = []
        self._views: list[View] = []
        self._offset: int | None = None
        self._due = self._learn = self._quotes_due = 0

    def fds(self) -> Sequence[tuple[int, Callable[[], None]]]:
        """The bell that threads ring."""
        return ((self._bell.fileno(), self._bell.hush),)

    def next_deadline(self) -> int | None:
        """When time is looked at next, or quotes that wait are offered (machine ticks)."""
        quoted = any(conduit.quoted for conduit in self._conduits.values())
        return min(self._due, self._quotes_due) if quoted else self._due

    def poll(self, turn: Turn) -> None:
        """Offer what has happened since the last round."""
        core, now = cast(FeedCore, turn.core), self._clock.now(None).time
        if self._desk is None:
            # What our last life told is over, as far as we know; what is not is told again.
            self._desk = self._make_desk(core.lasts())
            self._notices += [replace(one, severity=Severity.INFO, holds=False) for one in core.holding]
            self._views += [SourceState(name, GONE) for name in core.sources if name not in self._conduits]
            self._follow(self._desk.begin(now, core.statuses))
        ticks = self._clock.ticks()
        self._step(self._desk, now, now - ticks)
        quotes = ticks >= self._quotes_due
        for name, conduit in self._conduits.items():
            if quotes and conduit.quoted:
                self._quotes_due = ticks + PAUSE
            for told in conduit.take(quotes):
                self._follow(self._heed(self._desk, name, told, now))
        for said in self._asker.take():
            self._follow(self._hear(self._desk, said, now))
        self._look(self._desk, now)
        self._offer(core, turn, now)

    def close(self) -> None:
        """End all connections; waits for them two seconds at most, whoever does not listen."""
        for conduit in self._conduits.values():
            conduit.end()
        ends = self._clock.ticks() + int(PATIENCE * SECOND)
        for conduit in self._conduits.values():
            conduit.join(max(ends - self._clock.ticks(), 0) / SECOND)
        self._asker.close()

    def _step(self, desk: Desk, now: int, offset: int) -> None:
        """Whether somebody set the clock since the last round."""
        before, self._offset = self._offset, offset
        if before is not None and abs(offset - before) > STEP:
            self._follow(desk.stepped(offset - before, now))

    def _look(self, desk: Desk, now: int) -> None:
        """What time brings."""
        ticks = self._clock.ticks()
        if ticks >= self._due:
            self._due = ticks + ROUND
            self._follow(desk.tick(now))
        if ticks >= self._learn:
            self._learn = ticks + LEARN
            self._asker.learn(self._symbols, now - DAY, now + AHEAD)

    @staticmethod
    def _hear(desk: Desk, said: Said | Crashed, now: int) -> Todo:
        if isinstance(said, Crashed):
            raise said.error
        if isinstance(said, Learned):
            return desk.learned(said.actions, said.why, now)
        if isinstance(said, Kept):
            return desk.unkept(said.why, now)
        return desk.answered(said.question, said.bars, said.why, now)

    @staticmethod
    def _heed(desk: Desk, name: str, told: object, now: int) -> Todo:
        if isinstance(told, Crashed):
            raise told.error
        if isinstance(told, Ended):
            return desk.ended(name, told.error, now)
        return desk.told(name, told, now)  # type: ignore[arg-type]

    def _follow(self, todo: Todo) -> None:
        for name in todo.end:
            self._conduits[name].end()
        for name in todo.connect:
            self._conduits[name].open()
        for question in todo.questions:
            self._asker.ask(question)
        self._events += todo.events
        self._notices += todo.notices
        self._views += todo.views

    def _offer(self, core: FeedCore, turn: Turn, now: int) -> None:
        """One offer a round: its quotes conflate to one message."""
        events, notices, views = tuple(self._events), tuple(self._notices), tuple(self._views)
        for taken in (self._events, self._notices, self._views):
            taken.clear()
        if events or notices or views:
            turn.accept(local(Offer(core.wanted, events, notices=notices, views=views), now, "source/live"))
        bars = [event for event in events if isinstance(event, Bar)]
        keep = self._keep
        if bars and keep is not None:
            self._asker.keep(lambda: keep(bars))
