"""What the stand-in saw and did, as it keeps it itself: tests read this, not what the client says of it."""

from __future__ import annotations

import threading
from typing import NamedTuple


class Entry(NamedTuple):
    """``what`` happened (``connected``, ``received``, ``sent``, ``closed``, ``fault``) to which client, with which
    fields; ``time`` is the server loop's clock in seconds."""

    what: str
    client: int
    fields: tuple[str, ...]
    time: float = 0.0


class Log:
    """Entries in the order they happened; from any thread."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._news = threading.Condition()

    def add(self, entry: Entry) -> None:
        """One entry more."""
        with self._news:
            self._entries.append(entry)
            self._news.notify_all()

    def of(self, what: str, message: str = "") -> list[Entry]:
        """The entries of one kind so far, of one message id where it is given."""
        with self._news:
            return self._found(what, message)

    def until(self, what: str, message: str = "", count: int = 1, seconds: float = 10.0) -> list[Entry]:
        """The entries of one kind, once there are ``count``. Raises AssertionError when there are not in time."""
        with self._news:
            assert self._news.wait_for(lambda: len(self._found(what, message)) >= count, seconds), (
                f"{what} {message}: not {count} in the log; last {self._entries[-5:]}"
            )
            return self._found(what, message)

    def _found(self, what: str, message: str) -> list[Entry]:
        return [one for one in self._entries if one.what == what and message in ("", *one.fields[:1])]
