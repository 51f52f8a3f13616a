"""One connection to Alpaca's stream of trade updates, in a thread of its own, through alpaca-py's own steps.

alpaca-py's ``run`` reconnects for ever, also with wrong keys, tells nobody when, and swallows what goes wrong; so its
steps are taken one by one, and one ``open`` is one session.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from appliance.clients.alpaca import remembering
from appliance.errors import VenueDown, VenueError, VenueNonsense, VenueSilent
from appliance.venues.alpaca.client import Clock
from appliance.venues.alpaca.options import AlpacaBrokerOptions
from appliance.venues.alpaca.reading import Odd, beginning, decoded
from appliance.venues.alpaca.rejections import ADDRESS, handshake, refused

_CLOSING = 1.0
"""Seconds for a close that the peer confirms; then the socket is dropped."""
_JOINING = 3.0


class Stream:
    """``take`` gets each message, decoded, where it can be (else the raw frame); ``end`` is told once why it ended by
    itself. Both are called in its thread and return at once."""

    def __init__(
        self,
        options: AlpacaBrokerOptions,
        clock: Clock,
        take: Callable[[object], None],
        end: Callable[[Exception], None],
    ) -> None:
        self._options, self._clock = options, clock
        self._take, self._end = take, end
        self._settled = threading.Event()
        self._listens = False
        self._closing = False
        self._error: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._talking: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"{options.name} stream", daemon=True)

    def open(self) -> None:
        """Connect, authenticate, listen; returns when updates will come. Raises VenueRefused, VenueDown, VenueBusy,
        VenueSilent, VenueNonsense."""
        self._thread.start()
        patience = self._options.connect + self._options.answer + 2 * _CLOSING
        if not self._settled.wait(patience):
            self.close()
            raise VenueSilent(f"its stream did not answer within {patience:g} s", venue=self._options.name)
        if not self._listens and self._error is not None:
            raise self._error

    @property
    def alive(self) -> bool:
        """Whether it still listens."""
        return self._listens and self._error is None

    def close(self) -> None:
        """End it; nothing more is told. From any thread, also its own; does not wait long for anybody."""
        self._closing = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._cancel)
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(_JOINING)

    def _cancel(self) -> None:
        talking, self._talking = self._talking, None  # once: a second time would end its goodbye
        if talking is not None:
            talking.cancel()

    def _run(self) -> None:
        error: Exception | None = None
        self._loop = loop = asyncio.new_event_loop()
        try:
            self._talking = talking = loop.create_task(self._talk())
            if self._closing:
                self._cancel()
            loop.run_until_complete(talking)
        except asyncio.CancelledError:
            pass
        except Exception as why:
            error = why
        finally:
            loop.close()  # unlike asyncio.run it waits for no look-up of a name that hangs
            self._ended(error or VenueDown("its stream was closed", venue=self._options.name))

    def _ended(self, error: Exception) -> None:
        listened, self._error = self._listens, error
        self._settled.set()
        if listened and not self._closing:
            self._end(error)

    async def _talk(self) -> None:
        stream = self._made()
        try:
            await self._listened(stream)
            self._listens = True
            self._settled.set()
            while True:
                self._told(await self._received(stream))
        finally:
            await _closed(stream._ws)

    async def _listened(self, stream: Any) -> None:
        """Until Alpaca confirms that it will tell."""
        try:
            async with asyncio.timeout(self._options.connect + self._options.answer):
                await stream._connect()
                await stream._auth()
                await stream._subscribe_trade_updates()
                while not _confirms(message := decoded(await stream._ws.recv())):
                    self._take(message)
        except Exception as error:
            raise self._trouble(error, stream) from None

    async def _received(self, stream: Any) -> bytes | str:
        try:
            frame: bytes | str = await stream._ws.recv()
            return frame
        except Exception as error:
            raise self._trouble(error, stream) from None

    def _told(self, frame: bytes | str) -> None:
        try:
            message = decoded(frame)
        except Odd:
            message = frame
        if not self._closing:
            self._take(message)

    def _made(self) -> Any:
        from alpaca.trading.stream import TradingStream

        options = self._options
        params = {
            "open_timeout": options.connect + options.answer, "ping_interval": options.ping,
            "ping_timeout": options.ping, "close_timeout": _CLOSING, "max_queue": 1024,
            "create_protocol": remembering(),
        }  # fmt: skip
        address = {"url_override": options.stream_url} if options.stream_url else {}
        made = TradingStream(
            options.key, options.secret, paper=options.paper, raw_data=True, websocket_params=params, **address
        )
        made.subscribe_trade_updates(_unused)
        return made

    def _trouble(self, error: Exception, stream: Any) -> Exception:
        """What an exception out of alpaca-py or websockets is to us."""
        from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, WebSocketException
        from websockets.legacy.exceptions import InvalidStatusCode

        name = self._options.name
        if isinstance(error, VenueError):
            return error
        if isinstance(error, InvalidStatusCode):
            return handshake(error.status_code, error.headers, self._options, self._clock())
        if isinstance(error, InvalidHandshake) and not isinstance(error.__cause__, EOFError | OSError):
            return VenueNonsense(f"its stream is no WebSocket: {beginning(str(error))}", venue=name, hint=ADDRESS)
        if isinstance(error, ConnectionClosed):
            return VenueDown(f"its stream hung up ({error.rcvd or error.sent or 'without a word'})", venue=name)
        if isinstance(error, TimeoutError):
            return VenueSilent("its stream did not answer in time", venue=name)
        if isinstance(error, OSError | InvalidMessage):
            return VenueDown(f"its stream cannot be reached or hung up ({type(error).__name__})", venue=name)
        if isinstance(error, WebSocketException):
            return VenueNonsense(f"its stream is no WebSocket: {beginning(str(error))}", venue=name, hint=ADDRESS)
        if isinstance(error, ValueError | KeyError | TypeError | AttributeError):
            return self._greeting(stream)
        return error

    def _greeting(self, stream: Any) -> VenueError:
        """alpaca-py tells why it was not let in by a text alone, or not at all: the frame itself says it."""
        frame = getattr(stream._ws, "last", b"")
        with suppress(Exception):
            status = decoded(frame)["data"]["status"]
            if status != "authorized":
                return refused(f"the stream says {str(status)[:40]!r}", self._options)
        return VenueNonsense(
            f"its stream greets with what is not Alpaca's: {beginning(frame)}", venue=self._options.name, hint=ADDRESS
        )


def _confirms(message: object) -> bool:
    """Whether this is the answer to our wish to listen. Raises ValueError where it leaves our stream out."""
    if not isinstance(message, dict) or message.get("stream") != "listening":
        return False
    if "trade_updates" not in message["data"]["streams"]:
        raise ValueError("it does not listen for us")
    return True


async def _closed(socket: Any) -> None:
    """Say goodbye, so that the account's one connection is free again; drop the socket if there is no answer."""
    if socket is None:
        return
    closing = asyncio.ensure_future(socket.close())
    await asyncio.wait([closing], timeout=_CLOSING)  # it takes no notice of being cancelled
    socket.transport.abort()
    ending = [socket.transfer_data_task, socket.close_connection_task, closing]
    keeping = getattr(socket, "keepalive_ping_task", None)
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*ending, *([keeping] if keeping else []), return_exceptions=True), 0.5)


async def _unused(_: object) -> None:
    """alpaca-py listens when there is a handler; the frames are read here."""
