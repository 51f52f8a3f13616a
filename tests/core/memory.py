"""A journal in memory, a clock that is told the time, and a wire that remembers: the doors of a turn, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.core.ports import Commit, DeadLetter, Saved
from appliance.domain import wire
from appliance.domain.messages import Event, Now
from appliance.domain.operations import Spot
from appliance.errors import JournalError
from tests.playbook import BEGIN


class MemoryStore:
    """Keeps what was committed; ``log`` tells commits and publications in their order."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.saved = Saved()
        self.commits: list[Commit] = []
        self.outputs: list[tuple[Event, bytes]] = []
        self.letters: list[DeadLetter] = []
        self.floors: dict[str, Spot] = {}
        self.log = log if log is not None else []
        self.broken = False

    def load(self) -> Saved:
        saved = self.saved
        return Saved(
            saved.boot, saved.time, dict(saved.cursors), dict(saved.rows), dict(saved.heads), dict(saved.counters)
        )

    def commit(self, commit: Commit) -> None:
        if self.broken:
            raise JournalError("disk full")
        saved = self.saved
        saved.boot = commit.boot or saved.boot
        saved.time = commit.time or saved.time
        saved.cursors.update(commit.cursors)
        saved.heads.update(commit.heads)
        saved.counters.update(commit.counters)
        for key, value in commit.rows.items():
            if value is None:
                saved.rows.pop(key, None)
            else:
                saved.rows[key] = value
        self.outputs += commit.outputs
        self.letters += commit.dead_letters
        self.commits.append(commit)
        self.log.append("commit")

    def read(self, stream: str, after: Spot, limit: int) -> list[bytes]:
        floor = self.floor(stream)
        found = [
            payload for event, payload in self.outputs if event.stream == stream and event.spot > max(after, floor)
        ]
        return found[:limit]

    def floor(self, stream: str) -> Spot:
        return self.floors.get(stream, Spot())

    def prune(self, stream: str, upto: Spot) -> None:
        self.floors[stream] = upto


@dataclass
class HandClock:
    """Says the time it was told."""

    time: int = BEGIN
    boot: str = "boot-1"
    resumed: list[int] = field(default_factory=list)

    def now(self, event: Event | None) -> Now:
        return Now(self.time, self.boot, self.time)

    def resume(self, time: int) -> None:
        self.resumed.append(time)

    def ticks(self) -> int:
        return self.time


class Wire:
    """What was published, as it can be decoded."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.sent: list[Event] = []
        self.log = log if log is not None else []

    def __call__(self, event: Event, payload: bytes) -> None:
        if event.stream:
            assert wire.decode(payload) == event
        self.sent.append(event)
        self.log.append(f"publish {event.stream or event.topic}")

    def take(self) -> list[Event]:
        """Everything published since the last call."""
        taken, self.sent = self.sent, []
        return taken
