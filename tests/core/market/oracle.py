"""The default fill rules once more, as plainly as they can be written: one order at a time, exact numbers, no state.

It is made from what README.md says of them and shares no code with the market it is compared with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Prices = tuple[int, int, Decimal, Decimal, Decimal, Decimal]
"""A bar: start, end (ns UTC), open, high, low, close (USD)."""
CENT = Decimal("0.01")


@dataclass
class Wanted:
    """One order and what has become of it."""

    name: str
    symbol: str
    sign: int
    kind: str
    force: str
    quantity: int
    decided: int
    limit: Decimal = Decimal(0)
    stop: Decimal = Decimal(0)
    distance: Decimal = Decimal(0)
    percent: bool = False
    group: str = ""
    ends: int = 0
    told: str = ""
    fills: list[tuple[int, Decimal, int, Decimal]] = field(default_factory=list)

    def better(self, price: Decimal, other: Decimal) -> bool:
        """Whether ``price`` is strictly better to trade at than ``other``."""
        return (other - price) * self.sign > 0


class Oracle:
    """``sessions`` are (open, close) in order."""

    def __init__(self, sessions: Sequence[tuple[int, int]]) -> None:
        self.sessions = sessions
        self.orders: list[Wanted] = []
        self.groups: dict[str, int] = {}

    def place(self, order: Wanted) -> None:
        """An order comes: it lives in its session, and in its group for what that has left."""
        left = self.groups.setdefault(order.group, order.quantity) if order.group else order.quantity
        order.quantity = min(order.quantity, left)
        if not order.quantity:
            order.told = "cancel"
        if order.force == "opg":
            order.decided = next((opens for opens, _ in self.sessions if opens > order.decided), 1 << 62)
        if order.force in ("day", "opg", "cls"):
            order.ends = next((close for _, close in self.sessions if close > order.decided), 0)
        self.orders.append(order)

    def happen(self, symbol: str, bar: Prices) -> None:
        """A bar of a symbol: stops before the take-profits of their groups, else as they were placed."""
        alive = [order for order in self.orders if order.symbol == symbol and not order.told]
        for order in sorted(alive, key=lambda one: bool(one.group) and one.kind == "limit"):
            if not order.told:
                self.meet(order, bar)

    def meet(self, order: Wanted, bar: Prices) -> None:
        """What one bar does to one order."""
        start, end, opened, high, low, close = bar
        if order.force == "cls":
            self.meet_close(order, bar)
            return
        if end <= order.decided:
            return
        if order.ends and start >= order.ends:
            order.told = "expire"
            return
        if start < order.decided and order.force != "opg":
            start, opened, high, low = end, close, close, close
        if order.force in ("ioc", "fok", "opg"):
            end, high, low, close = start, opened, opened, opened
        kind = order.kind
        for price, time in self.matches(order, start, end, opened, high, low):
            self.fill(order, price, time)
        if not order.told and order.force in ("ioc", "fok", "opg") and order.kind == kind:
            order.told = "expire" if order.force == "opg" else "cancel"

    def matches(
        self, order: Wanted, start: int, end: int, opened: Decimal, high: Decimal, low: Decimal
    ) -> Iterator[tuple[Decimal, int]]:
        """At what price and when it is met, if it is; a stop that trails moves."""
        worst, best = (high, low) if order.sign > 0 else (low, high)
        if order.kind == "market":
            yield opened, start
        elif order.kind == "limit":
            if order.better(opened, order.limit):
                yield opened, start
            elif order.better(best, order.limit):
                yield order.limit, end
        elif order.kind == "stop_limit":
            if not order.better(worst, order.stop):
                order.kind, order.decided = "limit", end  # a limit from the next bar on
        else:
            if order.kind == "trailing":
                order.stop = self.behind(order, opened)
            if not order.better(opened, order.stop):
                yield opened, start
            elif not order.better(worst, order.stop):
                yield order.stop, end
            elif order.kind == "trailing":
                order.stop = self.behind(order, best)

    def behind(self, order: Wanted, price: Decimal) -> Decimal:
        """Where a trailing stop stands once the market was at ``price``: never looser than before."""
        away = price * order.distance / 100 if order.percent else order.distance
        stops = [price + away * order.sign, *([order.stop] if order.stop else [])]
        return min(stops) if order.sign > 0 else max(stops)

    def meet_close(self, order: Wanted, bar: Prices) -> None:
        """An order for the close gets the last price of its session."""
        start, end, _, _, _, close = bar
        if start < order.ends:
            if end <= order.decided:
                return
            order.stop = close
            if end < order.ends:
                return
        price = order.stop
        if price and (order.kind == "market" or order.better(price, order.limit)):
            self.fill(order, price, order.ends)
        else:
            order.told = "expire"

    def fill(self, order: Wanted, price: Decimal, time: int) -> None:
        """All of it; what it takes its group loses."""
        worth = price * order.quantity
        fee = min(max(Decimal(1), Decimal("0.005") * order.quantity), worth * Decimal("0.005"))
        order.fills.append((order.quantity, price, time, fee.quantize(CENT, ROUND_HALF_UP)))
        order.told = "fill"
        if order.group:
            self.groups[order.group] -= order.quantity
            left = self.groups[order.group]
            for other in self.orders:
                if other.group == order.group and not other.told:
                    other.quantity = min(other.quantity, left)
                    other.told = "" if other.quantity else "cancel"

    def cash(self) -> Any:
        """The change of cash (USD)."""
        return sum(-one.sign * n * price - fee for one in self.orders for n, price, _, fee in one.fills)
