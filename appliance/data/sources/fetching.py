"""One HTTP request: with a deadline and a bound, without retries or redirects, and everything that goes wrong named."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from msgspec import Struct

from appliance.data.sources.mapping import shown
from appliance.data.sources.moments import whole
from appliance.data.sources.templates import Secrets
from appliance.data.sources.unpacking import TooLarge, Truncated, unpacked
from appliance.domain.market import SECOND
from appliance.errors import SourceBusy, SourceDown, SourceError, SourceNonsense, SourceRefused

PIECE = 1 << 16
_GZIP = b"\x1f\x8b"
_TITLE = re.compile(rb"<title[^>]*>(.{1,200}?)</title>", re.I | re.S)
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.I)
_NOT_JSON = (b"NaN", b"Infinity")
_ADDRESS = "check the source's url, and what stands between us and it"
_NETWORK = "check the network and the source's url; it is tried again by itself"
EPOCH = 1_000_000_000
"""A reset above this counts seconds since 1970, below it seconds from now."""


class Bounds(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds to ``connect``, between two pieces of an answer (``read``) and for all of it (``whole``); ``largest`` is
    the most bytes an answer may have, unpacked."""

    connect: float = 5.0
    read: float = 10.0
    whole: float = 30.0
    largest: int = 64 << 20


class Fetcher:
    """Asks one server, one question at a time. ``remaining`` and ``resets`` (ns UTC) are what the last reply said of
    its rate limit; None: it did not. A redirection is not followed, so that no secret goes to another address."""

    def __init__(self, name: str, bounds: Bounds, secrets: Secrets, clock: Callable[[], int] = time.time_ns) -> None:
        import requests

        self.remaining: int | None = None
        self.resets: int | None = None
        self._name, self._bounds, self._secrets, self._clock = name, bounds, secrets, clock
        self._session = requests.Session()
        self._session.auth = lambda request: request  # no .netrc: the keys are those of the settings

    def get(self, url: str, query: Mapping[str, str], headers: Mapping[str, str], asked: str) -> Any:
        """The JSON of the answer; ``asked`` names the question in errors. Raises SourceDown, SourceBusy,
        SourceNonsense, SourceRefused."""
        status, reply_headers, body = self._fetch(url, query, headers, asked)
        self._limits(reply_headers)
        if status != 200:
            raise self._refusal(status, body, reply_headers, asked)
        return self._parsed(body, asked)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    # --- the bytes ------------------------------------------------------------------------------------------------

    def _fetch(
        self, url: str, query: Mapping[str, str], headers: Mapping[str, str], asked: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        import requests
        import urllib3

        until = time.monotonic() + self._bounds.whole
        sent = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", **headers}
        try:
            with self._session.get(
                url, params=query, headers=sent, stream=True, allow_redirects=False,
                timeout=(self._bounds.connect, self._bounds.read),
            ) as response:  # fmt: skip
                body = self._body(response.raw, until, asked)
                packed = response.headers.get("Content-Encoding", "") in ("gzip", "deflate") or body[:2] == _GZIP
                return response.status_code, response.headers, self._unpacked(body, asked) if packed and body else body
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise self._down(f"no answer to {asked} within {self._bounds.read:g} s") from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
            raise SourceRefused(
                self._said(f"its url is none: {url}"), source=self._name, hint="it begins with http:// or https://"
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._down(f"cannot be reached or hung up over {asked} ({type(error).__name__})") from None

    def _body(self, raw: Any, until: float, asked: str) -> bytes:
        pieces, size = [], 0
        while piece := raw.read1(PIECE, decode_content=False):
            pieces.append(piece)
            size += len(piece)
            if size > self._bounds.largest:
                raise self._too_large(asked)
            if time.monotonic() > until:
                raise self._down(f"no whole answer to {asked} within {self._bounds.whole:g} s ({size} bytes came)")
        return b"".join(pieces)

    def _unpacked(self, body: bytes, asked: str) -> bytes:
        """The unpacked bytes. Here and not in urllib3, which takes a truncated archive for a whole one."""
        try:
            return unpacked(body, "deflate", self._bounds.largest)
        except TooLarge:
            raise self._too_large(asked) from None
        except Truncated as error:
            text = f"a truncated archive: {len(body)} bytes, unpacked {shown(error.text[:60])}"
            raise self._nonsense(asked, text) from None
        except ValueError as error:
            raise self._nonsense(asked, f"a damaged archive ({error})") from None

    # --- what they say --------------------------------------------------------------------------------------------

    def _parsed(self, body: bytes, asked: str) -> Any:
        if _PAGE.match(body):
            raise self._nonsense(asked, f"a web page{_titled(body)}")
        try:
            if any(word in body for word in _NOT_JSON):
                return json.loads(body)  # no JSON, but some servers write it; the rows with it are left out
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise self._nonsense(asked, f"what is no JSON: {shown(body)}" if body else "nothing") from None

    def _refusal(self, status: int, body: bytes, headers: Mapping[str, str], asked: str) -> SourceError:
        said = self._said(f"HTTP {status}: {_told(body)}")
        if status in (401, 403):
            return SourceRefused(
                f"refuses our key for {asked} ({said})", source=self._name,
                hint="check the source's credential, and that its plan includes what is asked",
            )  # fmt: skip
        if status in (418, 429):
            return SourceBusy(f"too many requests ({said})", source=self._name, wait=self._wait(headers))
        if status == 408 or status >= 500:
            return SourceDown(f"fails on its side ({said})", source=self._name, wait=self._wait(headers))
        if 300 <= status < 400:
            where = headers.get("Location", "nowhere")
            return self._nonsense(asked, f"a redirection to {where} (HTTP {status}), which is not followed")
        if status in (400, 404, 410, 422):
            return SourceRefused(
                f"refuses {asked} ({said})", source=self._name, hint="check the symbol as the server writes it, and url"
            )
        return self._nonsense(asked, said)

    def _limits(self, headers: Mapping[str, str]) -> None:
        left = whole(headers.get("X-RateLimit-Remaining") or headers.get("RateLimit-Remaining"))
        self.remaining, self.resets = left, self._reset(headers)

    def _reset(self, headers: Mapping[str, str]) -> int | None:
        """When the limit is reset (ns UTC, our clock); the server's may be wrong: its date tells by how much."""
        reset = whole(headers.get("X-RateLimit-Reset") or headers.get("RateLimit-Reset"))
        if reset is None:
            return None
        theirs = _date(headers.get("Date")) or self._clock()
        return self._clock() + max(reset * SECOND - theirs if reset > EPOCH else reset * SECOND, 0)

    def _wait(self, headers: Mapping[str, str]) -> int:
        after = headers.get("Retry-After")
        seconds, moment = whole(after), _date(after)
        if seconds is not None:
            return seconds * SECOND
        if moment is not None:
            return max(moment - (_date(headers.get("Date")) or self._clock()), 0)
        reset = self._reset(headers)
        return max(reset - self._clock(), 0) if reset is not None else 0

    # --- errors ---------------------------------------------------------------------------------------------------

    def _said(self, text: str) -> str:
        return self._secrets.masked(text)

    def _down(self, text: str) -> SourceDown:
        return SourceDown(self._said(text), source=self._name, hint=_NETWORK)

    def _nonsense(self, asked: str, what: str) -> SourceNonsense:
        return SourceNonsense(self._said(f"answers {asked} with {what}"), source=self._name, hint=_ADDRESS)

    def _too_large(self, asked: str) -> SourceNonsense:
        return self._nonsense(asked, f"more than {self._bounds.largest} bytes")


def _titled(body: bytes) -> str:
    found = _TITLE.search(body)
    title = " ".join(found[1].decode(errors="replace").split()) if found else ""
    return f" titled {title!r}" if title else f": {shown(body)}"


def _told(body: bytes) -> str:
    return f"a web page{_titled(body)}" if _PAGE.match(body) else shown(body.decode(errors="replace"))


def _date(text: str | None) -> int | None:
    """An HTTP date (ns UTC)."""
    try:
        return int(parsedate_to_datetime(text).timestamp()) * SECOND if text else None
    except (ValueError, TypeError, OverflowError):
        return None
