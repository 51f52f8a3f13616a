"""What must hold in every world. The venue's log is the outside truth; journals are read as a power cut leaves them."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from appliance.core.gateway import GatewayCore
from appliance.core.guard import GuardCore
from appliance.core.host import HostCore
from appliance.domain import topics, wire
from appliance.domain.messages import Event, EventType
from appliance.domain.operations import CommandResult, Latch, LatchState
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import ZERO, Order
from appliance.world.exposure import Exposure

if TYPE_CHECKING:
    from appliance.world.simulation import World

STATES = {"halted": LatchState.HALTED, "reducing": LatchState.REDUCING, "active": LatchState.ACTIVE}


class Checkers:
    """Watches every request to the venue as it leaves, and reads all books at the end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._acknowledged = LatchState.ACTIVE
        self._generation = 0
        self._answered: dict[str, None] = {}
        self.violations: list[str] = []
        self._exposure = Exposure(world.venue, self._found)

    def _found(self, text: str) -> None:
        if len(self.violations) < 20:
            self.violations.append(text)
            self._world.say(f"VIOLATION {text}")

    def seen_latch(self) -> Latch:
        """The latch as the owner sees it: from the gateway, or from what it left on the disk."""
        row = self._world.nodes["gateway"].store.saved.rows.get("latch/")
        return wire.unpack(row, Latch) if row is not None else Latch()

    # --- while it runs --------------------------------------------------------------------------------------------

    def requested(self, event: Event) -> None:
        """A request leaves the gateway."""
        self._world.say(f"gateway asks {event.type.value} {event.cause}")
        if event.type is EventType.VENUE_SUBMIT:
            order: Order = event.body.order
            self._is_journalled(order)
            self._is_fresh(order)
            self._is_allowed(order)

    def _is_journalled(self, order: Order) -> None:
        row = self._world.nodes["gateway"].store.durable(f"order/{order.id}")
        if row is None:
            self._found(f"{order.id} was sent before SENDING was on the disk")
            return
        kept = wire.unpack(row, Order)
        if kept.status is not OrderStatus.SENDING or kept.attempt != order.attempt:
            self._found(f"{order.id} was sent (attempt {order.attempt}) but the disk says {kept.status.value}")
        if kept.approval is None or kept.approval.intent != kept.intent:
            self._found(f"{order.id} was sent without its approval")

    def _is_fresh(self, order: Order) -> None:
        now = self._world.clock.now(None)
        decided = order.intent.decided
        late = decided.boot != now.boot or now.ticks - decided.ticks > order.intent.valid
        if late and not order.protects and order.attempt == 1 and not order.intent.exit:
            self._found(f"{order.id} was sent after it had expired")

    def _is_allowed(self, order: Order) -> None:
        if order.protects or order.id.startswith("guard-"):
            return
        if self.seen_latch().generation > self._generation:
            return  # resumed, though the answer was lost on its way
        halted = self._acknowledged is LatchState.HALTED
        if halted or (self._acknowledged is LatchState.REDUCING and not order.intent.exit):
            self._found(f"{order.id} was sent after {self._acknowledged.value} had been acknowledged")

    def acknowledged(self, event: Event) -> None:
        """The owner is told that a command has been carried out."""
        result: CommandResult = event.body
        if result.id in self._answered:
            return  # asked again, answered again; it says how things were
        self._answered[result.id] = None
        self._world.say(f"answer: {result.text}")
        state = STATES.get(result.text.split(",")[0])
        if result.done and state is not None and result.process == "gateway":
            self._acknowledged = state
            self._generation = self.seen_latch().generation

    # --- at the end -----------------------------------------------------------------------------------------------

    def final(self) -> None:
        """Read all books once faults have stopped and time was given."""
        nodes = self._world.nodes
        for name, node in nodes.items():
            if node.turn is None or not node.turn.caught_up():
                self._found(f"{name} is not back")
            for letter in node.store.dead:
                self._found(f"{name} set {letter.position} aside: {letter.error.strip().splitlines()[-1]}")
        if any(node.turn is None for node in nodes.values()):
            return
        gateway = cast(GatewayCore, nodes["gateway"].turn.core)  # type: ignore[union-attr]
        self._orders_once()
        self._fills(gateway)
        self._positions(gateway)
        self._exits_only_reduce()
        self._exposure.final(gateway, self._outputs("guard", "guard/decisions"))
        self._settled(gateway)
        self._streams()
        self._no_false_alarm()

    def _orders_once(self) -> None:
        log = self._world.venue.log
        for order_id, n in Counter(placed.order.id for placed in log).items():
            if n > 1:
                self._found(f"{order_id} was placed {n} times")
        ids: dict[str, dict[str, None]] = {}
        causes: dict[tuple[str, str, str, bool], dict[str, None]] = {}
        for placed in log:
            order, intent = placed.order, placed.order.intent
            if order.protects:
                continue
            ids.setdefault(intent.id, {})[order.id] = None
            if not order.id.startswith("guard-") and ":" in intent.cause:
                causes.setdefault((intent.strategy, intent.cause, intent.symbol, intent.exit), {})[intent.id] = None
        for intent_id, orders in ids.items():
            if len(orders) > 1 or intent_id not in orders:
                self._found(f"intent {intent_id} was placed as {', '.join(orders)}")
        for (strategy, cause, symbol, _), intents in causes.items():
            if len(intents) > 1:
                self._found(f"{strategy} decided {cause} for {symbol} twice: {', '.join(intents)}")

    def _fills(self, gateway: GatewayCore) -> None:
        theirs = {key for key, fill in self._world.venue.market.fills.items() if "#" not in fill.order_id}
        ours = set(gateway.ledger.fills)
        told = Counter(
            event.body.fill_key for event in self._outputs("gateway", "gateway/orders") if event.type is EventType.FILL
        )
        for key in sorted(theirs - ours):
            self._found(f"fill {key} was lost")
        for key in sorted(ours - theirs):
            self._found(f"fill {key} was invented")
        for key, n in sorted(told.items()):
            if n > 1:
                self._found(f"fill {key} was told {n} times")
        for key in sorted(ours - set(told)):
            self._found(f"fill {key} was never told")

    def _positions(self, gateway: GatewayCore) -> None:
        guard = cast(GuardCore, self._world.nodes["guard"].turn.core)  # type: ignore[union-attr]
        theirs = self._world.venue.market.positions
        for symbol in sorted({*theirs, *gateway.ledger.positions}):
            known = {
                "broker": theirs.get(symbol, ZERO),
                "gateway": gateway.ledger.position(symbol),
                "guard": guard._positions.get(symbol, ZERO),
                "hosts": self._hosts_position(symbol),
            }
            if len(set(known.values())) > 1:
                self._found(f"positions of {symbol} differ: {known}")
        self._strangers(gateway)

    def _strangers(self, gateway: GatewayCore) -> None:
        """What others traded is in the baseline, and cash is the broker's to the cent."""
        venue = self._world.venue
        for symbol in sorted({*venue.foreign, *gateway.ledger.positions}):
            theirs, ours = venue.foreign.get(symbol, ZERO), gateway.reconciler.baseline(symbol)
            if theirs != ours:
                self._found(f"strangers hold {theirs} {symbol}, our baseline is {ours}")
        cash, booked = venue.market.cash + venue.foreign_cash, gateway.ledger.account[""].cash
        if cash != booked:
            self._found(f"cash is {cash} at the broker, {booked} in our books")

    def _hosts_position(self, symbol: str) -> Decimal:
        total = ZERO
        for node in self._world.nodes.values():
            core = node.turn.core if node.turn is not None else None
            if isinstance(core, HostCore):
                total += sum((q for key, q in core.bookings.positions.items() if key.endswith("/" + symbol)), ZERO)
        return total

    def _exits_only_reduce(self) -> None:
        orders = {placed.order.id: placed.order for placed in self._world.venue.log}
        held: dict[tuple[str, str], Decimal] = {}
        for fill in self._world.venue.market.fills.values():
            order = orders[fill.order_id.partition("#")[0]]
            key = (order.intent.strategy, fill.symbol)
            before = held.get(key, ZERO)
            after = before + fill.quantity * fill.side.sign
            held[key] = after
            if f"{key[0]}/{key[1]}" in self._world.venue.strays:
                continue  # an order given up for good and filled after all: its symbol is halted, no more can be done
            if (order.protects or order.intent.exit) and not (abs(after) < abs(before) and after * before >= 0):
                self._found(f"exit {order.id} took {key[0]} from {before} to {after} {fill.symbol}")

    def _settled(self, gateway: GatewayCore) -> None:
        for order in gateway.ledger.live():
            if order.status in (OrderStatus.SENDING, OrderStatus.UNKNOWN, OrderStatus.WAITING):
                if order.status is OrderStatus.WAITING and self._behind_resting_exit(gateway, order):
                    continue
                self._found(f"{order.id} is still {order.status.value}")
        for name, node in self._world.nodes.items():
            core = node.turn.core if node.turn is not None else None
            if not isinstance(core, HostCore):
                continue
            for intent_id, booked in core.bookings.booked.items():
                order_ = gateway.ledger.orders.get(intent_id)
                if not booked.ended and (order_ is None or order_.status.terminal):
                    self._found(f"{name} still waits for {intent_id}")

    def _behind_resting_exit(self, gateway: GatewayCore, order: Order) -> bool:
        """An entry waits for its exit as long as the (closed) market does not fill that."""
        return not order.intent.exit and any(
            exit.intent.exit and exit.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
            for exit in gateway.ledger.live()
            if exit.symbol == order.symbol and exit.intent.strategy == order.intent.strategy
        )

    def _outputs(self, name: str, stream: str) -> list[Event]:
        return [wire.decode(payload) for _, payload in self._world.nodes[name].store.outputs.get(stream, [])]

    def _streams(self) -> None:
        """Every message a publisher kept was handled exactly once by every consumer."""
        for name, node in self._world.nodes.items():
            handled = Counter(node.store.inputs)
            for stream in node.turn.readers if node.turn is not None else ():
                publisher = self._world.nodes[topics.publisher_of(stream)]
                for spot, _ in publisher.store.outputs.get(stream, []):
                    n = handled[f"{stream}:{spot.epoch}:{spot.seq}"]
                    if n != 1:
                        self._found(f"{name} handled {stream}:{spot} {n} times")
                        break

    def _no_false_alarm(self) -> None:
        """Nothing here should halt a symbol: whoever does has seen something that was not there."""
        strays = [key.partition("/")[2] for key in self._world.venue.strays]
        for event in self._outputs("gateway", "gateway/orders"):
            if event.type is EventType.LATCH and any(symbol not in strays for symbol in event.body.blocked):
                self._found(f"halted for no reason: {event.body.blocked}")
                return
        for event in self._outputs("gateway", "gateway/notices"):
            if event.body.code == "CASH_DIFFERS" and not strays:
                self._found(f"told for no reason: {event.body.text}")
                return
            if event.body.code.startswith("STOP_MISSING") and "is not placed (" in event.body.text:
                self._found(f"a stop that never arrived was not placed anew: {event.body.text}")
                return
