"""The stream of trade updates: authentication, listening, and events in binary frames of JSON."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.standins.alpaca.data_stream import drop
from tests.standins.alpaca.log import Log
from tests.standins.alpaca.trading_bodies import EVENTS, identity, instant, number, order_body
from tests.standins.alpaca.trading_faults import TradingFaults
from tests.standins.brokerage import Asset, Told

Message = dict[str, Any]
STREAM = "trade_updates"
BEFORE = {"new": ("pending_new",)}
"""Events that the stream tells before another, where it is told to."""


class TradeUpdates:
    """The connections of ``/stream``; lives in one event loop. ``limit``: how many there may be; ``patience``: seconds
    to authenticate; ``sequence``: the events told before an event of the brokerage's, by its name."""

    def __init__(self, keys: dict[str, str], limit: int, patience: float, faults: TradingFaults, log: Log) -> None:
        self.keys, self.limit, self.patience, self.faults, self.log = keys, limit, patience, faults, log
        self.sequence: dict[str, tuple[str, ...]] = {}
        self.sockets: dict[ServerConnection, asyncio.Task[None] | None] = {}
        self.listeners: dict[ServerConnection, None] = {}
        self._kept: list[Message] = []
        self._ended = asyncio.Event()
        self._late: dict[asyncio.Task[None], None] = {}

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """The handshake: refused with an HTTP status, or None to go on."""
        faults = self.faults
        if faults.reset:
            drop(connection)
        full = len(self.sockets) >= self.limit
        status = 429 if faults.busy or full else 406 if faults.taken else faults.broken
        if status:
            self.log.add("refused", request.path, status=status)
            headers = Headers({"Content-Length": "0", "Connection": "close"})
            if faults.retry_after:
                headers["Retry-After"] = str(faults.retry_after)
            return Response(status, HTTPStatus(status).phrase, headers, b"")
        return None if request.path == "/stream" else connection.respond(404, "no such endpoint\n")

    async def serve(self, socket: ServerConnection) -> None:
        """One connection from its beginning to its end."""
        self.sockets[socket] = asyncio.current_task()
        self.log.add("connected", "/stream")
        try:
            await self._authenticate(socket)
            while True:
                await self._take(socket, await self._receive(socket))
        except (ConnectionClosed, TimeoutError) as why:
            self.log.add("closed", "/stream", why=repr(why))
        finally:
            del self.sockets[socket]
            self.listeners.pop(socket, None)

    async def hear(self, told: Told, asset: Asset | None) -> None:
        """Tell what happened at the brokerage to all who listen."""
        for message in _messages(told, asset, self.sequence):
            for one in self._ordered(message):
                if self.faults.event_delay:
                    task = asyncio.create_task(self._tell_late(one, self.faults.event_delay))
                    self._late[task] = None
                    task.add_done_callback(self._late.pop)
                else:
                    await self.tell(one)

    async def tell(self, message: Message) -> None:
        """Send an event to all who listen."""
        faults = self.faults
        if faults.mute or faults.half_open or faults.deaf:
            self.log.add("untold", "/stream", message=message)
            return
        for socket in list(self.listeners):
            await self._write(socket, message)

    async def raw(self, frame: bytes | str) -> None:
        """Send a frame to all who listen as it is."""
        for socket in list(self.listeners):
            with suppress(ConnectionClosed):
                await socket.send(frame)

    async def hang_up(self) -> None:
        """Reset every connection."""
        for socket in list(self.sockets):
            self.log.add("hung up", "/stream")
            drop(socket)

    async def freeze(self, half_open: bool) -> None:
        """Stop reading (pings too) or go on."""
        for socket in list(self.sockets):
            transport = socket.transport
            if half_open:
                transport.pause_reading()  # type: ignore[attr-defined]
            elif not transport.is_closing():
                transport.resume_reading()  # type: ignore[attr-defined]

    async def end(self) -> None:
        """Drop all connections."""
        self._ended.set()
        for socket, task in list(self.sockets.items()):
            socket.transport.abort()
            if task is not None:
                task.cancel()

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _authenticate(self, socket: ServerConnection) -> None:
        """Wrong keys are told so, and may be tried again on the same connection."""
        async with asyncio.timeout(self.patience):
            while True:
                message = await self._receive(socket)
                data = _data(message)
                key = str(data.get("key_id", message.get("key")))
                secret = data.get("secret_key", message.get("secret"))
                right = message.get("action") in ("authenticate", "auth") and self.keys.get(key) == secret is not None
                status = "authorized" if right else "unauthorized"
                answer = {"status": status, "action": message.get("action")}
                await self._write(socket, {"stream": "authorization", "data": answer})
                if right:
                    return

    async def _take(self, socket: ServerConnection, message: Message) -> None:
        if message.get("action") != "listen":
            return await self._write(socket, {"stream": "error", "data": {"error": "invalid action"}})
        wanted = _data(message).get("streams")
        heard = [STREAM] if isinstance(wanted, list) and STREAM in wanted else []
        if heard:
            self.listeners[socket] = None
        else:
            self.listeners.pop(socket, None)
        return await self._write(socket, {"stream": "listening", "data": {"streams": heard}})

    async def _receive(self, socket: ServerConnection) -> Message:
        frame = await socket.recv()
        await self._pause()
        try:
            message = json.loads(frame)
        except ValueError:
            message = {}
        message = message if isinstance(message, dict) else {}
        shown = {**message, "data": "***"} if message.get("action") in ("authenticate", "auth") else message
        self.log.add("received", "/stream", message=shown)
        return message

    async def _pause(self) -> None:
        while (self.faults.half_open or self.faults.deaf) and not self._ended.is_set():
            await self._wait(0.02)
        await self._wait(self.faults.latency)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            if seconds:
                await asyncio.wait_for(self._ended.wait(), seconds)

    async def _write(self, socket: ServerConnection, message: Message) -> None:
        self.log.add("sent", "/stream", message=message)
        text = "{ this is no JSON" if self.faults.garbled else json.dumps(message, separators=(",", ":"))
        with suppress(ConnectionClosed):
            await socket.send(text if self.faults.text_frames else text.encode())

    async def _tell_late(self, message: Message, seconds: float) -> None:
        await self._wait(seconds)
        await self.tell(message)

    def _ordered(self, message: Message) -> list[Message]:
        """What is to be told now: nothing, the event, the event twice, or it and one that was kept back."""
        faults = self.faults
        if faults.use("lost_events"):
            self.log.add("lost", "/stream", message=message)
            return []
        if faults.new_event:
            message = {**message, "data": {**message["data"], "event": faults.new_event}}
        if faults.new_status:
            data = message["data"]
            message = {**message, "data": {**data, "order": {**data["order"], "status": faults.new_status}}}
        if faults.use("swapped_events"):
            self._kept.append(message)
            return []
        told, self._kept = [message, *self._kept], []
        return [one for one in told for _ in range(2)] if faults.twice else told


def _data(message: Message) -> Message:
    data = message.get("data")
    return data if isinstance(data, dict) else {}


def _messages(told: Told, asset: Asset | None, sequence: dict[str, tuple[str, ...]]) -> list[Message]:
    """The events of what happened at a brokerage."""
    if told.order is None:
        return []
    order, execution = order_body(told.order, asset), told.execution
    data: Message = {"order": order, "timestamp": instant(told.order.updated)}
    if execution is not None:
        data |= {
            "timestamp": instant(execution.time), "price": number(execution.price), "qty": number(execution.quantity),
            "position_qty": number(execution.holding),
            "execution_id": identity("execution", execution.number, execution.revision),
        }  # fmt: skip
        if execution.revision > 1:
            data["previous_execution_id"] = identity("execution", execution.number, execution.revision - 1)
    names = (*sequence.get(told.what, ()), EVENTS.get(told.what, told.what))
    return [
        {"stream": STREAM, "data": {"event": name, **data, "order": _as_of(order, name, told.what)}} for name in names
    ]


def _as_of(order: Message, name: str, what: str) -> Message:
    """The order at an event that comes before the brokerage's own has that event's status."""
    return order if name == EVENTS.get(what, what) else {**order, "status": name}
