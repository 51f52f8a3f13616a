"""The checks against self-deception, all of them, on one strategy: what ``appliance strategy check`` and ``up`` run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from appliance.core.wishes import Runner
from appliance.errors import StrategyError
from appliance.research import determinism, edges, lookahead, scenes, surviving, warmup
from appliance.research.decisions import RAISED, Decision, decide
from appliance.research.scenes import Scene
from appliance.research.subject import Subject
from appliance.research.verdict import Verdict, failed, passed, skipped

IMPORTS, RUN = "imports", "run"
CHECKS = (IMPORTS, RUN, edges.CHECK, lookahead.CHECK, warmup.CHECK, determinism.CHECK, surviving.CHECK)
"""Names of the checks, in order."""
BARS_MAX = 50_000
Kind = Callable[[Sequence[str], int, int], Scene]
"""How a built-in scene is made of symbols, a number of bars and a seed."""


class Budget(Struct, frozen=True):
    """How much a check may cost: bars of each symbol, at least ``history`` times what its indicators need; seeds of
    random walks; times at which the future is cut off; bars a restart follows; bars of an edge's run (0: no edges);
    and seconds one process may take."""

    bars: int
    history: int
    seeds: tuple[int, ...]
    cuts: int
    restarts: int
    edges: int
    seconds: float


FULL = Budget(bars=3_000, history=24, seeds=(1, 2), cuts=6, restarts=1_000, edges=1_000, seconds=120)
QUICK = Budget(bars=1_200, history=6, seeds=(1,), cuts=3, restarts=300, edges=0, seconds=20)
"""What has time before a strategy goes live."""


class Report(Struct, frozen=True):
    """What was found in a strategy; ``loads`` is whether it could be run at all."""

    name: str
    file: str
    loads: bool
    verdicts: tuple[Verdict, ...]

    @property
    def failures(self) -> list[Verdict]:
        """The checks that failed."""
        return [one for one in self.verdicts if one.verdict == "fail"]


class _Played(Struct, frozen=True):
    """A scene, what is decided on it, and how many bars its indicators need."""

    scene: Scene
    whole: list[Decision]
    needed: int


def check(
    subject: Subject,
    budget: Budget = FULL,
    data: Callable[[], Scene] | None = None,
    say: Callable[[str], None] = lambda name: None,
) -> Report:
    """Run every check on recorded ``data`` (how to read it), or on the built-in random walks; ``say`` hears the name of
    each when done.

    Raises nothing for what is wrong with the strategy, that is in the report; what ``data`` raises goes through.
    """
    verdicts: list[Verdict] = []
    for verdict in _verdicts(subject, budget, data):
        verdicts.append(verdict)
        say(verdict.check)
    found = {one.check: one for one in verdicts}
    why = f"not tried: {verdicts[-1].check} failed"
    whole = tuple(found.get(name) or skipped(name, why) for name in CHECKS)
    return Report(subject.name, subject.file, verdicts[0].verdict == "pass", whole)


def checked(subject: Subject) -> list[Verdict]:
    """What fails in a strategy, in a few seconds, for who is about to let it trade; empty when nothing does."""
    return check(subject, QUICK).failures


def _verdicts(subject: Subject, budget: Budget, data: Callable[[], Scene] | None) -> Iterator[Verdict]:
    try:
        symbols = subject().symbols
    except StrategyError as error:
        yield failed(IMPORTS, error.text, error.hint or "correct it and check it again")
        return
    yield passed(IMPORTS, "it loads, and reaches for nothing a strategy may not have")
    first = data() if data is not None else scenes.minutes(symbols, budget.bars, budget.seeds[0])
    try:  # in a process of its own first, which may hang or end without taking this one along
        elsewhere = determinism.run_elsewhere(subject, first, budget.seconds)
    except StrategyError as error:
        yield failed(RUN, error.text, error.hint)
        return
    played = _played(subject, budget, symbols, first, data is None)
    run = _run(played)
    yield run
    if run.verdict == "fail":
        return
    if budget.edges:
        yield edges.parameters(subject, played[0].scene.up_to(budget.edges * len(symbols)))
    else:
        yield skipped(edges.CHECK, "not tried: only those it runs with matter now")
    if played[0].scene != first:
        elsewhere = determinism.run_elsewhere(subject, played[0].scene, budget.seconds)
    yield from _judged(subject, budget, played, elsewhere)


def _played(subject: Subject, budget: Budget, symbols: Sequence[str], first: Scene, built_in: bool) -> list[_Played]:
    """What is decided on the scenes: on the data, or on walks so long that the slowest indicator is ready long before
    their end."""
    if not built_in:
        return [_play(subject, first)]
    kind, found = _deciding(subject, budget, symbols, first)
    bars = min(max(budget.bars, budget.history * found.needed // len(symbols)), BARS_MAX)
    made = [kind(symbols, bars, seed) for seed in budget.seeds]
    return [found if one == found.scene else _play(subject, one, found.needed) for one in made]


def _deciding(subject: Subject, budget: Budget, symbols: Sequence[str], first: Scene) -> tuple[Kind, _Played]:
    """A kind of scene on which the strategy decides something: minutes, else days, else more minutes."""
    on_minutes = _play(subject, first)
    if on_minutes.whole:
        return scenes.minutes, on_minutes
    on_days = _play(subject, scenes.days(symbols, budget.bars, budget.seeds[0]))
    if on_days.whole and on_days.whole[-1].hook != RAISED:
        return scenes.days, on_days
    bars, wider = budget.bars, on_minutes
    while not wider.whole and not wider.needed and bars < BARS_MAX and _has_indicators(subject):
        bars = min(4 * bars, BARS_MAX)
        wider = _play(subject, scenes.minutes(symbols, bars, budget.seeds[0]))
    return scenes.minutes, wider


def _has_indicators(make: Callable[[], Runner]) -> bool:
    """Whether a strategy follows any indicator."""
    runner = make()
    runner.start(scenes.MONDAY)
    return bool(runner.snapshot().get("indicators"))


def _play(subject: Subject, scene: Scene, needed: int | None = None) -> _Played:
    make = subject.on(scene)
    return _Played(scene, decide(make, scene), warmup.ready_after(make, scene) if needed is None else needed)


def _run(played: Sequence[_Played]) -> Verdict:
    for one in played:
        if one.whole and one.whole[-1].hook == RAISED:
            return failed(RUN, f"{one.scene.name}: {one.whole[-1]}", "correct it; `appliance backtest` shows the line")
    decisions = sum(len(one.whole) for one in played)
    names = ", ".join(one.scene.name for one in played)
    text = f"{sum(len(one.scene.events) for one in played):,} events ({names}), {decisions:,} decisions"
    if not decisions:
        return skipped(
            RUN, f"{text}: nothing to compare", "name data on which it trades: --data FILE, or other --param"
        )
    return passed(RUN, text)


def _judged(
    subject: Subject, budget: Budget, played: list[_Played], elsewhere: list[tuple[str, list[Decision]]]
) -> Iterator[Verdict]:
    def again(scene: Scene) -> list[Decision]:
        return decide(subject.on(scene), scene)

    first = played[0]
    if not any(one.whole for one in played):
        names = (lookahead.CHECK, warmup.CHECK, determinism.CHECK)
        yield from (skipped(name, "it decided nothing that could be compared") for name in names)
        yield surviving.survives(subject.on(first.scene), first.scene, first.whole, budget.restarts)
        return
    yield _first_failure(lookahead.look_ahead(again, one.scene, one.whole, budget.cuts) for one in played)
    yield _first_failure(warmup.warm_up(subject.on(one.scene), one.scene, one.whole, one.needed) for one in played)
    yield determinism.deterministic(again, elsewhere, first.scene, first.whole)
    yield _first_failure(
        surviving.survives(subject.on(one.scene), one.scene, one.whole, budget.restarts) for one in played
    )


def _first_failure(verdicts: Iterator[Verdict]) -> Verdict:
    """The first that fails, else the first."""
    first = next(verdicts)
    return first if first.verdict == "fail" else next((one for one in verdicts if one.verdict == "fail"), first)
