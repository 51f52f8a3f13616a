"""From a run's specification to a host: what it died of last time, and strategies that must not take others along."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.broking import broker_of
from appliance.core.gateway import GatewayCore
from appliance.core.host import HostCore
from appliance.core.market.simulator import MarketSimulator
from appliance.core.streams import Writers
from appliance.domain import topics
from appliance.domain.messages import Now
from appliance.domain.operations import Death
from appliance.errors import RefusedError, StrategyError, VenueRefused
from appliance.launch import Launch
from appliance.making import LOAD, StrategyMaker
from appliance.processes import core_of, death_of
from appliance.runs import BrokerSpec, RunSpec, StrategySpec, write_spec
from appliance.shell import credentials
from appliance.shell.deaths import LAST_DEATH
from appliance.shell.marker import Marker
from appliance.shell.paths import StatePaths
from appliance.strategy import loader
from appliance.venues.unruly import UnrulyMarket

GOOD = """
from appliance.strategy import Strategy, param


class Good(Strategy):
    symbol: str = param("SPY")
"""
HOST = "host@group"


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path / "state", {"XDG_RUNTIME_DIR": str(tmp_path)})
    paths.prepare()
    return paths


def _spec(folder: Path, *names: str, files: tuple[str, ...] = ()) -> RunSpec:
    for name in names:
        (folder / f"{name}.py").write_text(GOOD if name != "broken" else "class Mine(\n")
    strategies = tuple(StrategySpec(name, str(folder / f"{name}.py"), host="group") for name in names)
    return RunSpec("test", strategies, Decimal(1_000), files=files)


@pytest.mark.parametrize(
    ("names", "marked", "cause", "death"),
    [
        (("a", "b"), ("a", "bar"), "exit code 3", Death("exit code 3", "a", "bar")),
        (("a", "b"), ("b", "start"), "watchdog", Death("watchdog", "b", "start")),
        (("a", "b"), ("a", "bar"), "", None),
        (("a", "b"), None, "exit code 3", None),
        (("a", "b"), ("other", "bar"), "SIGSEGV", None),
        (("a", "b"), None, "out of memory", None),
        (("a",), None, "out of memory", Death("out of memory", "a", "")),
        (("a",), ("a", "fill"), "out of memory", Death("out of memory", "a", "fill")),
    ],
)
def test_a_death_counts_only_with_a_mark_and_a_cause_of_its_own(
    paths: StatePaths,
    tmp_path: Path,
    names: tuple[str, ...],
    marked: tuple[str, str] | None,
    cause: str,
    death: Death | None,
) -> None:
    marker = Marker(paths.marker(HOST))
    marker.mark(*(marked or ("", "")))
    assert death_of(HOST, paths, _spec(tmp_path, *names), {LAST_DEATH: cause}) == death
    assert death_of("guard", paths, _spec(tmp_path, *names), {LAST_DEATH: cause}) is None


def test_a_strategy_is_marked_while_it_is_loaded_and_not_after_it(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    good, broken = _spec(tmp_path, "a", "broken").strategies
    StrategyMaker(good, mark=lambda strategy, hook: told.append((strategy, hook)))()
    with pytest.raises(StrategyError, match="does not compile"):
        StrategyMaker(broken, mark=lambda strategy, hook: told.append((strategy, hook)))()
    assert told == [("a", LOAD), ("", ""), ("broken", LOAD), ("", "")]


def test_what_loaded_once_and_then_finds_no_memory_is_not_called_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **named: object) -> None:
        raise MemoryError

    make = StrategyMaker(_spec(tmp_path, "a").strategies[0])
    make()
    monkeypatch.setattr("appliance.strategy.loader._compiled", loader._compiled.__wrapped__)  # nothing is remembered
    monkeypatch.setattr("appliance.strategy.loader.compile", full, raising=False)
    with pytest.raises(MemoryError, match="to load it again"):
        make()
    with pytest.raises(StrategyError, match="does not compile"):
        StrategyMaker(_spec(tmp_path, "a").strategies[0])()


def _begin(spec: RunSpec, death: Death | None = None) -> dict[str, str]:
    """Start a host's core; why each strategy is paused."""
    core = core_of(HOST, spec, death=death)(Writers(topics.streams_written_by(HOST), {}))
    core.started(Now(1_700_000_000_000_000_000, "boot", 1))
    assert isinstance(core, HostCore)
    return {name: standing.why for name, standing in core.roster.standing.items() if not core.roster.runs(name)}


def test_live_a_strategy_that_does_not_load_is_paused_and_the_others_of_its_host_run(tmp_path: Path) -> None:
    paused = _begin(_spec(tmp_path, "a", "broken"))
    assert "does not compile" in paused["broken"]
    assert "a" not in paused


def test_on_recorded_data_a_strategy_that_does_not_load_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="does not compile"):
        core_of(HOST, _spec(tmp_path, "a", "broken", files=("bars.csv",)))


@pytest.mark.parametrize("files", [(), ("bars.csv",)])
def test_what_has_ended_its_process_while_it_was_loaded_is_not_loaded_again(
    tmp_path: Path, files: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = _spec(tmp_path, "a", "b", files=files)
    (tmp_path / "a.py").write_text("raise SystemExit('loaded again')\n")
    paused = _begin(spec, Death("exit code 3", "a", LOAD))
    assert "exit code 3" in paused["a"]
    assert "b" not in paused


# --- brokers ----------------------------------------------------------------------------------------------------------

BOTH = {"alpaca": BrokerSpec("alpaca", "paper alpaca"), "ibkr": BrokerSpec("ibkr", "paper DU1", "DU1")}
HEAVY = ("alpaca", "ib_insync", "ib_async", "eventkit", "requests", "websockets", "pydantic", "pandas")
ALL_BUT_THE_GATEWAY = """
import sys
from decimal import Decimal
from appliance.core.streams import Writers
from appliance.processes import core_of
from appliance.runs import BrokerSpec, RunSpec
for venue in ("alpaca", "ibkr"):
    spec = RunSpec("test", (), Decimal(1), broker=BrokerSpec(venue, "x"))
    for process in ("feed", "guard", "gateway", "monitor"):
        core_of(process, spec)
print([name for name in {heavy} if name in sys.modules])
"""


def test_only_who_connects_pays_for_a_brokers_library() -> None:
    script = ALL_BUT_THE_GATEWAY.replace("{heavy}", repr(HEAVY))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("venue", sorted(BOTH))
def test_guard_and_gateway_know_what_the_broker_can(venue: str, paths: StatePaths) -> None:
    spec = RunSpec("test", (), Decimal(1_000), broker=BOTH[venue])
    gateway = core_of("gateway", spec)(Writers({}, {}))
    assert isinstance(gateway, GatewayCore)
    for part in ("key", "secret"):
        credentials.keep(paths, "broker", part, "x" * 8)
    broker = broker_of(BOTH[venue], paths)
    assert gateway.traits == broker.traits
    assert broker.name == venue


@pytest.mark.parametrize(("broker", "bound"), [(None, None), (BOTH["ibkr"], Decimal(1_000))])
def test_of_a_brokers_account_the_guard_lends_what_the_settings_give(
    broker: BrokerSpec | None, bound: Decimal | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    monkeypatch.setattr("appliance.processes.GuardCore", lambda *args: given.append(args[-1]))
    core_of("guard", RunSpec("test", (), Decimal(1_000), broker=broker))(Writers({}, {}))
    assert given == [bound]


def test_a_broker_without_keys_is_refused_with_where_they_go(paths: StatePaths) -> None:
    with pytest.raises(VenueRefused) as caught:
        broker_of(BOTH["alpaca"], paths)
    assert caught.value.text == "alpaca: has no key and no secret"
    assert "credential broker-key" in caught.value.hint


def _refusal(paths: StatePaths, spec: RunSpec) -> str:
    launch = Launch(paths, spec, lambda event: None)
    try:
        with pytest.raises(RefusedError) as caught:
            launch.start()
    finally:
        launch.stop()
    return caught.value.text


def test_a_state_directory_of_one_account_is_refused_to_another(paths: StatePaths) -> None:
    paper = _spec(paths.root, "a")
    write_spec(paths, paper)
    there = replace(paper, broker=BOTH["ibkr"])
    assert "another account: the paper broker, and not of paper DU1 at ibkr" in _refusal(paths, there)
    write_spec(paths, there)
    for other in (None, BOTH["alpaca"], replace(BOTH["ibkr"], name="live U1", account="U1", live=True)):
        assert "another account: paper DU1 at ibkr" in _refusal(paths, replace(paper, broker=other))


def test_the_paper_broker_has_bad_manners_where_the_run_says_so() -> None:
    spec = RunSpec("test", (), Decimal(1_000))
    good = core_of("paper", spec)(Writers({}, {}))
    bad = core_of("paper", replace(spec, manners={"partial": 0.5, "seed": 3}))(Writers({}, {}))
    assert type(good) is MarketSimulator
    assert isinstance(bad, UnrulyMarket)
