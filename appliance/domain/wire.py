"""Messages to bytes and back: one JSON object a message, versioned and strict.

The journal keeps the bytes without ``sent``; the shell appends it when it publishes, so that a replay can be compared
byte for byte.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar

import msgspec
import msgspec.inspect
from msgspec import Struct

from appliance.domain.messages import BODIES, WIRE_VERSION, Event, EventType
from appliance.domain.operations import Spot
from appliance.domain.topics import PAYLOAD_MAX


class WireError(Exception):
    """A payload that cannot be taken: too long, not JSON, unknown version or type, a missing or mistyped field, NaN."""


class _Envelope(Struct, forbid_unknown_fields=True):
    v: int
    type: str
    ts: int
    body: msgspec.Raw
    stream: str = ""
    epoch: int = 0
    seq: int = 0
    cause: str = ""
    after: Spot | None = None
    sent: int = 0


T = TypeVar("T")

_ENCODER = msgspec.json.Encoder(decimal_format="string")
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_DECODERS = {kind: msgspec.json.Decoder(body) for kind, body in BODIES.items()}
_TYPES = {kind.value: kind for kind in EventType}


_COUNTED = frozenset(kind for kind, body in BODIES.items() if "DecimalType" in repr(msgspec.inspect.type_info(body)))
"""Types with a Decimal somewhere in them: JSON carries those as strings, in which NaN would pass, however written."""


def _finite(value: object) -> bool:
    """Whether every Decimal in a value is a finite number."""
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, Struct):
        return all(_finite(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, tuple):
        return all(_finite(one) for one in value)
    return not isinstance(value, dict) or all(_finite(one) for one in value.values())


LOCAL_MAX = 64 * 1024 * 1024
"""Longest message in bytes that stays inside its process and its journal: a venue's snapshot never meets the broker."""


def encode(event: Event, limit: int = PAYLOAD_MAX) -> bytes:
    """The event as JSON, without ``sent``. Raises WireError above ``limit`` bytes."""
    head: dict[str, Any] = {"v": WIRE_VERSION, "type": event.type.value}
    if event.stream:
        head |= {"stream": event.stream, "epoch": event.epoch, "seq": event.seq}
    head["ts"] = event.ts
    if event.cause:
        head["cause"] = event.cause
    if event.after is not None:
        head["after"] = event.after
    head["body"] = event.body
    payload = _ENCODER.encode(head)
    if len(payload) > limit:
        raise WireError(f"{event.type.value}: {len(payload)} bytes, at most {limit} are allowed")
    return payload


def stamped(payload: bytes, sent: int) -> bytes:
    """An encoded event with the time it leaves (ns UTC) as its last field."""
    return b'%s,"sent":%d}' % (payload[:-1], sent)


def decode(payload: bytes, limit: int = PAYLOAD_MAX) -> Event:
    """The event in a payload. Raises WireError naming what is wrong with it."""
    return decode_sent(payload, limit)[0]


def decode_sent(payload: bytes, limit: int = PAYLOAD_MAX) -> tuple[Event, int]:
    """The event and the time it was sent (ns UTC, 0 when it does not say)."""
    if len(payload) > limit + 32:
        raise WireError(f"payload of {len(payload)} bytes, at most {limit} are allowed")
    try:
        envelope = _ENVELOPE.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"envelope: {error}") from None
    if envelope.v != WIRE_VERSION:
        raise WireError(f"version {envelope.v}, this build speaks {WIRE_VERSION}")
    kind = _TYPES.get(envelope.type)
    if kind is None:
        raise WireError(f"unknown type {envelope.type!r}")
    try:
        body = _DECODERS[kind].decode(envelope.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"{envelope.type}: {error}") from None
    if kind in _COUNTED and not _finite(body):
        raise WireError(f"{envelope.type}: a number is NaN or infinite")
    event = Event(
        kind, body, envelope.stream, envelope.epoch, envelope.seq, envelope.ts, envelope.cause, envelope.after
    )
    return event, envelope.sent


def pack(value: Any) -> bytes:
    """Plain data (state rows) as JSON bytes."""
    return _ENCODER.encode(value)


def unpack(payload: bytes, kind: type[T]) -> T:
    """Plain data of a known type from JSON bytes."""
    return msgspec.json.decode(payload, type=kind)


def sendable(text: str, limit: int) -> str:
    """At most ``limit`` characters of a text, each of which UTF-8 can say (half a surrogate pair becomes "?")."""
    return text[:limit].encode("utf-8", "replace").decode()
