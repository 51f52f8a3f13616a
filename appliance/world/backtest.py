"""The backtest driver: the shipped cores, wired by direct calls, in the very stages of lockstep. Nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_DOWN, Decimal
from itertools import groupby
from typing import Any

from appliance.core.base import Core
from appliance.core.bookkeeping import AUTO, Book
from appliance.core.gateway import GatewayCore
from appliance.core.guard import GuardCore
from appliance.core.host import HostCore
from appliance.core.limits import Rule
from appliance.core.lockstep import Staging, wake, within
from appliance.core.market import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.record import OrderRecord
from appliance.core.streams import Writers
from appliance.core.wishes import Maker
from appliance.domain import topics
from appliance.domain.market import ACTIONS, Bar, CorporateAction, MarketEvent, Sessions, known_at, last_price
from appliance.domain.messages import DATA_BOOT, Event, EventType, Now, Stage, Step, VenueLink, local
from appliance.domain.operations import Command
from appliance.domain.trading import ZERO, Signal

STEPS = "feed/steps"
CENT = Decimal("0.01")
Note = Callable[[Any], None]
Hearers = tuple[tuple[Note, ...], tuple[Callable[[Event, Now], list[Event]], ...]]
"""Who notes the body of a message, and who handles it."""


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
        self._opening = [(stage, self._stages[stage]) for stage in _opening()]
        self._deliver(local(VenueLink(True)), (self.gateway,))
        self.host.released(self._now)

    def run(self, events: Iterable[MarketEvent | CorporateAction]) -> None:
        """Let market events happen; they come in delivery order, by ``known_at``, corporate actions of a time before
        all else. Raises what a strategy raises."""
        for time, group in groupby(events, known_at):
            members = tuple(group)
            if isinstance(members[0], ACTIONS):
                actions = tuple(one for one in members if isinstance(one, ACTIONS))
                self._timestamp(time, members[len(actions) :], actions)  # type: ignore[arg-type]
            else:
                self._timestamp(time, members)  # type: ignore[arg-type]
        self.book.through = self._now.time

    def tell(self, command: Command) -> None:
        """Let the owner command something after all that has happened so far, as he does with a running box."""
        self._deliver(local(command), (self.host,))

    def _timestamp(self, time: int, events: tuple[MarketEvent, ...], actions: tuple[CorporateAction, ...] = ()) -> None:
        deadline = self.host.deadline()
        while deadline is not None and deadline < time:
            self._wake(deadline, time)
            deadline = self.host.deadline()
        self._now = Now(time, DATA_BOOT, time)
        if time > self.book.due:
            self.book.turn(time, bool(events))
        if self.paper.resting or actions or self.paper.hears_all or self.paper.lending.watches or not self._n:
            self._release(Step(Stage.VENUE, time, 0, events, actions), self._stages[Stage.VENUE])
        else:
            self._n += 1  # nothing rests, so nobody would do anything
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
        now, known, said = self._now, self._known, list[Event]()
        for core in cores:
            said += core.handle(event, now)
        for event in said:  # which grows meanwhile
            try:
                notes, hearers = known[event.stream or event.topic][type(event.body)]
            except KeyError:
                notes, hearers = self._look_up(event)
            for note in notes:
                note(event.body)
            for hear in hearers:
                said += hear(event, now)

    def _look_up(self, event: Event) -> Hearers:
        """Whom it goes to; looked up once for each place and kind of body, for this is asked a dozen times an order."""
        where, kind = event.stream or event.topic, type(event.body)
        found = self._noting(kind), tuple(core.handle for core in self._to.get(where, ()) if core.heeds(event.type))
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
        """Cash and positions at the last price, USD."""
        prices = {symbol: last_price(happened) for symbol, happened in self._last.items()}
        return equity(self.cash, self.record.positions, prices)


def equity(cash: Decimal, positions: dict[str, Decimal], prices: dict[str, float]) -> Decimal:
    """Cash plus every position at its last price, USD."""
    held = [quantity * Decimal(repr(prices[symbol])) for symbol, quantity in positions.items() if symbol in prices]
    return cash + sum(held, ZERO)


def _writers(process: str) -> Writers:
    return Writers(topics.streams_written_by(process), stored=False)


def _opening() -> tuple[Stage, ...]:
    """The stages that follow VENUE in every timestamp, by lockstep's own table."""
    found = [Stage.VENUE]
    while (step := within(Staging(found[-1]), 0)) is not None:
        found.append(step.stage)
    return tuple(found[1:])
