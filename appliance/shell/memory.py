"""How much a process may allocate: the first net under a strategy that leaks. The second is the unit's MemoryMax."""

from __future__ import annotations

import os
import resource
from typing import NoReturn

from appliance.shell.deaths import OUT_OF_MEMORY_CODE

LOADING = 1 << 30
"""What libraries may take while they load, in address space, of which they use little."""


def limit_memory(beyond: int) -> None:
    """From now on, allow ``beyond`` bytes of address space more than are in use; 0: as many as there are.

    What goes beyond gets a MemoryError. There is no way back to more. A core dump, which would fill the disk, is never
    written.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if beyond:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = address_space() + beyond
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def address_space() -> int:
    """Bytes of address space in use."""
    with open("/proc/self/statm", encoding="ascii") as figures:
        return int(figures.read().split()[0]) * resource.getpagesize()


def end_out_of_memory() -> NoReturn:
    """End at once, as ``kill -9`` would: to close things in order takes memory, and the journal knows the rest."""
    os.write(2, b"out of memory\n")
    os._exit(OUT_OF_MEMORY_CODE)
