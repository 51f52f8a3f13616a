"""One request to the data API through alpaca-py's client: with a deadline, without its retries, its errors ours."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

from appliance.data.sources.alpaca.options import AlpacaOptions
from appliance.data.sources.alpaca.refusals import ADDRESS, Limits, beginning, refusal
from appliance.errors import SourceDown, SourceError, SourceNonsense

Reply = dict[str, Any]
Clock = Callable[[], int]
_PIECE = 1 << 16
_LARGEST = 64 << 20
"""Bytes of a page of 10,000 rows are a few million; what never ends is no page."""


class Requests:
    """Questions to one base address, one at a time. ``make`` makes one of alpaca-py's clients.

    alpaca-py sets no time-out, sleeps and retries by itself, and parses an error's body without looking: here a request
    is sent once, its reply is read piece by piece until ``options.deadline``, and all that goes wrong is a SourceError.
    """

    def __init__(self, options: AlpacaOptions, make: Callable[..., Any], clock: Clock = time.time_ns) -> None:
        self._options = options
        self._clock = clock
        self._body = b""
        self._one = threading.Lock()
        self.limits = Limits(None, None, 0)
        url = options.rest_url.rstrip("/") or None
        self._client = make(api_key=options.key, secret_key=options.secret, raw_data=True, url_override=url)
        self._client._retry = 0
        session = self._client._session
        session.request = functools.partial(session.request, timeout=(options.connect, options.answer))
        session.hooks["response"].append(self._read)

    def get(self, path: str, params: dict[str, Any]) -> Reply:
        """The reply to one question. Raises SourceDown, SourceBusy, SourceNonsense, SourceRefused."""
        asked = str(params.get("symbols") or path)
        with self._one:
            self._body = b""
            try:
                reply = self._client.get(path, params)
            except Exception as error:
                raise self._trouble(error, asked) from None
            if not isinstance(reply, dict):
                raise self._nonsense(asked, "what is no market data")
            return reply

    def close(self) -> None:
        """Close the connections."""
        self._client._session.close()

    def _read(self, response: Any, **_: object) -> None:
        """Read the body before requests does it: its own time-out is for each piece, not for the whole."""
        self.limits = Limits.of(response.headers, self._clock())
        until = time.monotonic() + self._options.deadline
        pieces: list[bytes] = []
        size = 0
        while piece := response.raw.read1(_PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if time.monotonic() > until or size > _LARGEST:
                response.close()
                raise self._endless(size)
        response._content = self._body = b"".join(pieces)
        response._content_consumed = True

    def _endless(self, size: int) -> SourceError:
        return SourceDown(
            f"no whole reply within {self._options.deadline:g} s ({size} bytes came)", source=self._options.name
        )

    def _trouble(self, error: Exception, asked: str) -> SourceError:
        """What an exception out of alpaca-py, requests or urllib3 is to us. It may not show the keys: its text is not
        told where it could hold a request's headers."""
        import requests
        import urllib3
        from alpaca.common.exceptions import APIError

        name = self._options.name
        if isinstance(error, SourceError):
            return error
        if isinstance(error, APIError) and error.response is not None:
            response = error.response
            return refusal(response.status_code, response.text, response.headers, self._options, asked, self._clock())
        if isinstance(error, urllib3.exceptions.DecodeError):
            return self._nonsense(asked, "a damaged archive")
        if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
            return SourceDown(f"no answer within {self._options.answer:g} s", source=name)
        if isinstance(error, requests.JSONDecodeError | UnicodeDecodeError):
            return self._nonsense(asked, "what is no JSON")
        if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError | OSError):
            return SourceDown(f"cannot be reached or hung up ({type(error).__name__})", source=name, hint=_NETWORK)
        if isinstance(error, ValueError | RecursionError):  # JSON too deep, or with a number of thousands of digits
            return self._nonsense(asked, "what nobody can read")
        raise error

    def _nonsense(self, asked: str, what: str) -> SourceNonsense:
        return SourceNonsense(
            f"answers {asked} with {what}: {beginning(self._body)}", source=self._options.name, hint=ADDRESS
        )


_NETWORK = "check the network; it is tried again by itself"
