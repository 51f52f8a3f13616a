"""The risk guard's core: every intent is answered, and what it does not know it denies.

It also watches protective stops itself (core/stops.py), and lets every cancel pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from appliance.core.activities import price_after
from appliance.core.allotment import Allotment
from appliance.core.base import Core
from appliance.core.gateway import expired
from appliance.core.limits import Rule
from appliance.core.limits.base import Case, Price, priced
from appliance.core.stops import SecondNet, Stop, leaves
from appliance.core.streams import Writers
from appliance.domain.market import MarketEvent, known_at, last_price
from appliance.domain.messages import Event, EventType, Now, Stage
from appliance.domain.operations import Latch, LatchState, Verb
from appliance.domain.trading import (
    ZERO,
    Activity,
    ActivityKind,
    Approved,
    Cancel,
    Denied,
    Fill,
    Intent,
    Order,
    OrderType,
    Side,
)

DECISIONS = "guard/decisions"
APPROVAL_VALID = 3_000_000_000
KNOWN_MAX = 5_000
INFINITE = float("inf")
GUARD, TAKE = Stage.GUARD, Stage.TAKE
ACTIVE, REDUCING = LatchState.ACTIVE, LatchState.REDUCING
UNTOUCHED = Latch()


class Mark(Struct, frozen=True):
    """That something happened, at which market time (ns UTC)."""

    time: int


class GuardCore(Core):
    """Intents in, decisions out. ``validity`` is how long an approval holds (ns); ``cash``: see Allotment."""

    watches = ("gateway",)

    def __init__(
        self, process: str, writers: Writers, rules: Sequence[Rule], validity: int = APPROVAL_VALID,
        cash: Decimal | None = None,
    ) -> None:  # fmt: skip
        super().__init__(process, writers)
        self._rules = rules
        self._validity = validity
        self._prices = self.table("price", Price)
        self._orders = self.table("order", Order)
        self._approved = self.table("approved", Intent)
        self._known = self.table("known", Mark)
        self._waiting = self.table("waiting", Intent)
        self._canceling = self.table("canceling", Cancel)
        self._positions = self.table("position", Decimal)
        self._holdings = self.table("holding", Decimal)
        self._net = SecondNet(self)
        self._exits = self.table("exit", str)
        self._allotment = Allotment(self, cash)
        self._latch = self.table("latch", Latch)
        self._flattened = self.table("flattened", Mark)
        self._gateway_alive = True
        self.on(EventType.INTENT, self._intent)
        self.on(EventType.CANCEL, self._cancel)
        self.on(EventType.STEP, self._step)
        self.on(EventType.BAR, self._bar)
        self.on(EventType.QUOTE_BAR, self._bar)
        self.on(EventType.TICKS, self._ticks)
        self.on(EventType.ORDER, self._order)
        self.on(EventType.FILL, self._fill)
        self.on(EventType.ACTIVITY, self._activity)
        self.on(EventType.ACCOUNT, self._allotment.accounted)
        self.on(EventType.LATCH, self._latched)
        self.on(EventType.COMMAND, self._command)
        self.on(EventType.PEER, self._peer)

    def held(self) -> int:
        return len(self._waiting) + len(self._canceling)

    # --- intents --------------------------------------------------------------------------------------------------

    def _intent(self, event: Event, now: Now) -> None:
        intent: Intent = event.body
        if intent.staged:
            self._waiting[intent.id] = intent
        else:
            self._decide(intent, now)

    def _cancel(self, event: Event, now: Now) -> None:
        cancel: Cancel = event.body
        if cancel.staged:
            self._canceling[cancel.id] = cancel
        else:
            self._pass_on(cancel, now)

    def _take(self, now: Now) -> None:
        """A lockstep round: every host has reported, so the order no longer depends on who was faster."""
        held: list[Intent | Cancel] = [*self._waiting.values(), *self._canceling.values()]
        for each in sorted(held, key=lambda each: (each.strategy, each.counter, isinstance(each, Cancel))):
            if isinstance(each, Intent):
                del self._waiting[each.id]
                self._decide(each, now)
            else:
                del self._canceling[each.id]
                self._pass_on(each, now)

    def _pass_on(self, cancel: Cancel, now: Now) -> None:
        """A cancel only takes risk away: it passes whatever the state, however old, and needs no price."""
        self._forgo(cancel)
        self.emit(DECISIONS, cancel, now, cancel.id)

    def _forgo(self, cancel: Cancel) -> None:
        """A stop its strategy gives up is watched no longer, unless another of the position still rests."""
        order = self._orders.get(cancel.order_id)
        if order is None or not _is_stop(order) or order.intent.strategy != cancel.strategy:
            return
        others = [other for other in self._protective(cancel.strategy, order.symbol) if other.id != order.id]
        if not any(_is_stop(other) for other in others):
            self._net.fold(f"{cancel.strategy}/{order.symbol}")

    def _decide(self, intent: Intent, now: Now) -> None:
        if intent.id in self._known:
            return  # adopted from the gateway's stream: it has been answered there
        self._know(intent.id, now)
        reduces = self._reduces(intent)
        refusal = self._refusal(intent, now, reduces)
        if refusal is not None:
            self.emit(DECISIONS, Denied(intent, refusal[0], refusal[1]), now, intent.id)
            return
        self._approve(intent, reduces, now)

    def _approve(self, intent: Intent, reduces: bool, now: Now) -> None:
        self.emit(DECISIONS, Approved(intent, now.moment, self._validity, reduces), now, intent.id)
        self._approved[intent.id] = intent

    def _know(self, intent_id: str, now: Now) -> None:
        self._known[intent_id] = Mark(now.time)
        self._known.keep_newest(KNOWN_MAX)

    def _refusal(self, intent: Intent, now: Now, reduces: bool) -> tuple[str, str] | None:
        if expired(intent, None, now):
            return "EXPIRED", "decided too long ago, or before a restart of the machine"
        state = self._latch.get("", UNTOUCHED).state
        if state is not ACTIVE and not (state is REDUCING and reduces):
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
                buying += left if side.sign > 0 else ZERO
                selling += left if side.sign < 0 else ZERO
        return Case(
            intent, now, self._prices.get(intent.symbol), self._positions.get(intent.symbol, ZERO), buying, selling,
            self._allotment.free(), reserved, reduces, self._positions, self._prices,
            self._covering(),
        )  # fmt: skip

    def _covering(self) -> dict[str, Decimal]:
        """Shares of short positions that exits buy back whatever the price is, by symbol."""
        found: dict[str, Decimal] = {}
        if any(shares < 0 for shares in self._positions.values()):
            bought = [(intent, intent.quantity) for intent in self._approved.values()]
            bought += [(order.intent, order.remaining) for order in self._orders.values() if not order.protects]
            for intent, left in bought:
                if intent.exit and intent.side.sign > 0 and intent.type is OrderType.MARKET:
                    found[intent.symbol] = found.get(intent.symbol, ZERO) + left
        return found

    def _working(self) -> list[tuple[str, Side, Decimal, Decimal, bool]]:
        """(symbol, side, shares left, USD price, exit?) of everything approved or working but protective stops."""
        found = []
        for intent in self._approved.values():
            found.append((intent.symbol, intent.side, intent.quantity, self._priced(intent), intent.exit))
        for order in self._orders.values():
            if not order.protects:
                price = self._priced(order)
                found.append((order.symbol, order.side, order.remaining, price, order.intent.exit))
        return found

    def _priced(self, wanted: Intent | Order) -> Decimal:
        return priced(wanted, self._prices.get(wanted.symbol)) or ZERO

    def _reduces(self, intent: Intent) -> bool:
        """An exit opposite to the confirmed position, with all other exits not larger than it. Unknown position: no."""
        position = self._positions.get(intent.symbol, ZERO)
        if not intent.exit or not intent.quantity.is_finite() or position * intent.side.sign >= 0:
            return False
        others = ZERO
        for symbol, side, left, _, exits in self._working():
            if exits and symbol == intent.symbol and side is intent.side:
                others += left
        return intent.quantity + others <= abs(position)

    # --- the market -----------------------------------------------------------------------------------------------

    def _step(self, event: Event, now: Now) -> None:
        step = event.body
        if step.stage is GUARD:
            for happened in step.events:
                self._market(happened, now, event)
        elif step.stage is TAKE:
            self._take(now)

    def _bar(self, event: Event, now: Now) -> None:
        self._market(event.body, now, event)

    def _ticks(self, event: Event, now: Now) -> None:
        """Quotes are not written row by row: after a restart there is no price, and without a price no new risk."""
        for quote in event.body.quotes:
            if _good(price := last_price(quote)):
                dict.__setitem__(self._prices, quote.symbol, Price(price, quote.time))
            self._watch(quote, now, f"quote of {quote.time}")

    def watched(self) -> Iterator[tuple[Stop, Decimal]]:
        """The stops that market events can cross or move, and the shares behind them: else they leave a price."""
        return self._net.watched(self._holdings)

    def saw(self, events: Iterable[MarketEvent]) -> None:
        """The last event of each symbol in a time in which no stop was touched: of it all, only its price counts."""
        for happened in events:
            if _good(price := last_price(happened)):
                self._prices[happened.symbol] = Price(price, known_at(happened))

    def _market(self, happened: MarketEvent, now: Now, event: Event) -> None:
        self.saw((happened,))
        if self._net:
            self._watch(happened, now, event.position)

    def _watch(self, happened: MarketEvent, now: Now, cause: str) -> None:
        for stop, holding in self._net.crossed(happened, self._holdings, self._exits):
            self._exit(stop.strategy, stop.symbol, holding, f"stop {stop.price} crossed", now, cause)

    def _protective(self, strategy: str, symbol: str) -> list[Order]:
        return [
            order
            for order in self._orders.values()
            if order.protects and order.symbol == symbol and order.intent.strategy == strategy
        ]

    def _exit(self, strategy: str, symbol: str, holding: Decimal, reason: str, now: Now, cause: str) -> None:
        """Write an exit of our own, whatever the strategy thinks: the gateway replaces the resting stop by it."""
        spot = self.writers[DECISIONS].next()
        side = leaves(holding)
        intent = Intent(
            id=f"guard-{spot.epoch}-{spot.seq}", strategy=strategy, counter=0, symbol=symbol, side=side,
            quantity=abs(holding), decided=now.moment, valid=self._validity, cause=cause, reason=reason,
            replaces=tuple(order.id for order in self._protective(strategy, symbol)), exit=True,
        )  # fmt: skip
        self._exits[f"{strategy}/{symbol}"] = intent.id
        self._know(intent.id, now)
        self._approve(intent, self._reduces(intent), now)

    # --- what became of it ----------------------------------------------------------------------------------------

    def _order(self, event: Event, now: Now) -> None:
        order: Order = event.body
        if order.id in self._approved:
            del self._approved[order.id]
        if order.id not in self._known:
            self._know(order.id, now)
        if order.status.terminal:
            self._orders.drop(order.id)
            key = f"{order.intent.strategy}/{order.symbol}" if self._exits else ""
            if key and self._exits.get(key) == order.id:
                self._exits.drop(key)
        else:
            self._orders[order.id] = order

    def _fill(self, event: Event, now: Now) -> None:
        fill: Fill = event.body
        self._allotment.filled(fill)
        key, signed = f"{fill.strategy}/{fill.symbol}", fill.signed
        self._positions[fill.symbol] = self._positions.get(fill.symbol, ZERO) + signed
        holding = self._holdings.get(key, ZERO) + signed
        self._hold(key, holding)
        order = self._orders.get(fill.order_id)
        if holding and order is not None and not order.intent.exit and not order.protects:
            self._net.spread(order.intent, now.time)

    def _activity(self, event: Event, now: Now) -> None:
        """A corporate action changes what is held, the last price and the stops that are watched; a margin call ends
        all positions."""
        activity: Activity = event.body
        self._allotment.happened(activity)
        if activity.kind is ActivityKind.MARGIN_CALL:
            self._take_back("margin call", now, event.position)
            self._leave_all("", "margin call", now, event.position)
        if activity.kind is ActivityKind.SYMBOL_CHANGE and activity.becomes not in ("", activity.symbol):
            self._rename(activity.symbol, activity.becomes)
        if activity.kind is ActivityKind.DELISTING:
            self._held_after(activity)
        action = activity.action
        if action is None:
            return
        last = self._prices.get(activity.symbol)
        if last is not None:
            self._prices[activity.symbol] = Price(price_after(last.value, action), last.time)
        self._net.adjust(action, self._holdings)
        if activity.kind is ActivityKind.SPLIT:
            self._held_after(activity)

    def _held_after(self, activity: Activity) -> None:
        own = [part for part in activity.parts if part.strategy]
        self._positions[activity.symbol] = sum((part.quantity for part in own), ZERO)
        for part in own:
            self._hold(f"{part.strategy}/{activity.symbol}", part.quantity)

    def _rename(self, symbol: str, becomes: str) -> None:
        """The same shares by another name: what is held, the stops that are watched, and the last price."""
        self._positions[becomes] = self._positions.get(becomes, ZERO) + self._positions.get(symbol, ZERO)
        self._positions[symbol] = ZERO
        if symbol in self._prices and becomes not in self._prices:
            self._prices[becomes] = self._prices[symbol]
        self._net.rename(symbol, becomes)
        for key in [key for key in self._holdings if key.partition("/")[2] == symbol]:
            new = f"{key.partition('/')[0]}/{becomes}"
            self._holdings[new] = self._holdings.get(new, ZERO) + self._holdings[key]
            del self._holdings[key]
            if key in self._exits:
                self._exits[new] = self._exits[key]
                del self._exits[key]

    def _hold(self, key: str, shares: Decimal) -> None:
        self._holdings[key] = shares
        if not shares:
            self._net.fold(key)
            self._holdings.drop(key)

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
        self._leave_all(command.symbol, "flatten", now, command.id)

    def _take_back(self, reason: str, now: Now, cause: str) -> None:
        """No entry that works may still be filled."""
        for order in [order for order in self._orders.values() if not (order.intent.exit or order.protects)]:
            spot, intent = self.writers[DECISIONS].next(), order.intent
            cancel = Cancel(
                f"guard-{spot.epoch}-{spot.seq}", intent.strategy, intent.counter, order.symbol, order.id, now.moment,
                self._validity, cause, reason,
            )  # fmt: skip
            self.emit(DECISIONS, cancel, now, cause)

    def _leave_all(self, wanted: str, reason: str, now: Now, cause: str) -> None:
        """Exits for everything held, or for one symbol."""
        for key, holding in list(self._holdings.items()):
            strategy, _, symbol = key.partition("/")
            if holding and wanted in ("", symbol):
                self._exit(strategy, symbol, holding, reason, now, cause)


def _good(price: float) -> bool:
    """Whether a price is one: what is not a positive number leaves the last good one, which goes stale."""
    return 0.0 < price < INFINITE


def _is_stop(order: Order) -> bool:
    return bool(order.protects) and order.type is not OrderType.LIMIT
