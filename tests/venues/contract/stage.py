"""What the contract's tests stand on: one broker to ask, and a hand on what is behind it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol, TypeVar

from appliance.domain.messages import VenueActivity, VenueFill, VenueReport
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import Intent, Moment, Order, OrderType, Side, TimeInForce
from appliance.domain.venue import Rejection
from appliance.venues.base import BrokerInterface, Condition, Heard, Lost

SYMBOL = "SPY"
BID, ASK = Decimal("99.99"), Decimal("100.01")
PATIENCE = 8.0
"""Seconds after which what was not heard will not be."""
Found = TypeVar("Found")


class Ear:
    """All that a broker tells, in order; from any thread."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._news = threading.Condition()

    def __call__(self, heard: Heard) -> None:
        with self._news:
            self.heard.append(heard)
            self._news.notify_all()

    def until(self, find: Callable[[], Found], patience: float = PATIENCE) -> Found:
        """What ``find`` finds once it is something, however often something must be heard before that."""
        with self._news:
            self._news.wait_for(lambda: bool(find()), patience)
        found = find()
        assert found, f"not heard within {patience} s; what was: {self.heard}"
        return found

    @property
    def fills(self) -> list[VenueFill]:
        """Executions, each as often as it was told."""
        return [one for one in self.heard if isinstance(one, VenueFill)]

    @property
    def activities(self) -> list[VenueActivity]:
        """What changed the account without an order."""
        return [one for one in self.heard if isinstance(one, VenueActivity)]

    @property
    def losses(self) -> list[Lost]:
        """Ends of the connection."""
        return [one for one in self.heard if isinstance(one, Lost)]

    @property
    def conditions(self) -> list[Condition]:
        """How the venue's surroundings stood."""
        return [one for one in self.heard if isinstance(one, Condition)]

    def reports(self, order_id: str, *events: OrderEvent) -> list[VenueReport]:
        """What was said of an order."""
        return [
            one
            for one in self.heard
            if isinstance(one, VenueReport) and one.order_id == order_id and (not events or one.event in events)
        ]

    def filled(self, order_id: str) -> Decimal:
        """Shares of an order in its executions, each once."""
        fills = {one.fill_key: one.quantity for one in self.fills if one.order_id == order_id}
        return sum(fills.values(), Decimal(0))


class Stage(Protocol):
    """A broker and what is behind it. ``can`` names what this kind of venue has: ``strangers`` (orders that are not
    ours), ``link`` (a connection that can be cut)."""

    name: str
    can: frozenset[str]
    broker: BrokerInterface

    def again(self) -> BrokerInterface:
        """Another object for the same account, as a new process makes it."""
        ...

    def price(self, bid: Decimal, ask: Decimal) -> None:
        """The market of SYMBOL is so from now on, and fills what it reaches."""
        ...

    def fill(self, order_id: str, quantity: Decimal, price: Decimal) -> None:
        """A part of a resting order is executed."""
        ...

    def accepted(self, order_id: str) -> int:
        """How many orders with this id of ours were ever taken."""
        ...

    def executions(self, order_id: str) -> list[tuple[Decimal, Decimal]]:
        """Quantity and price of each, oldest first, in the venue's own books."""
        ...

    def books(self) -> tuple[Decimal, dict[str, Decimal]]:
        """Cash and positions in the venue's own books."""
        ...

    def stranger(self, order_id: str) -> None:
        """Somebody else places an order to buy 7 at 50 USD; ``order_id`` is his own."""
        ...

    def refused(self) -> list[tuple[Order, tuple[Rejection, ...]]]:
        """Orders that it does not take, and the codes that may say why."""
        ...

    def cut(self) -> None:
        """The connection ends, as when a cable is pulled."""
        ...


_NUMBERS = itertools.count(time.time_ns() // 1_000_000)


def order(
    side: Side = Side.BUY,
    quantity: Decimal | int | str = 10,
    limit: Decimal | str | None = None,
    *,
    stop: Decimal | str | None = None,
    symbol: str = SYMBOL,
    time_in_force: TimeInForce = TimeInForce.DAY,
    order_id: str = "",
) -> Order:
    """An order as the gateway sends it: at the market, or with a limit or a stop price (USD)."""
    order_id = order_id or f"guard-{next(_NUMBERS)}-1"
    kind = OrderType.LIMIT if limit is not None else OrderType.STOP if stop is not None else OrderType.MARKET
    limit_price, stop_price = Decimal(limit) if limit is not None else None, Decimal(stop) if stop is not None else None
    intent = Intent(
        order_id, "trend", 1, symbol, side, Decimal(quantity), Moment(time.time_ns(), "", 0), 0, "feed/bars:1:1", "",
        kind, limit_price, stop_price, time_in_force,
    )  # fmt: skip
    return Order(
        order_id, intent, None, OrderStatus.SENDING, symbol, side, Decimal(quantity), kind, limit_price, stop_price,
        time_in_force,
    )  # fmt: skip


def eventually(find: Callable[[], Found], patience: float = PATIENCE) -> Found:
    """What ``find`` finds, asked again until it is something."""
    until = time.monotonic() + patience
    while not (found := find()) and time.monotonic() < until:
        threading.Event().wait(0.02)
    assert found, f"not so within {patience} s: {found!r}"
    return found
