"""What a turn reads: one reader a stream, the gate before the others, and the heads as publishers tell them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.core.streams import Reader
from appliance.domain import wire
from appliance.domain.messages import Compacted, Event, Replayed
from appliance.domain.operations import Head, Progress, Spot


class Intake:
    """The readers of one process. ``gate`` names the stream that must be consumed to its head before the others."""

    def __init__(self, reads: tuple[str, ...], gate: str, count: Callable[[str], None]) -> None:
        self.gate = gate
        self.gate_open = not gate
        self.gate_head: Head | None = None
        self.readers = {name: Reader(name) for name in reads}
        self._count = count

    def restore(self, cursors: Mapping[str, Spot]) -> None:
        """Go back to committed cursors. What was held is still good; what was taken comes again from its batch."""
        old, self.readers = self.readers, {name: Reader(name, cursors.get(name, Spot())) for name in self.readers}
        for name, reader in old.items():
            new = self.readers[name]
            new.head = reader.head
            new.held = {spot: event for spot, event in reader.held.items() if spot > new.cursor}

    def offer(self, event: Event) -> None:
        """A message of a stream arrives; duplicates are dropped, what is beyond a gap is held."""
        reader = self.readers.get(event.stream)
        if reader is not None and not reader.offer(event):
            self._count("duplicates_dropped")

    def replayed(self, replayed: Replayed) -> None:
        """What we asked for arrives."""
        reader = self.readers.get(replayed.stream)
        if reader is None:
            return
        reader.head = replayed.head
        reader.asked = None
        for event in self._decoded(replayed.events):
            if event.stream == replayed.stream:
                reader.offer(event)

    def compacted(self, compacted: Compacted) -> list[Event]:
        """What we asked for is gone: go on after it; what it amounts to is handled as local messages."""
        reader = self.readers.get(compacted.stream)
        if reader is None or compacted.as_of <= reader.cursor:
            return []
        reader.jump(compacted.as_of)
        reader.asked = None
        self._count("compacted")
        return [event for event in self._decoded(compacted.snapshot) if not event.stream]

    def _decoded(self, payloads: tuple[str, ...]) -> list[Event]:
        events = []
        for payload in payloads:
            try:
                events.append(wire.decode(payload.encode()))
            except wire.WireError:
                self._count("undecodable")
        return events

    def heads(self, progress: Progress, fresh: bool) -> None:
        """A publisher tells its heads; ``fresh``: in answer to us, so that its state is of this moment."""
        for stream, head in progress.heads.items():
            reader = self.readers.get(stream)
            if reader is not None and (head.epoch, head.last) >= (reader.head.epoch, reader.head.last):
                reader.head = head
                if fresh and stream == self.gate and progress.recovered:
                    self.gate_head = head

    def gate_reached(self) -> bool:
        """Whether the gate's stream has been consumed to the head its recovered publisher told us."""
        return self.gate_head is not None and self.readers[self.gate].cursor >= self.gate_head.last

    def collect(self, accepts: Callable[[str], bool], limit: int) -> list[Event]:
        """Up to ``limit`` messages that can be handled now, stream by stream."""
        found: list[Event] = []
        for name, reader in self.readers.items():
            if not self.gate_open and name != self.gate:
                continue
            while len(found) < limit and accepts(name):
                event = reader.take()
                if event is None:
                    break
                found.append(event)
            for _ in range(reader.healed):
                self._count("gaps_healed")
            reader.healed = 0
        return found

    def jump(self, cursors: Mapping[str, Spot]) -> None:
        """These have been handled."""
        for stream, spot in cursors.items():
            self.readers[stream].jump(spot)

    def cursors(self) -> dict[str, Spot]:
        """How far each stream has been taken."""
        return {name: reader.cursor for name, reader in self.readers.items()}

    def behind(self) -> bool:
        """Whether something is known to exist that has not come."""
        return any(reader.behind() for reader in self.readers.values())
