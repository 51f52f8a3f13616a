"""What the stand-in knows of the market: contracts by symbol, and rows of history by symbol and bar size."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One bar of history as the gateway has it: ``date`` is when it begins (epoch seconds), or its day (YYYYMMDD)."""

    date: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    wap: float = 0.0
    count: int = 1


class Market:
    """Mutable: tests fill it. ``contracts`` gives each symbol its conId, ``refused`` an error for its live data."""

    def __init__(self, *symbols: str) -> None:
        self.contracts = {symbol: 1000 + number for number, symbol in enumerate(symbols or ("SPY", "AAPL", "IBM"))}
        self.ambiguous: set[str] = set()
        self.rows: dict[tuple[str, str], list[Row]] = {}
        self.refused: dict[str, tuple[int, str]] = {}
        self.splits: dict[str, str] = {}

    def symbol(self, con_id: str, symbol: str) -> str | None:
        """The symbol a request means: by conId where it has one."""
        by_id = {str(number): name for name, number in self.contracts.items()}
        named = symbol if symbol in self.contracts else None
        return by_id.get(con_id) if con_id not in ("", "0") else named

    def con_id(self, symbol: str) -> int:
        """The conId of a symbol, which it gets where it has none."""
        return self.contracts.setdefault(symbol, 9000 + len(self.contracts))
