"""How fast and how steadily the closes move: relative strength, rate of change, directional movement."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING, Any

from appliance.domain.market import Bar
from appliance.strategy.indicators.base import Indicator, Line
from appliance.strategy.indicators.units import SCALE
from appliance.strategy.indicators.windows import loaded, saved, sliding

if TYPE_CHECKING:
    from appliance.strategy.indicators.arrays import Columns, Floats


class RSI(Indicator):
    """Wilder's relative strength index of the closes, 0 to 100; 50 when nothing moved at all.

    The averages start as means of the first ``period`` changes; ready after ``period + 1`` bars. They recur in floats
    and remember for ever.
    """

    __slots__ = ("_gain", "_last", "_loss")

    RECURSIVE = True

    def __init__(self, symbol: str, period: int = 14, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)
        self._needs(period + 1)
        self._last: int | None = None
        self._gain: float = 0  # in units: exact sums while warming up, averages after
        self._loss: float = 0

    def update(self, bar: Bar) -> None:
        units = round(bar.close * SCALE)
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

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        ups, downs = arrays.rises(columns.in_units("close"))
        gains, losses = arrays.wilder(ups.tolist(), self.period), arrays.wilder(downs.tolist(), self.period)
        return [arrays.warm(arrays.shares(100.0 * gains, gains + losses, 50.0), len(columns))]

    def _save(self) -> dict[str, Any]:
        return {"last": self._last, "gain": self._gain, "loss": self._loss}

    def _load(self, data: dict[str, Any]) -> None:
        self._last = data["last"]
        self._gain, self._loss = data["gain"], data["loss"]


class ROC(Indicator):
    """Change of the close since ``period`` bars ago, in percent. Ready after ``period + 1`` bars."""

    __slots__ = ("_window",)

    def __init__(self, symbol: str, period: int, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)
        self._needs(period + 1)
        self._window = sliding((), period + 1)

    def update(self, bar: Bar) -> None:
        window = self._window
        window.append(round(bar.close * SCALE))
        if not self._warming():
            self.value = 100 * (window[-1] - window[0]) / window[0] if window[0] else nan

    def _save(self) -> dict[str, Any]:
        return {"window": saved(self._window)}

    def _load(self, data: dict[str, Any]) -> None:
        self._window = loaded(data["window"], self.period + 1)

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        units = columns.in_units("close")
        before = units[: max(0, len(units) - self.period)]
        change = arrays.ratios(100 * (units[self.period :] - before), before, nan)
        return [arrays.warm(change, len(columns))]


class ADX(Indicator):
    """Wilder's average directional index, 0 to 100: how strong the trend is, whichever way (``adx``, its value).

    ``plus`` and ``minus`` are the directional indicators +DI and -DI, 0 to 100. True range and movements start as sums
    of the first ``period`` changes, so that plus and minus are ready after ``period + 1`` bars, and adx, which starts
    as the mean of the first ``period`` indices, after ``2 * period``. It recurs in floats and remembers for ever.
    """

    __slots__ = ("_averages", "_changes", "_last", "_strength", "minus", "plus")

    LINES = ("adx", "plus", "minus")
    RECURSIVE = True

    def __init__(self, symbol: str, period: int = 14, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)
        self._needs(2 * period)
        self._last: tuple[int, int, int] | None = None  # high, low, close, in units
        self._averages: tuple[float, float, float] = (0, 0, 0)  # up, down, true range: exact sums at first
        self._changes = 0
        self._strength = 0.0
        self.plus, self.minus = Line(), Line()

    @property
    def adx(self) -> Line:
        """How strong the trend is, 0 to 100."""
        return self

    def update(self, bar: Bar) -> None:
        prices = round(bar.high * SCALE), round(bar.low * SCALE), round(bar.close * SCALE)
        last, self._last = self._last, prices
        warming = self._warming()
        if last is None:
            return
        self._smooth(*_movements(last, prices))
        if self._changes >= self.period:
            self._index(warming)

    def _smooth(self, up: int, down: int, true_range: int) -> None:
        ups, downs, ranges = self._averages
        period = self.period
        if self._changes >= period:
            ups, downs = ups + (up - ups) / period, downs + (down - downs) / period
            self._averages = ups, downs, ranges + (true_range - ranges) / period
            return
        self._changes += 1
        ups, downs, ranges = ups + up, downs + down, ranges + true_range
        ended = self._changes == period
        self._averages = (ups / period, downs / period, ranges / period) if ended else (ups, downs, ranges)

    def _index(self, warming: bool) -> None:
        up, down, true_range = self._averages
        self.plus.step(100.0 * up / true_range if true_range else 0.0)
        self.minus.step(100.0 * down / true_range if true_range else 0.0)
        index = 100.0 * abs(up - down) / (up + down) if up + down else 0.0
        if self.ready:
            self.value += (index - self.value) / self.period
            return
        self._strength += index
        if not warming:
            self.value = self._strength / self.period

    def _save(self) -> dict[str, Any]:
        return {
            "last": self._last and list(self._last),
            "averages": list(self._averages),
            "changes": self._changes,
            "strength": self._strength,
        }

    def _load(self, data: dict[str, Any]) -> None:
        self._last = None if data["last"] is None else (data["last"][0], data["last"][1], data["last"][2])
        self._averages = (data["averages"][0], data["averages"][1], data["averages"][2])
        self._changes, self._strength = data["changes"], data["strength"]

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        high, low, ranges = arrays.true_ranges(columns)
        changes = (*arrays.movements(high, low), ranges[1:])
        up, down, true_range = (arrays.wilder(one.tolist(), self.period) for one in changes)
        index = arrays.shares(100.0 * abs(up - down), up + down, 0.0)
        found = (
            arrays.wilder(index.tolist(), self.period),
            arrays.shares(100.0 * up, true_range, 0.0),
            arrays.shares(100.0 * down, true_range, 0.0),
        )
        return [arrays.warm(line, len(columns)) for line in found]


def _movements(last: tuple[int, int, int], bar: tuple[int, int, int]) -> tuple[int, int, int]:
    """Movement up, movement down (the larger one counts alone), and true range, in units."""
    up, down = bar[0] - last[0], last[1] - bar[1]
    true_range = max(bar[0], last[2]) - min(bar[1], last[2])
    return up if up > down and up > 0 else 0, down if down > up and down > 0 else 0, true_range
