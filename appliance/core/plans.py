"""Exits and the protective orders they take the place of: cancel, await their end, send what is left. One plan.

A position is never sold twice: neither by a protective order that rests beside an exit, nor by an exit larger than what
is held, nor by both orders of a group. The guard's own exits also take the place of exits that rest in the market.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from appliance.core.ledger import protection
from appliance.domain.messages import Now
from appliance.domain.operations import LatchState
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import ZERO, Fill, Intent, Order, OrderType, Side
from appliance.domain.venue import EVERYTHING

if TYPE_CHECKING:
    from appliance.core.gateway import GatewayCore


WAITING = OrderStatus.WAITING


class Plans:
    """Keeps protective orders in step with positions and exits; all it knows is in the orders themselves."""

    def __init__(self, gateway: GatewayCore) -> None:
        self._gateway = gateway
        self._ledger = gateway.ledger
        self._trims = gateway.table("trim", bool)

    # --- exits ----------------------------------------------------------------------------------------------------

    def begin(self, order: Order, now: Now, cause: str) -> None:
        """Start an exit: at once, or after the orders it replaces have ended."""
        before = self._before(order)
        if not before:
            self._go(order, now, cause, new=True)
            return
        self._gateway.tell(self._ledger.open(order, OrderEvent.WAIT), now, cause)
        for other in before:
            self._cancel(other, now)

    def _before(self, order: Order) -> list[Order]:
        """What must have ended before an exit goes."""
        resting = [other for other in self.giving_way(order.intent) if other.status is not WAITING]
        return [*self._ledger.protective(order.intent.strategy, order.symbol), *resting]

    def giving_way(self, intent: Intent) -> list[Order]:
        """The exits that wait for a price while ``intent`` is the guard's own and will not: stop or flatten."""
        if not _own(intent.id):
            return []
        return [order for order in self._ledger.exits(intent.strategy, intent.symbol) if _rests(order)]

    def proceed(self, order: Order, now: Now) -> None:
        """Go on with a waiting order after a restart; what it waits for is cancelled where it is found."""
        if not order.intent.exit:
            self._admit(order.intent.strategy, order.symbol, now)
        elif not self._before(order):
            self._go(order, now, "", new=False)

    def _go(self, order: Order, now: Now, cause: str, new: bool) -> None:
        quantity = min(order.quantity, self._left(order))
        change = self._ledger.open if new else self._ledger.move
        halted = not new and self._gateway.stop.state is LatchState.HALTED and not _own(order.id)
        if halted or quantity <= 0:
            refusal = ("HALTED", "halted while it waited") if halted else ("NOTHING_LEFT", "nothing is left to exit")
            self._gateway.tell(change(order, OrderEvent.DENY, code=refusal[0], text=refusal[1]), now, cause)
            self._protect_rest(order, now)
        else:
            self._gateway.dispatch(change(order, OrderEvent.SEND, quantity=quantity, attempt=1), now, cause)
            self._protect_rest(order, now)  # it may take days; what it leaves is protected meanwhile
        self._admit(order.intent.strategy, order.symbol, now)

    def _left(self, order: Order) -> Decimal:
        """Shares of the strategy's holding that an exit, or a protective order, may still trade."""
        holding = self._ledger.holding(order.intent.strategy, order.symbol)
        if holding * order.side.sign >= 0:
            return ZERO  # there is nothing on that side to leave
        return self.left(order.intent.strategy, order.symbol)

    def left(self, strategy: str, symbol: str) -> Decimal:
        """Shares (not signed) of a strategy's holding that are there and that no exit of it may already trade."""
        left = abs(self._ledger.holding(strategy, symbol))
        for exit in self._ledger.exits(strategy, symbol):
            if exit.status is not WAITING:
                left -= exit.remaining
        if symbol in self._gateway.strangers.taken:
            there = self._gateway.strangers.leaves(symbol)
            left = left if there is None else min(left, there - self._leaving(symbol))
        return left

    def fits(self, order: Order) -> bool:
        """Whether the holding is still as large as an exit, which is not at the venue, and those beside it."""
        held = self._ledger.holding(order.intent.strategy, order.symbol) * -order.side.sign
        return self.left(order.intent.strategy, order.symbol) >= 0 and held >= order.remaining

    def _leaving(self, symbol: str) -> Decimal:
        """Shares that exits of any strategy may already trade."""
        live = (order for order in self._ledger.live() if order.symbol == symbol and order.intent.exit)
        return sum((order.remaining for order in live if not order.protects and order.status is not WAITING), ZERO)

    def taken(self, symbol: str, now: Now) -> None:
        """Another hand has sold what strategies hold: what protects more than is left must go, and so must exits that
        wait for a price."""
        there = self._gateway.strangers.leaves(symbol)
        too_much = there is not None and self._leaving(symbol) > there
        for order in [order for order in self._ledger.live() if order.symbol == symbol]:
            if order.protects:
                self.trim(order, now)
            elif too_much and order.intent.exit and order.status is not WAITING:
                self._gateway.reconciler.unwant(order, now)

    def withdraw(self, order: Order, now: Now) -> None:
        """A waiting order is taken back by its strategy; what an exit wanted gone is protected again."""
        text = "cancelled while it waited"
        denied = self._ledger.move(order, OrderEvent.DENY, code="CANCELED", text=text)
        self._gateway.tell(denied, now)
        if order.intent.exit and self._ledger.protective(order.intent.strategy, order.symbol):
            self._trims[_key(order)] = True  # they are on their way out
        self.ended(denied, now)

    # --- entries --------------------------------------------------------------------------------------------------

    def enter(self, order: Order, now: Now, cause: str) -> None:
        """Start an entry: at once, or after the exit before it (a flip is two orders: out, then in), or after the end
        of one in the other direction that its strategy has cancelled: whether that has ended yet must not matter."""
        others = self._ledger.of(order.intent.strategy, order.symbol)
        if others and (opposed := self._opposed(order)):
            text = f"{opposed} works in the other direction: cancel it first"
            self._gateway.tell(self._ledger.open(order, OrderEvent.DENY, code="OPPOSED", text=text), now, cause)
        elif others and self._behind(order):
            self._gateway.tell(self._ledger.open(order, OrderEvent.WAIT), now, cause)
        elif self._against_holding(order):
            text = "the position in the other direction is not closed"
            self._gateway.tell(self._ledger.open(order, OrderEvent.DENY, code="EXIT_FIRST", text=text), now, cause)
        else:
            self._gateway.dispatch(self._ledger.open(order, OrderEvent.SEND, attempt=1), now, cause)

    def _behind(self, order: Order) -> bool:
        at_once = self._gateway.traits.flips_at_once
        exits = self._ledger.exits(order.intent.strategy, order.symbol)
        going = any(self._gateway.reconciler.unwanted(other) for other in self._opposite(order))
        return going or any(other.status is WAITING or not at_once for other in exits)

    def _against_holding(self, order: Order) -> bool:
        """Whether an entry would trade against what the strategy holds beyond its exits that are sure to fill."""
        left = self._ledger.holding(order.intent.strategy, order.symbol)
        for other in self._ledger.exits(order.intent.strategy, order.symbol):
            if other.status is not WAITING and not _rests(other):
                left += other.remaining * other.side.sign
        return left * order.side.sign < 0

    def _opposed(self, order: Order) -> str:
        """The id of an entry of the strategy that works, or waits, in the other direction and is to stay, or ""."""
        stays = (other.id for other in self._opposite(order) if not self._gateway.reconciler.unwanted(other))
        return next(stays, "")

    def _opposite(self, order: Order) -> list[Order]:
        entries = self._ledger.entries(order.intent.strategy, order.symbol)
        return [other for other in entries if other.side is not order.side]

    def _admit(self, strategy: str, symbol: str, now: Now) -> None:
        """Let waiting entries go once no exit is before them; they are judged again, for they have waited."""
        for order in self._ledger.of(strategy, symbol):
            if order.status is not WAITING or order.intent.exit or self._behind(order):
                continue
            refusal = self._gateway.refusal(order, now)
            if refusal is None and self._against_holding(order):
                refusal = ("EXIT_FIRST", "the exit before it did not close the position")
            if refusal is None:
                self._gateway.dispatch(self._ledger.move(order, OrderEvent.SEND, attempt=1), now)
            else:
                denied = self._ledger.move(order, OrderEvent.DENY, code=refusal[0], text=refusal[1])
                self._gateway.tell(denied, now)

    # --- protective orders ----------------------------------------------------------------------------------------

    def _cancel(self, order: Order, now: Now) -> None:
        self._gateway.cancel(order, now)
        self._gateway.reconciler.watch(order, now)

    def canceling(self, order: Order) -> bool:
        """Whether a waiting exit, or a position that has shrunk, wants this order gone."""
        if order.status.terminal:
            return False
        waiting = [exit for exit in self._waiting(order) if exit.id != order.id]
        if order.protects:
            return _key(order) in self._trims or bool(waiting)
        return order.intent.exit and _rests(order) and any(_own(exit.id) for exit in waiting)

    def _waiting(self, order: Order) -> list[Order]:
        """Exits that wait on the position of ``order``, the guard's own first."""
        live = self._ledger.of(order.intent.strategy, order.symbol)
        waiting = [one for one in live if one.status is WAITING and one.intent.exit and not one.protects]
        return sorted(waiting, key=lambda exit: not _own(exit.id)) if waiting else waiting

    def filled(self, order: Order, fill: Fill, now: Now) -> None:
        """A fill is shared by its group, shrinks what protects, and what an entry bought is protected from now on."""
        self._share(order, fill, now)
        self.trim(order, now)
        if not self._ledger.holding(order.intent.strategy, order.symbol):
            self._ledger.protections.drop(_key(order))  # the next entry brings its own
        if order.protects or order.intent.exit:
            return
        wanted = protection(order.intent)
        if not wanted.wished:
            return
        self._ledger.protections[_key(order)] = wanted
        if not self._waiting(order) and _key(order) not in self._trims:
            self._gateway.protector.protect(order, self._bought(order, fill), wanted, now)

    def _bought(self, order: Order, fill: Fill) -> Decimal:
        """Shares to protect after a fill: its own, or where the venue holds stops for whole shares only all that is
        bare, for parts add up."""
        whole = fill.quantity == fill.quantity.to_integral_value()
        if whole or self._gateway.traits.takes(order.symbol) is EVERYTHING:
            return fill.quantity
        strategy, symbol = order.intent.strategy, order.symbol
        return max(fill.quantity, self.left(strategy, symbol) - abs(self._ledger.covered(strategy, symbol)))

    def corrected(self, order: Order, now: Now) -> None:
        """The venue has corrected a fill: what protects follows the holding."""
        wish, held = protection(order.intent), self._ledger.holding(order.intent.strategy, order.symbol)
        if held and wish.wished and order.protects and _key(order) not in self._ledger.protections:
            self._ledger.protections[_key(order)] = wish  # the stop that had closed it has not
        self.changed(order, now)
        self.cut(order, now)

    def cut(self, order: Order, now: Now) -> None:
        """A fill that was taken back, or one of a stop or an exit after its end, leaves less than exits at the venue
        would trade: they must go, or what is not held would be traded."""
        strategy, symbol = order.intent.strategy, order.symbol
        exits = [exit for exit in self._ledger.exits(strategy, symbol) if exit.status is not WAITING]
        leaving = sum((exit.remaining * exit.side.sign for exit in exits), ZERO)
        left = self._ledger.holding(strategy, symbol) + leaving
        if not leaving or left * leaving <= 0:
            return
        for exit in exits:
            self._gateway.reconciler.unwant(exit, now)

    def changed(self, order: Order, now: Now) -> None:
        """Holding or protective orders are other than they were: no more is protected than is held, and no less."""
        self.trim(order, now)
        self._protect_rest(order, now)
        self._gateway.protector.check(now)

    def rename(self, symbol: str, becomes: str) -> None:
        """A symbol is called otherwise."""
        for key in [key for key in self._trims if key.partition("/")[2] == symbol]:
            del self._trims[key]
            self._trims[f"{key.partition('/')[0]}/{becomes}"] = True

    def mend(self, strategy: str, symbol: str, now: Now) -> None:
        """Protect what is bare again, for the newest order that wished it."""
        for order in reversed(self._ledger.orders.values()):
            if order.symbol == symbol and order.intent.strategy == strategy:
                self._protect_rest(order, now)
                return

    def _share(self, order: Order, fill: Fill, now: Now) -> None:
        """What one order of a group filled, the others lose at the venue; we see to it that they end."""
        for other in self._ledger.group(order):
            lessened = self._ledger.lessen(other, fill.quantity)
            self._gateway.tell(lessened, now)
            if lessened.status.terminal:
                self.ended(lessened, now)
            elif not lessened.remaining:
                self._gateway.reconciler.unwant(lessened, now)

    def trim(self, order: Order, now: Now) -> None:
        """Protective orders that together would trade more than is held must go; what is held is protected anew."""
        strategy, symbol = order.intent.strategy, order.symbol
        resting = [each for each in self._ledger.protective(strategy, symbol) if each.remaining]
        if not resting:
            return
        holding, covered = self._ledger.holding(strategy, symbol), self._ledger.covered(strategy, symbol)
        if holding * covered >= 0 or abs(covered) > self._left(resting[0]):
            self._trims[_key(order)] = True
            for each in resting:
                self._cancel(each, now)

    def ended(self, order: Order, now: Now) -> None:
        """An order is over: a waiting exit may go, a position left unprotected is protected again."""
        if order.protects:
            self._note_trail(order)
            if self._lost(order):
                self._gateway.protector.again(order, now)
                self.trim(order, now)
            elif self._unasked(order):
                self._gateway.protector.ended(order, now)
            self._release(order, now)
        elif order.intent.exit:
            self._protect_rest(order, now)
            self._release(order, now)
        if not order.protects:
            self._admit(order.intent.strategy, order.symbol, now)

    def _lost(self, order: Order) -> bool:
        """Whether a protective order that nobody wanted gone was never there."""
        return order.status is OrderStatus.NOT_PLACED and self._unasked(order) and self._needed(order)

    def _unasked(self, order: Order) -> bool:
        """Whether a protective order that has ended was to stay."""
        wanted = not self._gateway.reconciler.unwanted(order) and not self._waiting(order)
        return wanted and _key(order) not in self._trims

    def _needed(self, order: Order) -> bool:
        return order.remaining > 0 and self._left(order) > 0

    def _note_trail(self, order: Order) -> None:
        """Where a trailing stop stood is where the one after it begins: it never loosens."""
        wanted = self._ledger.protections.get(_key(order))
        stopped = order.trail is not None and order.stop_price is not None
        if wanted is None or wanted.trailing is None or not stopped or not self._needed(order):
            return
        stops = [price for price in (order.stop_price, wanted.stop) if price is not None]
        stop = max(stops) if order.side is Side.SELL else min(stops)
        self._ledger.protections[_key(order)] = replace(wanted, stop=stop)

    def forgo(self, order: Order) -> None:
        """Its strategy wants a protective order gone: not placed again, unless another of its kind still rests."""
        wanted = self._ledger.protections.get(_key(order))
        if not order.protects or wanted is None:
            return
        takes_profit = order.type is OrderType.LIMIT
        protective = self._ledger.protective(order.intent.strategy, order.symbol)
        others = [
            other for other in protective if other.id != order.id and not self._gateway.reconciler.unwanted(other)
        ]
        if any((other.type is OrderType.LIMIT) is takes_profit for other in others):
            return
        left = replace(wanted, take_profit=None) if takes_profit else replace(wanted, stop=None, trailing=None)
        self._ledger.protections[_key(order)] = left

    def _release(self, order: Order, now: Now) -> None:
        if self._ledger.protective(order.intent.strategy, order.symbol):
            return
        if not self._ledger.holding(order.intent.strategy, order.symbol):
            self._ledger.protections.drop(_key(order))  # the stop did its work: the next entry brings its own
        if _key(order) in self._trims:
            del self._trims[_key(order)]
            self._protect_rest(order, now)
        for waiting in self._waiting(order):
            if not self._before(waiting):
                self._go(waiting, now, order.id, new=False)

    def _protect_rest(self, order: Order, now: Now) -> None:
        """Protect what is held beyond exits under way and what already protects it, as it was wished."""
        strategy, symbol = order.intent.strategy, order.symbol
        if not self._ledger.holding(strategy, symbol):
            self._ledger.protections.drop(_key(order))
            return
        wanted = self._ledger.protections.get(_key(order))
        if wanted is None:
            return
        leaves = order.intent.exit or order.protects
        left = self._left(order) if leaves else self.left(strategy, symbol)
        bare = left - abs(self._ledger.covered(strategy, symbol))
        if bare <= 0 or self._waiting(order) or _key(order) in self._trims:
            return
        self._gateway.protector.protect(order, bare, wanted, now)


def _key(order: Order) -> str:
    return f"{order.intent.strategy}/{order.symbol}"


def _own(order_id: str) -> bool:
    """Whether it is the guard's own exit."""
    return order_id.startswith("guard-")


def _rests(order: Order) -> bool:
    """Whether an exit may wait in the market for its price."""
    return order.type is not OrderType.MARKET and not _own(order.id)
