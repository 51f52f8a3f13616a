"""The last values of an indicator, saved so that a new bar does not rewrite all of a long window."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from appliance.core.saving import CHUNK

LONG = 4 * CHUNK
"""From so many values on a window is saved in chunks."""
Window = deque[Any]


class LongWindow(Window):
    """A deque that counts what it takes, so that its values have numbers, and chunks of them too."""

    __slots__ = ("_chunks", "taken")

    def __init__(self, values: Iterable[Any], limit: int) -> None:
        super().__init__(values, limit)
        self.taken = len(self)
        self._chunks: dict[str, list[Any]] = {}

    def append(self, value: Any) -> None:
        """Take the next value."""
        self.taken += 1
        deque.append(self, value)

    def snapshot(self) -> dict[str, Any]:
        """Plain data: ``taken`` values so far, and the kept ones: those between ``head`` and ``tail`` in full chunks
        by number. It depends on the values alone, and a chunk is the same object each time."""
        values, first = list(self), self.taken - len(self)
        low, high = -(-first // CHUNK), self.taken // CHUNK
        known = self._chunks
        self._chunks = {
            number: known[number] if number in known else _plain(values[at * CHUNK - first : (at + 1) * CHUNK - first])
            for at in range(low, high)
            for number in (str(at),)
        }
        head, tail = values[: low * CHUNK - first], values[high * CHUNK - first :]
        return {"taken": self.taken, "head": _plain(head), "chunks": dict(self._chunks), "tail": _plain(tail)}


def sliding(values: Iterable[Any], limit: int) -> Window:
    """The last ``limit`` values, beginning with ``values``."""
    return deque(values, limit) if limit < LONG else LongWindow(values, limit)


def saved(kept: Window) -> Any:
    """Plain data from which ``loaded`` goes on."""
    return kept.snapshot() if isinstance(kept, LongWindow) else _plain(list(kept))


def loaded(data: Any, limit: int) -> Window:
    """A window from what ``saved`` gave."""
    if isinstance(data, list):
        return sliding(_values(data), limit)
    chunks = [value for number in sorted(data["chunks"], key=int) for value in data["chunks"][number]]
    found = LongWindow(_values([*data["head"], *chunks, *data["tail"]]), limit)
    found.taken = data["taken"]
    return found


def _plain(values: list[Any]) -> list[Any]:
    """Pairs as JSON has them."""
    return [list(value) for value in values] if values and type(values[0]) is tuple else values


def _values(data: list[Any]) -> list[Any]:
    return [tuple(value) for value in data] if data and type(data[0]) is list else data
