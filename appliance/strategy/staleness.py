"""When a symbol's next bar should have come long ago, in market time, counted only while the market is open."""

from __future__ import annotations

from typing import Any

from appliance.domain.market import HOUR, Bar, Sessions

LATE = 3
"""A symbol is stale when so many bars in a row have not come."""
LONG = 4 * HOUR
"""A bar of this length (ns) and longer is one a session: it is stale an hour after the next session's close."""


class Staleness:
    """The symbols of one strategy that have been heard of, and when each will be stale."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._due: dict[str, int] = {}

    def heard(self, bar: Bar) -> None:
        """A bar came."""
        due = self._stale_at(bar)
        if due is None:
            self._due.pop(bar.symbol, None)
        else:
            self._due[bar.symbol] = due

    def _stale_at(self, bar: Bar) -> int | None:
        length = bar.end - bar.start
        session = self._sessions.coming(bar.end)
        if session is None:
            return None
        if length >= LONG:
            return session.close + HOUR
        due = max(bar.end, session.open) + LATE * length
        if due <= session.close:
            return due
        following = self._sessions.coming(session.close)
        return following.open + LATE * length if following is not None else None

    def deadline(self) -> int | None:
        """When the next symbol is stale (ns UTC), or None."""
        return min(self._due.values(), default=None)

    def take(self, now: int) -> list[str]:
        """The symbols that are stale by ``now`` (ns UTC), each once until its next bar, in name order."""
        stale = sorted(symbol for symbol, due in self._due.items() if due <= now)
        for symbol in stale:
            del self._due[symbol]
        return stale

    def snapshot(self) -> dict[str, Any]:
        """Plain data for ``restore``."""
        return dict(sorted(self._due.items()))

    def restore(self, data: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self._due = dict(data)
