"""What protects positions, seen from the broker's side: never more than is held, never looser, and never nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from appliance.core.gateway import GatewayCore
from appliance.core.market.matching import UNSET
from appliance.core.market.resting import Resting
from appliance.domain.messages import Event, EventType
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import ZERO, Order, OrderType, Side
from appliance.world.venue import SimulatedVenue

PLACED = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)


class Key(NamedTuple):
    """One strategy's position in one symbol."""

    strategy: str
    symbol: str


class Exposure:
    """Looks at the broker's books after everything that happens to them; ``found`` takes what must not be."""

    def __init__(self, venue: SimulatedVenue, found: Callable[[str], None]) -> None:
        self._venue = venue
        self._found = found
        self._orders: dict[str, Order] = {}
        self._held: dict[Key, Decimal] = {}
        self._due: dict[Key, Decimal] = {}
        self._groups: dict[str, Decimal] = {}
        self._stood: dict[str, float] = {}
        self._fills = 0
        venue.watch = self.look

    # --- while it runs --------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Something has changed at the broker."""
        for placed in islice(self._venue.log, len(self._orders), None):
            self._orders.setdefault(placed.order.id, placed.order)
        fills = self._venue.market.fills
        for fill in list(islice(fills.values(), self._fills, None)):
            order = self._of(fill.order_id)
            self._filled(order, fill.quantity)
            if order.oco:
                self._groups[order.oco] = self._groups.get(order.oco, ZERO) + fill.quantity
        self._fills = len(fills)
        self._leaving_only_what_is_held()
        self._trailing_one_way()

    def _of(self, order_id: str) -> Order:
        return self._orders[order_id.partition("#")[0]]

    def _filled(self, order: Order, quantity: Decimal) -> None:
        """``due`` are shares an entry bought with a stop, as long as they are held."""
        key = _key(order)
        held = self._held.get(key, ZERO) + quantity * order.side.sign
        self._held[key] = held
        due = self._due.get(key, ZERO)
        if order.protects:
            due -= quantity
        elif not order.intent.exit and (order.intent.stop is not None or order.intent.trailing is not None):
            due += quantity
        self._due[key] = max(ZERO, min(due, abs(held)))

    def _leaving_only_what_is_held(self) -> None:
        """Exits and protective orders at the broker together; a group counts once."""
        for key, leaving in self._leaving(self._held, lambda order: bool(order.protects) or order.intent.exit).items():
            for side, shares in leaving.items():
                held = max(ZERO, -self._held.get(key, ZERO) * side.sign)
                if shares > held and not self._is_stray(key):
                    self._found(f"{shares} shares of {key.symbol} may {side.value} what {key.strategy} holds: {held}")

    def _leaving(self, keys: Iterable[Key], which: Callable[[Order], bool]) -> dict[Key, dict[Side, Decimal]]:
        """Shares that what rests may take from positions at most, by side."""
        most: dict[tuple[Key, Side, str], Decimal] = {}
        for resting in self._venue.market.resting.values():
            order = self._of(resting.id)
            if not which(order):
                continue
            row = (_key(order), order.side, resting.oco or resting.id)
            most[row] = max(most.get(row, ZERO), _left(resting))
        found: dict[Key, dict[Side, Decimal]] = {key: {} for key in keys}
        for (key, side, _), shares in most.items():
            sides = found.setdefault(key, {})
            sides[side] = sides.get(side, ZERO) + shares
        return found

    def _is_stray(self, key: Key) -> bool:
        return f"{key.strategy}/{key.symbol}" in self._venue.strays

    def _trailing_one_way(self) -> None:
        for resting in self._venue.market.resting.values():
            if resting.trail is None or resting.stop == UNSET:
                continue
            before = self._stood.setdefault(resting.id, resting.stop)
            if (resting.stop - before) * resting.side.sign > 0:
                self._found(f"trailing stop {resting.id} was loosened from {before} to {resting.stop}")
            self._stood[resting.id] = resting.stop

    # --- at the end -----------------------------------------------------------------------------------------------

    def final(self, gateway: GatewayCore, decisions: list[Event]) -> None:
        """Quiet has been long enough for everything to heal."""
        self._groups_once()
        self._protected()
        self._agreed(gateway)
        self._cancels_obeyed(gateway, decisions)

    def _groups_once(self) -> None:
        for group, filled in self._groups.items():
            most = max(order.quantity for order in self._orders.values() if order.oco == group)
            if filled > most:
                self._found(f"the orders of group {group} filled {filled} of {most}")

    def _protected(self) -> None:
        """What was bought with a stop, and is held, has one or an exit at the broker."""
        leaving = self._leaving(self._due, _stops)
        for key, due in self._due.items():
            covered = sum(leaving.get(key, {}).values(), ZERO)
            if covered < due and not self._is_stray(key):
                self._found(f"{due} {key.symbol} of {key.strategy} should have a stop, {covered} have")

    def _agreed(self, gateway: GatewayCore) -> None:
        """What the gateway thinks works at the broker does, for as many shares."""
        resting = self._venue.market.resting
        for order in gateway.ledger.live():
            if order.status in PLACED and (order.id not in resting or _left(resting[order.id]) != order.remaining):
                at = _left(resting[order.id]) if order.id in resting else "none"
                self._found(f"{order.id} works for {order.remaining}, at the broker for {at}")
        protecting = self._leaving(self._held, lambda order: bool(order.protects))
        for key, sides in protecting.items():
            theirs, ours = sum(sides.values(), ZERO), abs(gateway.ledger.covered(*key))
            if theirs != ours:
                self._found(f"{ours} {key.symbol} of {key.strategy} are counted as protected, at the broker {theirs}")

    def _cancels_obeyed(self, gateway: GatewayCore, decisions: list[Event]) -> None:
        for event in decisions:
            if event.type is EventType.CANCEL:
                order = gateway.ledger.orders.get(event.body.order_id)
                if order is not None and not order.status.terminal:
                    self._found(f"{order.id} is {order.status.value} though its strategy cancelled it")


def _key(order: Order) -> Key:
    return Key(order.intent.strategy, order.symbol)


def _stops(order: Order) -> bool:
    """Whether it keeps a loss small: a stop that protects, or an exit."""
    return order.type is not OrderType.LIMIT if order.protects else order.intent.exit


def _left(resting: Resting) -> Decimal:
    return resting.quantity - resting.filled
