"""A conversation with a core, as readable as a script.

    with Playbook(core) as play:
        play >> approved(intent()) << status("sending") << VenueSubmit
        play.later(2) >> report("accept") << status("accepted")

``>>`` gives a message, ``<<`` expects the next output: a value (equal), a type (an instance of it), a predicate of the
body, a topic of an output, or ``...`` (whatever is left). The end fails while outputs are unread.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any

from msgspec import Struct

from appliance.core.base import Core
from appliance.core.streams import Writer
from appliance.domain.market import Bar, QuoteBar
from appliance.domain.messages import Event, Now, Step, local
from appliance.domain.operations import Head, Latch
from appliance.domain.trading import Account, Activity, Approved, Cancel, Denied, Fill, Intent, Order

SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND
STREAM_OF: dict[type, str] = {
    Intent: "host/trend/intents", Cancel: "host/trend/intents", Approved: "guard/decisions", Denied: "guard/decisions",
    Order: "gateway/orders", Fill: "gateway/orders", Account: "gateway/orders", Latch: "gateway/orders",
    Activity: "gateway/orders",
    Bar: "feed/bars", QuoteBar: "feed/bars", Step: "feed/steps",
}  # fmt: skip


class PlaybookError(AssertionError):
    """The conversation went another way; the text tells it from its beginning."""


class Playbook:
    """Speaks with one core; ``now`` runs with ``later`` and is market time and ticks alike."""

    def __init__(self, core: Core, boot: str = "boot-1", start: int = BEGIN) -> None:
        self.core = core
        self.now = Now(start, boot, start)
        self.unread: deque[Event] = deque()
        self._said: list[str] = []
        self._writers: dict[str, Writer] = {}

    def later(self, seconds: float) -> Playbook:
        """Let time pass."""
        time = self.now.time + int(seconds * SECOND)
        self.now = Now(time, self.now.boot, time)
        self._said.append(f"   … {seconds} s later")
        return self

    def event(self, body: Struct) -> Event:
        """A body as it would arrive: the next message of its stream, or a local message."""
        stream = STREAM_OF.get(type(body))
        if stream is None:
            return local(body, self.now.time)
        writer = self._writers.setdefault(stream, Writer(stream, Head()))
        return writer.event(body, self.now.time, "")

    def __rshift__(self, message: Event | Struct) -> Playbook:
        event = message if isinstance(message, Event) else self.event(message)
        self._said.append(f">> {_brief(event.body)}")
        self.unread.extend(self.core.handle(event, self.now))
        return self

    def __lshift__(self, expected: Any) -> Playbook:
        if expected is ...:
            self._said += [f"<< {_brief(event.body)}" for event in self.unread]
            self.unread.clear()
            return self
        if not self.unread:
            raise PlaybookError(self._told(f"+  << {_brief(expected)}   expected, but nothing more was said"))
        event = self.unread.popleft()
        if not _fits(expected, event):
            wrong = (
                f"-  << {_brief(event.body)}   on {event.stream or event.topic}\n+  << {_brief(expected)}   expected"
            )
            raise PlaybookError(self._told(wrong))
        self._said.append(f"<< {_brief(event.body)}")
        return self

    def heard(self, kind: type) -> list[Any]:
        """All unread bodies of one type; everything unread counts as read."""
        found = [event.body for event in self.unread if isinstance(event.body, kind)]
        self << ...
        return found

    def _told(self, last: str) -> str:
        return "\n".join(["the conversation:", *self._said, last])

    def __enter__(self) -> Playbook:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None and self.unread:
            left = "\n".join(f"-  << {_brief(event.body)}   on {event.stream or event.topic}" for event in self.unread)
            raise PlaybookError(self._told(f"Unfinished playbook, nobody expected\n{left}"))


def _fits(expected: Any, event: Event) -> bool:
    if isinstance(expected, type):
        return isinstance(event.body, expected)
    if isinstance(expected, str):
        return (event.stream or event.topic) == expected
    if isinstance(expected, Struct):
        return bool(event.body == expected)
    return bool(expected(event.body))


def _brief(value: Any) -> str:
    name = getattr(value, "__name__", None) or repr(value)
    return name if len(name) <= 160 else name[:157] + "..."
