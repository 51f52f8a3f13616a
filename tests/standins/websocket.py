"""A WebSocket server that says what a test scripts, and a wire that can be cut without either side noticing.

The server is the real library's; it keeps its own log of who came and what they said.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

Said = str | bytes
Answer = Callable[[Any], list[Any]]
"""Gets what a client said (JSON, or text that is none) and gives what to reply, each a message."""
DEADLINE = 10.0


class WebSocketServer:
    """Listens on a port of its own while the block runs.

    ``answer`` is asked what to reply to each message; ``greeting`` is sent to who connects; ``refuse`` is the HTTP
    status a connection is refused with (0: none is). ``log`` has each message that came, ``came`` the headers of each
    connection.
    """

    def __init__(self, answer: Answer, greeting: tuple[Any, ...] = (), refuse: int = 0) -> None:
        self.answer, self.greeting, self.refuse = answer, greeting, refuse
        self.retry_after = ""
        self.log: list[Any] = []
        self.came: list[dict[str, str]] = []
        self._news = threading.Condition()
        self._open: list[ServerConnection] = []
        self._server: Server = serve(
            self._talk, "127.0.0.1", 0, process_request=self._request, ping_interval=None, close_timeout=0.5
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="websocket", daemon=True)
        self.port = self._server.socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"

    def __enter__(self) -> WebSocketServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        for connection in list(self._open):
            connection.close()
        self._thread.join(5)

    def send(self, *messages: Any) -> None:
        """Say these to everyone who is connected: text and bytes as they are, all else as JSON."""
        for connection in list(self._open):
            for message in messages:
                connection.send(_said(message))

    def hang_up(self, code: int = 1000, reason: str = "") -> None:
        """Close every connection with a code."""
        for connection in list(self._open):
            connection.close(code, reason)

    def break_off(self) -> None:
        """End every connection without a word."""
        for connection in list(self._open):
            connection.socket.shutdown(socket.SHUT_RDWR)

    def until(self, right: Callable[[list[Any]], object]) -> None:
        """Wait until the log is as wanted."""
        with self._news:
            assert self._news.wait_for(lambda: right(self.log), DEADLINE), f"the log is {self.log}"

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.came.append({"path": request.path, **{name.lower(): value for name, value in request.headers.raw_items()}})
        if not self.refuse:
            return None
        body = b"<html><title>Sign in</title></html>"
        headers = Headers({"Content-Length": str(len(body)), "Content-Type": "text/html"})
        if self.retry_after:
            headers["Retry-After"] = self.retry_after
        return Response(self.refuse, HTTPStatus(self.refuse).phrase, headers, body)

    def _talk(self, connection: ServerConnection) -> None:
        self._open.append(connection)
        try:
            for message in self.greeting:
                connection.send(_said(message))
            for message in connection:
                said = _understood(message)
                with self._news:
                    self.log.append(said)
                    self._news.notify_all()
                for reply in self.answer(said):
                    connection.send(_said(reply))
        except ConnectionClosed:
            pass
        finally:
            self._open.remove(connection)


def _said(message: Any) -> Said:
    return message if isinstance(message, str | bytes) else json.dumps(message)


def _understood(message: Said) -> Any:
    try:
        return json.loads(message)
    except ValueError:
        return message


class Wire:
    """A TCP wire to a port. Once it is ``cut``, nothing passes, and neither side hears of it: half open."""

    def __init__(self, port: int) -> None:
        self.cut = threading.Event()
        self._to = port
        self._sockets: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, name="wire", daemon=True).start()

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in [self._listening, *self._sockets]:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                ours = self._listening.accept()[0]
            except OSError:
                return
            theirs = socket.create_connection(("127.0.0.1", self._to))
            self._sockets += [ours, theirs]
            for one, other in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._pass, args=(one, other), name="wire", daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                if not self.cut.is_set():
                    other.sendall(data)
            if not self.cut.is_set():
                other.shutdown(socket.SHUT_WR)
        except OSError:
            return
