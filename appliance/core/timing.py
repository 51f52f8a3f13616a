"""When a host's timers are due in ticks, and what of all that it hears is the past."""

from __future__ import annotations

from appliance.domain.messages import DATA_BOOT, Now

GRACE = 1_000_000_000
"""Live, a timer is due so long (ns) after its time: the bar that ends with it is to come first, as in a replay."""
PATIENCE = 5_000_000_000
"""While the past is being told, and for so long (ns) after a start, timers wait: bars of their time may still come."""


class Timing:
    """``validity`` is how long (ns) something may be acted on; ``past`` whether what is heard now is older.

    The past is judged by time: strategies learn from it, nobody trades it, the last wish waits for the present.
    """

    def __init__(self, validity: int) -> None:
        self._validity = validity
        self._apart: int | None = None
        self._patience = 0
        self.past = False

    def set(self, now: Now) -> None:
        """Ticks are market time in a replay, and so far apart from it live."""
        self._apart = None if now.boot == DATA_BOOT else now.ticks - now.time

    def be_patient(self, now: Now) -> None:
        """Bars of an earlier time may still come."""
        self._patience = now.ticks + PATIENCE

    def ticks_of(self, due: int) -> int:
        """When to be woken for a timer that is due then (ns UTC)."""
        return due if self._apart is None else max(due + GRACE + self._apart, self._patience)

    def judge(self, time: int, now: Now) -> bool:
        """Whether what happened at ``time`` (ns UTC) is the past, for all that is wished of it."""
        self.past = now.boot != DATA_BOOT and now.time - time > self._validity
        return self.past
