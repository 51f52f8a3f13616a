"""HTTP over real sockets for any of the REST surfaces: keys, rate limit, gzip, and what can go wrong."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from tests.standins.alpaca.data_rest import Reply, Request
from tests.standins.alpaca.faults import Faults
from tests.standins.alpaca.log import Log
from tests.standins.alpaca.trading_faults import Mishap

SECOND = 1_000_000_000
WINDOW = 60
HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>\r\n"


class Surface(Protocol):
    """Some of the paths."""

    def answer(self, request: Request) -> Reply | None: ...


class Allowance:
    """So many requests in each minute of the clock, as Alpaca counts them."""

    def __init__(self, limit: int, clock: Callable[[], int]) -> None:
        self.limit = limit
        self._clock, self._lock = clock, threading.Lock()
        self._window, self._used = 0, 0

    def take(self) -> tuple[bool, dict[str, str]]:
        """Whether one more is allowed, and the headers that tell how many are left until when."""
        with self._lock:
            window = self._clock() // SECOND // WINDOW
            self._used = self._used + 1 if window == self._window else 1
            self._window = window
            left = self.limit - self._used
        headers = {"Limit": self.limit, "Remaining": max(left, 0), "Reset": (window + 1) * WINDOW}
        return left >= 0, {f"X-RateLimit-{name}": str(value) for name, value in headers.items()}


class RestServer(ThreadingHTTPServer):
    """One thread for each connection; ``closing`` ends what waits."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, surfaces: Sequence[Surface], keys: dict[str, str], limit: int, faults: Faults, log: Log,
        clock: Callable[[], int], port: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(("127.0.0.1", port), _Handler)
        self.surfaces, self.keys, self.faults, self.log = surfaces, keys, faults, log
        self.allowance = Allowance(limit, clock)
        self.clock = clock
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="alpaca-rest", daemon=True)
        self.numbers = itertools.count(1)
        self._timers: list[threading.Timer] = []
        self._connections: dict[socket.socket, None] = {}

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up; that is theirs to say."""

    def later(self, seconds: float, job: Callable[[], object]) -> None:
        """Do a job so much later."""
        timer = threading.Timer(seconds, job)
        self._timers.append(timer)
        timer.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """One connection more."""
        self._connections[request] = None
        self.log.add("accepted connection")
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """One connection less."""
        self._connections.pop(request, None)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Reset every connection, as it is between two requests."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Serve no more."""
        self.closing.set()
        for timer in self._timers:
            timer.cancel()
        self.shutdown()
        self.server_close()
        self.hang_up()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: RestServer

    def do_GET(self) -> None:
        """One request: logged, delayed, perhaps refused or damaged, answered."""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        request = Request(url.path, query, self.command, self._body())
        server, faults = self.server, self.server.faults
        server.log.add(
            "request", url.path, method=self.command, query=query, body=request.body,
            key=self.headers.get("APCA-API-KEY-ID"),
        )  # fmt: skip
        while faults.mute or faults.half_open:
            if server.closing.wait(0.02):
                return
        if faults.latency and server.closing.wait(faults.latency):
            return
        if faults.reset:
            _reset(self.connection)
            self.close_connection = True
            return
        self._reply(request)

    do_POST = do_PATCH = do_DELETE = do_PUT = do_GET

    def _body(self) -> Any:
        """The JSON of the request; text where it is none."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            return json.loads(raw, parse_float=Decimal) if raw else None
        except ValueError:
            return raw.decode(errors="replace")

    def _reply(self, request: Request) -> None:
        faults = self.server.faults
        allowed, headers = self.server.allowance.take()
        if faults.retry_after:
            headers["Retry-After"] = str(faults.retry_after)
        if faults.broken or faults.html:
            return self._send(faults.broken or 200, HTML, {**headers, "Content-Type": "text/html"})
        headers["Content-Type"] = "application/json; charset=UTF-8"
        headers["X-Request-ID"] = f"{next(self.server.numbers):032x}"
        if (mishap := faults.mishap(request)) is not None:
            return self._befall(request, mishap, headers)
        return self._tell(self._refused(allowed) or self._answer(request), headers)

    def _tell(self, reply: Reply, headers: dict[str, str]) -> None:
        body = b"" if reply.body is None else json.dumps(reply.body, separators=(",", ":")).encode()
        self._send(reply.status, body, headers)

    def _befall(self, request: Request, mishap: Mishap, headers: dict[str, str]) -> None:
        """Carry the request out or not, and answer it amiss."""
        reply = self._answer(request) if mishap.done else Reply(500, None)
        if mishap.later:
            self.server.later(mishap.later, lambda: self._answer(request))
        if mishap.hang:
            return self._wait_for_the_client_to_go()
        if self.server.closing.wait(mishap.after):
            return None
        if mishap.cut >= 0:
            return self._cut(reply, mishap, headers)
        if mishap.status:
            return self._send(mishap.status, mishap.text, {**headers, "Content-Type": mishap.kind})
        return self._tell(reply, headers)

    def _cut(self, reply: Reply, mishap: Mishap, headers: dict[str, str]) -> None:
        """Only the first bytes of the answer, then the end of the connection."""
        wire, self.wfile = self.wfile, io.BytesIO()  # type: ignore[assignment]
        self._tell(reply, headers)
        answer, self.wfile = self.wfile.getvalue(), wire  # type: ignore[attr-defined]
        self.wfile.write(answer[: mishap.cut])
        self.wfile.flush()
        self.close_connection = True
        if not mishap.end:
            _reset(self.connection)

    def _wait_for_the_client_to_go(self) -> None:
        self.close_connection = True
        while not self.server.closing.is_set():
            if select.select([self.connection], [], [], 0.05)[0] and not self.connection.recv(1, socket.MSG_PEEK):
                return

    def _refused(self, allowed: bool) -> Reply | None:
        key = self.headers.get("APCA-API-KEY-ID", "")
        if not key or self.server.keys.get(key) != self.headers.get("APCA-API-SECRET-KEY"):
            return Reply(401, {"message": "unauthorized"})
        if self.server.faults.busy or not allowed:
            return Reply(429, {"code": 42910000, "message": "rate limit exceeded"})
        return None

    def _answer(self, request: Request) -> Reply:
        answers = (surface.answer(request) for surface in self.server.surfaces)
        return next(filter(None, answers), Reply(404, {"message": "endpoint not found."}))

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        damaged = self.server.faults.damaged
        if damaged == "json":
            body = body[: len(body) // 2]
        if "gzip" in self.headers.get("Accept-Encoding", "") and len(body) > 200:
            body, headers = gzip.compress(body, 1), {**headers, "Content-Encoding": "gzip"}
            if damaged == "gzip":
                body = body[: len(body) // 2]
        self.send_response(status)
        for name, value in ({**headers, "Content-Length": str(len(body))} if status != 204 else headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.server.log.add("reply", self.path.partition("?")[0], status=status, bytes=len(body))
        self._write(body[: len(body) // 2] if damaged == "short" else body)
        if damaged == "short":
            self.close_connection = True

    def _write(self, body: bytes) -> None:
        drip = self.server.faults.drip
        for at in range(0, len(body), 8) if drip else ():
            self.wfile.write(body[at : at + 8])
            self.wfile.flush()
            if self.server.closing.wait(drip):
                return
        if not drip:
            self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The server's own clock."""
        return formatdate(self.server.clock() / SECOND if timestamp is None else timestamp, usegmt=True)

    def log_message(self, *args: object) -> None:
        """The log is kept elsewhere."""


def _reset(connection: socket.socket) -> None:
    """Close with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def now() -> int:
    """The machine's clock (ns UTC)."""
    return time.time_ns()
