"""How often which level of the cache had what was wanted."""

from __future__ import annotations

import threading

from msgspec import Struct
from msgspec.structs import replace


class CacheStats(Struct, frozen=True):
    """What has happened so far. Of the blocks that were wanted: found in memory, on the disk, heard with another thread
    that was asking already (``shared``), or asked for (``misses``). Callers' ``requests``, and how many of them needed
    nothing of the source (``silent``). ``calls`` of the source brought ``bars``. Bytes held now in ``memory`` and on
    the ``disk``, and ``written`` to it: cards wear out."""

    memory_hits: int = 0
    disk_hits: int = 0
    shared: int = 0
    misses: int = 0
    requests: int = 0
    silent: int = 0
    calls: int = 0
    bars: int = 0
    memory: int = 0
    disk: int = 0
    written: int = 0

    @property
    def hit_rate(self) -> float:
        """The part of the blocks that the source was not asked for; 0 while nothing was wanted."""
        hits = self.memory_hits + self.disk_hits + self.shared
        return hits / (hits + self.misses) if hits + self.misses else 0.0


class Counts:
    """Counts of several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = CacheStats()

    def add(self, **more: int) -> None:
        """Count something, by its name in ``CacheStats``."""
        with self._lock:
            sums = {name: getattr(self._counts, name) + number for name, number in more.items()}
            self._counts = replace(self._counts, **sums)

    def so_far(self) -> CacheStats:
        """The counts up to now."""
        return self._counts
