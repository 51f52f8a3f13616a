"""What can be wrong with a server, each switched on and off while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from tests.standins.alpaca.log import Log

T = TypeVar("T")


class Faults:
    """Attributes to set; each change is in the log. All are off at first."""

    latency: float = 0.0
    """Seconds before each reply."""
    mute: bool = False
    """REST gives no reply; the stream sends no data, but answers pings."""
    half_open: bool = False
    """Nothing is read any more, no ping answered, nothing sent; the connection stays open."""
    busy: bool = False
    """429 for every request and every handshake."""
    retry_after: int = 0
    """Seconds that a 429 or 503 asks for in Retry-After; 0: it does not say."""
    taken: bool = False
    """Another program holds the one connection: 406."""
    broken: int = 0
    """An HTTP status from 500 on, with a page of HTML as its body."""
    html: bool = False
    """200 and a page of HTML."""
    damaged: str = ""
    """``json`` cuts the body off (and its length is right), ``gzip`` the archive, ``short`` sends less than it said."""
    drip: float = 0.0
    """Seconds between each few bytes of a body."""
    reset: bool = False
    """Requests and handshakes are answered by resetting the connection."""
    garbled: bool = False
    """Rows without their fields; frames that are no msgpack."""
    backwards: bool = False
    """Rows and messages in the wrong order."""
    twice: bool = False
    """Each row and message two times."""
    gap: int = 0
    """How many rows of the next page, or messages of the stream, are left out."""
    greeting: int = 0
    """An error code of the stream instead of ``authenticated``."""
    subscribing: int = 0
    """An error code of the stream instead of the subscription."""

    without: str = ""
    """A channel that this feed does not have: 410."""

    def __init__(self, log: Log) -> None:
        object.__setattr__(self, "_log", log)

    def __setattr__(self, name: str, value: Any) -> None:
        assert hasattr(type(self), name), f"no such fault: {name}"
        object.__setattr__(self, name, value)
        self._log.add("fault", name, value=value)  # type: ignore[attr-defined]

    def clear(self) -> None:
        """All off."""
        for name in [name for name in vars(self) if name != "_log"]:
            setattr(self, name, getattr(type(self), name))

    def twisted(self, rows: Sequence[T]) -> list[T]:
        """The rows with those of the faults that concern their order and number."""
        kept = list(rows)[self.gap :] if self.gap else list(rows)
        if self.gap:
            self.gap = max(self.gap - len(rows), 0)
        if self.twice:
            kept = [row for row in kept for _ in range(2)]
        return kept[::-1] if self.backwards else kept
