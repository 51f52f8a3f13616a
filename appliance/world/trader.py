"""The world's own strategy: trades often, remembers what it saw, and is decided by nothing but its data and memory."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from appliance.core.wishes import Silent, Wish, Wishes
from appliance.domain.market import Bar

TARGETS = (100, 0, -60, 40, 0, 80, -100, 0)


class WorldTrader(Silent):
    """Holds another position every other bar; every entry has a protective stop close by."""

    def __init__(self, name: str, symbol: str, salt: int) -> None:
        super().__init__(name, (symbol,))
        self._salt = salt
        self._bars = 0

    def bar(self, bar: Bar, now: int) -> Wishes:
        """Another position every other bar, chosen by what it has seen."""
        self._bars += 1
        if (self._bars + self._salt) % 2:
            return ()
        target = TARGETS[(self._bars * 7 + self._salt + int(bar.close * 100)) % len(TARGETS)]
        distance = 1.002 if target < 0 else 0.998
        stop = Decimal(repr(round(bar.close * distance, 2))) if target and self._bars % 3 else None
        return (Wish(bar.symbol, Decimal(target), f"bar {self._bars}", stop),)

    def snapshot(self) -> dict[str, Any]:
        return {"bars": self._bars}

    def restore(self, data: dict[str, Any]) -> None:
        self._bars = data["bars"]
