"""The trading stand-in as a whole: REST and stream on ports of their own over one brokerage, faults, and a log.

with AlpacaTrading() as alpaca:
    alpaca.books.price("SPY", "99.99", "100.01")            # the market; the Brokerage is the truth
    TradingClient(KEY, SECRET, url_override=alpaca.rest_url)
    TradingStream(KEY, SECRET, url_override=alpaca.stream_url)   # the whole URL, /stream included
    alpaca.faults.next("504 after", 2)                      # MISHAPS in trading_faults.py has the names
    alpaca.faults.lost_events = 3                           # switches and counts: TradingFaults
    alpaca.freeze(); alpaca.thaw(); alpaca.hang_up(); alpaca.expire_keys(); alpaca.faults.clear()
    alpaca.books.log.accepted("client id")                  # what was taken; alpaca.log is of requests and frames
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

from websockets.asyncio.server import Server, serve

from tests.standins.alpaca.http_server import RestServer, now
from tests.standins.alpaca.log import Log
from tests.standins.alpaca.server import KEY, SECRET
from tests.standins.alpaca.trading_faults import TradingFaults
from tests.standins.alpaca.trading_rest import TradingRest
from tests.standins.alpaca.trading_stream import Message, TradeUpdates
from tests.standins.brokerage import Brokerage, Told


class AlpacaTrading:
    """Runs in threads of this process from ``with`` on. ``requests`` a minute, ``connections`` of the stream;
    ``patience``: seconds to authenticate."""

    def __init__(
        self, books: Brokerage | None = None, *, requests: int = 200, connections: int = 10, patience: float = 10.0,
        clock: Callable[[], int] = now,
    ) -> None:  # fmt: skip
        self.books = books or Brokerage(Decimal(100_000), clock=clock)
        self.log = Log()
        self.faults = TradingFaults(lambda name, value: self.log.add("fault", name, value=value))
        self.keys = {KEY: SECRET}
        self.rest = TradingRest(self.books, self.faults)
        self._clock = clock
        self._rest = self._served(requests)
        self.stream = TradeUpdates(self.keys, connections, patience, self.faults, self.log)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="alpaca-trading", daemon=True)
        self._events: asyncio.Queue[Told] = asyncio.Queue()
        self._teller: asyncio.Task[None] | None = None
        self._server: Server | None = None
        self._port = 0
        self._open = False

    def __enter__(self) -> AlpacaTrading:
        self._rest.thread.start()
        self._thread.start()
        self._do(self._serve())
        self._teller = self._do(self._begin())
        self._open = True
        self.books.listen(self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._rest.close()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def rest_url(self) -> str:
        """Where the REST is."""
        return f"http://127.0.0.1:{self._rest.server_address[1]}"

    @property
    def stream_url(self) -> str:
        """Where the stream is."""
        return f"ws://127.0.0.1:{self._port}/stream"

    @property
    def requests(self) -> int:
        """Requests that a minute allows; may be set."""
        return self._rest.allowance.limit

    @requests.setter
    def requests(self, limit: int) -> None:
        self._rest.allowance.limit = limit

    @property
    def listeners(self) -> int:
        """Connections of the stream that listen now."""
        return len(self.stream.listeners)

    def tell(self, message: Message) -> None:
        """Send an event that the brokerage knows nothing of."""
        self._do(self.stream.tell(message))

    def raw(self, frame: bytes | str) -> None:
        """Send a frame to all who listen as it is."""
        self._do(self.stream.raw(frame))

    def hang_up(self) -> None:
        """Reset all connections of the stream."""
        self._do(self.stream.hang_up())

    def freeze(self) -> None:
        """Half-open, REST and stream: connections are taken and stay, nothing is read or answered. What REST is sent
        meanwhile is carried out at the thaw, as what a network held back is."""
        self.faults.half_open = True
        self._do(self.stream.freeze(True))

    def thaw(self) -> None:
        """No longer half-open."""
        self.faults.half_open = False
        self._do(self.stream.freeze(False))

    def hang_up_rest(self) -> None:
        """Reset the connections of REST, those kept for the next request too."""
        self._rest.hang_up()

    def go_away(self) -> None:
        """Connections are reset, and refused from now on."""
        self._rest.close()
        self._do(self._leave())

    def come_back(self) -> None:
        """Where it was, with the same orders."""
        self._rest = self._served(self.requests, self._rest.server_address[1])
        self._rest.thread.start()
        self._do(self._serve())

    def calm(self) -> None:
        """All is well again; what the brokerage's own switches say stays."""
        self.faults.clear()
        self.thaw()
        self.renew_keys()
        if self._rest.closing.is_set():
            self.come_back()

    def expire_keys(self) -> None:
        """The keys hold no more: 401, and unauthorized; connections that are there stay."""
        self.keys.clear()

    def renew_keys(self) -> None:
        """The keys hold again."""
        self.keys[KEY] = SECRET

    # --- inside -----------------------------------------------------------------------------------------------------

    def _hear(self, told: Told) -> None:
        """Called under the brokerage's lock, in any thread."""
        if self._open:
            self._loop.call_soon_threadsafe(self._events.put_nowait, told)

    async def _tell_all(self) -> None:
        while True:
            told = await self._events.get()
            asset = self.books.listed(told.order.symbol) if told.order is not None else None
            await self.stream.hear(told, asset)

    def _served(self, requests: int, port: int = 0) -> RestServer:
        return RestServer([self.rest], self.keys, requests, self.faults, self.log, self._clock, port)

    async def _begin(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._tell_all())

    async def _serve(self) -> None:
        self._server = await serve(
            self.stream.serve, "127.0.0.1", self._port, process_request=self.stream.admit, ping_interval=None,
            close_timeout=0.5,
        )  # fmt: skip
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def _leave(self) -> None:
        await self.stream.hang_up()
        await self._close()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _end(self) -> None:
        if self._teller is not None:
            self._teller.cancel()
        await self.stream.end()
        await self._close()

    def _do(self, job: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(10)
