"""Exits and the protective stops they take the place of: cancel, await their end, send what is left. One plan.

A position is never sold twice: neither by a stop that rests beside an exit, nor by an exit larger than what is held.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from appliance.domain.messages import Now
from appliance.domain.operations import LatchState
from appliance.domain.orders import OrderEvent, OrderStatus, is_terminal
from appliance.domain.trading import ZERO, Fill, Order

if TYPE_CHECKING:
    from appliance.core.gateway import GatewayCore


class Plans:
    """Keeps protective stops in step with positions and exits; all it knows is in the orders themselves."""

    def __init__(self, gateway: GatewayCore) -> None:
        self._gateway = gateway
        self._ledger = gateway.ledger
        self._trims = gateway.table("trim", bool)

    def begin(self, order: Order, now: Now, cause: str) -> None:
        """Start an exit: at once, or after the protective stops it replaces have ended."""
        stops = self._ledger.protective(order.intent.strategy, order.symbol)
        if not stops:
            self._go(order, now, cause, new=True)
            return
        self._gateway.tell(self._ledger.open(order, OrderEvent.WAIT), now, cause)
        for stop in stops:
            self._cancel(stop, now)

    def enter(self, order: Order, now: Now, cause: str) -> None:
        """Start an entry: at once, or after the exit before it (a flip is two orders: out, then in)."""
        if self._behind_exit(order):
            self._gateway.tell(self._ledger.open(order, OrderEvent.WAIT), now, cause)
        elif self._against_holding(order):
            text = "the position in the other direction is not closed"
            self._gateway.tell(self._ledger.open(order, OrderEvent.DENY, code="EXIT_FIRST", text=text), now, cause)
        else:
            self._gateway.dispatch(self._ledger.open(order, OrderEvent.SEND, attempt=1), now, cause)

    def _behind_exit(self, order: Order) -> bool:
        at_once = self._gateway.traits.flips_at_once
        return any(
            other.intent.exit and not other.protects and (other.status is OrderStatus.WAITING or not at_once)
            for other in self._ledger.live()
            if other.intent.strategy == order.intent.strategy and other.symbol == order.symbol
        )

    def _against_holding(self, order: Order) -> bool:
        """Whether an entry would trade against what the strategy holds beyond its exits under way."""
        left = self._ledger.holding(order.intent.strategy, order.symbol)
        for other in self._ledger.live():
            same = other.intent.strategy == order.intent.strategy and other.symbol == order.symbol
            if same and other.intent.exit and not other.protects and other.status is not OrderStatus.WAITING:
                left += other.remaining * other.side.sign
        return left * order.side.sign < 0

    def _admit(self, strategy: str, symbol: str, now: Now) -> None:
        """Let waiting entries go once no exit is before them; they are judged again, for they have waited."""
        for order in self._ledger.live():
            same = order.intent.strategy == strategy and order.symbol == symbol and not order.intent.exit
            if not same or order.status is not OrderStatus.WAITING or self._behind_exit(order):
                continue
            refusal = self._gateway.refusal(order, now)
            if refusal is None and self._against_holding(order):
                refusal = ("EXIT_FIRST", "the exit before it did not close the position")
            if refusal is None:
                self._gateway.dispatch(self._ledger.move(order, OrderEvent.SEND, attempt=1), now)
            else:
                denied = self._ledger.move(order, OrderEvent.DENY, code=refusal[0], text=refusal[1])
                self._gateway.tell(denied, now)

    def _cancel(self, stop: Order, now: Now) -> None:
        self._gateway.cancel(stop, now)
        self._gateway.reconciler.watch(stop, now)

    def proceed(self, order: Order, now: Now) -> None:
        """Go on with a waiting order after a restart: cancel what still rests, or send."""
        if not order.intent.exit:
            self._admit(order.intent.strategy, order.symbol, now)
            return
        stops = self._ledger.protective(order.intent.strategy, order.symbol)
        for stop in stops:
            self._cancel(stop, now)
        if not stops:
            self._go(order, now, "", new=False)

    def _go(self, order: Order, now: Now, cause: str, new: bool) -> None:
        quantity = min(order.quantity, self._left(order))
        change = self._ledger.open if new else self._ledger.move
        halted = not new and self._gateway.stop.state is LatchState.HALTED and not order.id.startswith("guard-")
        if halted or quantity <= 0:
            refusal = ("HALTED", "halted while it waited") if halted else ("NOTHING_LEFT", "nothing is left to exit")
            self._gateway.tell(change(order, OrderEvent.DENY, code=refusal[0], text=refusal[1]), now, cause)
            self._protect_rest(order, now)
        else:
            self._gateway.dispatch(change(order, OrderEvent.SEND, quantity=quantity, attempt=1), now, cause)
        self._admit(order.intent.strategy, order.symbol, now)

    def _left(self, order: Order) -> Decimal:
        """Shares of the strategy's holding that no other exit of it may already trade."""
        holding = self._ledger.holding(order.intent.strategy, order.symbol)
        if holding * order.side.sign >= 0:
            return ZERO  # there is nothing on that side to leave
        others = [
            other.remaining
            for other in self._ledger.live()
            if other.id != order.id
            and other.intent.exit
            and not other.protects
            and other.status is not OrderStatus.WAITING
            and other.intent.strategy == order.intent.strategy
            and other.symbol == order.symbol
        ]
        return abs(holding) - sum(others, ZERO)

    def canceling(self, order: Order) -> bool:
        """Whether a waiting exit wants this protective stop gone."""
        trimmed = f"{order.intent.strategy}/{order.symbol}" in self._trims
        return bool(order.protects) and not is_terminal(order.status) and (trimmed or self._exit_waits(order))

    def _exit_waits(self, order: Order) -> bool:
        return any(
            other.status is OrderStatus.WAITING
            and other.intent.exit
            and other.symbol == order.symbol
            and other.intent.strategy == order.intent.strategy
            for other in self._ledger.live()
        )

    def filled(self, order: Order, fill: Fill, now: Now) -> None:
        """An entry with a stop was filled: the stop rests for these shares from now on."""
        self._trim(order, now)
        stop = order.intent.stop
        if stop is None or order.protects or order.intent.exit:
            return
        self._ledger.stops[f"{fill.strategy}/{fill.symbol}"] = stop
        if not self._exit_waits(order):
            self._gateway.protect(order, f"{order.id}-s{order.filled}", fill.quantity, stop, now)

    def _trim(self, order: Order, now: Now) -> None:
        """Stops that together would sell more than is held must go; what is held is protected anew when they have."""
        strategy, symbol = order.intent.strategy, order.symbol
        holding = self._ledger.holding(strategy, symbol)
        stops = self._ledger.protective(strategy, symbol)
        resting = sum((stop.remaining * stop.side.sign for stop in stops), ZERO)
        if stops and (holding * resting >= 0 or abs(resting) > abs(holding)):
            self._trims[f"{strategy}/{symbol}"] = True
            for stop in stops:
                self._cancel(stop, now)

    def ended(self, order: Order, now: Now) -> None:
        """An order is over: a waiting exit may go, a position left unprotected is protected again."""
        if order.protects:
            self._release(order, now)
        elif order.intent.exit:
            self._protect_rest(order, now)
            self._admit(order.intent.strategy, order.symbol, now)

    def _release(self, order: Order, now: Now) -> None:
        strategy, symbol = order.intent.strategy, order.symbol
        if self._ledger.protective(strategy, symbol):
            return
        if not self._ledger.holding(strategy, symbol):
            self._ledger.stops.drop(f"{strategy}/{symbol}")  # the stop did its work: the next entry brings its own
        if f"{strategy}/{symbol}" in self._trims:
            del self._trims[f"{strategy}/{symbol}"]
            self._protect_rest(order, now)
        for waiting in self._ledger.live():
            same = waiting.symbol == symbol and waiting.intent.strategy == strategy
            if same and waiting.intent.exit and waiting.status is OrderStatus.WAITING:
                self._go(waiting, now, order.id, new=False)

    def _protect_rest(self, order: Order, now: Now) -> None:
        key = f"{order.intent.strategy}/{order.symbol}"
        holding = self._ledger.holding(order.intent.strategy, order.symbol)
        if not holding:
            self._ledger.stops.drop(key)
            return
        stop = self._ledger.stops.get(key)
        covered = self._ledger.protective(order.intent.strategy, order.symbol) or self._exit_waits(order)
        left = self._left(order)
        if stop is not None and not covered and left > 0:
            self._gateway.protect(order, f"{order.id}-s{order.filled}", left, stop, now)
