"""How strategies are made: from their files or the code of a reload, with the bars they warm up with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.host import unmarked
from appliance.core.wishes import RELOAD, Code, Runner
from appliance.data.live.spec import LiveSpec
from appliance.data.options import FileOptions
from appliance.data.warmup import Need, needs_of, warm_up
from appliance.domain.market import Bar, Sessions
from appliance.errors import StrategyError
from appliance.runs import RunSpec, StrategySpec

if TYPE_CHECKING:
    from appliance.data.history import FileHistory

LOAD = "load"
"""The mark of a strategy that is being loaded from its file."""
Mark = Callable[[str, str], None]
"""Told of a strategy and its hook before the hook runs, and of "" and "" when it is over."""
Past = Callable[[Runner], tuple[Bar, ...]]
"""The bars a strategy that has just started warms up with."""


class Around(Struct, frozen=True):
    """What a strategy finds in a run: the ``symbols`` of its market ((): not known), the ``others`` that run with it
    (None: not known), and which of them it ``hears``. ``some``: one symbol of its own will do, as in recorded data."""

    symbols: tuple[str, ...] = ()
    others: tuple[str, ...] | None = None
    hears: tuple[str, ...] = ()
    some: bool = False

    def check(self, runner: Runner) -> None:
        """Raise StrategyError for a symbol or a strategy that there is not."""
        absent = [symbol for symbol in runner.symbols if symbol not in self.symbols] if self.symbols else []
        if absent and not (self.some and len(absent) < len(runner.symbols)):
            raise StrategyError(
                f"{runner.name}: no symbol {absent[0]!r} in this market{_nearest(absent[0], self.symbols)}; it has "
                f"{', '.join(self.symbols)}",
                hint="trade one of them: --param symbol=…, or symbols = (…) in its class",
            )
        for name in runner.follows:
            self._check_followed(runner.name, name)

    def _check_followed(self, strategy: str, name: str) -> None:
        if self.others is None or name in self.hears:
            return
        if name in self.others:
            raise StrategyError(
                f"{strategy} follows {name!r} of another host, which it did not when the box was started",
                hint="start the box anew: signals of other hosts are heard from the start or not at all",
            )
        there = ", ".join(self.others) or "no other"
        raise StrategyError(
            f"{strategy} follows {name!r}, which does not run here{_nearest(name, self.others)}; there is {there}",
            hint='name another strategy of this run: follows = ("…",)',
        )


ANYWHERE = Around()
"""Nothing is known of what is around a strategy."""


def _nearest(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def around(spec: RunSpec, strategy: StrategySpec) -> Around:
    """What a strategy finds in a run."""
    return Around(spec.known_symbols, spec.others(strategy), spec.hears(strategy), spec.lockstep)


def no_past(runner: Runner) -> tuple[Bar, ...]:
    """Nothing is known from before the start."""
    return ()


class StrategyMaker:
    """How to make one strategy anew (see ``appliance.core.wishes.Maker``): by its file, or by the code of a reload.

    ``refusal`` is why it is not to be loaded at all: what has killed us would kill us again. What does not fit into
    what is ``around`` it is refused too.
    """

    def __init__(
        self,
        strategy: StrategySpec,
        sessions: Sessions | None = None,
        past: Past = no_past,
        mark: Mark = unmarked,
        refusal: StrategyError | None = None,
        around: Around = ANYWHERE,
    ) -> None:
        self.name = strategy.name
        self.params = strategy.params
        self.past = past
        self._strategy = strategy
        self._sessions = sessions
        self._mark = mark
        self._around = around
        self._refusal = refusal
        self._has_loaded = False
        try:
            self.source = source_of(strategy)
        except StrategyError as error:
            self.source = ""
            self._refusal = refusal or error
        self.digest = sha256(repr((self.source, strategy.params)).encode()).hexdigest()[:12]

    def __call__(self, code: Code | None = None) -> Runner:
        """A runner that has not started. Raises StrategyError when its file cannot be read or does not load."""
        from appliance.strategy import loader  # here: who runs no strategy pays for none

        if self._refusal is not None and code is None:
            raise self._refusal
        spec = self._strategy
        source, params = (code.source, code.params) if code is not None else (self.source, spec.params)
        mark = LOAD if code is None else RELOAD  # a new version that kills us is not the file's fault
        self._mark(self.name, mark)  # its file is run, and on_start for trial; what ends the process leaves the mark
        try:
            runner = loader.load(
                source, spec.file, name=spec.name, class_name=spec.class_name or None, params=params,
                sessions=self._sessions,
            )  # fmt: skip
        except StrategyError as error:
            if self._has_loaded and isinstance(error.__cause__, MemoryError):
                raise MemoryError("none is left to load it again") from error  # nothing is wrong with its file
            raise
        finally:
            self._mark("", "")
        self._around.check(runner)
        self._has_loaded = True
        return runner


def source_of(strategy: StrategySpec) -> str:
    """The text a strategy begins with. Raises StrategyError when its file cannot be read."""
    if strategy.source is not None:
        return strategy.source
    try:
        return Path(strategy.file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise StrategyError(f"{strategy.file}: {why}", hint="name an existing strategy file") from None


def runner_factory(strategy: StrategySpec, sessions: Sessions | None = None, past: Past = no_past) -> StrategyMaker:
    """How to make one strategy, tried once. Raises StrategyError when its file cannot be read or does not load."""
    maker = StrategyMaker(strategy, sessions, past)
    maker()
    return maker


def past_in(files: Sequence[str], options: FileOptions, count: int | None, remembered: bool = False) -> Past:
    """What a strategy warms up with before the first date of recorded data; ``count`` None: as many bars as it asks
    for. ``options`` are those the run is read with, sessions included. ``remembered``: the files are read once, for
    many runs."""
    kept: dict[tuple[str, ...], FileHistory] | None = {} if remembered else None

    def past(runner: Runner) -> tuple[Bar, ...]:
        return past_of(files, options, runner.needs, runner.symbols, count, kept)

    return past


def past_of_run(spec: RunSpec) -> Past:
    """What the strategies of a run warm up with: recorded data has a past, live data have what was fetched of it, the
    simulated market has none."""
    if spec.live is not None:
        return past_of_live(spec.live, spec.past, spec.exchange)
    return past_in(spec.files, spec.reading, spec.warm_up) if spec.files else no_past


def past_of_live(live: LiveSpec, path: str, sessions: Sessions) -> Past:
    """What was fetched before a live run began; nothing where it could not be."""

    def past(runner: Runner) -> tuple[Bar, ...]:
        from appliance.data.past import read

        needs = needs_of(runner.needs, runner.symbols, None)
        return read(Path(path)).of(needs, live.sessions_of(sessions), live.timeframe)

    return past


def past_of(
    files: Sequence[str],
    options: FileOptions,
    asked: Iterable[Need],
    symbols: Sequence[str],
    count: int | None,
    kept: dict[tuple[str, ...], FileHistory] | None = None,
) -> tuple[Bar, ...]:
    """The bars before the first date of recorded data that a strategy of these symbols warms up with: what it ``asked``
    for, or ``count`` of each. None where the run begins with the files. ``options`` are those the run is read with,
    sessions included; histories that were read are ``kept``, by their symbols. Raises DataError."""
    heard = [symbol for symbol in symbols if not options.symbols or symbol in options.symbols]
    needs = [need for need in needs_of(asked, heard, count) if need[0] in heard]
    if not needs or not options.start:
        return ()

    from appliance.data.adjustment import split_adjusted
    from appliance.data.history import FileHistory
    from appliance.strategy.bars import BarBuilder

    history = kept.get(tuple(heard)) if kept is not None else None
    if history is None:
        history = FileHistory(files, replace(options, symbols=tuple(heard)), BarBuilder)
    if kept is not None:
        kept[tuple(heard)] = history
    first = options.span[0]
    return split_adjusted(warm_up(needs, history, first), history.actions(), first)
