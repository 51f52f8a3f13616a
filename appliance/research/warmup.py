"""Warm-up: how much history the indicators must have seen, so that it does not matter where the data begins.

In the middle of a run, the indicators are replaced by ones that have seen only the last bars; positions and self.state
stay. That is what a start with so much history (the strategy's ``warmup``) would give. Recursive indicators (EMA, RSI,
ATR, …) remember for ever, so they differ a little; what counts is whether a decision does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from appliance.core.wishes import Runner
from appliance.domain.market import Bar, timeframe_ns
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


class Asked(Struct, frozen=True):
    """The ``warmup`` a strategy declares, in ``bars`` of its own; each is ``unit`` bars of the scene."""

    bars: int
    unit: int

    def own(self, heard: int) -> int:
        """So many bars of the scene, as a ``warmup`` of the strategy."""
        return -(-heard // self.unit)


def warm_up(make: Callable[[], Runner], scene: Scene, whole: Decisions, ready: int, points: int = 2) -> Verdict:
    """``ready`` is after how many bars every indicator has a value (see ``ready_after``)."""
    asked = asked_for(make, scene)
    first = asked.bars * asked.unit or ready
    if not first:
        return passed(CHECK, "it has no indicators")
    bars = sum(isinstance(event, Bar) for event in scene.events)
    lengths = [first * times for times in TIMES if first * times < bars * 3 // 4]
    if not lengths:
        return skipped(CHECK, f"it needs {first} bars to warm up, the data has {bars}", "give it more --data")
    starts = [max(lengths[-1], bars * (index + 1) // (points + 2)) for index in range(points)]
    trials = [_worst([_trial(make, scene, whole, length, start) for start in starts]) for length in lengths]
    return _judged(trials, asked, ready)


def ready_after(make: Callable[[], Runner], scene: Scene) -> int:
    """Bars, of all symbols, until every indicator has a value; 0 without indicators, or when they never have."""
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


def asked_for(make: Callable[[], Runner], scene: Scene) -> Asked:
    """What a strategy declares that it warms up with."""
    bar = next((event for event in scene.events if isinstance(event, Bar)), None)
    if bar is None:
        return Asked(0, 1)
    runner = make()
    runner.start(bar.start)
    needs = [(count, timeframe_ns(timeframe or bar.timeframe)) for _, timeframe, count in runner.needs]
    longest = max((length for _, length in needs), default=0)
    unit = max(1, longest // max(1, bar.end - bar.start)) * len(runner.symbols)
    return Asked(max((count for count, _ in needs), default=0), unit)


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
    for bar, _ in bars:
        runner.feed(bar)
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


def _judged(trials: list[Trial], asked: Asked, ready: int) -> Verdict:
    """What the trials say: with a declared ``warmup`` its own length must do, without one any."""
    first, last = trials[0], trials[-1]
    settled = next((t.bars for t in trials if all(o.found is None for o in trials if o.bars >= t.bars)), 0)
    recursive = ", ".join(f"{label} is off by {percent:.2g} %" for label, percent in first.off.items())
    found = first.found if asked.bars else last.found
    start = f"after {first.bars} bars {recursive or 'all indicators agree'}"
    if found is None and not recursive:
        return passed(CHECK, f"no indicator depends on where the data begins, once {first.bars} bars are in")
    if found is None and asked.bars:
        return passed(CHECK, f"the declared warmup = {asked.bars} is enough: {start}, and the decisions are the same")
    if found is None:
        text = f"recursive: {start}; the decisions are the same from {settled} bars on"
        return passed(
            CHECK, text, f"write warmup = {asked.own(settled)} in the class, so that a start has that history"
        )
    told = found.told("with all the history", f"with {first.bars if asked.bars else last.bars} bars of it")
    if settled:
        text = f"the declared warmup = {asked.bars} is too short: {start}; {told}"
        return failed(CHECK, text, f"write warmup = {asked.own(settled)}, with which the decisions are the same")
    if not asked.bars and last.bars < ready * TIMES[-1]:
        return skipped(
            CHECK, f"{start}, and after {last.bars} the decisions still differ", "to tell, give it more --data"
        )
    return failed(
        CHECK,
        f"where the data begins decides, however long the warm-up: {start}; {told}",
        "compare recursive indicators with each other or with the price, not with a fixed number, or use one with a "
        "window (sma, highest)",
    )
