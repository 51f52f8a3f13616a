"""Walk-forward analysis: parameters are chosen on one stretch of days and traded on the next, which they never saw.

Each test begins flat with what the one before was worth, and ends with what is held at its last price. Efficiency is
what a year brought outside over what it brought in training, on average (Pardo, "The Evaluation and Optimization of
Trading Strategies", 2008): far below 1, the training found what does not last.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.books.entries import Entry, Mark, Trade
from appliance.data.options import FileOptions, midnight
from appliance.domain.market import Sessions
from appliance.research.results.measuring import of_books
from appliance.research.results.running import Plan, run
from appliance.research.sweep.board import Aim, Ranked, board
from appliance.research.sweep.job import Job, Varied, plan_of
from appliance.research.sweep.sweeping import job_of, swept
from appliance.research.sweep.windows import Window
from appliance.research.sweep.workers import Cluster

CENT = Decimal("0.01")
PLATEAU, BEST = "plateau", "best"
Told = Callable[[int], None]


class Step(Struct, frozen=True):
    """One window. ``params`` were chosen (None: no combination fits, nothing is traded). The objective and a year's
    return (fraction) in training, ``inside``, and in the test, ``outside``; ``begin`` and ``end`` are the equity (USD)
    of the test. What is not defined is None."""

    window: Window
    params: dict[str, str] | None
    inside: float | None
    inside_cagr: float | None
    outside: float | None
    outside_cagr: float | None
    begin: float
    end: float
    trades: int


class Forward(Struct, frozen=True):
    """A walk-forward: its steps, the ``marks`` of all tests one after the other, the ``figures`` of them as of one run,
    the ``efficiency`` (None: training lost, or nothing was chosen), and the share of tests that ``gained``."""

    aim: Aim
    steps: tuple[Step, ...]
    marks: tuple[Mark, ...]
    figures: dict[str, Any]
    efficiency: float | None
    gained: float

    def windows_csv(self) -> bytes:
        """``windows.csv``: a row a window."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        names = sorted({name for step in self.steps for name in step.params or {}})
        rows.writerow([
            "train_start", "train_end", "test_start", "test_end", *names, f"inside_{self.aim.objective}", "inside_cagr",
            f"outside_{self.aim.objective}", "outside_cagr", "begin", "end", "trades",
        ])  # fmt: skip
        for step in self.steps:
            one, params = step.window, step.params or {}
            rows.writerow([
                one.train_start, one.train_end, one.test_start, one.test_end, *(params.get(name, "") for name in names),
                step.inside, step.inside_cagr, step.outside, step.outside_cagr, round(step.begin, 2),
                round(step.end, 2), step.trades,
            ])  # fmt: skip
        return text.getvalue().encode()


class Walk:
    """Walks ``windows`` of ``plan``; chosen is by ``plateau`` or the ``best`` single combination."""

    def __init__(
        self, plan: Plan, varied: Varied, aim: Aim, choose: str, windows: Sequence[Window], sessions: Sessions | None,
        vectorized: bool = False,
    ) -> None:  # fmt: skip
        self.plan, self.varied, self.aim, self.choose = plan, varied, aim, choose
        self.windows, self.sessions, self.vectorized = windows, sessions, vectorized

    @property
    def total(self) -> int:
        """Combinations of all trainings."""
        return len(self.windows) * len(self.varied.combinations())

    def walk(self, folder: Path, jobs: int, cluster: Cluster | None, told: Told) -> Forward:
        """All windows. Trainings are kept below ``folder``, so that a walk that was ended goes on; ``told`` hears of
        each combination that is done. Raises StrategyError for what a strategy raises in a test, RefusedError when
        ``folder`` holds another walk."""
        marks, trades, entries = list[Mark](), list[Trade](), list[Entry]()
        steps, equity = list[Step](), self.plan.cash
        for number, window in enumerate(self.windows, 1):
            if equity <= 0:
                break  # ruined: there is nothing left to trade with
            place = folder / f"window-{number:02d}"
            place.mkdir(exist_ok=True)
            chosen = self._trained(self._job(window), place, jobs, cluster, told)
            if chosen is None:
                steps.append(Step(window, None, None, None, None, None, float(equity), float(equity), 0))
                continue
            step, tested = self._tested(window, chosen, equity)
            marks, trades, entries = marks + tested[0], trades + tested[1], entries + tested[2]
            steps.append(step)
            equity = Decimal(repr(step.end)).quantize(CENT, ROUND_HALF_EVEN)
        figures = dict(of_books(self.plan.cash, marks, trades, entries).figures())
        gained = sum(step.end > step.begin for step in steps) / max(1, len(steps))
        return Forward(self.aim, tuple(steps), tuple(marks), figures, _efficiency(steps), gained)

    def _job(self, window: Window) -> Job:
        plan = replace(self.plan, files=_between(self.plan.files, window.train_start, window.train_end))
        span = (midnight(window.train_start), midnight(window.test_start))
        return job_of(plan, self.varied, self.sessions, span, self.vectorized)

    def _trained(self, job: Job, place: Path, jobs: int, cluster: Cluster | None, told: Told) -> Ranked | None:
        outcomes = swept(job, self.sessions, place, jobs, cluster, told)
        ranked = board(self.aim, self.varied.axes, outcomes)
        return ranked.best if self.choose == BEST else ranked.steady

    def _tested(
        self, window: Window, chosen: Ranked, equity: Decimal
    ) -> tuple[Step, tuple[list[Mark], list[Trade], list[Entry]]]:
        files = _between(self.plan.files, window.test_start, window.test_end)
        plan = replace(plan_of(self.plan, chosen.outcome.params), files=files, cash=equity)
        book = run(plan, plan.source(self.sessions), self.sessions, None, _untold).backtest.book
        marks = book.marks
        found = of_books(equity, marks, book.trades, book.entries).figures()
        inside = chosen.outcome.figures or {}
        step = Step(
            window, chosen.outcome.params, chosen.objective, inside.get("cagr"), found.get(self.aim.objective),
            found.get("cagr"), float(equity), marks[-1].equity if marks else float(equity), len(book.trades),
        )  # fmt: skip
        return step, (marks, book.trades, book.entries)


def _between(files: FileOptions, first: date, last: date) -> FileOptions:
    return replace(files, start=first.isoformat(), end=last.isoformat())


def _untold(events: int) -> None:
    """A test is short."""


def _efficiency(steps: Sequence[Step]) -> float | None:
    pairs = [
        (step.inside_cagr, step.outside_cagr)
        for step in steps
        if step.inside_cagr is not None and step.outside_cagr is not None
    ]
    inside = sum(one for one, _ in pairs)
    return sum(other for _, other in pairs) / inside if inside > 0 else None
