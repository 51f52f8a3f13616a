"""One sequence of bars out of many tellings: in order of end, each once, holes asked of history or marked. Pure.

Times are ns UTC of one clock. A hole is time in session between the end of the last bar and the start of the next.
The later bar waits for history's answer, but not for long and not in any number; then it goes on and the hole is
told. What comes for a hole afterwards is a revision: a bar at or before the last one is never new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from appliance.data.calendars import SessionsOf
from appliance.domain.market import Bar, Sessions

SECOND = 1_000_000_000
PATIENCE = 5 * SECOND
"""How long (ns) a bar behind a hole waits for history."""
HELD_MAX = 256
"""Bars of one line that wait at most."""
REMEMBERED = 512
"""Published bars of one line that later tellings are compared with."""
OLDEST = 40 * 24 * 3600 * SECOND
"""The first bar of a line ended no longer ago (ns): a month and a long weekend."""
REVISED = 7 * 24 * 3600 * SECOND
"""A bar that is told for the first time as a revision ended no longer (ns) before the last one."""

COUNTED = ("duplicates", "differing", "overlaps", "forgotten", "holes", "healed", "replaced")

Key = tuple[str, str]
"""Symbol and timeframe."""


class Question(Struct, frozen=True):
    """Which bars were there in ``[start, end)`` (ns UTC)?"""

    symbol: str
    timeframe: str
    start: int
    end: int


class Sequenced(Struct):
    """What to do next: publish ``bars``, pass on ``revisions``, ask ``questions``, tell ``holes`` (not filled)."""

    bars: list[Bar] = []
    revisions: list[Bar] = []
    questions: list[Question] = []
    holes: list[Question] = []


class _Line:
    """One symbol and timeframe."""

    def __init__(self, last: int | None) -> None:
        self.last = last
        self.told: dict[int, Bar] = {}
        self.held: dict[int, Bar] = {}
        self.arrived: dict[int, int] = {}
        self.asked: Question | None = None
        self.settled = (0, 0)
        self.holes: list[Question] = []
        self.refused: list[int] = []

    @property
    def since(self) -> int:
        """When the bar arrived that has waited longest."""
        return min(self.arrived.values())

    def remember(self, bar: Bar) -> None:
        self.told[bar.end] = bar
        if len(self.told) > REMEMBERED:
            del self.told[next(iter(self.told))]

    def followed(self, question: Question) -> bool:
        """Whether a bar waits that begins after what is asked for."""
        return any(bar.start >= question.end for bar in self.held.values())

    def in_hole(self, bar: Bar) -> bool:
        return any(hole.start <= bar.start and bar.end <= hole.end for hole in self.holes)


class Sequencer:
    """Bars of all sources in, one sequence a symbol and timeframe out. ``lasts``: ends of what was published before."""

    def __init__(
        self,
        sessions_of: SessionsOf,
        lasts: Mapping[Key, int] | None = None,
        patience: int = PATIENCE,
        held_max: int = HELD_MAX,
    ) -> None:
        self._sessions_of = sessions_of
        self._patience, self._held_max = patience, held_max
        self._lines: dict[Key, _Line] = {key: _Line(last) for key, last in (lasts or {}).items()}
        self.counts = dict.fromkeys(COUNTED, 0)

    def begin(self, now: int) -> Sequenced:
        """Ask for what happened since the last published bars, up to ``now``."""
        out = Sequenced()
        for key, line in sorted(self._lines.items()):
            if line.last is not None:
                self._ask(key, line, line.last, now, out)
        return out

    def bar(self, bar: Bar, now: int) -> Sequenced:
        """Take one telling of a bar, from whomever."""
        out = Sequenced()
        line = self._lines.setdefault((bar.symbol, bar.timeframe), _Line(None))
        if line.last is None and now - bar.end > OLDEST:
            self.counts["forgotten"] += 1  # nothing begins so far back: all since then would be asked for
        elif line.last is not None and bar.end <= line.last:
            self._again(line, bar, out)
        elif line.last is not None and bar.start < line.last:
            self.counts["overlaps"] += 1
        else:
            self._hold(line, bar, now)
            self._drain(line, out)
            if len(line.held) > self._held_max:
                self._release(line, out)
        return out

    def answered(self, question: Question, bars: Iterable[Bar] | None, now: int) -> Sequenced:
        """Take history's answer; None: there is none. Bars that are not in an answer were not traded, except behind the
        last one of an answer up to now, which history may not have had yet."""
        out = Sequenced()
        line = self._lines.setdefault((question.symbol, question.timeframe), _Line(None))
        if line.asked == question:
            line.asked = None
        if bars is None:
            return out  # what waits is released when its time is up
        ordered = sorted(bars, key=_end)
        for bar in ordered:
            if line.last is not None and bar.end <= line.last:
                self._again(line, bar, out)
            elif question.start <= bar.start and bar.end <= question.end:
                self._hold(line, bar, now)
        # Up to now was asked, and no bar follows yet: what is younger than the last one may not have been there yet.
        known = question.end if line.followed(question) else max(map(_end, ordered), default=question.start)
        self._settle(line, question, known)
        self._drain(line, out)
        return out

    def refused(self, bar: Bar) -> None:
        """``bar`` came out and was set aside by its judge: another telling of it is no repetition."""
        line = self._lines[bar.symbol, bar.timeframe]
        line.refused = [*line.refused[-15:], bar.end]

    def lacks(self, bar: Bar) -> bool:
        """Whether another telling of ``bar`` was set aside, and nobody has told it well since."""
        line = self._lines.get((bar.symbol, bar.timeframe))
        return line is not None and bar.end in line.refused

    def tick(self, now: int) -> Sequenced:
        """Release what has waited long enough; its holes are told."""
        out = Sequenced()
        for line in self._lines.values():
            if line.held and now - line.since >= self._patience:
                self._release(line, out)
        return out

    def shift(self, by: int) -> None:
        """The clock was set by so much (ns)."""
        for line in self._lines.values():
            line.arrived = {end: since + by for end, since in line.arrived.items()}

    def deadline(self) -> int | None:
        """When ``tick`` has something to do (ns UTC), or None."""
        return min((line.since + self._patience for line in self._lines.values() if line.held), default=None)

    def waiting(self) -> int:
        """Bars that wait for an answer."""
        return sum(len(line.held) for line in self._lines.values())

    # --- one line -------------------------------------------------------------------------------------------------

    def _hold(self, line: _Line, bar: Bar, now: int) -> None:
        before = line.held.get(bar.end)
        if before is not None and before.source != bar.source:
            self.counts["duplicates"] += 1
            return  # who told it first is believed; the same source may correct itself before it is published
        line.held[bar.end] = bar
        line.arrived.setdefault(bar.end, now)

    def _again(self, line: _Line, bar: Bar, out: Sequenced) -> None:
        known = line.told.get(bar.end)
        if bar.end in line.refused and (known is None or _content(known) != _content(bar)):
            line.refused.remove(bar.end)
            self.counts["replaced"] += 1
            self._revise(line, bar, 0 if bar.end == line.last else 1, out)  # new, while nothing follows it
        elif known is None and line.in_hole(bar):
            self.counts["healed"] += 1
            self._revise(line, bar, 1, out)
        elif known is None and (bar.revision == 0 or (line.last or 0) - bar.end > REVISED):
            self.counts["forgotten"] += 1
        elif known is None:
            self._revise(line, bar, bar.revision, out)
        elif _content(known) == _content(bar):
            self.counts["duplicates"] += 1
        elif known.source != bar.source:
            self.counts["differing"] += 1  # two sources that see other trades do not correct each other
        else:
            self._revise(line, bar, known.revision + 1, out)

    @staticmethod
    def _revise(line: _Line, bar: Bar, revision: int, out: Sequenced) -> None:
        revised = replace(bar, revision=revision)
        line.remember(revised)
        out.revisions.append(revised)

    def _drain(self, line: _Line, out: Sequenced) -> None:
        """Publish what follows without a hole; ask about the first hole."""
        for end in sorted(line.held):
            bar = line.held[end]
            hole = self._hole(line, bar)
            if hole is not None:
                self._ask((bar.symbol, bar.timeframe), line, hole.start, hole.end, out)
                return
            self._publish(line, bar, out)

    def _release(self, line: _Line, out: Sequenced) -> None:
        for end in sorted(line.held):
            hole = self._hole(line, line.held[end])
            if hole is not None:
                self.counts["holes"] += 1
                line.holes = [*line.holes[-15:], hole]
                out.holes.append(hole)
            self._publish(line, line.held[end], out)

    def _publish(self, line: _Line, bar: Bar, out: Sequenced) -> None:
        del line.held[bar.end], line.arrived[bar.end]
        if line.last is not None and bar.start < line.last:
            self.counts["overlaps"] += 1
            return
        line.last = bar.end
        line.remember(bar)
        out.bars.append(bar)

    def _hole(self, line: _Line, bar: Bar) -> Question | None:
        """What is missing before ``bar``, less what history has spoken about."""
        if line.last is None:
            return None
        start = line.last
        if line.settled[0] <= start < line.settled[1]:
            start = line.settled[1]
        if not in_session(self._sessions_of(bar.symbol), start, bar.start):
            return None
        return Question(bar.symbol, bar.timeframe, start, bar.start)

    @staticmethod
    def _settle(line: _Line, question: Question, until: int) -> None:
        start, end = line.settled
        joined = start <= question.start <= end
        line.settled = (start if joined else question.start, max(end, until) if joined else until)

    def _ask(self, key: Key, line: _Line, start: int, end: int, out: Sequenced) -> None:
        if line.asked is None and in_session(self._sessions_of(key[0]), start, end):
            line.asked = Question(*key, start, end)
            out.questions.append(line.asked)


def in_session(sessions: Sessions, start: int, end: int) -> bool:
    """Whether any of ``[start, end)`` (ns UTC) is in session."""
    coming = sessions.coming(start)
    return start < end and coming is not None and coming.open < end


def _content(bar: Bar) -> tuple[float, ...]:
    return (bar.open, bar.high, bar.low, bar.close, bar.volume)


def _end(bar: Bar) -> int:
    return bar.end
