"""The whole numbers that prices enter sums as."""

UNITS = 100_000_000
"""Units in one USD, one share, one percent."""
SCALE = 1e8
"""The same as a float: ``round(price * SCALE)`` is a price in units (finer digits are rounded half to even)."""
