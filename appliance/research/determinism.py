"""Determinism: twice here, and in two processes that hash texts differently, byte for byte the same decisions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from appliance.errors import StrategyError
from appliance.research.decisions import Decision, Decisions, difference
from appliance.research.scenes import Scene
from appliance.research.subject import Subject
from appliance.research.verdict import Verdict, failed, passed

CHECK = "determinism"
HINT = "iterate sorted(...) instead of a set, use self.rng for chance and self.now for the time"
SEEDS_TRIED = 8
_ORDER = "import sys; print(*set(sys.argv[1:]))"
_ROOT = str(Path(__file__).resolve().parents[2])


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
    work = msgspec.json.encode((subject, scene))
    runs = [(f"hash seed {seed}", _spawn(seed)) for seed in hash_seeds(_texts(subject))]
    try:
        return [(name, _answer(child, work, seconds)) for name, child in runs]
    finally:
        for _, child in runs:
            child.kill()
            child.wait()


def hash_seeds(texts: Sequence[str]) -> tuple[int, int]:
    """Two hash seeds under which a set of these texts comes in different orders, where there are such."""
    first = _order(1, texts)
    others = range(2, 2 + SEEDS_TRIED if len(texts) > 1 else 2)
    return 1, next((seed for seed in others if _order(seed, texts) != first), 2)


def _order(seed: int, texts: Sequence[str]) -> bytes:
    command = [sys.executable, "-S", "-c", _ORDER, *texts]
    return subprocess.run(command, env=_environment(seed), capture_output=True, check=False).stdout


def _texts(subject: Subject) -> tuple[str, ...]:
    return subject().symbols


def _spawn(seed: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "appliance.research.child"], env=_environment(seed),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _environment(seed: int) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": path}


def _answer(child: subprocess.Popen[bytes], work: bytes, seconds: float) -> list[Decision]:
    try:
        out, err = child.communicate(work, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise StrategyError(
            f"it does not come to an end: no answer within {seconds:g} s",
            hint="look for a loop without an end, or for work that grows with every bar",
        ) from None
    if child.returncode:
        last = err.decode(errors="replace").strip().splitlines()[-1:]
        raise StrategyError(
            f"it ends its process, code {child.returncode}: {''.join(last) or 'without a word'}",
            hint="run it with `appliance backtest` to see where",
        )
    return msgspec.json.decode(out, type=list[Decision])
