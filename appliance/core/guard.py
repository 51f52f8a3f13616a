"""The risk guard's core: every intent is answered, and what it does not know it denies.

It also watches protective stops itself: the one resting at the broker is the first net, this is the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from appliance.core.base import Core
from appliance.core.gateway import expired
from appliance.core.limits import Rule
from appliance.core.limits.base import Case, Price
from appliance.core.streams import Writers
from appliance.domain.market import MarketEvent, Quote, QuoteBar, Trade, known_at, last_price
from appliance.domain.messages import Event, EventType, Now, Stage
from appliance.domain.operations import Latch, LatchState, Verb
from appliance.domain.orders import is_terminal
from appliance.domain.trading import ZERO, Account, Approved, Denied, Fill, Intent, Order, Side

DECISIONS = "guard/decisions"
APPROVAL_VALID = 3_000_000_000
KNOWN_MAX = 5_000
INFINITE = float("inf")


class Stop(Struct, frozen=True):
    """A protective stop of one strategy's position: price (USD), and since when (ns UTC) it is active."""

    strategy: str
    symbol: str
    price: Decimal
    active: int


class Mark(Struct, frozen=True):
    """That something happened, at which market time (ns UTC)."""

    time: int


class GuardCore(Core):
    """Intents in, decisions out. ``validity`` is how long an approval holds (ns)."""

    watches = ("gateway",)

    def __init__(self, process: str, writers: Writers, rules: Sequence[Rule], validity: int = APPROVAL_VALID) -> None:
        super().__init__(process, writers)
        self._rules = rules
        self._validity = validity
        self._prices = self.table("price", Price)
        self._orders = self.table("order", Order)
        self._approved = self.table("approved", Intent)
        self._known = self.table("known", Mark)
        self._waiting = self.table("waiting", Intent)
        self._positions = self.table("position", Decimal)
        self._holdings = self.table("holding", Decimal)
        self._stops = self.table("stop", Stop)
        self._exits = self.table("exit", str)
        self._account = self.table("account", Account)
        self._latch = self.table("latch", Latch)
        self._flattened = self.table("flattened", Mark)
        self._gateway_alive = True
        self.on(EventType.INTENT, self._intent)
        self.on(EventType.STEP, self._step)
        self.on(EventType.BAR, self._bar)
        self.on(EventType.QUOTE_BAR, self._bar)
        self.on(EventType.TICKS, self._ticks)
        self.on(EventType.ORDER, self._order)
        self.on(EventType.FILL, self._fill)
        self.on(EventType.ACCOUNT, self._accounted)
        self.on(EventType.LATCH, self._latched)
        self.on(EventType.COMMAND, self._command)
        self.on(EventType.PEER, self._peer)

    def held(self) -> int:
        return len(self._waiting)

    # --- intents --------------------------------------------------------------------------------------------------

    def _intent(self, event: Event, now: Now) -> None:
        intent: Intent = event.body
        if intent.staged:
            self._waiting[intent.id] = intent
        else:
            self._decide(intent, now)

    def _take(self, now: Now) -> None:
        """A lockstep round: every host has reported, so the order no longer depends on who was faster."""
        for intent in sorted(self._waiting.values(), key=lambda intent: (intent.strategy, intent.counter)):
            del self._waiting[intent.id]
            self._decide(intent, now)

    def _decide(self, intent: Intent, now: Now) -> None:
        if intent.id in self._known:
            return  # adopted from the gateway's stream: it has been answered there
        self._know(intent.id, now)
        refusal = self._refusal(intent, now)
        if refusal is not None:
            self.emit(DECISIONS, Denied(intent, refusal[0], refusal[1]), now, intent.id)
            return
        self._approve(intent, now)

    def _approve(self, intent: Intent, now: Now) -> None:
        self.emit(DECISIONS, Approved(intent, now.moment, self._validity, self._reduces(intent)), now, intent.id)
        self._approved[intent.id] = intent

    def _know(self, intent_id: str, now: Now) -> None:
        self._known[intent_id] = Mark(now.time)
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]

    def _refusal(self, intent: Intent, now: Now) -> tuple[str, str] | None:
        if expired(intent, None, now):
            return "EXPIRED", "decided too long ago, or before a restart of the machine"
        reduces = self._reduces(intent)
        state = self._latch.get("", Latch()).state
        if state is LatchState.HALTED or (state is LatchState.REDUCING and not reduces):
            return state.value.upper(), "the appliance takes no new risk"
        if not reduces and not self._gateway_alive:
            return "GATEWAY_SILENT", "the gateway has not been heard"
        case = self._case(intent, now, reduces)
        for rule in self._rules:
            if reduces and not rule.binds_reductions:
                continue
            refusal = rule.check(case)
            if refusal is not None:
                return refusal
        return None

    def _case(self, intent: Intent, now: Now, reduces: bool) -> Case:
        buying, selling, reserved = ZERO, ZERO, ZERO
        for symbol, side, left, price, exits in self._working():
            if not exits:
                reserved += left * price
            if symbol == intent.symbol:
                buying += left if side is Side.BUY else ZERO
                selling += left if side is Side.SELL else ZERO
        account = self._account.get("")
        return Case(
            intent, now, self._prices.get(intent.symbol), self._positions.get(intent.symbol, ZERO), buying, selling,
            account.cash if account is not None else None, reserved, reduces,
        )  # fmt: skip

    def _working(self) -> list[tuple[str, Side, Decimal, Decimal, bool]]:
        """(symbol, side, shares left, USD price, exit?) of everything approved or working but protective stops."""
        found = []
        for intent in self._approved.values():
            found.append((intent.symbol, intent.side, intent.quantity, self._priced(intent), intent.exit))
        for order in self._orders.values():
            if not order.protects:
                price = self._priced(order.intent)
                found.append((order.symbol, order.side, order.remaining, price, order.intent.exit))
        return found

    def _priced(self, intent: Intent) -> Decimal:
        if intent.limit_price is not None:
            return intent.limit_price
        price = self._prices.get(intent.symbol)
        return Decimal(repr(price.value)) if price is not None else ZERO

    def _reduces(self, intent: Intent) -> bool:
        """Opposite to the confirmed position, with all other exits not larger than it. Unknown position: no."""
        position = self._positions.get(intent.symbol, ZERO)
        if not intent.quantity.is_finite() or position * intent.side.sign >= 0:
            return False
        others = ZERO
        for symbol, side, left, _, _ in self._working():
            if symbol == intent.symbol and side is intent.side:
                others += left
        return intent.quantity + others <= abs(position)

    # --- the market -----------------------------------------------------------------------------------------------

    def _step(self, event: Event, now: Now) -> None:
        step = event.body
        if step.stage is Stage.GUARD:
            for happened in step.events:
                self._market(happened, now, event)
        elif step.stage is Stage.TAKE:
            self._take(now)

    def _bar(self, event: Event, now: Now) -> None:
        self._market(event.body, now, event)

    def _ticks(self, event: Event, now: Now) -> None:
        """Quotes are not written row by row: after a restart there is no price, and without a price no new risk."""
        for quote in event.body.quotes:
            if _good(price := last_price(quote)):
                dict.__setitem__(self._prices, quote.symbol, Price(price, quote.time))
            self._watch(quote, now, f"quote of {quote.time}")

    def _market(self, happened: MarketEvent, now: Now, event: Event) -> None:
        if _good(price := last_price(happened)):
            self._prices[happened.symbol] = Price(price, known_at(happened))
        if self._stops:
            self._watch(happened, now, event.position)

    def _watch(self, happened: MarketEvent, now: Now, cause: str) -> None:
        for key, stop in list(self._stops.items()):
            if stop.symbol == happened.symbol and key not in self._exits:
                holding = self._holdings.get(key, ZERO)
                if holding and _crossed(stop, holding, happened):
                    self._exit(stop.strategy, stop.symbol, holding, f"stop {stop.price} crossed", now, cause)

    def _exit(self, strategy: str, symbol: str, holding: Decimal, reason: str, now: Now, cause: str) -> None:
        """Write an exit of our own, whatever the strategy thinks: the gateway replaces the resting stop by it."""
        spot = self.writers[DECISIONS].next()
        side = Side.SELL if holding > 0 else Side.BUY
        protective = [
            order.id
            for order in self._orders.values()
            if order.protects and order.symbol == symbol and order.intent.strategy == strategy
        ]
        intent = Intent(
            id=f"guard-{spot.epoch}-{spot.seq}", strategy=strategy, counter=0, symbol=symbol, side=side,
            quantity=abs(holding), decided=now.moment, valid=self._validity, cause=cause, reason=reason,
            replaces=tuple(protective), exit=True,
        )  # fmt: skip
        self._exits[f"{strategy}/{symbol}"] = intent.id
        self._know(intent.id, now)
        self._approve(intent, now)

    # --- what became of it ----------------------------------------------------------------------------------------

    def _order(self, event: Event, now: Now) -> None:
        order: Order = event.body
        self._approved.drop(order.id)
        if order.id not in self._known:
            self._know(order.id, now)
        if is_terminal(order.status):
            self._orders.drop(order.id)
            key = f"{order.intent.strategy}/{order.symbol}"
            if self._exits.get(key) == order.id:
                self._exits.drop(key)
        else:
            self._orders[order.id] = order

    def _fill(self, event: Event, now: Now) -> None:
        fill: Fill = event.body
        self._positions[fill.symbol] = self._positions.get(fill.symbol, ZERO) + fill.signed
        key = f"{fill.strategy}/{fill.symbol}"
        self._holdings[key] = self._holdings.get(key, ZERO) + fill.signed
        order = self._orders.get(fill.order_id)
        if not self._holdings[key]:
            self._stops.drop(key)
            self._holdings.drop(key)
        elif order is not None and order.intent.stop is not None and not order.intent.exit and not order.protects:
            self._stops[key] = Stop(fill.strategy, fill.symbol, order.intent.stop, now.time)

    def _accounted(self, event: Event, now: Now) -> None:
        self._account[""] = event.body

    def _latched(self, event: Event, now: Now) -> None:
        self._latch[""] = event.body

    def _peer(self, event: Event, now: Now) -> None:
        if event.body.process == "gateway":
            self._gateway_alive = event.body.alive

    def _command(self, event: Event, now: Now) -> None:
        """Flatten: exits for everything held, or for one symbol. The gateway lowers the latch by the same command."""
        command = event.body
        if command.verb is not Verb.FLATTEN or command.id in self._flattened or not (now.time <= command.expires):
            return
        self._flattened[command.id] = Mark(now.time)
        for key, holding in list(self._holdings.items()):
            strategy, _, symbol = key.partition("/")
            if holding and command.symbol in ("", symbol):
                self._exit(strategy, symbol, holding, "flatten", now, command.id)


def _good(price: float) -> bool:
    """Whether a price is one: what is not a positive number leaves the last good one, which goes stale."""
    return 0.0 < price < INFINITE


def _crossed(stop: Stop, holding: Decimal, happened: MarketEvent) -> bool:
    """Whether an event's prices reached the stop; extremes from before it was active do not count."""
    price = float(stop.price)
    low, high = _extremes(happened, stop.active)
    return low <= price if holding > 0 else high >= price


def _extremes(happened: MarketEvent, active: int) -> tuple[float, float]:
    if isinstance(happened, Quote):
        low = happened.low if happened.low_time and happened.low_time > active else happened.bid
        high = happened.high if happened.high_time and happened.high_time > active else happened.ask
        return low, high
    last = last_price(happened)
    if isinstance(happened, Trade) or happened.start < active:
        return last, last
    if isinstance(happened, QuoteBar):
        return happened.bid_low, happened.ask_high
    return happened.low, happened.high
