"""How a bar reaches a strategy's indicators, windows and longer bars, before its author hears of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from appliance.domain.market import Bar, Sessions, Split
from appliance.strategy.bars import BarBuilder, BarWindow
from appliance.strategy.indicators import Indicator
from appliance.strategy.indicators.rescaling import rescale

Update = Callable[[Bar], object]
_NONE: tuple[Bar, ...] = ()


class Line:
    """The bars of one symbol and timeframe, and who takes each of them."""

    __slots__ = ("_builder", "_opens", "_through", "updates")

    def __init__(self, symbol: str, timeframe: str, sessions: Sessions | None, opens: Sequence[Indicator]) -> None:
        self.updates: tuple[Update, ...] = ()
        self._builder = BarBuilder(symbol, timeframe, sessions) if timeframe else None
        self._opens = tuple(opens)
        self._through = 0  # the close of the session the indicators know of

    @property
    def is_plain(self) -> bool:
        """Whether a bar that comes is just handed on."""
        return self._builder is None and not self._opens

    def take(self, bar: Bar, sessions: Sessions) -> tuple[Bar, ...]:
        """Feed one bar as it came; the bars of this length that it completes."""
        builder = self._builder
        done = (bar,) if builder is None or bar.timeframe == builder.timeframe else builder.add(bar)
        for one in done:
            if self._opens and one.start >= self._through:
                self._open(one, sessions)
            for update in self.updates:
                update(one)
        return done

    def _open(self, bar: Bar, sessions: Sessions) -> None:
        session = sessions.at(bar.start)
        if session is not None:
            self._through = session.close
            for indicator in self._opens:
                indicator.new_session()

    def rescale(self, split: Split) -> None:
        """A split: the bar under way goes on in new shares."""
        if self._builder is not None:
            self._builder.rescale(split)

    def snapshot(self) -> dict[str, Any]:
        """Plain data; empty where nothing is to be remembered."""
        built = {"builder": self._builder.snapshot()} if self._builder is not None else {}
        return {**built, "through": self._through} if self._opens else built

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot of a line of the same symbol and timeframe."""
        self._through = data.get("through", 0)
        if self._builder is not None and "builder" in data:
            self._builder.restore(data["builder"])


class Feeding:
    """All lines of one strategy. ``main`` is the timeframe the author hears of ("" as the bars come)."""

    def __init__(
        self,
        symbols: Sequence[str],
        main: str,
        indicators: Sequence[Indicator],
        windows: dict[tuple[str, str], BarWindow],
        sessions: Sessions | None,
        calendar: Sessions,
    ) -> None:
        self._calendar = calendar
        self._indicators, self._windows = indicators, windows
        self._lines: dict[str, dict[str, Line]] = {}
        self.direct: dict[str, tuple[Update, ...]] = {}
        """By symbol, who takes each bar, where a bar that comes is just handed on."""
        for symbol in symbols:
            own = [(one.timeframe or main, one) for one in indicators if symbol in one.symbols]
            kept = [(timeframe or main, window) for (of, timeframe), window in windows.items() if of == symbol]
            frames = dict.fromkeys((main, *(frame for frame, _ in own), *(frame for frame, _ in kept)))
            self._lines[symbol] = {
                frame: self._line(
                    symbol, frame, [o for f, o in own if f == frame], [w for f, w in kept if f == frame], sessions
                )
                for frame in frames
            }
            only = self._lines[symbol].get("") if len(frames) == 1 else None
            if only is not None and only.is_plain:
                self.direct[symbol] = only.updates

    @staticmethod
    def _line(
        symbol: str,
        frame: str,
        indicators: Sequence[Indicator],
        windows: Sequence[BarWindow],
        sessions: Sessions | None,
    ) -> Line:
        opens = [one for one in indicators if type(one).new_session is not Indicator.new_session]
        line = Line(symbol, frame, sessions, opens)
        line.updates = (*(one.update for one in indicators), *(window.append for window in windows))
        return line

    def take(self, bar: Bar, main: str) -> tuple[Bar, ...]:
        """Feed a bar to all who want it; the bars the author is to hear of."""
        direct = self.direct.get(bar.symbol)
        if direct is not None:
            for update in direct:
                update(bar)
            return (bar,)
        heard = _NONE
        for frame, line in self._lines[bar.symbol].items():
            done = line.take(bar, self._calendar)
            if frame == main:
                heard = done
        return heard

    def rescale(self, split: Split) -> None:
        """A split: indicators, kept bars and longer bars under way go on in new shares."""
        for indicator in self._indicators:
            if split.symbol in indicator.symbols:
                rescale(indicator, split)
        for (symbol, _), window in self._windows.items():
            if symbol == split.symbol:
                window.rescale(split)
        for line in self._lines.get(split.symbol, {}).values():
            line.rescale(split)

    def snapshot(self) -> dict[str, Any]:
        """Plain data by ``symbol/timeframe``."""
        return {
            f"{symbol}/{frame}": saved
            for symbol, lines in self._lines.items()
            for frame, line in lines.items()
            if (saved := line.snapshot())
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over what fits."""
        for symbol, lines in self._lines.items():
            for frame, line in lines.items():
                line.restore(data.get(f"{symbol}/{frame}", {}))
