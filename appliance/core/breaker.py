"""When to try again, and when to stop trying for a while: backoff with jitter, a circuit breaker, a health score. Pure.

tenacity retries single calls where they are made (``data/polite.py``); this is for what outlives a call: a connection,
a source, and whether it deserves the next request.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from msgspec import Struct

SECOND = 1_000_000_000


class Dice(Protocol):
    """Where chance comes from: a seeded ``random.Random``."""

    def randint(self, low: int, high: int, /) -> int: ...


class Backoff:
    """1, 2, 4, 8 … times ``first``, never above ``longest`` (ns), each with equal jitter: half of it is by chance.

    Source of the jitter: M. Brooker, Exponential Backoff And Jitter (AWS Architecture Blog, 2015), "equal jitter".
    """

    def __init__(self, first: int, longest: int, random: Dice) -> None:
        if not 0 < first <= longest:
            raise ValueError(f"first {first} and longest {longest}: above 0, and first not above longest")
        self._first, self._longest, self._random = first, longest, random
        self.failures = 0

    def next(self, at_least: int = 0) -> int:
        """How long (ns) to wait after one more failure, ``at_least`` what the other side asked for."""
        ceiling = min(self._longest, self._first << min(self.failures, 62))
        self.failures += 1
        return max(at_least, ceiling // 2 + self._random.randint(0, ceiling - ceiling // 2))

    def reset(self) -> None:
        """It worked: begin again with the first."""
        self.failures = 0


class Circuit(Enum):
    """CLOSED: requests pass. OPEN: none does. HALF_OPEN: one may try, and decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"

    __hash__ = object.__hash__


class Limits(Struct, frozen=True):
    """``failures`` in a row open the circuit for ``cooldown`` ns, twice as long each time up to ``longest``."""

    failures: int = 3
    cooldown: int = 5 * SECOND
    longest: int = 60 * SECOND


USUAL = Limits()


class CircuitBreaker:
    """Whether a source is asked at all. Times are ns of one clock; ``why`` and ``since`` are for people."""

    def __init__(self, limits: Limits = USUAL) -> None:
        self._limits = limits
        self._failed = self._opened = 0
        self._trying = False
        self.until = self.since = 0
        self.why = ""

    def state(self, now: int) -> Circuit:
        """What it is at ``now``."""
        if not self._opened:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self.until else Circuit.HALF_OPEN

    def allows(self, now: int) -> bool:
        """Whether to ask now. In HALF_OPEN one may; the next only after that one has said how it went."""
        state = self.state(now)
        if state is Circuit.HALF_OPEN and not self._trying:
            self._trying = True
            return True
        return state is Circuit.CLOSED

    def succeeded(self) -> None:
        """A request worked: everything is as in the beginning."""
        self._failed = self._opened = self.until = self.since = 0
        self._trying, self.why = False, ""

    def shift(self, by: int) -> None:
        """The clock was set by so much (ns)."""
        if self._opened:
            self.until, self.since = self.until + by, self.since + by

    def unasked(self) -> None:
        """A request that was allowed was not made after all: in HALF_OPEN another may try."""
        self._trying = False

    def failed(self, now: int, why: str, wait: int = 0) -> None:
        """A request failed; ``wait`` (ns) is how long the source wants to be left alone, which opens at once."""
        self._failed += 1
        tried, self._trying = self._trying, False
        if not (wait or tried or self._failed >= self._limits.failures):
            return
        cooldown = min(self._limits.longest, self._limits.cooldown << min(self._opened, 62))
        self._opened += 1
        self.since, self.until, self.why = self.since or now, now + max(cooldown, wait), why


class Health:
    """How well a source does, 0 to 1: exponentially weighted share of successes, each worth less the longer it took.

    One request weighs ``weight``; an answer after ``slow`` ns is worth half. Unknown is 1: who has not failed is tried.
    """

    def __init__(self, weight: float = 0.2, slow: int = 2 * SECOND) -> None:
        if not 0 < weight <= 1 or slow <= 0:
            raise ValueError(f"weight {weight} above 0 and not above 1, slow {slow} above 0")
        self._weight, self._slow = weight, slow
        self.score = 1.0

    def succeeded(self, took: int) -> None:
        """A request was answered after ``took`` ns."""
        self._add(self._slow / (self._slow + max(took, 0)))

    def failed(self) -> None:
        """A request was not answered, or not well."""
        self._add(0.0)

    def _add(self, worth: float) -> None:
        self.score += self._weight * (worth - self.score)
