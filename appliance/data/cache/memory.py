"""The first level: what was used last, in memory, up to so many bytes. Pure; who uses it holds a lock."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Memory(Generic[Value]):
    """Values by key, each with its weight (bytes); what was not used for longest goes when all weigh above ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Hashable) -> Value | None:
        """The value of a key, which counts as used now; None where it is not held."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: Value, weight: int) -> None:
        """Hold a value, in place of the one of the same key; one that is too heavy by itself is not held."""
        self.drop(key)
        self._held[key] = (value, weight)
        self.weight += weight
        while self.weight > self._most:
            self.drop(next(iter(self._held)))

    def drop(self, key: Hashable) -> None:
        """Forget a key."""
        found = self._held.pop(key, None)
        self.weight -= found[1] if found else 0

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()
        self.weight = 0
