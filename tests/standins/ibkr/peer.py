"""One client's connection: the handshake, frames of null-terminated fields, the limit of 50 messages a second."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from tests.standins.ibkr.faults import Faults
from tests.standins.ibkr.log import Entry, Log

MESSAGES = 50
"""Messages a client may send in a second."""
OFFENCES = 3
Handler = Callable[["Peer", list[str]], None]


class Surface(Protocol):
    """A part of the gateway: what it answers, by message id; it is told of each client that is gone."""

    handlers: dict[str, Handler]

    def gone(self, peer: Peer) -> None: ...


class Peer(asyncio.Protocol):
    """Speaks to one client."""

    def __init__(
        self, version: int, handlers: dict[str, Handler], gone: Callable[[Peer], None], faults: Faults, log: Log,
        messages: int = MESSAGES,
    ) -> None:  # fmt: skip
        self.client = -1
        self._offered = version
        self._handlers = handlers
        self._gone = gone
        self._faults = faults
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._greeted = False
        self._times: deque[float] = deque()
        self._offences = 0
        self._most = messages
        self.version = 0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.note("connected")
        if self._faults.refuse:
            self.transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.note("closed", str(error or ""))
        self._gone(self)

    def note(self, what: str, *fields: str) -> None:
        """An entry of the log."""
        self._log.add(Entry(what, self.client, fields, self._loop.time()))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._greeted:
            if len(self._buffer) < 8:
                return
            if not self._buffer.startswith(b"API\0"):
                self.close()
                return
            self._buffer = self._buffer[4:]
        while len(self._buffer) >= 4:
            (length,) = struct.unpack(">I", self._buffer[:4])
            if len(self._buffer) < 4 + length:
                return
            frame, self._buffer = self._buffer[4 : 4 + length], self._buffer[4 + length :]
            if self._greeted:
                self._message(frame.decode().split("\0")[:-1])
            else:
                self._hello(frame.decode())

    def _hello(self, offer: str) -> None:
        """``v157..178``, perhaps followed by options: the newest version that both know."""
        self.note("received", offer)
        self._greeted = True
        least, most = (int(part) for part in offer.split()[0].lstrip("v").split(".."))
        self.version = min(self._offered, most)
        if self.version < least:
            self.close()
            return
        self.send(self.version, "20250415 19:38:30 US/Eastern")

    def _message(self, fields: list[str]) -> None:
        self.note("received", *fields)
        if self._too_fast() or self._faults.half_open or fields[0] in self._faults.silent:
            return
        handler = self._handlers.get(fields[0])
        if handler is None:
            self.error(-1, 321, f"Error validating request.-'bH' : cause - Unknown message id {fields[0]}")
            return
        try:
            handler(self, fields)
        except (IndexError, ValueError) as error:
            self.error(-1, 320, f"Error reading request. {error}")

    def _too_fast(self) -> bool:
        now = self._loop.time()
        self._times.append(now)
        while now - self._times[0] > 1.0:
            self._times.popleft()
        if len(self._times) <= self._most:
            return False
        self._times.clear()
        self._offences += 1
        self.error(-1, 100, "Max rate of messages per second has been exceeded.")
        if self._offences >= OFFENCES:
            self.close()
        return True

    def send(self, *fields: object) -> None:
        """Send one message."""
        text = [_text(field) for field in fields]
        self.raw(frame(text), text)

    def end(self, request: str, *fields: object) -> None:
        """End the answer to a request, unless its answers never end."""
        if request not in self._faults.endless:
            self.send(*fields)

    def send_together(self, messages: list[list[object]]) -> None:
        """Send several messages in one piece."""
        texts = [[_text(field) for field in fields] for fields in messages]
        self.raw(b"".join(frame(text) for text in texts), [field for text in texts for field in text])

    def raw(self, data: bytes, noted: list[str] | None = None) -> None:
        """Send bytes as they are."""
        if self._faults.slow:
            self._loop.call_later(self._faults.slow, self._write, data, noted)
        else:
            self._write(data, noted)

    def _write(self, data: bytes, noted: list[str] | None) -> None:
        if self._faults.half_open or self._faults.refuse or self.transport.is_closing():
            return
        if noted is not None and self._faults.cut >= 0 and noted[0] == self._faults.cut_at:
            self._cut(data)
            return
        self.note("sent", *(noted if noted is not None else [repr(data)]))
        self.transport.write(data)

    def _cut(self, data: bytes) -> None:
        count, self._faults.cut = self._faults.cut, -1
        self.note("cut", str(count))
        self.transport.write(data[:count])
        self.close()

    def error(self, request: int | str, code: int, text: str) -> None:
        """Send an error or a notice (id -1)."""
        more = [""] if self.version >= 166 else []
        self.send(4, 2, request, code, text, *more)

    def close(self) -> None:
        """Close once all is sent."""
        self.transport.close()

    def hang_up(self) -> None:
        """Reset the connection (RST)."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def frame(fields: list[str]) -> bytes:
    """Fields as they go over the wire."""
    payload = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(payload)) + payload


def _text(field: object) -> str:
    return ("1" if field else "0") if isinstance(field, bool) else str(field)
