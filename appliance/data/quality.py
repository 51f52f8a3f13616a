"""How good market data are: for each symbol and day what should be there, what is, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from msgspec import Struct

from appliance.data.options import midnight, new_york_date
from appliance.data.validation.gaps import day_of
from appliance.data.validation.validator import DataValidator
from appliance.data.validation.verdicts import Finding, Judged, Outcome
from appliance.domain.market import DAY, MINUTE, Bar, Heard, Session, Sessions, known_at, timeframe_ns

KEPT = 1000
"""Findings of one rule and symbol that a report keeps; beyond that they are only counted."""
EPOCH = date(1970, 1, 1).toordinal()


class Day(Struct, frozen=True):
    """One symbol on one day of its exchange. ``timeframe`` is empty for quotes and trades.

    ``expected`` bars of the sessions, 0 where nobody knows: for ticks, bars below a minute (seconds without trades are
    not told) and without a table of sessions. ``received`` is all that came, ``outside`` what of it lies outside the
    session, ``missing`` what of the expected did not come. ``found`` counts all findings by rule; ``duplicates`` and
    ``revisions`` are in neither ``quarantined`` nor ``flagged``. ``largest_jump`` is the largest move of a close
    against the one before, as a part of it, splits and all; ``first`` and ``last`` are when the first and last event
    were known (ns UTC).
    """

    symbol: str
    timeframe: str
    date: str
    expected: int
    received: int
    outside: int
    missing: int
    duplicates: int
    revisions: int
    repaired: int
    quarantined: int
    flagged: int
    found: dict[str, int]
    largest_jump: float
    first: int
    last: int

    @property
    def score(self) -> float:
        """0 to 100: the share of what should be there, or came, that is there and believed. Flagged and repaired events
        are believed, and a duplicate takes nothing away."""
        return score((self,))


class QualityReport(Struct, frozen=True):
    """All days, by symbol, timeframe and date, days without any bar among them; the first findings of each rule and
    symbol, in the order they were made."""

    days: tuple[Day, ...]
    findings: tuple[Finding, ...]
    counts: dict[str, int]

    @property
    def quarantined(self) -> int:
        """Events and rows that were set aside, duplicates not among them."""
        return sum(day.quarantined for day in self.days) + self.counts.get("unreadable", 0)


def score(days: Iterable[Day]) -> float:
    """The score of several days together (see ``Day.score``); 100 where nothing was expected and nothing came."""
    due = good = 0
    for day in days:
        came = day.received - day.duplicates - day.revisions
        due += max(day.expected + day.outside, came)
        good += max(0, came - day.quarantined)
    return 100.0 * good / due if due else 100.0


class _Count:
    """One symbol on one day, while it is counted."""

    __slots__ = ("duplicates", "first", "found", "jump", "last", "outcomes", "outside", "received", "revisions", "span")

    def __init__(self, span: tuple[int, int]) -> None:
        self.span = span
        self.received = self.outside = self.duplicates = self.revisions = 0
        self.first = self.last = 0
        self.jump = 0.0
        self.outcomes: Counter[Outcome] = Counter()
        self.found: Counter[str] = Counter()


_Key = tuple[str, str]


class Quality:
    """Counts judged events, and reports. Pure; takes a few counters a symbol and day."""

    def __init__(self, sessions_of: Callable[[str], Sessions]) -> None:
        self._sessions_of = sessions_of
        self._days: dict[_Key, dict[str, _Count]] = {}
        self._open: dict[_Key, tuple[int, int, _Count]] = {}
        self._closes: dict[_Key, float] = {}
        self._findings: list[Finding] = []
        self._kept: Counter[tuple[str, str]] = Counter()
        self._counts: Counter[str] = Counter()

    def add(self, event: Heard, verdict: Judged) -> None:
        """Count one event and what was found in it."""
        time = known_at(event) if isinstance(event, Bar) else event.time
        timeframe = event.timeframe if isinstance(event, Bar) else ""
        key = event.symbol, timeframe
        inside = time - 1 if timeframe else time  # a bar that ends at the close is in the session
        begin, end, count = self._open.get(key) or (0, 0, _NOTHING)
        if not begin <= inside < end:
            begin, end, count = self._open[key] = self._day(key, time)
        count.received += 1
        count.first, count.last = min(count.first or time, time), max(count.last, time)
        if not count.span[0] <= inside < count.span[1]:
            count.outside += timeframe != "1d"
        if isinstance(event, Bar) and verdict.event is not None:
            last, self._closes[key] = self._closes.get(key), event.close
            count.jump = max(count.jump, abs(event.close / last - 1)) if last else count.jump
        if verdict.findings:
            self._note(count, verdict)

    def broken(self, found: Finding) -> None:
        """Count what is no event at all, such as a row that cannot be read."""
        self._keep(found)

    def report(self) -> QualityReport:
        """What has been counted so far."""
        days = [day for key in sorted(self._days) for day in self._reported(key)]
        return QualityReport(tuple(days), tuple(self._findings), dict(sorted(self._counts.items())))

    def _note(self, count: _Count, verdict: Judged) -> None:
        names = {found.rule for found in verdict.findings}
        if "duplicate" in names:
            count.duplicates += 1
        elif "revision" in names:
            count.revisions += 1
        else:
            count.outcomes[verdict.outcome] += 1
        for found in verdict.findings:
            count.found[found.rule] += 1
            self._keep(found)

    def _keep(self, found: Finding) -> None:
        self._counts[found.rule] += 1
        kept = found.symbol, found.rule
        if self._kept[kept] < KEPT:
            self._kept[kept] += 1
            self._findings.append(found)

    def _day(self, key: _Key, time: int) -> tuple[int, int, _Count]:
        """From when to when events are of the same day, and its counts."""
        symbol, timeframe = key
        sessions = self._sessions_of(symbol)
        session = day_of(sessions, time) if timeframe == "1d" else sessions.at(time - bool(timeframe))
        if session is not None:
            name, begin, end = session.date, session.open, session.close
        else:
            name = new_york_date(time - bool(timeframe))
            begin, end = time - 1, time + 1  # the next one may be in the session already
        counts = self._days.setdefault(key, {})
        if name not in counts:
            counts[name] = _Count(_span(sessions, name))
        return begin, end, counts[name]

    def _reported(self, key: _Key) -> Iterable[Day]:
        symbol, timeframe = key
        counts = self._days[key]
        sessions = self._sessions_of(symbol)
        expecting = bool(timeframe) and timeframe_ns(timeframe) >= MINUTE
        absent = _absent(sessions, counts) if expecting and timeframe_ns(timeframe) <= DAY else {}
        for name, count in sorted({**absent, **counts}.items()):
            yield _finished(symbol, timeframe, name, count, _expected(timeframe, count.span) if expecting else 0)


_NOTHING = _Count((0, 0))


def judge(events: Iterable[Heard | Finding], validator: DataValidator, quality: Quality) -> None:
    """Judge recorded events one after the other, each at the time it was received, or known, and count the verdicts.
    A Finding among them is that of a row which is no event."""
    for event in events:
        if isinstance(event, Finding):
            quality.broken(event)
            continue
        received = getattr(event, "received", 0)
        quality.add(event, validator.check(event, received or (event.end if isinstance(event, Bar) else event.time)))


def _span(sessions: Sessions, name: str) -> tuple[int, int]:
    """The session of a date, (0, 0) where it has none."""
    noon = (date.fromisoformat(name).toordinal() - EPOCH) * DAY + DAY // 2
    for time in (noon, midnight(date.fromisoformat(name))):
        session = sessions.coming(time)
        if session is not None and session.date == name:
            return session.open, session.close
    return 0, 0


def _absent(sessions: Sessions, counts: dict[str, _Count]) -> dict[str, _Count]:
    """The sessions between the first day and the last of which nothing came."""
    spans = [count.span for count in counts.values() if count.span[1]]
    found: dict[str, _Count] = {}
    session: Session | None = sessions.at(min(spans)[0]) if spans else None
    last = max(spans)[0] if spans else 0
    while session is not None and session.open <= last:
        if session.date not in counts:
            found[session.date] = _Count((session.open, session.close))
        session = sessions.coming(session.close)
    return found


def _expected(timeframe: str, span: tuple[int, int]) -> int:
    length = timeframe_ns(timeframe)
    if length > DAY:
        return 0
    return int(span[1] > 0) if length == DAY else -(-(span[1] - span[0]) // length)


def _finished(symbol: str, timeframe: str, name: str, count: _Count, expected: int) -> Day:
    came = count.received - count.outside - count.duplicates - count.revisions
    outcomes = count.outcomes
    return Day(
        symbol=symbol,
        timeframe=timeframe,
        date=name,
        expected=expected,
        received=count.received,
        outside=count.outside,
        missing=max(0, expected - came),
        duplicates=count.duplicates,
        revisions=count.revisions,
        repaired=outcomes[Outcome.REPAIRED],
        quarantined=outcomes[Outcome.QUARANTINED],
        flagged=outcomes[Outcome.FLAGGED],
        found=dict(sorted(count.found.items())),
        largest_jump=count.jump,
        first=count.first,
        last=count.last,
    )


def heat(days: Sequence[Day], width: int = 60) -> str:
    """A calendar in one line: a character for each day, or for as many days as fit into it. A full block is all there,
    emptier ones lack bars, ``·`` has none, ``!`` holds something that was quarantined."""
    step = max(1, -(-len(days) // width))
    return "".join(_mark(days[at : at + step]) for at in range(0, len(days), step))


_BLOCKS = "▁▂▃▄▅▆▇█"


def _mark(days: Sequence[Day]) -> str:
    if any(day.quarantined for day in days):
        return "!"
    if not any(day.received for day in days):
        return "·"
    return _BLOCKS[min(len(_BLOCKS) - 1, int(score(days) / 100 * len(_BLOCKS)))]
