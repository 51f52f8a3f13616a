"""A web server that answers what a test scripts, over a real socket, and keeps its own log of what it was asked.

Faults are made on the wire: slow, hanging up, truncated, endless, web pages in place of data.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

LOGIN = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in</body></html>"


class Request(Struct, frozen=True):
    """One request as it came in; header names are in lower case."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Reply(Struct, frozen=True):
    """What is answered. ``zipped``: the body is gzipped; ``cut``: so many bytes are missing at its end, and the length
    is that of what is sent; ``hang_up``: the connection ends after so many bytes of it, while the length promised all;
    ``after``: seconds before anything is sent; ``endless``: the body is sent again and again; ``dribble``: seconds
    after each byte of it."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = {}
    zipped: bool = False
    cut: int = 0
    hang_up: int = -1
    after: float = 0.0
    endless: bool = False
    dribble: float = 0.0


Answer = Callable[[Request], Reply]


def as_json(value: Any, **changed: Any) -> Reply:
    """A reply with a value as JSON."""
    return Reply(json.dumps(value).encode(), **changed)


class HttpServer:
    """Listens on a port of its own while the block runs. ``faults`` are the first replies, one each; then ``answer`` is
    asked. ``log`` has every request, in order."""

    def __init__(self, answer: Answer, faults: list[Reply] | None = None) -> None:
        self.answer = answer
        self.faults = faults or []
        self.log: list[Request] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="http", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HttpServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def reply(self, request: Request) -> Reply:
        """Log a request and choose what is answered."""
        with self._lock:
            self.log.append(request)
            return self.faults.pop(0) if self.faults else self.answer(request)


def _handler(server: HttpServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.reply(Request(parts.path, dict(parse_qsl(parts.query)), headers))
            if reply.after:
                server.closing.wait(reply.after)
            try:
                self._send(reply)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client had enough

        def _send(self, reply: Reply) -> None:
            body = gzip.compress(reply.body) if reply.zipped else reply.body
            body = body[: len(body) - reply.cut]
            self.send_response(reply.status)
            for name, value in _headers(reply).items():
                self.send_header(name, value)
            if reply.endless:
                self.end_headers()
                self.close_connection = True
                while not server.closing.is_set():
                    self.wfile.write(body)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if reply.hang_up >= 0:
                body, self.close_connection = body[: reply.hang_up], True
            if reply.dribble:
                self._dribble(body, reply.dribble)
            else:
                self.wfile.write(body)

        def _dribble(self, body: bytes, pause: float) -> None:
            for byte in body:
                self.wfile.write(bytes([byte]))
                if server.closing.wait(pause):
                    return

        def log_message(self, format: str, *args: object) -> None:
            """The log is the server's, not the terminal's."""

    return Handler


def _headers(reply: Reply) -> Mapping[str, str]:
    return {
        "Content-Type": "application/json",
        **reply.headers,
        **({"Content-Encoding": "gzip"} if reply.zipped else {}),
    }
