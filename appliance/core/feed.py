"""The feed's core: what sources offer becomes bars and quotes for everyone; in lockstep it is the conductor."""

from __future__ import annotations

from collections import deque
from itertools import groupby

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.base import Core
from appliance.core.lockstep import STEPS, Barrier, Staging, wake, within
from appliance.core.streams import Writers
from appliance.domain import topics
from appliance.domain.market import (
    ACTIONS,
    Bar,
    CorporateAction,
    Dividend,
    MarketEvent,
    Quote,
    QuoteBar,
    Split,
    SymbolStatus,
    Trade,
    known_at,
)
from appliance.domain.messages import Event, EventType, Now, Offer, Settled, Stage, Step, Ticks, local
from appliance.domain.operations import Notice, Progress, SourceState

BARS = "feed/bars"
QUOTES = "feed/quotes"
REVISIONS = "feed/revisions"
NOTICES = "feed/notices"
GONE = "gone"
"""The state of a source that is not in the settings any more: shown once, for windows keep what they were told."""


class Taken(Struct, frozen=True):
    """How far the source has been consumed, and what came of it."""

    position: int = 0
    bars: int = 0
    outside: int = 0
    done: bool = False
    state: str = ""


class Seen(Struct, frozen=True):
    """The end (ns UTC) of the last bar of one symbol and timeframe."""

    end: int


class Moment(Struct, frozen=True):
    """What became known at one ``time`` (ns UTC), and the source's position after it."""

    time: int
    events: tuple[MarketEvent, ...]
    actions: tuple[CorporateAction, ...]
    position: int


class FeedCore(Core):
    """Live: publishes bars and conflated quotes as they come. With a ``barrier``: releases the data stage by stage."""

    def __init__(self, process: str, writers: Writers, barrier: Barrier | None = None) -> None:
        super().__init__(process, writers)
        self._barrier = barrier
        self._taken = self.table("taken", Taken)
        self._staging = self.table("staging", Staging)
        self._seen = self.table("seen", Seen)
        self._events = self.table("events", Step)
        self._sources = self.table("source", SourceState)
        self._statuses = self.table("status", SymbolStatus)
        self._holding = self.table("notice", Notice)
        self._buffer: deque[Moment] = deque()
        self._offered: int | None = None
        self._source_done = False
        self._outside = 0
        self._waiting: Settled | None = None
        self._ticks = 0
        self.on(EventType.OFFER, self._offer)
        self.on(EventType.SETTLED, self._settled)

    @property
    def taken(self) -> Taken:
        """How far the source has been consumed."""
        return self._taken.get("", Taken())

    @property
    def wanted(self) -> int:
        """The source position the next offer must begin at."""
        return self._offered if self._offered is not None else self.taken.position

    def lasts(self) -> dict[tuple[str, str], int]:
        """Ends (ns UTC) of the last published bars, by symbol and timeframe."""
        parts = ((key.rsplit("/", 2), seen.end) for key, seen in self._seen.items())
        return {(symbol, timeframe): end for (symbol, timeframe, kind), end in parts if kind == Bar.__name__}

    def views(self, now: Now) -> list[Event]:
        shown: list[SourceState | SymbolStatus] = [*self._sources.values(), *self._statuses.values()]
        return [local(view, now.time, _place(view)) for view in shown]

    @property
    def holding(self) -> tuple[Notice, ...]:
        """Notices that were told and hold."""
        return tuple(self._holding.values())

    @property
    def sources(self) -> tuple[str, ...]:
        """The live sources that are shown."""
        return tuple(self._sources)

    @property
    def statuses(self) -> tuple[SymbolStatus, ...]:
        """Halts and price bands that are shown, of all symbols there were."""
        return tuple(self._statuses.values())

    @property
    def hungry(self) -> bool:
        """Whether to offer more market data."""
        return not self._source_done and len(self._buffer) < 64

    @property
    def done(self) -> bool:
        """Whether the data has ended and everyone had settled after it."""
        return self.taken.done

    # --- what sources offer ---------------------------------------------------------------------------------------

    def _offer(self, event: Event, now: Now) -> None:
        offer: Offer = event.body
        self._offered = offer.position
        self._source_done = offer.done
        self._outside = offer.outside
        if self._barrier is None:
            self._publish(offer, now)
            return
        start = offer.position - len(offer.events)
        self._buffer.extend(_by_time(offer.events, start))
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._advance(waiting.held, waiting.deadline, now)

    def _publish(self, offer: Offer, now: Now) -> None:
        for notice in offer.notices:
            self._notice(notice, now)
        for view in offer.views:
            self._view(view, now)
        quotes: dict[str, Quote] = {}
        for happened in offer.events:
            if isinstance(happened, Bar | QuoteBar):
                self._bar(happened, now)
            elif isinstance(happened, Quote):
                quotes[happened.symbol] = conflated(quotes.get(happened.symbol), happened)
            elif isinstance(happened, Trade | Split | Dividend):
                continue  # live trades make bars at their source, and live actions come from the broker
        if quotes:
            self._ticks += 1
            self.send(QUOTES, Ticks(self._ticks, tuple(quotes[symbol] for symbol in sorted(quotes))), now)
        # Quotes alone are not worth a row a tick: after a restart their source goes on from the last bar.
        if any(isinstance(happened, Bar | QuoteBar) for happened in offer.events):
            bars = sum(isinstance(happened, Bar) for happened in offer.events)
            taken = self.taken
            self._taken[""] = replace(taken, position=offer.position, bars=taken.bars + bars, state=offer.state)

    def _notice(self, notice: Notice, now: Now) -> None:
        if notice.holds:
            self._holding[notice.code] = notice
        else:
            self._holding.drop(notice.code)
        self.emit(NOTICES, notice, now)

    def _view(self, view: SourceState | SymbolStatus, now: Now) -> None:
        if isinstance(view, SourceState) and view.state == GONE:
            self._sources.drop(view.source)
        elif isinstance(view, SourceState):
            self._sources[view.source] = view
        else:
            self._statuses[view.symbol] = view
        self.show(_place(view), view, now)

    def _bar(self, bar: Bar | QuoteBar, now: Now) -> None:
        key = f"{bar.symbol}/{bar.timeframe}/{type(bar).__name__}"
        seen = self._seen.get(key)
        if seen is not None and bar.end <= seen.end:
            if isinstance(bar, Bar) and bar.revision:
                self.emit(REVISIONS, bar, now)
            return  # never a new one
        self._seen[key] = Seen(bar.end)
        self.emit(BARS, bar, now)
        if isinstance(bar, Bar):
            self.show(f"view/bar/{topics.level(bar.symbol)}", bar, now)

    # --- lockstep -------------------------------------------------------------------------------------------------

    def observe(self, progress: Progress) -> Event | None:
        if self._barrier is None:
            return None
        self._barrier.note(progress)
        settled = self._barrier.settled(self.writers[STEPS].head)
        return local(settled) if settled is not None else None

    def _settled(self, event: Event, now: Now) -> None:
        if event.body.step != self.writers[STEPS].last:
            return  # said of a step that is no longer the last
        self._advance(event.body.held, event.body.deadline, now)

    def _advance(self, held: int, deadline: int | None, now: Now) -> None:
        staging = self._staging.get("", Staging())
        step = within(staging, held)
        if step is not None:
            self._release(step, now)
            return
        if not self._buffer and not self._source_done:
            self._waiting = Settled(held, deadline)
            return
        if not self._buffer:
            self._finish(staging, now)
            return
        woken = wake(staging, deadline, self._buffer[0].time)
        self._release(woken if woken is not None else self._next(), now)

    def _next(self) -> Step:
        next = self._buffer.popleft()
        bars = sum(isinstance(happened, Bar) for happened in next.events)
        self._taken[""] = replace(self.taken, position=next.position, bars=self.taken.bars + bars)
        return Step(Stage.VENUE, next.time, 0, next.events, next.actions)

    def _release(self, step: Step, now: Now) -> None:
        staging = self._staging.get("", Staging())
        woke = step.time if step.stage is Stage.WAKE else staging.woke
        self._staging[""] = Staging(step.stage, step.time, step.round, woke)
        if step.stage is Stage.VENUE:
            self._events[""] = step
        elif step.stage in (Stage.GUARD, Stage.HOSTS) and step.round == 0 and "" in self._events:
            step = replace(step, events=self._events[""].events)
        self.emit(STEPS, step, Now(step.time, now.boot, step.time))

    def _finish(self, staging: Staging, now: Now) -> None:
        """The last word of a replay; it comes when everything before it has settled."""
        if not self.taken.done:
            self._taken[""] = replace(self.taken, done=True, outside=self._outside)
            self._release(Step(Stage.DONE, staging.time), now)


def conflated(before: Quote | None, quote: Quote) -> Quote:
    """A quote that also tells the lowest bid and highest ask since the one published before it."""
    low, low_time = quote.low or quote.bid, quote.low_time or quote.time
    high, high_time = quote.high or quote.ask, quote.high_time or quote.time
    if before is not None:
        if before.low <= low:
            low, low_time = before.low, before.low_time
        if before.high >= high:
            high, high_time = before.high, before.high_time
    return replace(quote, low=low, low_time=low_time, high=high, high_time=high_time)


def _place(view: SourceState | SymbolStatus) -> str:
    """The topic of a view."""
    if isinstance(view, SourceState):
        return f"view/source/{topics.level(view.source)}"
    return f"view/status/{topics.level(view.symbol)}"


def _by_time(events: tuple[MarketEvent | CorporateAction, ...], start: int) -> list[Moment]:
    """What was known when, in order. An offer never splits one time in two."""
    found = []
    position = start
    for time, group in groupby(events, known_at):
        members = tuple(group)
        position += len(members)
        actions = tuple(one for one in members if isinstance(one, ACTIONS))
        found.append(Moment(time, tuple(one for one in members if not isinstance(one, ACTIONS)), actions, position))
    return found
