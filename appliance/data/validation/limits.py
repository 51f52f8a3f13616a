"""How far market data may go before a rule speaks: the owner's limits, checked."""

from __future__ import annotations

import math

from msgspec import Struct

from appliance.domain.market import SECOND
from appliance.errors import UsageError


class ValidationLimits(Struct, frozen=True):
    """Limits of the rules. Ratios are parts of one (0.05: 5 %), times are seconds, counts are events.

    ``jump_sigmas``: robust deviations a bar may move from the close before it; ``sigma_floor`` is the least deviation
    assumed. ``jump_ratio``: a move by more than this factor is looked at whatever the deviation is (a split may be the
    cause). ``impossible_ratio``: a move by this factor is no market's (5: down by 80 %, or up five times).
    ``trade_jump`` and ``quote_jump``: how far a trade, or a quote's side, may be from the last price, as a part of it;
    allowed is more after a silence. ``confirmations``: so many that agree make a refused price the new one.
    ``wide_spread`` is told, ``absurd_spread`` is set aside, both as a part of the middle. ``volume_times``: a volume
    above so many times the usual one is told. ``gap_seconds``: a shorter hole between bars is no news, since a bar
    without trades is not told. ``tick``: the price step (USD); less than half of it is float noise.
    ``stale_quote_seconds``: in session, the longest silence of a symbol's quotes or trades; ``late_bar_seconds``: how
    long after its end a bar may come. ``future_seconds``: how far ahead of us a time may be. ``delay_seconds``: how
    late the data are on purpose (900 of a delayed subscription). ``skew_alert_seconds`` and
    ``skew_inhibit_seconds``: how far our clock may be from the exchange's, the median of ``skew_window`` events.
    """

    jump_sigmas: float = 12.0
    sigma_floor: float = 0.001
    jump_ratio: float = 1.8
    impossible_ratio: float = 5.0
    trade_jump: float = 0.01
    quote_jump: float = 0.10
    confirmations: int = 3
    wide_spread: float = 0.05
    absurd_spread: float = 0.25
    volume_times: float = 100.0
    gap_seconds: float = 60.0
    tick: float = 0.01
    stale_quote_seconds: float = 60.0
    late_bar_seconds: float = 30.0
    future_seconds: float = 60.0
    delay_seconds: float = 0.0
    skew_alert_seconds: float = 0.25
    skew_inhibit_seconds: float = 1.0
    skew_window: int = 100

    def checked(self) -> ValidationLimits:
        """These limits. Raises UsageError naming the first one that is wrong and what it may be."""
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise UsageError(f"limit {name} {value!r}", hint=f"it must be from {low:g} to {high:g}")
        for less, more in _ORDER:
            if getattr(self, less) > getattr(self, more):
                raise UsageError(
                    f"limit {less} {getattr(self, less)!r} is above {more} {getattr(self, more)!r}",
                    hint=f"give {less} at most the value of {more}",
                )
        return self


DEFAULTS = ValidationLimits()
_RANGES: dict[str, tuple[float, float]] = {
    "jump_sigmas": (3, 1000),
    "sigma_floor": (1e-6, 0.1),
    "jump_ratio": (1.1, 10),
    "impossible_ratio": (1.5, 1000),
    "trade_jump": (0.0001, 1),
    "quote_jump": (0.0001, 1),
    "confirmations": (1, 1000),
    "wide_spread": (0.0001, 2),
    "absurd_spread": (0.0001, 2),
    "volume_times": (2, 1e9),
    "gap_seconds": (0, 1e9),
    "tick": (1e-9, 1000),
    "stale_quote_seconds": (1, 86_400),
    "late_bar_seconds": (0, 86_400),
    "future_seconds": (0.001, 86_400),
    "delay_seconds": (0, 86_400),
    "skew_alert_seconds": (0.001, 3600),
    "skew_inhibit_seconds": (0.001, 3600),
    "skew_window": (3, 100_000),
}
"""What each limit may be."""
_ORDER = (
    ("jump_ratio", "impossible_ratio"),
    ("wide_spread", "absurd_spread"),
    ("skew_alert_seconds", "skew_inhibit_seconds"),
)


def ns(seconds: float) -> int:
    """Seconds as ns."""
    return round(seconds * SECOND)
