"""Recorded market data in CSV files, plain or gzipped, as one stream of events in the order they became known."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from appliance.data.actions import Actions
from appliance.data.factors import Adjuster, Factors, actions_of, load_factors
from appliance.data.layout import BARS, nearest
from appliance.data.load import Loaded, Told, load, timeframe_of, untold
from appliance.data.merging import Merge
from appliance.data.options import FileOptions
from appliance.data.placing import Placing
from appliance.data.rows import BUDGET, Scratch
from appliance.data.rules import KEPT, SHOWN, Findings, Verdict
from appliance.data.tracks import BLOCK, GAPS_SHOWN, Gap, Opens, Track
from appliance.domain.market import CorporateAction
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

    def __init__(self, paths: Sequence[str], options: FileOptions, budget: int = BUDGET, told: Told = untold) -> None:
        """Read and check all files; ``told`` hears of each part of them (bytes). At most ``budget`` bytes of their rows
        are kept in memory. Raises DataError, UsageError for options that make no sense, EnvironmentFault when there is
        no room for the rows."""
        if not paths:
            raise UsageError("no data file", hint="name at least one")
        if len({os.path.realpath(path) for path in paths}) < len(paths):
            raise UsageError("a data file is named twice", hint="its events would all come double: name it once")
        options = options.checked()
        findings = Findings(SHOWN if options.bad_rows == "refuse" else KEPT)
        scratch = Scratch(budget)
        files = [load(path, options.symbols, findings, scratch, told) for path in paths]
        if options.bad_rows == "refuse":
            findings.refuse()
        _known_symbols(files, options.symbols)
        factors, unadjusted = _factors(files, options)
        placing = Placing(options)
        counts: list[FileFacts] = []
        tracks: list[Track] = []
        for file in files:
            mine = _tracks(file, placing, {} if options.prices == "raw" else factors)
            counts.append(_facts(file, mine))
            _alone(file.name, mine, tracks)
            tracks += mine
        actions = _actions(tracks, factors, options) if options.prices == "raw" else []
        if options.opens:
            tracks += [Opens(track) for track in tracks if track.kind is BARS and len(track)]
        ordered = sorted(tracks, key=lambda track: (track.symbol, track.kind.rank))  # stable: then order of files
        self._tracks: list[Track | Actions] = [*actions, *ordered]
        if not any(map(len, ordered)):
            raise _nothing_left(files, tracks, options)
        self.report = _report(ordered, tuple(counts), findings, unadjusted)
        self._merge = Merge(self._tracks)

    @property
    def position(self) -> int:
        """Events consumed since the beginning."""
        return self._merge.position

    def seek(self, position: int) -> None:
        """Go on after ``position`` events. Raises DataError when the files do not hold that many."""
        total = self._merge.total
        if not 0 <= position <= total:
            raise DataError(
                f"position {position} is not in the data, which has {total} events",
                hint="the files have changed since: bring them back, or use another state directory",
            )
        self._merge.seek(position)

    def batch(self, limit: int) -> Offer:
        """The next ``limit`` events, and what else became known at the time of the last of them."""
        events, time = self._merge.take(limit)
        done = self._merge.position == self._merge.total
        return Offer(self._merge.position, tuple(events), self._outside(time, done), done)

    def step(self) -> Offer:
        """The events of the next timestamp alone."""
        return self.batch(1)

    def bars(self) -> tuple[Track, ...]:
        """The tracks of quote bars and trade bars, by symbol, then kind, then in the order of the files."""
        return tuple(track for track in self._tracks if isinstance(track, Track) and track.kind.is_bar and len(track))

    def actions(self) -> tuple[CorporateAction, ...]:
        """The splits and dividends it offers, by symbol and time."""
        return tuple(one for track in self._tracks if isinstance(track, Actions) for one in track.all)

    def _outside(self, time: int, done: bool) -> int:
        """Rows outside the sessions up to ``time``; all of them once nothing follows."""
        return sum(track.outside if done else track.outside_through(time) for track in self._tracks)


def _alone(name: str, mine: Sequence[Track], others: Sequence[Track]) -> None:
    """Two files may share a symbol, but not a bar of it. Raises DataError."""
    for track in mine:
        same = [one for one in others if (one.symbol, one.kind, one.timeframe) == _key(track)]
        if track.kind.is_bar and (twice := [time for one in same if (time := _common(track, one))]):
            raise DataError(
                f"{name}: the bar of {track.symbol} that ends at {min(twice)} is in another file too",
                hint="its events would come double: leave the rows out of one of them, or name one file alone",
            )


def _key(track: Track) -> tuple[object, ...]:
    return track.symbol, track.kind, track.timeframe


def _common(one: Track, other: Track) -> int:
    """The first time (ns UTC) both have, 0 without one; looked for in blocks, as long as the files may be."""
    if not (len(one) and len(other)):
        return 0
    begin, end = one.before(other.first), one.through(other.last)
    for row in range(begin, end, BLOCK):
        times = one.known(row, min(row + BLOCK, end))
        first, after = other.before(int(times[0])), other.through(int(times[-1]))
        if first < after and len(common := np.intersect1d(times, other.known(first, after), assume_unique=True)):
            return int(common[0])
    return 0


def _tracks(file: Loaded, placing: Placing, factors: Factors) -> list[Track]:
    kind = file.layout.kind
    full = [series for series in file.series.values() if series.rows.count]
    if not full:
        return []
    timeframe = timeframe_of(file, placing.options.timeframe)
    adjusters = {series.symbol: Adjuster(factors[series.symbol], kind) for series in full if series.symbol in factors}
    return [Track(series, kind, timeframe, placing, adjusters.get(series.symbol)) for series in full]


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


def _factors(files: list[Loaded], options: FileOptions) -> tuple[Factors, tuple[str, ...]]:
    """The factors of the file of them, if there is one, and the symbols it does not cover. Raises DataError when it
    covers none."""
    path = options.factors
    if not path:
        return {}, ()
    factors = load_factors(path)
    symbols = sorted({series.symbol for file in files for series in file.series.values() if series.rows.count})
    unadjusted = tuple(symbol for symbol in symbols if symbol not in factors)
    if symbols and len(unadjusted) == len(symbols):
        raise DataError(f"{path}: no factors for {', '.join(symbols)}", hint=f"it has {_names(sorted(factors))}")
    return factors, unadjusted


def _actions(tracks: list[Track], factors: Factors, options: FileOptions) -> list[Actions]:
    """What the factors file tells of happens to raw prices."""
    symbols = sorted({track.symbol for track in tracks if track.symbol in factors})
    return [
        Actions(
            symbol, actions_of(symbol, factors[symbol], options.sessions), [t for t in tracks if t.symbol == symbol]
        )
        for symbol in symbols
    ]


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
    outside = sum(track.outside for track in tracks)
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
    tracks: list[Track], facts: tuple[FileFacts, ...], findings: Findings, unadjusted: tuple[str, ...]
) -> FileReport:
    full = [track for track in tracks if len(track)]
    gaps = [gap for track in full for gap in track.gaps]
    return FileReport(
        files=facts,
        symbols=tuple(dict.fromkeys(track.symbol for track in full)),
        events=sum(map(len, full)),
        outside=sum(track.outside for track in tracks),
        first=min(track.first for track in full),
        last=max(track.last for track in full),
        bad=findings.count,
        quarantined=tuple(findings.verdicts),
        missing=sum(track.missing for track in full),
        gaps=tuple(gaps[:GAPS_SHOWN]),
        unadjusted=unadjusted,
    )
