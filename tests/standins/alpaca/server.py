"""The stand-in as a whole: REST and WebSocket on ports of their own, a market, faults, and a log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from websockets.asyncio.server import Server, serve

from tests.standins.alpaca.data_rest import DataRest
from tests.standins.alpaca.data_stream import DataStream, Message
from tests.standins.alpaca.faults import Faults
from tests.standins.alpaca.http_server import RestServer, now
from tests.standins.alpaca.log import Log
from tests.standins.alpaca.market import Market, Row

KINDS_OF = {"b": "bars", "q": "quotes", "t": "trades"}
KEY, SECRET = "PKSTANDIN0000000TEST", "stand-in-secret-never-shown"


class AlpacaStandIn:
    """Runs in threads of this process from ``with`` on. ``requests`` a minute, ``symbols`` of trades and quotes on the
    stream, rows of a page at most, and ``paid`` are those of the free plan; ``patience``: seconds to authenticate."""

    def __init__(
        self, market: Market | None = None, *, requests: int = 200, symbols: int = 30, page_max: int = 10_000,
        paid: bool = False, patience: float = 10.0, clock: Callable[[], int] = now,
    ) -> None:  # fmt: skip
        self.market = market or Market()
        self.log = Log()
        self.faults = Faults(lambda name, value: self.log.add("fault", name, value=value))
        keys = {KEY: SECRET}
        self.data = DataRest(self.market, self.faults, clock, page_max, paid)
        self._rest = RestServer([self.data], keys, requests, self.faults, self.log, clock)
        self._stream = DataStream(keys, symbols, patience, self.faults, self.log)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="alpaca-stream", daemon=True)
        self._server: Server | None = None

    def __enter__(self) -> AlpacaStandIn:
        self._rest.thread.start()
        self._thread.start()
        self._server = self._do(self._serve())
        return self

    def __exit__(self, *_: object) -> None:
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
        assert self._server is not None
        return f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    def push(self, *messages: Message) -> int:
        """Send messages of the stream to whom they are for, in one frame; to how many connections it went."""
        return self._do(self._stream.push(list(messages)))

    def happen(self, kind: str, symbol: str, row: Row) -> int:
        """A bar, quote or trade happens (``kind`` as the stream has it: ``b``, ``q``, ``t``; ``u`` replaces a bar):
        REST knows it from now on, and the stream tells it; to how many connections it went."""
        if kind == "u":
            self.market.replace("bars", symbol, row)
        else:
            self.market.add(KINDS_OF[kind], symbol, [row])
        return self.push({"T": kind, "S": symbol, **row})

    def raw(self, frame: bytes | str) -> None:
        """Send a frame to all connections as it is."""
        self._do(self._stream.raw(frame))

    def error(self, code: int) -> None:
        """Say an error of the stream to all connections."""
        self._do(self._stream.error(code))

    def hang_up(self) -> None:
        """Reset all connections of the stream."""
        self._do(self._stream.hang_up())

    def freeze(self) -> None:
        """Half-open: nothing is read any more, no ping answered, nothing sent, and the connections stay."""
        self.faults.half_open = True
        self._do(self._stream.freeze(True))

    def thaw(self) -> None:
        """No longer half-open."""
        self.faults.half_open = False
        self._do(self._stream.freeze(False))

    @property
    def connections(self) -> int:
        """Authenticated connections of the stream now."""
        return len(self._stream.clients)

    async def _serve(self) -> Server:
        return await serve(
            self._stream.serve, "127.0.0.1", 0, process_request=self._stream.admit, ping_interval=None,
            close_timeout=0.5,
        )  # fmt: skip

    async def _end(self) -> None:
        await self._stream.end()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _do(self, job: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(10)
