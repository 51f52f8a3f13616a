"""Faults of a stand-in server, each switched on and off while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Switches:
    """Attributes to set; ``changed`` is told of each. All are off at first."""

    backwards: bool = False
    """Rows and messages in the wrong order."""
    twice: bool = False
    """Each row and message two times."""
    gap: int = 0
    """How many of the next rows or messages are left out."""

    def __init__(self, changed: Callable[[str, Any], None]) -> None:
        object.__setattr__(self, "_changed", changed)

    def __setattr__(self, name: str, value: Any) -> None:
        assert hasattr(type(self), name), f"no such fault: {name}"
        object.__setattr__(self, name, value)
        self._changed(name, value)  # type: ignore[attr-defined]

    def clear(self) -> None:
        """All off."""
        for name in [name for name in vars(self) if not name.startswith("_")]:
            setattr(self, name, getattr(type(self), name))

    def twisted(self, rows: Sequence[T]) -> list[T]:
        """The rows with those of the faults that concern their order and number."""
        kept = list(rows)[self.gap :] if self.gap else list(rows)
        if self.gap:
            self.gap = max(self.gap - len(rows), 0)
        if self.twice:
            kept = [row for row in kept for _ in range(2)]
        return kept[::-1] if self.backwards else kept
