"""The world's own strategy: trades often, remembers what it saw, and is decided by nothing but its data and memory."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from appliance.core.wishes import Wish
from appliance.domain.market import Bar, Quote
from appliance.domain.trading import Fill, Order

TARGETS = (100, 0, -60, 40, 0, 80, -100, 0)


class WorldTrader:
    """Holds another position every other bar; every entry has a protective stop close by."""

    def __init__(self, name: str, symbol: str, salt: int) -> None:
        self.name = name
        self.symbols = (symbol,)
        self._salt = salt
        self._bars = 0

    def start(self, now: int) -> tuple[Wish, ...]:
        """Wishes nothing at the start."""
        return ()

    def bar(self, bar: Bar, now: int) -> tuple[Wish, ...]:
        """Another position every other bar, chosen by what it has seen."""
        self._bars += 1
        if (self._bars + self._salt) % 2:
            return ()
        target = TARGETS[(self._bars * 7 + self._salt + int(bar.close * 100)) % len(TARGETS)]
        distance = 1.002 if target < 0 else 0.998
        stop = Decimal(repr(round(bar.close * distance, 2))) if target and self._bars % 3 else None
        return (Wish(bar.symbol, Decimal(target), f"bar {self._bars}", stop),)

    def quote(self, quote: Quote, now: int) -> tuple[Wish, ...]:
        """Quotes are not listened to."""
        return ()

    def order(self, order: Order, now: int) -> tuple[Wish, ...]:
        """Orders are not listened to."""
        return ()

    def fill(self, fill: Fill, now: int) -> tuple[Wish, ...]:
        """Fills are not listened to."""
        return ()

    def stop(self, now: int) -> tuple[Wish, ...]:
        """Wishes nothing at the end."""
        return ()

    def set_position(self, symbol: str, quantity: Decimal) -> None:
        """What it wishes does not depend on what it has."""

    def logs(self) -> tuple[str, ...]:
        return ()

    def snapshot(self) -> dict[str, Any]:
        return {"bars": self._bars}

    def restore(self, data: dict[str, Any]) -> None:
        self._bars = data["bars"]
