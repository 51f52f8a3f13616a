"""The gateway books what happens to the account without an order: splits, dividends, fees, transfers, other names and
delistings. Once, and for everyone."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from appliance.core.activities import Prices, adjusted, divided, remaining_after
from appliance.core.ledger import Protection, protection
from appliance.core.stops import leaves
from appliance.domain.market import CorporateAction, Split
from appliance.domain.messages import Event, Now, VenueActivity
from appliance.domain.operations import Severity
from appliance.domain.trading import ZERO, Activity, ActivityKind, Order, Part, Position

if TYPE_CHECKING:
    from appliance.core.gateway import GatewayCore

ORDERS = "gateway/orders"
NOBODYS = (ActivityKind.TRANSFER, ActivityKind.OTHER)
"""What is between the account's owner and his broker: of no strategy."""
REMEMBERED = 1_000
"""Activities known by their key, so that none is booked twice."""


class Activities:
    """Divides an activity among strategies, adjusts orders and protections by it, and tells of it."""

    def __init__(self, gateway: GatewayCore) -> None:
        self._gateway = gateway
        self._ledger = gateway.ledger
        self.known = gateway.table("activity", Activity)
        self._before: dict[ActivityKind, Callable[[Activity, Now], None]] = {
            ActivityKind.SPLIT: self._adjust,
            ActivityKind.DIVIDEND: self._adjust,
            ActivityKind.SYMBOL_CHANGE: self._rename,
        }
        self._after: dict[ActivityKind, Callable[[Activity, Now], None]] = {
            ActivityKind.SPLIT: self._hold,
            ActivityKind.SYMBOL_CHANGE: self._renamed,
            ActivityKind.DELISTING: self._delist,
            ActivityKind.TRANSFER: self._transfer,
            ActivityKind.OTHER: self._say,
        }

    def told(self, event: Event, now: Now) -> None:
        """The venue tells of an activity."""
        self.take(event.body, now)

    def take(self, told: VenueActivity, now: Now) -> None:
        """Book it, once, from wherever it is told."""
        activity = told.activity
        if activity.key in self.known:
            return
        parts = self._parts(activity)
        activity = replace(activity, parts=parts)
        self.pass_over(activity)
        self._gateway.reconciler.booked(activity.key)
        if activity.kind in self._before:
            self._before[activity.kind](activity, now)
        self._gateway.emit(ORDERS, activity, now)  # whoever hears of it finds his orders adjusted
        if activity.kind in self._after:
            self._after[activity.kind](activity, now)
        self._ledger.pay(activity.cash, activity.time)
        self._gateway.tell_account(now)

    def pass_over(self, activity: Activity) -> None:
        """Know an activity, so that it is never booked: again, or at all where it was before our time."""
        self.known[activity.key] = activity
        if len(self.known) > REMEMBERED:  # rows come back from a journal by key, not by age
            del self.known[min(self.known, key=lambda key: self.known[key].time)]

    def _parts(self, activity: Activity) -> tuple[Part, ...]:
        """Whose it is: of the strategies that hold the symbol, and what nobody's fills explain is nobody's. Interest is
        borne by what is held, at what it cost; by short positions where that is all there is."""
        held = self._held(activity.symbol) if activity.symbol else self._costs()
        if activity.kind is ActivityKind.MARGIN_CALL:
            return ()
        if activity.kind in NOBODYS:
            return (Part("", activity.position, activity.cash),)
        if activity.kind is ActivityKind.BORROW:
            held = {name: shares for name, shares in held.items() if shares < 0}
        parts = divided(activity, held)
        if activity.kind is ActivityKind.DELISTING:
            return tuple(replace(part, quantity=ZERO) for part in parts)
        return parts

    def _held(self, symbol: str) -> dict[str, Decimal]:
        found = {key.partition("/")[0]: shares for key, shares in self._of(symbol)}
        baseline = self._gateway.reconciler.baseline(symbol)
        return {**found, "": baseline} if baseline else found

    def _of(self, symbol: str) -> list[tuple[str, Decimal]]:
        return [(key, shares) for key, shares in self._ledger.holdings.items() if key.partition("/")[2] == symbol]

    def _costs(self) -> dict[str, Decimal]:
        long: dict[str, Decimal] = {}
        short: dict[str, Decimal] = {}
        for key, shares in self._ledger.holdings.items():
            name, _, symbol = key.partition("/")
            if shares:
                price = self._ledger.positions.get(symbol, Position(symbol)).average_price
                found = long if shares > 0 else short
                found[name] = found.get(name, ZERO) + shares * price
        return long or short

    def _hold(self, activity: Activity, now: Now) -> None:
        """Positions after it; their average price follows a split."""
        ledger, symbol = self._ledger, activity.symbol
        self._gateway.strangers.split(Split(symbol, activity.time, activity.new, activity.old, activity.price))
        for part in activity.parts:
            if part.strategy:
                ledger.holdings[f"{part.strategy}/{symbol}"] = part.quantity
            else:
                self._gateway.reconciler.rebase(symbol, part.quantity)
        before, held = ledger.positions.get(symbol), sum((shares for _, shares in self._of(symbol)), ZERO)
        if before is None:
            return
        average = before.average_price * activity.old / activity.new if held else ZERO
        ledger.positions[symbol] = Position(symbol, held, average)
        self._gateway.show_position(symbol, now)

    def _adjust(self, activity: Activity, now: Now) -> None:
        """Live orders and wished protections, as the venue adjusted what rests there."""
        action = activity.action
        if action is None:
            return
        for order in [order for order in self._ledger.live() if order.symbol == action.symbol]:
            changed = _adjusted(order, action)
            if changed != order:
                self._ledger.adjust(changed)
                self._gateway.tell(changed, now)
        for key, wanted in list(self._ledger.protections.items()):
            if key.partition("/")[2] == action.symbol:
                self._ledger.protections[key] = protection_after(wanted, self._ledger.holdings.get(key, ZERO), action)

    # --- other names, and no name any more ------------------------------------------------------------------------

    def _rename(self, activity: Activity, now: Now) -> None:
        """The same shares by another name: orders, what protects them, and the baseline follow."""
        gateway, symbol, becomes = self._gateway, activity.symbol, activity.becomes
        if not becomes or becomes == symbol:
            return
        blocked = self._ledger.blocked.get(symbol)
        for order in self._ledger.rename(symbol, becomes):
            gateway.tell(order, now)
        gateway.plans.rename(symbol, becomes)
        gateway.strangers.rename(symbol, becomes)
        gateway.reconciler.rebase(becomes, gateway.reconciler.baseline(becomes) + gateway.reconciler.baseline(symbol))
        gateway.reconciler.rebase(symbol, ZERO)
        if blocked is not None:
            gateway.block(becomes, blocked.why, now)

    def _renamed(self, activity: Activity, now: Now) -> None:
        """Nobody shall buy by the old name, which may be another's tomorrow."""
        for symbol in (activity.symbol, activity.becomes):
            if symbol in self._ledger.positions:
                self._gateway.show_position(symbol, now)
        self._end(activity, f"its shares are {activity.becomes or 'called otherwise'} now", now)

    def _delist(self, activity: Activity, now: Now) -> None:
        """The position ends, whatever was paid for it; so do the orders and stops behind it."""
        ledger, symbol = self._ledger, activity.symbol
        for key, _ in self._of(symbol):
            ledger.holdings[key] = ZERO
            ledger.protections.drop(key)
        self._gateway.reconciler.rebase(symbol, ZERO)
        if symbol in ledger.positions:
            ledger.positions[symbol] = Position(symbol)
            self._gateway.show_position(symbol, now)
        for order in [order for order in ledger.live() if order.symbol == symbol]:
            self._gateway.reconciler.unwant(order, now)
        self._gateway.protector.check(now)
        self._end(activity, f"it was delisted; {activity.cash} USD were paid", now)

    def _end(self, activity: Activity, why: str, now: Now) -> None:
        holders = ", ".join(part.strategy for part in activity.parts if part.strategy)
        said = f" ({activity.text})" if activity.text else ""
        text = f"{activity.symbol}: {why}{said}{f'; held by {holders}: change their settings' if holders else ''}"
        code = f"{activity.kind.value.upper()}/{activity.symbol}"
        self._gateway.notices.happened(code, Severity.WARNING, text, now)
        self._gateway.block(activity.symbol, why, now)

    def _transfer(self, activity: Activity, now: Now) -> None:
        """Shares that came or went are of no strategy."""
        if activity.symbol:
            held = self._ledger.position(activity.symbol) + self._gateway.reconciler.baseline(activity.symbol)
            self._gateway.strangers.moved(activity.symbol, activity.position - held, now)
        self._say(activity, now)

    def _say(self, activity: Activity, now: Now) -> None:
        what = f"{activity.position} {activity.symbol} are held after it, " if activity.symbol else ""
        said = f" ({activity.text})" if activity.text else ""
        text = f"{activity.kind.value}{said}: {what}{activity.cash:+} USD of cash"
        self._gateway.notices.happened(activity.kind.value.upper(), Severity.INFO, text, now)


def _adjusted(order: Order, action: CorporateAction) -> Order:
    """An order after an action, and its intent, by which what it buys is protected; the approval stays as it was."""
    prices = adjusted(action, order.side, Prices(order.limit_price, order.stop_price, order.trail))
    left = remaining_after(order.remaining, action)
    changes = {
        "quantity": order.filled + left, "limit_price": prices.limit, "stop_price": prices.stop, "trail": prices.trail,
    }  # fmt: skip
    if order.protects:
        return replace(order, **changes)
    wished = protection_after(protection(order.intent), Decimal(order.side.sign), action)
    intent = replace(
        order.intent, **changes, stop=wished.stop, take_profit=wished.take_profit, trailing=wished.trailing
    )
    return replace(order, intent=intent, **changes)


def protection_after(wanted: Protection, holding: Decimal, action: CorporateAction) -> Protection:
    """What shall rest behind a position of ``holding`` shares once an action has happened."""
    side = leaves(holding)
    stop = adjusted(action, side, Prices(None, wanted.stop, wanted.trailing))
    profit = adjusted(action, side, Prices(wanted.take_profit))
    return Protection(stop.stop, profit.limit, stop.trail)
