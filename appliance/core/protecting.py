"""Protective orders as the venue takes them: what it cannot hold is guarded here alone, and that is said.

The guard watches every stop itself, so that a position without a resting one is guarded as long as this box lives.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.ledger import Protection
from appliance.core.stops import leaves
from appliance.domain.messages import Now
from appliance.domain.operations import Severity
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import ID_LENGTH_MAX, ZERO, Order, OrderType, TimeInForce
from appliance.domain.venue import EVERYTHING, Rejection, Takes

if TYPE_CHECKING:
    from appliance.core.gateway import GatewayCore

NO_OCO = "the venue has no orders of which one cancels the other"
STOP, LIMIT, TRAILING_STOP = OrderType.STOP, OrderType.LIMIT, OrderType.TRAILING_STOP
LASTING = (TimeInForce.GTC, TimeInForce.DAY)
"""How long a protective order shall rest, the best first."""
AT_MARKET = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC)
AGAIN = (OrderStatus.EXPIRED, OrderStatus.DENIED)
"""How a protective order may have ended that is placed again at the next look: it was not refused."""


class Bare(Struct, frozen=True):
    """A position without the stop that was wished at the venue: why, and whether the next look places it ``again``."""

    why: str
    again: bool = False


class Rests(Struct, frozen=True):
    """For how many shares, and how long, a protective order can rest."""

    quantity: Decimal
    time_in_force: TimeInForce = TimeInForce.GTC


class Protector:
    """Places protective orders, and tells of positions that have none; rows by ``strategy/symbol``."""

    def __init__(self, gateway: GatewayCore) -> None:
        self._gateway = gateway
        self._ledger = gateway.ledger
        self._bare = gateway.table("bare", Bare)

    # --- placing --------------------------------------------------------------------------------------------------

    def protect(self, behind: Order, quantity: Decimal, wanted: Protection, now: Now) -> None:
        """Let protective orders rest at the venue, a stop and a take-profit as one group; intent and approval are those
        of the order they come from."""
        kind = STOP if wanted.trailing is None else TRAILING_STOP
        stop, profit, left_out = self._fit(behind.symbol, kind, quantity, wanted)
        both = stop is not None and profit is not None
        stop_id, profit_id = (self._unused(behind, f"{leg}{behind.filled}") for leg in "st")
        order = Order(
            id=stop_id, intent=behind.intent, approval=behind.approval, status=OrderStatus.SENDING,
            symbol=behind.symbol, side=leaves(self._ledger.holding(behind.intent.strategy, behind.symbol)),
            quantity=quantity, type=kind, protects=behind.id, oco=stop_id if both else "", text=left_out,
        )  # fmt: skip
        if stop is not None:
            self._rest(
                replace(
                    order, quantity=stop.quantity, time_in_force=stop.time_in_force, stop_price=wanted.stop,
                    trail=wanted.trailing,
                ), now, behind.id,
            )  # fmt: skip
        if profit is not None:
            text = "" if stop is not None else left_out
            profit_order = replace(order, id=profit_id, type=OrderType.LIMIT, limit_price=wanted.take_profit, text=text)
            self._rest(
                replace(profit_order, quantity=profit.quantity, time_in_force=profit.time_in_force), now, behind.id
            )
        self._uncovered(behind, quantity, stop, wanted, now)

    def _fit(
        self, symbol: str, kind: OrderType, quantity: Decimal, wanted: Protection
    ) -> tuple[Rests | None, Rests | None, str]:
        """How stop and take-profit can rest, and what of them is left out."""
        traits, profits = self._gateway.traits, wanted.take_profit is not None
        takes = traits.takes(symbol)
        stop = rests(takes, kind, quantity) if wanted.stops else None
        profit = rests(takes, LIMIT, quantity) if profits else None
        if profits and profit is None:
            return stop, None, f"take-profit {wanted.take_profit} left out: the venue does not hold it"
        if stop is None or profit is None:
            return stop, profit, ""
        if not traits.oco:
            return stop, None, f"take-profit {wanted.take_profit} left out: {NO_OCO}"
        least = min(stop.quantity, profit.quantity)
        return replace(stop, quantity=least), replace(profit, quantity=least), ""

    def again(self, lost: Order, now: Now) -> None:
        """A protective order the venue never had is placed anew, in its group, under an id of its own."""
        again = replace(
            lost, id=self._unused(lost, "r"), quantity=lost.remaining, filled=ZERO, average_price=ZERO,
            venue_id="", text="", code="",
        )  # fmt: skip
        self._rest(again, now, lost.id)

    def _rest(self, order: Order, now: Now, cause: str) -> None:
        self._gateway.dispatch(self._ledger.open(order, OrderEvent.SEND, attempt=1), now, cause)

    def _unused(self, behind: Order, suffix: str) -> str:
        """An order id ``order-suffix`` that has not been used and is short enough for every venue."""
        wanted = f"{behind.id}-{suffix}"
        if len(wanted) > ID_LENGTH_MAX:
            wanted = f"{behind.intent.id}-{suffix[0]}"
        found, n = wanted, 1
        while found in self._ledger.orders:
            found, n = f"{wanted}-{n}", n + 1
        return found

    def own(self, order: Order) -> Order:
        """An exit of the guard's own, for as long as the venue takes one at market: it asks for the session."""
        takes = self._gateway.traits.takes(order.symbol)
        if takes is None or takes is EVERYTHING:
            return order
        taken = takes.orders.get(order.type, ())
        if order.time_in_force in taken or not taken:
            return order
        return replace(order, time_in_force=next((one for one in AT_MARKET if one in taken), taken[0]))

    # --- what is bare ---------------------------------------------------------------------------------------------

    def _uncovered(self, behind: Order, quantity: Decimal, stop: Rests | None, wanted: Protection, now: Now) -> None:
        rested = stop.quantity if stop is not None else ZERO
        if wanted.stops and rested < quantity:
            why = "the venue holds no such stop" if not rested else "it holds stops for whole shares only"
            self._tell(behind, Bare(f"{why}: {quantity - rested} of {quantity} shares"), now)

    def ended(self, order: Order, now: Now) -> None:
        """A stop that nobody of ours wanted gone is over, and the position is still there."""
        if order.type is LIMIT or order.status is OrderStatus.FILLED:
            return
        if self.lacks(order) <= 0:
            return
        if self._for_the_day(order):
            self.again(replace(order, time_in_force=TimeInForce.DAY), now)
            return
        words = ": ".join(word for word in (order.code, order.text) if word)
        why = f"{order.id} is {order.status.value.replace('_', ' ')}{f' ({words})' if words else ''}"
        self._tell(order, Bare(why, order.status in AGAIN), now)

    def _for_the_day(self, order: Order) -> bool:
        """Whether a stop that was refused for how long it should rest may be taken for the day: what is hard to borrow
        is, at Alpaca, for no longer."""
        refused = order.status is OrderStatus.REJECTED and order.code == Rejection.UNSUPPORTED
        takes = self._gateway.traits.takes(order.symbol)
        lasts = order.time_in_force is not TimeInForce.DAY
        return refused and lasts and takes is not None and TimeInForce.DAY in takes.orders.get(order.type, ())

    def lacks(self, order: Order) -> Decimal:
        """Shares behind which a stop was wished and none rests."""
        strategy, symbol = order.intent.strategy, order.symbol
        wanted = self._ledger.protections.get(f"{strategy}/{symbol}")
        if wanted is None or not wanted.stops:
            return ZERO
        return self._gateway.plans.left(strategy, symbol) - abs(self._ledger.covered(strategy, symbol, stops=True))

    def _tell(self, order: Order, bare: Bare, now: Now) -> None:
        strategy, symbol = order.intent.strategy, order.symbol
        self._bare[f"{strategy}/{symbol}"] = bare
        after = "it is placed again at the next look" if bare.again else "it is not placed again by itself"
        text = (
            f"no stop, or not for all, rests behind the {symbol} of {strategy}: {bare.why}; the guard watches it while "
            f"this box runs, {after}"
        )
        self._gateway.notices.holds(f"STOP_MISSING/{strategy}/{symbol}", Severity.WARNING, text, now)

    def check(self, now: Now) -> None:
        """Positions that have their stops, or are gone, are bare no longer."""
        for key in list(self._bare):
            strategy, _, symbol = key.partition("/")
            wanted = self._ledger.protections.get(key)
            held = self._ledger.holding(strategy, symbol)
            covered = abs(self._ledger.covered(strategy, symbol, stops=True))
            if not held or wanted is None or not wanted.stops or self._gateway.plans.left(strategy, symbol) <= covered:
                del self._bare[key]
                why = "the position is closed" if not held else "its stop rests"
                self._gateway.notices.over(f"STOP_MISSING/{key}", f"{symbol} of {strategy}: {why}", now)

    def mend(self, now: Now) -> None:
        """At a look: place again what ended by itself."""
        for key, bare in list(self._bare.items()):
            if bare.again:
                strategy, _, symbol = key.partition("/")
                self._gateway.plans.mend(strategy, symbol, now)


def rests(takes: Takes | None, kind: OrderType, quantity: Decimal) -> Rests | None:
    """How a protective order for ``quantity`` shares can rest, the whole part of it where parts of a share cannot, or
    None."""
    if takes is EVERYTHING:
        return Rests(quantity)
    for time_in_force in LASTING:
        if takes is None or time_in_force not in takes.orders.get(kind, ()):
            continue
        parts = time_in_force in takes.fractional.get(kind, ())
        fits = _floor(quantity, takes.smallest if parts else Decimal(1))
        if fits > 0:
            return Rests(fits, time_in_force)
    return None


def _floor(quantity: Decimal, step: Decimal) -> Decimal:
    return quantity if not quantity % step else (quantity / step).to_integral_value(ROUND_FLOOR) * step
