"""What the stand-in's market has seen: bars, quotes, trades and corporate actions, as rows of Alpaca's API."""

from __future__ import annotations

import random
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
SYMBOLS = {"stocks": re.compile(r"[A-Z]{1,5}(\.[A-Z]{1,2})?"), "crypto": re.compile(r"[A-Z0-9]{2,6}/[A-Z]{3,4}")}
KINDS = ("bars", "quotes", "trades")


class Market:
    """Rows by kind and symbol (bars also by timeframe), each with its time ``t`` in ns UTC, in order of time."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        self.actions: dict[str, list[Row]] = defaultdict(list)

    def add(self, kind: str, symbol: str, rows: Iterable[Row], timeframe: str = "1Min") -> None:
        """More rows of a symbol."""
        mine = self._rows[self._key(kind, symbol, timeframe)]
        mine.extend(rows)
        mine.sort(key=lambda row: int(row["t"]))

    def replace(self, kind: str, symbol: str, row: Row, timeframe: str = "1Min") -> None:
        """Another row in place of the one of the same time."""
        rows = self._rows[self._key(kind, symbol, timeframe)]
        rows[:] = [row if one["t"] == row["t"] else one for one in rows]

    def act(self, group: str, **row: Any) -> None:
        """A corporate action, ``forward_splits`` for instance."""
        self.actions[group].append(row)

    def between(self, kind: str, symbol: str, timeframe: str, start: int, end: int) -> list[Row]:
        """The rows with ``start <= t <= end`` (ns UTC)."""
        rows = self._rows.get(self._key(kind, symbol, timeframe), [])
        first = bisect_left(rows, start, key=lambda row: int(row["t"]))
        return rows[first : bisect_right(rows, end, key=lambda row: int(row["t"]))]

    def latest(self, kind: str, symbol: str) -> Row | None:
        """The last row of a symbol."""
        rows = self._rows.get(self._key(kind, symbol, "1Min"))
        return rows[-1] if rows else None

    @staticmethod
    def _key(kind: str, symbol: str, timeframe: str) -> tuple[str, ...]:
        return (kind, symbol, timeframe) if kind == "bars" else (kind, symbol)


def minutes(start: int, count: int, seed: int = 1, price: float = 100.0, step: int = MINUTE) -> list[Row]:
    """So many bars of a random walk, one after the other from ``start`` (ns UTC)."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        first, price = price, round(max(price + chance.gauss(0, 0.05), 1.0), 2)
        low, high = min(first, price), max(first, price)
        rows.append(bar(start + number * step, first, round(high + 0.01, 2), round(low - 0.01, 2), price, 100 + number))
    return rows


def bar(time: int, o: float, h: float, l: float, c: float, v: float) -> Row:  # noqa: E741
    """A bar as the API has it."""
    return {"t": time, "o": o, "h": h, "l": l, "c": c, "v": v, "n": 7, "vw": round((o + c) / 2, 4)}


def quote(time: int, bid: float, ask: float, bid_size: float = 1, ask_size: float = 1) -> Row:
    """A quote as the API has it."""
    return {
        "t": time, "bx": "V", "bp": bid, "bs": bid_size, "ax": "V", "ap": ask, "as": ask_size, "c": ["R"], "z": "C",
    }  # fmt: skip


def trade(time: int, price: float, size: float = 1, number: int = 1) -> Row:
    """A trade as the API has it."""
    return {"t": time, "x": "V", "p": price, "s": size, "c": ["@"], "i": number, "z": "C"}


def written(row: Row) -> Row:
    """A row as REST writes it: its time as text, without needless zeros."""
    seconds, rest = divmod(int(row["t"]), SECOND)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return {**row, "t": f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"}


def instant(text: str) -> int:
    """A time or date of a request in ns UTC. Raises ValueError."""
    head, dot, tail = text.removesuffix("Z").partition(".")
    whole = datetime.fromisoformat(head)
    whole = whole if whole.tzinfo else whole.replace(tzinfo=UTC)
    return int(whole.timestamp()) * SECOND + (int(tail[:9].ljust(9, "0")) if dot else 0)
