"""Growth with cash flows left out, and the daily returns made of it: volatility, Sharpe, Sortino, annual growth.

Conventions: a daily return is equity at one session close over that at the one before, less 1; deviations have ddof 1;
a year has ``periods`` of them; the rate without risk and the least acceptable return are 0; downside deviation counts
all days. What is not defined (too few days, no variance, no loss) is None.
"""

from __future__ import annotations

import math

from msgspec import Struct, field

YEAR = 31_557_600_000_000_000
"""A calendar year of 365.25 days, ns."""
TRADING_DAYS = 252
NOISE = 1e-12
"""A deviation of daily returns not above this is rounding, not variance."""
GROWTH_MAX = 1e50
"""Growth beyond this, or a close below its inverse, is no growth any more: nothing may overflow in the sums."""


def ratio(numerator: float, denominator: float) -> float | None:
    """The quotient, or None where it is not a finite number."""
    if not denominator:
        return None
    value = numerator / denominator
    return value if math.isfinite(value) else None


def annual_growth(growth: float, years: float) -> float | None:
    """What growth to ``growth`` times the money in ``years`` makes in one year, as a fraction."""
    if not growth > 0 or not years > 0:
        return None
    try:
        return float(growth ** (1 / years) - 1)
    except OverflowError:
        return None


class Spread(Struct):
    """Mean and deviation (ddof 1) of numbers that come one by one (Welford)."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Count one number in."""
        self.n += 1
        change = value - self.mean
        self.mean += change / self.n
        self.squares += change * (value - self.mean)

    @property
    def deviation(self) -> float | None:
        """Standard deviation; None below two numbers."""
        return math.sqrt(self.squares / (self.n - 1)) if self.n > 1 else None


class Growth(Struct):
    """What 1 USD has become, time-weighted: cash that is added or taken is no profit. ``base`` is the equity (USD)
    after the last such flow, ``factor`` the growth until then."""

    base: float
    factor: float = 1.0

    def of(self, equity: float) -> float | None:
        """The growth at ``equity`` (USD); None where there was nothing to grow, or it is no number."""
        value = self.factor * equity / self.base if self.base > 0 else math.nan
        return value if abs(value) < GROWTH_MAX else None

    def flow(self, equity: float, amount: float) -> None:
        """``amount`` USD came (negative: went) while equity was ``equity``."""
        growth = self.of(equity)
        if growth is not None:
            self.factor = growth
        self.base = equity + amount


class Returns(Struct):
    """Daily returns since ``opened`` (ns UTC). Annual figures are fractions; ``best`` and ``worst`` days too.

    ``ruined``: equity was not above 0 at a close; no return follows from that, and the ratios stay undefined.
    """

    opened: int = 0
    periods: int = TRADING_DAYS
    closed: int = 0
    last: float = 1.0
    spread: Spread = field(default_factory=Spread)
    below: float = 0.0
    best: float | None = None
    worst: float | None = None
    ruined: bool = False

    def __post_init__(self) -> None:
        self.closed = max(self.closed, self.opened)

    def close(self, growth: float, time: int) -> bool:
        """A session closed at ``time`` (ns UTC) with ``growth``. False, and nothing is counted, unless it is later."""
        if not time > self.closed:
            return False
        self.closed = time
        if self.ruined or not self.last > 1 / GROWTH_MAX:
            self.ruined = True
            return True
        value = growth / self.last - 1
        self.last = growth
        self.spread.add(value)
        self.below += min(value, 0.0) ** 2
        self.best = value if self.best is None else max(self.best, value)
        self.worst = value if self.worst is None else min(self.worst, value)
        return True

    @property
    def days(self) -> int:
        """Daily returns counted."""
        return self.spread.n

    @property
    def _deviation(self) -> float | None:
        deviation = None if self.ruined else self.spread.deviation
        return deviation if deviation is not None and deviation > NOISE else None

    @property
    def _downside(self) -> float | None:
        downside = math.sqrt(self.below / self.days) if self.days and not self.ruined else 0.0
        return downside if downside > NOISE else None

    @property
    def volatility(self) -> float | None:
        """Annual standard deviation."""
        return None if self._deviation is None else self._deviation * math.sqrt(self.periods)

    @property
    def downside_deviation(self) -> float | None:
        """Annual root of the mean square of the losing days, over all days."""
        return None if self._downside is None else self._downside * math.sqrt(self.periods)

    @property
    def sharpe(self) -> float | None:
        """Annual mean return over volatility."""
        return None if self._deviation is None else self.spread.mean / self._deviation * math.sqrt(self.periods)

    @property
    def sortino(self) -> float | None:
        """Annual mean return over downside deviation."""
        return None if self._downside is None else self.spread.mean / self._downside * math.sqrt(self.periods)

    @property
    def cagr(self) -> float | None:
        """Annual growth in trading time: ``periods`` days are a year."""
        return None if self.ruined else annual_growth(self.last, self.days / self.periods)

    @property
    def cagr_calendar(self) -> float | None:
        """Annual growth in calendar time: 365.25 days are a year."""
        return None if self.ruined else annual_growth(self.last, (self.closed - self.opened) / YEAR)
