"""Chance that can be repeated: a seeded generator whose whole state is one number, saved with the strategy's."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from hashlib import sha256
from math import cos, log, pi, sqrt
from typing import TypeVar

from appliance.errors import StrategyError

T = TypeVar("T")
_MASK = 2**64 - 1


class Chance:
    """SplitMix64 (Steele, Lea, Flood 2014) with the methods of ``random.Random`` that strategies use.

    ``position`` is all its state. The same seed gives the same numbers on every machine.
    """

    __slots__ = ("position",)

    def __init__(self, seed: str) -> None:
        self.position = int.from_bytes(sha256(seed.encode()).digest()[:8])

    def _next(self) -> int:
        self.position = (self.position + 0x9E3779B97F4A7C15) & _MASK
        mixed = self.position
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def random(self) -> float:
        """A float in [0, 1), 53 bits."""
        return (self._next() >> 11) / (1 << 53)

    def uniform(self, a: float, b: float) -> float:
        """A float between ``a`` and ``b``."""
        return a + (b - a) * self.random()

    def randint(self, a: int, b: int) -> int:
        """A whole number from ``a`` to ``b``, both included. Raises StrategyError when there is none."""
        if not a <= b:
            raise StrategyError(f"rng.randint({a}, {b}): there is no whole number from {a} to {b}")
        return a + self._next() * (b - a + 1) // 2**64  # even but for one part in 2**64 / (b - a)

    def choice(self, values: Sequence[T]) -> T:
        """One of ``values``. Raises StrategyError when there are none."""
        if not len(values):
            raise StrategyError("rng.choice(): there is nothing to choose from")
        return values[self.randint(0, len(values) - 1)]

    def shuffle(self, values: MutableSequence[T]) -> None:
        """Put a list into another order, in place (Fisher, Yates)."""
        for index in range(len(values) - 1, 0, -1):
            other = self.randint(0, index)
            values[index], values[other] = values[other], values[index]

    def sample(self, values: Sequence[T], k: int) -> list[T]:
        """``k`` different elements of ``values``. Raises StrategyError when there are fewer."""
        if not 0 <= k <= len(values):
            raise StrategyError(f"rng.sample(): {k} of {len(values)} values")
        mixed = list(values)
        self.shuffle(mixed)
        return mixed[:k]

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """A normal variate (Box, Muller)."""
        return mu + sigma * sqrt(-2.0 * log(1.0 - self.random())) * cos(2.0 * pi * self.random())
