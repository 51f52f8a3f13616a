"""Averages of the closes: simple, exponential, weighted, and the difference of two (MACD)."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, nan
from typing import TYPE_CHECKING, Any

from appliance.domain.market import Bar
from appliance.strategy.indicators.base import Indicator, Line
from appliance.strategy.indicators.units import ROUNDER, SCALE, UNITS, exact_below
from appliance.strategy.indicators.windows import loaded, saved, sliding

if TYPE_CHECKING:
    from appliance.strategy.indicators.arrays import Columns, Floats


class SMA(Indicator):
    """Mean of the last ``period`` closes, USD. Ready after ``period`` bars."""

    __slots__ = ("_below", "_divisor", "_sum", "_window")

    def __init__(self, symbol: str, period: int, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)
        self._divisor = period * UNITS
        self._window = sliding([0.0] * period, period)  # zeros, so that the sum needs no case for the warm-up
        self._sum: float = 0.0
        self._below = exact_below(period)

    def update(self, bar: Bar) -> None:
        units: float = bar.close * SCALE
        if 0.0 <= units < self._below:
            units = units + ROUNDER - ROUNDER  # round(units), four times as fast: this is the hottest line of a run
        else:
            units = self._grown(units)
        window = self._window
        self._sum = total = self._sum + units - window[0]
        window.append(units)
        self.previous = self.value
        if self._missing:  # _warming(), spelled out
            self._missing -= 1
            if self._missing:
                return
        self.value = total / self._divisor

    def _grown(self, units: float) -> int:
        """A price for which floats are not exact any more: Python's integers from now on. Raises ValueError for NaN."""
        if self._below:
            self._below = 0.0
            for _ in range(self.period):
                self._window.append(int(self._window[0]))
            self._sum = int(self._sum)
        return round(units)

    def _save(self) -> dict[str, Any]:
        return {"window": saved(self._window)}

    def _load(self, data: dict[str, Any]) -> None:
        self._window = loaded(data["window"], self.period)
        whole, below = [round(units) for units in self._window], exact_below(self.period)
        fits = all(0 <= units < below for units in whole)
        for place, units in enumerate(whole):
            self._window[place] = float(units) if fits else units
        self._sum, self._below = sum(self._window), below if fits else 0.0

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        sums = arrays.price_sums(columns.in_units("close"), self.period)
        return [arrays.warm(arrays.quotients(sums, self._divisor), len(columns))]


class EMA(Indicator):
    """Exponential average of the closes, USD: weight 2 / (period + 1), started with the mean of the first ``period``.

    Ready after ``period`` bars. It recurs in floats and remembers for ever: its value depends on where the data begins.
    """

    __slots__ = ("_sum", "_weight")

    RECURSIVE = True

    def __init__(self, symbol: str, period: int, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)
        self._weight = 2.0 / (period + 1)
        self._sum = 0

    def update(self, bar: Bar) -> None:
        if not self._missing:
            self.previous = value = self.value
            self.value = value + self._weight * (bar.close - value)
            return
        self._sum += round(bar.close * SCALE)
        if not self._warming():
            self.value = self._sum / (self.period * UNITS)

    def _save(self) -> dict[str, Any]:
        return {"sum": self._sum}

    def _load(self, data: dict[str, Any]) -> None:
        self._sum = data["sum"]

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        period, weight, closes = self.period, self._weight, columns.close
        starts = arrays.quotients(arrays.price_sums(arrays.units(closes[:period]), period), period * UNITS).tolist()
        found = [value for start in starts for value in arrays.smoothed(closes[period:].tolist(), start, weight)]
        return [arrays.warm(arrays.floats(found), len(columns))]


class WMA(Indicator):
    """Weighted mean of the last ``period`` closes, USD: the newest counts ``period`` times, the oldest once.

    Ready after ``period`` bars.
    """

    __slots__ = ("_divisor", "_sum", "_weighted", "_window")

    def __init__(self, symbol: str, period: int, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)
        self._divisor = period * (period + 1) // 2 * UNITS
        self._window = sliding([0] * period, period)
        self._sum = 0
        self._weighted = 0

    def update(self, bar: Bar) -> None:
        units, window = round(bar.close * SCALE), self._window
        self._weighted += self.period * units - self._sum  # one bar older, every close counts once less
        self._sum += units - window[0]
        window.append(units)
        if not self._warming():
            self.value = self._weighted / self._divisor

    def _save(self) -> dict[str, Any]:
        return {"window": saved(self._window)}

    def _load(self, data: dict[str, Any]) -> None:
        self._window = loaded(data["window"], self.period)
        self._sum = sum(self._window)
        self._weighted = sum(weight * units for weight, units in enumerate(self._window, 1))

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        weighted = arrays.weighted_sums(columns.in_units("close"), self.period)
        return [arrays.warm(arrays.quotients(weighted, self._divisor), len(columns))]


class MACD(Indicator):
    """Fast less slow exponential average of the closes, USD; ``signal`` is the exponential average of that.

    ``histogram`` is the value less its signal. Each average starts with a mean, as EMA does: the value is ready after
    ``slow`` bars (the longer of the two), signal and histogram after ``signal - 1`` more. It recurs in floats and
    remembers for ever.
    """

    __slots__ = ("_fast", "_seeds", "_slow", "_weight", "histogram", "signal")

    PARAMETERS = ("fast", "slow", "signal")
    LINES = ("value", "signal", "histogram")
    RECURSIVE = True

    def __init__(self, symbol: str, fast: int = 12, slow: int = 26, signal: int = 9, *, timeframe: str = "") -> None:
        super().__init__(symbol, fast, slow, signal, timeframe=timeframe)
        self.period = max(fast, slow)
        self._needs(self.period, self.period + signal - 1)
        self._fast, self._slow = EMA(symbol, fast), EMA(symbol, slow)
        self._weight = 2.0 / (signal + 1)
        self._seeds: list[float] = []
        self.signal, self.histogram = Line(), Line()

    def update(self, bar: Bar) -> None:
        self._fast.update(bar)
        self._slow.update(bar)
        self.step(self._fast.value - self._slow.value)
        self.signal.step(self._next_signal() if self.ready else nan)
        self.histogram.step(self.value - self.signal.value)
        if self._missing:
            self._missing -= 1

    def _next_signal(self) -> float:
        last, length = self.signal.value, self.parameters[2]
        if last == last:
            return last + self._weight * (self.value - last)
        self._seeds.append(self.value)
        return fsum(self._seeds) / length if len(self._seeds) == length else nan

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        value, length = self._fast.over(columns) - self._slow.over(columns), self.parameters[2]
        known = value[self.period - 1 :].tolist()
        starts = [fsum(known[:length]) / length] if len(known) >= length else []
        found = [one for start in starts for one in arrays.smoothed(known[length:], start, self._weight)]
        signal = arrays.warm(arrays.floats(found), len(columns))
        return [value, signal, value - signal]

    def _save(self) -> dict[str, Any]:
        return {"fast": self._fast.snapshot(), "slow": self._slow.snapshot(), "seeds": list(self._seeds)}

    def _load(self, data: dict[str, Any]) -> None:
        self._fast.restore(data["fast"])
        self._slow.restore(data["slow"])
        self._seeds = list(data["seeds"])
