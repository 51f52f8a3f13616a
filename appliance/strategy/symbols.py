"""What a class names, as authors write it: symbols, other strategies, what its bars are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from appliance.errors import StrategyError
from appliance.strategy.indicators import Indicator

SOURCES = ("trades", "quotes")
"""What bars may be made of: the trades of a market, or the middle of its bid and ask."""


def listed(value: Any) -> list[Any]:
    """``"SPY, QQQ"``, ``("SPY", "QQQ")`` or nothing, as a list."""
    if isinstance(value, str):
        return value.split(",")
    return list(value) if isinstance(value, tuple | list) else [value]


def named_by(
    name: str, strategy: object, indicators: Iterable[Indicator], windows: Iterable[tuple[str, str]]
) -> tuple[str, ...]:
    """All symbols that the strategy ``name`` has to do with, in order: those of its indicators and windows, and those
    in its attributes ``symbol`` and ``symbols``. Raises StrategyError when there are none."""
    named = [symbol for one in indicators for symbol in one.symbols]
    named += [symbol for symbol, _ in windows]
    for attribute in ("symbol", "symbols"):
        named += listed(getattr(strategy, attribute, ()))
    found = tuple(sorted({symbol_of(name, one) for one in named}))
    if not found:
        raise StrategyError(
            f"{name}: the strategy names no symbol, so it would never hear of a bar",
            hint='declare symbol: str = param("SPY"), or symbols = ("SPY",)',
        )
    return found


def symbol_of(name: str, value: Any) -> str:
    """A symbol an author wrote. Raises StrategyError naming what is none."""
    symbol = value.strip() if isinstance(value, str) else ""
    if not symbol or not symbol.isprintable() or " " in symbol:
        raise StrategyError(f"{name}: {value!r} is not a symbol", hint='symbols are texts such as "SPY"')
    return symbol


def made_of_quotes(name: str, value: Any) -> bool:
    """Whether the bars of the strategy ``name`` are made of quotes. Raises StrategyError for what is neither."""
    if value not in SOURCES:
        raise StrategyError(f"{name}: bars_from = {value!r}", hint=f"one of {', '.join(SOURCES)}")
    return bool(value == "quotes")


def check_counts(name: str, **counts: Any) -> None:
    """Raise StrategyError for a number of bars in the class of the strategy ``name`` that is none."""
    for attribute, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise StrategyError(
                f"{name}: {attribute} = {value!r}", hint=f"a whole number of bars, 0 or more, such as {attribute} = 100"
            )
