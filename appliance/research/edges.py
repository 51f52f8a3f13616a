"""Parameters: the defaults run, and so does each end of each range, one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.errors import StrategyError
from appliance.research.decisions import RAISED, decide, when
from appliance.research.scenes import Scene
from appliance.research.subject import Subject
from appliance.research.verdict import Verdict, failed, passed
from appliance.strategy.params import Param

CHECK = "parameters"


def parameters(subject: Subject, scene: Scene) -> Verdict:
    """Load and run the strategy at every edge of its parameters."""
    tried = 0
    for name, value, allowed in _edges(subject):
        tried += 1
        why = _broken(subject.with_params({name: value}), scene)
        if why:
            return failed(
                CHECK,
                f"{name} = {value} is allowed ({allowed}), but {why}",
                f"narrow the range of {name}, or let it work",
            )
    return passed(CHECK, f"it runs at each of the {tried} edges of its ranges" if tried else "nothing is ranged")


def _edges(subject: Subject) -> Iterator[tuple[str, str, str]]:
    for name, declared in subject().declared.items():
        for value in _values(declared):
            yield name, str(value), declared.allowed


def _values(declared: Param) -> list[object]:
    if declared.choices is not None:
        return list(declared.choices)
    if declared.type == "bool":
        return [True, False]
    return [value for value in (declared.low, declared.high) if value is not None]


def _broken(subject: Subject, scene: Scene) -> str:
    """Why it does not work; "" when it does."""
    try:
        subject()
    except StrategyError as error:
        return f"it does not load: {error.text}"
    last = decide(subject.on(scene), scene)[-1:]
    return f"at {when(last[0].time)} it {last[0]}" if last and last[0].hook == RAISED else ""
