"""Virtual time: what is due next, in an order that depends on nothing but the seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Scheduler:
    """A heap of (time ns, number, action): earlier first, and first come first served at the same time."""

    def __init__(self, start: int) -> None:
        self.time = start
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._n = 0

    def at(self, time: int, action: Callable[[], None]) -> None:
        """Do something at ``time`` (ns), or now if that has passed."""
        self._n += 1
        heapq.heappush(self._heap, (max(time, self.time), self._n, action))

    def after(self, delay: int, action: Callable[[], None]) -> None:
        """Do something ``delay`` ns from now."""
        self.at(self.time + delay, action)

    def run(self, until: int) -> None:
        """Let time pass to ``until`` (ns)."""
        while self._heap and self._heap[0][0] <= until:
            self.time, _, action = heapq.heappop(self._heap)
            action()
        self.time = until
