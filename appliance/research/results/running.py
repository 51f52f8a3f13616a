"""One run over recorded data, from its plan to what is left of it: what `backtest`, its repeat and a sweep share."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileReport, FileSource
from appliance.domain.market import RECORDED, SECOND, Sessions
from appliance.domain.messages import Offer
from appliance.errors import ApplianceError, StrategyError
from appliance.making import Past, past_in, runner_factory, source_of
from appliance.research.results.tape import Tape
from appliance.runs import StrategySpec
from appliance.strategy.loader import line_in
from appliance.world.backtest import Backtest

BATCH_MIN, BATCH_MAX = 64, 8_192
"""Events between two words about how far it is: as many as take ``PACE``, and no more than memory cares about."""
PACE = 0.1
"""Seconds."""
Told = Callable[[int], None]
"""Hears how many events have happened since it was last told."""


class Source(Protocol):
    """Recorded data, from its first event on."""

    @property
    def report(self) -> FileReport:
        """What it holds."""
        ...

    def batch(self, limit: int) -> Offer:
        """About so many of the next events."""
        ...


class Plan(Struct, frozen=True):
    """All that decides what a run does; the same as JSON. ``files`` are as given, with every symbol named and without
    the table of sessions; ``warm_up`` None: as many bars as the strategy asks for; ``benchmark`` "": its first symbol.
    """

    strategy: StrategySpec
    data: tuple[str, ...]
    files: FileOptions
    cash: Decimal
    limits: LimitValues = LimitValues()
    model: MarketModel = MarketModel()
    warm_up: int | None = None
    benchmark: str = ""

    def source(self, sessions: Sessions | None) -> FileSource:
        """Its data, read and checked. Raises DataError naming file, row and rule."""
        return FileSource(self.data, replace(self.files, sessions=sessions))

    def past(self, sessions: Sessions | None, remembered: bool = False) -> Past:
        """What its strategy warms up with; ``remembered`` for many runs."""
        return past_in(self.data, replace(self.files, sessions=sessions), self.warm_up, remembered)


class Ran(Struct):
    """A run that is over: the cores as they ended, what the data held, how long it took and how long the market took
    for as much (s)."""

    backtest: Backtest
    data: FileReport
    seconds: float
    market_seconds: float

    @property
    def realtime_factor(self) -> float:
        """How many times faster than the market it was: nights, holidays and gaps do not count."""
        return self.market_seconds / self.seconds if self.seconds else 0.0


def run(
    plan: Plan, source: Source, sessions: Sessions | None, tape: Tape | None, told: Told, past: Past | None = None
) -> Ran:
    """Let all the data happen; ``tape`` hears it too. ``past`` is what the strategy warms up with, by default what
    ``plan.past`` reads. Raises StrategyError for what the strategy raises, with its line and the data's time."""
    make = runner_factory(plan.strategy, sessions, past or plan.past(sessions))
    test = Backtest(
        plan.strategy.name, (make,), rules(plan.limits, plan.model.account), plan.cash, plan.model, sessions
    )
    data = source.report
    began = time.perf_counter()
    _play(test, source, plan.strategy, tape, told)
    seconds = time.perf_counter() - began
    return Ran(test, data, seconds, market_seconds(data))


def market_seconds(data: FileReport) -> float:
    """How long (s) the market took to say as much: a bar of one minute takes a minute, whatever lies between two;
    ticks take the time from the first to the last."""
    covered = [
        one.events * RECORDED[one.timeframe] / max(1, len(set(one.symbols) & set(data.symbols)))
        for one in data.files
        if one.timeframe
    ]
    return (max(covered) if covered else data.last - data.first) / SECOND


def _play(test: Backtest, source: Source, spec: StrategySpec, tape: Tape | None, told: Told) -> None:
    done, size = False, BATCH_MIN
    while not done:
        began = time.perf_counter()
        offer = source.batch(size)
        try:
            test.run(offer.events)
        except (Exception, SystemExit) as error:
            raise _blamed(error, spec, test.time) from error
        if tape is not None:
            tape.note(offer.events, test.book.entries)
        told(len(offer.events))
        size = min(BATCH_MAX, 2 * size) if time.perf_counter() - began < PACE else max(BATCH_MIN, size // 2)
        done = offer.done


def _blamed(error: Exception | SystemExit, spec: StrategySpec, at: int) -> BaseException:
    """What the strategy raised, with its file, line and the data's time; an error of our own as it is."""
    line = line_in(error.__traceback__, spec.file)
    if line is None:
        return error
    text = error.text if isinstance(error, ApplianceError) else f"{type(error).__name__}: {error}"
    source = source_of(spec).splitlines()
    shown = source[line - 1].strip() if line <= len(source) else ""
    when = datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    hint = error.hint if isinstance(error, ApplianceError) else ""
    return StrategyError(f"{spec.file}:{line}: {shown}\n    {text} (at the bar that ends {when})", hint=hint)
