"""A window that reads streams whole and in order, as a consumer does, but keeps nothing and holds nobody back."""

from __future__ import annotations

from collections.abc import Callable

from appliance.core.streams import Reader
from appliance.core.turn import PATIENCE
from appliance.domain import topics, wire
from appliance.domain.messages import Ask, Event, EventType, Replayed, local
from appliance.domain.operations import Heartbeat, Progress
from appliance.shell.bus import EventBus
from appliance.shell.clock import machine_ticks


class Collector:
    """Streams from their beginning to their head, each message once: ``note`` gets them in order, stream by stream.

    It also gets views and answers, as they come.
    """

    def __init__(self, bus: EventBus, streams: tuple[str, ...], note: Callable[[Event], None]) -> None:
        self._bus = bus
        self._note = note
        self._readers = {name: Reader(name) for name in streams}
        self.beats: dict[str, Heartbeat] = {}

    def connected(self) -> None:
        """Ask every publisher where it stands."""
        for publisher in dict.fromkeys(topics.publisher_of(name) for name in self._readers):
            self._ask(publisher, Ask(self._bus.process))

    def receive(self, event: Event) -> None:
        """Take a message from the bus."""
        if event.stream in self._readers:
            self._readers[event.stream].offer(event)
        elif event.type is EventType.REPLAYED:
            self._replayed(event.body)
        elif event.type is EventType.PROGRESS:
            self._heads(event.body)
        elif event.type is EventType.HEARTBEAT:
            self.beats[event.body.process] = event.body
            self._heads(event.body.progress)
        elif event.type is EventType.RESULT or event.topic.startswith("view/"):
            self._note(event)
        self._drain()

    def _replayed(self, replayed: Replayed) -> None:
        reader = self._readers.get(replayed.stream)
        if reader is not None:
            reader.head, reader.asked = replayed.head, None
            for payload in replayed.events:
                reader.offer(wire.decode(payload.encode()))

    def _heads(self, progress: Progress) -> None:
        for name, head in progress.heads.items():
            reader = self._readers.get(name)
            if reader is not None and (head.epoch, head.last) >= (reader.head.epoch, reader.head.last):
                reader.head = head

    def _drain(self) -> None:
        for reader in self._readers.values():
            while (event := reader.take()) is not None:
                self._note(event)

    def tend(self) -> None:
        """Ask again for what is missing."""
        ticks = machine_ticks()
        for name, reader in self._readers.items():
            if reader.wants(ticks, PATIENCE):
                self._ask(topics.publisher_of(name), Ask(self._bus.process, name, reader.cursor))

    def _ask(self, publisher: str, ask: Ask) -> None:
        event = local(ask, topic=f"ask/{publisher}")
        self._bus.publish(event, wire.encode(event))

    def caught_up(self) -> bool:
        """Whether nothing is known to exist that has not been noted."""
        return not any(reader.behind() for reader in self._readers.values())
