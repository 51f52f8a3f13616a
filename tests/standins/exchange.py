"""An exchange in a hurry: a minute is over several times a second, told by two stand-ins of which the first can fail.

``first`` speaks Alpaca's protocol, REST and stream; ``second`` is any server with JSON over a WebSocket, always well.
Their own logs say what was told.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed

from tests.standins.alpaca.market import MINUTE, Market, Row, bar, quote
from tests.standins.alpaca.server import KEY, SECRET, AlpacaStandIn
from tests.standins.websocket import WebSocketServer

SECOND = 1_000_000_000
AGO = 1_200 * MINUTE
"""How long before now trading begins (ns): it ends when it has come here."""
LATER = 0.02
"""Seconds that the second source is behind the first."""


class Traded(NamedTuple):
    """A minute of a symbol that is over: its row as Alpaca has it, and when it was told (ns UTC) by our own clock."""

    symbol: str
    row: Row
    at: int

    @property
    def end(self) -> int:
        """When its minute ended (ns UTC)."""
        return int(self.row["t"]) + MINUTE


class Exchange:
    """Trades ``symbols`` while the block runs, from ``begin`` on; every ``tick`` seconds a minute is over."""

    def __init__(self, symbols: tuple[str, ...], tick: float = 0.25, seed: int = 1) -> None:
        self.symbols, self.tick = symbols, tick
        self.traded: list[Traded] = []
        self.first = AlpacaStandIn(Market(), paid=True, requests=100_000)
        self.second = WebSocketServer(lambda said: [{"ok": True}])
        self.told: list[dict[str, Any]] = []
        """What the second has said of bars."""
        self.delay = 0.0
        """Seconds that the first is late."""
        self.together = 1
        """Minutes that the first tells in one frame."""
        self._begin = time.time_ns() // MINUTE * MINUTE - AGO
        self._chance = random.Random(seed)
        self._prices = dict.fromkeys(symbols, 100.0)
        self._late: list[tuple[float, list[dict[str, Any]]]] = []
        self._closed = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._trade, name="exchange", daemon=True)

    def __enter__(self) -> Exchange:
        self.first.__enter__()
        self.second.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self.first.__exit__(None, None, None)
        self.second.__exit__(None, None, None)

    def open(self) -> None:
        """Trading begins."""
        self._thread.start()

    def close(self) -> None:
        """Trading ends; the servers stay. Raises what trading raised."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(10)
        if self._failed is not None:
            raise self._failed

    def calm(self) -> None:
        """The first source is well again."""
        self.first.thaw()
        self.first.faults.clear()
        self.second.refuse = 0
        self.delay, self.together = 0.0, 1

    def settings(self) -> str:
        """Both sources, as the owner writes them; the first is preferred."""
        return f"""
[[sources]]
name = "first"
kind = "alpaca"
key = "{KEY}"
secret = "{SECRET}"
rest_url = "{self.first.rest_url}"
stream_url = "{self.first.stream_url}"
connect = 1.0
answer = 1.0
ping = 2.0
rate = 50.0
burst = 100

[[sources]]
name = "second"
kind = "websocket"
url = "{self.second.url}"
subscribed = {{ok = true}}
subscribe = {{bars = {{want = "{{symbols}}"}}, quotes = {{quotes = "{{symbols}}"}}}}
[sources.times]
form = "ns"
[[sources.messages]]
where = {{T = "b"}}
fields = {{kind = "bars", time = "t", open = "o", high = "h", low = "l", close = "c", volume = "v", symbol = "S"}}
[[sources.messages]]
where = {{T = "q"}}
fields = {{kind = "quotes", bid = "bp", ask = "ap", time = "t", symbol = "S"}}
"""

    def status(self, symbol: str, code: str, reason: str) -> None:
        """The first source tells a change of trading status (``2`` is a halt, ``3`` its end)."""
        self.first.push({"T": "s", "S": symbol, "sc": code, "rm": reason, "t": time.time_ns()})

    def vanish(self) -> None:
        """Both hang up and take nobody."""
        self.first.faults.busy, self.second.refuse = True, 503
        self.first.hang_up()
        self.second.hang_up()

    # --- trading ----------------------------------------------------------------------------------------------------

    def _trade(self) -> None:
        number, due = 0, time.monotonic()
        try:
            while not self._closed.wait(max(due - time.monotonic(), 0)):
                self._minute(number)
                number, due = number + 1, due + self.tick
        except BaseException as error:
            self._failed = error

    def _minute(self, number: int) -> None:
        bars, quotes = [], []
        for symbol in self.symbols:
            row, price = self._row(symbol, self._begin + number * MINUTE)
            self.first.market.add("bars", symbol, [row])
            self.traded.append(Traded(symbol, row, time.time_ns()))
            bars.append({"T": "b", "S": symbol, **row})
            quotes.append({"T": "q", "S": symbol, **quote(time.time_ns(), price - 0.01, price + 0.01, 100, 100)})
        self._late.append((time.monotonic() + self.delay, [*quotes, *bars]))
        self._tell_first()
        self._closed.wait(LATER)
        with suppress(ConnectionClosed):
            self.second.send(*quotes, *bars)
        self.told += bars

    def _tell_first(self) -> None:
        """In frames of as many minutes as are told together, those that are due."""
        due = [messages for at, messages in self._late if at <= time.monotonic()]
        if len(due) >= self.together:
            del self._late[: len(due)]
            self.first.push(*[message for messages in due for message in messages])

    def _row(self, symbol: str, start: int) -> tuple[Row, float]:
        before = self._prices[symbol]
        price = self._prices[symbol] = round(max(before * (1 + self._chance.gauss(0, 0.0015)), 5.0), 2)
        high, low = round(max(before, price) + 0.02, 2), round(min(before, price) - 0.02, 2)
        return bar(start, before, high, low, price, float(self._chance.randint(1, 9) * 100)), price


class Fault(NamedTuple):
    """What the first source is made to do. ``over``: whether the box has to change over to the second, ``down``:
    whether it has to give up the connection."""

    begin: Callable[[Exchange], None]
    over: bool = True
    down: bool = True
    seconds: float = 2.0
    """How long it lasts, or how long after the box has changed over."""


def _hung_up(**faults: Any) -> Callable[[Exchange], None]:
    """It hangs up, and whoever comes back meets these."""

    def begin(exchange: Exchange) -> None:
        for name, value in faults.items():
            setattr(exchange.first.faults, name, value)
        exchange.first.hang_up()

    return begin


def _switched(together: int = 1, delay: float = 0.0, **faults: Any) -> Callable[[Exchange], None]:
    """It goes on like this."""

    def begin(exchange: Exchange) -> None:
        exchange.together, exchange.delay = together, delay
        for name, value in faults.items():
            setattr(exchange.first.faults, name, value)

    return begin


FAULTS: dict[str, Fault] = {
    "mute": Fault(_switched(mute=True)),
    "half-open": Fault(lambda exchange: exchange.first.freeze()),
    "slow": Fault(_switched(delay=5.0), down=False, seconds=6.0),
    "429": Fault(_hung_up(busy=True)),
    "406": Fault(_hung_up(taken=True)),
    "5xx": Fault(_hung_up(broken=503)),
    "malformed": Fault(_switched(garbled=True)),
    "wrong order": Fault(_switched(together=4, backwards=True), False, False, 4.0),
    "duplicate": Fault(_switched(twice=True), False, False),
    "gap": Fault(_switched(gap=4 * 6), False, False),
    "disconnect": Fault(_hung_up(), seconds=0.0),
}
"""By name; a gap is of messages, six a minute: a quote and a bar of each of three symbols."""
