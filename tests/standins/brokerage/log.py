"""What a brokerage did, as it writes it down itself: tests read this, not what a client says of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Record(NamedTuple):
    """``kind``: ``accepted``, ``refused``, ``execution``, ``canceled``, ``expired``, ``rejected``, ``replaced``,
    ``modified``, ``corrected``, ``busted``, ``activity``; of which order, at what time (ns UTC), and the content."""

    kind: str
    client_id: str
    order_id: str
    time: int
    content: dict[str, Any]


class Log:
    """Records in the order they happened; from any thread."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._news = threading.Condition()

    def add(self, record: Record) -> None:
        """One record more."""
        with self._news:
            self._records.append(record)
            self._news.notify_all()

    @property
    def records(self) -> list[Record]:
        """All so far."""
        with self._news:
            return list(self._records)

    def of(self, kind: str, client_id: str | None = None) -> list[Record]:
        """Those of one kind, of one client id where it is given."""
        return [one for one in self.records if one.kind == kind and client_id in (None, one.client_id)]

    def accepted(self, client_id: str | None = None) -> list[Record]:
        """The orders taken, of one client id where it is given."""
        return self.of("accepted", client_id)

    def until(self, right: Callable[[Sequence[Record]], object], seconds: float = 10.0) -> list[Record]:
        """All records, once ``right`` holds of them. Raises AssertionError when it does not in time."""
        with self._news:
            assert self._news.wait_for(lambda: right(self._records), seconds), f"not in the log: {self._records[-5:]}"
            return list(self._records)
