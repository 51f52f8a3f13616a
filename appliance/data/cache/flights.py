"""Single flight: of several threads that want the same, one asks, and the others wait for what it hears."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager


class Flights:
    """What is being asked for right now, by mark."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, _Flight] = {}

    @contextmanager
    def alone(self, marks: Iterable[Hashable]) -> Iterator[bool]:
        """Whether it is on us to ask for ``marks``, which nobody else does while the block runs.

        False, once another thread that was asking for one of them has heard: look again. Raises its error instead,
        where it got one.
        """
        mine = _Flight(tuple(dict.fromkeys(marks)))
        other = self._take_off(mine)
        if other is not None:
            other.waiting += 1
            other.landed.wait()
            if other.error is not None:
                raise other.error
            yield False
            return
        try:
            yield True
        except Exception as error:  # what ends a thread or the process is no answer for the others: they ask themselves
            mine.error = error
            raise
        finally:
            self._land(mine)

    def _take_off(self, mine: _Flight) -> _Flight | None:
        with self._lock:
            for mark in mine.marks:
                if mark in self._under_way:
                    return self._under_way[mark]
            self._under_way.update(dict.fromkeys(mine.marks, mine))
            return None

    def _land(self, mine: _Flight) -> None:
        with self._lock:
            for mark in mine.marks:
                del self._under_way[mark]
        mine.landed.set()


class _Flight:
    """One question that is under way, and how many threads wait for its answer."""

    def __init__(self, marks: tuple[Hashable, ...]) -> None:
        self.marks = marks
        self.landed = threading.Event()
        self.error: Exception | None = None
        self.waiting = 0
