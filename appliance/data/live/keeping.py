"""Published bars are kept in the history store, beside the market's way: what goes wrong there stops no bar."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from appliance.data.store import HistoryStore
from appliance.domain.market import HOUR, Bar
from appliance.errors import DataError, EnvironmentFault

log = logging.getLogger(__name__)
TIDY_EVERY = HOUR
AGAIN = 60 * 1_000_000_000
"""How long (ns) after a failure the store is tried again."""

WAITING_MAX = 10_000
"""Bars that wait for the store at most, the oldest forgotten first: 20 symbols for a session."""


class Keeper:
    """A feed's ``Keep``. The store is opened by the thread that keeps, since SQLite's connections are a thread's own;
    ``now`` is UTC (ns)."""

    def __init__(self, open_store: Callable[[], HistoryStore], now: Callable[[], int]) -> None:
        self._open, self._now = open_store, now
        self._store: HistoryStore | None = None
        self._fault: EnvironmentFault | None = None
        self._tidied = self._failed = 0
        self._waiting: deque[Bar] = deque(maxlen=WAITING_MAX)

    def __call__(self, bars: Sequence[Bar]) -> None:
        """Keep them, and once an hour remove what is beyond the limits. Raises EnvironmentFault while that fails; it is
        tried again after a minute, with the bars that came meanwhile."""
        now = self._now()
        self._waiting.extend(bars)
        if self._fault is not None and 0 <= now - self._failed < AGAIN:
            raise self._fault
        try:
            self._keep(now)
        except EnvironmentFault as error:
            self._failed, self._fault = now, error
            self._leave()
            raise
        self._fault = None

    def _keep(self, now: int) -> None:
        if self._store is None:
            self._store = self._open()
            if self._store.replaced:
                log.warning(self._store.replaced)
        try:
            self._store.add(self._waiting)
        except DataError:
            self._waiting.clear()  # one of them can never be kept
            raise
        self._waiting.clear()
        if not 0 <= now - self._tidied < TIDY_EVERY:
            self._tidied = now
            self._store.tidy(now)

    def _leave(self) -> None:
        store, self._store = self._store, None
        with suppress(EnvironmentFault):
            if store is not None:
                store.close()
