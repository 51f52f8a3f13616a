from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from appliance.domain.trading import Order
from appliance.venues.alpaca import AlpacaBroker, AlpacaBrokerOptions
from appliance.venues.base import Heard
from tests.core.make import intent, order
from tests.standins.alpaca import KEY, SECRET, AlpacaTrading

Broker = Callable[..., AlpacaBroker]
SECONDS = 10.0


class Ear:
    """What a broker tells by itself, in the order it was told."""

    def __init__(self) -> None:
        self._heard: list[Heard] = []
        self._news = threading.Condition()

    def __call__(self, one: Heard) -> None:
        with self._news:
            self._heard.append(one)
            self._news.notify_all()

    @property
    def heard(self) -> list[Heard]:
        with self._news:
            return list(self._heard)

    def of(self, kind: type, **fields: Any) -> list[Any]:
        """Those of one kind with these fields."""
        return [one for one in self.heard if isinstance(one, kind) and _fits(one, fields)]

    def until(self, kind: type, times: int = 1, **fields: Any) -> Any:
        """The last of so many of one kind with these fields, once they were told. Raises AssertionError otherwise."""
        with self._news:
            assert self._news.wait_for(lambda: len(self._of(kind, fields)) >= times, SECONDS), (
                f"no {kind.__name__} {fields} among the last: {self._heard[-5:]}"
            )
            return self._of(kind, fields)[times - 1]

    def _of(self, kind: type, fields: dict[str, Any]) -> list[Any]:
        return [one for one in self._heard if isinstance(one, kind) and _fits(one, fields)]


def _fits(one: object, fields: dict[str, Any]) -> bool:
    return all(getattr(one, name) == value for name, value in fields.items())


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine is not asked for addresses of the machine itself."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def alpaca() -> Iterator[AlpacaTrading]:
    with AlpacaTrading(requests=10_000) as stand_in:
        stand_in.books.price("SPY", "99.99", "100.01")
        yield stand_in


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def make(alpaca: AlpacaTrading) -> Iterator[Broker]:
    """A broker for the stand-in, with little patience, and other options where they are given."""
    made: list[AlpacaBroker] = []

    def one(**others: Any) -> AlpacaBroker:
        few: dict[str, Any] = {"key": KEY, "secret": SECRET, "url": alpaca.rest_url, "stream_url": alpaca.stream_url}
        patience = {"connect": 0.5, "answer": 0.5, "deadline": 1.0, "ping": 0.3}
        made.append(AlpacaBroker(AlpacaBrokerOptions(**{**few, **patience, **others})))
        return made[-1]

    yield one
    for broker in made:
        broker.close()


@pytest.fixture
def broker(make: Broker, ear: Ear) -> AlpacaBroker:
    """One that is open."""
    opened = make()
    opened.open(ear)
    return opened


def wanted(order_id: str = "trend-1-1", quantity: str = "10", **given: Any) -> Order:
    """A market order to buy SPY, but for what is given."""
    return order(intent(id=order_id, quantity=Decimal(quantity), **given))
