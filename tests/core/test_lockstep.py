"""The barrier and the order of stages."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.core.lockstep import STEPS, Barrier, Staging, wake, within
from appliance.domain.messages import Settled, Stage, Step
from appliance.domain.operations import Head, Progress, Spot

NEEDED = ("guard", "host@trend")
INTENTS, DECISIONS = "host/trend/intents", "guard/decisions"
STEP = Head(Spot(1, 5))


def guard(steps: int = 5, intents: int = 3, decisions: int = 7, **given: Any) -> Progress:
    cursors = {STEPS: Spot(1, steps), INTENTS: Spot(1, intents)}
    return Progress("guard", cursors, {DECISIONS: Head(Spot(1, decisions))}, **{"recovered": True, **given})


def host(steps: int = 5, decisions: int = 7, intents: int = 3, **given: Any) -> Progress:
    cursors = {STEPS: Spot(1, steps), DECISIONS: Spot(1, decisions)}
    return Progress("host@trend", cursors, {INTENTS: Head(Spot(1, intents))}, **{"recovered": True, **given})


def settled(*reports: Progress) -> Settled | None:
    barrier = Barrier(NEEDED)
    for report in reports:
        barrier.note(report)
    return barrier.settled(STEP)


def test_everyone_there_and_nothing_unread_is_settled() -> None:
    assert settled(guard(held=2, deadline=9), host(held=1, deadline=4)) == Settled(3, 4, STEP.last)


@pytest.mark.parametrize(
    "reports",
    [
        (guard(),),  # one was never heard
        (guard(steps=4), host()),  # one has not taken the step
        (guard(), host(intents=4)),  # an intent is on its way
        (guard(decisions=8), host()),  # a decision is on its way
        (guard(unresolved=1), host()),
        (guard(recovered=False), host()),
    ],
)
def test_what_is_missing_unread_or_unresolved_holds_the_barrier(reports: tuple[Progress, ...]) -> None:
    assert settled(*reports) is None


def test_it_is_told_once_per_step() -> None:
    barrier = Barrier(NEEDED)
    barrier.note(guard())
    barrier.note(host())
    assert barrier.settled(STEP) is not None
    assert barrier.settled(STEP) is None
    barrier.note(guard(steps=6))
    assert barrier.settled(Head(Spot(1, 6))) is None
    barrier.note(host(steps=6))
    assert barrier.settled(Head(Spot(1, 6))) is not None


def test_the_last_word_of_a_process_counts_and_strangers_do_not() -> None:
    stranger = Progress("monitor", {STEPS: Spot()}, {}, recovered=False)
    assert settled(guard(), host(), guard(intents=2), stranger) is None
    assert settled(guard(intents=2), host(), guard(), stranger) is not None


def test_a_consumer_beyond_its_publishers_last_report_has_not_missed_anything() -> None:
    assert settled(guard(), host(decisions=9)) is not None


@pytest.mark.parametrize(
    ("staging", "held", "step"),
    [
        (Staging(), 0, None),
        (Staging(Stage.VENUE, 9), 0, Step(Stage.GUARD, 9)),
        (Staging(Stage.GUARD, 9), 0, Step(Stage.HOSTS, 9)),
        (Staging(Stage.HOSTS, 9), 0, None),
        (Staging(Stage.HOSTS, 9), 2, Step(Stage.TAKE, 9)),
        (Staging(Stage.TAKE, 9), 0, Step(Stage.HOSTS, 9, 1)),
        (Staging(Stage.HOSTS, 9, 1), 1, Step(Stage.TAKE, 9, 1)),
        (Staging(Stage.TAKE, 9, 1), 0, Step(Stage.HOSTS, 9, 2)),
        (Staging(Stage.WAKE, 9), 0, None),
        (Staging(Stage.WAKE, 9), 1, Step(Stage.TAKE, 9)),
        (Staging(Stage.DONE, 9), 1, None),
    ],
)
def test_the_order_of_stages(staging: Staging, held: int, step: Step | None) -> None:
    assert within(staging, held) == step


@pytest.mark.parametrize(
    ("deadline", "woke", "step"),
    [
        (None, -1, None), (15, -1, Step(Stage.WAKE, 15)), (20, -1, None), (25, -1, None), (15, 15, None),
        (16, 15, Step(Stage.WAKE, 16)), (5, -1, Step(Stage.WAKE, 10)),
    ],
)  # fmt: skip
def test_a_deadline_before_the_next_market_time_is_released_once(
    deadline: int | None, woke: int, step: Step | None
) -> None:
    assert wake(Staging(Stage.HOSTS, 10, 0, woke), deadline, 20) == step
