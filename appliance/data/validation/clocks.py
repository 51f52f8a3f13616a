"""How far our clock is from a source's: the median of what lies between its times and our receipts."""

from __future__ import annotations

from statistics import median_low

from appliance.data.validation.limits import ValidationLimits, ns
from appliance.data.validation.rules import finding
from appliance.data.validation.verdicts import Finding
from appliance.domain.market import SECOND, Quote, Trade


class Clocks:
    """One window of differences a source: received minus exchange time, over ``skew_window`` quotes and trades.

    Below zero our clock is behind. Above it our clock is ahead, or the data come late: either way they are not to be
    traded on. A finding is made when a window's verdict differs from the one before it, not for each event.
    """

    def __init__(self, limits: ValidationLimits) -> None:
        self._window, self._delay = limits.skew_window, ns(limits.delay_seconds)
        self._bounds = (
            (ns(limits.skew_inhibit_seconds), "clock_skew_inhibits"),
            (ns(limits.skew_alert_seconds), "clock_skew"),
        )
        self._open: dict[str, list[int]] = {}
        self._state: dict[str, str] = {}
        self.skews: dict[str, int] = {}
        """The last median (ns) of each source."""

    def heard(self, event: Quote | Trade) -> Finding | None:
        """Take an event that says when it was received."""
        window = self._open.get(event.source)
        if window is None:
            window = self._open[event.source] = []
        window.append(event.received - event.time - self._delay)
        return self._closed(event, window) if len(window) >= self._window else None

    def worst(self) -> str:
        """The worst rule that is broken now by any source, "" when none is."""
        return next((rule for _, rule in self._bounds if rule in self._state.values()), "")

    def _closed(self, event: Quote | Trade, window: list[int]) -> Finding | None:
        skew = self.skews[event.source] = median_low(window)
        window.clear()
        rule = next((rule for bound, rule in self._bounds if not abs(skew) <= bound), "")
        before, self._state[event.source] = self._state.get(event.source, ""), rule
        if rule == before or not rule:
            return None
        side = "behind" if skew < 0 else "ahead of"
        text = f"received {abs(skew) / SECOND:.3f} s {'before' if skew < 0 else 'after'} the exchange's time"
        return finding(rule, event, event.time, f"{text}: our clock is {side} it, or data come late", skew / SECOND)
