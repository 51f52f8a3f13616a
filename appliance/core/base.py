"""What every core is made of: state in rows, messages in, messages out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Generic, TypeVar

from msgspec import Struct

from appliance.core.streams import Writers
from appliance.domain import wire
from appliance.domain.messages import BODIES, TYPE_OF, Event, EventType, Now
from appliance.domain.operations import Peer, Progress
from appliance.domain.topics import kind_of

T = TypeVar("T")
Handler = Callable[[Event, Now], None]


class Unhandled(Exception):
    """A core was given a message it has no handler for."""


class Rows(dict[str, T], Generic[T]):
    """One table of a core's state: plain frozen values by key."""

    __slots__ = ("kind", "name")

    def __init__(self, name: str, kind: type[T]) -> None:
        super().__init__()
        self.name = name
        self.kind = kind

    def drop(self, key: str) -> None:
        """Delete a row that may not be there."""
        self.pop(key, None)

    def arrange(self, age: Callable[[T], int]) -> None:
        """Put rows that came back from a journal, by key, into the order of ``age``; nothing has changed by that."""
        rows = sorted(self.items(), key=lambda row: age(row[1]))
        dict.clear(self)
        dict.update(self, rows)

    def keep_newest(self, most: int) -> None:
        """Forget the oldest rows when there are an eighth more than ``most``. Not one at a time: a dictionary finds its
        first key by walking over all the places of those that were deleted before it."""
        if len(self) > most + most // 8:
            for key in list(islice(self, len(self) - most)):
                del self[key]


class SavedRows(Rows[T]):
    """Rows that are written down: assigning, deleting or dropping one marks it as changed. Nothing else may be done."""

    __slots__ = ("changed",)

    def __init__(self, name: str, kind: type[T]) -> None:
        super().__init__(name, kind)
        self.changed: dict[str, None] = {}

    def __setitem__(self, key: str, value: T) -> None:
        self.changed[key] = None
        dict.__setitem__(self, key, value)  # super() would cost as much again

    def __delitem__(self, key: str) -> None:
        self.changed[key] = None
        dict.__delitem__(self, key)

    def drop(self, key: str) -> None:
        if key in self:
            del self[key]


class Core:
    """A deterministic state machine. Subclasses register handlers by event type and keep all state in rows."""

    watches: tuple[str, ...] = ()
    """Kinds of process whose silence the core wants to hear of."""
    sync: tuple[EventType, ...] = ()
    """Types outside the streams that must be on the disk before they are said."""
    hears_late = False
    """Whether it also wants to hear of a missed heartbeat."""

    def __init__(self, process: str, writers: Writers) -> None:
        self.process = process
        self.writers = writers
        self._tables: dict[str, Rows[object]] = {}
        self._handlers: dict[type[Struct], Handler] = {}  # by body: an Enum hashes slowly
        self.out: list[Event] = []
        """Where handlers put what follows."""
        self.logged: list[str] = []

    def table(self, name: str, kind: type[T]) -> Rows[T]:
        """A new table of state; its rows are saved as ``name/key``."""
        rows: Rows[T] = SavedRows(name, kind) if self.writers.stored else Rows(name, kind)
        self._tables[name] = rows  # type: ignore[assignment]
        return rows

    def on(self, kind: EventType, handler: Handler) -> None:
        """Register the handler of one event type."""
        self._handlers[BODIES[kind]] = handler

    def ignore(self, *kinds: EventType) -> None:
        """Register types that come with the others of a stream and mean nothing to us."""
        self._handlers.update((BODIES[kind], _ignored) for kind in kinds)

    def understands(self, kind: EventType) -> bool:
        """Whether a handler is registered for this type."""
        return BODIES[kind] in self._handlers

    def heeds(self, kind: EventType) -> bool:
        """Whether anything can follow from a message of this type: it is understood and not ignored."""
        return self._handlers.get(BODIES[kind], _ignored) is not _ignored

    def handle(self, event: Event, now: Now) -> list[Event]:
        """Take one message, return what follows from it. Raises Unhandled for a type nobody registered."""
        handler = self.handler(event)
        out: list[Event] = []
        self.out = out
        handler(event, now)
        return out

    def handler(self, event: Event) -> Handler:
        """What handles messages like ``event``. Raises Unhandled for a type nobody registered."""
        try:
            return self._handlers[type(event.body)]
        except KeyError:
            where = event.stream or event.topic
            raise Unhandled(f"{self.process} has no handler for {event.type.value!r} from {where}") from None

    def emit(self, stream: str, body: Struct, now: Now, cause: str = "") -> Event:
        """Produce the next message of one of our streams."""
        event = self.writers[stream].event(body, now.time, cause)
        self.out.append(event)
        return event

    def send(self, topic: str, body: Struct, now: Now, cause: str = "") -> None:
        """Produce a message outside the streams (a view, a result, a request to the venue)."""
        self.out.append(Event(TYPE_OF[type(body)], body, "", 0, 0, now.time, cause, None, topic))

    def show(self, topic: str, body: Struct, now: Now) -> None:
        """Produce a view, for windows: where there are none, nothing."""
        if self.writers.stored:
            self.send(topic, body, now)

    def deadline(self) -> int | None:
        """When the core next wants a Wakeup (ticks, ns), or None."""
        return None

    def unresolved(self) -> int:
        """How many things are in flight that a lockstep feed must wait for."""
        return 0

    def held(self) -> int:
        """How many intents wait for their lockstep round."""
        return 0

    def recovered(self) -> bool:
        """Whether others may rely on what we say."""
        return True

    def accepts(self, stream: str) -> bool:
        """Whether messages of ``stream`` may be delivered now; the others are held back."""
        return True

    def views(self, now: Now) -> list[Event]:
        """What people see of us, whole: said on every connect, for Mosquitto may have lost what it kept."""
        return []

    def reports(self, now: Now) -> list[Event]:
        """What people see of us each second; it is not journalled."""
        return []

    def figures(self) -> dict[str, int]:
        """Counts of ours for the heartbeat."""
        return {}

    def started(self, now: Now) -> list[Event]:
        """Called once after every start, before any message."""
        return []

    def released(self, now: Now) -> list[Event]:
        """Called when everything that had to be known first is known; until then nothing may be decided."""
        return []

    def observe(self, progress: Progress) -> Event | None:
        """Hear where a process stands; may return a local message for ourselves."""
        return None

    def compact(self, stream: str) -> tuple[Event, ...]:
        """What one of our streams amounts to, for a consumer that is below its retention."""
        return ()

    def poisoned(self, event: Event, now: Now) -> list[Event]:
        """A message of ours was quarantined; what follows."""
        return []

    def peer(self, peer: Peer) -> Event | None:
        """A peer came, went or was late; the message to journal and handle, or None when it does not matter."""
        if not self.understands(EventType.PEER) or kind_of(peer.process) not in self.watches:
            return None
        return Event(EventType.PEER, peer) if self.hears_late or not peer.late else None

    def snapshot(self) -> dict[str, bytes]:
        """The whole state as rows of JSON bytes."""
        return {f"{name}/{key}": wire.pack(value) for name, rows in self._tables.items() for key, value in rows.items()}

    def changes(self) -> dict[str, bytes | None]:
        """Rows changed since the last call (None: deleted). Raises TypeError where nothing is stored."""
        found: dict[str, bytes | None] = {}
        for name, rows in self._tables.items():
            if not isinstance(rows, SavedRows):
                raise TypeError(f"{self.process} keeps nothing: nobody noted what changed")
            for key in rows.changed:
                found[f"{name}/{key}"] = wire.pack(rows[key]) if key in rows else None
            rows.changed.clear()
        return found

    def restore(self, rows: Mapping[str, bytes]) -> None:
        """Put saved rows back. Rows of a table we no longer have are ignored."""
        for full, payload in rows.items():
            name, _, key = full.partition("/")
            table = self._tables.get(name)
            if table is not None:
                dict.__setitem__(table, key, wire.unpack(payload, table.kind))


def _ignored(event: Event, now: Now) -> None:
    """Nothing follows."""
