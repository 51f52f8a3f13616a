"""Renko bricks: bars cut by how far the price has moved, not by time."""

from __future__ import annotations

from math import isfinite
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from appliance.domain.market import Bar
from appliance.errors import StrategyError
from appliance.strategy.indicators.base import Indicator, Line
from appliance.strategy.indicators.units import SCALE, UNITS

STYLES = ("wicked", "classic")
BRICKS_MAX = 10_000
"""Bricks of one bar: more are a size that does not fit the price."""
_CLOSE = (0, 0, 0, 1)


class Brick(Struct, frozen=True, gc=False):
    """One brick, prices in USD: it began at ``open`` and was complete at ``close``, one size away; ``start`` and
    ``end`` (ns UTC) are when the bars at its ends were known. ``high`` and ``low`` are how far the price went
    meanwhile."""

    symbol: str
    start: int
    end: int
    open: float
    high: float
    low: float
    close: float

    @property
    def rising(self) -> bool:
        """Whether it goes up."""
        return self.close > self.open


class Renko(Indicator):
    """Bricks of ``size`` USD, made of one price a bar: ``bricks`` are those the last bar completed, oldest first.

    The price is the mean of open, high, low and close by ``weights`` (whole numbers): (0, 0, 0, 1) is the close,
    (0, 1, 1, 1) the typical price. ``value`` is where the last brick closed, at first where the first one begins;
    ``direction`` is 1 after a rising brick, -1 after a falling one, 0 before the first; ``count`` is how many bricks
    the bar completed. It remembers for ever: the bricks depend on where the data begins.

    Styles, both as QuantConnect's LEAN has them. ``wicked``: the first brick begins at the multiple of ``size``
    nearest to the first price (ties to the even one); a brick is complete when the price is beyond its close; to turn,
    the price has to go beyond two sizes, and the brick begins where the last one did; one bar may complete many.
    ``classic``: the first brick begins at the multiple at or above the first price; a brick is complete when the price
    touches its close, one size up or down from the last close; one bar completes at most one. A bar of more than
    ``BRICKS_MAX`` bricks raises StrategyError. After a split bricks begin anew.
    """

    __slots__ = ("_divisor", "_high", "_last", "_low", "_open", "_size", "_start", "bricks", "count", "direction")

    PARAMETERS = ("size", "style", "weights")
    LINES = ("value", "direction", "count")
    RECURSIVE = True
    SCALES = False  # a brick of 2 USD is another one after a split

    def __init__(
        self,
        symbol: str,
        size: float,
        style: str = "wicked",
        weights: tuple[int, ...] = _CLOSE,
        *,
        timeframe: str = "",
    ) -> None:
        super().__init__(symbol, size, style, tuple(weights), timeframe=timeframe)
        self.period = 1
        self._needs(1)
        self._divisor = sum(weights)
        self._size = round(size * SCALE) * self._divisor
        self._open: int | None = None  # all in units of 1e-8 USD, times the divisor
        self._last: int | None = None  # the open of the last brick
        self._high = self._low = self._start = 0
        self.bricks: tuple[Brick, ...] = ()
        self.direction, self.count = Line(), Line()

    def _check(self, name: str, value: Any) -> None:
        if name == "size" and not (_is_number(value) and isfinite(value) and round(value * SCALE) > 0):
            raise StrategyError(f"{self._call()}: the size must be a number of USD above 0", hint="such as 2.5")
        if name == "style" and value not in STYLES:
            raise StrategyError(f"{self._call()}: no style {value!r}", hint=f"one of {', '.join(STYLES)}")
        if name == "weights" and not (len(value) == 4 and all(_is_weight(one) for one in value) and any(value)):
            raise StrategyError(
                f"{self._call()}: the weights are four whole numbers, of open, high, low and close",
                hint="not below 0 and not all 0: (0, 0, 0, 1) is the close",
            )

    def update(self, bar: Bar) -> None:
        weights: tuple[int, ...] = self.parameters[2]
        prices = (bar.open, bar.high, bar.low, bar.close)
        price = sum(weight * round(one * SCALE) for weight, one in zip(weights, prices, strict=True) if weight)
        self.bricks = ()
        if self._open is None:
            self._begin(price, bar.end)
        elif self.parameters[1] == "classic":
            self._classic(price, self._open, bar.end)
        else:
            self._wicked(price, self._open, bar.end)
        self._missing = 0
        self._tell()

    def _tell(self) -> None:
        bricks = self.bricks
        self.step(self._usd(self._open or 0))
        self.direction.step((1.0 if bricks[-1].rising else -1.0) if bricks else self._direction())
        self.count.step(float(len(bricks)))

    def _direction(self) -> float:
        last = self.direction.value
        return last if last == last else 0.0

    def _begin(self, price: int, time: int) -> None:
        size = self._size
        whole, rest = divmod(price, size)
        if self.parameters[1] == "classic":
            whole += rest > 0
        else:
            whole += 2 * rest > size or (2 * rest == size and whole % 2 == 1)
        self._open = self._high = self._low = whole * size
        self._start = time

    def _classic(self, price: int, opened: int, time: int) -> None:
        close = min(opened + self._size, max(opened - self._size, price))
        self._high, self._low = max(self._high, close), min(self._low, close)
        if abs(close - opened) == self._size:
            self._complete(opened, close, self._high, self._low, time)

    def _wicked(self, price: int, opened: int, time: int) -> None:
        self._high, self._low = max(self._high, price), min(self._low, price)
        side = (price > opened) - (price < opened)
        if side and self._last is not None and (opened > self._last) != (side > 0):
            opened = self._last  # it turns: the brick begins where the last one did
        self._check_count(abs(price - opened) // self._size)
        while side * (price - opened) > self._size:
            close = opened + side * self._size
            high, low = (close, self._low) if side > 0 else (self._high, close)
            self._complete(opened, close, high, low, time)
            opened = close

    def _check_count(self, bricks: int) -> None:
        if bricks > BRICKS_MAX:
            raise StrategyError(
                f"{self.label}: one bar makes {bricks:,} bricks, more than {BRICKS_MAX:,}", hint="make them larger"
            )

    def _complete(self, opened: int, close: int, high: int, low: int, time: int) -> None:
        numbers = (self._usd(one) for one in (opened, high, low, close))
        self.bricks += (Brick(self.symbol, self._start, time, *numbers),)
        self._last, self._open, self._start = opened, close, time
        self._high = self._low = close

    def _usd(self, units: int) -> float:
        return units / (self._divisor * UNITS)

    def _save(self) -> dict[str, Any]:
        return {
            "open": self._open, "last": self._last, "high": self._high, "low": self._low, "start": self._start,
            "bricks": [list(astuple(brick)) for brick in self.bricks],
        }  # fmt: skip

    def _load(self, data: dict[str, Any]) -> None:
        self._open, self._last = data["open"], data["last"]
        self._high, self._low, self._start = data["high"], data["low"], data["start"]
        self.bricks = tuple(Brick(*row[:3], *map(float, row[3:])) for row in data["bricks"])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_weight(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
