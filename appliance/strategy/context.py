"""What a strategy and its runner share: the time, positions, saved state, and what the author has asked for so far."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from math import isfinite
from numbers import Integral
from typing import Any

from appliance.core.wishes import Wish
from appliance.errors import StrategyError
from appliance.strategy.indicators import Indicator

LOG_LINES_MAX = 1_000
"""Log lines kept between two collections; the ones beyond are counted and dropped."""
LOG_LINE_LENGTH_MAX = 2_000
STATE_DEPTH_MAX = 20


class Context:
    """The strategy's world: the runner writes it, the author sees it through ``self.now``, ``self.target``, …"""

    __slots__ = ("dropped", "indicators", "lines", "now", "positions", "starting", "state", "symbols", "wishes")

    def __init__(self) -> None:
        self.now = 0
        self.starting = False
        self.symbols: tuple[str, ...] = ()
        self.positions: dict[str, Decimal] = {}
        self.state: dict[str, Any] = {}
        self.indicators: list[Indicator] = []
        self.wishes: list[Wish] = []
        self.lines: list[str] = []
        self.dropped = 0

    def log(self, text: str) -> None:
        """Keep one line for the host, bounded in length and number."""
        if len(self.lines) < LOG_LINES_MAX:
            self.lines.append(str(text)[:LOG_LINE_LENGTH_MAX])
        else:
            self.dropped += 1

    def take_lines(self) -> tuple[str, ...]:
        """The lines kept so far, and how many were dropped; both start again from nothing."""
        lines = tuple(self.lines)
        if self.dropped:
            lines += (f"… {self.dropped} more lines dropped: at most {LOG_LINES_MAX} are kept between two bars",)
        self.lines, self.dropped = [], 0
        return lines

    def check_symbol(self, verb: str, symbol: str) -> None:
        """Refuse a symbol nobody feeds (while starting the symbols are not known yet)."""
        if not self.starting and symbol not in self.symbols:
            raise StrategyError(
                f"{verb}({symbol!r}): not a symbol of this strategy; it has {', '.join(self.symbols)}",
                hint="give it an indicator, or list it in the class: symbols = (...)",
            )


def shares(value: int | Decimal | str | float) -> Decimal:
    """A quantity of shares as Decimal. A float must be whole. Raises StrategyError on anything unclear."""
    if isinstance(value, float) and isfinite(value) and value == int(value):
        return Decimal(int(value))
    if isinstance(value, Integral) and not isinstance(value, bool):
        return Decimal(int(value))
    number = _decimal(value) if isinstance(value, Decimal | str) else None
    if number is None:
        raise StrategyError(
            f"target: quantity={value!r} is not a number of shares",
            hint='give an int, a Decimal, a text such as "0.5", or a float without fraction; NaN is never an order',
        )
    return number


def stop_price(value: int | Decimal | str | float) -> Decimal:
    """A protective stop in USD as Decimal; floats to 8 digits. Raises StrategyError unless finite and above 0."""
    price = None
    if isinstance(value, float):
        price = _decimal(repr(round(float(value), 8)))
    elif isinstance(value, int | Decimal | str) and not isinstance(value, bool):
        price = _decimal(value)
    if price is None or not price > 0:
        raise StrategyError(f"target: stop={value!r} is not a price", hint="give a price in USD above 0, or None")
    return price


def _decimal(value: int | Decimal | str) -> Decimal | None:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def plain(value: Any, path: str = "self.state", depth: int = 0) -> Any:
    """A copy of plain data. Raises StrategyError naming what would not come back from a restart as it was."""
    if value is None or isinstance(value, bool | str):
        return value
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    if type(value) is float and isfinite(value):
        return value
    if depth < STATE_DEPTH_MAX and type(value) is list:
        return [plain(one, f"{path}[{index}]", depth + 1) for index, one in enumerate(value)]
    if depth < STATE_DEPTH_MAX and type(value) is dict and all(type(key) is str for key in value):
        return {key: plain(one, f"{path}[{key!r}]", depth + 1) for key, one in value.items()}
    raise StrategyError(
        f"{path} = {value!r:.80} ({type(value).__name__}) cannot be saved",
        hint="use None, bool, int (64 bits), finite float, str, list, and dict with str keys",
    )
