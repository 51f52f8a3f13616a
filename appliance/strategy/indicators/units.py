"""The whole numbers that prices enter sums as."""

UNITS = 100_000_000
"""Units in one USD, one share, one percent."""
SCALE = 1e8
"""The same as a float: ``round(price * SCALE)`` is a price in units (finer digits are rounded half to even)."""
ROUNDER = 6755399441055744.0
"""1.5 * 2**52, where floats are whole numbers: ``x + ROUNDER - ROUNDER`` is ``round(x)`` as a float, half to even."""
WHOLE = 2**53
"""Below it a float holds every whole number, so that sums of them are exact, and a quotient is rounded once."""
ROUNDED = 2**51
"""Up to it ``ROUNDER`` rounds."""


def exact_below(period: int) -> float:
    """Floats of whole units below it stay exact in a sum of ``period`` of them and one more."""
    return float(min(ROUNDED, WHOLE // (period + 1)))
