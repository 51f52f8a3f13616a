"""Longer bars from smaller ones, in order. Nothing here knows more than the bars it was given."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime
from typing import Any

from appliance.core.activities import price_after
from appliance.core.spans import Grid
from appliance.domain.market import DAY, SECOND, Bar, Sessions, Split, timeframe_ns

FIELDS = 5
"""Of a row: open, high, low, close and volume."""


class Unbuildable(ValueError):
    """Bars cannot be built so: ``text`` says why, ``hint`` what to do."""

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(f"{text}: {hint}")
        self.text, self.hint = text, hint


class BarBuilder:
    """Bars of one symbol and ``timeframe``, built from smaller ones. ``sessions`` None: a market that never closes.

    A bar is told when a smaller bar reaches its end or, where that one is missing, before the first bar beyond it. It
    is stamped with its nominal start and end and holds what there was: a span without data gives no bar. Smaller bars
    outside the sessions belong to no bar; one that begins before the last one ended (a revision) is left out.

    Raises what ``wrong`` makes for what is no timeframe.
    """

    __slots__ = (
        "_bar", "_close", "_end", "_grid", "_length", "_source", "_start", "_through", "symbol", "timeframe",
    )  # fmt: skip

    def __init__(self, symbol: str, timeframe: str, sessions: Sessions | None = None) -> None:
        self._length = self._length_of(timeframe, f"bars of {symbol}")
        self._grid = Grid(timeframe, sessions)
        self.symbol, self.timeframe = symbol, timeframe
        self._source = ""
        self._start = self._end = self._close = self._through = 0
        self._bar: list[float] | None = None

    @property
    def label(self) -> str:
        """What it builds, such as ``bars(SPY, 1h)``."""
        return f"bars({self.symbol}, {self.timeframe})"

    def add(self, bar: Bar) -> tuple[Bar, ...]:
        """Take the next smaller bar; the bars that are complete now, oldest first (usually none, at most two).

        Raises what ``wrong`` makes for a bar that is not smaller, is of another timeframe than the ones before, or
        reaches over the end of the bar under way.
        """
        if bar.timeframe != self._source:
            self._take_source(bar)
        if bar.start < self._through:
            return ()
        done: tuple[Bar, ...] = ()
        if bar.start >= self._close:
            done = self._told() if bar.start >= self._end else ()
            if not self._enter(bar):
                return done
        if bar.end > self._close and timeframe_ns(bar.timeframe) < DAY:  # a day may be known after its close
            raise self._straddles(bar)
        self._merge(bar)
        self._through = bar.end
        return (*done, *self._told()) if bar.end >= self._end else done

    def finish(self, until: int) -> tuple[Bar, ...]:
        """All smaller bars up to ``until`` (ns UTC) are known: the bar under way, if it had ended by then."""
        return self._told() if self._end <= until else ()

    def rescale(self, split: Split) -> None:
        """A split: the bar under way goes on in new shares."""
        if self._bar is not None:
            rescale(self._bar, split)

    def snapshot(self) -> dict[str, Any]:
        """Plain data from which ``restore`` goes on with the same bits."""
        return {
            "source": self._source,
            "span": [self._start, self._end, self._close],
            "through": self._through,
            "bar": None if self._bar is None else list(self._bar),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot of a builder of the same symbol and timeframe."""
        self._source = data["source"]
        self._start, self._end, self._close = data["span"]
        self._through = data["through"]
        self._bar = None if data["bar"] is None else [float(number) for number in data["bar"]]

    @staticmethod
    def wrong(text: str, hint: str) -> Exception:
        """What is raised: each room has an error of its own."""
        return Unbuildable(text, hint)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _length_of(self, timeframe: str, asked: str) -> int:
        try:
            return timeframe_ns(timeframe)
        except ValueError as error:
            raise self.wrong(f"{asked}: {error}", "for instance 5m, 1h or 1d") from None

    def _take_source(self, bar: Bar) -> None:
        if self._source:
            raise self.wrong(
                f"{self.label} are built from {self._source} bars; now a {bar.timeframe} bar of {self.symbol} came",
                "give one timeframe of each symbol as data",
            )
        if self._length_of(bar.timeframe, f"a bar of {bar.symbol}") >= self._length:
            raise self.wrong(
                f"{self.label} cannot be built from {bar.timeframe} bars",
                f"use {bar.timeframe} bars as they come, ask for longer ones, or give smaller ones as data",
            )
        self._source = bar.timeframe

    def _enter(self, bar: Bar) -> bool:
        """Find the span of a bar; False when the market is closed then."""
        span = self._grid.at(bar.start)
        if span is None:
            self._check_outside(bar)
            return False
        self._start, self._end, self._close = span
        return True

    def _check_outside(self, bar: Bar) -> None:
        """A bar outside is left out whole; one that reaches into a session, or is of a whole day, cannot be placed."""
        opens = self._grid.next_open(bar.start)
        if (opens is not None and bar.end > opens) or timeframe_ns(bar.timeframe) >= DAY:
            raise self._straddles(bar)

    def _straddles(self, bar: Bar) -> Exception:
        return self.wrong(
            f"{self.label}: the {bar.timeframe} bar from {_text(bar.start)} to {_text(bar.end)} UTC lies across an "
            "edge of one, or of a session",
            "use smaller bars as data, or a length that a whole number of them fills from the session's open",
        )

    def _merge(self, bar: Bar) -> None:
        under_way = self._bar
        if under_way is None:
            self._bar = row_of(bar)
        else:
            merge(under_way, bar)

    def _told(self) -> tuple[Bar, ...]:
        """The bar under way, ended. One made of daily bars ends when the last of them was known, if that was later."""
        if self._bar is None:
            return ()
        (opened, high, low, close, volume), self._bar = self._bar, None
        end = max(self._end, self._through)
        return (Bar(self.symbol, self.timeframe, self._start, end, opened, high, low, close, volume),)


def row_of(bar: Bar) -> list[float]:
    """Open, high, low, close and volume."""
    return [bar.open, bar.high, bar.low, bar.close, bar.volume]


def merge(row: list[float], bar: Bar) -> None:
    """A row goes on with the bar that follows it."""
    if bar.high > row[1]:
        row[1] = bar.high
    if bar.low < row[2]:
        row[2] = bar.low
    row[3] = bar.close
    row[4] += bar.volume


def rescale(numbers: list[float] | array[float], split: Split) -> None:
    """Rows of open, high, low, close and volume in new shares, in place."""
    for at, number in enumerate(numbers):
        numbers[at] = number * split.new / split.old if at % FIELDS == 4 else price_after(number, split)


def _text(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")
