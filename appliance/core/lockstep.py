"""Lockstep: the feed releases the next stage when everyone has consumed everything and nothing is in flight.

The check is sound because each progress report is one process's cursors and heads after one commit: if all cursors
meet all heads, whoever had moved on first would have done so without a cause.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from appliance.domain.messages import Settled, Stage, Step
from appliance.domain.operations import Head, Progress, Spot
from appliance.domain.topics import publisher_of

STEPS = "feed/steps"


class Barrier:
    """Collects progress of the processes named in ``needed`` and says when they have settled."""

    def __init__(self, needed: Sequence[str]) -> None:
        self._needed = tuple(needed)
        self._latest: dict[str, Progress] = {}
        self._told: Spot | None = None

    def note(self, progress: Progress) -> None:
        """Hear where a process stands."""
        if progress.process in self._needed:
            self._latest[progress.process] = progress

    def settled(self, step: Head) -> Settled | None:
        """Once per step: everyone is there, at ``step``, with nothing unread and nothing unresolved."""
        if self._told == step.last or len(self._latest) < len(self._needed):
            return None
        reports = [self._latest[name] for name in self._needed]
        if not all(self._at_rest(report, step) for report in reports):
            return None
        self._told = step.last
        deadlines = [report.deadline for report in reports if report.deadline is not None]
        held = sum(report.held for report in reports)
        return Settled(held, min(deadlines, default=None), step.last)

    def _at_rest(self, report: Progress, step: Head) -> bool:
        if report.unresolved or not report.recovered:
            return False
        return all(cursor >= self._head(stream, step) for stream, cursor in report.cursors.items())

    def _head(self, stream: str, step: Head) -> Spot:
        if stream == STEPS:
            return step.last
        publisher = self._latest.get(publisher_of(stream))
        head = publisher.heads.get(stream) if publisher is not None else None
        return head.last if head is not None else Spot()


class Staging(Struct, frozen=True):
    """Where the feed stands in lockstep: the last stage released, its data time (ns UTC) and its round."""

    stage: Stage = Stage.DONE
    time: int = 0
    round: int = 0
    woke: int = -1


def within(staging: Staging, held: int) -> Step | None:
    """The next stage of the same timestamp, or None when the timestamp is over."""
    stage, time, turn = staging.stage, staging.time, staging.round
    if stage is Stage.VENUE:
        return Step(Stage.GUARD, time)
    if stage is Stage.GUARD:
        return Step(Stage.HOSTS, time)
    if stage in (Stage.HOSTS, Stage.WAKE) and held:
        return Step(Stage.TAKE, time, turn)
    if stage is Stage.TAKE:
        return Step(Stage.HOSTS, time, turn + 1)
    return None


def wake(staging: Staging, deadline: int | None, following: int) -> Step | None:
    """The wake-up to release before the next market time ``following``, if a core's deadline is earlier."""
    if deadline is None or deadline >= following or deadline <= staging.woke:
        return None
    return Step(Stage.WAKE, max(deadline, staging.time))
