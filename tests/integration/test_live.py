"""A box on a simulated market: it trades, is told what to do, and goes on where it was."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import LIVE
from tests.integration.running import Box, until

NAMES = ["mosquitto", "monitor", "gateway", "guard", "host@steady", "feed"]


@pytest.fixture
def fresh(live: Box, strategies: Path) -> Box:
    """A new box that holds a hundred shares of ALFA, with a protective stop."""
    live.up("--strategy", strategies / "steady.py").ready()
    _holds(live, {"ALFA": "100"})
    return live


@pytest.fixture(scope="module")
def _shared(boxes: Callable[..., Box], strategies: Path) -> Box:
    return boxes("steady", LIVE).up("--strategy", strategies / "steady.py").ready()


@pytest.fixture
def steady(_shared: Box) -> Box:
    """The same, shared by tests that leave it running; active again after what the test before told it."""
    if until(_shared.latch, why="the latch is told") != "active":
        assert _shared.ask("resume").code == 0
    _holds(_shared, {"ALFA": "100"})
    return _shared


def _holds(box: Box, positions: dict[str, str]) -> None:
    until(lambda: box.status()["positions"] == positions, 20, f"holds {positions}")


def _latched(box: Box, state: str) -> None:
    until(lambda: box.latch() == state, 10, f"the latch is {state}")


def test_status_tells_every_process_its_pid_and_the_account(steady: Box) -> None:
    told = until(lambda: (s := steady.status())["state"] == "ready" and s, 10, "ready")
    assert [row["name"] for row in told["processes"]] == NAMES
    assert {row["pid"] for row in told["processes"]} == {steady.pid(name) for name in NAMES}
    assert all(set(row) == {"name", "pid", "state", "age_s", "restarts"} for row in told["processes"])
    assert all(row["age_s"] < 30 for row in told["processes"])
    assert told["latch"]["state"] == "active"
    assert float(told["account"]["cash"]) < 100_000
    assert told["positions"] == {"ALFA": "100"}


def test_it_trades_and_after_a_restart_goes_on_with_the_same_position(fresh: Box, strategies: Path) -> None:
    before = fresh.interrupt()
    assert before.code == 0
    assert before.json["fills"] == 1
    assert fresh.left() == []
    fresh.up("--strategy", strategies / "steady.py").ready()
    _holds(fresh, {"ALFA": "100"})
    bars = _bars(fresh)
    until(lambda: _bars(fresh) > bars, 15, "a new bar")
    after = fresh.interrupt()
    assert (after.json["fills"], after.json["position"]) == (1, {"ALFA": "100"})
    assert after.json["cash"] == before.json["cash"]


def _bars(box: Box) -> int:
    return max(box.handled("host@steady", "feed/bars", 50), default=0)


def test_a_fast_strategy_trades_again_and_again_and_every_fill_is_counted(live: Box, strategies: Path) -> None:
    live.up("--strategy", strategies / "flip.py").ready()
    cash = live.status()["account"]["cash"]
    until(lambda: live.status()["account"]["cash"] != cash, 20, "it has traded")
    until(lambda: live.status()["positions"] == {}, 10, "and is out again")
    done = live.interrupt()
    held = int(done.json["position"].get("ALFA", 0))
    assert done.json["fills"] >= 2
    assert held == 100 * (done.json["fills"] % 2)


def test_a_second_box_on_the_same_state_directory_is_refused_and_the_pid_is_named(steady: Box) -> None:
    assert steady.process is not None
    before = steady.rows()
    done = steady.ask("up", "--json")
    assert done.code == 5
    assert f"in use by process {steady.process.pid}" in done.err
    assert done.json["error"]["code"] == "ENVIRONMENT"
    assert not steady.ended()
    assert steady.rows() == before


# --- what the owner says --------------------------------------------------------------------------------------------


def test_halt_stops_trading_and_resume_allows_it_again(steady: Box) -> None:
    done = steady.ask("halt", "--reason", "odd fills", "--json")
    assert (done.code, done.json["done"]) == (0, True)
    latch = steady.status()["latch"]
    assert (latch["state"], latch["why"]) == ("halted", "odd fills")
    assert steady.ask("resume").code == 0
    _latched(steady, "active")


def test_flatten_closes_the_position_entries_stay_paused_and_resume_trades_again(steady: Box) -> None:
    assert steady.ask("flatten").code == 0
    _holds(steady, {})
    _latched(steady, "reducing")
    assert steady.ask("resume").code == 0
    _holds(steady, {"ALFA": "100"})


def test_reduce_pauses_entries(steady: Box) -> None:
    assert steady.ask("reduce", "--reason", "news").code == 0
    assert steady.status()["latch"]["state"] == "reducing"
    assert steady.status()["positions"] == {"ALFA": "100"}


def test_cancel_all_spares_the_protective_stop_unless_everything_is_meant(steady: Box) -> None:
    assert "0 cancels sent" in steady.ask("cancel-all").out
    assert "1 cancels sent" in steady.ask("cancel-all", "--all").out


def test_resume_for_another_generation_than_the_present_one_is_refused(steady: Box) -> None:
    assert steady.ask("halt").code == 0
    done = steady.ask("resume", "--generation", 77)
    assert done.code == 1
    assert "you named 77" in done.err
    assert steady.latch() == "halted"


def test_halt_works_while_mosquitto_hangs(steady: Box) -> None:
    pid = steady.hit("mosquitto", signal.SIGSTOP)
    done = steady.ask("halt", "--reason", "bus is gone")
    assert done.code == 5
    assert "the latch files are written" in done.err
    steady.hit("mosquitto", signal.SIGCONT)
    _latched(steady, "halted")
    assert steady.pid("mosquitto") == pid
    latch = steady.status()["latch"]
    assert (latch["why"], latch["by"]) == ("bus is gone", "file")


def test_halt_works_while_mosquitto_dies(steady: Box) -> None:
    steady.hit("mosquitto")
    assert steady.ask("halt", "--reason", "just then").code in (0, 5)
    _latched(steady, "halted")


@pytest.mark.parametrize("victim", ["guard", "gateway", "host@steady", "feed", "monitor"])
def test_a_killed_process_comes_back_and_cash_and_position_are_as_they_were(steady: Box, victim: str) -> None:
    cash = steady.status()["account"]["cash"]
    old = steady.hit(victim)
    until(lambda: steady.pid(victim) != old, 10, "a new process")
    until(lambda: steady.status()["state"] == "ready", 20, "all ready")
    told = steady.status()
    assert (told["positions"], told["account"]["cash"]) == ({"ALFA": "100"}, cash)


def test_a_halt_survives_a_restart_of_everything(fresh: Box, strategies: Path) -> None:
    assert fresh.ask("flatten").code == 0
    _holds(fresh, {})
    assert fresh.ask("halt", "--reason", "over night").code == 0
    fresh.interrupt()
    fresh.up("--strategy", strategies / "steady.py").ready()
    _latched(fresh, "halted")
    assert fresh.status()["latch"]["why"] == "over night"
    assert fresh.status()["positions"] == {}
    assert fresh.ask("resume").code == 0
    _holds(fresh, {"ALFA": "100"})


def test_panic_is_refused_while_the_gateway_lives_and_acts_when_it_is_dead(fresh: Box, strategies: Path) -> None:
    done = fresh.ask("panic", "--flatten")
    assert done.code == 5
    assert f"in use by process {fresh.pid('gateway')}" in done.err
    fresh.interrupt()
    done = fresh.ask("panic", "--flatten", "--json")
    assert done.code == 0, done
    assert done.json == {"canceled": 1, "closing": 1}
    fresh.up("--strategy", strategies / "steady.py").ready()
    _latched(fresh, "halted")


@pytest.mark.parametrize("command", ["resume", "reduce", "flatten", "cancel-all", "halt", "status", "panic"])
def test_a_command_where_no_box_was_ever_started_says_so(box: Box, command: str) -> None:
    done = box.ask(command, "--json")
    assert done.code == 5
    assert str(box.state) in done.err
    assert not box.state.exists()
