"""The data WebSocket: welcome, authentication, subscription, and frames of msgpack (or JSON, as the client asked)."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import msgpack
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.standins.alpaca.faults import Faults
from tests.standins.alpaca.log import Log
from tests.standins.alpaca.market import Row, written

Message = dict[str, Any]
PATH = re.compile(r"/v2/(iex|sip|delayed_sip|test)|/v1beta3/crypto/us")
CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections", "cancelErrors")
CRYPTO_CHANNELS = ("trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars")
CHANNEL_OF = {
    "t": "trades", "q": "quotes", "b": "bars", "u": "updatedBars", "d": "dailyBars", "s": "statuses", "l": "lulds",
    "c": "corrections", "x": "cancelErrors", "o": "orderbooks",
}  # fmt: skip
ERRORS = {
    400: "invalid syntax", 401: "not authenticated", 402: "auth failed", 403: "already authenticated",
    404: "auth timeout", 405: "symbol limit exceeded", 406: "connection limit exceeded", 407: "slow client",
    408: "v2 not enabled", 409: "insufficient subscription", 410: "invalid subscribe action for this feed",
    411: "insufficient scope", 500: "internal error",
}  # fmt: skip
STAYING = (400, 403, 405, 410)
"""After these errors the connection stays."""
COUNTED = ("trades", "quotes")
WITH_TRADES = ("corrections", "cancelErrors")
"""Who subscribes to trades hears what becomes of them."""


class Bye(Exception):
    """The connection is to be closed."""


class Client:
    """One connection: what it subscribed to, and how its frames are packed."""

    def __init__(self, socket: ServerConnection, market: str, binary: bool) -> None:
        self.socket, self.binary = socket, binary
        self.channels = CRYPTO_CHANNELS if market == "crypto" else CHANNELS
        self.subscribed: dict[str, list[str]] = {channel: [] for channel in self.channels}
        self.authenticated = False

    def hears(self, message: Message) -> bool:
        """Whether a message is of what it subscribed to."""
        return not {message.get("S"), "*"}.isdisjoint(self.subscribed.get(CHANNEL_OF.get(message["T"], ""), ()))

    def packed(self, messages: list[Message]) -> bytes | str:
        """A frame: an array, times as msgpack Timestamps, or as text in JSON."""
        if not self.binary:
            return json.dumps([written(one) if "t" in one else one for one in messages])
        frame: bytes = msgpack.packb([_stamped(one) for one in messages])
        return frame


class DataStream:
    """The connections of all endpoints; lives in one event loop. ``limit``: symbols of trades and quotes together."""

    def __init__(self, keys: dict[str, str], limit: int, patience: float, faults: Faults, log: Log) -> None:
        self.keys, self.limit, self.patience, self.faults, self.log = keys, limit, patience, faults, log
        self.clients: dict[str, Client] = {}
        self._ended = asyncio.Event()
        self.sockets: dict[ServerConnection, asyncio.Task[None] | None] = {}

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """The handshake: refused with an HTTP status, or None to go on."""
        faults = self.faults
        if faults.reset:
            drop(connection)
        if faults.busy or faults.broken:
            status = HTTPStatus(429 if faults.busy else faults.broken)
            self.log.add("refused", request.path, status=int(status))
            headers = Headers({"Content-Length": "0", "Connection": "close"})
            if faults.retry_after:
                headers["Retry-After"] = str(faults.retry_after)
            return Response(status, status.phrase, headers, b"")
        return None if PATH.fullmatch(request.path) else connection.respond(404, "no such endpoint\n")

    async def serve(self, socket: ServerConnection) -> None:
        """One connection from its welcome to its end."""
        assert socket.request is not None
        self.sockets[socket] = asyncio.current_task()
        path = socket.request.path
        binary = socket.request.headers.get("Content-Type") == "application/msgpack"
        client = Client(socket, "crypto" if "crypto" in path else "stocks", binary)
        self.log.add("connected", path, agent=socket.request.headers.get("User-Agent"), binary=binary)
        try:
            await self._send(client, {"T": "success", "msg": "connected"})
            await self._authenticate(client, path)
            while True:
                await self._take(client, await self._receive(client))
        except (Bye, ConnectionClosed) as why:
            self.log.add("closed", path, why=repr(why))
        finally:
            del self.sockets[socket]
            if self.clients.get(path) is client:
                del self.clients[path]

    async def push(self, messages: list[Message]) -> int:
        """Send messages to whom they are for, each connection one frame; to how many it went."""
        if self.faults.mute or self.faults.half_open:
            return 0
        messages = self.faults.twisted(messages)
        clients = [(client, [one for one in messages if client.hears(one)]) for client in self.clients.values()]
        clients = [(client, mine) for client, mine in clients if mine]
        for client, mine in clients:
            await self._write(client, b"\xc1 this is no msgpack" if self.faults.garbled else client.packed(mine))
        self.log.add("pushed", messages=messages, to=len(clients))
        return len(clients)

    async def raw(self, frame: bytes | str) -> None:
        """Send a frame to all as it is."""
        for client in list(self.clients.values()):
            await self._write(client, frame)

    async def error(self, code: int) -> None:
        """Say an error to all, and close where Alpaca does."""
        for client in list(self.clients.values()):
            try:
                await self._refuse(client, code)
            except Bye:
                await client.socket.close()

    async def hang_up(self) -> None:
        """Reset every connection."""
        for client in list(self.clients.values()):
            self.log.add("hung up")
            drop(client.socket)

    async def freeze(self, half_open: bool) -> None:
        """Stop reading (pings too) or go on."""
        for one in list(self.sockets):
            transport = one.transport
            if half_open:
                transport.pause_reading()  # type: ignore[attr-defined]
            elif not transport.is_closing():
                transport.resume_reading()  # type: ignore[attr-defined]

    async def end(self) -> None:
        """Drop all connections."""
        self._ended.set()
        for one, task in list(self.sockets.items()):
            one.transport.abort()
            if task is not None:
                task.cancel()

    async def _authenticate(self, client: Client, path: str) -> None:
        try:
            async with asyncio.timeout(self.patience):
                message = await self._receive(client)
        except TimeoutError:
            await self._refuse(client, 404)
        await self._delay()
        key = str(message.get("key"))
        if message.get("action") != "auth":
            await self._refuse(client, 401)
        if key not in self.keys or self.keys[key] != message.get("secret"):
            await self._refuse(client, 402)
        if self.faults.greeting:
            await self._refuse(client, self.faults.greeting)
        if self.faults.taken or path in self.clients:
            await self._refuse(client, 406)
        self.clients[path] = client
        await self._send(client, {"T": "success", "msg": "authenticated"})

    async def _take(self, client: Client, message: Message) -> None:
        await self._delay()
        action = message.pop("action", None)
        if action == "auth":
            return await self._refuse(client, 403)
        if self.faults.subscribing:
            return await self._refuse(client, self.faults.subscribing)
        if action not in ("subscribe", "unsubscribe") or not all(isinstance(one, list) for one in message.values()):
            return await self._refuse(client, 400)
        if not set(message) <= set(client.channels) - {self.faults.without}:
            return await self._refuse(client, 410)
        after = {
            channel: _after(client.subscribed[channel], message.get(channel, []), action) for channel in client.channels
        }
        if sum(len(after[channel]) for channel in COUNTED) > self.limit:
            return await self._refuse(client, 405)
        for channel in WITH_TRADES:
            if channel in after:
                after[channel] = list(after["trades"])
        client.subscribed = after
        return await self._send(client, {"T": "subscription", **client.subscribed})

    async def _receive(self, client: Client) -> Message:
        """A message of the client, whose frames may come in fragments."""
        parts = [part async for part in client.socket.recv_streaming(decode=False)]
        frame = b"".join(parts)
        try:
            message = msgpack.unpackb(frame) if client.binary else json.loads(frame)
        except ValueError:
            message = None
        shown = (
            {**message, **({"secret": "***"} if "secret" in message else {})} if isinstance(message, dict) else message
        )
        self.log.add("received", client.socket.request.path, message=shown, fragments=len(parts), bytes=len(frame))  # type: ignore[union-attr]
        return message if isinstance(message, dict) else {"action": None}

    async def _refuse(self, client: Client, code: int) -> None:
        await self._send(client, {"T": "error", "code": code, "msg": ERRORS[code]})
        if code not in STAYING:
            raise Bye(ERRORS[code])

    async def _send(self, client: Client, message: Message) -> None:
        self.log.add("sent", client.socket.request.path, message=message)  # type: ignore[union-attr]
        await self._write(client, client.packed([message]))

    async def _write(self, client: Client, frame: bytes | str) -> None:
        with suppress(ConnectionClosed):
            await client.socket.send(frame)

    async def _delay(self) -> None:
        while self.faults.half_open and not self._ended.is_set():
            await self._pause(0.02)
        await self._pause(self.faults.latency)

    async def _pause(self, seconds: float) -> None:
        """So long, or until the end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)


def drop(connection: ServerConnection) -> None:
    """Close with RST."""
    raw = connection.transport.get_extra_info("socket")
    with suppress(OSError):  # it is closed already
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.transport.abort()


def _stamped(message: Row) -> Row:
    return {**message, "t": msgpack.Timestamp.from_unix_nano(message["t"])} if "t" in message else message


def _after(before: list[str], named: list[str], action: str) -> list[str]:
    if action == "subscribe":
        return list(dict.fromkeys([*before, *named]))
    return [symbol for symbol in before if symbol not in named]
