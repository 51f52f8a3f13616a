"""Both ends of a stream: the writer that numbers without gaps, the reader that takes each message once, in order."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from appliance.domain.messages import TYPE_OF, Event
from appliance.domain.operations import Head, Spot

HELD_MAX = 1024
"""Messages a reader holds beyond a gap; what comes later is dropped and asked for again."""


class Writer:
    """Numbers the messages of one stream: ``seq`` goes on across epochs; an epoch's first message says ``after``."""

    __slots__ = ("_written", "after", "epoch", "seq", "stream")

    def __init__(self, stream: str, head: Head) -> None:
        self.stream = stream
        self.seq = head.last.seq
        self._written = head.last.epoch
        self.epoch = head.epoch
        self.after = head.after

    @property
    def last(self) -> Spot:
        """The position of the last message."""
        return Spot(self._written, self.seq)

    @property
    def head(self) -> Head:
        return Head(self.last, self.epoch, self.after)

    def next(self) -> Spot:
        """The position the next message will have."""
        return Spot(self.epoch, self.seq + 1)

    def event(self, body: Struct, ts: int, cause: str) -> Event:
        """The next message. ``ts`` is ns UTC of market time."""
        self.seq = seq = self.seq + 1
        if self._written != self.epoch:
            self._written = self.epoch
            return Event(TYPE_OF[type(body)], body, self.stream, self.epoch, seq, ts, cause, self.after)
        return Event(TYPE_OF[type(body)], body, self.stream, self.epoch, seq, ts, cause)

    def raise_epoch(self, epoch: int) -> None:
        """Begin a new epoch after what is written so far."""
        self.epoch = epoch
        self.after = self.last


class Writers(dict[str, Writer]):
    """All streams one process writes, by name. Not ``stored``: nobody keeps what the process says and knows, and no
    window looks at it, as where a run is over with its process."""

    def __init__(
        self,
        streams: tuple[str, ...],
        heads: Mapping[str, Head] | None = None,
        epoch: int = 1,
        stored: bool = True,
    ) -> None:
        known = heads or {}
        super().__init__((name, Writer(name, known.get(name, Head(epoch=epoch)))) for name in streams)
        self.stored = stored

    def event(self, stream: str, body: Struct, ts: int, cause: str) -> Event:
        """The next message of ``stream``."""
        return self[stream].event(body, ts, cause)

    def heads(self) -> dict[str, Head]:
        """Where each stream stands."""
        return {name: writer.head for name, writer in self.items()}

    def beyond(self, cursors: Mapping[str, Spot]) -> int:
        """The highest epoch among ``cursors`` that lie beyond our heads, or 0: somebody saw what we have lost.

        A cursor of an epoch before ours was beyond once, and our epoch says so already.
        """
        known = [(self[name], spot) for name, spot in cursors.items() if name in self]
        ahead = [spot.epoch for writer, spot in known if spot > writer.last and spot.epoch >= writer.epoch]
        return max(ahead, default=0)

    def raise_epoch(self, epoch: int) -> None:
        """Begin a new epoch on every stream."""
        for writer in self.values():
            writer.raise_epoch(epoch)


class Reader:
    """Takes each message of one stream once and in order; holds what is beyond a gap and knows what to ask for."""

    __slots__ = ("asked", "cursor", "duplicates", "gap", "head", "healed", "held", "stream", "unreproducible")

    def __init__(self, stream: str, cursor: Spot = Spot()) -> None:  # noqa: B008 - Spot is frozen
        self.stream = stream
        self.cursor = cursor
        self.held: dict[Spot, Event] = {}
        self.head = Head()
        self.asked: int | None = None
        self.gap = False
        self.duplicates = 0
        self.healed = 0
        self.unreproducible = 0

    def offer(self, event: Event) -> bool:
        """Consider a message; False when it is a duplicate or there is no room to hold it."""
        spot = event.spot
        if spot <= self.cursor or spot in self.held:
            self.duplicates += 1
            return False
        if len(self.held) >= HELD_MAX and not self._follows(event):
            return False
        self.held[spot] = event
        return True

    def _follows(self, event: Event) -> bool:
        cursor = self.cursor
        if event.epoch == cursor.epoch:
            return event.seq == cursor.seq + 1
        return event.epoch > cursor.epoch and event.after is not None and event.after <= cursor

    def take(self) -> Event | None:
        """The next message in order, or None when there is a gap or nothing."""
        if not self.held:
            return None
        event = self.held.pop(Spot(self.cursor.epoch, self.cursor.seq + 1), None)
        if event is None:
            event = self._next_epoch()
            if event is None:
                return None
            if event.after is not None and event.after < self.cursor:
                self.unreproducible += 1
            # What is held of the epoch before was never confirmed by its publisher, and nothing will ever follow it.
            self.held = {spot: held for spot, held in self.held.items() if spot > event.spot}
        self.cursor = event.spot
        if self.gap and not self.behind():
            self.healed += 1
            self.gap = False
            self.asked = None
        return event

    def _next_epoch(self) -> Event | None:
        spots = [spot for spot, event in self.held.items() if spot.epoch > self.cursor.epoch and self._follows(event)]
        return self.held.pop(min(spots)) if spots else None

    def jump(self, spot: Spot) -> None:
        """Go on after ``spot``: what is before it comes as a snapshot."""
        if spot > self.cursor:
            self.cursor = spot
            self.held = {at: event for at, event in self.held.items() if at > spot}

    def behind(self) -> bool:
        """Whether something exists that we have not got and that is not already deliverable."""
        if self.head.last > self.cursor and not self.held:
            return True
        return bool(self.held) and not any(self._follows(event) for event in self.held.values())

    def wants(self, ticks: int, patience: int) -> bool:
        """Whether to ask for a replay now: behind, and not asked within ``patience`` ns (machine ticks)."""
        if not self.behind():
            return False
        if self.asked is not None and ticks - self.asked < patience:
            return False
        self.asked = ticks
        self.gap = True
        return True
