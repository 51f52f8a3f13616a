"""One place tells every error, to a person and to a program, and decides on the exit code."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from appliance import __version__, cli
from appliance.errors import (
    ApplianceError,
    BusError,
    DataError,
    EnvironmentFault,
    JournalError,
    RefusedError,
    SettingsError,
    StrategyError,
    UsageError,
)
from appliance.shell import logs
from tests.commands.conftest import ROOT, Appliance


@pytest.fixture
def failing(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> Appliance:
    """``failing(error)``: the command line with a command that raises it."""

    def run(*args: object) -> object:
        error, *rest = args

        @click.command()
        @click.option("--json", "as_json", is_flag=True)
        def status(as_json: bool) -> None:
            raise error  # type: ignore[misc]

        monkeypatch.setattr(cli.Tool, "get_command", lambda self, ctx, name: status)
        return appliance("status", *rest)

    return run  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (RefusedError, 1), (ApplianceError, 1), (UsageError, 2), (SettingsError, 2), (DataError, 3),
        (StrategyError, 4), (EnvironmentFault, 5), (JournalError, 5), (BusError, 5),
    ],
)  # fmt: skip
def test_each_kind_of_error_has_its_exit_code_and_is_told_with_its_hint(
    failing: Appliance, kind: type[ApplianceError], code: int
) -> None:
    said = failing(kind("it is broken", hint="mend it"))
    assert said == (code, "", "error: it is broken\n  hint: mend it\n")


def test_with_json_the_error_is_one_object_on_standard_output(failing: Appliance) -> None:
    said = failing(DataError("bad row", hint="look at it"), "--json")
    assert said.json == {"error": {"code": "DATA", "text": "bad row", "hint": "look at it"}}
    assert "error: bad row" in said.err


def test_a_mistake_of_ours_is_no_answer_of_no_and_shows_where_it_was(failing: Appliance) -> None:
    said = failing(ZeroDivisionError("oh"), "--json")
    assert said.code == 5
    assert said.json["error"]["code"] == "UNEXPECTED"
    assert "Traceback" in said.err
    assert "unexpected: ZeroDivisionError: oh" in said.err


def test_an_interrupt_ends_it_with_code_130(failing: Appliance) -> None:
    assert failing(KeyboardInterrupt()).code == 130


def test_secrets_are_masked_in_what_is_told(failing: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_secrets", ())
    logs.hide("hunter2")
    for error in (EnvironmentFault("login with hunter2 failed", hint="not hunter2"), ValueError("hunter2")):
        said = failing(error, "--json")
        assert "hunter2" not in said.out + said.err
        assert logs.MASK in said.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("bakctest",), "no command 'bakctest'\n  hint: did you mean 'backtest'?"),
        (("xyzzy",), "no command 'xyzzy'\n  hint: there are up, status, halt"),
        (("backtest", "x.py", "--symbol", "SPY"), "no option '--symbol'\n  hint: did you mean --symbols"),
        (("simulate", "--sedes", "3"), "--seeds"),
        (("backtest",), "missing argument 'STRATEGY'"),
        (("--jsn",), "'appliance --help' tells what there is"),
    ],
)
def test_a_wrong_word_ends_it_with_code_2_and_names_the_nearest(
    appliance: Appliance, args: tuple[str, ...], words: str
) -> None:
    said = appliance(*args)
    assert said.code == 2
    assert words in said.err
    assert said.out == ""


def test_a_wrong_option_is_told_as_json_too(appliance: Appliance) -> None:
    said = appliance("backtest", "--json", "--nothing")
    assert said.code == 2
    assert said.json["error"]["code"] == "USAGE"


def test_the_help_lists_every_command_and_without_one_it_is_shown(appliance: Appliance) -> None:
    said = appliance("--help")
    assert said.code == 0
    assert all(f"\n  {name}" in said.out for name in cli.COMMANDS)
    assert appliance().out == said.out


def test_the_version_is_told(appliance: Appliance) -> None:
    assert appliance("--version").out == f"appliance {__version__}\n"


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_is_there_and_explains_itself(appliance: Appliance, name: str) -> None:
    said = appliance(name, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: appliance {name}")
    assert len(said.out) > 200


@pytest.mark.parametrize(
    ("args", "unwanted"),
    [
        (["--help"], ["appliance.processes", "appliance.world", "pydantic", "numpy"]),
        (["run", "--help"], ["appliance.world", "pandas", "pydantic", "exchange_calendars"]),
        (["halt", "--help"], ["appliance.world", "pandas", "pydantic", "numpy"]),
    ],
)
def test_a_command_loads_no_more_than_it_needs(args: list[str], unwanted: list[str]) -> None:
    code = (
        "import json, sys\nfrom appliance.cli import app\n"
        f"try: app.main({args!r})\nexcept SystemExit: print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = json.loads(ran.stderr.splitlines()[-1])
    assert not [module for module in loaded if module in unwanted]


def test_it_runs_as_a_module_and_ends_with_the_code() -> None:
    ran = subprocess.run([sys.executable, "-m", "appliance", "config", "nothing"], cwd=ROOT, capture_output=True)
    assert ran.returncode == 2
    assert ran.stderr.startswith(b"error: ")
