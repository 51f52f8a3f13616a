"""Bars and actions for a store."""

from __future__ import annotations

from decimal import Decimal

from appliance.domain.market import MINUTE, SECOND, Bar, Dividend, Split

BEGIN = 1_700_000_040 * SECOND


def bar(number: int = 0, close: float = 100.0, symbol: str = "SPY", timeframe: str = "1m", **more: object) -> Bar:
    """The bar of a minute, counted from ``BEGIN``."""
    start = BEGIN + number * MINUTE
    told = {"source": "alpaca", "received": start + MINUTE, **more}
    return Bar(symbol, timeframe, start, start + MINUTE, close, close + 1, close - 1, close, 10.0, **told)  # type: ignore[arg-type]


def bars(count: int, first: int = 0, **more: object) -> list[Bar]:
    """So many minutes, one after the other."""
    return [bar(number, 100.0 + number % 7, **more) for number in range(first, first + count)]  # type: ignore[arg-type]


SPLIT = Split("AAPL", BEGIN, 4, 1, Decimal("499.23"))
DIVIDENDS = (Dividend("AAPL", BEGIN, Decimal("0.22")), Dividend("AAPL", BEGIN, Decimal("1.50")))
