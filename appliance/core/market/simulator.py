"""The simulated market: the paper broker's brain. It refuses a second order with an id.

Reports and fills go to ``venue/answers``. A fill's key is its order id and the quantity filled so far, so that it is
the same wherever it is told from. What one order of an ``oco`` group fills, the others lose, also one that arrives
later; where one event could fill a stop and a take-profit of a group, the stop is met first.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

from msgspec.structs import replace

from appliance.core.activities import activity_of, remaining_after
from appliance.core.base import Core
from appliance.core.market.crossing import AT_ONCE, ENDS, Crossing, Met, volume_of
from appliance.core.market.lending import Lending
from appliance.core.market.matching import UNSET, begins
from appliance.core.market.resting import NOTHING, Ended, Group, Heard, Resting, Room
from appliance.core.models import MarketModel
from appliance.core.models.latency import NO_DELAY
from appliance.core.streams import Writers
from appliance.domain.market import CorporateAction, MarketEvent, Sessions, Split, known_at
from appliance.domain.messages import (
    Event,
    EventType,
    Now,
    Stage,
    VenueActivity,
    VenueFill,
    VenueReport,
    VenueSnapshot,
)
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import AUCTIONS, ZERO, Activity, Order, OrderType, Side, TimeInForce
from appliance.domain.venue import Rejection

ANSWERS = "venue/answers"
REMEMBERED = 20_000
"""Ended orders, fills and groups the venue can still tell of."""
LIMIT, REJECT = OrderType.LIMIT, OrderEvent.REJECT
STOPS = (OrderType.STOP, OrderType.TRAILING_STOP)
LASTING = (TimeInForce.GTC, *AT_ONCE)
"""What does not end with its session."""
NEVER = 1 << 62
"""When (ns UTC) the next session opens that the calendar does not know."""


class MarketSimulator(Core):
    """Orders in, market events in; reports and fills out. ``cash`` is the opening balance in USD."""

    sync = (
        EventType.VENUE_REPORT,
        EventType.VENUE_FILL,
        EventType.VENUE_ACTIVITY,
    )  # a broker that forgets in a power cut is no broker

    def __init__(
        self,
        process: str,
        writers: Writers,
        cash: Decimal,
        model: MarketModel = MarketModel(),  # noqa: B008 - frozen
        sessions: Sessions | None = None,
    ) -> None:
        super().__init__(process, writers)
        self._sessions = sessions
        self._share = model.participation / 100 if model.participation is not None else None
        self._latency = model.latency if model.latency != NO_DELAY else None
        self._charge = model.commission.charge
        self._crossing = Crossing(model, sessions)
        self.hears_all = self._crossing.looks_back or self._share is not None
        """Whether it must hear of every market event, also while nothing rests."""
        self.resting = self.table("resting", Resting)
        self.ended = self.table("ended", Ended)
        self.groups = self.table("group", Group)
        self.heard = self.table("heard", Heard)
        self.rooms = self.table("room", Room)
        self.fills = self.table("fill", VenueFill)
        self.activities = self.table("activity", VenueActivity)
        self.positions = self.table("position", Decimal)
        self.balance = self.table("balance", Decimal)
        self._opening = cash
        self.lending = Lending(self, model, sessions)
        self.on(EventType.VENUE_SUBMIT, self._submit)
        self.on(EventType.VENUE_CANCEL, self._cancel)
        self.on(EventType.VENUE_REPLACE, self._replace)
        self.on(EventType.VENUE_ASK, lambda event, now: self._tell(event.body.order_id, now))
        self.on(EventType.VENUE_LOOK, self._look)
        self.on(EventType.STEP, self._step)
        self.on(EventType.BAR, self._event)
        self.on(EventType.QUOTE_BAR, self._event)
        self.on(EventType.TICKS, self._ticks)

    @property
    def cash(self) -> Decimal:
        """Cash in USD."""
        return self.balance.get("cash", self._opening)

    def restore(self, rows: Mapping[str, bytes]) -> None:
        """Put saved rows back, oldest first: what was placed first is met first, what is oldest is forgotten first."""
        super().restore(rows)
        self.resting.arrange(lambda order: order.placed)
        self.fills.arrange(lambda fill: fill.at)
        self.activities.arrange(lambda told: told.at)
        self.ended.arrange(lambda ended: ended.at)

    # --- requests -------------------------------------------------------------------------------------------------

    def _submit(self, event: Event, now: Now) -> None:
        order: Order = event.body.order
        if order.id in self.resting or order.id in self.ended:
            self._tell(order.id, now)  # the id is taken: what became of it is the answer, never a second order
            return
        if not (order.quantity.is_finite() and order.quantity > 0):
            self._end(order.id, REJECT, now, f"quantity {order.quantity} is not positive", Rejection.QUANTITY)
            return
        if order.time_in_force in AUCTIONS and self._sessions is None:
            text = "this market never closes: it has no open and no close"
            self._end(order.id, REJECT, now, text, Rejection.UNSUPPORTED)
            return
        resting = self._joined(self._rest(order, now))
        if resting.quantity <= 0:
            self._end(order.id, OrderEvent.CANCEL, now, "the other order of its group was filled")
            return
        self.resting[order.id] = resting
        self._report(order.id, OrderEvent.ACCEPT, now)
        if self.hears_all:
            heard = self.heard.get(order.symbol, NOTHING)
            at_once = self._crossing.at_once(resting, heard, now.time)
            if at_once is not None:
                self._fill(resting, at_once[0], at_once[1], now)

    def _joined(self, order: Resting) -> Resting:
        """An order as its group lets it in: for no more shares than the others have left."""
        if not order.oco:
            return order
        group = self.groups.get(order.oco, Group(order.quantity))
        self.groups[order.oco] = group
        self.groups.keep_newest(REMEMBERED)
        return replace(order, quantity=min(order.quantity, group.left))

    def _rest(self, order: Order, now: Now) -> Resting:
        placed = now.time if order.protects else order.intent.decided.time
        known = placed + self._latency.of(order.id) if self._latency is not None else placed
        limit = float(order.limit_price) if order.limit_price is not None else 0.0
        expires = 0 if order.time_in_force in LASTING else self._closing(known)
        if order.time_in_force is TimeInForce.OPG and self._sessions is not None:
            known = self._sessions.next_open(known) or NEVER
            expires = self._closing(known)
        if order.stop_price is not None:
            stop = float(order.stop_price)
        else:
            stop = self._crossing.start(order, self.heard.get(order.symbol, NOTHING)) if self.hears_all else UNSET
        return Resting(
            order.id, order.symbol, order.side, order.type, order.quantity, ZERO, limit, stop, order.time_in_force,
            known, expires, order.trail, order.oco, placed=self._last_placed() + 1,
        )  # fmt: skip

    def _last_placed(self) -> int:
        return next(reversed(self.resting.values())).placed if self.resting else 0

    def _closing(self, known: int) -> int:
        """The close of the session that an order which came then lives in; the next one when it came at a close."""
        session = self._sessions.coming(known) if self._sessions is not None else None
        return session.close if session is not None else 0

    def _cancel(self, event: Event, now: Now) -> None:
        if event.body.order_id in self.resting:
            self._end(event.body.order_id, OrderEvent.CANCEL, now)
        else:
            self._tell(event.body.order_id, now)

    def _replace(self, event: Event, now: Now) -> None:
        """ACCEPT: it asks for that now; REJECT: it stays as it was; another answer: it no longer rests."""
        resting = self.resting.get(event.body.order_id)
        if resting is None:
            self._tell(event.body.order_id, now)
            return
        most = resting.filled + self.groups[resting.oco].left if resting.oco in self.groups else None
        changed = resting.changed(event.body, most, now.time)
        if isinstance(changed, Resting):
            self.resting[resting.id] = changed
            self._report(resting.id, OrderEvent.ACCEPT, now, filled=changed.filled)
        else:
            self._report(resting.id, REJECT, now, changed, resting.filled, code=Rejection.OTHER)

    def _tell(self, order_id: str, now: Now) -> None:
        """Its fills, then how it stands: its group may have left it fewer shares than were asked for."""
        for fill in [fill for fill in self.fills.values() if fill.order_id == order_id]:
            self.send(ANSWERS, replace(fill, at=now.time), now)
        if order_id in self.resting:
            resting = self.resting[order_id]
            self._report(order_id, OrderEvent.ACCEPT, now, filled=resting.filled, stop=resting.stands)
        elif order_id in self.ended:
            ended = self.ended[order_id]
            self._report(order_id, ended.event, now, ended.text, ended.filled, ended.stop, ended.code)
        else:
            self._report(order_id, OrderEvent.ABSENT, now)

    def _look(self, event: Event, now: Now) -> None:
        positions = {symbol: quantity for symbol, quantity in sorted(self.positions.items()) if quantity}
        open_ids = tuple(sorted(self.resting))
        since = event.body.since
        fills = tuple(fill for fill in self.fills.values() if fill.at >= since)
        activities = tuple(one for one in self.activities.values() if one.at >= since)
        snapshot = VenueSnapshot(event.body.n, now.time, open_ids, fills, positions, self.cash, since, activities)
        self.send(ANSWERS, snapshot, now)

    # --- the market -----------------------------------------------------------------------------------------------

    def _step(self, event: Event, now: Now) -> None:
        if event.body.stage is Stage.VENUE:
            if event.body.actions and self.lending.lends:
                self._lend((), now)  # for the nights before, of what there was then
            for action in event.body.actions:
                self._act(action, now)
            self.market(event.body.events, now)

    def _event(self, event: Event, now: Now) -> None:
        self.market((event.body,), now)

    def _ticks(self, event: Event, now: Now) -> None:
        self.market(event.body.quotes, now)

    def market(self, events: tuple[MarketEvent, ...], now: Now) -> None:
        """Let resting orders meet market events, in the order they were placed; take-profits of a group come last."""
        if self.lending.lends:
            self._lend(events, now)
        if not self.resting and not self.hears_all:
            return
        for happened in events:
            if self.hears_all:
                self._hear(happened)
            orders = [order for order in self.resting.values() if order.symbol == happened.symbol]
            if len(orders) == 1:
                self._match(orders[0], happened, now)
                continue
            for order_id in [order.id for order in sorted(orders, key=lambda order: order.comes_last)]:
                if order_id in self.resting:  # another of its group may have ended it
                    self._match(self.resting[order_id], happened, now)

    def _hear(self, happened: MarketEvent) -> None:
        symbol, time = happened.symbol, known_at(happened)
        heard = self.heard[symbol] = self.heard.get(symbol, NOTHING).with_(happened)
        room = self.rooms.get(symbol)
        if self._share is not None and (room is None or room.time != time or begins(happened) == time):
            bought, sold = (Decimal(repr(volume_of(happened, side, heard))) * self._share for side in Side)
            self.rooms[symbol] = Room(time, bought, sold)

    def _match(self, order: Resting, happened: MarketEvent, now: Now) -> None:
        heard = self.heard.get(order.symbol, NOTHING) if self.hears_all else NOTHING
        outcome = self._crossing.of(order, happened, heard)
        if outcome is None:
            return
        if isinstance(outcome, Met):
            self._fill(order, outcome, happened, now)
        elif isinstance(outcome, OrderEvent):
            self._end(order.id, outcome, now)
        else:
            self.resting[order.id] = outcome

    def portion(self, order: Resting) -> Decimal:
        """How many shares of ``order`` are filled when it meets the market: all that remain, where there is room."""
        return order.quantity - order.filled

    def _fill(self, order: Resting, met: Met, happened: MarketEvent, now: Now) -> None:
        quantity = self._taken(order)
        if quantity <= 0:
            self._go_on(order, met.time, now)
            return
        price = met.price
        makes = order.type is LIMIT and price == order.limit and met.time > begins(happened)
        if self._crossing.slips:
            heard = self.heard.get(order.symbol, NOTHING)
            price = self._crossing.slipped(order, price, float(quantity), happened, heard)
        self._book_fill(order, quantity, Met(price, met.time), makes, now)
        if order.oco:
            self._lessen(order, quantity, now)
        if order.time_in_force in ENDS and order.id in self.resting:
            self._end(order.id, ENDS[order.time_in_force], now)

    def _taken(self, order: Resting) -> Decimal:
        """How many shares of an order that is met are filled, and taken out of the room there is."""
        whole = order.time_in_force is TimeInForce.FOK
        quantity = order.quantity - order.filled if whole else self.portion(order)
        room = self.rooms.get(order.symbol) if self._share is not None else None
        if room is None:
            return quantity
        there = room.on(order.side)
        if whole and quantity > there:
            return ZERO
        quantity = min(quantity, there.quantize(order.grain, ROUND_DOWN))
        self.rooms[order.symbol] = room.less(quantity)
        return quantity

    def _go_on(self, order: Resting, time: int, now: Now) -> None:
        """An order was met where nothing was left for it: a stop is a market order from then on, others rest."""
        if order.time_in_force in ENDS:
            self._end(order.id, ENDS[order.time_in_force], now)
        elif order.type in STOPS:
            self.resting[order.id] = replace(order, type=OrderType.MARKET, trail=None, known=max(time, order.known))

    def _book_fill(self, order: Resting, quantity: Decimal, met: Met, makes: bool, now: Now) -> None:
        exact = Decimal(repr(met.price))
        filled = order.filled + quantity if order.filled else quantity
        worth = order.worth + quantity * exact if order.filled else quantity * exact
        commission = self._charge(filled, worth, order.side, makes)
        if order.filled:  # the parts before may have been made where this one takes: each pays its own rate
            commission -= self._charge(order.filled, order.worth, order.side, makes)
        key = f"{order.id}:{filled}"
        fill = VenueFill(key, order.id, order.symbol, order.side, quantity, exact, commission, met.time, now.time)
        self.fills[key] = fill
        self.fills.keep_newest(REMEMBERED)
        signed = quantity if order.side is Side.BUY else -quantity
        self.positions[order.symbol] = self.positions.get(order.symbol, ZERO) + signed
        self.balance["cash"] = self.cash - signed * exact - commission
        self.lending.look(self.cash, self.positions)
        self._remain(order, filled, worth, now)
        self.send(ANSWERS, fill, now)

    def _remain(self, order: Resting, filled: Decimal, worth: Decimal, now: Now) -> None:
        """What rests of an order that was filled; a stop that has been hit is a market order from then on."""
        if filled == order.quantity:
            del self.resting[order.id]
            self.ended[order.id] = Ended(OrderEvent.FILL, filled=filled, at=now.time)
            self.ended.keep_newest(REMEMBERED)
            return
        rest = replace(order, filled=filled, worth=worth)
        self.resting[order.id] = replace(rest, type=OrderType.MARKET, trail=None) if order.type in STOPS else rest

    def _lessen(self, order: Resting, quantity: Decimal, now: Now) -> None:
        """The other orders of a group lose what one of them filled; one that has nothing left is cancelled."""
        left = self.groups.get(order.oco, Group(order.left)).left - quantity
        self.groups[order.oco] = Group(left)
        for other in [other for other in self.resting.values() if other.oco == order.oco and other.id != order.id]:
            most = min(other.quantity, other.filled + left)
            if most > other.filled:
                self.resting[other.id] = replace(other, quantity=most)
            else:
                self._end(other.id, OrderEvent.CANCEL, now, "the other order of its group was filled")

    # --- corporate actions ----------------------------------------------------------------------------------------

    def _act(self, action: CorporateAction, now: Now) -> None:
        """A split or dividend changes what is held, and what rests; an order that loses its last share ends."""
        self._book(activity_of(action, self.positions.get(action.symbol, ZERO)), now)
        resting = [order for order in self.resting.values() if order.symbol == action.symbol]
        if isinstance(action, Split):
            self.lending.split(action.symbol, action.old, action.new)
            self.heard.drop(action.symbol)  # those were other prices
            for group in dict.fromkeys(order.oco for order in resting if order.oco in self.groups):
                self.groups[group] = Group(remaining_after(self.groups[group].left, action))
        for order in resting:
            changed = order.after(action)
            if changed.quantity > changed.filled:
                self.resting[order.id] = changed
            else:
                self._end(order.id, OrderEvent.CANCEL, now, "the split has left nothing of it")

    def _lend(self, events: tuple[MarketEvent, ...], now: Now) -> None:
        """Once a session is over its charges are booked; then prices go on."""
        for charge in self.lending.due(now.time, self.cash, self.positions):
            self._book(charge, now)
        self.lending.hear(events)

    def _book(self, activity: Activity, now: Now) -> None:
        """Money or shares come or go without an order."""
        if activity.symbol:
            self.positions[activity.symbol] = activity.position
        self.balance["cash"] = self.cash + activity.cash
        told = VenueActivity(activity, now.time)
        self.activities[activity.key] = told
        self.activities.keep_newest(REMEMBERED)
        self.lending.look(self.cash, self.positions)
        self.send(ANSWERS, told, now)

    # --- answers --------------------------------------------------------------------------------------------------

    def _end(self, order_id: str, how: OrderEvent, now: Now, text: str = "", code: str = "") -> None:
        resting = self.resting.get(order_id)
        filled = resting.filled if resting is not None else ZERO
        stop = resting.stands if resting is not None else None
        self.resting.drop(order_id)
        self.ended[order_id] = Ended(how, text, filled, stop, now.time, code)
        self.ended.keep_newest(REMEMBERED)
        self._report(order_id, how, now, text, filled, stop, code)

    def _report(
        self,
        order_id: str,
        how: OrderEvent,
        now: Now,
        text: str = "",
        filled: Decimal = ZERO,
        stop: Decimal | None = None,
        code: str = "",
    ) -> None:
        self.send(ANSWERS, VenueReport(order_id, how, now.time, order_id, text, filled, stop, code), now)
