"""How often we may ask: a token bucket that also listens to what the server says of its own limit. Pure."""

from __future__ import annotations

from math import ceil

from msgspec import Struct

SECOND = 1_000_000_000
WINDOW_MAX = 86_400 * SECOND
"""No limit is of a longer time than a day (ns), whatever a server says."""
FEW = 20
"""With fewer requests left than this, ask half as often: others may share the budget."""


class Rate(Struct, frozen=True):
    """``per_second`` requests a second for ever, ``burst`` at once; ``reserve`` of the burst are for what is urgent."""

    per_second: float
    burst: int = 1
    reserve: int = 0

    def __post_init__(self) -> None:
        if not self.per_second > 0 or self.burst < 1 or not 0 <= self.reserve < self.burst:
            raise ValueError(f"{self}: per_second above 0, burst 1 or more, reserve below burst")


class TokenBucket:
    """Tokens come with time; a request takes one or waits. All times are ns of one clock that never goes back."""

    def __init__(self, rate: Rate, now: int = 0) -> None:
        self.rate = rate
        self._tokens = float(rate.burst)
        self._filled = now
        self._shut = 0
        self._slow = 0

    def take(self, now: int, n: int = 1, urgent: bool = False) -> int:
        """Take ``n`` tokens and return 0; or take none and return how long (ns) to wait before asking again.

        What is not urgent leaves the reserve alone, and waits while the server wants to be left alone. Raises
        ValueError for more than can ever be there.
        """
        wait = self.wait(now, n, urgent)
        if not wait:
            self._tokens -= n
        return wait

    def wait(self, now: int, n: int = 1, urgent: bool = False) -> int:
        """What ``take`` would return, without taking."""
        floor = 0 if urgent else self.rate.reserve
        if n > self.rate.burst - floor:
            raise ValueError(f"{n} tokens at once from a bucket that holds {self.rate.burst - floor}")
        self._fill(now)
        if now < self._shut and not urgent:
            return self._shut - now
        lacking = n + floor - self._tokens
        return max(1, ceil(lacking / self._per_ns(now) - 1e-3)) if lacking > 1e-9 else 0

    def shut(self, until: int) -> None:
        """The server said "too many": nothing that is not urgent before ``until`` (ns)."""
        self._shut = max(self._shut, until)

    def observe(self, now: int, remaining: int, resets: int) -> None:
        """What a reply said: so many requests are left until ``resets`` (ns). With few of them, half the rate until
        then; with none, nothing until then."""
        self._fill(now)
        resets = min(resets, now + WINDOW_MAX)
        if remaining < FEW:
            self._slow = max(self._slow, resets)
        if remaining <= 0:
            self.shut(resets)

    def _fill(self, now: int) -> None:
        if now > self._filled:
            self._tokens = min(float(self.rate.burst), self._tokens + (now - self._filled) * self._per_ns(now))
            self._filled = now

    def _per_ns(self, now: int) -> float:
        return self.rate.per_second / SECOND / (2 if now < self._slow else 1)
