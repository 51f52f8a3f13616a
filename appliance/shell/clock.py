"""Where time comes from: the machine's clock for live and paper trading, the data's for recorded markets."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from appliance.domain.market import SECOND
from appliance.domain.messages import DATA_BOOT, Now

STEP_BACK_MAX = SECOND
"""A wall clock that goes back by no more than this (ns) is held still; beyond it somebody set the clock."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TICKS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """What a turn is told of time. All values are ns."""

    def now(self) -> Now:
        """Market time, boot id and ticks, as the core sees them."""
        ...

    def ticks(self) -> int:
        """Ticks as the core sees them: CLOCK_BOOTTIME, or data time in replays."""
        ...

    def machine_ticks(self) -> int:
        """The machine's CLOCK_BOOTTIME, for heartbeats and peer silence, whatever the core sees."""
        ...


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

    def now(self) -> Now:
        """Clamped wall time (ns UTC), boot id, CLOCK_BOOTTIME ticks."""
        wall = self._wall()
        if not 0 <= self._latest - wall <= STEP_BACK_MAX:
            self._latest = wall
        return Now(self._latest, self._boot, self._ticks())

    def ticks(self) -> int:
        """CLOCK_BOOTTIME, ns."""
        return self._ticks()

    def machine_ticks(self) -> int:
        """CLOCK_BOOTTIME, ns."""
        return self._ticks()


class DataClock:
    """The data's time: it stands still until an event moves it on. The boot is ``data`` and ticks are data time."""

    def __init__(self, start: int = 0, machine: Callable[[], int] = machine_ticks) -> None:
        self._time = start
        self._machine = machine

    def advance(self, time: int) -> None:
        """Move on to an event's time (ns UTC); an older one, as a duplicate brings, changes nothing."""
        self._time = max(self._time, time)

    def now(self) -> Now:
        """The time of the latest event, in the boot ``data``."""
        return Now(self._time, DATA_BOOT, self._time)

    def ticks(self) -> int:
        """Data time, ns UTC."""
        return self._time

    def machine_ticks(self) -> int:
        """The machine's CLOCK_BOOTTIME, ns."""
        return self._machine()
