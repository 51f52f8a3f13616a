"""What a stand-in saw and did, as it keeps it itself: tests read this, not what the client says of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """``what`` happened (``request``, ``reply``, ``connected``, ``received``, ``sent``, ``closed``, ``fault``), where,
    and its particulars."""

    what: str
    where: str
    facts: dict[str, Any]


class Log:
    """Entries in the order they happened; from any thread."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._news = threading.Condition()

    def add(self, what: str, where: str = "", **facts: Any) -> None:
        """One entry more."""
        with self._news:
            self._entries.append(Entry(what, where, facts))
            self._news.notify_all()

    def of(self, what: str, where: str = "") -> list[Entry]:
        """The entries of one kind so far, of one place where it is given."""
        with self._news:
            return [entry for entry in self._entries if entry.what == what and where in ("", entry.where)]

    def until(self, right: Callable[[Sequence[Entry]], object], seconds: float = 10.0) -> list[Entry]:
        """All entries, once ``right`` holds of them. Raises AssertionError when it does not in time."""
        with self._news:
            assert self._news.wait_for(lambda: right(self._entries), seconds), f"not in the log: {self._entries[-5:]}"
            return list(self._entries)
