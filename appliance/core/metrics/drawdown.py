"""How far below its peak, how deep and how long at most, and how often."""

from __future__ import annotations

from msgspec import Struct


class Drawdown(Struct):
    """Fractions of the peak, not above 0; times ns. ``deepest`` and ``longest`` are the worst so far; a drawdown lasts
    from its peak until that is reached again. ``moments`` counts the marks, ``under`` those below the peak."""

    peak: float = 1.0
    since: int = 0
    time: int = 0
    current: float = 0.0
    deepest: float = 0.0
    longest: int = 0
    moments: int = 0
    under: int = 0

    def mark(self, growth: float, time: int) -> None:
        """Growth is ``growth`` (of 1) at ``time``, which is later than before."""
        if growth < self.peak or self.current < 0:
            self.longest = max(self.longest, time - self.since)
        if growth >= self.peak:
            self.peak, self.since = growth, time
        self.time = time
        self.current = growth / self.peak - 1
        self.deepest = min(self.deepest, self.current)
        self.moments += 1
        self.under += self.current < 0

    @property
    def lasts(self) -> int:
        """How long the present drawdown has lasted, ns; 0 at a peak."""
        return self.time - self.since if self.current < 0 else 0

    @property
    def under_water(self) -> float | None:
        """Share of the marks below the peak."""
        return self.under / self.moments if self.moments else None
