"""Two symbols at once. Their bars are paired by equal end; a bar without its partner is left out, no price is invented.

The bar of one symbol waits for that of the other; if the next bar of its own symbol comes first, it is dropped. While
a bar waits, ``value`` stays as it was and ``previous`` equals it, so that a crossing shows once: on the bar that
completes a pair, whichever symbol that is of (``paired``). Returns are those from pair to pair, over the same time
in both, in whole numbers of 1e-12, so that their sums are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan, sqrt
from typing import TYPE_CHECKING, Any

from appliance.domain.market import Bar
from appliance.errors import StrategyError
from appliance.strategy.indicators.base import Indicator
from appliance.strategy.indicators.units import SCALE
from appliance.strategy.indicators.windows import Window, loaded, saved, sliding

if TYPE_CHECKING:
    from appliance.strategy.indicators.arrays import Columns, Floats

RETURN_SCALE = 1e12


class Pair(Indicator):
    """Follows ``symbol`` and ``other``: ``period``, ``warmup`` are in pairs of bars with the same end."""

    __slots__ = ("_closes", "_waiting", "other", "paired")

    def __init__(self, symbol: str, other: str, period: int, *, timeframe: str = "") -> None:
        self.other = other
        super().__init__(symbol, period, timeframe=timeframe)
        if symbol == other:
            raise StrategyError(f"{self._call()}: twice the same symbol", hint="name two symbols")
        self.paired = False
        """Whether the last bar completed a pair, so that ``value`` is new."""
        self._waiting: tuple[str, int, int] | None = None  # symbol, end, close in units
        self._closes: tuple[int, int] | None = None  # of the last pair, in units

    @property
    def symbols(self) -> tuple[str, ...]:
        return (self.symbol, self.other)

    def update(self, bar: Bar) -> None:
        close, waiting = round(bar.close * SCALE), self._waiting
        self.previous = self.value
        self.paired = waiting is not None and waiting[0] != bar.symbol and waiting[1] == bar.end
        if not self.paired or waiting is None:
            if waiting is None or waiting[0] == bar.symbol or waiting[1] < bar.end:
                self._waiting = (bar.symbol, bar.end, close)
            return
        self._waiting = None
        self._pair((close, waiting[2]) if bar.symbol == self.symbol else (waiting[2], close))

    def _pair(self, closes: tuple[int, int]) -> None:
        raise NotImplementedError

    def _save(self) -> dict[str, Any]:
        waiting, closes = self._waiting and list(self._waiting), self._closes and list(self._closes)
        return {"waiting": waiting, "closes": closes, "paired": self.paired}

    def _load(self, data: dict[str, Any]) -> None:
        waiting, closes = data["waiting"], data["closes"]
        self._waiting = None if waiting is None else (waiting[0], waiting[1], waiting[2])
        self._closes = None if closes is None else (closes[0], closes[1])
        self.paired = data["paired"]

    def over(self, bars: Columns | Sequence[Bar], other: Columns | None = None) -> Floats:
        """``value`` after each bar, as if a new one had been fed with them: the same bits, float64.

        Either the bars of both symbols in the order they come in, or the columns of both, row by row a pair.
        """
        from appliance.strategy.indicators import arrays

        if isinstance(bars, arrays.Columns):
            return self._over_pairs(bars.close, self._partner(other).close)
        return self._replay(iter(bars))[0]

    def lines_over(self, bars: Columns | Sequence[Bar], other: Columns | None = None) -> dict[str, Floats]:
        return {self.LINES[0]: self.over(bars, other)}

    def _partner(self, other: Columns | None) -> Columns:
        if other is None:
            raise StrategyError(
                f"{self.label} over columns needs those of {self.other} too", hint="over(columns, other_columns)"
            )
        return other

    def _over_pairs(self, first: Floats, second: Floats) -> Floats:
        raise NotImplementedError


class RatioZScore(Pair):
    """How many standard deviations the ratio of two closes is above the mean of its last ``period``, itself included.

    The ratio is that of ``symbol`` to ``other``, in whole numbers of 1e-12; 0 when it did not move at all. Ready after
    ``period`` pairs of bars.
    """

    __slots__ = ("_squares", "_sum", "_window")

    def __init__(self, symbol: str, other: str, period: int, *, timeframe: str = "") -> None:
        super().__init__(symbol, other, period, timeframe=timeframe)
        self._window = sliding([0] * period, period)
        self._sum = self._squares = 0

    def _pair(self, closes: tuple[int, int]) -> None:
        ratio, oldest = round(closes[0] / closes[1] * RETURN_SCALE) if closes[1] else 0, self._window[0]
        self._window.append(ratio)
        self._sum += ratio - oldest
        self._squares += ratio * ratio - oldest * oldest
        if not self._warming():
            spread = sqrt(self.period * self._squares - self._sum * self._sum)
            self.value = (self.period * ratio - self._sum) / spread if spread else 0.0

    def _save(self) -> dict[str, Any]:
        return super()._save() | {"window": saved(self._window)}

    def _load(self, data: dict[str, Any]) -> None:
        super()._load(data)
        self._window = loaded(data["window"], self.period)
        self._sum = sum(self._window)
        self._squares = sum(ratio * ratio for ratio in self._window)

    def _over_pairs(self, first: Floats, second: Floats) -> Floats:
        from appliance.strategy.indicators import arrays

        ratios = arrays.units(arrays.ratios(arrays.units(first), arrays.units(second), 0.0), RETURN_SCALE)
        return arrays.warm(arrays.scores(ratios, self.period), len(first))


class _Returns(Pair):
    """Sums of the last ``period`` pairs of returns, of their squares and products."""

    __slots__ = ("_sums", "_window")

    def __init__(self, symbol: str, other: str, period: int, *, timeframe: str = "") -> None:
        super().__init__(symbol, other, period, timeframe=timeframe)
        self._needs(period + 1)
        self._window = sliding([(0, 0)] * period, period)
        self._sums = _totals(self._window)

    def _pair(self, closes: tuple[int, int]) -> None:
        last, self._closes = self._closes, closes
        warming = self._warming()
        if last is None:
            return
        new, old = (_change(last[0], closes[0]), _change(last[1], closes[1])), self._window[0]
        self._window.append(new)
        added, gone = _products(new), _products(old)
        self._sums = [total + one - other for total, one, other in zip(self._sums, added, gone, strict=True)]
        if not warming:
            self.value = self._ratio(*_central(self.period, self._sums))

    def _ratio(self, product: int, first: int, second: int) -> float:
        """From the covariance and the variances of both, all times ``period`` squared."""
        raise NotImplementedError

    def _save(self) -> dict[str, Any]:
        return super()._save() | {"window": saved(self._window)}

    def _load(self, data: dict[str, Any]) -> None:
        super()._load(data)
        self._window = loaded(data["window"], self.period)
        self._sums = _totals(self._window)

    def _over_pairs(self, first: Floats, second: Floats) -> Floats:
        from appliance.strategy.indicators import arrays

        x, y = arrays.changes(first, RETURN_SCALE), arrays.changes(second, RETURN_SCALE)
        period, count = self.period, len(x)
        x, y = arrays.within((period * max(arrays.largest(x), arrays.largest(y))) ** 2, x, y)
        series = [arrays.window_sums(one, period).tolist() for one in (x, y, x * x, y * y, x * y)]
        found = [self._ratio(*_central(period, sums)) for sums in zip(*series, strict=True)]
        return arrays.warm(arrays.floats(found), max(count + 1, 1) if len(first) else 0)


class Correlation(_Returns):
    """Correlation (Pearson) of the last ``period`` returns of two symbols, -1 to 1; NaN while one does not move.

    Ready after ``period + 1`` pairs of bars.
    """

    __slots__ = ()

    def _ratio(self, product: int, first: int, second: int) -> float:
        return max(-1.0, min(1.0, product / sqrt(first * second))) if first and second else nan


class Beta(_Returns):
    """How far ``symbol`` moves for each 1 % that ``other`` moves, in the last ``period`` returns.

    Covariance over variance; NaN while the other does not move. Ready after ``period + 1`` pairs of bars.
    """

    __slots__ = ()

    def _ratio(self, product: int, first: int, second: int) -> float:
        return product / second if second else nan


def _change(before: int, after: int) -> int:
    """The return in 1e-12; 0 where there was no price to return from."""
    return round((after - before) / before * RETURN_SCALE) if before else 0


def _products(pair: tuple[int, int]) -> tuple[int, ...]:
    one, other = pair
    return one, other, one * one, other * other, one * other


def _totals(window: Window) -> list[int]:
    return [sum(column) for column in zip(*map(_products, window), strict=True)]


def _central(period: int, sums: Sequence[int]) -> tuple[int, int, int]:
    """Covariance and both variances, times ``period`` squared."""
    x, y, xx, yy, xy = sums
    return period * xy - x * y, period * xx - x * x, period * yy - y * y
