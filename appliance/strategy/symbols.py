"""Symbols and names as authors write them."""

from __future__ import annotations

from typing import Any

from appliance.errors import StrategyError


def listed(value: Any) -> list[Any]:
    """``"SPY, QQQ"``, ``("SPY", "QQQ")`` or nothing, as a list."""
    if isinstance(value, str):
        return value.split(",")
    return list(value) if isinstance(value, tuple | list) else [value]


def symbol_of(name: str, value: Any) -> str:
    """A symbol an author wrote. Raises StrategyError naming what is none."""
    symbol = value.strip() if isinstance(value, str) else ""
    if not symbol or not symbol.isprintable() or " " in symbol:
        raise StrategyError(f"{name}: {value!r} is not a symbol", hint='symbols are texts such as "SPY"')
    return symbol
