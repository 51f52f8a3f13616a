"""How strategies are made: from their files or the code of a reload, with the bars they warm up with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from appliance.core.wishes import Code, Runner
from appliance.data.options import FileOptions
from appliance.data.warmup import Need, needs_of, warm_up
from appliance.domain.market import Bar, Sessions
from appliance.errors import StrategyError
from appliance.runs import RunSpec, StrategySpec

LOAD = "load"
"""The mark of a strategy that is being loaded."""
Mark = Callable[[str, str], None]
"""Told of a strategy and its hook before the hook runs, and of "" and "" when it is over."""
Past = Callable[[Runner], tuple[Bar, ...]]
"""The bars a strategy that has just started warms up with."""


def unmarked(strategy: str, hook: str) -> None:
    """Nobody asks which hook runs: its process cannot die of it alone."""


def no_past(runner: Runner) -> tuple[Bar, ...]:
    """Nothing is known from before the start."""
    return ()


class StrategyMaker:
    """How to make one strategy anew (see ``appliance.core.wishes.Maker``): by its file, or by the code of a reload.

    ``refusal`` is why it is not to be loaded at all: what has killed us would kill us again.
    """

    def __init__(
        self,
        strategy: StrategySpec,
        sessions: Sessions | None = None,
        past: Past = no_past,
        mark: Mark = unmarked,
        refusal: StrategyError | None = None,
    ) -> None:
        self.name = strategy.name
        self.params = strategy.params
        self.past = past
        self._strategy = strategy
        self._sessions = sessions
        self._mark = mark
        self._refusal = refusal
        self.source = ""
        try:
            self.source = Path(strategy.file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            hint = "name an existing strategy file"
            self._refusal = refusal or StrategyError(f"{strategy.file}: {why}", hint=hint)
        self.digest = sha256(repr((self.source, strategy.params)).encode()).hexdigest()[:12]

    def __call__(self, code: Code | None = None) -> Runner:
        """A runner that has not started. Raises StrategyError when its file cannot be read or does not load."""
        from appliance.strategy import loader  # here: who runs no strategy pays for none

        if self._refusal is not None and code is None:
            raise self._refusal
        spec = self._strategy
        source, params = (code.source, code.params) if code is not None else (self.source, spec.params)
        self._mark(self.name, LOAD)  # its file is run, and on_start for trial; what ends the process leaves the mark
        try:
            return loader.load(
                source, spec.file, name=spec.name, class_name=spec.class_name or None, params=params,
                sessions=self._sessions,
            )  # fmt: skip
        except StrategyError as error:
            if isinstance(error.__cause__, MemoryError):  # nothing is wrong with its file
                raise MemoryError from error
            raise
        finally:
            self._mark("", "")


def runner_factory(strategy: StrategySpec, sessions: Sessions | None = None, past: Past = no_past) -> StrategyMaker:
    """How to make one strategy, tried once. Raises StrategyError when its file cannot be read or does not load."""
    maker = StrategyMaker(strategy, sessions, past)
    maker()
    return maker


def past_in(files: Sequence[str], options: FileOptions, count: int | None) -> Past:
    """What a strategy warms up with before the first date of recorded data; ``count`` None: as many bars as it asks
    for. ``options`` are those the run is read with, sessions included."""

    def past(runner: Runner) -> tuple[Bar, ...]:
        return past_of(files, options, runner.needs, runner.symbols, count)

    return past


def past_of_run(spec: RunSpec) -> Past:
    """What the strategies of a run warm up with: recorded data has a past, the simulated market has none."""
    return past_in(spec.files, spec.reading, spec.warm_up) if spec.files else no_past


def past_of(
    files: Sequence[str], options: FileOptions, asked: Iterable[Need], symbols: Sequence[str], count: int | None
) -> tuple[Bar, ...]:
    """The bars before the first date of recorded data that a strategy of these symbols warms up with: what it ``asked``
    for, or ``count`` of each. None where the run begins with the files. ``options`` are those the run is read with,
    sessions included. Raises DataError."""
    heard = [symbol for symbol in symbols if not options.symbols or symbol in options.symbols]
    needs = [need for need in needs_of(asked, heard, count) if need[0] in heard]
    if not needs or not options.start:
        return ()

    from appliance.data.history import FileHistory
    from appliance.strategy.bars import BarBuilder

    return warm_up(needs, FileHistory(files, replace(options, symbols=tuple(heard)), BarBuilder), options.span[0])
