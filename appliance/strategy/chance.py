"""Chance that can be repeated: a seeded generator whose whole state is one number, saved with the strategy's."""

from __future__ import annotations

from hashlib import sha256
from random import Random  # noqa: TID251 - the base of a generator that is always seeded

_MASK = 2**64 - 1


class Chance(Random):
    """``random.Random`` with all its methods over SplitMix64 (Steele, Lea, Flood 2014). ``position`` is its state."""

    def __init__(self, seed: str) -> None:
        self.position = int.from_bytes(sha256(seed.encode()).digest()[:8])
        super().__init__()

    def seed(self, *given: object) -> None:
        """Keep the seed it was made with: another one would be chance that nobody can repeat."""

    def _next(self) -> int:
        self.position = (self.position + 0x9E3779B97F4A7C15) & _MASK
        mixed = self.position
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def random(self) -> float:
        """A float in [0, 1), 53 bits."""
        return (self._next() >> 11) / (1 << 53)

    def getrandbits(self, k: int) -> int:
        """``k`` random bits as an int."""
        words = (k + 63) // 64
        whole = 0
        for _ in range(words):
            whole = whole << 64 | self._next()
        return whole >> (words * 64 - k)

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """A normal variate; nothing is kept for the next call, as the library's own would."""
        return self.normalvariate(mu, sigma)
