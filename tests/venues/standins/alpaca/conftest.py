from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from alpaca.trading.client import TradingClient
from alpaca.trading.stream import TradingStream

from tests.standins.alpaca import KEY, SECRET, AlpacaTrading

HEADERS = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
DEADLINE = 10.0


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine is not asked for addresses of the machine itself."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def alpaca() -> Iterator[AlpacaTrading]:
    with AlpacaTrading(requests=100_000) as stand_in:
        stand_in.books.price("SPY", "99.99", "100.01")
        yield stand_in


@pytest.fixture
def client(alpaca: AlpacaTrading) -> TradingClient:
    """Alpaca's own client, without its own repeats."""
    made = TradingClient(KEY, SECRET, url_override=alpaca.rest_url)
    made._retry = 0
    return made


class Ask:
    """Raw requests, with right keys and little patience."""

    def __init__(self, alpaca: AlpacaTrading) -> None:
        self._alpaca = alpaca

    def __call__(self, method: str, path: str, timeout: float = 5.0, headers: Any = None, **others: Any) -> Any:
        url = f"{self._alpaca.rest_url}/v2/{path}"
        return requests.request(method, url, headers=headers or HEADERS, timeout=timeout, **others)

    def buy(self, client_id: str, quantity: object = 1, timeout: float = 5.0, **fields: object) -> Any:
        """Order SPY at the market; or something else, by its fields."""
        body = {"symbol": "SPY", "side": "buy", "type": "market", "time_in_force": "day", "qty": str(quantity)}
        return self("POST", "orders", timeout, json=body | {"client_order_id": client_id} | fields)

    def rest(self, client_id: str, quantity: object = 1, price: str = "50", **fields: object) -> Any:
        """Order SPY far below the market."""
        return self.buy(client_id, quantity, type="limit", limit_price=price, **fields)


@pytest.fixture
def ask(alpaca: AlpacaTrading) -> Ask:
    return Ask(alpaca)


class Heard:
    """What Alpaca's own stream client hears, in a thread of its own; ends with the test."""

    def __init__(self, alpaca: AlpacaTrading, raw: bool = True, secret: str = SECRET) -> None:
        self.events: list[Any] = []
        self._news = threading.Condition()
        few = {"ping_interval": 0.3, "ping_timeout": 0.3, "close_timeout": 0.1, "max_queue": 1024}
        self.stream = TradingStream(
            KEY, secret, raw_data=raw, url_override=alpaca.stream_url, websocket_params=few
        )  # fmt: skip
        self.stream._reconnect_min_backoff = self.stream._reconnect_max_backoff = 0.05
        self.stream.subscribe_trade_updates(self._hear)
        self._thread = threading.Thread(target=self._run, name="trading-stream", daemon=True)

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            self.stream.run()

    async def _hear(self, event: Any) -> None:
        with self._news:
            self.events.append(event["data"] if isinstance(event, dict) else event)
            self._news.notify_all()

    def until(self, right: Callable[[list[Any]], object], seconds: float = DEADLINE) -> list[Any]:
        """The events so far, once ``right`` holds of them. Raises AssertionError when it does not in time."""
        with self._news:
            assert self._news.wait_for(lambda: right(self.events), seconds), f"not heard: {self.names}"
            return list(self.events)

    @property
    def names(self) -> list[str]:
        """The names of the events so far."""
        return [str(event["event"]) for event in self.events]

    def start(self) -> None:
        """Connect and listen."""
        self._thread.start()

    def stop(self) -> None:
        """End, whatever the connection does."""
        loop = self.stream._loop
        if loop is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        self._thread.join(5)


@pytest.fixture
def listen(alpaca: AlpacaTrading) -> Iterator[Callable[..., Heard]]:
    """Begin to listen, and wait until the server says so."""
    made: list[Heard] = []

    def begin(**others: Any) -> Heard:
        heard = Heard(alpaca, **others)
        made.append(heard)
        heard.start()
        if "secret" not in others:
            alpaca.log.until(lambda log: any("listening" in str(entry.facts) for entry in log if entry.what == "sent"))
        return heard

    yield begin
    for heard in made:
        heard.stop()
