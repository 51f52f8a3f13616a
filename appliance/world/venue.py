"""A broker that cannot be trusted to answer: it has its own log, and that log is what the checkers read.

The market inside is the shipped simulator; what is simulated here is the way there and back: requests lost, late or
answered into the void, hints lost, doubled and overtaken. A snapshot is true at the instant it was taken, or at two of
them where looks are torn; strangers trade at the account, too.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_UP, Decimal
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.market.resting import Resting
from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.models.commission import FREE
from appliance.core.streams import Writers
from appliance.domain.market import MarketEvent
from appliance.domain.messages import Event, EventType, Now, VenueFill, VenueLink, VenueReport, VenueSnapshot, local
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Order, Side
from appliance.domain.venue import Rejection
from appliance.world.faults import MILLI, SECOND, Faults
from appliance.world.scheduler import Scheduler

ANSWERS = "venue/answers"
TIMEOUT = SECOND
FLIGHT_MAX = 1_500 * MILLI
"""The longest a request may travel; shorter than two questions are apart."""

OTHERS = ("CCC", "DDD")
"""What strangers trade: who sells what strategies hold takes it from them, and their symbol halts."""


class Placed(Struct, frozen=True):
    """One line of the venue's log: an order that arrived and was taken, when (ns), and the how manieth of its id."""

    order: Order
    at: int
    n: int


class _Market(MarketSimulator):
    """Fills a random part where the world says so."""

    faults: Faults
    random: Random

    def portion(self, order: Resting) -> Decimal:
        left = order.quantity - order.filled
        if left > 1 and self.random.random() < self.faults.fill_partly:
            return (left / 2).to_integral_value(ROUND_UP)
        return left


class SimulatedVenue:
    """``strays`` are strategy/symbol pairs of which an order was so late that it may have been given up.

    Takes what the gateway asks; ``deliver`` brings answers to whoever is the gateway by then; ``watch`` is called
    whenever the books have changed."""

    def __init__(self, scheduler: Scheduler, faults: Faults, random: Random, deliver: Callable[[Event], None]) -> None:
        self._scheduler = scheduler
        self._faults = faults
        self._random = random
        self._deliver = deliver
        self.market = _Market("venue", Writers(()), Decimal(1_000_000), MarketModel(FREE))
        self.market.faults, self.market.random = faults, random
        self.log: list[Placed] = []
        self.strays: dict[str, str] = {}
        self._arrivals: dict[str, int] = {}
        self.strangers: dict[str, VenueFill] = {}
        self.foreign: dict[str, Decimal] = {}
        self.foreign_cash = Decimal(0)
        self.up = False
        self.watch: Callable[[], None] = lambda: None

    def _now(self) -> Now:
        return Now(self._scheduler.time, "venue", self._scheduler.time)

    # --- requests -------------------------------------------------------------------------------------------------

    def request(self, event: Event) -> None:
        """A request leaves the gateway."""
        if event.type is EventType.VENUE_LINK:
            self.up = False
            self.connect()
            return
        if not self.up:
            self._lose(event)
            return
        kind = event.type
        if kind is EventType.VENUE_SUBMIT and self._random.random() < self._faults.submit_lost:
            self._lose(event)
            return
        late = kind is EventType.VENUE_SUBMIT and self._random.random() < self._faults.submit_late
        flight = self._random.randrange(TIMEOUT, FLIGHT_MAX) if late else self._random.randrange(MILLI, 60 * MILLI)
        if kind is EventType.VENUE_SUBMIT and self._random.random() < self._faults.submit_very_late:
            late, flight = True, self._random.randrange(4 * SECOND, 12 * SECOND)
            order = event.body.order
            self.strays[f"{order.intent.strategy}/{order.symbol}"] = order.id
        if late:
            self._lose(event)
        self._scheduler.after(flight, lambda: self._arrive(event, silent=late))

    def _lose(self, event: Event) -> None:
        """Nobody answers: the adapter gives up after its deadline and says so."""
        order_id = _order_id(event)
        if order_id:
            lost = VenueReport(order_id, OrderEvent.LOSE, self._scheduler.time)
            if not self.up and event.type is EventType.VENUE_SUBMIT and self._random.random() < self._faults.never_sent:
                lost = VenueReport(order_id, OrderEvent.DENY, self._scheduler.time, code=Rejection.NOT_SENT)
            self._scheduler.after(TIMEOUT, lambda: self._deliver(local(lost, topic=ANSWERS)))

    def _arrive(self, event: Event, silent: bool) -> None:
        if event.type is EventType.VENUE_SUBMIT:
            event = self._placed(event)
        if event.type is EventType.VENUE_LOOK:
            self._look(event)
            return
        answers = self.market.handle(event, self._now())
        self.watch()
        if silent:
            return
        if self._random.random() < self._faults.answer_lost:
            self._lose(event)
            return
        self._send(answers)

    def _look(self, event: Event) -> None:
        """Orders and fills first; positions and cash at once, or later where looks are torn."""
        first = self._seen(event)
        if self._random.random() < self._faults.torn_looks:
            self._scheduler.after(self._random.randrange(10 * MILLI, 900 * MILLI), lambda: self._rest(event, first))
        else:
            self._send([local(first, topic=ANSWERS)])

    def _rest(self, event: Event, first: VenueSnapshot) -> None:
        then = self._seen(event)
        self._send([local(replace(first, positions=then.positions, cash=then.cash), topic=ANSWERS)])

    def _seen(self, event: Event) -> VenueSnapshot:
        (answer,) = self.market.handle(event, self._now())
        told: VenueSnapshot = answer.body
        fills = (*told.fills, *(fill for fill in self.strangers.values() if fill.at >= told.since))
        held = {
            symbol: told.positions.get(symbol, Decimal(0)) + self.foreign.get(symbol, Decimal(0))
            for symbol in sorted({*told.positions, *self.foreign})
        }
        held = {symbol: shares for symbol, shares in held.items() if shares}
        return replace(told, fills=fills, positions=held, cash=told.cash + self.foreign_cash)

    def stranger(self) -> None:
        """Somebody else trades at our account."""
        n, now = len(self.strangers) + 1, self._scheduler.time
        symbol, side = self._random.choice(OTHERS), self._random.choice((Side.BUY, Side.SELL))
        shares, at = Decimal(self._random.randrange(1, 50)), Decimal(self._random.randrange(90, 110))
        fill = VenueFill(f"stranger:{n}", "", symbol, side, shares, at, Decimal(0), now, now)
        self.strangers[fill.fill_key] = fill
        self.foreign[symbol] = self.foreign.get(symbol, Decimal(0)) + shares * side.sign
        self.foreign_cash -= shares * side.sign * at
        self._hint(local(fill, topic=ANSWERS))

    def _placed(self, event: Event) -> Event:
        """Log what arrived. A venue that takes an id twice makes a second order of it; the log shows that."""
        order: Order = event.body.order
        n = self._arrivals.get(order.id, 0) + 1
        self._arrivals[order.id] = n
        taken = n == 1 or not self._faults.refuses_duplicates
        if taken:
            self.log.append(Placed(order, self._scheduler.time, n))
        if n > 1 and taken:
            twin = replace(order, id=f"{order.id}#{n}")
            return local(replace(event.body, order=twin), topic=event.topic)
        return event

    # --- what the venue says by itself ----------------------------------------------------------------------------

    def trade(self, events: tuple[MarketEvent, ...]) -> None:
        """Let resting orders meet the market; the gateway hears of it if the hint gets through."""
        for happened in events:
            self.market.out = []
            self.market.market((happened,), self._now())
            self.watch()
            for hint in self.market.out:
                self._hint(hint)

    def _hint(self, hint: Event) -> None:
        if self._random.random() < self._faults.hint_lost:
            return
        self._send([hint])
        if self._random.random() < self._faults.hint_twice:
            self._send([hint])

    def _send(self, answers: list[Event]) -> None:
        """An answer arrives whole; answers overtake each other."""
        if self.up:
            self._scheduler.after(self._random.randrange(MILLI, 80 * MILLI), lambda: self._arrived(answers))

    def _arrived(self, answers: list[Event]) -> None:
        for answer in answers:
            if self.up:
                self._deliver(answer)

    def connect(self) -> None:
        """The link comes up, some time after it was asked for."""
        self._scheduler.after(self._random.randrange(50 * MILLI, 400 * MILLI), self._linked)

    def _linked(self) -> None:
        self.up = True
        self._deliver(local(VenueLink(True), topic=ANSWERS))

    def disconnect(self) -> None:
        """The link goes down; it comes back within seconds."""
        if self.up:
            self.up = False
            self._deliver(local(VenueLink(False), topic=ANSWERS))
            self._scheduler.after(self._random.randrange(200 * MILLI, 4 * SECOND), self.connect)


def _order_id(event: Event) -> str:
    body = event.body
    if event.type is EventType.VENUE_SUBMIT:
        return str(body.order.id)
    return str(body.order_id) if event.type in (EventType.VENUE_ASK, EventType.VENUE_CANCEL) else ""
