"""Alpaca's refusals as errors of ours: HTTP statuses, and the error codes of its stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from appliance.data.sources.alpaca.options import AlpacaOptions
from appliance.data.sources.moments import whole
from appliance.domain.market import SECOND
from appliance.errors import SourceBusy, SourceDown, SourceError, SourceNonsense, SourceRefused

SHOWN = 80
"""Bytes of an answer that an error shows."""
Headers = Mapping[str, str]


def beginning(body: bytes | str) -> str:
    """The first bytes of what came, as they may be shown."""
    return repr(body[:SHOWN])


class Limits(NamedTuple):
    """What a reply says of the rate limit: requests ``remaining`` until the window ``resets`` (ns UTC); None: it does
    not say. ``wait`` (ns): how long it wants to be left alone."""

    remaining: int | None
    resets: int | None
    wait: int

    @classmethod
    def of(cls, headers: Headers, now: int) -> Limits:
        """Read the headers of a reply that came ``now`` (ns UTC). Reset is told by their clock: the reply's own date is
        what to measure it from."""
        reset = whole(headers.get("X-RateLimit-Reset"))
        theirs = _date(headers.get("Date")) or now
        after = whole(headers.get("Retry-After"))
        asked = _date(headers.get("Retry-After"))
        left = max(reset * SECOND - theirs, 0) if reset is not None else None
        wait = after * SECOND if after is not None else max(asked - theirs, 0) if asked else (left or 0)
        return cls(whole(headers.get("X-RateLimit-Remaining")), now + left if left is not None else None, wait)


def refusal(status: int, body: str, headers: Headers, options: AlpacaOptions, asked: str, now: int) -> SourceError:
    """The error for a reply that is none: ``asked`` names the symbols or the path of the question."""
    said = f"HTTP {status}: {_message(body)}"
    wait = Limits.of(headers, now).wait
    if status in (401, 403):
        return _refused_keys(said, options)
    if status == 429:
        return SourceBusy(f"too many requests ({said})", source=options.name, wait=wait + SECOND)
    if status in (400, 404, 422):
        return SourceRefused(
            f"refuses {asked} ({said})",
            source=options.name,
            hint="check the symbols as Alpaca writes them: BRK.B, BTC/USD",
        )
    if status >= 500 or status == 408:
        return SourceDown(f"fails on its side ({said})", source=options.name, wait=wait)
    return SourceNonsense(f"answers {asked} with {said}", source=options.name, hint=ADDRESS)


ADDRESS = "check the source's rest_url and stream_url, and what stands between us and it"


def _refused_keys(said: str, options: AlpacaOptions) -> SourceRefused:
    if "subscription" in said:
        hint = f"the plan does not include feed {options.feed}: set feed to iex or delayed_sip, or change the plan"
        return SourceRefused(f"does not give what was asked for ({said})", source=options.name, hint=hint)
    return SourceRefused(f"refuses the key {options.shown_key} ({said})", source=options.name, hint=_KEYS)


_KEYS = "give the key and its secret, both from Alpaca's page, as the source's credential; a new key voids the old one"


class Code(NamedTuple):
    """An error code of the stream: its name, what it is to us, how long to wait (s), and what to do about it."""

    name: str
    kind: type[SourceError]
    wait: int = 0
    hint: str = ""


CODES: dict[int, Code] = {
    400: Code("invalid syntax", SourceNonsense),
    401: Code("not authenticated", SourceRefused, hint=_KEYS),
    402: Code("auth failed", SourceRefused, hint=_KEYS),
    403: Code("already authenticated", SourceNonsense),
    404: Code("auth timeout", SourceDown),
    405: Code("symbol limit exceeded", SourceRefused, hint="the plan takes fewer symbols: name fewer"),
    406: Code("connection limit exceeded", SourceBusy, 10, "another program holds the key's one connection: end it"),
    407: Code("slow client", SourceDown),
    408: Code("v2 not enabled", SourceRefused, hint="the account has no stream of this version"),
    409: Code("insufficient subscription", SourceRefused, hint="set feed to iex, or change the plan"),
    410: Code("invalid subscribe action for this feed", SourceRefused, hint="the feed has no such channel"),
    411: Code("insufficient scope", SourceRefused, hint="the key may not read market data: make one that may"),
    500: Code("internal error", SourceDown),
}  # fmt: skip
"""What the stream says instead of data."""


def stream_refusal(message: Mapping[str, object], options: AlpacaOptions) -> SourceError:
    """The error for a message ``{"T": "error", "code", "msg"}``; a code we do not know is a failure on their side."""
    number = message.get("code")
    code = CODES.get(number if isinstance(number, int) else 0, Code("an error we do not know", SourceDown))
    said = f"{code.name} ({number}: {str(message.get('msg'))[:SHOWN]})"
    if code.hint is _KEYS:
        said = f"refuses the key {options.shown_key}: {said}"
    return code.kind(said, source=options.name, wait=code.wait * SECOND, hint=code.hint)


def handshake_refusal(status: int, headers: Headers, options: AlpacaOptions, now: int) -> SourceError:
    """The error for a stream that answers the upgrade to WebSocket with another HTTP status. 429: the slot is held."""
    if status == 429:
        wait = Limits.of(headers, now).wait or CODES[406].wait * SECOND
        return SourceBusy("too many connections (HTTP 429)", source=options.name, wait=wait)
    return refusal(status, "", headers, options, "the upgrade to WebSocket", now)


def _message(body: str) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return beginning(body)


def _date(text: str | None) -> int:
    """An HTTP date in ns UTC; 0: there is none."""
    try:
        return int(parsedate_to_datetime(text).timestamp()) * SECOND if text else 0
    except (ValueError, TypeError, OverflowError):
        return 0
