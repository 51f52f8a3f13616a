"""What can be wrong with a gateway, each switched on and off while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Faults:
    """Attributes to set; each change is in the log. All are off at first."""

    refuse: bool = False
    """TCP is accepted, and nothing is ever read or answered: the wedge of gateway 10.41."""
    half_open: bool = False
    """Nothing is read any more and nothing sent; the connections stay open."""
    mute: bool = False
    """No market data; all else is answered."""
    slow: float = 0.0
    """Seconds before each message."""
    silent: frozenset[str] = frozenset()
    """Ids of requests that are never answered."""
    pacing: bool = False
    """Each question about the past is a pacing violation."""
    refusing: tuple[int, str] = (0, "")
    """Each question about the past gets this error, with its code."""
    backwards: bool = False
    """Rows of history, and the bars of one push, in the wrong order."""
    twice: bool = False
    """Each of them two times."""
    gap: int = 0
    """How many of the next are left out."""

    def __init__(self, changed: Callable[[str, Any], None]) -> None:
        object.__setattr__(self, "_changed", changed)

    def __setattr__(self, name: str, value: Any) -> None:
        assert hasattr(type(self), name), f"no such fault: {name}"
        object.__setattr__(self, name, value)
        self._changed(name, value)  # type: ignore[attr-defined]

    def clear(self) -> None:
        """All off."""
        for name in [name for name in vars(self) if name != "_changed"]:
            setattr(self, name, getattr(type(self), name))

    def twisted(self, rows: Sequence[T]) -> list[T]:
        """The rows with those of the faults that concern their order and number."""
        kept = list(rows)[self.gap :] if self.gap else list(rows)
        if self.gap:
            self.gap = max(self.gap - len(rows), 0)
        if self.twice:
            kept = [row for row in kept for _ in range(2)]
        return kept[::-1] if self.backwards else kept
