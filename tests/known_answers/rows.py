"""The recorded rows by plain arithmetic: exact decimals, New York times, LEAN's conventions; nothing of ours."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.known_answers.entries import DATA

NEW_YORK = ZoneInfo("America/New_York")
BUFFER = Decimal("0.9975")


class Row(NamedTuple):
    """One bar: when it begins and ends, and its numbers by column, adjusted."""

    start: datetime
    end: datetime
    numbers: dict[str, Decimal]

    def __getitem__(self, column: object) -> Decimal:  # type: ignore[override]
        return self.numbers[str(column)]


@cache
def factors(symbol: str) -> tuple[tuple[str, Decimal], ...]:
    """(last date, factor) of a symbol, in order."""
    return tuple(
        (row["through_date"], Decimal(row["price_factor"]) * Decimal(row["split_factor"]))
        for row in _csv("equity_factors")
        if row["symbol"] == symbol
    )


@cache
def bars(
    name: str, symbol: str, first: str, last: str, seconds: int, regular: bool = True, opens: str = "09:30"
) -> tuple[Row, ...]:
    """The bars of a symbol from one date to another, stamped with their start: of regular hours (from ``opens`` on) and
    adjusted, or all and as they are."""
    found = []
    for row in _csv(name):
        start = datetime.fromtimestamp(int(row["ts"]) // 10**9, NEW_YORK if regular else UTC)
        if (
            row["symbol"] == symbol
            and first <= f"{start:%Y-%m-%d}" <= last
            and (not regular or opens <= f"{start:%H:%M}" < "16:00")
        ):
            factor = _factor(symbol, f"{start:%Y-%m-%d}") if regular else Decimal(1)
            found.append(Row(start, start + timedelta(seconds=seconds), _numbers(row, factor)))
    return tuple(found)


def _numbers(row: dict[str, str], factor: Decimal) -> dict[str, Decimal]:
    prices = ("open", "high", "low", "close")
    return {
        name: Decimal(text) * (factor if name.endswith(prices) else 1)
        for name, text in row.items()
        if name not in ("ts", "date", "venue", "symbol") and text
    }


def _factor(symbol: str, day: str) -> Decimal:
    return next((factor for through, factor in factors(symbol) if through >= day), Decimal(1))


def _csv(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(DATA / "market" / f"{name}.csv.gz", "rt", newline="") as text:
        yield from csv.DictReader(text)


def fee(quantity: Decimal, price: Decimal) -> Decimal:
    """Interactive Brokers for US equities: 0.005 USD a share, at least 1 USD, at most 0.5 % of what is traded."""
    quantity = abs(quantity)
    return min(max(Decimal(1), Decimal("0.005") * quantity), quantity * price * Decimal("0.005"))


def holdings(equity: Decimal, price: Decimal, weight: Decimal) -> Decimal:
    """The largest whole number of shares whose worth is at most the weight of what the fee leaves, less the buffer."""
    quantity = Decimal(int(equity * weight / price))
    while quantity * price > (equity - fee(quantity, price)) * weight * BUFFER:
        quantity -= 1
    return quantity
