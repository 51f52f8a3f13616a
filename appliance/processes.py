"""The composition root: from a run's specification to cores, and from cores to running processes.

``up`` writes ``run/spec.json``; every process reads it, so that none has to load (and pay for) the settings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from msgspec import convert

from appliance import live_money
from appliance.broking import desk_of, traits_of
from appliance.core.base import Core
from appliance.core.feed import FeedCore
from appliance.core.gateway import GatewayCore
from appliance.core.guard import GuardCore
from appliance.core.host import HostCore, unmarked
from appliance.core.limits import rules
from appliance.core.lockstep import Barrier
from appliance.core.market.simulator import MarketSimulator
from appliance.core.monitor import MonitorCore
from appliance.core.ports import Clock
from appliance.core.streams import Writers
from appliance.core.turn import Turn
from appliance.domain import topics
from appliance.domain.messages import Event, local
from appliance.domain.operations import Death
from appliance.domain.venue import VenueTraits
from appliance.errors import StrategyError
from appliance.making import LOAD, Mark, StrategyMaker, around, past_of_run
from appliance.runs import RunSpec, StrategySpec
from appliance.shell import deaths, marker, mosquitto
from appliance.shell.bus import EventBus
from appliance.shell.clock import DataClock, MachineClock
from appliance.shell.engine import CoreEngine, Hooks
from appliance.shell.journal import Journal
from appliance.shell.latchfiles import LatchFiles
from appliance.shell.locks import Lock
from appliance.shell.marker import Marker
from appliance.shell.notify import Notifier
from appliance.shell.paths import StatePaths
from appliance.venues.paper import PAPER, PaperVenue
from appliance.venues.unruly import Manners, UnrulyMarket, UnrulyVenue

Paper = PaperVenue | UnrulyVenue
SECOND = 1_000_000_000
PAPER_TRAITS = VenueTraits(look_every=60 * SECOND)
"""The paper broker is in our own process: it answers at once and for good, and a look a minute is enough."""


# --- cores --------------------------------------------------------------------------------------------------------


def core_of(
    process: str, spec: RunSpec, mark: Mark = unmarked, death: Death | None = None
) -> Callable[[Writers], Core]:
    """How to build the core of a process (``paper`` is the broker inside the gateway's process).

    ``mark`` is told which strategy's hook runs; ``death`` is what the process died of last time. Raises StrategyError
    when a strategy does not load and the data is recorded; live, it is refused and the rest runs.
    """
    kind, _, name = process.partition("@")
    if kind == "host":
        makers = [_maker(s, spec, mark, death) for s in spec.strategies if (s.host or s.name) == name]
        allotments = {strategy.name: spec.allotment(strategy) for strategy in spec.strategies}
        return lambda writers: HostCore(
            process,
            writers,
            makers,
            spec.intent_valid,
            allotments=allotments,
            sessions=spec.calendar,
            mark=mark,
            sizer=spec.model.sizer,
        )
    known = None if spec.broker is None else traits_of(spec.broker)
    traits = PAPER_TRAITS if known is None else known
    built: dict[str, Callable[[Writers], Core]] = {
        "feed": lambda writers: FeedCore(process, writers, _barrier(spec)),
        "guard": lambda writers: GuardCore(
            process,
            writers,
            rules(spec.limits, spec.model.account, known),
            spec.approval_valid,
            None if spec.broker is None else spec.cash,
        ),
        "gateway": lambda writers: GatewayCore(process, writers, traits),
        "monitor": lambda writers: MonitorCore(process, writers),
        PAPER: lambda writers: _market(process, writers, spec),
    }
    return built[kind]


def _market(process: str, writers: Writers, spec: RunSpec) -> MarketSimulator:
    """The paper broker's market; its manners are part of it, so that a replay is the same."""
    if spec.manners:
        return UnrulyMarket(process, writers, spec.cash, spec.model, spec.calendar, _manners(spec))
    return MarketSimulator(process, writers, spec.cash, spec.model, spec.calendar)


def _manners(spec: RunSpec) -> Manners:
    return convert(spec.manners, Manners)


def _maker(strategy: StrategySpec, spec: RunSpec, mark: Mark, death: Death | None) -> StrategyMaker:
    """How to make a strategy. Raises StrategyError when the data is recorded and it does not load."""
    why = None
    if death is not None and (death.strategy, death.hook) == (strategy.name, LOAD):
        why = StrategyError(f"{strategy.file}: ended its process while it was loaded: {death.cause}")
    maker = StrategyMaker(strategy, spec.calendar, past_of_run(spec), mark, why, around(spec, strategy))
    if spec.lockstep and not spec.keep_going and why is None:
        maker()
    return maker


def _barrier(spec: RunSpec) -> Barrier | None:
    return Barrier(("gateway", "guard", *(f"host@{host}" for host in spec.hosts))) if spec.lockstep else None


# --- processes ----------------------------------------------------------------------------------------------------


def reads_of(process: str, spec: RunSpec) -> tuple[str, ...]:
    """The streams a process consumes in this run; the gateway leaves the market to its venue."""
    kind, _, name = process.partition("@")
    streams = topics.streams_read_by(process, spec.hosts, spec.followed(name) if kind == "host" else ())
    unused = ("feed/bars", "feed/revisions") if spec.lockstep else ("feed/steps",)
    if process == "gateway":
        return ("guard/decisions",)
    return tuple(stream for stream in streams if stream not in unused)


def engine_of(process: str, paths: StatePaths, spec: RunSpec) -> CoreEngine:
    """A process ready to run: core, turn, journal, bus, clock and what else it has. Raises ApplianceError."""
    if process == "gateway":
        live_money.check(spec, paths)
    clock: Clock = DataClock() if spec.lockstep else MachineClock()
    death = death_of(process, paths, spec)
    mark = Marker(paths.marker(process)).mark if topics.kind_of(process) == "host" else unmarked
    build = core_of(process, spec, mark, death)
    journal = Journal(paths.journal(process), process, Lock(paths.lock(process)))
    password = mosquitto.password(paths, process)
    bus = EventBus(process, spec.box, paths.mqtt_socket, password)
    gate = "gateway/orders" if topics.kind_of(process) in ("host", "guard") else ""
    turn = Turn(process, build, journal, bus.publish, clock, reads_of(process, spec), gate, spec.lockstep)
    if death is not None:
        turn.accept(local(death, clock.now(None).time))
    hooks, venue = _hooks(process, paths, spec, clock, turn, bus)
    engine = CoreEngine(
        process, turn, bus, journal, clock, notify=Notifier(), hooks=hooks, tmp=paths.run, build=spec.build,
        settings=spec.settings, lockstep=spec.lockstep, retain=spec.retain,
    )  # fmt: skip
    if venue is not None:
        _let_hear_first(bus, venue)
    return engine


def death_of(process: str, paths: StatePaths, spec: RunSpec, env: Mapping[str, str] = os.environ) -> Death | None:
    """How a host died last time, if by a cause of its own and in a strategy's hook; None when that is nobody's fault.

    Memory often runs out between two hooks: in a host of one strategy it is that one's.
    """
    cause = deaths.last_death(env)
    marked = marker.read(paths.marker(process))
    if not cause or topics.kind_of(process) != "host":
        return None
    names = [strategy.name for strategy in spec.strategies if f"host@{strategy.host or strategy.name}" == process]
    if marked is None and cause == deaths.OUT_OF_MEMORY and len(names) == 1:
        marked = names[0], ""
    return Death(cause, *marked) if marked is not None and marked[0] in names else None


def _let_hear_first(bus: EventBus, venue: Paper) -> None:
    """The venue hears the market before the gateway does."""
    gateway = bus.receive

    def receive(event: Event) -> None:
        venue.hear(event)
        gateway(event)

    bus.receive = receive


def _hooks(
    process: str, paths: StatePaths, spec: RunSpec, clock: Clock, turn: Turn, bus: EventBus
) -> tuple[tuple[Hooks, ...], Paper | None]:
    if process == "feed":
        return (_feed(paths, spec, clock),), None
    if process == "gateway" and spec.broker is not None:
        desk = desk_of(spec.broker, paths, clock, turn.accept)
        bus.local = desk.request
        return (desk, LatchFiles(paths.latch_files, clock)), None
    if process == "gateway":
        venue = _paper(paths, spec, clock, turn, bus)
        return (venue, LatchFiles(paths.latch_files, clock)), venue
    return (), None


def _paper(paths: StatePaths, spec: RunSpec, clock: Clock, turn: Turn, bus: EventBus) -> Paper:
    journal = Journal(paths.journal(PAPER), PAPER, Lock(paths.lock(PAPER)))
    build = core_of(PAPER, spec)

    def make(answer: Callable[[Event], None]) -> PaperVenue:
        return PaperVenue(build, journal, clock, answer, bus.publish, spec.lockstep)  # type: ignore[arg-type]

    venue = UnrulyVenue(make, _manners(spec), clock, turn.accept) if spec.manners else make(turn.accept)
    bus.local = venue.request
    turn.companion = venue.turn
    venue.turn.start()
    return venue


def _feed(paths: StatePaths, spec: RunSpec, clock: Clock) -> Hooks:
    if spec.live is not None:
        from appliance.sourcing import feed_of  # it brings the sources along

        return feed_of(spec.live, paths, spec.exchange, clock, spec.seed)

    from appliance.data.feeds import FileFeed, SimulatedFeed
    from appliance.data.sources.simulated import SimulatedMarket

    if spec.files:
        from appliance.data.sources.files import FileSource  # it brings numpy along

        return FileFeed(FileSource(spec.files, spec.reading), spec.speed, clock.ticks)
    return SimulatedFeed(SimulatedMarket(spec.seed, clock.now(None).time, spec.symbols, spec.timeframe), clock)
