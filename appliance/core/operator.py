"""What the owner asks of the gateway: halt, reduce, resume, flatten, cancel. A halt is acknowledged when it is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from appliance.domain.messages import Event, Now
from appliance.domain.operations import Command, CommandResult, Latch, LatchFile, LatchState, Verb
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Order

if TYPE_CHECKING:
    from appliance.core.gateway import GatewayCore

ORDERS = "gateway/orders"
SENDING = OrderStatus.SENDING
CANCELABLE = (SENDING, OrderStatus.UNKNOWN, OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
REMEMBERED = 256


class Operator:
    """Commands to the gateway; each id is acted on once and answered as often as it is asked."""

    def __init__(self, gateway: GatewayCore) -> None:
        self._gateway = gateway
        self._results = gateway.table("result", CommandResult)
        self._verbs: dict[Verb, Callable[[Command, Now], tuple[bool, str]]] = {
            Verb.HALT: self._halt,
            Verb.REDUCE: self._reduce,
            Verb.RESUME: self._resume,
            Verb.FLATTEN: self._flatten,
            Verb.CANCEL_ALL: self._cancel_all,
        }

    def command(self, event: Event, now: Now) -> None:
        """Act on a command, once; void after its expiry."""
        command: Command = event.body
        act = self._verbs.get(command.verb)
        if act is None:
            return
        result = self._results.get(command.id)
        if result is None:
            late = not (now.time <= command.expires)
            done, text = (False, "it expired before it was heard: send it again") if late else act(command, now)
            result = CommandResult(command.id, done, text, self._gateway.process)
            self._results[command.id] = result
            for old in list(self._results)[: max(0, len(self._results) - REMEMBERED)]:
                del self._results[old]
        self._gateway.send("result", result, now, command.id)

    def _halt(self, command: Command, now: Now) -> tuple[bool, str]:
        self.lower(LatchState.HALTED, command.reason or "halted by the owner", command.by, now)
        self._cancel(command.everything, now)
        return True, f"halted, generation {self._gateway.stop.latch.generation}"

    def _reduce(self, command: Command, now: Now) -> tuple[bool, str]:
        self.lower(LatchState.REDUCING, command.reason or "entries paused by the owner", command.by, now)
        return True, f"{self._gateway.stop.state.value}, generation {self._gateway.stop.latch.generation}"

    def _resume(self, command: Command, now: Now) -> tuple[bool, str]:
        stop, blocked = self._gateway.stop, self._gateway.ledger.blocked
        only_symbols = stop.state is LatchState.ACTIVE and command.generation == stop.latch.generation and bool(blocked)
        latch, text = stop.resume(command, now)
        if latch is None and not only_symbols:
            return False, text
        for symbol in list(blocked):
            del blocked[symbol]
        self.announce(now)
        return True, f"active, generation {stop.latch.generation}"

    def _flatten(self, command: Command, now: Now) -> tuple[bool, str]:
        """The guard writes the exits; here the latch goes down first and what would add risk is cancelled."""
        self.lower(LatchState.REDUCING, command.reason or "flattened by the owner", command.by, now)
        self._cancel(False, now)
        return True, f"{self._gateway.stop.state.value}, exits follow"

    def _cancel_all(self, command: Command, now: Now) -> tuple[bool, str]:
        return True, f"{self._cancel(command.everything, now)} cancels sent"

    def _cancel(self, everything: bool, now: Now) -> int:
        """Cancel working orders; protective stops and exits under way are spared unless everything goes."""
        orders = [order for order in self._gateway.ledger.live() if _goes(order, everything)]
        for order in orders:
            if order.status is not SENDING or not self._gateway.reconciler.unwanted(order):
                self._gateway.reconciler.unwant(order, now)
        return len(orders)

    def latch_file(self, event: Event, now: Now) -> None:
        """The latch files changed; a file that halts lowers the latch itself, so that it survives the file."""
        told: LatchFile = event.body
        self._gateway.stop.file = told.state
        if told.state is not LatchState.ACTIVE and self.lower(told.state, told.why or "latch file", "file", now):
            self._cancel(False, now)

    def lower(self, state: LatchState, why: str, by: str, now: Now) -> bool:
        """Lower the latch and tell everyone; False when it is as low already. What may still wait for its turn to be
        sent is not sent any more."""
        if self._gateway.stop.lower(state, why, by, now) is None:
            return False
        self.announce(now)
        for order in self._gateway.ledger.live():
            if order.status is SENDING and not (order.protects or order.intent.exit):
                self._gateway.reconciler.unwant(order, now)
        return True

    def told(self) -> Latch:
        """The latch with the symbols that are halted one by one."""
        blocked = {symbol: row.why for symbol, row in sorted(self._gateway.ledger.blocked.items())}
        return replace(self._gateway.stop.latch, blocked=blocked)

    def announce(self, now: Now) -> None:
        """Tell everyone the latch, with the symbols that are halted."""
        latch = self.told()
        self._gateway.emit(ORDERS, latch, now)
        self._gateway.show("view/latch", latch, now)


def _goes(order: Order, everything: bool) -> bool:
    if order.status not in CANCELABLE:
        return False
    return everything or not (order.protects or order.intent.exit)
