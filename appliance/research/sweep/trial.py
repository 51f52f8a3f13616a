"""One combination, run where the work is done: in this process, beside it, or on another machine."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, Protocol

from msgspec import Struct

from appliance.data.sources.files import FileSource
from appliance.domain.market import Session, Sessions
from appliance.domain.messages import Offer
from appliance.errors import StrategyError
from appliance.making import Past
from appliance.research.results.measuring import analysed, summary
from appliance.research.results.running import Plan, run
from appliance.research.sweep.arrays import Arrays
from appliance.research.sweep.axes import Combination
from appliance.research.sweep.figures import COUNTED, PERIODS
from appliance.research.sweep.job import plan_of
from appliance.research.sweep.store import Outcome

REMEMBERED = 200_000
"""Events a process keeps for all its runs, some 50 MB; of more it keeps columns, and makes them anew for each."""
BATCH = 4_096


class Subject(Struct, frozen=True):
    """What every run of a sweep has in common. ``sessions`` None: a market that never closes. ``vectorized``: by whole
    arrays."""

    plan: Plan
    sessions: tuple[Session, ...] | None
    key: str
    """Names the data, so that a process reads them once."""
    vectorized: bool = False


class Way(Protocol):
    """One of the two ways a combination is run."""

    def figures(self, plan: Plan) -> dict[str, Any]:
        """Counts and figures by name. Raises StrategyError for what the strategy raises."""
        ...


def trial(subject: Subject, number: int, combination: Combination) -> Outcome:
    """Run one combination. What its strategy raises is its outcome; every other fault is ours, and raised."""
    began = time.perf_counter()
    plan = plan_of(subject.plan, combination)
    way = _way(_ByKey(subject))
    try:
        figures = way.figures(plan)
    except StrategyError as error:
        return Outcome(number, combination, None, _short(error), time.perf_counter() - began)
    return Outcome(number, combination, _floats(figures), "", time.perf_counter() - began)


class _ByKey:
    """Lets a subject be found again by its key alone."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def __hash__(self) -> int:
        return hash(self.subject.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByKey) and other.subject.key == self.subject.key


@lru_cache(maxsize=1)
def _way(of: _ByKey) -> Way:
    """How a sweep's combinations are run; its data are read once a process."""
    subject = of.subject
    sessions = Sessions(subject.sessions) if subject.sessions is not None else None
    source = subject.plan.source(sessions)
    past = subject.plan.past(sessions, remembered=True)
    return (Arrays if subject.vectorized else Events)(subject.plan, source, sessions, past)


class Events:
    """Event by event, as `appliance backtest` does it."""

    def __init__(self, plan: Plan, source: FileSource, sessions: Sessions | None, past: Past) -> None:
        self._source = Remembered(source) if source.report.events <= REMEMBERED else source
        self._sessions, self._past = sessions, past

    def figures(self, plan: Plan) -> dict[str, Any]:
        """See ``Way``."""
        self._source.seek(0)
        ran = run(plan, self._source, self._sessions, None, _untold, self._past)
        told, analysis = summary(ran), analysed(plan, ran)
        counts = {name: told[name] for name in COUNTED[:-1]} | {PERIODS: analysis.year.periods}
        return counts | analysis.figures()


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


def _untold(events: int) -> None:
    """Nobody watches a single run of many."""


def _short(error: StrategyError) -> str:
    return " ".join(error.text.split())[:300]


def _floats(figures: dict[str, Any]) -> dict[str, float | None]:
    return {name: None if value is None else float(value) for name, value in figures.items()}
