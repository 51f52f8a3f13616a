"""What every indicator is: a line of values, fed one bar at a time, that a restart continues with the same bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, ClassVar

from appliance.domain.market import Bar
from appliance.errors import StrategyError

if TYPE_CHECKING:
    from appliance.strategy.indicators.arrays import Columns, Floats

PERIOD_MAX = 100_000


class Line:
    """One number that follows the bars: ``value`` as of the last bar, ``previous`` as of the bar before it.

    Both are NaN until there is a number. To be read: only the indicator that owns the line writes it.
    """

    __slots__ = ("previous", "value")

    def __init__(self) -> None:
        self.value = nan
        self.previous = nan

    @property
    def ready(self) -> bool:
        """Whether enough bars have come for ``value`` to be a number."""
        return self.value == self.value

    def crossed_above(self, other: Line | float) -> bool:
        """Whether this bar took us from at or below ``other`` to above it; False while either one warms up."""
        if isinstance(other, Line):
            return self.value > other.value and self.previous <= other.previous
        return self.value > other and self.previous <= other

    def crossed_below(self, other: Line | float) -> bool:
        """Whether this bar took us from at or above ``other`` to below it; False while either one warms up."""
        if isinstance(other, Line):
            return self.value < other.value and self.previous >= other.previous
        return self.value < other and self.previous >= other

    def step(self, value: float) -> None:
        """Take the value of the next bar (the owner of the line does this)."""
        self.previous = self.value
        self.value = value


class Indicator(Line):
    """A line, or several, that follow the bars of a symbol.

    ``symbols`` are those whose bars feed it and ``symbol`` is the first of them; ``timeframe`` is the length of bars
    it wants ("" for those the strategy gets); ``period`` is in bars; ``warmup`` is the number of bars after which
    all of its lines are numbers. Its own ``value`` is the first of ``LINES``; the others are attributes.
    """

    __slots__ = ("_missing", "parameters", "period", "symbol", "timeframe", "warmup")

    PARAMETERS: ClassVar[tuple[str, ...]] = ("period",)
    """Names of what it is made with, in order; all are whole numbers of bars, but for a ``width``."""
    LINES: ClassVar[tuple[str, ...]] = ("value",)
    RECURSIVE: ClassVar[bool] = False
    """Whether it remembers for ever, so that its value depends on where the data begins."""

    SCALES: ClassVar[bool] = True
    """Whether it means the same in new shares, so that a split needs not begin it anew."""

    def __init__(self, symbol: str, *parameters: Any, timeframe: str = "") -> None:
        super().__init__()
        self.symbol = symbol
        self.timeframe = timeframe
        self.parameters = parameters
        for name, value in zip(self.PARAMETERS, parameters, strict=True):
            self._check(name, value)
        self.period: int = parameters[0] if parameters else 1
        self._needs(self.period)

    def _needs(self, bars: int, for_all: int | None = None) -> None:
        """Set the bars needed until ``value`` is a number, and until all lines are."""
        self._missing = bars
        self.warmup = bars if for_all is None else for_all

    def _check(self, name: str, value: Any) -> None:
        number = isinstance(value, int | float if name == "width" else int) and not isinstance(value, bool)
        if name == "width" and not (number and isfinite(value) and value > 0):
            raise StrategyError(f"{self._call()}: the width must be a number above 0", hint="such as 2.0")
        if name != "width" and not (number and 1 <= value <= PERIOD_MAX):
            raise StrategyError(f"{self._call()}: the {name} must be a whole number of bars", hint=f"1 to {PERIOD_MAX}")

    def _call(self) -> str:
        return f"{type(self).__name__.lower()}({', '.join(map(repr, (*self.symbols, *self.parameters)))})"

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols whose bars feed it."""
        return (self.symbol,)

    @property
    def label(self) -> str:
        """What it is, such as ``sma(SPY, 10)``, or ``sma(SPY, 10, 15m)`` on bars of another length."""
        words = (*self.symbols, *self.parameters, *filter(None, (self.timeframe,)))
        return f"{type(self).__name__.lower()}({', '.join(map(str, words))})"

    @property
    def lines(self) -> dict[str, Line]:
        """Its lines by name; the first is the indicator itself."""
        return {name: getattr(self, name) if index else self for index, name in enumerate(self.LINES)}

    def update(self, bar: Bar) -> None:
        """Take the next bar."""
        raise NotImplementedError  # not an ABC: its isinstance() would double the cost of a crossing

    def new_session(self) -> None:
        """A session of the market opens, before its first bar. Nothing to most: only SessionVWAP starts again."""

    # -- saving -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Plain data (NaN as None) from which ``restore`` continues with the same bits."""
        saved: dict[str, Any] = {
            "value": _saved(self.value),
            "previous": _saved(self.previous),
            "missing": self._missing,
        }
        if len(self.LINES) > 1:
            saved["lines"] = [[_saved(line.value), _saved(line.previous)] for line in self._others()]
        return saved | self._save()

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot of an indicator of the same kind and parameters."""
        self.value, self.previous = _loaded(data["value"]), _loaded(data["previous"])
        self._missing = data["missing"]
        if len(self.LINES) > 1:
            for line, (value, previous) in zip(self._others(), data["lines"], strict=True):
                line.value, line.previous = _loaded(value), _loaded(previous)
        self._load(data)

    def _others(self) -> Iterator[Line]:
        return (getattr(self, name) for name in self.LINES[1:])

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

    # -- all bars at once ---------------------------------------------------------------------------------------------

    def over(self, bars: Columns | Sequence[Bar]) -> Floats:
        """``value`` after each of these bars, as if a new one had been fed with them: the same bits, float64."""
        return self.lines_over(bars)[self.LINES[0]]

    def lines_over(self, bars: Columns | Sequence[Bar]) -> dict[str, Floats]:
        """All lines, by name, after each of these bars, as if a new one had been fed with them: the same bits."""
        from appliance.strategy.indicators.arrays import Columns

        columns = bars if isinstance(bars, Columns) else Columns.of(bars)
        key = (type(self), self.symbols, self.parameters)
        return columns.once(key, lambda: dict(zip(self.LINES, self._over(columns), strict=True)))

    def _over(self, columns: Columns) -> Sequence[Floats]:
        """The slow way, which is right for all that recur: feed a new one."""
        return self._replay(columns.bars(self.symbol))

    def _replay(self, bars: Iterator[Bar]) -> Sequence[Floats]:
        from appliance.strategy.indicators.arrays import floats

        fresh = type(self)(*self.symbols, *self.parameters, timeframe=self.timeframe)
        lines = tuple(fresh.lines.values())
        found: list[list[float]] = [[] for _ in lines]
        for bar in bars:
            fresh.update(bar)
            for series, line in zip(found, lines, strict=True):
                series.append(line.value)
        return [floats(series) for series in found]

    def __repr__(self) -> str:
        return f"<{self.label} = {self.value}>"


def _saved(value: float) -> float | None:
    return value if value == value else None


def _loaded(value: float | None) -> float:
    return nan if value is None else float(value)
