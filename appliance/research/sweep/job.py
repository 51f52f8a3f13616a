"""What one sweep is: its plan, its combinations, and what they were made from; the same as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from appliance.errors import RefusedError, StrategyError, UsageError
from appliance.making import runner_factory
from appliance.research.results.inputs import Inputs, changed
from appliance.research.results.running import Plan
from appliance.research.sweep.axes import Axis, Combination, drawn, grid
from appliance.research.sweep.conditions import Condition, number_or_text

Numbered = tuple[int, Combination]


class Varied(Struct, frozen=True):
    """Which combinations are run: those of the ``axes`` for which every one of the ``conditions`` holds. ``count`` of
    them are drawn with ``seed``; 0: the whole grid."""

    axes: tuple[Axis, ...]
    conditions: tuple[str, ...] = ()
    count: int = 0
    seed: int = 1

    def combinations(self) -> tuple[Combination, ...]:
        """All of them, in order. Raises UsageError when none is left, or the axes make too many."""
        conditions = [Condition(text) for text in self.conditions]
        for condition in conditions:
            condition.check_names((one.name for one in self.axes), "varied parameter")
        every = drawn(self.axes, self.count, self.seed) if self.count else grid(self.axes)
        found = tuple(one for one in every if all(condition.holds(_numbers(one)) for condition in conditions))
        if not found:
            raise UsageError("no combination is left", hint=f"none fulfils {' and '.join(self.conditions)}")
        return found


class Job(Struct, frozen=True):
    """A sweep as it is kept: what is varied of ``plan``, and hashes of everything that can change an outcome."""

    plan: Plan
    varied: Varied
    inputs: Inputs
    vectorized: bool = False

    def numbered(self) -> tuple[Numbered, ...]:
        """Its combinations by number."""
        return tuple(enumerate(self.varied.combinations()))

    def packed(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)

    def check_same(self, before: bytes) -> None:
        """Raise RefusedError naming what differs from the sweep that was begun."""
        try:
            other = msgspec.json.decode(before, type=Job)
        except msgspec.MsgspecError as error:
            raise RefusedError(f"the sweep there is of another version: {error}", hint=_ELSEWHERE) from None
        differs = list(_differences(other, self))
        if differs:
            raise RefusedError("the sweep there is another one:\n  " + "\n  ".join(differs), hint=_ELSEWHERE)


_ELSEWHERE = "begin anew in another folder: --out DIR"


def _differences(before: Job, after: Job) -> Iterator[str]:
    yield from changed(before.inputs, after.inputs)
    if before.varied != after.varied:
        yield f"combinations: {describe(before.varied)}; now {describe(after.varied)}"
    if before.vectorized != after.vectorized:
        yield f"--vectorized: it was {'given' if before.vectorized else 'not given'}"


def describe(varied: Varied) -> str:
    """What is varied, in one line."""
    parts = [
        f"{one.name}={','.join(one.values)}" if one.values else f"{one.name}={one.low}:{one.high}"
        for one in varied.axes
    ]
    parts += list(varied.conditions)
    return " ".join(parts) + (f" ({varied.count} drawn with seed {varied.seed})" if varied.count else "")


def plan_of(plan: Plan, combination: Combination) -> Plan:
    """The plan of one run."""
    return replace(plan, strategy=replace(plan.strategy, params={**plan.strategy.params, **combination}))


def check_combinations(plan: Plan, combinations: tuple[Combination, ...]) -> None:
    """Try every value of every axis by the strategy's own declarations before anything runs.

    Raises StrategyError naming the parameter, the value and what is allowed; combinations that do not go together are
    found when they run.
    """
    fixed = set(plan.strategy.params)
    seen: set[tuple[str, str]] = set()
    for combination in combinations:
        twice = next((name for name in combination if name in fixed), None)
        if twice is not None:
            raise UsageError(f"{twice} is both varied and given", hint=f"leave --param {twice}=… or its --grid away")
        new = [pair for pair in combination.items() if pair not in seen]
        if new:
            seen.update(new)
            _tried(plan_of(plan, combination), len(combinations))


def _tried(plan: Plan, count: int) -> None:
    try:
        runner_factory(plan.strategy)
    except StrategyError as error:
        told = f"{error.text} (one of {count:,} combinations)"
        raise StrategyError(told, hint=error.hint or "leave such values out of --grid") from None


def digest(job: Job) -> str:
    """A name for what a sweep is of."""
    return sha256(job.packed()).hexdigest()


def _numbers(combination: Combination) -> dict[str, float | str | bool | None]:
    return {name: number_or_text(value) for name, value in combination.items()}
