"""Recorded market data in CSV files, plain or gzipped, as one stream of events in the order they became known."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace

from msgspec import Struct

from appliance.data.actions import Actions
from appliance.data.factors import actions_of, adjust, load_factors
from appliance.data.layout import BARS, nearest
from appliance.data.load import Loaded, load, timeframe_of
from appliance.data.options import FileOptions
from appliance.data.rules import KEPT, SHOWN, Findings, Verdict
from appliance.data.tracks import GAPS_SHOWN, Gap, Track, opens_of
from appliance.domain.market import CorporateAction, MarketEvent
from appliance.domain.messages import Offer
from appliance.errors import DataError, UsageError


class FileFacts(Struct, frozen=True):
    """What one file holds. ``silent`` rows are good but give no event: one side of the quote was unknown or stale."""

    name: str
    kind: str
    timeframe: str
    symbols: tuple[str, ...]
    rows: int
    events: int
    suspicious: int
    silent: int
    bad: int


class FileReport(Struct, frozen=True):
    """What all files hold together: counts, bad rows that were left out, gaps against the sessions.

    ``first`` and ``last`` are when the first and last event are known (ns UTC); ``unadjusted`` are symbols the factors
    file does not have.
    """

    files: tuple[FileFacts, ...]
    symbols: tuple[str, ...]
    events: int
    outside: int
    first: int
    last: int
    bad: int
    quarantined: tuple[Verdict, ...]
    missing: int
    gaps: tuple[Gap, ...]
    unadjusted: tuple[str, ...]


class FileSource:
    """Files as a source: events by known_at, then symbol, then kind (quotes before trades, opens last), then order of
    files.

    With raw prices and a file of factors, splits and dividends come before all else of their time."""

    def __init__(self, paths: Sequence[str], options: FileOptions) -> None:
        """Read and check all files. Raises DataError, or UsageError for options that make no sense."""
        if not paths:
            raise UsageError("no data file", hint="name at least one")
        if len({os.path.realpath(path) for path in paths}) < len(paths):
            raise UsageError("a data file is named twice", hint="its events would all come double: name it once")
        options = options.checked()
        findings = Findings(SHOWN if options.bad_rows == "refuse" else KEPT)
        files = [load(path, options.symbols, findings) for path in paths]
        if options.bad_rows == "refuse":
            findings.refuse()
        _known_symbols(files, options.symbols)
        counts: list[FileFacts] = []
        tracks: list[Track] = []
        for file in files:
            mine = _tracks(file, options)
            counts.append(_facts(file, mine))
            _alone(file.name, mine, tracks)
            tracks += mine
        unadjusted, actions = _adjust(tracks, options)
        if options.opens:
            tracks += [opens_of(track) for track in tracks if track.kind is BARS and len(track)]
        ordered = sorted(tracks, key=lambda track: (track.symbol, track.kind.rank))  # stable: then order of files
        self._tracks: list[Track | Actions] = [*actions, *ordered]
        self._total = sum(map(len, self._tracks))
        if not any(map(len, ordered)):
            raise _nothing_left(files, tracks, options)
        self.report = _report(ordered, tuple(counts), findings, options, unadjusted)
        self._heap: list[tuple[int, int]] = []
        self._rows: list[int] = []
        self._position = 0
        self.seek(0)

    @property
    def position(self) -> int:
        """Events consumed since the beginning."""
        return self._position

    def seek(self, position: int) -> None:
        """Go on after ``position`` events. Raises DataError when the files do not hold that many."""
        if not 0 <= position <= self._total:
            raise DataError(
                f"position {position} is not in the data, which has {self._total} events",
                hint="the files have changed since: bring them back, or use another state directory",
            )
        time = self._time_of(position)
        self._rows = [bisect_left(track.known, time) for track in self._tracks]
        self._position = sum(self._rows)
        self._heap = [
            (track.known[row], index)
            for index, (track, row) in enumerate(zip(self._tracks, self._rows, strict=True))
            if row < len(track)
        ]
        heapify(self._heap)
        while self._position < position:
            self._next()

    def batch(self, limit: int) -> Offer:
        """The next ``limit`` events, and what else became known at the time of the last of them."""
        events: list[MarketEvent | CorporateAction] = []
        time = 0
        while self._heap and (len(events) < limit or self._heap[0][0] == time):
            time = self._heap[0][0]
            events.append(self._next())
        return Offer(self._position, tuple(events), self._outside(time), not self._heap)

    def step(self) -> Offer:
        """The events of the next timestamp alone."""
        return self.batch(1)

    def bars(self) -> tuple[Track, ...]:
        """The tracks of quote bars and trade bars, by symbol, then kind, then in the order of the files."""
        return tuple(track for track in self._tracks if isinstance(track, Track) and track.kind.is_bar and len(track))

    def actions(self) -> tuple[CorporateAction, ...]:
        """The splits and dividends it offers, by symbol and time."""
        return tuple(one for track in self._tracks if isinstance(track, Actions) for one in track.all)

    def _next(self) -> MarketEvent | CorporateAction:
        index = self._heap[0][1]
        track, row = self._tracks[index], self._rows[index]
        self._rows[index] = row + 1
        self._position += 1
        if row + 1 < len(track):
            heapreplace(self._heap, (track.known[row + 1], index))
        else:
            heappop(self._heap)
        return track.event(row)

    def _time_of(self, position: int) -> int:
        """The latest time with at most ``position`` events before it: found by halving, since times are sorted."""
        low, high = 0, 2**63 - 1
        while low < high:
            middle = (low + high + 1) // 2
            if sum(bisect_left(track.known, middle) for track in self._tracks) <= position:
                low = middle
            else:
                high = middle - 1
        return low

    def _outside(self, time: int) -> int:
        """Rows outside the sessions up to ``time``; all of them once nothing follows."""
        if not self._heap:
            return sum(len(track.outside) for track in self._tracks)
        return sum(bisect_right(track.outside, time) for track in self._tracks)


def _alone(name: str, mine: Sequence[Track], others: Sequence[Track]) -> None:
    """Two files may share a symbol, but not a bar of it. Raises DataError."""
    for track in mine:
        same = [one for one in others if (one.symbol, one.kind, one.timeframe) == _key(track)]
        if track.kind.is_bar and (twice := [min(common) for one in same if (common := _common(track, one))]):
            raise DataError(
                f"{name}: the bar of {track.symbol} that ends at {min(twice)} is in another file too",
                hint="its events would come double: leave the rows out of one of them, or name one file alone",
            )


def _key(track: Track) -> tuple[object, ...]:
    return track.symbol, track.kind, track.timeframe


def _common(one: Track, other: Track) -> set[int]:
    """The times (ns UTC) both have."""
    if not (len(one) and len(other)) or one.known[0] > other.known[-1] or other.known[0] > one.known[-1]:
        return set()
    return set(one.known).intersection(other.known)


def _tracks(file: Loaded, options: FileOptions) -> list[Track]:
    kind, width = file.layout.kind, len(file.layout.columns)
    if not any(len(series.stamps) for series in file.series.values()):
        return []
    timeframe = timeframe_of(file, options.timeframe)
    return [Track(series, kind, width, timeframe, options) for series in file.series.values() if len(series.stamps)]


def _facts(file: Loaded, tracks: list[Track]) -> FileFacts:
    timeframe = tracks[0].timeframe if tracks else ""
    events = sum(map(len, tracks))
    return FileFacts(
        file.name,
        file.layout.kind.name,
        timeframe,
        file.symbols,
        file.rows,
        events,
        file.suspicious,
        file.silent,
        file.bad,
    )


def _adjust(tracks: list[Track], options: FileOptions) -> tuple[tuple[str, ...], list[Actions]]:
    """Adjust what the factors file covers, or have what it tells of happen to raw prices; the symbols it does not
    cover, and what happens. Raises DataError when it covers none."""
    path = options.factors
    if not path:
        return (), []
    factors = load_factors(path)
    symbols = sorted({track.symbol for track in tracks})
    unadjusted = tuple(symbol for symbol in symbols if symbol not in factors)
    if symbols and len(unadjusted) == len(symbols):
        raise DataError(f"{path}: no factors for {', '.join(symbols)}", hint=f"it has {_names(sorted(factors))}")
    if options.prices == "raw":
        return unadjusted, [
            Actions(
                symbol, actions_of(symbol, factors[symbol], options.sessions), [t for t in tracks if t.symbol == symbol]
            )
            for symbol in symbols
            if symbol in factors
        ]
    for track in tracks:
        adjust(track, factors.get(track.symbol, []))
    return unadjusted, []


def _known_symbols(files: list[Loaded], wanted: Sequence[str]) -> None:
    """Raise DataError for a wanted symbol that no file has."""
    known = sorted({symbol for file in files for symbol in file.symbols})
    absent = [symbol for symbol in wanted if symbol not in known]
    if absent:
        hint = f"{nearest(absent[0], known)} there are {_names(known)}".strip()
        raise DataError(f"{', '.join(file.name for file in files)}: no symbol {', '.join(absent)}", hint=hint)


def _nothing_left(files: list[Loaded], tracks: list[Track], options: FileOptions) -> DataError:
    names = ", ".join(file.name for file in files)
    known = sorted({symbol for file in files for symbol in file.symbols})
    outside = sum(len(track.outside) for track in tracks)
    reasons = [f"{outside} outside the sessions"] if outside else []
    reasons += [f"{bad} bad"] if (bad := sum(file.bad for file in files)) else []
    reasons += [f"dates {options.start or '..'} to {options.end or '..'}"] if options.start or options.end else []
    return DataError(
        f"{names}: no rows are left ({'; '.join(reasons) or 'none gives an event'}); symbols: {_names(known)}",
        hint="look at symbols, start, end, bar-stamp and session; session all keeps every hour",
    )


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(names[:20]) + more


def _report(
    tracks: list[Track],
    facts: tuple[FileFacts, ...],
    findings: Findings,
    options: FileOptions,
    unadjusted: tuple[str, ...],
) -> FileReport:
    full = [track for track in tracks if len(track)]
    missing, gaps = 0, []
    for track in full:
        count, found = track.gaps(options)
        missing += count
        gaps += found
    return FileReport(
        files=facts,
        symbols=tuple(dict.fromkeys(track.symbol for track in full)),
        events=sum(map(len, full)),
        outside=sum(len(track.outside) for track in tracks),
        first=min(track.known[0] for track in full),
        last=max(track.known[-1] for track in full),
        bad=findings.count,
        quarantined=tuple(findings.verdicts),
        missing=missing,
        gaps=tuple(gaps[:GAPS_SHOWN]),
        unadjusted=unadjusted,
    )
