"""Reconciliation: the venue's snapshot is the truth, streams are hints. After every start, link, and each half minute.

An unexplained difference halts its symbol and is never "repaired" by trading.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from appliance.domain.messages import (
    DATA_BOOT,
    Event,
    Now,
    VenueActivity,
    VenueAsk,
    VenueFill,
    VenueLook,
    VenueSnapshot,
)
from appliance.domain.operations import LatchState
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import ZERO, Account, Order

if TYPE_CHECKING:
    from appliance.core.gateway import GatewayCore

OVERLAP = 86_400_000_000_000
"""Fills are asked for from this long (ns) before the last reconciliation: a venue may tell of one late."""
NOTED_EVERY = 3_600_000_000_000
"""When we last agreed with the venue is written down no more often than this (ns): the card would wear."""
IN_DOUBT = (OrderStatus.UNKNOWN, OrderStatus.SENDING)
NO_ANSWER = (OrderEvent.ABSENT, OrderEvent.LOSE)
LOOK_PATIENCE = 5_000_000_000
REQUESTS = "venue/requests"
ORDERS = "gateway/orders"


class Reconciler:
    """Asks the venue until every order is known; what it remembers is only what it waits for (ticks, ns)."""

    def __init__(self, gateway: GatewayCore) -> None:
        self._gateway = gateway
        self._baseline = gateway.table("baseline", Decimal)
        self._reconciled = gateway.table("reconciled", int)
        self._unwanted = gateway.table("unwanted", bool)
        self.done = False
        self._up = False
        self._n = 0
        self._looked: int | None = None
        self._next_look: int | None = None
        self._asked: dict[str, int] = {}
        self._waiting: dict[str, None] = {}
        self._absent: dict[str, tuple[int, int]] = {}
        self._short: dict[str, None] = {}
        self._live = False

    def deadline(self) -> int | None:
        """When to look or ask again (ticks). Replays need none: their venue answers at once and for good."""
        if not self._live or not self._up:
            return None
        times = [ticks + self._gateway.traits.ask_every for ticks in self._asked.values()]
        if self._looked is not None:
            times.append(self._looked + LOOK_PATIENCE)
        elif self._next_look is not None:
            times.append(self._next_look)
        return min(times, default=None)

    def link(self, event: Event, now: Now) -> None:
        """The venue is there: look before anything else. It is gone: nothing we know is certain."""
        self._live = now.boot != DATA_BOOT
        self._up = event.body.up
        self.done = False
        if self._up:
            self._look(now)

    def _look(self, now: Now) -> None:
        self._n += 1
        self._looked = now.ticks
        last = self._reconciled.get("", 0)
        self._gateway.send(REQUESTS, VenueLook(self._n, max(0, last - OVERLAP)), now)

    def wakeup(self, now: Now) -> None:
        """Look again, and ask again what is in doubt."""
        if not self._up:
            return
        if self._looked is not None:
            if now.ticks >= self._looked + LOOK_PATIENCE:
                self._look(now)
        elif self._next_look is not None and now.ticks >= self._next_look:
            self._look(now)
        for order_id, ticks in list(self._asked.items()):
            if now.ticks >= ticks + self._gateway.traits.ask_every:
                self._ask_again(order_id, now)

    def _ask_again(self, order_id: str, now: Now) -> None:
        order = self._gateway.ledger.orders.get(order_id)
        if order is None or order.status.terminal:
            del self._asked[order_id]
        elif self._going(order):
            self._asked[order_id] = now.ticks
            self._gateway.cancel(order, now)
            if order.status in IN_DOUBT:
                self._ask(order_id, now)
        elif order.status in IN_DOUBT or self._doubtful(order_id):
            self._ask(order_id, now)
        else:
            del self._asked[order_id]

    def _ask(self, order_id: str, now: Now) -> None:
        self._asked[order_id] = now.ticks
        self._gateway.send(REQUESTS, VenueAsk(order_id), now, order_id)

    def doubt(self, order: Order, now: Now) -> None:
        """An order is in doubt: ask at once, and again until the venue answers."""
        self._absent.pop(order.id, None)
        self._ask(order.id, now)

    def missing(self, order: Order, now: Now) -> None:
        """The venue has filled more of an order than we know: ask until the fills are here."""
        self._short[order.id] = None
        self._ask(order.id, now)

    def watch(self, order: Order, now: Now) -> None:
        """A cancel was asked for: ask again until the order has ended."""
        self._asked.setdefault(order.id, now.ticks)

    def unwant(self, order: Order, now: Now) -> None:
        """The owner or its strategy wants an order gone: it is cancelled until it has ended, and never sent again."""
        self._unwanted[order.id] = True
        self._gateway.cancel(order, now)
        self.watch(order, now)

    def unwanted(self, order: Order) -> bool:
        """Whether the owner or its strategy wants an order gone."""
        return order.id in self._unwanted

    def _going(self, order: Order) -> bool:
        return self.unwanted(order) or self._gateway.plans.canceling(order)

    def baseline(self, symbol: str) -> Decimal:
        """Shares the broker held before us."""
        return self._baseline.get(symbol, ZERO)

    def rebase(self, symbol: str, shares: Decimal) -> None:
        """A split has made ``shares`` of what was there before us."""
        self._baseline[symbol] = shares

    # --- the snapshot ---------------------------------------------------------------------------------------------

    def snapshot(self, event: Event, now: Now) -> None:
        """Take the venue's truth: fills, then orders, then positions and cash."""
        told: VenueSnapshot = event.body
        if told.n != self._n:
            return
        self._looked = None
        self._next_look = now.ticks + self._gateway.traits.look_every
        self._waiting.clear()  # what is still in doubt is asked about anew
        first = not self._gateway.ledger.account
        all_told: list[VenueFill | VenueActivity] = [*told.fills, *told.activities]
        for happened in sorted(all_told, key=lambda one: one.at):
            if isinstance(happened, VenueActivity) and first:
                self._gateway.activities.pass_over(happened.activity)  # cash and positions have it in them
            elif isinstance(happened, VenueActivity):
                self._gateway.activities.take(happened, now)
            else:
                self._gateway.fill(happened, now)
        for order_id in told.open:
            self._adopt(order_id, now)
        for order in self._gateway.ledger.live():
            self._compare_order(order, told, now)
        self._compare_positions(told, now)
        self._finish()

    def _compare_order(self, order: Order, told: VenueSnapshot, now: Now) -> None:
        if order.status is OrderStatus.WAITING:
            self._gateway.plans.proceed(order, now)
        elif order.id in told.open:
            self._found(order, now)
        elif not self.done or order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
            # While we run, an order sent after the snapshot was taken is not in it: only asking by id can tell.
            self._waiting[order.id] = None
            self._ask(order.id, now)

    def _found(self, order: Order, now: Now) -> None:
        if order.status in IN_DOUBT:
            moved = self._gateway.ledger.move(order, OrderEvent.ACCEPT)
            self._gateway.tell(moved, now)
            self._asked.pop(order.id, None)
        if self._going(order):
            self._gateway.cancel(order, now)
            self.watch(order, now)

    def _adopt(self, order_id: str, now: Now) -> None:
        """An order is open that the venue said it never had."""
        order = self._gateway.ledger.orders.get(order_id)
        if order is not None and order.status is OrderStatus.NOT_PLACED:
            found = self._gateway.ledger.move(order, OrderEvent.ACCEPT)
            self._gateway.tell(found, now)
            self._gateway.turned_up(found, now)

    def _compare_positions(self, told: VenueSnapshot, now: Now) -> None:
        ledger = self._gateway.ledger
        keys = {fill.fill_key for fill in told.fills}
        told_of = {one.activity.key for one in told.activities}
        if any(key not in keys for key, fill in ledger.fills.items() if fill.time >= told.since):
            return  # the snapshot is older than what we know: the next one will tell
        if any(key not in told_of for key, one in self._gateway.activities.known.items() if one.time >= told.since):
            return
        if now.time - self._reconciled.get("", 0) >= NOTED_EVERY:
            self._reconciled[""] = now.time
        first = not ledger.account
        for symbol in sorted({*told.positions, *ledger.positions}):
            theirs = told.positions.get(symbol, ZERO)
            ours = ledger.position(symbol)
            if first:
                self._baseline[symbol] = theirs - ours
            elif theirs != ours + self._baseline.get(symbol, ZERO):
                why = f"the broker holds {theirs}, our fills add up to {ours + self._baseline.get(symbol, ZERO)}"
                self._gateway.block(symbol, why, now)
        if first or ledger.account[""].cash != told.cash:
            ledger.account[""] = replace(ledger.account.get("", Account(ZERO)), cash=told.cash, time=now.time)
            self._gateway.tell_account(now)

    def _finish(self) -> None:
        if not self._waiting and self._looked is None:
            self.done = True

    # --- answers --------------------------------------------------------------------------------------------------

    def answered(self, order_id: str, event: OrderEvent, now: Now) -> None:
        """An answer about an order came (or its lack was reported)."""
        if not (self._asked or self._absent or self._short or self._unwanted or self._waiting):
            self._finish()
            return
        order = self._gateway.ledger.orders.get(order_id)
        if event not in NO_ANSWER:
            self._absent.pop(order_id, None)
        settled = order is None or order.status not in IN_DOUBT
        if order is None or order.status.terminal:
            self._short.pop(order_id, None)
            self._unwanted.drop(order_id)
        asked = order_id in self._asked
        if asked and settled and not self._doubtful(order_id) and (order is None or not self._going(order)):
            del self._asked[order_id]
        self._waiting.pop(order_id, None)
        self._finish()

    def _doubtful(self, order_id: str) -> bool:
        return order_id in self._absent or order_id in self._short

    def absent(self, order: Order, now: Now) -> None:
        """The venue does not know the id. Once may be too early; where it is certain, send again or give up."""
        if order.status is OrderStatus.SENDING:
            order = self._gateway.ledger.move(order, OrderEvent.LOSE)
            self._gateway.tell(order, now)
        if order.status.terminal:
            return
        if not self._certain(order, now):
            self._asked[order.id] = now.ticks
            return
        self._asked.pop(order.id, None)
        self._absent.pop(order.id, None)
        if order.status is OrderStatus.UNKNOWN:
            self._resolve(order, now)
        else:
            self._gateway.block(order.symbol, f"the broker no longer knows {order.id}", now)

    def _certain(self, order: Order, now: Now) -> bool:
        traits = self._gateway.traits
        if traits.absent_is_final:
            return True
        count, since = self._absent.get(order.id, (0, now.ticks))
        if count and now.ticks - since >= traits.ask_every:
            return True
        self._absent[order.id] = (count + 1, since)
        return False

    def _resolve(self, order: Order, now: Now) -> None:
        gateway = self._gateway
        if gateway.traits.refuses_duplicates and self._may_resend(order, now):
            again = gateway.ledger.move(order, OrderEvent.SEND, attempt=order.attempt + 1)
            gateway.dispatch(again, now)
            return
        ended = gateway.ledger.move(order, OrderEvent.ABSENT, text="the venue never had it")
        gateway.tell(ended, now)
        gateway.plans.ended(ended, now)

    def _may_resend(self, order: Order, now: Now) -> bool:
        if self._going(order):
            return False
        if order.protects:
            return True
        approval = order.approval
        if approval is None or self._gateway.expired(order, now):
            return False
        state = self._gateway.stop.state
        own = order.id.startswith("guard-")
        return state is LatchState.ACTIVE or own or (state is LatchState.REDUCING and order.intent.exit)
