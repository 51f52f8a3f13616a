"""What may come in on which topic. Mosquitto's rights hang on topics, so a message may not claim to be elsewhere."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from appliance.domain import topics
from appliance.domain.messages import Event, EventType
from appliance.domain.wire import WireError

_PROCESS = re.compile(r"[a-z]+(@[A-Za-z0-9_.-]{1,64})?")


class Poison(Struct, frozen=True):
    """A payload nobody could take: its topic below the root, the first bytes of it, and why."""

    topic: str
    payload: bytes
    error: str


def placed(name: str, event: Event) -> Event:
    """The event with its topic ``name`` (below the root). Raises WireError when it does not belong there."""
    if event.stream:
        if event.stream != name:
            raise WireError(f"it says that it belongs to {event.stream!r}")
        return event
    try:
        row = topics.topic(name)
    except KeyError:
        raise WireError("no such topic") from None
    if row.stream or event.type not in row.types:
        raise WireError(f"{event.type.value} does not belong there")
    kind, _, owner = name.partition("/")
    if kind in ("heartbeat", "progress") and event.body.process != owner:
        raise WireError(f"it speaks for {event.body.process!r}")
    if event.type is EventType.ASK and not _PROCESS.fullmatch(event.body.consumer):
        raise WireError(f"{event.body.consumer!r} is no process to answer to")
    return msgspec.structs.replace(event, topic=name)
