"""The broker gateway's core: the only one that sends orders, and the book of record of what became of them.

Order of things (DESIGN §5): last-hop checks, journal SENDING (fsync), one send, journal the outcome. No answer means
UNKNOWN, and UNKNOWN is asked about until the venue answers. Never guess, never mint a second id for an intent.
"""

from __future__ import annotations

from msgspec import Struct

from appliance.core.adjusting import Activities
from appliance.core.base import Core
from appliance.core.corrections import Corrections
from appliance.core.latching import EmergencyStop
from appliance.core.ledger import Ledger
from appliance.core.link import Link
from appliance.core.noticing import Notices
from appliance.core.operator import Operator
from appliance.core.plans import Plans
from appliance.core.protecting import Protector
from appliance.core.reconcile import Reconciler
from appliance.core.strangers import Strangers
from appliance.core.streams import Writers
from appliance.domain import topics
from appliance.domain.messages import (
    Event,
    EventType,
    Now,
    VenueCancel,
    VenueFill,
    VenueLink,
    VenueReport,
    VenueSubmit,
    local,
)
from appliance.domain.operations import LatchState, Peer
from appliance.domain.orders import ImpossibleTransition, OrderEvent, OrderStatus
from appliance.domain.trading import ZERO, Approved, Cancel, Intent, Order, Position, ordered
from appliance.domain.venue import Rejection, VenueTraits

ORDERS = "gateway/orders"
REQUESTS = "venue/requests"
NOTICES = "gateway/notices"
ABSENT, ACCEPT, LOSE = OrderEvent.ABSENT, OrderEvent.ACCEPT, OrderEvent.LOSE
FILL, PARTIAL_FILL = OrderEvent.FILL, OrderEvent.PARTIAL_FILL
DUPLICATE_ID = Rejection.DUPLICATE_ID
NOT_PLACED = OrderStatus.NOT_PLACED
ACTIVE, HALTED = LatchState.ACTIVE, LatchState.HALTED
AT_THE_VENUE = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
UNRESOLVED = (OrderStatus.SENDING, OrderStatus.UNKNOWN, OrderStatus.WAITING)


class Counted(Struct, frozen=True):
    """How many order messages a process had set aside when we last looked."""

    n: int = 0


class GatewayCore(Core):
    """Takes the guard's decisions and the venue's answers; tells everyone the life of every order."""

    watches = ("guard", "host", "feed")

    def __init__(self, process: str, writers: Writers, traits: VenueTraits = VenueTraits()) -> None:  # noqa: B008
        super().__init__(process, writers)
        self.traits = traits
        self.ledger = Ledger(self)
        self.stop = EmergencyStop(self)
        self.reconciler = Reconciler(self)
        self.plans = Plans(self)
        self.operator = Operator(self)
        self.activities = Activities(self)
        self.notices = Notices(self, NOTICES)
        self.link = Link(self)
        self.strangers = Strangers(self)
        self.corrections = Corrections(self)
        self.protector = Protector(self)
        self._poison = self.table("poison", Counted)
        self.guard_alive = True
        self.inhibits: dict[str, str] = {}
        self.on(EventType.APPROVED, self._approved)
        self.ignore(EventType.DENIED)  # the guard's no goes to the host from the guard itself
        self.on(EventType.CANCEL, self._withdraw)
        self.on(EventType.VENUE_REPORT, self._report)
        self.on(EventType.VENUE_FILL, self._told_fill)
        self.on(EventType.VENUE_ACTIVITY, self.activities.told)
        self.on(EventType.VENUE_SNAPSHOT, self.reconciler.snapshot)
        self.on(EventType.VENUE_LINK, self.link.heard)
        self.on(EventType.COMMAND, self.operator.command)
        self.on(EventType.LATCH_FILE, self.operator.latch_file)
        self.on(EventType.PEER, self._peer)
        self.on(EventType.INHIBIT, self._inhibit)
        self.on(EventType.WAKEUP, self._wakeup)

    def started(self, now: Now) -> list[Event]:
        """After every start: ask the venue's adapter to connect; its VENUE_LINK begins the reconciliation."""
        self.out = []
        self.link.begin(now)
        self.send(REQUESTS, VenueLink(False, "connect"), now)
        return self.out

    def views(self, now: Now) -> list[Event]:
        self.out = []
        self.show("view/latch", self.operator.told(), now)
        self.show("view/foreign", self.strangers.shown, now)
        if self.ledger.account:
            self.show("view/account", self.ledger.account[""], now)
        for symbol, position in self.ledger.positions.items():
            self.show(f"view/position/{topics.level(symbol)}", position, now)
        return self.out

    def reports(self, now: Now) -> list[Event]:
        return [local(self.link.told, now.time, "view/venue")]

    # --- what the turn asks ---------------------------------------------------------------------------------------

    def accepts(self, stream: str) -> bool:
        """Decisions wait until we are reconciled."""
        return self.reconciler.done

    def recovered(self) -> bool:
        return self.reconciler.done

    def deadline(self) -> int | None:
        return self.reconciler.deadline()

    def unresolved(self) -> int:
        return sum(order.status in UNRESOLVED for order in self.ledger.live())

    def compact(self, stream: str) -> tuple[Event, ...]:
        return tuple(Event(EventType.ORDER, order) for order in self.ledger.live())

    # --- decisions ------------------------------------------------------------------------------------------------

    def _approved(self, event: Event, now: Now) -> None:
        approval: Approved = event.body
        intent = approval.intent
        known = self.ledger.orders.get(intent.id)
        if known is not None:
            self._again(known, intent, now)
            return
        order = ordered(intent, OrderStatus.SENDING, approval)
        if intent.id.startswith("guard-"):
            order = self.protector.own(order)
        refusal = self._last_hop(approval, now)
        if refusal is not None:
            self.tell(self.ledger.open(order, OrderEvent.DENY, code=refusal[0], text=refusal[1]), now, event.position)
            return
        start = self.plans.begin if intent.exit else self.plans.enter
        start(order, now, event.position)

    def _again(self, known: Order, intent: Intent, now: Now) -> None:
        """Same id, same content: the current state is answered. Same id, other content: never acted on."""
        asked = known.approval.intent if known.approval is not None else known.intent  # before corporate actions
        if asked == intent:
            self.tell(known, now)
            return
        self.block(intent.symbol, f"order id {intent.id} came again with other content", now)

    def _withdraw(self, event: Event, now: Now) -> None:
        """A strategy wants an order of its own gone: it is cancelled until it has ended; what waits is denied."""
        wanted: Cancel = event.body
        order = self.ledger.orders.get(wanted.order_id)
        if order is None or order.status.terminal or order.intent.strategy != wanted.strategy:
            return
        if order.status is OrderStatus.WAITING:
            self.plans.withdraw(order, now)
            return
        self.plans.forgo(order)
        self.reconciler.unwant(order, now)

    def refusal(self, order: Order, now: Now) -> tuple[str, str] | None:
        """The last-hop checks, for an order that has waited."""
        return self._last_hop(order.approval, now) if order.approval is not None else ("NO_APPROVAL", "not approved")

    def _last_hop(self, approval: Approved, now: Now) -> tuple[str, str] | None:
        intent = approval.intent
        own = intent.id.startswith("guard-")
        state = self.stop.state
        if expired(intent, approval, now):
            return "EXPIRED", "the approval is from another boot or too old"
        if state is HALTED and not own:
            return "HALTED", "the appliance is halted"
        if intent.exit and self._reduces(intent):
            return None
        if own:
            return "NOTHING_TO_REDUCE", "the position it would reduce is gone"
        if state is not ACTIVE:
            return "REDUCING", "only orders that reduce a position pass"
        return self.link.refusal() or self._new_risk(intent)

    def expired(self, order: Order, now: Now) -> bool:
        """Whether an order's intent or approval no longer holds."""
        return expired(order.intent, order.approval, now)

    def admits(self, order: Order) -> bool:
        """Whether an entry that nobody has may be sent again: new risk is taken, but for its own doubt."""
        return (self.link.refusal() or self._new_risk(order.intent)) is None

    def _new_risk(self, intent: Intent) -> tuple[str, str] | None:
        if intent.symbol in self.ledger.blocked:
            return "SYMBOL_HALTED", self.ledger.blocked[intent.symbol].why
        if self.ledger.unknown_on(intent.symbol, but=intent.id):
            return "UNKNOWN_ORDER", f"an order of {intent.symbol} is in doubt"
        if not self.guard_alive:
            return "GUARD_SILENT", "the guard has not been heard"
        for code, text in self.inhibits.items():
            return code, text
        return None

    def _reduces(self, intent: Intent) -> bool:
        position = self.ledger.position(intent.symbol)
        if position * intent.side.sign >= 0:
            return False
        others = self.ledger.working_exits(intent.symbol, intent.side.sign)
        for order in self.plans.giving_way(intent):
            others -= order.remaining
        return intent.quantity + others <= abs(position)

    # --- sending --------------------------------------------------------------------------------------------------

    def dispatch(self, order: Order, now: Now, cause: str = "") -> None:
        """Journal SENDING and ask the venue, once; the turn keeps the order of the two."""
        self.tell(order, now, cause)
        self.send(REQUESTS, VenueSubmit(order), now, order.id)

    def cancel(self, order: Order, now: Now) -> None:
        """Ask the venue to cancel. Asked again by the reconciler until the order has ended."""
        self.send(REQUESTS, VenueCancel(order.id, order.venue_id), now, order.id)

    def tell(self, order: Order, now: Now, cause: str = "") -> None:
        """Tell everyone how an order stands."""
        self.emit(ORDERS, order, now, cause or order.intent.cause)

    def tell_account(self, now: Now) -> None:
        """Tell everyone what the account has."""
        account = self.ledger.account[""]
        self.emit(ORDERS, account, now)
        self.show("view/account", account, now)

    def show_position(self, symbol: str, now: Now) -> None:
        """Show what the account holds of a symbol."""
        held = self.ledger.positions.get(symbol) or Position(symbol)
        self.show(f"view/position/{topics.level(symbol)}", held, now)

    def block(self, symbol: str, why: str, now: Now) -> None:
        """No new risk on a symbol until the owner has looked; everyone hears of it through the latch."""
        if self.ledger.block(symbol, why, now.time):
            self.operator.announce(now)

    # --- answers --------------------------------------------------------------------------------------------------

    def _report(self, event: Event, now: Now) -> None:
        report: VenueReport = event.body
        order = self.ledger.orders.get(report.order_id)
        if order is None:
            return  # not ours: shown by the snapshot, left alone
        if report.event is ABSENT:
            self.reconciler.absent(order, now)
        elif report.event is LOSE or _leaves_doubt(order, report):
            self._lost(order, now)
        else:
            self._moved(order, report, now)
        self.reconciler.answered(report.order_id, report.event, now)

    def _lost(self, order: Order, now: Now) -> None:
        """No answer: an order in flight is in doubt from now on, and asked about."""
        if order.status is OrderStatus.SENDING:
            moved = self.ledger.move(order, OrderEvent.LOSE)
            self.tell(moved, now)
            self.reconciler.doubt(moved, now)

    def _moved(self, order: Order, report: VenueReport, now: Now) -> None:
        filled = report.filled or (order.quantity if report.event is FILL else ZERO)
        if filled > order.filled:
            self.reconciler.missing(
                order, filled, now
            )  # it ended with fills we have not heard of: ask before believing it
            return
        if order.status.terminal and order.status is not NOT_PLACED:
            return  # a late hint about what we know to be over
        event = ACCEPT if report.event is PARTIAL_FILL else report.event
        if event is ACCEPT and order.status in AT_THE_VENUE:
            return
        try:
            stop = order.stop_price if report.stop is None else report.stop
            quantity = order.filled if event is FILL else order.quantity  # it had been made smaller there
            moved = self.ledger.move(
                order, event, venue_id=report.venue_id or order.venue_id, text=report.text or order.text,
                code=report.code or order.code, stop_price=stop, quantity=quantity,
            )  # fmt: skip
        except ImpossibleTransition as error:
            self.block(order.symbol, str(error), now)
            return
        self.tell(moved, now)
        self.link.answered(moved, event, now)
        if event is ACCEPT:
            self.reconciler.expect(moved, now)
        if order.status is NOT_PLACED:
            self.turned_up(moved, now)
        if moved.status.terminal:
            self.plans.ended(moved, now)
        self.protector.check(now)

    def turned_up(self, order: Order, now: Now) -> None:
        """The venue has an order it said it never had: nobody counts on it any more, so it must go."""
        self.block(order.symbol, f"{order.id} appeared after the venue said it never had it", now)
        if order.protects:
            self.plans.trim(order, now)
        elif not order.status.terminal:
            self.reconciler.unwant(order, now)

    def _told_fill(self, event: Event, now: Now) -> None:
        self.fill(event.body, now)
        order = self.ledger.orders.get(event.body.order_id)
        if order is not None and order.status.terminal:
            self.reconciler.answered(order.id, FILL, now)

    def fill(self, told: VenueFill, now: Now) -> None:
        """Book a fill, once, from wherever it is told."""
        if told.fill_key in self.ledger.fills or self.corrections.known(told):
            return
        replaces = self.corrections.take(told, now) if told.corrects else ""
        if replaces is None:
            return
        order = self.ledger.orders.get(told.order_id)
        if order is None:
            self.strangers.fill(told, replaces, now)
            return
        if not told.quantity:
            self.ledger.know(told, order)  # it never happened, and we had not heard of it
            return
        fill, moved, wrong = self.ledger.book(told, order)
        self.reconciler.booked(told.fill_key)
        self.emit(ORDERS, fill, now, order.id)
        self.tell(moved, now)
        self.emit(ORDERS, self.ledger.account[""], now)
        self.show_position(fill.symbol, now)
        self.show("view/account", self.ledger.account[""], now)
        if wrong:
            self.block(fill.symbol, f"{order.id}: {wrong}", now)
        if order.status is NOT_PLACED:
            self.turned_up(moved, now)
        self.plans.filled(moved, fill, now)
        if order.status.terminal and (order.protects or order.intent.exit):
            self.plans.cut(moved, now)  # others have been sent for what it was believed to have left
        if moved.status.terminal:
            self.plans.ended(moved, now)
        self.protector.check(now)

    # --- surroundings ---------------------------------------------------------------------------------------------

    def _peer(self, event: Event, now: Now) -> None:
        peer: Peer = event.body
        if peer.process == "guard":
            self.guard_alive = peer.alive
        if peer.poisoned > self._poison.get(peer.process, Counted()).n:
            self._poison[peer.process] = Counted(peer.poisoned)
            self.operator.lower(LatchState.HALTED, f"{peer.process} set an order message aside", "gateway", now)

    def _inhibit(self, event: Event, now: Now) -> None:
        if event.body.on:
            self.inhibits[event.body.code] = event.body.text
        else:
            self.inhibits.pop(event.body.code, None)

    def _wakeup(self, event: Event, now: Now) -> None:
        self.reconciler.wakeup(now)

    def poisoned(self, event: Event, now: Now) -> list[Event]:
        """A decision of ours was set aside: halt."""
        self.out = []
        if event.stream:
            self.operator.lower(LatchState.HALTED, f"{event.position} was set aside", "gateway", now)
        return self.out


def _leaves_doubt(order: Order, report: VenueReport) -> bool:
    """Whether a no does not say that the order is not there: its id is taken, so that the answer to it was lost; or it
    was not sent again, and nobody has heard of the first time."""
    return report.code == DUPLICATE_ID or (report.event is OrderEvent.DENY and order.attempt > 1)


def expired(intent: Intent, approval: Approved | None, now: Now) -> bool:
    """Whether an intent, or its approval, is from another boot or past its validity."""
    if intent.decided.boot != now.boot or not (now.ticks - intent.decided.ticks <= intent.valid):
        return True
    if approval is not None:
        return approval.at.boot != now.boot or not (now.ticks - approval.at.ticks <= approval.valid)
    return False
