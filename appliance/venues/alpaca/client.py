"""Requests to the trading API through alpaca-py's client: sent once, with deadlines, and all that goes wrong is ours.

alpaca-py sets no time-out, posts an order again after a 504, and parses an error's body without looking. Here nothing
is sent twice; each of several threads has a connection of its own, so that a cancel waits for nobody's answer.
"""

from __future__ import annotations

import functools
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from appliance.errors import VenueDown, VenueError, VenueNonsense, VenueSilent
from appliance.venues.alpaca.options import AlpacaBrokerOptions
from appliance.venues.alpaca.reading import Odd, beginning, decoded
from appliance.venues.alpaca.rejections import ADDRESS, Declined, Limits, trouble

Clock = Callable[[], int]
OnLimits = Callable[[int, int], None]
"""Takes what a reply says of the rate limit: requests left, and when the window ends (ns UTC)."""
Params = Mapping[str, Any]
_PIECE = 1 << 16
_LARGEST = 16 << 20
"""Bytes: 500 orders are under a million; what never ends is no answer."""
_NETWORK = "check the network, and the broker's url where the settings name one; the box tries again by itself"


class Requests:
    """One account's connections. From any thread."""

    def __init__(self, options: AlpacaBrokerOptions, clock: Clock, limits: OnLimits) -> None:
        self._options, self._clock, self._limits = options, clock, limits
        self._idle: list[Line] = []
        self._one = threading.Lock()
        self._closed = False

    def ask(self, method: str, path: str, data: Params | None = None) -> Any:
        """The decoded body of an answer 2xx, None for an empty one. Raises Declined, and VenueDown, VenueBusy,
        VenueSilent, VenueNonsense, VenueRefused."""
        line = self._taken()
        try:
            found = line.ask(method, path, data)
        except Declined:
            self._give_back(line)
            raise
        except BaseException:
            line.close()  # what comes late on it must not answer another question
            raise
        self._give_back(line)
        return found

    def close(self) -> None:
        """Close the connections; those on which an answer is awaited close with it."""
        with self._one:
            self._closed, idle, self._idle = True, self._idle, []
        for line in idle:
            line.close()

    def _taken(self) -> Line:
        with self._one:
            if self._closed:
                raise VenueDown("the connection is closed", venue=self._options.name)
            if self._idle:
                return self._idle.pop()
        return Line(self._options, self._clock, self._limits)

    def _give_back(self, line: Line) -> None:
        with self._one:
            if not self._closed:
                self._idle.append(line)
                return
        line.close()


class Line:
    """One of alpaca-py's clients with one connection, for one request at a time."""

    def __init__(self, options: AlpacaBrokerOptions, clock: Clock, limits: OnLimits) -> None:
        self._options, self._clock, self._limits = options, clock, limits
        self._status, self._raw, self._until = 0, b"", 0.0
        self._client = _client(options)
        self._client._retry = 0
        session = self._client._session
        session.request = functools.partial(session.request, timeout=(options.connect, options.answer))
        session.hooks["response"].append(self._read)

    def ask(self, method: str, path: str, data: Params | None) -> Any:
        """See ``Requests.ask``."""
        asked = f"{method} {path}"
        self._status, self._raw = 0, b""
        self._until = time.monotonic() + self._options.connect + self._options.deadline
        try:
            getattr(self._client, method.lower())(path, data)
        except Exception as error:
            raise self._trouble(error, asked) from None
        if not 200 <= self._status < 300:  # alpaca-py follows no redirection and takes it for an answer
            raise self._nonsense(asked, f"HTTP {self._status}")
        try:
            return decoded(self._raw) if self._raw.strip() else None
        except Odd as odd:
            raise self._nonsense(asked, str(odd)) from None

    def close(self) -> None:
        """Close the connection."""
        self._client._session.close()

    def _read(self, response: Any, **_: object) -> None:
        """Read the body before requests does it: its own time-out is for each piece, not for the whole. What alpaca-py
        is given is not parsed to floats on the way."""
        limits = Limits.of(response.headers, self._clock())
        if limits.remaining is not None and limits.resets is not None:
            self._limits(limits.remaining, limits.resets)
        pieces: list[bytes] = []
        size = 0
        while piece := response.raw.read1(_PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if time.monotonic() > self._until or size > _LARGEST:
                response.close()
                raise VenueSilent(
                    f"no whole answer within {self._options.deadline:g} s ({size} bytes came)", venue=self._options.name
                )
        self._status, self._raw = response.status_code, b"".join(pieces)
        response._content, response._content_consumed = self._raw, True
        response.encoding = "utf-8"
        response.json = dict

    def _trouble(self, error: Exception, asked: str) -> VenueError | Declined:
        """What an exception out of alpaca-py, requests or urllib3 is to us. It may not show the keys: its text is not
        told where it could hold a request's headers."""
        import requests
        import urllib3
        from alpaca.common.exceptions import APIError

        name = self._options.name
        if isinstance(error, VenueError):
            return error
        if isinstance(error, APIError) and error.response is not None:
            headers = error.response.headers
            return trouble(self._status, self._raw, headers, asked, self._options, self._clock())
        if isinstance(error, requests.RequestException) and _never_connected(error):
            where = urlsplit(str(error.request.url)).netloc if error.request is not None else "its address"
            return VenueDown(f"{where} cannot be reached ({_why(error)})", venue=name, hint=_NETWORK)
        if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
            return VenueSilent(f"no answer to {asked} within {self._options.answer:g} s", venue=name)
        if isinstance(error, urllib3.exceptions.DecodeError | UnicodeDecodeError):
            return self._nonsense(asked, "a damaged answer")
        if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError | OSError):
            return VenueSilent(f"hung up on {asked} ({_why(error)})", venue=name, hint=_NETWORK)
        raise error

    def _nonsense(self, asked: str, what: str) -> VenueNonsense:
        return VenueNonsense(
            f"answers {asked} with {what}: {beginning(self._raw)}", venue=self._options.name, hint=ADDRESS
        )


def load() -> None:
    """Load alpaca-py, and pandas with it."""
    import alpaca.trading.client
    import alpaca.trading.stream  # noqa: F401


def _client(options: AlpacaBrokerOptions) -> Any:
    from alpaca.trading.client import TradingClient

    url = options.url.rstrip("/") or None
    return TradingClient(options.key, options.secret, paper=options.paper, raw_data=True, url_override=url)


def _never_connected(error: Exception) -> bool:
    """Whether an exception of requests says that nothing was sent: the connection itself did not come about."""
    import requests
    import urllib3

    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    kinds = urllib3.exceptions
    if isinstance(reason, kinds.SSLError):
        return isinstance(reason.args[0] if reason.args else None, ssl.SSLCertVerificationError)
    return isinstance(reason, kinds.NewConnectionError | kinds.ConnectTimeoutError)


def _why(error: Exception) -> str:
    reason = getattr(error.args[0] if error.args else None, "reason", error)
    return type(reason).__name__
