"""The three doors to the world, as a turn sees them: Clock, Wire and Store. Drivers provide them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct, field

from appliance.domain.messages import Event, Now
from appliance.domain.operations import Head, Spot

Publish = Callable[[Event, bytes], None]
"""The wire: publish an event, given its encoded form; silently dropped while there is no connection."""


class Clock(Protocol):
    """Where ``now`` comes from: the machine live, the data's own times in replays."""

    def now(self, event: Event | None) -> Now:
        """The time at which ``event`` is handled."""
        ...

    def resume(self, time: int) -> None:
        """Go on from the market time (ns UTC) of the last commit; the machine's clock ignores it."""
        ...

    def ticks(self) -> int:
        """The machine's CLOCK_BOOTTIME in ns, for peers' silence and asking again, in every driver."""
        ...


class Input(Struct, frozen=True):
    """One handled message, as the journal keeps it: by reference (``position``) or whole (``payload``)."""

    now: Now
    position: str = ""
    payload: bytes = b""


class DeadLetter(Struct, frozen=True):
    """A message that was set aside: where it stood, its bytes, and the traceback."""

    position: str
    payload: bytes
    error: str
    time: int


class Commit(Struct):
    """Everything one transaction writes. ``sync``: it must be on the disk before anything is published.

    ``checkpoint`` is the whole state, given at each start: a replay begins there. ``time`` is market time, ns UTC.
    """

    sync: bool = False
    cursors: dict[str, Spot] = field(default_factory=dict)
    rows: dict[str, bytes | None] = field(default_factory=dict)
    outputs: list[tuple[Event, bytes]] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    heads: dict[str, Head] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    boot: str = ""
    time: int = 0
    checkpoint: dict[str, bytes] | None = None


class Saved(Struct):
    """What a journal holds at start; all empty for a new one. ``time`` is the market time of the last commit."""

    boot: str = ""
    time: int = 0
    cursors: dict[str, Spot] = field(default_factory=dict)
    rows: dict[str, bytes] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)


class Store(Protocol):
    """A journal: one owner, one connection, atomic commits. Any failure raises JournalError and ends the process."""

    def load(self) -> Saved:
        """The last committed state."""
        ...

    def commit(self, commit: Commit) -> None:
        """Write everything in one transaction."""
        ...

    def read(self, stream: str, after: Spot, limit: int) -> list[bytes]:
        """Up to ``limit`` produced messages of ``stream`` beyond ``after``, in order."""
        ...

    def floor(self, stream: str) -> Spot:
        """The position before the oldest retained message of ``stream``."""
        ...

    def prune(self, stream: str, upto: Spot) -> None:
        """Forget produced messages of ``stream`` at or below ``upto``."""
        ...
