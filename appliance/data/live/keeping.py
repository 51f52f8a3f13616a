"""Published bars are kept in the history store, beside the market's way: what goes wrong there stops no bar."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

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
        self._tidied = self._failed = 0

    def __call__(self, bars: Sequence[Bar]) -> None:
        """Keep them, and once an hour remove what is beyond the limits. Never raises: it is logged."""
        now = self._now()
        if self._failed and now - self._failed < AGAIN:
            return
        try:
            if self._store is None:
                self._store = self._open()
                if self._store.replaced:
                    log.warning(self._store.replaced)
            self._store.add(bars)
            if now - self._tidied >= TIDY_EVERY:
                self._tidied = now
                self._store.tidy(now)
            self._failed = 0
        except EnvironmentFault as error:
            if not self._failed:
                log.error("live bars are not kept: %s", error.text)
            self._failed, self._store = now, None
