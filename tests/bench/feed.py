"""The shipped feed process with a source of the latency bench: quotes at a steady rate, in every other block of time.

``python -m tests.bench.feed STATE RATE BLOCK``: RATE quotes a second, BLOCK seconds on, BLOCK seconds off.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance import processes
from appliance.core.ports import Clock
from appliance.core.turn import Turn
from appliance.domain.market import SECOND, Quote
from appliance.domain.messages import Offer, local
from appliance.runs import read_spec
from appliance.shell import logs
from appliance.shell.paths import StatePaths

SYMBOL = "ALFA"


def ours(wall: int, block: int) -> bool:
    """Whether the block of time (ns) in which ``wall`` (ns UTC) lies is the box's; the others are bare paho's."""
    return wall // block % 2 == 0


class Paced:
    """A source as the feed's engine knows it; a quote's time is when it was made, by the wall clock."""

    def __init__(self, rate: float, block: float, clock: Clock) -> None:
        self._every = round(SECOND / rate)
        self._block = round(block * SECOND)
        self._clock = clock
        self._due = clock.ticks()

    def fds(self) -> Sequence[tuple[int, Callable[[], None]]]:
        """Nothing to wait for but time."""
        return ()

    def poll(self, turn: Turn) -> None:
        """Offer the quote that is due; one that is late is not made up for."""
        ticks = self._clock.ticks()
        if ticks < self._due:
            return
        self._due += self._every if ticks < self._due + self._every else ticks - self._due + self._every
        wall = time.time_ns()
        if ours(wall, self._block):
            turn.accept(local(Offer(0, (Quote(SYMBOL, wall, 47.99, 48.01, 300.0, 500.0),)), wall, "source/bench"))

    def next_deadline(self) -> int | None:
        """When the next quote is due (machine ticks)."""
        return self._due


def main(state: str, rate: str, block: str) -> int:
    """Run the feed of the box in ``state``."""
    paths = StatePaths(Path(state))
    logs.setup("feed", "info")
    processes._feed = lambda paths, spec, clock: Paced(float(rate), float(block), clock)  # type: ignore[assignment]
    return processes.engine_of("feed", paths, read_spec(paths)).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
