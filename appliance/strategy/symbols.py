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


def symbols_of(name: str, strategy: Any, named: list[str]) -> tuple[str, ...]:
    """The symbols of a strategy, sorted: those already ``named`` and what its ``symbol`` or ``symbols`` say.

    Raises StrategyError when there is none.
    """
    for attribute in ("symbol", "symbols"):
        named = named + listed(getattr(strategy, attribute, ()))
    if not named:
        raise StrategyError(
            f"{name}: the strategy names no symbol, so it would never hear of a bar",
            hint='declare symbol: str = param("SPY"), or symbols = ("SPY",)',
        )
    return tuple(sorted({symbol_of(name, one) for one in named}))
