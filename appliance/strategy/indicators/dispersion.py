"""How far the closes scatter: deviation, z-score, Bollinger's bands. From exact sums: never a root below 0."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

from appliance.domain.market import Bar
from appliance.strategy.indicators.base import Indicator, Line
from appliance.strategy.indicators.units import SCALE, UNITS
from appliance.strategy.indicators.windows import loaded, saved, sliding

if TYPE_CHECKING:
    from appliance.strategy.indicators.arrays import Columns, Floats


class _Moments(Indicator):
    """Sum and sum of squares of the last ``period`` closes, in units."""

    __slots__ = ("_squares", "_sum", "_window")

    def __init__(self, symbol: str, *parameters: Any, timeframe: str = "") -> None:
        super().__init__(symbol, *parameters, timeframe=timeframe)
        self._window = sliding([0] * self.period, self.period)
        self._sum = 0
        self._squares = 0

    def _take(self, bar: Bar) -> int:
        units, oldest = round(bar.close * SCALE), self._window[0]
        self._window.append(units)
        self._sum += units - oldest
        self._squares += units * units - oldest * oldest
        return units

    def _spread(self) -> float:
        """The standard deviation times ``period``, in units."""
        return sqrt(self.period * self._squares - self._sum * self._sum)

    def _save(self) -> dict[str, Any]:
        return {"window": saved(self._window)}

    def _load(self, data: dict[str, Any]) -> None:
        self._window = loaded(data["window"], self.period)
        self._sum = sum(self._window)
        self._squares = sum(units * units for units in self._window)


class StDev(_Moments):
    """Standard deviation of the last ``period`` closes, USD, of the population (divided by ``period``, as Bollinger).

    Ready after ``period`` bars.
    """

    __slots__ = ()

    def __init__(self, symbol: str, period: int, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)

    def update(self, bar: Bar) -> None:
        self._take(bar)
        if not self._warming():
            self.value = self._spread() / (self.period * UNITS)

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        whole, step = arrays.coarse(columns.in_units("close"))
        _, squares = arrays.moments(whole, self.period)
        return [arrays.warm(arrays.roots(squares, step) / (self.period * UNITS), len(columns))]


class ZScore(_Moments):
    """How many standard deviations the close is above the mean of the last ``period``, itself included.

    0 when nothing moved at all. Ready after ``period`` bars.
    """

    __slots__ = ()

    def __init__(self, symbol: str, period: int, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)

    def update(self, bar: Bar) -> None:
        units = self._take(bar)
        if not self._warming():
            spread = self._spread()
            self.value = (self.period * units - self._sum) / spread if spread else 0.0

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        whole, step = arrays.coarse(columns.in_units("close"))
        return [arrays.warm(arrays.scores(whole, self.period, step), len(columns))]


class Bollinger(_Moments):
    """Mean of the last ``period`` closes (``middle``), and ``width`` standard deviations above and below, USD.

    Its value is the middle. Ready after ``period`` bars.
    """

    __slots__ = ("lower", "upper")

    PARAMETERS = ("period", "width")
    LINES = ("middle", "upper", "lower")

    def __init__(self, symbol: str, period: int = 20, width: float = 2.0, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, width, timeframe=timeframe)
        self.upper, self.lower = Line(), Line()

    @property
    def middle(self) -> Line:
        """The mean of the closes, USD."""
        return self

    def update(self, bar: Bar) -> None:
        self._take(bar)
        if not self._warming():
            divisor = self.period * UNITS
            self.value = middle = self._sum / divisor
            reach = self.parameters[1] * (self._spread() / divisor)
            self.upper.step(middle + reach)
            self.lower.step(middle - reach)

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        whole, step = arrays.coarse(columns.in_units("close"))
        sums, squares = arrays.moments(whole, self.period)
        divisor = self.period * UNITS
        middle = arrays.quotients(sums, divisor, step)
        reach = self.parameters[1] * (arrays.roots(squares, step) / divisor)
        return [arrays.warm(line, len(columns)) for line in (middle, middle + reach, middle - reach)]
