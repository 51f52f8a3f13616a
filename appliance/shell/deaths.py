"""Why a process died, in words, and whether by a cause of its own; told to its next start in APPLIANCE_LAST_DEATH.

Here the supervisor tells it. Under systemd a unit's ``ExecStopPost=`` gets the same in ``$SERVICE_RESULT`` (exit-code,
signal, core-dump, watchdog, oom-kill), ``$EXIT_CODE`` and ``$EXIT_STATUS``, and can leave it for the next
``ExecStart=``: ``watchdog`` and ``oom-kill`` are ours, a signal is judged by ``OWN_SIGNALS``, an exit code by itself.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence

LAST_DEATH = "APPLIANCE_LAST_DEATH"
OUT_OF_MEMORY_CODE = 12
"""The exit code of a process that cannot go on for want of memory (as ENOMEM is numbered)."""
WATCHDOG, OUT_OF_MEMORY = "watchdog", "out of memory"
OWN_SIGNALS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGSYS", "SIGTRAP", "SIGXCPU", "SIGXFSZ")
"""What the kernel sends for what a process has done. Any other signal comes from outside, and is nobody's fault."""
_VMSTAT = "/proc/vmstat"
_PLACE = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<hook>\S+)')


def cause_of(code: int, *, hung: bool = False, oom: bool = False, lines: Sequence[str] = ()) -> str:
    """The cause of a death in words, or "" when it came from outside.

    ``code`` is the exit code (negative: the signal). ``hung``: we killed it for its silence; ``oom``: the kernel has
    killed for want of memory. ``lines`` are its last ones: faulthandler's stack tells where it was.
    """
    if hung:
        return WATCHDOG + _place(lines)
    if code == OUT_OF_MEMORY_CODE or (code == -signal.SIGKILL and oom):
        return OUT_OF_MEMORY
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in signal.Signals.__members__.values() else ""
    return name + _place(lines) if name in OWN_SIGNALS else ""


def last_death(env: Mapping[str, str]) -> str:
    """How we died last time by a cause of our own, or ""."""
    return env.get(LAST_DEATH, "")


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory since it booted; 0 where it does not say."""
    try:
        with open(_VMSTAT, encoding="ascii") as rows:
            return next((int(row.split()[1]) for row in rows if row.startswith("oom_kill ")), 0)
    except OSError:
        return 0


def _place(lines: Sequence[str]) -> str:
    """`` in mine.py:12 (on_bar)``: the innermost frame of a stack that faulthandler wrote."""
    found = next(filter(None, map(_PLACE.match, lines)), None)
    return f" in {found['file'].rpartition('/')[2]}:{found['line']} ({found['hook']})" if found else ""
