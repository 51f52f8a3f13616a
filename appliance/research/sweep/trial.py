"""One combination, run where the work is done: in this process, beside it, or on another machine."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from msgspec import Struct

from appliance.data.sources.files import FileSource
from appliance.domain.market import Session, Sessions
from appliance.domain.messages import Offer
from appliance.errors import StrategyError
from appliance.making import Past
from appliance.research.measuring import analysed, summary
from appliance.research.running import Plan, run
from appliance.research.sweep.axes import Combination
from appliance.research.sweep.job import plan_of
from appliance.research.sweep.store import Outcome

PERIODS = "periods"
"""How many daily returns a year has, 252 or 365."""
COUNTED = ("orders", "fills", "denied", PERIODS)
"""What of a run stands beside its figures."""
REMEMBERED = 200_000
"""Events a process keeps for all its runs, some 50 MB; of more it keeps columns, and makes them anew for each."""
BATCH = 4_096


class Subject(Struct, frozen=True):
    """What every run of a sweep has in common. ``sessions`` None: a market that never closes."""

    plan: Plan
    sessions: tuple[Session, ...] | None
    key: str
    """Names the data, so that a process reads them once."""


def trial(subject: Subject, number: int, combination: Combination) -> Outcome:
    """Run one combination. What its strategy raises is its outcome; every other fault is ours, and raised."""
    began = time.perf_counter()
    plan = plan_of(subject.plan, combination)
    source, sessions, past = _data(subject.key, _Hashable(subject))
    source.seek(0)
    try:
        ran = run(plan, source, sessions, None, _untold, past)
    except StrategyError as error:
        return Outcome(number, combination, None, _short(error), time.perf_counter() - began)
    told, analysis = summary(ran), analysed(plan, ran)
    counts: dict[str, Any] = {name: told[name] for name in COUNTED[:-1]} | {PERIODS: analysis.year.periods}
    return Outcome(number, combination, _floats(counts | analysis.figures()), "", time.perf_counter() - began)


def _untold(events: int) -> None:
    """Nobody watches a single run of many."""


class _Hashable:
    """Lets a subject be found again by its key alone."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def __hash__(self) -> int:
        return hash(self.subject.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashable) and other.subject.key == self.subject.key


@lru_cache(maxsize=1)
def _data(key: str, of: _Hashable) -> tuple[FileSource | Remembered, Sessions | None, Past]:
    """The data of a sweep, its sessions and what was before, read once a process."""
    subject = of.subject
    sessions = Sessions(subject.sessions) if subject.sessions is not None else None
    source = subject.plan.source(sessions)
    held = Remembered(source) if source.report.events <= REMEMBERED else source
    return held, sessions, subject.plan.past(sessions, remembered=True)


class Remembered:
    """A source whose events are made once, for many runs."""

    def __init__(self, source: FileSource) -> None:
        self.report = source.report
        self._offers = [source.batch(BATCH)]
        while not self._offers[-1].done:
            self._offers.append(source.batch(BATCH))
        self._next = 0

    def seek(self, position: int) -> None:
        """Begin anew: 0 is the only position that is remembered."""
        self._next = position

    def batch(self, limit: int) -> Offer:
        """The next events, as many as are remembered together."""
        self._next += 1
        return self._offers[self._next - 1]


def _short(error: StrategyError) -> str:
    return " ".join(error.text.split())[:300]


def _floats(figures: dict[str, Any]) -> dict[str, float | None]:
    return {name: None if value is None else float(value) for name, value in figures.items()}
