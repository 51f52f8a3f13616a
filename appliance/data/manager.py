"""Market data behind one interface: past data from what is kept, cached or told by sources in order, live data too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from appliance.core.breaker import Dice
from appliance.core.ports import Clock
from appliance.data.adjustment import WAYS, adjusted
from appliance.data.aligning import outward
from appliance.data.layout import nearest
from appliance.data.live.spec import LiveSpec
from appliance.data.sources.asked import check_asked
from appliance.data.sources.base import HistorySource, Kind, LiveSource
from appliance.domain.market import SECOND, AlwaysOpen, Bar, CorporateAction, Sessions, Split, timeframe_ns
from appliance.errors import DataError, SourceError, UsageError

if TYPE_CHECKING:
    from appliance.data.cache import DataCache
    from appliance.data.live.feed import Keep, LiveFeed
    from appliance.data.store import HistoryStore

SETTLED = 60 * SECOND
"""How long (ns) after its end a bar is final enough for its time not to be asked for again."""


class DataManager:
    """Sources of past (``sources``) and of ``live`` data in order of preference; ``store`` is what the box keeps
    itself, ``cache`` remembers what sources told. ``rescaled`` names the sources whose bars are adjusted for splits
    because nobody told them any. One thread uses it. ``now`` is UTC (ns).
    """

    def __init__(
        self,
        spec: LiveSpec,
        sources: Sequence[HistorySource],
        live: Sequence[LiveSource],
        sessions_of: Callable[[str], Sessions],
        store: HistoryStore | None = None,
        cache: DataCache | None = None,
        rescaled: Sequence[str] = (),
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self.spec, self.sources, self.live, self.store = spec, tuple(sources), tuple(live), store
        self._sessions_of, self._cache, self._rescaled, self._now = sessions_of, cache, tuple(rescaled), now

    # --- the past -------------------------------------------------------------------------------------------------

    def history(
        self, symbols: Sequence[str], timeframe: str, start: int, end: int, adjusted: str = "raw", source: str = ""
    ) -> Iterator[tuple[Bar, ...]]:
        """Complete bars with ``start <= bar.start`` and ``bar.end <= end`` (ns UTC), symbol after symbol, in order of
        end; a bar that is not there was not traded. ``adjusted`` is one of raw, split and all.

        What the store covers is read there; all else is told by the first source (or the one named ``source``) that
        answers. Raises UsageError for what there is not, DataError for a question without sense, and when no source
        answers, saying why of each.
        """
        if adjusted not in WAYS:
            raise UsageError(f"adjusted {adjusted!r}", hint=f"it must be one of {', '.join(WAYS)}")
        check_asked("the box", symbols, start, end, self._now())
        for symbol in symbols:
            yield self._history(symbol, timeframe, start, end, adjusted, source)

    def fetch(self, symbol: str, timeframe: str, start: int, end: int, source: str = "") -> Iterator[int]:
        """Have the store cover raw bars of ``[start, end)`` (ns UTC) and of the sessions it cuts: only what it lacks is
        asked for, page by page. After each page the number of rows so far that were new. Where one source fails the
        next goes on from there.

        Raises as ``history`` does; what came before is kept.
        """
        store = self._kept()
        now = self._now()
        check_asked("the box", (symbol,), start, end, now)
        length = timeframe_ns(timeframe)
        settled = now - length - max(SETTLED, length // 20)  # what began before it has ended, months too
        start, end = outward(start, end, timeframe, self._sessions_of(symbol))
        rows = 0
        for begin, until in store.lacking(symbol, timeframe, start, min(end, now)):
            for page in self._pages(symbol, timeframe, begin, until, source):
                rows += store.add(page)
                self._cover(symbol, timeframe, begin, min(page[-1].end, settled) if page else begin)
                yield rows
            self._cover(symbol, timeframe, begin, min(until, settled))
            yield rows

    def keeps(self, timeframe: str) -> bool:
        """Whether bars of ``timeframe`` can be kept raw: not where all who have them adjust them for splits that nobody
        else knows. Raises UsageError or DataError where nobody has any."""
        return not self._adjusting(self._able(timeframe, ""))

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        """Splits and dividends with an ex-date in ``[start, end)`` (ns UTC), in order of time, as the first source that
        knows them tells, and what the store has; a market that never closes has none. Raises DataError where no source
        knows any, or none answers."""
        if all(isinstance(self._sessions_of(symbol), AlwaysOpen) for symbol in symbols):
            return ()
        whys = []
        for one in self.sources:
            if not one.traits.actions:
                continue
            try:
                told = self._actions(one, symbols, start, end)
            except DataError as error:
                whys.append(error.text)
                continue
            if self.store is not None:
                self.store.add_actions(told)
            return _in_order((*told, *self._own_actions(symbols, start, end)))
        if not whys and (own := self._own_actions(symbols, start, end)):
            return _in_order(own)
        raise DataError(
            f"nobody knows the splits and dividends of {', '.join(symbols)}: "
            f"{'; '.join(whys) or 'no source tells them'}",
            hint="ask for raw bars, add a source that knows them (kind alpaca), or name what trades day and night in "
            "data.calendars",
        )

    def splits(self, symbol: str) -> tuple[Split, ...]:
        """All splits of a symbol up to now. Raises as ``actions``."""
        return tuple(one for one in self.actions((symbol,), 0, self._now()) if isinstance(one, Split))

    def close(self) -> None:
        """Leave the servers of past data, and the cache; the store stays its owner's."""
        for source in self.sources:
            source.close()
        if self._cache is not None:
            self._cache.close()

    # --- live -----------------------------------------------------------------------------------------------------

    def subscribe(
        self,
        symbols: Sequence[str],
        kinds: Sequence[Kind],
        clock: Clock,
        random: Dice,
        keep: Keep | None = None,
        past: Mapping[tuple[str, str], int] | None = None,
    ) -> LiveFeed:
        """Live data as a feed process's hooks: nothing happens before its first ``poll``. See ``live_feed``."""
        from appliance.data.live.assembly import live_feed

        spec = replace(self.spec, symbols=tuple(symbols), kinds=tuple(kind.value for kind in kinds))
        return live_feed(spec, self.live, self.sources, self._sessions_of, clock, random, keep, past)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _history(self, symbol: str, timeframe: str, start: int, end: int, way: str, source: str) -> tuple[Bar, ...]:
        kept = None if source else self.store
        lacking = kept.lacking(symbol, timeframe, start, end) if kept is not None else ((start, end),)
        able = self._able(timeframe, source) if lacking else []
        if able and way == "split" and self._adjusting(able):
            return self._first(able, symbol, timeframe, start, end)
        actions = self.actions((symbol,), start, self._now()) if way != "raw" else ()
        raw = self._raw(able) if lacking else []
        found = [bar for span in lacking for bar in self._first(raw, symbol, timeframe, *span)]
        if kept is not None and lacking != ((start, end),):
            found += _joined(kept.bars(symbol, timeframe, start, end))
        ordered = {bar.end: bar for bar in sorted(found, key=_end)}
        return adjusted(tuple(ordered.values()), actions, way, self._now())

    def _first(
        self, sources: Sequence[HistorySource], symbol: str, timeframe: str, start: int, end: int
    ) -> tuple[Bar, ...]:
        """The answer of the first source that gives one. Raises DataError with what all of them said."""
        whys = []
        for one in sources:
            try:
                return self._told(one, symbol, timeframe, start, end)
            except DataError as error:
                whys.append(error)
        raise _nobody(whys)

    def _told(self, source: HistorySource, symbol: str, timeframe: str, start: int, end: int) -> tuple[Bar, ...]:
        if self._cache is not None:
            adjusted = "split" if source.name in self._rescaled else "raw"
            return self._cache.history(source, symbol, timeframe, start, end, adjusted)
        return _joined(source.bars((symbol,), timeframe, start, end))

    def _actions(
        self, source: HistorySource, symbols: Sequence[str], start: int, end: int
    ) -> tuple[CorporateAction, ...]:
        if self._cache is not None:
            return self._cache.actions(source, symbols, start, end)
        return source.actions(symbols, start, end)

    def _pages(self, symbol: str, timeframe: str, start: int, end: int, source: str) -> Iterator[tuple[Bar, ...]]:
        """Pages of the first source; where it fails, those of the next from there on."""
        whys = []
        for one in self._raw(self._able(timeframe, source)):
            try:
                for page in one.bars((symbol,), timeframe, start, end):
                    yield page
                    start = page[-1].end if page else start
                return
            except DataError as error:
                whys.append(error)
        raise _nobody(whys)

    def _able(self, timeframe: str, source: str) -> list[HistorySource]:
        """The sources to ask, in order. Raises UsageError or DataError where there is none."""
        names = [one.name for one in self.sources]
        if source and source not in names:
            guess = nearest(source, names)
            raise UsageError(f"no source {source!r}", hint=f"{guess} there is {', '.join(names) or 'none'}".strip())
        named = [one for one in self.sources if source in ("", one.name)]
        able = [one for one in named if timeframe in one.traits.timeframes]
        if not able:
            known = "; ".join(f"{one.name} has {', '.join(one.traits.timeframes)}" for one in named)
            raise DataError(f"no source has bars of {timeframe!r}", hint=known or "name one that does in [[sources]]")
        return able

    def _adjusting(self, able: Sequence[HistorySource]) -> bool:
        return all(one.name in self._rescaled for one in able)

    def _raw(self, able: Sequence[HistorySource]) -> list[HistorySource]:
        """Those that tell raw bars. Raises DataError where there is none."""
        raw = [one for one in able if one.name not in self._rescaled]
        if not raw:
            raise DataError(
                f"{able[0].name} tells bars adjusted for splits, and no source of this box knows the splits",
                hint="bars are kept as they were traded: add a source that knows the splits (kind alpaca)",
            )
        return raw

    def _cover(self, symbol: str, timeframe: str, start: int, end: int) -> None:
        if start < end and self.store is not None:
            self.store.cover(symbol, timeframe, start, end)

    def _own_actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        return self.store.actions(symbols, start, end) if self.store is not None else ()

    def _kept(self) -> HistoryStore:
        if self.store is None:
            raise UsageError("there is no store to fetch into", hint="open one in the state directory: --state DIR")
        return self.store


def _end(bar: Bar) -> int:
    return bar.end


def _joined(pages: Iterable[tuple[Bar, ...]]) -> tuple[Bar, ...]:
    return tuple(bar for page in pages for bar in page)


def _in_order(actions: Iterable[CorporateAction]) -> tuple[CorporateAction, ...]:
    """Each once, by time, then symbol; the first telling of a kind, symbol and time counts."""
    once: dict[tuple[int, str, str], CorporateAction] = {}
    for one in actions:
        once.setdefault((one.time, one.symbol, type(one).__name__), one)
    return tuple(once[key] for key in sorted(once))


def _nobody(whys: Sequence[DataError]) -> DataError:
    """The last error, with what all of them said: its kind decides whether to ask again."""
    last = whys[-1]
    if len(whys) == 1:
        return last
    text = "; ".join(error.text for error in whys)
    if isinstance(last, SourceError):
        return type(last)(text, wait=last.wait, hint=last.hint)
    return DataError(text, hint=last.hint)
