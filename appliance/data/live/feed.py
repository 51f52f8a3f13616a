"""Live sources as a feed process's hooks: threads outside, one desk that decides, offers for the core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from appliance.core.feed import FeedCore
from appliance.core.ports import Clock
from appliance.core.turn import Turn
from appliance.data.live.conduit import Asker, Bell, Conduit, Crashed, Ended
from appliance.data.live.desk import Desk, Todo
from appliance.data.live.sequencer import Key
from appliance.data.sources.base import HistorySource, Kind, LiveSource
from appliance.domain.market import Bar, MarketEvent
from appliance.domain.messages import Offer, local
from appliance.domain.operations import Notice

ROUND = 100_000_000
"""How often (ns) time is looked at."""
MakeDesk = Callable[[dict[Key, int]], Desk]
"""Makes the desk, given the ends of the last bars in the core's journal."""
Keep = Callable[[Sequence[Bar]], None]
"""Keeps published bars (the history store); called in history's thread, and must not raise."""


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
        self._bell = Bell()
        self._conduits = {source.name: Conduit(source, symbols, kinds, self._bell) for source in sources}
        self._asker = Asker(history, self._bell)
        self._make_desk, self._clock, self._keep = make_desk, clock, keep
        self._desk: Desk | None = None
        self._events: list[MarketEvent] = []
        self._notices: list[Notice] = []
        self._due = 0

    def fds(self) -> Sequence[tuple[int, Callable[[], None]]]:
        """The bell that threads ring."""
        return ((self._bell.fileno(), self._bell.hush),)

    def next_deadline(self) -> int | None:
        """When time is looked at next (machine ticks)."""
        return self._due

    def poll(self, turn: Turn) -> None:
        """Offer what has happened since the last round."""
        core, now = cast(FeedCore, turn.core), self._clock.now(None).time
        if self._desk is None:
            self._desk = self._make_desk(core.lasts())
            self._follow(self._desk.begin(now))
        for name, conduit in self._conduits.items():
            for told in conduit.take():
                self._follow(self._heed(self._desk, name, told, now))
        for answer in self._asker.take():
            if isinstance(answer, Crashed):
                raise answer.error
            followed = self._desk.answered(answer.question, answer.bars, answer.why, now)
            self._follow(followed)
        ticks = self._clock.ticks()
        if ticks >= self._due:
            self._due = ticks + ROUND
            self._follow(self._desk.tick(now))
        self._offer(core, turn, now)

    def close(self) -> None:
        """End all connections; waits for them two seconds at most."""
        for conduit in self._conduits.values():
            conduit.end()
        for conduit in self._conduits.values():
            conduit.join(2.0)
        self._asker.close()

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

    def _offer(self, core: FeedCore, turn: Turn, now: int) -> None:
        """One offer a round: its quotes conflate to one message."""
        events, notices = tuple(self._events), tuple(self._notices)
        self._events.clear()
        self._notices.clear()
        if events or notices:
            turn.accept(local(Offer(core.wanted, events, notices=notices), now, "source/live"))
        bars = [event for event in events if isinstance(event, Bar)]
        keep = self._keep
        if bars and keep is not None:
            self._asker.do(lambda: keep(bars))
