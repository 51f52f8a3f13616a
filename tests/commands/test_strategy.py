"""`appliance strategy`: checks told to people and programs, a starting point that works, words for a running box."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar

import pytest

from appliance import cli
from appliance.commands import going_live, steering
from appliance.commands.strategy import strategy as group
from appliance.domain import wire
from appliance.domain.messages import local
from appliance.domain.operations import Command, CommandResult, Heartbeat, ProcessState, Progress, Verb
from appliance.domain.performance import PerformanceReport
from appliance.errors import StrategyError
from appliance.research.checks import CHECKS
from appliance.runs import RunSpec, StrategySpec, write_spec
from appliance.shell.paths import StatePaths
from tests.commands.conftest import ROOT, SMA, Appliance, bars, prices, strategy

PLANTED = ROOT / "tests" / "research" / "planted"


# --- check -----------------------------------------------------------------------------------------------------------


def test_a_sound_strategy_passes_and_each_check_has_its_line(appliance: Appliance) -> None:
    said = appliance("strategy", "check", SMA)
    assert said.code == 0
    assert all(f"  pass     {name}" in said.out for name in CHECKS)
    assert said.out.endswith("7 passed, 0 failed, 0 skipped\n")
    assert said.err == ""


def test_a_failed_check_ends_with_code_1_and_says_what_to_do(appliance: Appliance) -> None:
    said = appliance("strategy", "check", PLANTED / "state_not_saved.py")
    assert said.code == 1
    assert "  fail     state        what it remembers is lost at a restart; at the bar that ends" in said.out
    assert "hint: a restart keeps indicators and self.state, nothing else" in said.out


def test_what_does_not_load_ends_with_code_4_also_in_json(appliance: Appliance) -> None:
    said = appliance("strategy", "check", PLANTED / "wall_clock.py", "--json")
    assert said.code == 4
    assert (said.json["loads"], said.json["passed"]) == (False, False)
    assert said.json["checks"][0]["verdict"] == "fail"
    assert "use self.now" in said.json["checks"][0]["text"]


def test_one_json_object_has_every_check_in_order(appliance: Appliance) -> None:
    said = appliance("strategy", "check", SMA, "--param", "fast=5", "--json")
    assert said.code == 0
    assert [one["check"] for one in said.json["checks"]] == list(CHECKS)
    assert said.json["strategy"] == "sma_cross"
    assert said.json["passed"] is True


def test_recorded_data_is_taken_when_it_is_named(appliance: Appliance, tmp_path: Path) -> None:
    data = bars(tmp_path / "bars.csv", *prices(300))
    said = appliance("strategy", "check", SMA, "--data", data, "--bar-stamp", "start", "--param", "slow=8", "--param",
                     "fast=3", "--json")  # fmt: skip
    run = next(one for one in said.json["checks"] if one["check"] == "run")
    assert said.code == 0
    assert run["text"].startswith("300 events (bars.csv), ")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("no_such.py",), 4, "no_such.py: No such file or directory"),
        ((SMA, "--param", "fast"), 2, "KEY=VALUE"),
        ((SMA, "--data", "no_such.csv"), 3, "no_such.csv: no such file"),
    ],
)
def test_what_cannot_be_checked_is_told_with_the_right_code(
    appliance: Appliance, args: tuple[str, ...], code: int, words: str
) -> None:
    said = appliance("strategy", "check", *args)
    assert said.code == code
    assert words in said.err


def test_a_wrong_parameter_is_a_strategy_that_does_not_load(appliance: Appliance) -> None:
    said = appliance("strategy", "check", SMA, "--param", "fats=5")
    assert said.code == 4
    assert "unknown parameter 'fats'; did you mean 'fast'?" in said.out


# --- new -------------------------------------------------------------------------------------------------------------


def test_a_new_strategy_and_its_test_pass_as_they_are(appliance: Appliance, tmp_path: Path) -> None:
    said = appliance("strategy", "new", "my_rule", "--folder", tmp_path / "strategies")
    assert said.code == 0
    assert f"next: appliance strategy check {tmp_path}/strategies/my_rule.py" in said.out
    test = tmp_path / "strategies" / "tests" / "test_my_rule.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", str(test)],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_a_new_strategy_is_formatted_and_passes_every_check(appliance: Appliance, tmp_path: Path) -> None:
    appliance("strategy", "new", "my_rule", "--folder", tmp_path)
    said = appliance("strategy", "check", tmp_path / "my_rule.py")
    assert said.code == 0
    assert "0 failed, 0 skipped" in said.out
    lines = [line for path in tmp_path.rglob("*.py") for line in path.read_text().splitlines()]
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("there", ["my_rule.py", "tests/test_my_rule.py"])
def test_nothing_that_is_there_is_overwritten(appliance: Appliance, tmp_path: Path, there: str) -> None:
    path = tmp_path / there
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    said = appliance("strategy", "new", "my_rule", "--folder", tmp_path)
    assert said.code == 2
    assert f"{path} is there already" in said.err
    assert [one.read_text() for one in tmp_path.rglob("*.py")] == ["mine"]


@pytest.mark.parametrize("name", ["My_Rule", "2fast", "../up", "a" * 25, "my rule", "strategy", "my-rule"])
def test_a_name_that_makes_no_strategy_is_refused(appliance: Appliance, tmp_path: Path, name: str) -> None:
    said = appliance("strategy", "new", name, "--folder", tmp_path)
    assert said.code == 2
    assert f"strategy name {name!r} is not allowed" in said.err
    assert list(tmp_path.iterdir()) == []


# --- telling a running box -------------------------------------------------------------------------------------------


class Asked:
    """A window behind which a host answers: it keeps what it was asked."""

    commands: list[dict[str, Any]]
    done = True

    def __init__(self, paths: StatePaths, box: str = "", name: str = "cli", hears: Any = None) -> None:
        self.paths = paths

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *gone: object) -> None:
        """Nothing is open."""

    def command(self, verb: Verb, **fields: Any) -> CommandResult:
        self.commands.append({"verb": verb, **fields})
        return CommandResult("1", self.done, "trend is what you want" if self.done else "not now", fields["target"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> type[Asked]:
    Asked.commands, Asked.done = [], True
    monkeypatch.setattr(steering, "Window", Asked)
    return Asked


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of a box that runs two strategies, one of them in a host with another name."""
    paths = StatePaths(tmp_path / "state")
    paths.run.mkdir(parents=True)
    strategies = (StrategySpec("trend", SMA, params={"fast": "5"}), StrategySpec("other", SMA, host="group"))
    write_spec(paths, RunSpec("test", strategies, Decimal(1)))
    return paths.root


@pytest.mark.parametrize(
    ("args", "verb", "fields"),
    [
        (("pause", "trend"), Verb.PAUSE_STRATEGY, {}),
        (("resume", "trend"), Verb.RESUME_STRATEGY, {}),
        (("stop", "trend", "--reason", "enough"), Verb.STOP_STRATEGY, {"reason": "enough"}),
        (("set", "trend", "fast=3", "slow=9"), Verb.SET_PARAMETERS, {"params": {"fast": "3", "slow": "9"}}),
        (
            ("reload", "trend", "--param", "slow=9"),
            Verb.RELOAD_STRATEGY,
            {"params": {"slow": "9"}, "source": Path(SMA).read_text()},
        ),
    ],
)
def test_the_host_of_the_strategy_is_asked_and_its_answer_printed(
    appliance: Appliance, asked: type[Asked], state: Path, args: tuple[str, ...], verb: Verb, fields: dict[str, Any]
) -> None:
    said = appliance("strategy", *args, "--state", state)
    assert said.code == 0
    assert said.out == "host@trend: trend is what you want\n"
    assert f"{verb.value.removesuffix('-strategy')} trend: pending, asking host@trend" in said.err
    sent = asked.commands[0]
    assert (sent["verb"], sent["target"], sent["strategy"]) == (verb, "host@trend", "trend")
    assert fields.items() <= sent.items()


def test_a_strategy_in_a_group_is_asked_for_at_its_host(appliance: Appliance, asked: type[Asked], state: Path) -> None:
    said = appliance("strategy", "pause", "other", "--state", state, "--json")
    assert said.json == {
        "done": True, "text": "trend is what you want", "process": "host@group", "strategy": "other",
    }  # fmt: skip
    assert asked.commands[0]["target"] == "host@group"
    assert said.err == ""


def test_a_no_of_the_host_ends_with_code_1(appliance: Appliance, asked: type[Asked], state: Path) -> None:
    asked.done = False
    said = appliance("strategy", "pause", "trend", "--state", state)
    assert (said.code, said.out) == (1, "")
    assert "error: host@trend: not now" in said.err
    said = appliance("strategy", "pause", "trend", "--state", state, "--json")
    assert (said.code, said.json["done"]) == (1, False)


@pytest.mark.parametrize("verb", ["pause", "resume", "stop", "reload", "set"])
def test_an_unknown_strategy_names_the_nearest(
    appliance: Appliance, asked: type[Asked], state: Path, verb: str
) -> None:
    said = appliance("strategy", verb, "trent", *(["fast=1"] if verb == "set" else []), "--state", state)
    assert said.code == 2
    assert "no strategy 'trent' runs here" in said.err
    assert "did you mean 'trend'?" in said.err
    assert asked.commands == []


def test_new_code_with_a_mistake_is_told_here_and_the_host_is_not_asked(
    appliance: Appliance, asked: type[Asked], state: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import time\n")
    said = appliance("strategy", "reload", "trend", "--file", bad, "--state", state)
    assert said.code == 4
    assert "use self.now" in said.err
    assert asked.commands == []
    assert appliance("strategy", "reload", "trend", "--file", bad, "--force", "--state", state).code == 0
    assert asked.commands[0]["source"] == "import time\n"


def test_where_nothing_was_started_it_is_said_how_to_start_it(appliance: Appliance, tmp_path: Path) -> None:
    said = appliance("strategy", "pause", "trend", "--state", tmp_path)
    assert said.code == 5
    assert "start the box with `appliance up --state DIR` first" in said.err


def test_a_command_for_a_strategy_has_all_it_needs_on_the_wire() -> None:
    made = Command("1", Verb.RELOAD_STRATEGY, "cli", 5, strategy="trend", source="x = 1", params={"fast": "3"})
    assert wire.decode(wire.encode(local(made, 1, "command"))).body == made


class Heard(Asked):
    """A window that hears a host's heartbeat and its strategy's figures, and nothing of the other host."""

    events: Any = None
    beats: ClassVar = {"host@trend": Heartbeat("host@trend", ProcessState.READY, 1, "i", "b", 1, Progress("x", {}, {}))}

    def until(self, done: Any, seconds: float) -> bool:
        report = PerformanceReport(
            "trend", 1, Decimal(50_000), Decimal(49_000), Decimal("50012.5"), Decimal("12.5"), Decimal(0), Decimal(1),
            positions={"SPY": Decimal(10), "QQQ": Decimal(0)}, state="paused", params={"fast": "7"},
        )  # fmt: skip
        self.events(local(report, 1, "view/strategy/trend"))
        return bool(done())


def test_the_list_shows_what_each_strategy_makes_and_says_where_nothing_is_heard(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch, state: Path
) -> None:
    monkeypatch.setattr(steering, "Window", Heard)
    trend, other = appliance("strategy", "list", "--state", state, "--json").json["strategies"]
    assert (trend["process"], trend["state"], trend["equity"]) == ("ready", "paused", "50012.5")
    assert (trend["positions"], trend["params"]) == ({"SPY": "10"}, {"fast": "7"})
    assert (other["host"], other["process"], other["equity"]) == ("host@group", "not heard", None)
    lines = appliance("strategy", "list", "--state", state).out.splitlines()
    assert lines[1].split() == ["trend", "host@trend", "ready", "paused", "50,012.50", "12.50", "SPY", "10", "fast=7"]
    assert lines[2].split() == ["other", "host@group", "not", "heard", "?", "?", "?", "none"]


def test_names_are_completed_from_the_box_that_runs(state: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance"], check=False, capture_output=True, text=True,
        env={"_APPLIANCE_COMPLETE": "bash_complete", "COMP_WORDS": f"appliance strategy pause --state {state} tr",
             "COMP_CWORD": "5", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout == "plain,trend\n", done.stderr


def test_the_readme_names_every_command() -> None:
    table = (ROOT / "README.md").read_text().split("## Commands")[1].split("Exit codes:")[0]
    missing = [name for name in cli.COMMANDS if f"| `{name}" not in table]
    assert missing == []
    assert [name for name in group.commands if f"`strategy {name}" not in table and f"`{name}`" not in table] == []


def test_the_first_strategy_of_the_readme_passes_every_check(appliance: Appliance, tmp_path: Path) -> None:
    block = (ROOT / "README.md").read_text().split("```python\n")[1].split("```")[0]
    file = tmp_path / "breakout.py"
    file.write_text(dedent(block))
    said = appliance("strategy", "check", file)
    assert said.out.endswith("7 passed, 0 failed, 0 skipped\n")


# --- before going live -----------------------------------------------------------------------------------------------


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    return StatePaths(tmp_path / "live", env={})


def run_of(*files: Path) -> RunSpec:
    """A live run of some strategies."""
    return RunSpec("test", tuple(StrategySpec(file.stem, str(file)) for file in files), Decimal(1), build="b")


def test_before_going_live_what_deceives_itself_is_refused_and_the_rest_runs(
    paths: StatePaths,
) -> None:
    told: list[str] = []
    refused: list[str] = []
    run = run_of(Path(SMA), PLANTED / "state_not_saved.py")
    left = going_live.sound(run, paths, told.append, refused.append)
    assert [one.name for one in left.strategies] == ["sma_cross"]
    assert told == ["checked sma_cross", "checked state_not_saved"]
    assert len(refused) == 1
    assert "state_not_saved" in refused[0]
    assert "state: what it remembers is lost at a restart" in refused[0]


def test_when_nothing_is_left_it_is_an_error_of_the_strategy(paths: StatePaths) -> None:
    with pytest.raises(StrategyError, match="lost at a restart") as caught:
        going_live.sound(run_of(PLANTED / "state_of_the_module.py"), paths, lambda text: None, lambda text: None)
    assert caught.value.exit_code == 4
    assert "--no-check" in caught.value.hint


def test_what_has_passed_is_not_checked_again_until_it_changes(paths: StatePaths, tmp_path: Path) -> None:
    told: list[str] = []
    file = strategy(tmp_path / "mine.py", "self.target(bar.symbol, quantity=round(bar.close))")
    for _ in range(2):
        going_live.sound(run_of(file), paths, told.append, told.append)
    assert told == ["checked mine"]
    file.write_text(file.read_text() + "\n")
    going_live.sound(run_of(file), paths, told.append, told.append)
    assert told == ["checked mine"] * 2


def test_what_does_not_load_is_left_to_its_host(paths: StatePaths, tmp_path: Path) -> None:
    run = run_of(tmp_path / "gone.py", Path(SMA))
    assert going_live.sound(run, paths, lambda text: None, lambda text: None) == run


def test_up_refuses_to_trade_live_what_deceives_itself(appliance: Appliance, tmp_path: Path) -> None:
    said = appliance(
        "up", "--strategy", PLANTED / "state_not_saved.py", "--param", "symbol=ALFA", "--state", tmp_path / "live"
    )
    assert said.code == 4
    assert "refused: state_not_saved" in said.err
    assert "`appliance up --no-check` trades it all the same" in said.err
    assert not (tmp_path / "live" / "run" / "spec.json").exists()
