"""The composition root: from a run's specification to cores, and from cores to running processes.

``up`` writes ``run/spec.json``; every process reads it, so that none has to load (and pay for) the settings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from appliance.core.base import Core
from appliance.core.commission import Commission
from appliance.core.feed import FeedCore
from appliance.core.gateway import GatewayCore, VenueTraits
from appliance.core.guard import GuardCore
from appliance.core.host import HostCore
from appliance.core.limits import LimitValues, rules
from appliance.core.lockstep import Barrier
from appliance.core.market import MarketSimulator
from appliance.core.monitor import MonitorCore
from appliance.core.ports import Clock
from appliance.core.streams import Writers
from appliance.core.turn import Turn
from appliance.core.wishes import Runner
from appliance.data.options import FileOptions
from appliance.data.warmup import Need, needs_of, warm_up
from appliance.domain import topics
from appliance.domain.market import Bar, Session, Sessions
from appliance.domain.messages import Event
from appliance.errors import EnvironmentFault, StrategyError
from appliance.shell import mosquitto
from appliance.shell.bus import EventBus
from appliance.shell.clock import DataClock, MachineClock
from appliance.shell.engine import CoreEngine, Hooks
from appliance.shell.journal import Journal
from appliance.shell.latchfiles import LatchFiles
from appliance.shell.locks import Lock
from appliance.shell.notify import Notifier
from appliance.shell.paths import StatePaths
from appliance.venues.paper import PAPER, PaperVenue

SECOND = 1_000_000_000
PAPER_TRAITS = VenueTraits(look_every=60 * SECOND)
"""The paper broker is in our own process: it answers at once and for good, and a look a minute is enough."""


class StrategySpec(Struct, frozen=True):
    """One strategy: its name, file, class in that file ("" for the only one), parameters and host."""

    name: str
    file: str
    class_name: str = ""
    params: dict[str, str] = {}
    host: str = ""


class RunSpec(Struct, frozen=True):
    """Everything the processes of one run need to know; written by ``up``, read by all.

    ``files`` empty means the simulated market. ``speed`` is "max" or a multiple of real time. ``sessions`` is the
    exchange's table, or None for always open. Validities are ns. ``inputs`` are digests of the files a recorded run
    was begun with, by path. ``warm_up`` is how many bars before the first date a strategy is fed with, None: what it
    asks for.
    """

    box: str
    strategies: tuple[StrategySpec, ...]
    cash: Decimal
    limits: LimitValues = LimitValues()
    commission: Commission = Commission()
    files: tuple[str, ...] = ()
    options: FileOptions | None = None
    speed: str = "1"
    sessions: tuple[Session, ...] | None = None
    seed: int = 1
    symbols: dict[str, float] = {}
    timeframe: str = "5s"
    intent_valid: int = 30 * SECOND
    approval_valid: int = 5 * SECOND
    retain: int = 100_000
    build: str = ""
    settings: str = ""
    inputs: dict[str, str] = {}
    warm_up: int | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the hosts, in the order of their first strategy."""
        return tuple(dict.fromkeys(strategy.host or strategy.name for strategy in self.strategies))

    @property
    def processes(self) -> tuple[str, ...]:
        """Every process, in start order."""
        return ("monitor", "gateway", "guard", *(f"host@{host}" for host in self.hosts), "feed")

    @property
    def lockstep(self) -> bool:
        """Whether recorded data drives the processes stage by stage."""
        return bool(self.files)

    @property
    def calendar(self) -> Sessions | None:
        """The sessions as a calendar, or None when the market is always open."""
        return Sessions(self.sessions) if self.sessions is not None else None


def spec_path(paths: StatePaths) -> Path:
    """Where a run's specification lies."""
    return paths.run / "spec.json"


def read_spec(paths: StatePaths) -> RunSpec:
    """The specification of the run in a state directory. Raises EnvironmentFault when there is none."""
    try:
        return msgspec.json.decode(spec_path(paths).read_bytes(), type=RunSpec)
    except (OSError, msgspec.MsgspecError) as error:
        raise EnvironmentFault(
            f"{spec_path(paths)} cannot be read: {error}", hint="start the box with `appliance up --state DIR` first"
        ) from None


def write_spec(paths: StatePaths, spec: RunSpec) -> None:
    """Write the specification, whole or not at all."""
    path = spec_path(paths)
    aside = path.with_suffix(".new")
    aside.write_bytes(msgspec.json.encode(spec))
    os.replace(aside, path)


# --- cores --------------------------------------------------------------------------------------------------------


def runner_factory(strategy: StrategySpec) -> Callable[[], Runner]:
    """How to make one strategy anew. Raises StrategyError when its file cannot be read or does not load."""
    try:
        source = Path(strategy.file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise StrategyError(f"{strategy.file}: {why}", hint="name an existing strategy file") from None

    from appliance.strategy import loader  # here: who runs no strategy pays for none

    def make() -> Runner:
        return loader.load(
            source, strategy.file, name=strategy.name, class_name=strategy.class_name or None, params=strategy.params
        )

    make()
    return make


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


def core_of(process: str, spec: RunSpec) -> Callable[[Writers], Core]:
    """How to build the core of a process (``paper`` is the broker inside the gateway's process)."""
    kind, _, name = process.partition("@")
    if kind == "host":
        makers = [runner_factory(s) for s in spec.strategies if (s.host or s.name) == name]
        return lambda writers: HostCore(process, writers, makers, spec.intent_valid)
    built: dict[str, Callable[[Writers], Core]] = {
        "feed": lambda writers: FeedCore(process, writers, _barrier(spec)),
        "guard": lambda writers: GuardCore(process, writers, rules(spec.limits), spec.approval_valid),
        "gateway": lambda writers: GatewayCore(process, writers, PAPER_TRAITS),
        "monitor": lambda writers: MonitorCore(process, writers),
        PAPER: lambda writers: MarketSimulator(process, writers, spec.cash, spec.commission, spec.calendar),
    }
    return built[kind]


def _barrier(spec: RunSpec) -> Barrier | None:
    return Barrier(("gateway", "guard", *(f"host@{host}" for host in spec.hosts))) if spec.lockstep else None


def core_builder(process: str, paths: StatePaths) -> Callable[[Writers], Core]:
    """How to build the core a state directory's run has for a process."""
    return core_of(process, read_spec(paths))


# --- processes ----------------------------------------------------------------------------------------------------


def reads_of(process: str, spec: RunSpec) -> tuple[str, ...]:
    """The streams a process consumes in this run; the gateway leaves the market to its venue."""
    streams = topics.streams_read_by(process, spec.hosts)
    unused = "feed/bars" if spec.lockstep else "feed/steps"
    if process == "gateway":
        return ("guard/decisions",)
    return tuple(stream for stream in streams if stream != unused)


def engine_of(process: str, paths: StatePaths, spec: RunSpec) -> CoreEngine:
    """A process ready to run: core, turn, journal, bus, clock and what else it has. Raises ApplianceError."""
    clock: Clock = DataClock() if spec.lockstep else MachineClock()
    build = core_of(process, spec)
    journal = Journal(paths.journal(process), process, Lock(paths.lock(process)))
    password = mosquitto.password(paths, process)
    bus = EventBus(process, spec.box, paths.mqtt_socket, password)
    gate = "gateway/orders" if topics.kind_of(process) in ("host", "guard") else ""
    turn = Turn(process, build, journal, bus.publish, clock, reads_of(process, spec), gate, spec.lockstep)
    hooks, venue = _hooks(process, paths, spec, clock, turn, bus)
    engine = CoreEngine(
        process, turn, bus, journal, clock, notify=Notifier(), hooks=hooks, tmp=paths.run, build=spec.build,
        settings=spec.settings, lockstep=spec.lockstep, retain=spec.retain,
    )  # fmt: skip
    if venue is not None:
        _let_hear_first(bus, venue)
    return engine


def _let_hear_first(bus: EventBus, venue: PaperVenue) -> None:
    """The venue hears the market before the gateway does."""
    gateway = bus.receive

    def receive(event: Event) -> None:
        venue.hear(event)
        gateway(event)

    bus.receive = receive


def _hooks(
    process: str, paths: StatePaths, spec: RunSpec, clock: Clock, turn: Turn, bus: EventBus
) -> tuple[tuple[Hooks, ...], PaperVenue | None]:
    if process == "feed":
        return (_feed(spec, clock),), None
    if process == "gateway":
        venue = _paper(paths, spec, clock, turn, bus)
        return (venue, LatchFiles(paths.latch_files, clock)), venue
    return (), None


def _paper(paths: StatePaths, spec: RunSpec, clock: Clock, turn: Turn, bus: EventBus) -> PaperVenue:
    journal = Journal(paths.journal(PAPER), PAPER, Lock(paths.lock(PAPER)))
    build = core_of(PAPER, spec)
    venue = PaperVenue(build, journal, clock, turn.accept, bus.publish, spec.lockstep)  # type: ignore[arg-type]
    bus.local = venue.request
    turn.companion = venue.turn
    venue.turn.start()
    return venue


def _feed(spec: RunSpec, clock: Clock) -> Hooks:
    from appliance.data.feeds import FileFeed, SimulatedFeed
    from appliance.data.sources.files import FileSource
    from appliance.data.sources.simulated import SimulatedMarket

    if spec.files:
        options = spec.options or FileOptions()
        options = replace(options, sessions=spec.calendar)
        return FileFeed(FileSource(spec.files, options), spec.speed, clock.ticks)
    return SimulatedFeed(SimulatedMarket(spec.seed, clock.now(None).time, spec.symbols, spec.timeframe), clock)
