"""Published bars are kept in the history store, beside the market's way: what goes wrong there stops no bar."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from appliance.data.store import HistoryStore
from appliance.domain.market import HOUR, Bar
from appliance.errors import EnvironmentFault

log = logging.getLogger(__name__)
TIDY_EVERY = HOUR
AGAIN = 60 * 1_000_000_000
"""How long (ns) after a failure the store is tried again."""


class Keeper:
    """A feed's ``Keep``. The store is opened by the thread that keeps, since SQLite's connections are a thread's own;
    ``now`` is UTC (ns)."""

    def __init__(self, open_store: Callable[[], HistoryStore], now: Callable[[], int]) -> None:
        self._open, self._now = open_store, now
        self._store: HistoryStore | None = None
        self._fault: EnvironmentFault | None = None
        self._tidied = self._failed = 0

    def __call__(self, bars: Sequence[Bar]) -> None:
        """Keep them, and once an hour remove what is beyond the limits. Raises EnvironmentFault while that fails; it is
        tried again after a minute."""
        now = self._now()
        if self._fault is not None and 0 <= now - self._failed < AGAIN:
            raise self._fault
        try:
            self._keep(bars, now)
        except EnvironmentFault as error:
            self._failed, self._fault = now, error
            self._leave()
            raise
        self._fault = None

    def _keep(self, bars: Sequence[Bar], now: int) -> None:
        if self._store is None:
            self._store = self._open()
            if self._store.replaced:
                log.warning(self._store.replaced)
        self._store.add(bars)
        if not 0 <= now - self._tidied < TIDY_EVERY:
            self._tidied = now
            self._store.tidy(now)

    def _leave(self) -> None:
        store, self._store = self._store, None
        with suppress(EnvironmentFault):
            if store is not None:
                store.close()
