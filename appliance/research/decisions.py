"""What a strategy decides on a scene, as bytes that can be compared, and what a check may do to it on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.core.wishes import Made, Runner
from appliance.domain.market import SECOND, Bar
from appliance.errors import ApplianceError
from appliance.research.scenes import Scene
from appliance.world.backtest import Backtest

CASH = Decimal(1_000_000)
RAISED = "raised"
Meddle = Callable[[Runner, Bar, int], Runner]
"""Given the runner, the bar it has just heard and the time (ns UTC): the runner that goes on."""


class Decision(Struct, frozen=True, array_like=True):
    """At ``time`` (ns UTC), in ``hook``: the wishes as JSON; or, with the hook ``raised``, what it raised."""

    time: int
    hook: str
    wishes: str

    def __str__(self) -> str:
        if self.hook == RAISED:
            return f"raised {self.wishes}"
        return "; ".join(map(_in_words, msgspec.json.decode(self.wishes)))


def _in_words(wish: dict[str, Any]) -> str:
    """A wish with what is said in it: ``SPY 100 (far below the average)``."""
    told = {name: value for name, value in wish.items() if value not in (None, "", {}) and name != "terms"}
    first = [str(told.pop(name)) for name in ("symbol", "side", "quantity") if name in told]
    reason = f" ({told.pop('reason')})" if "reason" in told else ""
    rest = "".join(f", {name} {value}" for name, value in told.items())
    return " ".join(first) + reason + rest


Decisions = Sequence[Decision]


class Recorder:
    """A runner that writes down every wish of the one inside. What calls a runner has does not matter to it."""

    def __init__(self, runner: Runner, heard: list[Decision], meddle: Meddle | None) -> None:
        self._runner = runner
        self._heard = heard
        self._meddle = meddle

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._runner, name)
        if not callable(found):
            return found

        def call(*given: Any) -> Any:
            result = getattr(self._runner, name)(*given)
            if isinstance(result, tuple) and result and isinstance(result[0], Struct):
                self._heard.append(Decision(given[-1], name, msgspec.json.encode(result).decode()))
            if self._meddle is not None and name == ("bar" if self._runner.hears("bar") else "quote_bar"):
                self._runner = self._meddle(self._runner, *given)
            return result

        self.__dict__[name] = call
        return call


def decide(make: Callable[[], Runner], scene: Scene, meddle: Meddle | None = None) -> list[Decision]:
    """Run a backtest on a scene; the decisions. What the strategy raises ends the run and is the last of them. One that
    hears quote bars hears some, also where the scene has none."""
    heard: list[Decision] = []
    first = make()
    maker = Made(first.name, lambda: Recorder(make(), heard, meddle))
    run = Backtest("check", (maker,), rules(LimitValues()), CASH, MarketModel(), scene.calendar)
    try:
        run.run(scene.quoted.events if first.hears("quote_bar") else scene.events)
    except (Exception, SystemExit) as error:
        heard.append(Decision(run.time, RAISED, _told(error)))
    return heard


def _told(error: BaseException) -> str:
    """What was raised, with the line of the strategy's file when there is one."""
    text = error.text if isinstance(error, ApplianceError) else f"{type(error).__name__}: {error}"
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if trace.tb_frame.f_globals.get("__name__", "").startswith("strategy file "):
            place = f" ({code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    return text + place


class Difference(Struct, frozen=True):
    """The first decision in which two runs differ; None: that run decided nothing there."""

    time: int
    one: Decision | None
    other: Decision | None

    def told(self, one: str, other: str) -> str:
        """Both decisions in words, each after the name of its run."""
        first, second = (str(each) if each is not None else "nothing" for each in (self.one, self.other))
        return f"at the bar that ends {when(self.time)}: {one} {first}; {other} {second}"


def difference(one: Decisions, other: Decisions, until: int | None = None) -> Difference | None:
    """The first difference between two runs, up to a time (ns UTC, inclusive) or to their ends."""
    ours, theirs = ([each for each in run if until is None or each.time <= until] for run in (one, other))
    for index in range(max(len(ours), len(theirs))):
        a = ours[index] if index < len(ours) else None
        b = theirs[index] if index < len(theirs) else None
        if a != b:
            time = min(each.time for each in (a, b) if each is not None)
            return Difference(time, a if a and a.time == time else None, b if b and b.time == time else None)
    return None


def when(time: int) -> str:
    """A time (ns UTC) in words."""
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def carried_over(data: dict[str, Any]) -> dict[str, Any]:
    """A snapshot as a journal would give it back."""
    back: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(data))
    return back
