"""Why the gateway is away, by the clock: its daily restart, the weekly login, or something else. Pure.

IB's gateway restarts each day by itself, which takes it 1 to 5 minutes. Each Sunday at 01:00 New York time its login
ends, and it is back only after its owner has logged in with his second factor.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from appliance.domain.venue import LinkState

MINUTE = 60_000_000_000
BEFORE, AFTER = 2 * MINUTE, 5 * MINUTE
"""Around the time of the restart: an order sent in the second of it is lost without an answer."""
QUIET = 2 * MINUTE
"""From so long before the restart to so long after it no new risk is sent."""
LONG = 15 * MINUTE
"""No restart takes so long."""
LOGIN = 5 * MINUTE
"""After the weekly end of the login, what is away for so long waits for its owner."""
WEDGED = 2 * MINUTE
_NEW_YORK = ZoneInfo("America/New_York")
_DAY = timedelta(days=1)
_SUNDAY, _ONE = 6, 1
WAITS_FOR_LOGIN = "it waits for its login: open it and confirm on your phone"


class Verdict(NamedTuple):
    """What is to be waited for, and what to tell the owner."""

    state: LinkState
    text: str = ""


RESTARTING = Verdict(LinkState.WAITING_RESET, "the gateway restarts, as it does each day")


class Outages:
    """``restart`` is HH:MM in ``zone`` (None: this machine's). Times are ns UTC."""

    def __init__(self, restart: str, zone: tzinfo | None) -> None:
        hour, minute = restart.split(":")
        self._clock = timedelta(hours=int(hour), minutes=int(minute))
        self._zone = zone
        self._since: int | None = None
        self._reset = False

    def near_restart(self, now: int) -> bool:
        """Whether an order sent now may be lost in the restart."""
        return self._within(now, QUIET, QUIET)

    def lost(self, now: int, told: bool = False) -> Verdict:
        """The connection ended by itself; ``told``: the gateway has said that it resets it (1300)."""
        self._since = now
        self._reset = told or self._within(now, BEFORE, AFTER)
        if self._reset:
            return RESTARTING
        return Verdict(LinkState.DOWN)

    def away(self, now: int, mute: bool = False) -> Verdict:
        """It could not be reached; ``mute``: it took the connection and said nothing."""
        if self._since is None:
            self._since, self._reset = now, self._within(now, BEFORE, AFTER)
        age = now - self._since
        away = f"away for {age // MINUTE} min"
        if age >= LOGIN and self._login_ended(now):
            return Verdict(LinkState.WAITING_2FA, f"{away} on the day of the weekly login: {WAITS_FOR_LOGIN}")
        if age >= LONG:
            return Verdict(LinkState.WAITING_2FA, f"{away}, longer than a restart takes: {WAITS_FOR_LOGIN}")
        if self._reset:
            return RESTARTING
        if mute and age >= WEDGED:
            return Verdict(LinkState.DOWN, "it takes connections and answers none: restart the gateway")
        return Verdict(LinkState.DOWN)

    def back(self) -> None:
        """It let us in."""
        self._since, self._reset = None, False

    def _within(self, now: int, before: int, after: int) -> bool:
        local = self._local(now)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        return any(
            timedelta(microseconds=-before // 1000) <= local - (midnight + day + self._clock)
            <= timedelta(microseconds=after // 1000)
            for day in (-_DAY, timedelta(0), _DAY)
        )  # fmt: skip

    def _local(self, now: int) -> datetime:
        moment = datetime.fromtimestamp(now // 1_000_000_000, UTC)
        return moment.astimezone(self._zone).replace(tzinfo=None)

    def _login_ended(self, now: int) -> bool:
        local = datetime.fromtimestamp(now // 1_000_000_000, UTC).astimezone(_NEW_YORK)
        return local.weekday() == _SUNDAY and local.hour >= _ONE
