"""What is weighed by volume: average prices and the balance. Volumes are whole numbers, too: of 1e-8 shares."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import nan
from typing import TYPE_CHECKING, Any

from appliance.domain.market import Bar
from appliance.strategy.indicators.base import Indicator
from appliance.strategy.indicators.units import SCALE, UNITS
from appliance.strategy.indicators.windows import loaded, saved, sliding

if TYPE_CHECKING:
    from appliance.strategy.indicators.arrays import Columns, Floats, Ints


def _traded(bar: Bar) -> tuple[int, int]:
    """Three typical prices (high + low + close) times volume, and volume, in units."""
    price = round(bar.high * SCALE) + round(bar.low * SCALE) + round(bar.close * SCALE)
    volume = round(bar.volume * SCALE)
    return price * volume, volume


class VWAP(Indicator):
    """Average of the typical prices, (high + low + close) / 3, of the last ``period`` bars by volume, USD.

    NaN while nothing was traded in them. Ready after ``period`` bars. What starts anew each session is SessionVWAP.
    """

    __slots__ = ("_paid", "_volume", "_window")

    def __init__(self, symbol: str, period: int, *, timeframe: str = "") -> None:
        super().__init__(symbol, period, timeframe=timeframe)
        self._window = sliding([(0, 0)] * period, period)
        self._paid = self._volume = 0

    def update(self, bar: Bar) -> None:
        paid, volume = traded = _traded(bar)
        oldest = self._window[0]
        self._window.append(traded)
        self._paid += paid - oldest[0]
        self._volume += volume - oldest[1]
        if not self._warming():
            self.value = self._paid / (3 * UNITS * self._volume) if self._volume else nan

    def _save(self) -> dict[str, Any]:
        return {"window": saved(self._window)}

    def _load(self, data: dict[str, Any]) -> None:
        self._window = loaded(data["window"], self.period)
        self._paid = sum(paid for paid, _ in self._window)
        self._volume = sum(volume for _, volume in self._window)

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        prices, volumes, step = _columns(columns)
        prices, volumes = arrays.within(self.period * arrays.largest(prices) * arrays.largest(volumes), prices, volumes)
        paid = arrays.window_sums(prices * volumes, self.period)
        volume = arrays.window_sums(volumes, self.period)
        return [arrays.warm(arrays.ratios(paid, volume, nan, step, 3 * UNITS), len(columns))]


class SessionVWAP(Indicator):
    """Average of the typical prices, (high + low + close) / 3, by volume, since the session opened, USD.

    The runner says when that is (``new_session``); from then on it is NaN until something is traded, so that nothing
    crosses on the first bar of a session. Ready after one bar with volume.
    """

    __slots__ = ("_paid", "_volume")

    PARAMETERS = ()

    def __init__(self, symbol: str, *, timeframe: str = "") -> None:
        super().__init__(symbol, timeframe=timeframe)
        self._paid = self._volume = 0

    def new_session(self) -> None:
        """Forget all bars: a session of the market opens."""
        self._paid = self._volume = 0
        self.value = nan

    def update(self, bar: Bar) -> None:
        self._warming()
        paid, volume = _traded(bar)
        self._paid += paid
        self._volume += volume
        self.value = self._paid / (3 * UNITS * self._volume) if self._volume else nan

    def _save(self) -> dict[str, Any]:
        return {"paid": self._paid, "volume": self._volume}

    def _load(self, data: dict[str, Any]) -> None:
        self._paid, self._volume = data["paid"], data["volume"]

    def over(self, bars: Columns | Sequence[Bar], opens: Sequence[int] = ()) -> Floats:
        """``value`` after each of these bars. ``opens`` are the places (from 0, rising) of each session's first bar."""
        from appliance.strategy.indicators import arrays

        columns = bars if isinstance(bars, arrays.Columns) else arrays.Columns.of(bars)
        edges = [0, *opens, len(columns)]
        parts = [self._since(columns, begin, end) for begin, end in pairwise(edges)]
        return arrays.joined(parts)

    def _over(self, columns: Columns) -> Sequence[Floats]:
        return [self.over(columns)]

    def _since(self, columns: Columns, begin: int, end: int) -> Floats:
        from appliance.strategy.indicators import arrays

        prices, volumes, step = _columns(columns.part(begin, end))
        prices, volumes = arrays.within(len(prices) * arrays.largest(prices) * arrays.largest(volumes), prices, volumes)
        paid, volume = (prices * volumes).cumsum(), volumes.cumsum()
        return arrays.ratios(paid, volume, nan, step, 3 * UNITS)


def _columns(columns: Columns) -> tuple[Ints, Ints, int]:
    """Typical prices in coarse steps, three times each, volumes in coarse steps, and the step of the prices."""
    from appliance.strategy.indicators import arrays

    prices, step = arrays.coarse(columns.in_units("high") + columns.in_units("low") + columns.in_units("close"))
    volumes, _ = arrays.coarse(columns.in_units("volume"))  # they are divided by one another
    return prices, volumes, step


class OBV(Indicator):
    """On-balance volume, shares: the volume of each bar that closed higher, less that of each that closed lower.

    It starts at 0 on the first bar, where there is nothing to compare with; ready after that one.
    """

    __slots__ = ("_last", "_total")

    PARAMETERS = ()
    RECURSIVE = True

    def __init__(self, symbol: str, *, timeframe: str = "") -> None:
        super().__init__(symbol, timeframe=timeframe)
        self._last: int | None = None
        self._total = 0

    def update(self, bar: Bar) -> None:
        self._warming()
        close = round(bar.close * SCALE)
        last = close if self._last is None else self._last
        self._last = close
        if close != last:
            self._total += round(bar.volume * SCALE) * (1 if close > last else -1)
        self.value = self._total / UNITS

    def _save(self) -> dict[str, Any]:
        return {"last": self._last, "total": self._total}

    def _load(self, data: dict[str, Any]) -> None:
        self._last, self._total = data["last"], data["total"]

    def _over(self, columns: Columns) -> Sequence[Floats]:
        from appliance.strategy.indicators import arrays

        volumes, step = arrays.coarse(columns.in_units("volume"))
        (volumes,) = arrays.within(len(volumes) * arrays.largest(volumes), volumes)
        signs = arrays.signs(columns.in_units("close"))
        return [arrays.quotients((signs * volumes).cumsum(), UNITS, step)]
