"""Sources that tell and answer with longer bars than their servers have: built from shorter ones, or from trades."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from appliance.core import building
from appliance.data.building import GRACE, LATE, Building, PartBars, TradeBars
from appliance.data.calendars import SessionsOf
from appliance.data.sources.base import HistorySource, Kind, Linked, LiveSource, Stop, Tell, Told, Traits
from appliance.domain.market import (
    DAY,
    RECORDED,
    SECOND,
    TIMEFRAMES,
    Bar,
    CorporateAction,
    Sessions,
    Split,
    Trade,
    timeframe_ns,
    timeframe_parts,
)
from appliance.errors import DataError, UsageError

Clock = Callable[[], int]
LOOK = 0.1
"""Seconds between two looks at what time brings."""
SKEW = 2 * SECOND
"""How much (ns) the clocks here and there may differ: what begins so soon after we came is not believed to be whole."""
SETTLE = 60 * SECOND
"""How long (ns) after its end the history of a bar may lack the last shorter bar of it."""


class BuiltLive:
    """A live source whose bars are of ``timeframe``, built from its bars or, where it has none, from its trades. All
    else it tells is told as it comes.

    A source does not tell bars in which nothing was traded, so a bar is whole when everything was heard: eleven of
    twelve bars of five seconds make a minute as good as twelve. What was under way when we came, and whenever the
    source says that it may have missed something (``Linked.anew``) is not told: whoever puts the bars in order sees a
    hole, and asks history. ``late`` and ``grace`` (ns) are those of ``appliance.data.building``; ``lag`` (ns) is how
    late the source tells everything on purpose (delayed data): with it, bars that ended before we came are told, too.
    """

    def __init__(
        self, source: LiveSource, timeframe: str, sessions_of: SessionsOf, clock: Clock = time.time_ns,
        grace: int = GRACE, late: int = LATE, lag: int = 0,
    ) -> None:  # fmt: skip
        """Raises UsageError for a timeframe that cannot be built from what the source tells."""
        self.name = source.name
        self._source, self._timeframe, self._sessions_of, self._clock = source, timeframe, sessions_of, clock
        self._terms = {"grace": grace, "late": late}
        self._lag = lag
        self.base = "" if Kind.BARS not in source.traits.live else source.traits.timeframes[0]
        if not self.base and (Kind.TRADES not in source.traits.live or Kind.TRADES in source.traits.sampled):
            raise UsageError(
                f"{self.name} tells neither bars nor all trades", hint="bars cannot be built from quotes and samples"
            )
        length = _length(self.name, timeframe)
        if length > DAY or (self.base and not builds(self.base, timeframe)):
            raise UsageError(
                f"{self.name}: no {timeframe} bars can be built live from {self.base or 'trades'}",
                hint=f"set timeframe to one of {', '.join(_possible(self.base))}, or name a source of shorter bars",
            )
        self.traits = self._traits(source.traits, length)
        self.counts: dict[str, dict[str, int]] = {}

    def _traits(self, traits: Traits, length: int) -> Traits:
        others = tuple(name for name in traits.timeframes if name not in (self.base, self._timeframe))
        often = Kind.QUOTES in traits.live or Kind.TRADES in traits.live
        return replace(
            traits,
            live=tuple(kind for kind in Kind if kind in traits.live or kind is Kind.BARS),
            timeframes=(self._timeframe, *(others if self.base else ())),
            mute=traits.mute + (0 if often else length),
        )

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        """See ``LiveSource.run``."""
        if Kind.BARS not in kinds:
            self._source.run(symbols, kinds, tell, stop)
            return
        made = {symbol: self._builder(symbol) for symbol in symbols}
        self.counts = {symbol: builder.counts for symbol, builder in made.items()}
        bench = _Bench(made, self.base, Kind.TRADES in kinds, tell, self._clock, self._lag)
        over = threading.Event()
        timer = threading.Thread(target=bench.watch, args=(over,), name=f"building-{self.name}", daemon=True)
        timer.start()
        try:
            self._source.run(symbols, self._asked(kinds), bench.take, stop)
        finally:
            over.set()
            timer.join()

    def _asked(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        if self.base:
            return tuple(kinds)
        return tuple(dict.fromkeys(Kind.TRADES if kind is Kind.BARS else kind for kind in kinds))

    def _builder(self, symbol: str) -> Building[Any]:
        make = PartBars if self.base else TradeBars
        return make(symbol, self._timeframe, self._sessions_of(symbol), self.name, **self._terms)


class _Bench:
    """What one connection tells, taken from any thread; the bars of it, told in order."""

    def __init__(
        self, made: dict[str, Building[Any]], base: str, with_trades: bool, tell: Tell, clock: Clock, lag: int
    ) -> None:
        self._made, self._base, self._with_trades = made, base, with_trades
        self._tell, self._clock, self._lag = tell, clock, lag
        self._lock = threading.Lock()

    def take(self, told: Told) -> None:
        """``Tell`` for the source."""
        with self._lock:
            if isinstance(told, Linked):
                begin = self._clock() - self._lag + SKEW
                for symbol in told.symbols if told.anew is None else told.anew:
                    if symbol in self._made:
                        self._made[symbol].begin(begin)
            piece = isinstance(told, Bar) and told.timeframe == self._base
            if piece or (isinstance(told, Trade) and not self._base):
                self._add(told)  # type: ignore[arg-type]
            if not piece and (self._with_trades or not isinstance(told, Trade)):
                self._tell(told)

    def _add(self, piece: Bar | Trade) -> None:
        builder = self._made.get(piece.symbol)
        for bar in builder.add(piece) if builder is not None else ():
            self._tell(bar)

    def watch(self, over: threading.Event) -> None:
        """Let time close bars until the connection is ``over``."""
        while not over.wait(LOOK):
            with self._lock:
                now = self._clock()
                for builder in self._made.values():
                    for bar in builder.tick(now):
                        self._tell(bar)


class BuiltHistory:
    """A history source that also answers for longer bars than it has, each built from the longest of its shorter ones
    that a whole number of fills; a day, a week and a month from those of its sessions.

    Of a bar whose last shorter bar is not there, nobody knows whether that was not traded or not there yet: it is told
    once it has been over for a minute. A week or month with a split in it is in the shares after it.
    """

    def __init__(self, source: HistorySource, sessions_of: SessionsOf, clock: Clock = time.time_ns) -> None:
        self.name, self.source = source.name, source
        self._sessions_of, self._clock = sessions_of, clock
        own = source.traits.timeframes
        self.traits = replace(
            source.traits, timeframes=(*own, *(name for name in TIMEFRAMES if name not in own and base_of(own, name)))
        )

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        """See ``HistorySource.bars``. Raises DataError for a timeframe that nothing of the source builds."""
        own = self.source.traits.timeframes
        if timeframe in own:
            yield from self.source.bars(symbols, timeframe, start, end)
            return
        try:
            base = base_of(own, timeframe)
        except ValueError as error:
            raise DataError(f"{self.name}: timeframe {error}", hint=f"such as {', '.join(TIMEFRAMES)}") from None
        if not base:
            raise DataError(
                f"{self.name} has no {timeframe} bars, and none that build them: {', '.join(own)}",
                hint=f"it answers for {', '.join(self.traits.timeframes)}",
            )
        yield from self._built(symbols, timeframe, base, start, end)

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        """See ``HistorySource.actions``."""
        return self.source.actions(symbols, start, end)

    def close(self) -> None:
        """See ``HistorySource.close``."""
        self.source.close()

    def _built(
        self, symbols: Sequence[str], timeframe: str, base: str, start: int, end: int
    ) -> Iterator[tuple[Bar, ...]]:
        splits = self._splits(symbols, timeframe, start, end)
        made = {
            symbol: _Past(self.name, symbol, timeframe, self._sessions_of(symbol), splits.get(symbol, []))
            for symbol in symbols
        }
        for page in self.source.bars(symbols, base, start, end):
            done = [bar for part in page for bar in made[part.symbol].add(part)]
            yield _inside(done, start, end)
        until = min(end, self._clock() - SETTLE)
        yield _inside([bar for past in made.values() for bar in past.finish(until)], start, end)

    def _splits(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> dict[str, list[Split]]:
        found: dict[str, list[Split]] = {}
        if timeframe_ns(timeframe) > DAY and self.source.traits.actions:
            for action in self.source.actions(symbols, start, end):
                if isinstance(action, Split):
                    found.setdefault(action.symbol, []).append(action)
        return {symbol: sorted(splits, key=lambda split: split.time) for symbol, splits in found.items()}


class _Past:
    """The bars of one symbol and question."""

    def __init__(self, source: str, symbol: str, timeframe: str, sessions: Sessions, splits: list[Split]) -> None:
        self._builder = _Bars(symbol, timeframe, sessions)
        self._source, self._sessions, self._splits = source, sessions, splits
        self._received = 0

    def add(self, part: Bar) -> list[Bar]:
        """The next shorter bar."""
        done: tuple[Bar, ...] = ()
        while self._splits and self._splits[0].time < part.end:
            split = self._splits.pop(0)
            done += self._builder.finish(split.time)
            self._builder.rescale(split)
        self._received = max(self._received, part.received)
        return self._named(done + self._builder.add(self._placed(part)))

    def finish(self, until: int) -> list[Bar]:
        """All up to ``until`` (ns UTC) is known."""
        return self._named(self._builder.finish(until))

    def _named(self, bars: tuple[Bar, ...]) -> list[Bar]:
        """One that is told without its last part was not known before its end."""
        received = self._received
        return [replace(bar, source=self._source, received=received and max(received, bar.end)) for bar in bars]

    def _placed(self, part: Bar) -> Bar:
        """A day from midnight to midnight is that of the session in it."""
        if timeframe_ns(part.timeframe) < DAY or self._sessions.at(part.start) is not None:
            return part
        session = self._sessions.coming(part.start)
        if session is None or session.open >= part.end:
            return part
        return replace(part, start=session.open, end=session.close)


class _Bars(building.BarBuilder):
    __slots__ = ()

    @staticmethod
    def wrong(text: str, hint: str) -> DataError:
        return DataError(text, hint=hint)


def base_of(own: Sequence[str], timeframe: str) -> str:
    """The longest of ``own`` timeframes that builds ``timeframe``; "" where none does."""
    return max((name for name in own if builds(name, timeframe)), key=timeframe_ns, default="")


def builds(base: str, timeframe: str) -> bool:
    """Whether bars of ``timeframe`` are made of whole bars of ``base``, in sessions of any length: below a day it has
    to divide it, and longer ones than a day are made of days, or of what days are made of."""
    shorter, longer = timeframe_ns(base), timeframe_ns(timeframe)
    if longer < DAY:
        return shorter < longer and longer % shorter == 0
    return shorter < DAY or (shorter < longer and timeframe_parts(base) == (1, "d"))


def _possible(base: str) -> list[str]:
    """What bars of a box can be built live from bars of ``base``, or from trades, and ``base`` itself."""
    return [name for name in RECORDED if name == base or not base or builds(base, name)]


def _inside(bars: list[Bar], start: int, end: int) -> tuple[Bar, ...]:
    """Those that were asked for; one that began before lacks what was not asked for."""
    found = [bar for bar in bars if start <= bar.start and bar.end <= end]
    return tuple(sorted(found, key=lambda bar: (bar.symbol, bar.end)))


def _length(name: str, timeframe: str) -> int:
    try:
        return timeframe_ns(timeframe)
    except ValueError as error:
        raise UsageError(f"{name}: timeframe {error}", hint=f"such as {', '.join(TIMEFRAMES)}") from None
