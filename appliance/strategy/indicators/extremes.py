"""The highest high and the lowest low of a window, and what is measured by them: Donchian's channel, Stochastic."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from appliance.domain.market import Bar
from appliance.strategy.indicators.base import Indicator, Line
from appliance.strategy.indicators.units import SCALE, UNITS

if TYPE_CHECKING:
    from appliance.strategy.indicators.arrays import Columns, Floats


class _Extreme(Indicator):
    """The candidates for the extreme of the window, oldest and most extreme first: each bar enters and leaves once."""

    __slots__ = ("_candidates", "_count")

    def __init__(self, symbol: str, period: int, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)
        self._candidates: deque[tuple[int, float]] = deque()
        self._count = 0

    def _push(self, price: float) -> None:
        self._candidates.append((self._count, price))
        self._count += 1
        if self._candidates[0][0] < self._count - self.period:
            self._candidates.popleft()
        if not self._warming():
            self.value = self._candidates[0][1]

    def _save(self) -> dict[str, Any]:
        return {"count": self._count, "candidates": [list(candidate) for candidate in self._candidates]}

    def _load(self, data: dict[str, Any]) -> None:
        self._count = data["count"]
        self._candidates = deque((index, float(price)) for index, price in data["candidates"])


class Highest(_Extreme):
    """Highest high of the last ``period`` bars, the last one included, USD (``previous`` leaves it out)."""

    __slots__ = ()

    def update(self, bar: Bar) -> None:
        while self._candidates and self._candidates[-1][1] <= bar.high:
            self._candidates.pop()
        self._push(bar.high)

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        return [arrays.warm(arrays.highest(columns.high, self.period), len(columns))]


class Lowest(_Extreme):
    """Lowest low of the last ``period`` bars, the last one included, USD (``previous`` leaves it out)."""

    __slots__ = ()

    def update(self, bar: Bar) -> None:
        while self._candidates and self._candidates[-1][1] >= bar.low:
            self._candidates.pop()
        self._push(bar.low)

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        return [arrays.warm(arrays.lowest(columns.low, self.period), len(columns))]


class _Window(Indicator):
    """Holds the extremes of the last ``period`` bars as ``upper`` and ``lower``."""

    __slots__ = ("lower", "upper")

    def __init__(self, symbol: str, *parameters: Any, timeframe: str = "") -> None:
        super().__init__(symbol, *parameters, timeframe=timeframe)
        self.upper, self.lower = Highest(symbol, self.period), Lowest(symbol, self.period)

    def _take(self, bar: Bar) -> None:
        self.upper.update(bar)
        self.lower.update(bar)

    def _save(self) -> dict[str, Any]:
        return {"upper": self.upper.snapshot(), "lower": self.lower.snapshot()}

    def _load(self, data: dict[str, Any]) -> None:
        self.upper.restore(data["upper"])
        self.lower.restore(data["lower"])


class Donchian(_Window):
    """Highest high (``upper``) and lowest low (``lower``) of the last ``period`` bars, and their middle, USD.

    Its value is the middle. The last bar is included, so a breakout is ``bar.close > channel.upper.previous``.
    Ready after ``period`` bars.
    """

    __slots__ = ()

    LINES = ("middle", "upper", "lower")

    def __init__(self, symbol: str, period: int = 20, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)

    @property
    def middle(self) -> Line:
        """Half way between the two, USD."""
        return self

    def update(self, bar: Bar) -> None:
        self._take(bar)
        if not self._warming():
            self.value = (self.upper.value + self.lower.value) / 2

    def _over(self, columns: Columns) -> Sequence[Floats]:
        upper, lower = self.upper.over(columns), self.lower.over(columns)
        return [(upper + lower) / 2, upper, lower]


class Stochastic(_Window):
    """Where the close is between the lowest low (0) and the highest high (100) of the last ``period`` bars.

    ``k`` (its value) is the mean of the last ``smooth`` of these, ``d`` the mean of the last ``signal`` of k: the fast
    stochastic with ``smooth=1``, the slow one with 3. 50 where the window has no height. In steps of 1e-8, so that the
    means are exact. k is ready after ``period + smooth - 1`` bars, d after ``signal - 1`` more.
    """

    __slots__ = ("_recent", "_smooth", "_sum", "_sums", "_total", "d")

    PARAMETERS = ("period", "signal", "smooth")
    LINES = ("k", "d")

    def __init__(self, symbol: str, period: int = 14, signal: int = 3, smooth: int = 1, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, signal, smooth, timeframe=timeframe)
        self._needs(period + smooth - 1, period + smooth + signal - 2)
        self._recent = deque([0] * smooth, maxlen=smooth)
        self._sums = deque([0] * signal, maxlen=signal)
        self._sum = self._total = 0
        self._smooth = 0
        self.d = Line()

    @property
    def k(self) -> Line:
        """Where the close is in its window, 0 to 100, smoothed."""
        return self

    def update(self, bar: Bar) -> None:
        self._take(bar)
        warming = self._warming()
        if not self.upper.ready:
            return
        place = self._place(round(bar.close * SCALE))
        self._sum += place - self._recent[0]
        self._recent.append(place)
        if not warming:
            self._average()

    def _place(self, close: int) -> int:
        low, high = round(self.lower.value * SCALE), round(self.upper.value * SCALE)
        return round(100 * (close - low) / (high - low) * SCALE) if high > low else 50 * UNITS

    def _average(self) -> None:
        signal, smooth = self.parameters[1:]
        self._total += self._sum - self._sums[0]
        self._sums.append(self._sum)
        self.value = self._sum / (smooth * UNITS)
        self._smooth += self._smooth < signal
        if self._smooth == signal:
            self.d.step(self._total / (smooth * signal * UNITS))

    def _save(self) -> dict[str, Any]:
        return super()._save() | {"recent": list(self._recent), "sums": list(self._sums), "smooth": self._smooth}

    def _load(self, data: dict[str, Any]) -> None:
        super()._load(data)
        self._recent.extend(data["recent"])
        self._sums.extend(data["sums"])
        self._sum, self._total, self._smooth = sum(self._recent), sum(self._sums), data["smooth"]

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        period, signal, smooth = self.parameters
        low = arrays.units(arrays.lowest(columns.low, period))
        height = arrays.units(arrays.highest(columns.high, period)) - low
        above = 100 * (arrays.units(columns.close[period - 1 :]) - low)
        places = arrays.units(arrays.ratios(above, height, 50.0))
        sums = arrays.price_sums(places, smooth)
        k = arrays.quotients(sums, smooth * UNITS)
        d = arrays.quotients(arrays.price_sums(sums, signal), smooth * signal * UNITS)
        return [arrays.warm(k, len(columns)), arrays.warm(d, len(columns))]
