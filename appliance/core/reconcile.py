"""Reconciliation: the venue's snapshot is the truth, streams are hints. After every start, link, and each half minute.

An unexplained difference halts its symbol and is never "repaired" by trading.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from appliance.core.comparing import Comparison
from appliance.core.ledger import never
from appliance.domain.messages import (
    DATA_BOOT,
    Event,
    Now,
    VenueAsk,
    VenueLook,
    VenueSnapshot,
)
from appliance.domain.operations import LatchState, Severity
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import ZERO, Order, OrderType, TimeInForce

if TYPE_CHECKING:
    from appliance.core.gateway import GatewayCore

OVERLAP = 86_400_000_000_000
"""Fills are asked for from this long (ns) before the last reconciliation: a venue may tell of one late."""
NOTED_EVERY = 3_600_000_000_000
"""When we last agreed with the venue is written down no more often than this (ns): the card would wear."""
IN_DOUBT = (OrderStatus.UNKNOWN, OrderStatus.SENDING)
AT_THE_VENUE = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
NEVER_ABSENT = (0, 0)
NO_ANSWER = (OrderEvent.ABSENT, OrderEvent.LOSE)
INSISTED = 5
"""So many cancels more without an end are told to the owner."""
LOOK_PATIENCE = 5_000_000_000
PATIENCE_MAX = 4
"""A look is waited for this many times as long at most."""
DAY_OVER = 16 * 3_600_000_000_000
"""So long (ns) after its decision no order for the day works any more, extended hours and all."""
DOUBTED = 2
"""So many looks more than it takes to believe a difference keep us waiting at a start."""
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
        self._short: dict[str, Decimal] = {}
        self._expected: dict[str, tuple[int, int]] = {}
        self._live = False
        self._misses = 0
        self._looks = 0
        self._stale = False
        self._unseen: dict[str, None] = {}
        self._insisted: dict[str, int] = {}
        self._stuck = gateway.table("stuck", bool)
        self._chased: dict[str, Decimal] = {}
        self._compares = Comparison(gateway, self._baseline)
        gateway.ledger.told_from = self.told_from

    def deadline(self) -> int | None:
        """When to look or ask again (ticks). Replays need none: their venue answers at once and for good."""
        if not self._live or not self._up:
            return None
        times = [ticks + self._gateway.traits.ask_every for ticks in self._asked.values()]
        times += [due for due, _ in self._expected.values()]
        if self._looked is not None:
            times.append(self._looked + self._patience())
        elif self._next_look is not None:
            times.append(self._next_look)
        return min(times, default=None)

    def link(self, up: bool, now: Now) -> None:
        """The venue is there: look before anything else. It is gone: nothing we know is certain."""
        self._live = now.boot != DATA_BOOT
        self._up = up
        self.done = False
        self._misses = self._looks = 0
        self._insisted.clear()
        self._compares.forget()
        if up:
            self._look(now)

    def _look(self, now: Now) -> None:
        self._n += 1
        self._looked = now.ticks
        self._unseen.clear()
        last = min(self._reconciled.get("", 0), now.time)  # it was written down by a clock that has been put back since
        self._gateway.send(REQUESTS, VenueLook(self._n, max(0, last - OVERLAP)), now)

    def _patience(self) -> int:
        """How long (ns) to wait for a look's answer: longer each time there was none, or a slow venue never ends."""
        return LOOK_PATIENCE * min(1 + self._misses, PATIENCE_MAX)

    def told_from(self) -> int:
        """From when on (ns UTC) a fill may be told again."""
        return max(0, self._reconciled.get("", 0) - 2 * OVERLAP) if self._live else never()

    def booked(self, key: str) -> None:
        """A fill or an activity was booked: a look that is under way may not have it in its positions."""
        if self._looked is not None:
            self._unseen[key] = None

    def wakeup(self, now: Now) -> None:
        """Look again, and ask again what is in doubt."""
        if not self._up:
            return
        if self._looked is not None:
            if now.ticks >= self._looked + self._patience():
                self._misses += 1
                self._look(now)
        elif self._next_look is not None and now.ticks >= self._next_look:
            self._look(now)
        for order_id, ticks in list(self._asked.items()):
            if now.ticks >= ticks + self._gateway.traits.ask_every:
                self._ask_again(order_id, now)
        for order_id, (due, wait) in list(self._expected.items()):
            if now.ticks >= due:
                self._expect_again(order_id, wait, now)

    def expect(self, order: Order, now: Now) -> None:
        """A market order works: its fills come at once while the market is open, or what told of them was lost and a
        position lies bare. It is asked about soon, then ever more rarely: the market may be closed."""
        traits = self._gateway.traits
        if self._live and order.type is OrderType.MARKET and not traits.absent_is_final:
            self._expected[order.id] = (now.ticks + traits.ask_every, traits.ask_every)

    def _expect_again(self, order_id: str, wait: int, now: Now) -> None:
        order = self._gateway.ledger.orders.get(order_id)
        if order is None or order.status.terminal:
            del self._expected[order_id]
            return
        wait = min(2 * wait, self._gateway.traits.look_every)
        self._expected[order_id] = (now.ticks + wait, wait)
        if order_id not in self._asked:
            self._ask(order_id, now)

    def _ask_again(self, order_id: str, now: Now) -> None:
        order = self._gateway.ledger.orders.get(order_id)
        if order is None or order.status.terminal:
            del self._asked[order_id]
        elif self._going(order):
            self._asked[order_id] = now.ticks
            self._insist(order, now)
            if order.status in IN_DOUBT:
                self._ask(order_id, now)
        elif order.status in IN_DOUBT or self._doubtful(order_id):
            self._ask(order_id, now)
        else:
            del self._asked[order_id]

    def _insist(self, order: Order, now: Now) -> None:
        """Cancel it once more; the owner hears of an order that does not end, and of the exit that waits for it."""
        gateway = self._gateway
        gateway.cancel(order, now)
        n = self._insisted[order.id] = self._insisted.get(order.id, 0) + 1
        if n < INSISTED:
            return
        self._stuck[order.id] = True
        waits = gateway.plans.canceling(order)
        severity = Severity.CRITICAL if waits else Severity.WARNING
        text = (
            f"{order.id} ({order.side.value} {order.remaining} {order.symbol}) does not end, however often it is "
            f"cancelled{'; an exit waits for that' if waits else ''}: cancel it at the broker by hand"
        )
        gateway.notices.holds(f"NOT_CANCELLED/{order.id}", severity, text, now)

    def _ask(self, order_id: str, now: Now) -> None:
        self._asked[order_id] = now.ticks
        self._gateway.send(REQUESTS, VenueAsk(order_id), now, order_id)

    def doubt(self, order: Order, now: Now) -> None:
        """An order is in doubt: ask at once, and again until the venue answers."""
        self._absent.pop(order.id, None)
        self._ask(order.id, now)

    def missing(self, order: Order, filled: Decimal, now: Now) -> None:
        """The venue has ``filled`` more of an order than we know: ask until the fills are here; not at once again, for
        it may tell of them a little later, nor again for one that is over: the next look tells of its fills."""
        if order.id in self._asked or self._chased.get(order.id) == filled:
            return
        if order.status.terminal:
            self._chased[order.id] = filled
        self._short[order.id] = filled
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
        """``shares`` are there now that are of no strategy: a split, a transfer or a stranger's trade changed them."""
        self._baseline[symbol] = shares

    # --- the snapshot ---------------------------------------------------------------------------------------------

    def snapshot(self, event: Event, now: Now) -> None:
        """Take the venue's truth: fills, then orders, then positions and cash."""
        told: VenueSnapshot = event.body
        if told.n != self._n or self._looked is None:
            return
        seen = {*(fill.fill_key for fill in told.fills), *(one.activity.key for one in told.activities)}
        self._stale = any(key not in seen for key in self._unseen)  # older than what we know: the next one will tell
        self._looked = None
        self._misses = 0
        self._looks += 1
        self._waiting.clear()  # what is still in doubt is asked about anew
        self._compares.happened(told, now)
        self._compares.orders(told, now)
        if not self._stale:
            if not 0 <= now.time - self._reconciled.get("", 0) < NOTED_EVERY:
                self._reconciled[""] = now.time
            self._compares.books(told, now)
        self._gateway.protector.mend(now)
        traits = self._gateway.traits
        self._next_look = now.ticks + (
            min(traits.ask_every, traits.look_every) if self._compares.doubt or self._stale else traits.look_every
        )
        self._finish(now)

    def await_answer(self, order: Order, now: Now) -> None:
        """We are not reconciled before the venue has said what became of an order."""
        self._waiting[order.id] = None
        self._ask(order.id, now)

    def found(self, order: Order, now: Now) -> None:
        """An order works at the venue."""
        self._absent.pop(order.id, None)
        if order.status in IN_DOUBT:
            moved = self._gateway.ledger.move(order, OrderEvent.ACCEPT)
            self._gateway.tell(moved, now)
            self._asked.pop(order.id, None)
        if self._going(order):
            self._gateway.cancel(order, now)
            self.watch(order, now)

    def _finish(self, now: Now) -> None:
        """Reconciled is who waits for nothing and doubts nothing; what differs anew in each look is not waited for."""
        if self.done or self._waiting or self._looked is not None or not self._up:
            return
        doubted = self._compares.books_doubt or self._stale
        if doubted and self._looks < self._gateway.traits.looks_to_differ + DOUBTED:
            return
        self.done = True
        self._gateway.link.reconciled(now)

    # --- answers --------------------------------------------------------------------------------------------------

    def answered(self, order_id: str, event: OrderEvent, now: Now) -> None:
        """An answer about an order came (or its lack was reported)."""
        if not (self._asked or self._absent or self._short or self._unwanted or self._waiting or self._stuck):
            self._finish(now)
            return
        order = self._gateway.ledger.orders.get(order_id)
        if event not in NO_ANSWER:
            self._absent.pop(order_id, None)
        settled = order is None or order.status not in IN_DOUBT
        if order is None or order.status.terminal:
            self._short.pop(order_id, None)
            self._unwanted.drop(order_id)
            self._insisted.pop(order_id, None)
            if order_id in self._stuck:
                self._stuck.drop(order_id)
                self._gateway.notices.over(f"NOT_CANCELLED/{order_id}", f"{order_id} has ended", now)
        asked = order_id in self._asked
        if asked and event is OrderEvent.LOSE and order is not None and order.status in AT_THE_VENUE:
            self._absent.setdefault(order_id, NEVER_ABSENT)  # whether it works there was asked, and is still to be told
        if asked and settled and not self._doubtful(order_id) and (order is None or not self._going(order)):
            del self._asked[order_id]
        self._waiting.pop(order_id, None)
        self._finish(now)

    def _doubtful(self, order_id: str) -> bool:
        order = self._gateway.ledger.orders.get(order_id)
        if order is not None and order.filled >= self._short.get(order_id, order.filled):
            self._short.pop(order_id, None)  # all its fills are here
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
            self._gone(order, now)

    def _gone(self, order: Order, now: Now) -> None:
        """The venue had an order and knows it no longer: it is over, and how, nobody can say; an order for the day once
        that day is over is as it should be. Fills that we have not heard of would show in its position."""
        gateway = self._gateway
        expired = order.time_in_force is TimeInForce.DAY and not order.protects
        expired = expired and now.time - order.intent.decided.time >= DAY_OVER
        event = OrderEvent.EXPIRE if expired else OrderEvent.CANCEL
        ended = gateway.ledger.move(order, event, text="the venue no longer knows it")
        gateway.tell(ended, now)
        if not expired:
            gateway.block(order.symbol, f"the broker no longer knows {order.id}", now)
        gateway.plans.ended(ended, now)

    def _certain(self, order: Order, now: Now) -> bool:
        traits = self._gateway.traits
        if traits.absent_is_final:
            return True
        count, since = self._absent.get(order.id, NEVER_ABSENT)
        if not count:
            since = now.ticks
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
        if not order.intent.exit:
            return state is LatchState.ACTIVE and self._gateway.admits(order)
        return (state is not LatchState.HALTED or order.id.startswith("guard-")) and self._gateway.plans.fits(order)
