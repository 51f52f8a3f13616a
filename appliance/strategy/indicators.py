"""Indicators, fed one bar at a time: amortised O(1) a bar, and one arithmetic for everybody.

Prices enter sums as whole numbers of 1e-8 USD (``units``), because sums of integers are exact: a rolling sum then does
not depend on what came before the window, a restart continues with the same bits, two averages that are equal on
paper are equal here (a float sum would cross on noise), and numpy gets the same values from
``cumsum(rint(close * 1e8))`` while ``sum < 2**53``, since a quotient of integers is rounded once. Finer digits of a
price are rounded away (half to even).

``value`` is NaN until the indicator has seen enough bars. NaN compares false, so nothing ever crosses during warm-up.
"""

from __future__ import annotations

from collections import deque
from math import nan, sqrt
from typing import Any

from appliance.domain.market import Bar
from appliance.errors import StrategyError

UNITS = 100_000_000
"""Price units in one USD."""
_SCALE = 1e8
PERIOD_MAX = 100_000


class Indicator:
    """One number that follows the bars of one symbol.

    ``value`` is as of the last bar, ``previous`` as of the bar before it; NaN while warming up. ``period`` is in bars.
    """

    __slots__ = ("_missing", "period", "previous", "symbol", "value")

    def __init__(self, symbol: str, period: int, warmup: int) -> None:
        if not isinstance(period, int) or isinstance(period, bool) or not 1 <= period <= PERIOD_MAX:
            raise StrategyError(
                f"{type(self).__name__.lower()}({symbol!r}, {period!r}): the period must be a whole number of bars",
                hint=f"1 to {PERIOD_MAX}",
            )
        self.symbol = symbol
        self.period = period
        self.value = nan
        self.previous = nan
        self._missing = warmup

    @property
    def ready(self) -> bool:
        """Whether enough bars have come for ``value`` to be a number."""
        return self.value == self.value

    @property
    def label(self) -> str:
        """What it is, such as ``sma(SPY, 10)``."""
        return f"{type(self).__name__.lower()}({self.symbol}, {self.period})"

    def crossed_above(self, other: Indicator | float) -> bool:
        """Whether this bar took us from at or below ``other`` to above it; False while either one warms up."""
        if isinstance(other, Indicator):
            return self.value > other.value and self.previous <= other.previous
        return self.value > other and self.previous <= other

    def crossed_below(self, other: Indicator | float) -> bool:
        """Whether this bar took us from at or above ``other`` to below it; False while either one warms up."""
        if isinstance(other, Indicator):
            return self.value < other.value and self.previous >= other.previous
        return self.value < other and self.previous >= other

    def update(self, bar: Bar) -> None:
        """Take the next bar."""
        raise NotImplementedError  # not an ABC: its isinstance() would double the cost of a crossing

    def snapshot(self) -> dict[str, Any]:
        """Plain data (NaN as None) from which ``restore`` continues with the same bits."""
        return {
            "value": self.value if self.ready else None,
            "previous": self.previous if self.previous == self.previous else None,
            "missing": self._missing,
            **self._save(),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot of an indicator of the same kind and period."""
        self.value = nan if data["value"] is None else float(data["value"])
        self.previous = nan if data["previous"] is None else float(data["previous"])
        self._missing = data["missing"]
        self._load(data)

    def _save(self) -> dict[str, Any]:
        raise NotImplementedError

    def _load(self, data: dict[str, Any]) -> None:
        raise NotImplementedError

    def _warming(self) -> bool:
        """Count one bar of warm-up; True while there are still too few of them."""
        self.previous = self.value
        if self._missing:
            self._missing -= 1
        return self._missing > 0

    def __repr__(self) -> str:
        return f"<{self.label} = {self.value}>"


class SMA(Indicator):
    """Mean of the last ``period`` closes, USD. Ready after ``period`` bars."""

    __slots__ = ("_divisor", "_sum", "_window")

    def __init__(self, symbol: str, period: int) -> None:
        super().__init__(symbol, period, warmup=period)
        self._divisor = period * UNITS
        self._window = deque([0] * period, maxlen=period)  # zeros, so that the sum needs no case for the warm-up
        self._sum = 0

    def update(self, bar: Bar) -> None:
        units = round(bar.close * _SCALE)
        window = self._window
        self._sum = total = self._sum + units - window[0]
        window.append(units)
        self.previous = self.value
        if self._missing:  # _warming(), spelled out: this is the hottest line of a backtest
            self._missing -= 1
            if self._missing:
                return
        self.value = total / self._divisor

    def _save(self) -> dict[str, Any]:
        return {"window": list(self._window)}

    def _load(self, data: dict[str, Any]) -> None:
        self._window = deque(data["window"], maxlen=self.period)
        self._sum = sum(self._window)


class EMA(Indicator):
    """Exponential average of the closes, USD: weight 2 / (period + 1), started with the mean of the first ``period``.

    Ready after ``period`` bars. It remembers for ever, so its value depends on where the data begins.
    """

    __slots__ = ("_sum", "_weight")

    def __init__(self, symbol: str, period: int) -> None:
        super().__init__(symbol, period, warmup=period)
        self._weight = 2.0 / (period + 1)
        self._sum = 0

    def update(self, bar: Bar) -> None:
        if not self._missing:
            self.previous = value = self.value
            self.value = value + self._weight * (bar.close - value)
            return
        self._sum += round(bar.close * _SCALE)
        if not self._warming():
            self.value = self._sum / (self.period * UNITS)

    def _save(self) -> dict[str, Any]:
        return {"sum": self._sum}

    def _load(self, data: dict[str, Any]) -> None:
        self._sum = data["sum"]


class RSI(Indicator):
    """Wilder's relative strength index of the closes, 0 to 100; 50 when nothing moved at all.

    The averages start as means of the first ``period`` changes; ready after ``period + 1`` bars.
    """

    __slots__ = ("_gain", "_last", "_loss")

    def __init__(self, symbol: str, period: int) -> None:
        super().__init__(symbol, period, warmup=period + 1)
        self._last: int | None = None
        self._gain: float = 0  # in units: exact sums while warming up, averages after
        self._loss: float = 0

    def update(self, bar: Bar) -> None:
        units = round(bar.close * _SCALE)
        change = 0 if self._last is None else units - self._last
        self._last = units
        gain, loss = (change, 0) if change > 0 else (0, -change)
        if not self._missing:
            self._gain += (gain - self._gain) / self.period
            self._loss += (loss - self._loss) / self.period
            self.previous = self.value
            self.value = self._index()
            return
        self._gain += gain
        self._loss += loss
        if not self._warming():
            self._gain /= self.period
            self._loss /= self.period
            self.value = self._index()

    def _index(self) -> float:
        moved = self._gain + self._loss
        return 100.0 * self._gain / moved if moved else 50.0

    def _save(self) -> dict[str, Any]:
        return {"last": self._last, "gain": self._gain, "loss": self._loss}

    def _load(self, data: dict[str, Any]) -> None:
        self._last = data["last"]
        self._gain, self._loss = data["gain"], data["loss"]


class ATR(Indicator):
    """Wilder's average true range, USD. Ready after ``period`` bars.

    True range: high - low, or to the last close where that is farther; the first bar has high - low alone.
    """

    __slots__ = ("_average", "_last")

    def __init__(self, symbol: str, period: int) -> None:
        super().__init__(symbol, period, warmup=period)
        self._last: int | None = None
        self._average: float = 0  # in units: an exact sum while warming up

    def update(self, bar: Bar) -> None:
        high, low, last = round(bar.high * _SCALE), round(bar.low * _SCALE), self._last
        true_range = high - low if last is None else max(high, last) - min(low, last)
        self._last = round(bar.close * _SCALE)
        if not self._missing:
            self._average += (true_range - self._average) / self.period
            self.previous = self.value
            self.value = self._average / UNITS
            return
        self._average += true_range
        if not self._warming():
            self._average /= self.period
            self.value = self._average / UNITS

    def _save(self) -> dict[str, Any]:
        return {"last": self._last, "average": self._average}

    def _load(self, data: dict[str, Any]) -> None:
        self._last, self._average = data["last"], data["average"]


class StDev(Indicator):
    """Standard deviation of the last ``period`` closes, USD, of the population (divided by ``period``, as Bollinger).

    Ready after ``period`` bars. From exact sums, so it is never the root of a negative number.
    """

    __slots__ = ("_squares", "_sum", "_window")

    def __init__(self, symbol: str, period: int) -> None:
        super().__init__(symbol, period, warmup=period)
        self._window = deque([0] * period, maxlen=period)
        self._sum = 0
        self._squares = 0

    def update(self, bar: Bar) -> None:
        units, oldest = round(bar.close * _SCALE), self._window[0]
        self._window.append(units)
        self._sum += units - oldest
        self._squares += units * units - oldest * oldest
        if not self._warming():
            self.value = sqrt(self.period * self._squares - self._sum * self._sum) / (self.period * UNITS)

    def _save(self) -> dict[str, Any]:
        return {"window": list(self._window)}

    def _load(self, data: dict[str, Any]) -> None:
        self._window = deque(data["window"], maxlen=self.period)
        self._sum = sum(self._window)
        self._squares = sum(units * units for units in self._window)


class _Extreme(Indicator):
    """The candidates for the extreme of the window, oldest and most extreme first: each bar enters and leaves once."""

    __slots__ = ("_candidates", "_count")

    def __init__(self, symbol: str, period: int) -> None:
        super().__init__(symbol, period, warmup=period)
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


class Lowest(_Extreme):
    """Lowest low of the last ``period`` bars, the last one included, USD (``previous`` leaves it out)."""

    __slots__ = ()

    def update(self, bar: Bar) -> None:
        while self._candidates and self._candidates[-1][1] >= bar.low:
            self._candidates.pop()
        self._push(bar.low)
