"""What the market did before: the bars a strategy warms up with. Nothing here tells what ended after ``until``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import merge
from typing import Protocol

from msgspec.structs import replace

from appliance.data.layout import BARS
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.data.tracks import Track
from appliance.domain.market import Bar, CorporateAction, QuoteBar, Sessions, known_at, middle, timeframe_ns
from appliance.errors import DataError


class History(Protocol):
    """Past bars of some symbols. Deterministic: the same question always has the same answer."""

    def bars(self, symbol: str, timeframe: str, until: int, count: int) -> tuple[Bar, ...]:
        """The last ``count`` bars that ended at or before ``until`` (ns UTC), oldest first; fewer where there are not
        that many. ``timeframe`` "" means the shortest there is. Raises DataError for what it cannot give at all."""


class Builder(Protocol):
    """What makes longer bars (see ``appliance.strategy.bars.BarBuilder``)."""

    def add(self, bar: Bar) -> tuple[Bar, ...]:
        """Take the next smaller bar; the bars that are complete now."""


MakeBuilder = Callable[[str, str, Sessions | None], Builder]
"""Makes a builder from symbol, timeframe and sessions (None: always open)."""


class FileHistory:
    """History from files: what ``FileSource`` would have delivered, and longer bars built from its shortest. Where a
    symbol has no trade bars they are the middle of its quote bars.

    The files are read when the first bar is asked for, and only the symbols of ``options``; its ``start`` is ignored,
    since what lies before is the history.
    """

    def __init__(self, paths: Sequence[str], options: FileOptions, builder: MakeBuilder) -> None:
        self._paths, self._options = tuple(paths), replace(options, start="")
        self._builder = builder
        self._source: FileSource | None = None
        self._tracks: tuple[Track, ...] | None = None

    def bars(self, symbol: str, timeframe: str, until: int, count: int) -> tuple[Bar, ...]:
        """See ``History``. Raises DataError for a symbol that the files do not have, and for shorter bars than theirs;
        what is wrong with the files themselves as ``FileSource`` does."""
        if count < 1:
            return ()
        tracks = self._of(symbol)
        shortest = min((track.timeframe for track in tracks), key=timeframe_ns)
        asked = _length(symbol, timeframe or shortest)
        same = [track for track in tracks if timeframe_ns(track.timeframe) == asked]
        if same:
            return _last(same, until, count)
        if asked < timeframe_ns(shortest):
            raise DataError(
                f"{symbol}: no {timeframe} bars, the shortest are {shortest}", hint=f"ask for {shortest} bars or longer"
            )
        base = [track for track in tracks if track.timeframe == shortest]
        return self._built(symbol, timeframe, base, until, count)

    def actions(self) -> tuple[CorporateAction, ...]:
        """The splits and dividends of raw prices; none where the prices are adjusted."""
        return self._read().actions()

    def _read(self) -> FileSource:
        if self._source is None:
            self._source = FileSource(self._paths, self._options)
        return self._source

    def _of(self, symbol: str) -> list[Track]:
        if self._tracks is None:
            self._tracks = self._read().bars()
        mine = [track for track in self._tracks if track.symbol == symbol]
        found = [track for track in mine if track.kind is BARS] or mine
        if not found:
            known = ", ".join(dict.fromkeys(track.symbol for track in self._tracks)) or "none"
            raise DataError(f"no bars of {symbol!r} in {', '.join(self._paths)}", hint=f"there are bars of {known}")
        return found

    def _built(self, symbol: str, timeframe: str, base: list[Track], until: int, count: int) -> tuple[Bar, ...]:
        """Longer bars from the last smaller ones. The first of them may be cut off at its beginning, so it only counts
        where the files begin; with too few left, more are read."""
        ratio = timeframe_ns(timeframe) // timeframe_ns(base[0].timeframe)
        wanted = (count + 1) * max(ratio, 1)
        while True:
            smaller = _last(base, until, wanted)
            builder = self._builder(symbol, timeframe, self._sessions())
            made = [done for one in smaller for done in builder.add(one)]
            if len(smaller) < wanted:
                return tuple(made[-count:])
            if len(made) > count:
                return tuple(made[1:][-count:])
            wanted *= 2

    def _sessions(self) -> Sessions | None:
        return self._options.sessions if self._options.session == "regular" else None


def _length(symbol: str, timeframe: str) -> int:
    try:
        return timeframe_ns(timeframe)
    except ValueError as error:
        raise DataError(f"bars of {symbol}: {error}", hint="for instance 5m, 1h or 1d") from None


def _last(tracks: Sequence[Track], until: int, count: int) -> tuple[Bar, ...]:
    """The last ``count`` bars of one symbol that were known by ``until``; of several files in the order of a source."""
    parts: list[list[Bar]] = []
    for track in tracks:
        end = track.through(until)
        events = track.events(max(0, end - count), end)
        parts.append([middle(event) if isinstance(event, QuoteBar) else event for event in events])  # type: ignore[misc]
    found = parts[0] if len(parts) == 1 else list(merge(*parts, key=known_at))
    return tuple(found[-count:])
