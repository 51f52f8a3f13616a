"""Figures as people read them, by their unit. What is not defined is a dash, never 0."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from appliance.domain.market import DAY, HOUR, MINUTE, SECOND

NONE = "–"
"""What is not defined."""


def number(value: Any, places: int = 2) -> str:
    """``1,234.50``, with a true minus; never ``-0.00``."""
    text = f"{value:,.{places}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", "−")


def percent(value: Any, places: int = 2) -> str:
    """A fraction as percent: ``12.30 %``."""
    return f"{number(100 * value, places)} %"


def money(value: Any) -> str:
    """``1,234.50 USD``."""
    return f"{number(value)} USD"


def span(value: Any) -> str:
    """A length of time (ns) in its two largest units: ``3 d 4 h``, ``12 min``, ``0.5 s``."""
    if value < MINUTE:
        return f"{value / SECOND:.3g} s"
    units = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"))
    at = next(index for index, (size, _) in enumerate(units) if value >= size)
    parts, left = [], int(value)
    for size, name in units[at : at + 2]:
        count, left = divmod(left, size)
        parts += [f"{count:,} {name}"] if count else []
    return " ".join(parts)


def figure(value: Any, unit: str) -> str:
    """A figure of the analysis by its unit."""
    return NONE if value is None else _UNITS.get(unit, number)(value)


_UNITS: dict[str, Callable[[Any], str]] = {
    "fraction": percent,
    "USD": money,
    "ratio": number,
    "count": lambda value: number(value, 0) if value == int(value) else number(value),
    "days": lambda value: f"{number(value, 0 if value == int(value) else 1)} d",
    "ns": span,
    "bps": lambda value: f"{number(value)} bp",
}


def signed(value: Decimal | float) -> str:
    """How a number is coloured: ``up``, ``down`` or ``flat``."""
    return "up" if value > 0 else "down" if value < 0 else "flat"
