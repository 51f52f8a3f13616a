"""What a strategy's class names: its symbols, in whatever way they are written, and what its bars are made of."""

from __future__ import annotations

from typing import Any

from appliance.errors import StrategyError

SOURCES = ("trades", "quotes")
"""What bars may be made of: the trades of a market, or the middle of its bid and ask."""


def listed(value: Any) -> list[Any]:
    """``"SPY, QQQ"``, ``("SPY", "QQQ")`` or nothing, as a list."""
    if isinstance(value, str):
        return value.split(",")
    return list(value) if isinstance(value, tuple | list) else [value]


def symbol_named(name: str, value: Any) -> str:
    """One symbol that the strategy ``name`` names. Raises StrategyError."""
    symbol = value.strip() if isinstance(value, str) else ""
    if not symbol or not symbol.isprintable() or " " in symbol:
        raise StrategyError(f"{name}: {value!r} is not a symbol", hint='symbols are texts such as "SPY"')
    return symbol


def check_source(name: str, value: Any) -> bool:
    """Whether the bars of the strategy ``name`` are made of quotes. Raises StrategyError for what is neither."""
    if value not in SOURCES:
        raise StrategyError(f"{name}: bars_from = {value!r}", hint=f"one of {', '.join(SOURCES)}")
    return bool(value == "quotes")
