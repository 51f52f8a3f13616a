"""A sweep from its job to its board: what is missing is run, what is run is kept, what is kept is ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from appliance.domain.market import Sessions
from appliance.making import source_of
from appliance.research.results.inputs import inputs
from appliance.research.results.running import Plan
from appliance.research.sweep.job import Job, Varied, check_combinations, digest
from appliance.research.sweep.parcel import packed, trial_of
from appliance.research.sweep.store import Outcome, Store
from appliance.research.sweep.trial import Subject, trial
from appliance.research.sweep.workers import Cluster, Numbered, alone, beside

STORE = "outcomes.db"
Told = Callable[[int], None]
"""Hears how many combinations are done since it was last told."""


def job_of(
    plan: Plan, varied: Varied, sessions: Sessions | None, span: tuple[int, int], vectorized: bool = False
) -> Job:
    """The job of sweeping ``plan`` over data from the first to the last time of ``span`` (ns UTC), every value of every
    axis tried. Raises UsageError or StrategyError for what cannot be run."""
    check_combinations(plan, varied.combinations())
    return Job(plan, varied, inputs(plan, source_of(plan.strategy), sessions, *span), vectorized)


def subject_of(job: Job, sessions: Sessions | None) -> Subject:
    """What its runs have in common; the strategy's text goes along, so that it stays what it is now."""
    plan = replace(job.plan, strategy=replace(job.plan.strategy, source=source_of(job.plan.strategy)))
    return Subject(plan, tuple(sessions) if sessions is not None else None, digest(job), job.vectorized)


def swept(
    job: Job, sessions: Sessions | None, folder: Path, jobs: int, cluster: Cluster | None, told: Told
) -> tuple[Outcome, ...]:
    """Run what is missing in ``folder``; all outcomes, in the order of the combinations.

    Each is on the disk before the next is taken, so that whatever ends this, the same call goes on. Raises RefusedError
    when the folder holds another sweep."""
    numbered = job.numbered()
    with Store(folder / STORE, len(numbered)) as store:
        before = store.job()
        if before is not None:
            job.check_same(before)
        store.begin(job.packed())
        done = store.numbers()
        told(len(done))
        missing = [one for one in numbered if one[0] not in done]
        for outcome in _outcomes(subject_of(job, sessions), missing, jobs, cluster):
            store.keep(outcome)
            told(1)
        return tuple(store.outcomes())


def _outcomes(subject: Subject, wanted: list[Numbered], jobs: int, cluster: Cluster | None) -> Iterator[Outcome]:
    if not wanted:
        return iter(())
    if cluster is not None:
        return cluster.work(trial_of, packed(subject), wanted)
    work = partial(trial, subject)
    return alone(work, wanted) if jobs == 1 or len(wanted) == 1 else beside(work, wanted, jobs)
