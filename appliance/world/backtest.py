"""The backtest driver: the shipped cores, wired by direct calls, in the very stages of lockstep. Nothing is stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import groupby

from appliance.core.base import Core
from appliance.core.commission import Commission
from appliance.core.gateway import GatewayCore
from appliance.core.guard import GuardCore
from appliance.core.host import HostCore
from appliance.core.limits import Rule
from appliance.core.lockstep import Staging, wake, within
from appliance.core.market import MarketSimulator
from appliance.core.record import OrderRecord
from appliance.core.streams import Writers
from appliance.core.wishes import Runner
from appliance.domain import topics
from appliance.domain.market import Bar, MarketEvent, Sessions, known_at, last_price
from appliance.domain.messages import DATA_BOOT, Event, EventType, Now, Stage, Step, VenueLink, local
from appliance.domain.trading import ZERO

STEPS = "feed/steps"


class Backtest:
    """One run. ``runners`` are made once each; ``cash`` is USD; ``rules`` are the guard's."""

    def __init__(
        self,
        name: str,
        runners: Sequence[Callable[[], Runner]],
        rules: Sequence[Rule],
        cash: Decimal,
        commission: Commission,
        sessions: Sessions | None = None,
    ) -> None:
        self.record = OrderRecord()
        self.signals = 0
        self.bars = 0
        self._prices: dict[str, float] = {}
        self._steps = _writers("feed")
        self._now = Now(0, DATA_BOOT, 0)
        self._queue: deque[Event] = deque()
        host = f"host@{name}"
        self.paper = MarketSimulator("paper", _writers("paper"), cash, commission, sessions)
        self.gateway = GatewayCore("gateway", _writers("gateway"))
        self.guard = GuardCore("guard", _writers("guard"), rules)
        self.host = HostCore(host, _writers(host), runners, keep=False)
        self._to: dict[str, tuple[Core, ...]] = {
            f"host/{name}/intents": (self.guard,),
            f"host/{name}/signals": (),
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
        self._deliver(local(VenueLink(True)), (self.gateway,))
        self.host.released(self._now)

    def run(self, events: Iterable[MarketEvent]) -> None:
        """Let market events happen; they come in delivery order, by ``known_at``. Raises what a strategy raises."""
        for time, group in groupby(events, known_at):
            self._timestamp(time, tuple(group))

    def _timestamp(self, time: int, events: tuple[MarketEvent, ...]) -> None:
        deadline = self._deadline()
        step = wake(Staging(), deadline, time)
        if step is not None:
            self._stage(step)
        self._stage(Step(Stage.VENUE, time, 0, events))
        for happened in events:
            self.bars += isinstance(happened, Bar)
            self._prices[happened.symbol] = last_price(happened)

    def _deadline(self) -> int | None:
        deadlines = [core.deadline() for core in (self.guard, self.host)]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _stage(self, step: Step) -> None:
        events = step.events
        following: Step | None = step
        while following is not None:
            if following.round == 0 and following.stage in (Stage.GUARD, Stage.HOSTS):
                following = Step(following.stage, following.time, 0, events)
            self._now = Now(following.time, DATA_BOOT, following.time)
            event = self._steps.event(STEPS, following, following.time, "")
            self._deliver(event, self._stages[following.stage])
            following = within(Staging(following.stage, following.time, following.round), self.guard.held())

    def _deliver(self, event: Event, cores: tuple[Core, ...]) -> None:
        for core in cores:
            self._queue.extend(core.handle(event, self._now))
        while self._queue:
            self._route(self._queue.popleft())

    def _route(self, event: Event) -> None:
        if event.type is EventType.SIGNAL:
            self.signals += 1
        self.record.note(event)
        for core in self._to.get(event.stream or event.topic, ()):
            if core.understands(event.type):
                self._queue.extend(core.handle(event, self._now))

    # --- results --------------------------------------------------------------------------------------------------

    @property
    def time(self) -> int:
        """The data's time (ns UTC) of what happened last: when a strategy raises, of what it raised at."""
        return self._now.time

    @property
    def cash(self) -> Decimal:
        """USD."""
        return self.paper.cash

    @property
    def equity(self) -> Decimal:
        """Cash and positions at the last price, USD."""
        return equity(self.cash, self.record.positions, self._prices)


def equity(cash: Decimal, positions: dict[str, Decimal], prices: dict[str, float]) -> Decimal:
    """Cash plus every position at its last price, USD."""
    held = [quantity * Decimal(repr(prices[symbol])) for symbol, quantity in positions.items() if symbol in prices]
    return cash + sum(held, ZERO)


def _writers(process: str) -> Writers:
    return Writers(topics.streams_written_by(process))
