"""Determinism: twice here, and in two processes that hash texts differently, byte for byte the same decisions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from appliance.research.apart import Apart, environment
from appliance.research.decisions import Decision, Decisions, difference
from appliance.research.scenes import Scene
from appliance.research.subject import Subject
from appliance.research.verdict import Verdict, failed, passed

CHECK = "determinism"
HINT = "iterate sorted(...) instead of a set, use self.rng for chance and self.now for the time"
SEEDS_TRIED = 8
_ORDER = "import sys; print(*set(sys.argv[1:]))"


def deterministic(
    again: Callable[[Scene], Decisions], elsewhere: Sequence[tuple[str, Decisions]], scene: Scene, whole: Decisions
) -> Verdict:
    """``again`` decides anew in this process; ``elsewhere`` are runs in others, each with its name."""
    for name, run in (("a second run", again(scene)), *elsewhere):
        found = difference(whole, run)
        if found is not None:
            return failed(CHECK, f"two runs differ; {found.told('the first run', name)}", HINT)
    return passed(
        CHECK, f"the same {len(whole)} decisions twice here and in {len(elsewhere)} processes of other hash seeds"
    )


def run_elsewhere(subject: Subject, scene: Scene, seconds: float) -> list[tuple[str, list[Decision]]]:
    """The decisions of two processes with different hash seeds. Raises StrategyError when one does not end in time or
    ends without an answer."""
    seeds = hash_seeds(_texts(subject))
    with ExitStack() as children:
        runs = [(seed, children.enter_context(Apart("decide", (subject, scene), seed))) for seed in seeds]
        return [(f"hash seed {seed}", run.answer(list[Decision], seconds)) for seed, run in runs]


def hash_seeds(texts: Sequence[str]) -> tuple[int, int]:
    """Two hash seeds under which a set of these texts comes in different orders, where there are such."""
    first = _order(1, texts)
    others = range(2, 2 + SEEDS_TRIED if len(texts) > 1 else 2)
    return 1, next((seed for seed in others if _order(seed, texts) != first), 2)


def _order(seed: int, texts: Sequence[str]) -> bytes:
    command = [sys.executable, "-S", "-c", _ORDER, *texts]
    return subprocess.run(command, env=environment(seed), capture_output=True, check=False).stdout


def _texts(subject: Subject) -> tuple[str, ...]:
    return subject().symbols
