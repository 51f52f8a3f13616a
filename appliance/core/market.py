"""The simulated market: the paper broker's brain. It refuses a second order with an id.

Reports and fills go to ``venue/answers``. A fill's key is its order id and the quantity filled so far, so that it is
the same wherever it is told from. What one order of an ``oco`` group fills, the others lose, also one that arrives
later; where one event could fill a stop and a take-profit of a group, the stop is met first.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.base import Core, Rows
from appliance.core.matching import UNSET, begins, begun, meet, path, trailed, triggered
from appliance.core.models import MarketModel
from appliance.core.streams import Writers
from appliance.domain.market import MarketEvent, Sessions
from appliance.domain.messages import (
    Event,
    EventType,
    Now,
    Stage,
    VenueFill,
    VenueReport,
    VenueSnapshot,
)
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import ZERO, Order, OrderType, Side, TimeInForce, Trail

ANSWERS = "venue/answers"
REMEMBERED = 20_000
"""Ended orders, fills and groups the venue can still tell of."""
STOPS = (OrderType.STOP, OrderType.TRAILING_STOP)
AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


class Resting(Struct, frozen=True):
    """An order that waits in the market. ``known`` is since when (ns UTC), ``expires`` when a DAY order ends (or 0).

    ``stop`` of a trailing stop is where it stands by now (USD), 0 before it has seen a price.
    """

    id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    filled: Decimal
    limit: float
    stop: float
    time_in_force: TimeInForce
    known: int
    expires: int
    trail: Trail | None = None
    oco: str = ""


class Ended(Struct, frozen=True):
    """How an order that no longer rests came to its end; ``stop`` is where a trailing stop stood (USD)."""

    event: OrderEvent
    text: str = ""
    filled: Decimal = ZERO
    stop: Decimal | None = None


class Group(Struct, frozen=True):
    """Orders of which one cancels the others: ``left`` shares may still be filled by all of them together."""

    left: Decimal


class MarketSimulator(Core):
    """Orders in, market events in; reports and fills out. ``cash`` is the opening balance in USD."""

    sync = (EventType.VENUE_REPORT, EventType.VENUE_FILL)  # a broker that forgets in a power cut is no broker

    def __init__(
        self,
        process: str,
        writers: Writers,
        cash: Decimal,
        model: MarketModel = MarketModel(),  # noqa: B008 - frozen
        sessions: Sessions | None = None,
    ) -> None:
        super().__init__(process, writers)
        self._model = model
        self._sessions = sessions
        self.resting = self.table("resting", Resting)
        self.ended = self.table("ended", Ended)
        self.groups = self.table("group", Group)
        self.fills = self.table("fill", VenueFill)
        self.positions = self.table("position", Decimal)
        self.balance = self.table("balance", Decimal)
        self._opening = cash
        self.on(EventType.VENUE_SUBMIT, self._submit)
        self.on(EventType.VENUE_CANCEL, self._cancel)
        self.on(EventType.VENUE_ASK, self._ask)
        self.on(EventType.VENUE_LOOK, self._look)
        self.on(EventType.STEP, self._step)
        self.on(EventType.BAR, self._event)
        self.on(EventType.QUOTE_BAR, self._event)
        self.on(EventType.TICKS, self._ticks)

    @property
    def cash(self) -> Decimal:
        """Cash in USD."""
        return self.balance.get("cash", self._opening)

    # --- requests -------------------------------------------------------------------------------------------------

    def _submit(self, event: Event, now: Now) -> None:
        order: Order = event.body.order
        if order.id in self.resting or order.id in self.ended:
            self._tell(order.id, now)  # the id is taken: what became of it is the answer, never a second order
            return
        if not (order.quantity.is_finite() and order.quantity > 0):
            self._end(order.id, OrderEvent.REJECT, now, f"quantity {order.quantity} is not positive")
            return
        resting = self._joined(self._rest(order, now))
        if resting.quantity <= 0:
            self._end(order.id, OrderEvent.CANCEL, now, "the other order of its group was filled")
            return
        self.resting[order.id] = resting
        self._report(order.id, OrderEvent.ACCEPT, now)

    def _joined(self, order: Resting) -> Resting:
        """An order as its group lets it in: for no more shares than the others have left."""
        if not order.oco:
            return order
        group = self.groups.get(order.oco, Group(order.quantity))
        self.groups[order.oco] = group
        _bound(self.groups)
        return replace(order, quantity=min(order.quantity, group.left))

    def _rest(self, order: Order, now: Now) -> Resting:
        known = now.time if order.protects else order.intent.decided.time
        limit = float(order.limit_price) if order.limit_price is not None else 0.0
        stop = float(order.stop_price) if order.stop_price is not None else UNSET
        expires = self._closing(known) if order.time_in_force is TimeInForce.DAY else 0
        return Resting(
            order.id, order.symbol, order.side, order.type, order.quantity, ZERO, limit, stop, order.time_in_force,
            known, expires, order.trail, order.oco,
        )  # fmt: skip

    def _closing(self, known: int) -> int:
        """The close of the session a DAY order lives in; the next session's when it comes at or after a close."""
        if self._sessions is None:
            return 0
        session = self._sessions.at(known)
        if session is None:
            following = self._sessions.next_open(known)
            session = self._sessions.at(following) if following is not None else None
        return session.close if session is not None else 0

    def _cancel(self, event: Event, now: Now) -> None:
        if event.body.order_id in self.resting:
            self._end(event.body.order_id, OrderEvent.CANCEL, now)
        else:
            self._tell(event.body.order_id, now)

    def _ask(self, event: Event, now: Now) -> None:
        self._tell(event.body.order_id, now)

    def _tell(self, order_id: str, now: Now) -> None:
        for fill in [fill for fill in self.fills.values() if fill.order_id == order_id]:
            self.send(ANSWERS, replace(fill, at=now.time), now)
        if order_id in self.resting:
            resting = self.resting[order_id]
            self._report(order_id, OrderEvent.ACCEPT, now, filled=resting.filled, stop=_stands(resting))
        elif order_id in self.ended:
            ended = self.ended[order_id]
            if ended.event is not OrderEvent.FILL:
                self._report(order_id, ended.event, now, ended.text, ended.filled, ended.stop)
        else:
            self._report(order_id, OrderEvent.ABSENT, now)

    def _look(self, event: Event, now: Now) -> None:
        positions = {symbol: quantity for symbol, quantity in sorted(self.positions.items()) if quantity}
        open_ids = tuple(sorted(self.resting))
        since = event.body.since
        fills = tuple(fill for fill in self.fills.values() if fill.at >= since)
        snapshot = VenueSnapshot(event.body.n, now.time, open_ids, fills, positions, self.cash, since)
        self.send(ANSWERS, snapshot, now)

    # --- the market -----------------------------------------------------------------------------------------------

    def _step(self, event: Event, now: Now) -> None:
        if event.body.stage is Stage.VENUE:
            self.market(event.body.events, now)

    def _event(self, event: Event, now: Now) -> None:
        self.market((event.body,), now)

    def _ticks(self, event: Event, now: Now) -> None:
        self.market(event.body.quotes, now)

    def market(self, events: tuple[MarketEvent, ...], now: Now) -> None:
        """Let resting orders meet market events, in the order they were placed; take-profits of a group come last."""
        if not self.resting:
            return
        for happened in events:
            orders = [order for order in self.resting.values() if order.symbol == happened.symbol]
            for order_id in [order.id for order in sorted(orders, key=_comes_last)]:
                if order_id in self.resting:  # another of its group may have ended it
                    self._match(self.resting[order_id], happened, now)

    def _match(self, order: Resting, happened: MarketEvent, now: Now) -> None:
        way = path(happened, order.side, order.known)
        if way is None:
            return
        if order.expires and begins(happened) >= order.expires:
            self._end(order.id, OrderEvent.EXPIRE, now)
            return
        if order.type is OrderType.STOP_LIMIT and triggered(order.side, order.stop, way):
            self.resting[order.id] = replace(order, type=OrderType.LIMIT, known=way.end)
            return
        stop = begun(order.side, order.stop, order.trail, way) if order.trail is not None else order.stop
        met = meet(order.type, order.side, order.limit, stop, way)
        if met is not None:
            self._fill(order, met[0], met[1], now)
        elif order.time_in_force in AT_ONCE:
            self._end(order.id, OrderEvent.CANCEL, now)
        elif order.trail is not None:
            self._trail(order, trailed(order.side, stop, order.trail, way))

    def _trail(self, order: Resting, stop: float) -> None:
        if stop != order.stop:
            self.resting[order.id] = replace(order, stop=stop)

    def portion(self, order: Resting) -> Decimal:
        """How many shares of ``order`` are filled when it meets the market: all that remain."""
        return order.quantity - order.filled

    def _fill(self, order: Resting, price: float, time: int, now: Now) -> None:
        whole = order.time_in_force is TimeInForce.FOK
        quantity = order.quantity - order.filled if whole else self.portion(order)
        filled = order.filled + quantity
        exact = Decimal(repr(price))
        key = f"{order.id}:{filled}"
        commission = self._model.commission.of(quantity, exact)
        fill = VenueFill(key, order.id, order.symbol, order.side, quantity, exact, commission, time, now.time)
        self.fills[key] = fill
        _bound(self.fills)
        signed = quantity * order.side.sign
        self.positions[order.symbol] = self.positions.get(order.symbol, ZERO) + signed
        self.balance["cash"] = self.cash - signed * exact - commission
        self._remain(replace(order, filled=filled))
        self.send(ANSWERS, fill, now)
        if order.oco:
            self._lessen(order, quantity, now)
        if order.time_in_force is TimeInForce.IOC and order.id in self.resting:
            self._end(order.id, OrderEvent.CANCEL, now)

    def _remain(self, order: Resting) -> None:
        """What rests of an order that was filled; a stop that has been hit is a market order from then on."""
        if order.filled == order.quantity:
            del self.resting[order.id]
            self.ended[order.id] = Ended(OrderEvent.FILL)
            _bound(self.ended)
        elif order.type in STOPS:
            self.resting[order.id] = replace(order, type=OrderType.MARKET, trail=None)
        else:
            self.resting[order.id] = order

    def _lessen(self, order: Resting, quantity: Decimal, now: Now) -> None:
        """The other orders of a group lose what one of them filled; one that has nothing left is cancelled."""
        left = self.groups[order.oco].left - quantity
        self.groups[order.oco] = Group(left)
        for other in [other for other in self.resting.values() if other.oco == order.oco and other.id != order.id]:
            most = min(other.quantity, other.filled + left)
            if most > other.filled:
                self.resting[other.id] = replace(other, quantity=most)
            else:
                self._end(other.id, OrderEvent.CANCEL, now, "the other order of its group was filled")

    def _end(self, order_id: str, how: OrderEvent, now: Now, text: str = "") -> None:
        resting = self.resting.get(order_id)
        filled = resting.filled if resting is not None else ZERO
        stop = _stands(resting) if resting is not None else None
        self.resting.drop(order_id)
        self.ended[order_id] = Ended(how, text, filled, stop)
        _bound(self.ended)
        self._report(order_id, how, now, text, filled, stop)

    def _report(
        self,
        order_id: str,
        how: OrderEvent,
        now: Now,
        text: str = "",
        filled: Decimal = ZERO,
        stop: Decimal | None = None,
    ) -> None:
        self.send(ANSWERS, VenueReport(order_id, how, now.time, order_id, text, filled, stop), now)


def _stands(order: Resting) -> Decimal | None:
    """Where a trailing stop stands (USD)."""
    return Decimal(repr(order.stop)) if order.trail is not None and order.stop != UNSET else None


def _comes_last(order: Resting) -> bool:
    return bool(order.oco) and order.type is OrderType.LIMIT


def _bound(rows: Rows[Any]) -> None:
    rows.keep_newest(REMEMBERED)
