"""What one run of the box is: its strategies, money, limits and data, as ``run/spec.json`` tells every process."""

from __future__ import annotations

import os
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from appliance.core.limits import LimitValues
from appliance.core.models import MarketModel
from appliance.data.live.spec import LiveSpec
from appliance.data.options import FileOptions
from appliance.domain.market import SECOND, AlwaysOpen, Session, Sessions
from appliance.errors import EnvironmentFault
from appliance.shell.paths import StatePaths

CENT = Decimal("0.01")


class StrategySpec(Struct, frozen=True):
    """One strategy: its name, file, class in that file ("" for the only one), parameters and host.

    ``cash`` is its allotment in USD (None: an equal share of what is left); ``follows`` are the strategies whose
    signals it hears; ``source`` is the text of its file when the run began (None: read the file), so that a restart
    does not run what the file has become since.
    """

    name: str
    file: str
    class_name: str = ""
    params: dict[str, str] = {}
    host: str = ""
    cash: Decimal | None = None
    follows: tuple[str, ...] = ()
    source: str | None = None


class BrokerSpec(Struct, frozen=True):
    """A real broker: its ``venue``, the ``name`` of the account as its owner types it (``live U1234567``), the
    ``account`` there, whether it is ``live`` money, and the options of that venue by the names of the settings.
    ``digest`` is of all that is confirmed of live money. No key is in it."""

    venue: str
    name: str
    account: str = ""
    live: bool = False
    options: dict[str, bool | int | str] = {}
    digest: str = ""


class RunSpec(Struct, frozen=True):
    """Everything the processes of one run need to know; written by ``up``, read by all.

    ``live`` is where live market data come from, and ``past`` the path of the file with the bars before it; without
    it, ``files`` empty means the simulated market. ``speed`` is "max" or a multiple of real time. ``sessions`` is the
    exchange's table, or None for always open. Validities are ns. ``inputs`` are digests of the files a recorded run
    was begun with, by path. ``warm_up`` is how many bars before the first date a strategy is fed with (None: what it
    asks for), ``host_memory`` how many bytes a host may allocate beyond its start (0: no limit).
    ``keep_going``: recorded data goes on without a strategy that fails. ``broker`` is who trades, None: the paper
    broker, which has bad ``manners`` where they are not empty.
    """

    box: str
    strategies: tuple[StrategySpec, ...]
    cash: Decimal
    limits: LimitValues = LimitValues()
    model: MarketModel = MarketModel()
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
    host_memory: int = 0
    keep_going: bool = False
    live: LiveSpec | None = None
    past: str = ""
    broker: BrokerSpec | None = None
    manners: dict[str, float | int] = {}

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the hosts, in the order of their first strategy."""
        return tuple(dict.fromkeys(strategy.host or strategy.name for strategy in self.strategies))

    @property
    def allotted(self) -> Decimal:
        """USD that strategies have of their own."""
        return sum((one.cash for one in self.strategies if one.cash is not None), Decimal(0))

    def allotment(self, strategy: StrategySpec) -> Decimal:
        """USD a strategy starts with: its own, or an equal share of what the others leave."""
        if strategy.cash is not None:
            return strategy.cash
        left = self.cash - self.allotted
        sharing = sum(one.cash is None for one in self.strategies)
        return max(Decimal(0), left / sharing).quantize(CENT, ROUND_DOWN)

    def followed(self, host: str) -> tuple[str, ...]:
        """The other hosts whose signals a host's strategies follow, in the order of ``hosts``."""
        names = {name for one in self.strategies if (one.host or one.name) == host for name in one.follows}
        found = {one.host or one.name for one in self.strategies if one.name in names}
        return tuple(other for other in self.hosts if other in found and other != host)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the strategies."""
        return tuple(strategy.name for strategy in self.strategies)

    def others(self, strategy: StrategySpec) -> tuple[str, ...]:
        """Names of the strategies that run with it."""
        return tuple(name for name in self.names if name != strategy.name)

    def hears(self, strategy: StrategySpec) -> tuple[str, ...]:
        """The others whose signals reach a strategy: those it ``follows``, and all of its own host."""
        host = strategy.host or strategy.name
        others = (one for one in self.strategies if one.name != strategy.name)
        return tuple(one.name for one in others if (one.host or one.name) == host or one.name in strategy.follows)

    @property
    def known_symbols(self) -> tuple[str, ...]:
        """What the market of this run has."""
        if self.live is not None:
            return self.live.symbols
        return tuple(self.symbols) if not self.files else self.reading.symbols

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
        """When the market is open, or None when it always is."""
        if self.live is not None:
            found = self.live.usual(self.exchange)
            return None if isinstance(found, AlwaysOpen) else found
        return Sessions(self.sessions) if self.sessions is not None else None

    @property
    def exchange(self) -> Sessions:
        """The regular sessions of the exchange; none where nobody said."""
        return Sessions(self.sessions or ())

    @property
    def reading(self) -> FileOptions:
        """How recorded data is read, sessions included."""
        return replace(self.options or FileOptions(), sessions=self.calendar)


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
