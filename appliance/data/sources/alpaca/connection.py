"""One connection to Alpaca's stream, through alpaca-py's own steps: connect, authenticate, subscribe, receive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from appliance.clients.alpaca import remembering
from appliance.data.sources.alpaca.options import AlpacaOptions
from appliance.data.sources.alpaca.refusals import ADDRESS, beginning, handshake_refusal, stream_refusal
from appliance.data.sources.alpaca.requesting import Clock
from appliance.data.sources.base import Oddity, Tell, Wire
from appliance.errors import SourceDown, SourceError, SourceNonsense

_PATHS = {"stocks": "/v2/{feed}", "crypto": "/v1beta3/crypto/us"}
_CLOSING = 0.5
"""Seconds for a close that the peer confirms; then the socket is dropped."""
_TOO_BIG = 1009
"""The close code of who was sent more than it takes."""
_UNREADABLE = 20
"""Frames in a row that cannot be read: then nothing can."""
Received = tuple[int, Sequence[object]]


class Connection:
    """Opened once, closed once. All that goes wrong is a SourceError.

    alpaca-py's ``run`` reconnects for ever, also with wrong keys, and swallows what goes wrong; so its steps are taken
    one by one. Pings are sent here and not by websockets, since each pong is told as a sign of life.
    """

    def __init__(self, options: AlpacaOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._unreadable = 0
        self._dead = False
        self._stream: Any = self._made()

    def _made(self) -> Any:
        """A stream of alpaca-py's. Its feeds are only iex and sip, so it is given the whole address."""
        from alpaca.common.enums import BaseURL
        from alpaca.data.live import CryptoDataStream, StockDataStream

        options = self._options
        base = options.stream_url.rstrip("/") or str(BaseURL.MARKET_DATA_STREAM.value)
        params = {
            "open_timeout": options.connect + options.answer, "ping_interval": None, "close_timeout": _CLOSING,
            "max_queue": 1024, "create_protocol": remembering(),
        }  # fmt: skip
        make = StockDataStream if options.market == "stocks" else CryptoDataStream
        url = base + _PATHS[options.market].format(feed=options.feed)
        return make(options.key, options.secret, raw_data=True, websocket_params=params, url_override=url)

    async def open(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Connect, authenticate and ask for the subscription to ``wanted`` symbols by channel."""
        try:
            async with asyncio.timeout(self._options.connect + self._options.answer):
                await self._stream._connect()
                await self._stream._auth()
        except Exception as error:
            self._raise(error)
        await self.subscribe(wanted)

    async def subscribe(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Ask for the subscription; the answer comes as a message."""
        for channel, handlers in self._stream._handlers.items():
            handlers.clear()
            handlers.update(dict.fromkeys(wanted.get(channel, ()), _unused))
        try:
            await self._stream._send_subscribe_msg()
        except Exception as error:
            self._raise(error)

    async def next(self) -> Received:
        """The messages of the next frame, and when it came (ns UTC); an Oddity where it cannot be read."""
        import msgpack

        try:
            frame = await self._stream._ws.recv()
        except Exception as error:
            self._raise(error)
        received = self._clock()
        try:
            messages = msgpack.unpackb(frame)
            if not isinstance(messages, list):
                raise ValueError("no list")
        except Exception as error:
            return received, [self._odd(frame, error)]
        self._unreadable = 0
        return received, messages

    def _odd(self, frame: bytes | str, error: Exception) -> Oddity:
        self._unreadable += 1
        if self._unreadable >= _UNREADABLE:
            raise SourceNonsense(
                f"sends frames that cannot be read: {beginning(frame)}", source=self._options.name, hint=ADDRESS
            )
        return Oddity(f"a frame that cannot be read ({type(error).__name__}): {beginning(frame)}")

    async def beat(self, tell: Tell) -> None:
        """Ping for ever and tell of each pong. Raises SourceDown when one does not come: it is half-open."""
        while True:
            try:
                async with asyncio.timeout(self._options.ping):
                    await (await self._stream._ws.ping())
            except TimeoutError:
                self._dead = True
                raise SourceDown(
                    f"no sign of life for {self._options.ping:g} s: the connection is half-open",
                    source=self._options.name,
                ) from None
            except Exception as error:
                self._raise(error)
            tell(Wire())
            await asyncio.sleep(self._options.ping)

    async def close(self) -> None:
        """Say goodbye, so that the account's one slot is free again; drop the socket if there is no answer."""
        socket = self._stream._ws
        if socket is None:
            return
        closing = None if self._dead else asyncio.create_task(socket.close())
        if closing is not None:
            await asyncio.wait([closing], timeout=_CLOSING)  # it takes no notice of being cancelled
        socket.transport.abort()
        ending = [socket.transfer_data_task, socket.close_connection_task, *([closing] if closing else [])]
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*ending, return_exceptions=True), _CLOSING)

    def _raise(self, error: Exception) -> NoReturn:
        raise self._trouble(error) from None

    def _trouble(self, error: Exception) -> SourceError:
        """What an exception out of alpaca-py or websockets is to us."""
        from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, WebSocketException
        from websockets.legacy.exceptions import InvalidStatusCode

        name = self._options.name
        if isinstance(error, SourceError):
            return error
        if isinstance(error, InvalidStatusCode):
            return handshake_refusal(error.status_code, error.headers, self._options, self._clock())
        if isinstance(error, InvalidHandshake) and not isinstance(error.__cause__, EOFError | OSError):
            return SourceNonsense(f"is no WebSocket: {beginning(str(error))}", source=name, hint=ADDRESS)
        if isinstance(error, ConnectionClosed) and error.sent is not None and error.sent.code == _TOO_BIG:
            return SourceNonsense("sends a frame of more than a million bytes", source=name, hint=ADDRESS)
        if isinstance(error, ConnectionClosed):
            return SourceDown(f"hung up ({error.rcvd or 'without a word'})", source=name)
        if isinstance(error, TimeoutError):
            return SourceDown("no answer in time", source=name)
        if isinstance(error, OSError | InvalidMessage):
            return SourceDown(f"cannot be reached or hung up ({type(error).__name__})", source=name)
        if isinstance(error, WebSocketException):
            return SourceNonsense(f"is no WebSocket: {beginning(str(error))}", source=name, hint=ADDRESS)
        if isinstance(error, ValueError | KeyError | TypeError | IndexError | AttributeError):
            return self._greeting(error)
        raise error

    def _greeting(self, error: Exception) -> SourceError:
        """alpaca-py tells why it was not let in by a text alone, or not at all: the frame itself says it."""
        import msgpack

        frame = getattr(self._stream._ws, "last", b"")
        with suppress(Exception):
            for message in msgpack.unpackb(frame):
                if message["T"] == "error":
                    return stream_refusal(message, self._options)
        return SourceNonsense(
            f"greets with what is not Alpaca's ({error}): {beginning(frame)}", source=self._options.name, hint=ADDRESS
        )


async def _unused(_: object) -> None:
    """alpaca-py subscribes to what has a handler; the frames are read here."""
