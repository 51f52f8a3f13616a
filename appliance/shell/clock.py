"""Where time comes from: the machine's clock for live and paper trading, the data's for recorded markets."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

from appliance.domain.market import SECOND
from appliance.domain.messages import DATA_BOOT, Event, EventType, Now

STEP_BACK_MAX = SECOND
"""A wall clock that goes back by no more than this (ns) is held still; beyond it somebody set the clock."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TICKS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def machine_ticks() -> int:
    """CLOCK_BOOTTIME in ns (it goes on while the machine sleeps); CLOCK_MONOTONIC where there is no such clock."""
    return time.clock_gettime_ns(_TICKS)


def boot_id() -> str:
    """The kernel's boot id; without one, a new one per process, so that stored time-outs never hold: the safe side."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return str(uuid.uuid4())


class MachineClock:
    """The machine's time. Within a process wall time never steps back, so that small NTP corrections cannot reorder
    what we write; when the clock is set back by more than ``STEP_BACK_MAX`` it follows, for standing still until the
    old time returns would be worse."""

    def __init__(
        self, wall: Callable[[], int] = time.time_ns, ticks: Callable[[], int] = machine_ticks, boot: str | None = None
    ) -> None:
        self._wall = wall
        self._ticks = ticks
        self._boot = boot if boot is not None else boot_id()
        self._latest = 0

    def now(self, event: Event | None = None) -> Now:
        """Clamped wall time (ns UTC), boot id, CLOCK_BOOTTIME ticks."""
        wall = self._wall()
        if not 0 <= self._latest - wall <= STEP_BACK_MAX:
            self._latest = wall
        return Now(self._latest, self._boot, self._ticks())

    def resume(self, time: int) -> None:
        """The machine knows what time it is, wherever the journal ended."""

    def ticks(self) -> int:
        """CLOCK_BOOTTIME, ns."""
        return self._ticks()


class DataClock:
    """The data's time: it stands still until an event moves it on. The boot is ``data`` and ticks are data time."""

    def __init__(self, start: int = 0, machine: Callable[[], int] = machine_ticks) -> None:
        self._time = start
        self._machine = machine

    def now(self, event: Event | None = None) -> Now:
        """The time of the latest event, in the boot ``data``; an older event, as a duplicate is, changes nothing.

        Nor does a command: its time is that of the machine its owner sits at.
        """
        if event is not None and event.type is not EventType.COMMAND:
            self._time = max(self._time, event.ts)
        return Now(self._time, DATA_BOOT, self._time)

    def resume(self, time: int) -> None:
        """Go on from the market time (ns UTC) of the last commit."""
        self._time = max(self._time, time)

    def ticks(self) -> int:
        """The machine's CLOCK_BOOTTIME, ns: peers fall silent in real time, whatever the data's."""
        return self._machine()
