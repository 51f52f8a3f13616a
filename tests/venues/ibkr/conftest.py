from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.domain.messages import VenueFill, VenueReport
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Intent, Moment, Order, OrderType, Side, ordered
from appliance.venues.base import Heard
from appliance.venues.ibkr import IbkrBroker, IbkrTerms
from tests.standins.ibkr import IbkrStandIn

D = Decimal
PATIENCE = 5.0
SHORT = {"answer": 0.4, "commission": 0.2}
"""Patience for what does not come."""
_NEVER = threading.Event()


class Ears:
    """What a broker tells by itself, in the order of telling."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._news = threading.Condition()

    def __call__(self, one: Heard) -> None:
        with self._news:
            self.heard.append(one)
            self._news.notify_all()

    def wait(self, fits: Callable[[Any], bool]) -> Any:
        """The first that fits, once it is there."""
        with self._news:
            found = self._news.wait_for(lambda: [one for one in self.heard if fits(one)], PATIENCE)
        assert found, f"not heard in {PATIENCE} s, but {self.heard}"
        return found[0]

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.heard if isinstance(one, kind)]

    def report(self, event: str, order_id: str) -> VenueReport:
        def fits(one: object) -> bool:
            return isinstance(one, VenueReport) and (one.event.value, one.order_id) == (event, order_id)

        return self.wait(fits)  # type: ignore[no-any-return]

    def fill(self, order_id: str, **fields: object) -> VenueFill:
        def fits(one: object) -> bool:
            same = isinstance(one, VenueFill) and one.order_id == order_id
            return same and all(getattr(one, name) == value for name, value in fields.items())

        return self.wait(fits)  # type: ignore[no-any-return]


def until(fits: Callable[[], Any]) -> Any:
    """What a condition gives, once it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := fits()):
        assert time.monotonic() < deadline, f"not within {PATIENCE} s"
        _NEVER.wait(0.005)
    return found


def order(id: str = "trend-1-1", side: Side = Side.BUY, quantity: int | str = 10, **given: Any) -> Order:
    """BUY 10 SPY at the market."""
    symbol = given.pop("symbol", "SPY")
    intent = Intent(id, "trend", 1, symbol, side, D(quantity), Moment(0, "boot", 0), 1, "feed/bars:1:1")
    return replace(ordered(intent, OrderStatus.SENDING), **given)


def limit(id: str = "trend-1-1", price: str = "90", **given: Any) -> Order:
    """BUY 10 SPY at 90, far below the market."""
    return order(id, type=OrderType.LIMIT, limit_price=D(price), **given)


def terms(gateway: IbkrStandIn, **others: Any) -> IbkrTerms:
    """Options for a stand-in."""
    few = {"port": gateway.port, "connect": 0.5, "answer": 3.0, "commission": 3.0, "restart": "03:00"}
    return IbkrTerms(**{**few, **others})


@pytest.fixture(params=[176, 178])
def gateway(request: pytest.FixtureRequest) -> Iterator[IbkrStandIn]:
    """A gateway of each protocol version that matters; SPY is at 99.99 to 100.01."""
    with IbkrStandIn(version=request.param) as one:
        one.books.price("SPY", "99.99", "100.01")
        yield one


@pytest.fixture
def one() -> Iterator[IbkrStandIn]:
    """A gateway, where the protocol version makes no difference."""
    with IbkrStandIn() as made:
        made.books.price("SPY", "99.99", "100.01")
        yield made


Make = Callable[..., IbkrBroker]


@pytest.fixture
def make() -> Iterator[Make]:
    """Brokers of a stand-in, with ``ears``, opened unless ``opened`` is false; all are closed at the end."""
    made: list[IbkrBroker] = []

    def maker(gateway: IbkrStandIn, ears: Ears | None = None, opened: bool = True, **others: Any) -> IbkrBroker:
        clock = others.pop("clock", time.time_ns)
        broker = IbkrBroker(terms(gateway, **others), clock)
        made.append(broker)
        if opened:
            broker.open(ears or Ears())
        return broker

    yield maker
    for broker in made:
        broker.close()
