"""The backtest driver: the shipped cores, wired by direct calls, in the very stages of lockstep. Nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import ROUND_DOWN, Decimal
from itertools import chain
from typing import Any

from appliance.core.bands import Bands
from appliance.core.base import Core, Handler
from appliance.core.books.book import AUTO, Book
from appliance.core.gateway import GatewayCore
from appliance.core.guard import INFINITE, GuardCore
from appliance.core.host import HostCore
from appliance.core.limits import Rule
from appliance.core.lockstep import STEPS, Staging, wake, within
from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.record import OrderRecord
from appliance.core.streams import Writers
from appliance.core.wishes import Maker
from appliance.domain import topics
from appliance.domain.market import ACTIONS, Bar, CorporateAction, MarketEvent, Sessions, known_at, last_price
from appliance.domain.messages import DATA_BOOT, Event, EventType, Now, Stage, Step, VenueLink, local
from appliance.domain.operations import Command
from appliance.domain.trading import ZERO, Signal

CENT = Decimal("0.01")
NEVER, FOREVER = -1, 1 << 62
Stamp = tuple[int, list[Any]]
"""A time (ns UTC) and its events: market events, with corporate actions before them."""
Note = Callable[[Any], None]
Takers = tuple[tuple[Core, Handler], ...]
Hearers = tuple[tuple[Note, ...], Takers]
"""Who notes the body of a message, and who handles it, with what."""


class Backtest:
    """One run. ``makers`` are its strategies, ``cash`` USD in equal shares, ``rules`` the guard's; ``mark_every`` as in
    ``Book``."""

    def __init__(
        self,
        name: str,
        makers: Sequence[Maker],
        rules: Sequence[Rule],
        cash: Decimal,
        model: MarketModel = MarketModel(),  # noqa: B008 - frozen
        sessions: Sessions | None = None,
        mark_every: str = AUTO,
    ) -> None:
        self.record = OrderRecord()
        self.book = Book(cash, sessions, mark_every, self._decision_price)
        self.signals = 0
        self.bars = 0
        self._last: dict[str, MarketEvent] = {}
        self._n = 0
        self._now = Now(0, DATA_BOOT, 0)
        self._known: dict[str, dict[type, Hearers]] = {}
        host = f"host@{name}"
        self.paper = MarketSimulator("paper", _writers("paper"), cash, model, sessions)
        self.gateway = GatewayCore("gateway", _writers("gateway"))
        self.guard = GuardCore("guard", _writers("guard"), rules)
        allotments = {maker.name: (cash / len(makers)).quantize(CENT, ROUND_DOWN) for maker in makers}
        self.host = HostCore(
            host, _writers(host), makers, keep=False, allotments=allotments, sessions=sessions, sizer=model.sizer
        )
        self._to: dict[str, tuple[Core, ...]] = {
            f"host/{name}/intents": (self.guard,),
            f"host/{name}/signals": (),
            f"host/{name}/notices": (),
            "guard/decisions": (self.gateway, self.host),
            "gateway/orders": (self.guard, self.host),
            "gateway/notices": (),
            "venue/requests": (self.paper,),
            "venue/answers": (self.gateway,),
        }
        self._stages: dict[Stage, tuple[Core, ...]] = {
            Stage.VENUE: (self.paper, self.host),
            Stage.GUARD: (self.guard,),
            Stage.HOSTS: (self.host,),
            Stage.TAKE: (self.guard,),
            Stage.WAKE: (self.guard, self.host),
        }
        self._bands = Bands()
        self._unseen: dict[str, MarketEvent] = {}
        self._opening = [(stage, self._stages[stage]) for stage in _opening()]
        self._deliver(local(VenueLink(True)), (self.gateway,))
        self.host.released(self._now)

    def run(self, events: Iterable[MarketEvent | CorporateAction]) -> None:
        """Let market events happen; they come in delivery order, by ``known_at``, corporate actions of a time before
        all else. Raises what a strategy raises."""
        stamps = _timestamps(events)
        stamp = next(stamps, None)
        while stamp is not None:
            time, members = stamp
            until = NEVER if type(members[0]) in ACTIONS else self._calm_until()
            if time <= until and self._bands.have(members):
                stamp = self._calm(until, chain((stamp,), stamps))
            else:
                self._timestamp(time, *_apart(members))
                stamp = next(stamps, None)
        self._tell_guard()
        self.book.through = self._now.time

    def tell(self, command: Command) -> None:
        """Let the owner command something after all that has happened so far, as he does with a running box."""
        self._tell_guard()
        self._deliver(local(command), (self.host,))

    # --- calm ------------------------------------------------------------------------------------------------------

    def _calm_until(self) -> int:
        """Until when (ns UTC) it is calm: nobody waits for news, no timer is due. Within the bands of what rests in the
        market and of the stops the guard watches, VENUE would then change nothing, GUARD leave prices, and HOSTS bring
        the market's events."""
        if not (self._n and self.host.stages.calm) or self.paper.hears_all or self.paper.lending.watches:
            return NEVER
        self._bands.heed(self.paper.resting.values(), self.guard.watched())
        due = self.host.deadline()
        return due if due is not None else FOREVER

    def _calm(self, until: int, stamps: Iterator[Stamp]) -> Stamp | None:
        """Let calm timestamps happen, numbered as their three stages would be, until something follows from one; the
        next one that is not calm, None at the end."""
        timed, book, hear = self.host.roster.runners.timed, self.book, self.host.stages.hear
        bands = self._bands
        some = bool(bands)
        for time, events in stamps:
            if time > until or type(events[0]) in ACTIONS or (some and not bands.have(events)):
                return time, events
            self._now = now = Now(time, DATA_BOOT, time)
            if time > book.due:
                book.turn(time)
            if book.held:
                for happened in events:
                    book.price(happened)
            self._n += 3
            follows = hear(events, self._n, now)
            self._have_seen(events)
            if follows:
                self._follow(follows)
                return next(stamps, None)
            if timed:
                due = self.host.deadline()
                until = due if due is not None else FOREVER
        return None

    def _have_seen(self, events: Sequence[MarketEvent]) -> None:
        """The guard will see the last good price of each symbol."""
        for happened in events:
            price = happened.close if type(happened) is Bar else last_price(happened)
            if 0.0 < price < INFINITE:
                self._unseen[happened.symbol] = happened
            else:
                self._tell_guard()
                self._last[happened.symbol] = happened
            self.bars += type(happened) is Bar

    def _follow(self, follows: Sequence[Event]) -> None:
        """What follows from a calm timestamp."""
        self._tell_guard()
        self._settle(list(follows))
        self._rounds(Staging(Stage.HOSTS, self._now.time))

    def _tell_guard(self) -> None:
        """Let the guard have the prices it has not seen: before anything it may judge."""
        if self._unseen:
            self._last.update(self._unseen)
            self.guard.saw(self._unseen.values())
            self._unseen.clear()

    # --- all else ---------------------------------------------------------------------------------------------------

    def _timestamp(self, time: int, events: tuple[MarketEvent, ...], actions: tuple[CorporateAction, ...] = ()) -> None:
        self._tell_guard()
        deadline = self.host.deadline()
        while deadline is not None and deadline < time:
            self._wake(deadline, time)
            deadline = self.host.deadline()
        self._now = Now(time, DATA_BOOT, time)
        if time > self.book.due:
            self.book.turn(time, bool(events))
        if actions or self._venue_acts() or not self._n:
            self._release(Step(Stage.VENUE, time, 0, events, actions), self._stages[Stage.VENUE])
        else:
            self._n += 1
        if self.book.held:
            for happened in events:
                self.book.price(happened)
        for stage, cores in self._opening:
            self._release(Step(stage, time, 0, events), cores)
        if self.guard.held():
            self._rounds(Staging(Stage.HOSTS, time))
        for happened in events:
            self.bars += type(happened) is Bar
            self._last[happened.symbol] = happened

    def _venue_acts(self) -> bool:
        """Whether market events can make the venue do, or remember, anything."""
        return bool(self.paper.resting) or self.paper.hears_all or self.paper.lending.watches

    def _wake(self, deadline: int, time: int) -> None:
        """Let a deadline pass that lies before the next market time."""
        step = wake(Staging(time=self._now.time), deadline, time)
        if step is not None:
            self._now = Now(step.time, DATA_BOOT, step.time)
            self._release(step, self._stages[step.stage])
            self._rounds(Staging(step.stage, step.time))

    def _rounds(self, staging: Staging) -> None:
        """The guard takes what hosts ask for, hosts hear what became of it, until they ask for nothing."""
        while (step := within(staging, self.guard.held())) is not None:
            self._release(step, self._stages[step.stage])
            staging = Staging(step.stage, step.time, step.round)

    def _release(self, step: Step, cores: tuple[Core, ...]) -> None:
        """One message of ``feed/steps``, numbered as the feed does it, to whom it concerns."""
        self._n += 1
        self._deliver(Event(EventType.STEP, step, STEPS, 1, self._n, step.time), cores)

    def _deliver(self, event: Event, cores: tuple[Core, ...]) -> None:
        """A message to some cores, and all that follows from it to whom it concerns, in the order it is said."""
        now, said = self._now, list[Event]()
        for core in cores:
            said += core.handle(event, now)
        if said:
            self._settle(said)

    def _settle(self, said: list[Event]) -> None:
        """Let what was said be heard by whom it concerns, and all that follows from it, as ``Core.handle`` does: what a
        core says is put where it is read."""
        now, known = self._now, self._known
        for event in said:  # which grows meanwhile
            try:
                notes, hearers = known[event.stream or event.topic][type(event.body)]
            except KeyError:
                notes, hearers = self._look_up(event)
            for note in notes:
                note(event.body)
            for core, handler in hearers:
                core.out = said
                handler(event, now)

    def _look_up(self, event: Event) -> Hearers:
        """Whom it goes to; looked up once for each place and kind of body, for this is asked a dozen times an order."""
        where, kind = event.stream or event.topic, type(event.body)
        cores = [core for core in self._to.get(where, ()) if core.heeds(event.type)]
        found = self._noting(kind), tuple((core, core.handler(event)) for core in cores)
        self._known.setdefault(where, {})[kind] = found
        return found

    def _noting(self, kind: type) -> tuple[Note, ...]:
        """Who keeps the bodies of this kind for the results."""
        notes = (self._signaled if kind is Signal else None, self.record.hears.get(kind), self.book.hears.get(kind))
        return tuple(note for note in notes if note is not None)

    def _signaled(self, signal: Signal) -> None:
        self.signals += 1

    # --- results --------------------------------------------------------------------------------------------------

    @property
    def time(self) -> int:
        """The data's time (ns UTC) of what happened last: when a strategy raises, of what it raised at."""
        return self._now.time

    def _decision_price(self, order_id: str) -> Decimal | None:
        booked = self.host.bookings.booked.get(order_id)
        return booked.price if booked is not None else None

    @property
    def cash(self) -> Decimal:
        """USD."""
        return self.paper.cash

    @property
    def equity(self) -> Decimal:
        """Cash and positions at the last price, USD: of a trade where there are trades."""
        prices = {symbol: last_price(happened) for symbol, happened in self._last.items()}
        prices |= {symbol: held.last for symbol, held in self.book.held.items() if held.trades}
        return equity(self.cash, self.record.positions, prices)


def equity(cash: Decimal, positions: dict[str, Decimal], prices: dict[str, float]) -> Decimal:
    """Cash plus every position at its last price, USD."""
    held = [quantity * Decimal(repr(prices[symbol])) for symbol, quantity in positions.items() if symbol in prices]
    return cash + sum(held, ZERO)


def _timestamps(events: Iterable[MarketEvent | CorporateAction]) -> Iterator[Stamp]:
    """The events of each time together."""
    at = 0
    together: list[Any] = []
    for event in events:
        time = event.end if type(event) is Bar else known_at(event)
        if time == at:
            together.append(event)
            continue
        if together:
            yield at, together
        at, together = time, [event]
    if together:
        yield at, together


def _apart(members: list[Any]) -> tuple[tuple[MarketEvent, ...], tuple[CorporateAction, ...]]:
    """Market events, and the corporate actions before them."""
    actions = tuple(one for one in members if isinstance(one, ACTIONS)) if isinstance(members[0], ACTIONS) else ()
    return tuple(members[len(actions) :]), actions


def _writers(process: str) -> Writers:
    return Writers(topics.streams_written_by(process), stored=False)


def _opening() -> tuple[Stage, ...]:
    """The stages that follow VENUE in every timestamp, by lockstep's own table."""
    found = [Stage.VENUE]
    while (step := within(Staging(found[-1]), 0)) is not None:
        found.append(step.stage)
    return tuple(found[1:])
