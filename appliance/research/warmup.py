"""Warm-up: how much history the indicators must have seen, so that it does not matter where the data begins.

In the middle of a run, the indicators are replaced by ones that have seen only the last bars; positions and self.state
stay. That is what a start with so much history would give. Recursive indicators (EMA, RSI, ATR, …) remember for ever,
so they differ a little; what counts is whether a decision does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from appliance.core.wishes import Runner
from appliance.domain.market import Bar
from appliance.research.decisions import Decisions, Difference, carried_over, decide, difference
from appliance.research.scenes import Scene
from appliance.research.verdict import Verdict, failed, passed, skipped

CHECK = "warm-up"
TIMES = (1, 2, 4, 8, 16)
"""Lengths of history that are tried, in multiples of the declared warm-up."""
SAME = 1e-9
"""Percent below which two values of an indicator are called the same."""


class Trial(Struct, frozen=True):
    """With ``bars`` of history: by how much each indicator is off (percent, by label), and the first other decision."""

    bars: int
    off: dict[str, float]
    found: Difference | None


def warm_up(make: Callable[[], Runner], scene: Scene, whole: Decisions, needed: int, points: int = 2) -> Verdict:
    """``needed`` is how many bars make every indicator ready (see ``declared``)."""
    if not needed:
        return passed(CHECK, "it has no indicators")
    bars = sum(isinstance(event, Bar) for event in scene.events)
    lengths = [needed * times for times in TIMES if needed * times < bars * 3 // 4]
    if not lengths:
        return skipped(CHECK, f"its indicators need {needed} bars, the data has {bars}", "give it more --data")
    starts = [max(lengths[-1], bars * (index + 1) // (points + 2)) for index in range(points)]
    trials = [_worst([_trial(make, scene, whole, length, start) for start in starts]) for length in lengths]
    return _judged(trials, needed)


def declared(make: Callable[[], Runner], scene: Scene) -> int:
    """Bars until every indicator of the strategy has a value; 0 without indicators, or when they never have."""
    heard = needed = 0

    def look(runner: Runner, bar: Bar, now: int) -> Runner:
        nonlocal heard, needed
        heard += 1
        if not needed:
            indicators = runner.snapshot().get("indicators", [])
            if indicators and all(_ready(saved) for _, saved in indicators):
                needed = heard
        return runner

    decide(make, scene, look)
    return needed


def _ready(saved: dict[str, Any]) -> bool:
    lines = [value for value, _ in saved.get("lines", ())]
    return all(value is not None for value in (saved.get("value"), *lines))


def _trial(make: Callable[[], Runner], scene: Scene, whole: Decisions, length: int, start: int) -> Trial:
    """Replace the indicators after bar ``start`` by ones that saw ``length`` bars, and go on to the end."""
    last: deque[tuple[Bar, int]] = deque(maxlen=length)
    off: dict[str, float] = {}
    heard = 0

    def replant(runner: Runner, bar: Bar, now: int) -> Runner:
        nonlocal heard
        heard += 1
        if heard > start:
            return runner
        last.append((bar, now))
        if heard < start:
            return runner
        old, young = runner.snapshot(), _warmed(make, list(last))["indicators"]
        off.update(_off(old["indicators"], young))
        fresh = make()
        fresh.restore(carried_over(old | {"indicators": young}))
        return fresh

    return Trial(length, off, difference(whole, decide(make, scene, replant)))


def _warmed(make: Callable[[], Runner], bars: list[tuple[Bar, int]]) -> dict[str, Any]:
    """The snapshot of a strategy that has heard nothing but these bars."""
    runner = make()
    runner.start(bars[0][0].start)
    for bar, now in bars:
        runner.bar(bar, now)
    return runner.snapshot()


def _off(old: list[Any], young: list[Any]) -> dict[str, float]:
    """By how much the young values differ from the old, in percent; only where they do."""
    found: dict[str, float] = {}
    for (label, ours), (_, theirs) in zip(old, young, strict=True):
        a, b = ours["value"], theirs["value"]
        if a is None or b is None:
            continue
        percent = abs(b - a) / abs(a) * 100 if a else abs(b) * 100
        if percent > SAME:
            found[label] = max(percent, found.get(label, 0.0))
    return found


def _worst(trials: list[Trial]) -> Trial:
    """Some trials of one length as one."""
    off = {label: max(trial.off.get(label, 0.0) for trial in trials) for trial in trials for label in trial.off}
    return Trial(trials[0].bars, off, next((trial.found for trial in trials if trial.found is not None), None))


def _judged(trials: list[Trial], needed: int) -> Verdict:
    first, last = trials[0], trials[-1]
    recursive = ", ".join(f"{label} is off by {percent:.2g} %" for label, percent in first.off.items())
    if last.found is not None and last.bars < needed * TIMES[-1]:
        why = f"after {needed} bars {recursive}, and after {last.bars} the decisions still differ"
        return skipped(CHECK, why, f"to tell whether they settle, give it more --data: {30 * needed} bars")
    if last.found is not None:
        told = last.found.told("with all the history", f"with {last.bars} bars of it")
        return failed(
            CHECK,
            f"where the data begins decides; after {needed} bars {recursive or 'all indicators agree'}; {told}",
            "compare recursive indicators with each other or with the price, not with a fixed number, or use one with "
            "a window (sma, highest)",
        )
    if not recursive:
        return passed(CHECK, f"no indicator depends on where the data begins, once {needed} bars are in")
    settled = next(trial.bars for trial in trials if all(t.found is None for t in trials if t.bars >= trial.bars))
    text = f"recursive: after the first {needed} bars {recursive}; the decisions are the same from {settled} bars on"
    hint = "" if settled == needed else f"let it see at least {settled} bars before it trades"
    return passed(CHECK, text, hint)
