"""What is measured in true ranges: their average, Keltner's channel, SuperTrend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from appliance.domain.market import Bar
from appliance.strategy.indicators.averages import EMA
from appliance.strategy.indicators.base import Indicator, Line
from appliance.strategy.indicators.units import SCALE, UNITS

if TYPE_CHECKING:
    from appliance.strategy.indicators.arrays import Columns, Floats


class ATR(Indicator):
    """Wilder's average true range, USD. Ready after ``period`` bars.

    True range: high - low, or to the last close where that is farther; the first bar has high - low alone. The average
    starts as the mean of the first ``period``, then recurs in floats and remembers for ever.
    """

    __slots__ = ("_average", "_last")

    RECURSIVE = True

    def __init__(self, symbol: str, period: int = 14, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)
        self._last: int | None = None
        self._average: float = 0  # in units: an exact sum while warming up

    def update(self, bar: Bar) -> None:
        high, low, last = round(bar.high * SCALE), round(bar.low * SCALE), self._last
        true_range = high - low if last is None else max(high, last) - min(low, last)
        self._last = round(bar.close * SCALE)
        if not self._missing:
            self._average += (true_range - self._average) / self.period
            self.previous = self.value
            self.value = self._average / UNITS
            return
        self._average += true_range
        if not self._warming():
            self._average /= self.period
            self.value = self._average / UNITS

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        _, _, true_ranges = arrays.true_ranges(columns)
        return [arrays.warm(arrays.wilder(true_ranges.tolist(), self.period) / UNITS, len(columns))]

    def _save(self) -> dict[str, Any]:
        return {"last": self._last, "average": self._average}

    def _load(self, data: dict[str, Any]) -> None:
        self._last, self._average = data["last"], data["average"]


class Keltner(Indicator):
    """EMA of the closes (``middle``, its value), and ``width`` average true ranges above and below, USD.

    The true ranges are averaged over ``atr`` bars. The middle is ready after ``period`` bars, the others when the
    average true range is, too. Both recur in floats and remember for ever.
    """

    __slots__ = ("_atr", "_ema", "lower", "upper")

    PARAMETERS = ("period", "width", "atr")
    LINES = ("middle", "upper", "lower")
    RECURSIVE = True

    def __init__(
        self, symbol: str, period: int = 20, width: float = 2.0, atr: int = 10, *, timeframe: str = ""
    ) -> None:
        super().__init__(symbol, period, width, atr, timeframe=timeframe)
        self._needs(period, max(period, atr))
        self._ema, self._atr = EMA(symbol, period), ATR(symbol, atr)
        self.upper, self.lower = Line(), Line()

    @property
    def middle(self) -> Line:
        """The exponential average of the closes, USD."""
        return self

    def update(self, bar: Bar) -> None:
        self._ema.update(bar)
        self._atr.update(bar)
        self._warming()
        self.value = middle = self._ema.value
        reach = self.parameters[1] * self._atr.value
        self.upper.step(middle + reach)
        self.lower.step(middle - reach)

    def _over(self, columns: Columns) -> Sequence[Floats]:
        middle, reach = self._ema.over(columns), self.parameters[1] * self._atr.over(columns)
        return [middle, middle + reach, middle - reach]

    def _save(self) -> dict[str, Any]:
        return {"ema": self._ema.snapshot(), "atr": self._atr.snapshot()}

    def _load(self, data: dict[str, Any]) -> None:
        self._ema.restore(data["ema"])
        self._atr.restore(data["atr"])


class SuperTrend(Indicator):
    """A stop that trails the trend, ``width`` average true ranges from the middle of the bar, USD.

    ``direction`` is 1 while the close stays above it (it only rises) and -1 while below (it only falls); it turns over
    when a close passes it. It starts as if it had been rising. Ready after ``period`` bars. It recurs in floats and
    remembers for ever.
    """

    __slots__ = ("_atr", "_last", "_lower", "_upper", "direction")

    PARAMETERS = ("period", "width")
    LINES = ("value", "direction")
    RECURSIVE = True

    def __init__(self, symbol: str, period: int = 10, width: float = 3.0, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, width, timeframe=timeframe)
        self._atr = ATR(symbol, period)
        self._last: float | None = None  # the close before, once there are bands
        self._lower = self._upper = 0.0
        self.direction = Line()

    def update(self, bar: Bar) -> None:
        self._atr.update(bar)
        if self._warming():
            return
        self._trail((bar.high + bar.low) / 2, self.parameters[1] * self._atr.value)
        self._last = bar.close
        rising = self.direction.value != -1.0
        rising = bar.close >= self._lower if rising else bar.close > self._upper
        self.direction.step(1.0 if rising else -1.0)
        self.value = self._lower if rising else self._upper

    def _trail(self, middle: float, reach: float) -> None:
        """Each band only closes in, unless the close before was beyond it."""
        lower, upper, last = middle - reach, middle + reach, self._last
        if last is None or lower > self._lower or last < self._lower:
            self._lower = lower
        if last is None or upper < self._upper or last > self._upper:
            self._upper = upper

    def _save(self) -> dict[str, Any]:
        return {"atr": self._atr.snapshot(), "last": self._last, "lower": self._lower, "upper": self._upper}

    def _load(self, data: dict[str, Any]) -> None:
        self._atr.restore(data["atr"])
        self._last = None if data["last"] is None else float(data["last"])
        self._lower, self._upper = float(data["lower"]), float(data["upper"])
