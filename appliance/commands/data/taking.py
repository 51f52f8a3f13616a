"""Bars from files into the history store: read to the end first, judged one by one, kept a page at a time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from appliance.data.lacking import ISLAND
from appliance.data.layout import BARS, nearest
from appliance.data.load import text_rows
from appliance.data.options import FileOptions
from appliance.data.validation.gaps import missing
from appliance.data.validation.reading import EVERY, Recorded, events, recorded
from appliance.data.validation.rules import SEVERITY, broken_bar
from appliance.data.validation.validator import DataValidator
from appliance.data.validation.verdicts import Finding
from appliance.domain.market import AlwaysOpen, Bar, CorporateAction, Sessions, Split, timeframe_ns
from appliance.errors import DataError

PAGE = 10_000
"""Bars that are kept at once."""
TOLD = 10
"""Findings of a file that a person is shown."""
SOURCE = "import"
"""Who told a bar whose file does not say it."""
FOREVER = 2**63 - 1
Read = Callable[[int], None]
"""Hears how many more rows have been read."""


class Kept(Protocol):
    """What is asked of the store."""

    def add(self, bars: Iterable[Bar]) -> int: ...

    def cover(self, symbol: str, timeframe: str, start: int, end: int) -> None: ...

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]: ...


class Survey(Struct, frozen=True):
    """A file that was read to its end: how many rows, of which symbols; ``fault`` is where it is damaged."""

    file: Recorded
    rows: int
    symbols: tuple[str, ...]
    fault: DataError | None = None


class Choice(Struct, frozen=True):
    """What is taken of files, and how: ``source`` is who told the bars ("": as the file says), ``doubtful`` also takes
    what the validator sets aside but could be, ``now`` is when (ns UTC)."""

    options: FileOptions
    source: str = ""
    doubtful: bool = False
    now: int = 0


class Taken(Struct):
    """What became of a file's rows: ``stored`` are new or changed in the store, ``known`` were in it; ``aside`` counts
    what was left out by rule, the first of them in ``findings``."""

    file: str
    timeframe: str
    rows: int
    stored: int = 0
    known: int = 0
    aside: dict[str, int] = {}
    findings: list[Finding] = []
    fault: str = ""

    @property
    def left_out(self) -> int:
        """Rows that were not taken."""
        return sum(self.aside.values())

    @property
    def nothing(self) -> bool:
        """Whether it has rows, and none of them is of the days and symbols that were asked for."""
        return self.rows > 0 and not (self.stored or self.known or self.aside)


def survey(path: str, timeframe: str, read: Read) -> Survey:
    """Read a file to its end. Raises DataError where there is no such file, or it holds no bars."""
    file = recorded(path, timeframe)
    if file.kind is not BARS:
        raise DataError(f"{path}: {file.kind.name}, and the history store takes bars", hint=_BARS)
    name, rows, symbols = file.header.index("symbol"), 0, set[str]()
    fault = None
    try:
        with text_rows(path) as lines:
            next(lines)
            for row in lines:
                if not row:
                    continue
                rows += 1
                if len(row) == len(file.header):
                    symbols.add(row[name])
                if rows % EVERY == 0:
                    read(EVERY)
    except DataError as error:
        fault = error
    return Survey(file, rows, tuple(sorted(symbols - {""})), fault)


def check_symbols(files: Sequence[Survey], wanted: Sequence[str]) -> None:
    """Raise DataError for a wanted symbol that no file has."""
    known = sorted({symbol for file in files for symbol in file.symbols})
    absent = [symbol for symbol in wanted if symbol not in known]
    if absent:
        where = ", ".join(Path(file.file.path).name for file in files)
        hint = f"{nearest(absent[0], known)} there are {', '.join(known[:20]) or 'none'}"
        raise DataError(f"{where}: no symbol {', '.join(absent)}", hint=hint.strip())


class Taking:
    """Takes files into ``store``; ``sessions_of`` a symbol says which bars are due, and ``actions`` are known beside
    those of the store. ``taken`` tells what became of each file, also of one in which it was stopped."""

    def __init__(
        self,
        store: Kept,
        sessions_of: Callable[[str], Sessions],
        choice: Choice,
        actions: Sequence[CorporateAction] = (),
    ) -> None:
        self._store, self._sessions_of, self._choice, self._actions = store, sessions_of, choice, actions
        self.taken: list[Taken] = []

    def take(self, file: Survey, read: Read) -> Taken:
        """Keep the good bars of a file; of a damaged one those before the damage."""
        taken = self._begun(file)
        self.taken.append(taken)
        covering = Covering(self._store, self._sessions_of)
        good = self._good(file, taken, read)
        try:
            while page := list(islice(good, PAGE)):
                changed = self._store.add(page)
                taken.stored += changed
                taken.known += len(page) - changed
                covering.add(page)
        finally:
            covering.end()
        return taken

    def good_rows(self, file: Survey) -> int:
        """How many bars of a damaged file are good; nothing is kept."""
        return sum(1 for _ in self._good(file, self._begun(file), lambda rows: None))

    def _begun(self, file: Survey) -> Taken:
        fault = file.fault.text if file.fault is not None else ""
        return Taken(file.file.path, file.file.timeframe, file.rows, aside={}, findings=[], fault=fault)

    def _good(self, file: Survey, taken: Taken, read: Read) -> Iterator[Bar]:
        judge = DataValidator(self._sessions_of, splits=self._splits(file.symbols))
        now = self._choice.now or time.time_ns()
        try:
            for event in self._events(file, read):
                bar = self._judged(event, judge, now, taken)
                if bar is not None:
                    yield bar if not self._choice.source else replace(bar, source=self._choice.source)
        except DataError:
            if file.fault is None:
                raise

    def _events(self, file: Survey, read: Read) -> Iterator[Bar | Finding]:
        options = self._choice.options
        wanted = tuple(symbol for symbol in options.symbols if symbol in file.symbols)
        if options.symbols and not wanted:
            return
        named = [self._sessions_of(symbol) for symbol in wanted or file.symbols]
        day_and_night = bool(named) and all(isinstance(one, AlwaysOpen) for one in named)
        sessions = named[0] if day_and_night else options.sessions
        for event in events(file.file, replace(options, symbols=wanted, sessions=sessions), read):
            if isinstance(event, Bar):
                yield event if event.source else replace(event, source=SOURCE)
            elif isinstance(event, Finding):
                yield event

    def _judged(self, event: Bar | Finding, judge: DataValidator, now: int, taken: Taken) -> Bar | None:
        """The bar to keep; None where it is left out, which is counted."""
        if isinstance(event, Finding):
            _set_aside(event, taken)
            return None
        verdict = judge.check(event, now)
        if isinstance(verdict.event, Bar):
            return verdict.event
        if self._choice.doubtful and possible(event, now):
            return event
        _set_aside(max(verdict.findings, key=lambda found: SEVERITY[found.outcome]), taken)
        return None

    def _splits(self, symbols: Sequence[str]) -> dict[str, list[Split]]:
        splits: dict[str, list[Split]] = {}
        for action in (*self._actions, *self._store.actions(symbols, 0, FOREVER)):
            if isinstance(action, Split) and action not in splits.get(action.symbol, ()):
                splits.setdefault(action.symbol, []).append(action)
        return splits


def _set_aside(found: Finding, taken: Taken) -> None:
    taken.aside[found.rule] = taken.aside.get(found.rule, 0) + 1
    if len(taken.findings) < TOLD:
        taken.findings.append(found)


def possible(bar: Bar, now: int) -> bool:
    """Whether a bar could be, however doubtful: its prices are prices, and it has ended."""
    return bar.start < bar.end <= now and broken_bar(bar) is None


class Covering:
    """Tells the store which stretches the bars of files leave no hole in: nobody need be asked for those. Of a few bars
    between two holes it does not tell: one question for all of it is better than one for each hole."""

    def __init__(self, store: Kept, sessions_of: Callable[[str], Sessions]) -> None:
        self._store, self._sessions_of = store, sessions_of
        self._open: dict[tuple[str, str], tuple[int, int]] = {}

    def add(self, bars: Iterable[Bar]) -> None:
        """These are in the store."""
        for bar in bars:
            key = bar.symbol, bar.timeframe
            start, end = self._open.get(key, (bar.start, bar.start))
            if bar.start != end and (bar.start < end or self._hole(bar, end)):
                if end - start > ISLAND * timeframe_ns(bar.timeframe):
                    self._cover(key, start, end)
                start = bar.start
            self._open[key] = start, bar.end

    def end(self) -> None:
        """Nothing follows."""
        for key, (start, end) in self._open.items():
            self._cover(key, start, end)
        self._open.clear()

    def _hole(self, bar: Bar, end: int) -> bool:
        return missing(self._sessions_of(bar.symbol), bar.timeframe, end, bar.start, bar.end) > 0

    def _cover(self, key: tuple[str, str], start: int, end: int) -> None:
        if start < end:
            self._store.cover(*key, start, end)


def total(taken: Iterable[Taken]) -> Counter[str]:
    """What was left out of all files, by rule."""
    counted: Counter[str] = Counter()
    for one in taken:
        counted.update(one.aside)
    return counted


_BARS = "give trade bars: ts,symbol,open,high,low,close,volume"
