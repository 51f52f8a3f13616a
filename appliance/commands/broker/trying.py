"""A broker tried step by step, each with how long it took: read everything, place an order that cannot fill, cancel it.

What is found is told, never believed: nothing here reaches the box's books.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import TypeVar

from msgspec import Struct

from appliance.domain.messages import VenueReport
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import Intent, Moment, Order, OrderType, Side, TimeInForce
from appliance.domain.venue import Rejection, VenueTraits
from appliance.errors import ApplianceError, RefusedError
from appliance.venues.base import BrokerInterface, VenueClock

MS = 1_000_000
SECOND = 1_000 * MS
CENT = Decimal("0.01")
PAIR_USD = Decimal(20)
"""What the order for a pair such as BTC/USD is worth at its limit: the smallest that brokers take is 10 USD."""
PATIENCE = 10.0
"""Seconds a cancel may take."""
HINTS = {
    Rejection.UNKNOWN_SYMBOL.value: "name a symbol that the broker knows with --symbol",
    Rejection.PRICE.value: "name its last price with --price",
    Rejection.NOT_ALLOWED.value: "look at the account, and whether its API may do more than read (at Interactive "
    "Brokers untick Read-Only API in the gateway's settings)",
}
ENDS = (OrderEvent.CANCEL, OrderEvent.EXPIRE, OrderEvent.REJECT)
Found = TypeVar("Found")


class Step(Struct, frozen=True, omit_defaults=True):
    """One thing that was tried: how long it took (ms; None: it was left out), and what came of it."""

    step: str
    ms: float | None
    said: str
    failed: bool = False
    code: str = ""
    hint: str = ""
    exit_code: int = 0


class Trial:
    """One trial of one broker. ``ticks`` (ns) measures, ``now`` is UTC (ns)."""

    def __init__(self, broker: BrokerInterface, ticks: Callable[[], int], now: Callable[[], int]) -> None:
        self.steps: list[Step] = []
        self._broker, self._ticks, self._now = broker, ticks, now

    def run(self, order: Order | Step, rest: Callable[[float], None]) -> Iterator[Step]:
        """Each step when it is over, to the first that fails. ``order`` is what is placed, or why nothing is (see
        ``left_out``); ``rest`` lets seconds pass."""
        try:
            yield from self._read()
            if self._failed:
                return
            if isinstance(order, Order):
                yield from self._place(order, rest)
            else:
                self.steps.append(order)
                yield order
        finally:
            self._broker.close()

    @property
    def _failed(self) -> bool:
        return any(step.failed for step in self.steps)

    def _read(self) -> Iterator[Step]:
        broker = self._broker
        questions: list[tuple[str, Callable[[], str]]] = [
            ("connect", self._connected),
            ("account", lambda: _account(broker)),
            ("positions", lambda: _positions(broker.positions())),
            ("open orders", lambda: _orders(broker)),
            ("clock", self._clock),
        ]
        for name, ask in questions:
            yield (step := self._timed(name, ask))
            if step.failed:
                return

    def _connected(self) -> str:
        self._broker.open(lambda heard: None)
        return "connected, and let in"

    def _clock(self) -> str:
        began = self._now()
        clock = self._broker.clock()
        return _skew(clock.time, (began + self._now()) // 2) + _market(clock)

    def _place(self, order: Order, rest: Callable[[float], None]) -> Iterator[Step]:
        yield (placed := self._timed("place", lambda: _taken(order, self._broker.submit(order))))
        if placed.failed and placed.code == "REJECTED":
            return
        if not placed.failed:
            yield self._timed("find", lambda: self._listed(order.id))
        yield self._timed("cancel", lambda: self._canceled(order.id, rest))

    def _listed(self, order_id: str) -> str:
        if any(one.order_id == order_id for one in self._broker.open_orders()):
            return "it is among the open orders"
        report = self._broker.order(order_id).report
        raise _no(f"it is not among the open orders, and the broker says of it {_said(report)}")

    def _canceled(self, order_id: str, rest: Callable[[float], None]) -> str:
        """Ask for its end, and ask what became of it until it has ended."""
        report = self._broker.cancel(order_id)
        waited = 0.0
        while report is None or report.event not in ENDS:
            if waited >= PATIENCE:
                raise _no(f"it has not ended {PATIENCE:g} s later; cancel {order_id} by hand")
            rest(0.1)
            waited += 0.1
            report = self._broker.order(order_id).report
            if report.event is OrderEvent.ABSENT or report.filled:
                raise _no(f"the broker says of it {_said(report)}; look at the account")
        return f"it has ended: {_said(report)}"

    def _timed(self, name: str, ask: Callable[[], str]) -> Step:
        began = self._ticks()
        try:
            said, error = ask(), None
        except ApplianceError as caught:
            said, error = caught.text, caught
        took = round((self._ticks() - began) / MS, 1)
        step = Step(name, took, said)
        if error is not None:
            step = Step(name, took, said, True, error.code, error.hint, error.exit_code)
        self.steps.append(step)
        return step


def left_out(why: str, hint: str = "") -> Step:
    """No order is placed. That is a failure where its owner has not wished it so: then there is a ``hint``."""
    return Step("order", None, f"not placed: {why}", bool(hint), "NOT_TRIED" if hint else "", hint, int(bool(hint)))


def far_off(symbol: str, last: Decimal, traits: VenueTraits, now: int) -> Order | Step:
    """An order to buy one share of ``symbol`` (of a pair, what 20 USD buy) at half its ``last`` price (USD), which no
    market comes to while it rests; or why there is none. ``now`` (ns UTC) is in its id."""
    takes = traits.takes(symbol)
    times = takes.orders.get(OrderType.LIMIT, ()) if takes is not None else ()
    time_in_force = next((one for one in (TimeInForce.DAY, TimeInForce.GTC) if one in times), None)
    limit = (last / 2).quantize(CENT, ROUND_DOWN)
    if time_in_force is None:
        return left_out(f"the broker takes no limit order of {symbol}", "name another with --symbol")
    if limit <= 0:
        return left_out(f"half of {last} USD is no price of an order", "name a higher one with --price")
    quantity = (PAIR_USD / limit).quantize(Decimal("0.0001"), ROUND_UP) if "/" in symbol else Decimal(1)
    order_id = f"check-{now}"
    intent = Intent(
        order_id, "check", 0, symbol, Side.BUY, quantity, Moment(now, "", 0), 0, "check", "check",
        OrderType.LIMIT, limit, None, time_in_force,
    )  # fmt: skip
    return Order(
        order_id, intent, None, OrderStatus.SENDING, symbol, Side.BUY, quantity, OrderType.LIMIT, limit, None,
        time_in_force,
    )  # fmt: skip


# --- what is said -----------------------------------------------------------------------------------------------------


def _no(text: str) -> RefusedError:
    return RefusedError(text, hint="look at the account with the broker's own tools")


def _account(broker: BrokerInterface) -> str:
    account = broker.account()
    parts = (("equity", account.equity), ("cash", account.cash), ("buying power", account.buying_power))
    return ", ".join(f"{name} {value:,.2f} {account.currency}" for name, value in parts if value is not None)


def _positions(held: dict[str, Decimal]) -> str:
    return ", ".join(f"{symbol} {quantity:f}" for symbol, quantity in sorted(held.items())) or "none"


def _orders(broker: BrokerInterface) -> str:
    found = broker.open_orders()
    told = [
        f"{one.side.value} {one.quantity - one.filled:f} {one.symbol} ({one.order_id or one.venue_id})" for one in found
    ]
    more = f" and {len(told) - 5} more" if len(told) > 5 else ""
    return ", ".join(told[:5]) + more if told else "none"


def _skew(theirs: int, ours: int) -> str:
    """How far their time (ns) is from ours; a broker that tells whole seconds has left up to one of them away."""
    if theirs % SECOND:
        return f"{(theirs - ours) / MS:+.0f} ms from ours"
    off = (theirs - ours // SECOND * SECOND) // SECOND
    return f"{off:+d} s from ours (it tells whole seconds)" if off else "ours, to the second"


def _market(clock: VenueClock) -> str:
    return "" if clock.open is None else "; the market is open" if clock.open else "; the market is closed"


def _taken(order: Order, report: VenueReport) -> str:
    what = f"buy {order.quantity:f} {order.symbol} at {order.limit_price:f} USD, as {order.id}"
    if report.event is OrderEvent.REJECT:
        error = _no(f"{what}: rejected, {report.code or 'OTHER'}: {report.text}")
        error.hint = HINTS.get(report.code, error.hint)
        error.code = "REJECTED"
        raise error
    return what


def _said(report: VenueReport) -> str:
    filled = f", {report.filled:f} filled" if report.filled else ""
    return f"{report.event.value}{filled}{f': {report.text}' if report.text else ''}"
