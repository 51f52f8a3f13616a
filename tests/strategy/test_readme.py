"""What the READMEs tell a strategy author is true: every block runs, every table is complete, every message comes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import click
import pytest

from appliance.cli import app
from appliance.data.sources.random_walk import random_walk
from appliance.errors import StrategyError
from appliance.strategy.base import HOOKS
from appliance.strategy.loader import load
from appliance.strategy.makers import Indicators
from appliance.strategy.runner import StrategyRunner
from appliance.strategy.verbs import Verbs

ROOT = Path(__file__).parents[2]
HANDBOOK = (ROOT / "strategies" / "README.md").read_text()
FRONT = (ROOT / "README.md").read_text()
IMPORT = "from appliance.strategy import Strategy, param\n"
BARS = 300


def _blocks(text: str, kind: str) -> list[str]:
    """The fenced blocks of a kind, without their indent."""
    found: list[str] = []
    inside: str | None = None
    indent = 0
    for line in text.splitlines(keepends=True):
        if not line.lstrip().startswith("```"):
            if inside == kind:
                found[-1] += line[indent:]
        elif inside is None:
            inside = line.strip("` \n")
            indent = line.index("`")
            found += [""] * (inside == kind)
        else:
            inside = None
    return found


def _table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    lines = HANDBOOK.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    rows = [line for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def _code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _run(source: str) -> StrategyRunner:
    """Load a strategy and let it see a random walk. Raises what it raises."""
    runner = load(source, "shown.py")
    runner.set_cash(Decimal(10_000))
    runner.start(next(random_walk(1, seed=3)).start)
    for bar in random_walk(BARS, seed=3):
        for wish in runner.bar(bar, bar.end):
            runner.set_position(wish.symbol, wish.quantity)
        while (due := runner.due()) is not None and due <= bar.end:
            runner.timer(due, due)
    return runner


SHOWN = [*_blocks(FRONT, "python"), *_blocks(HANDBOOK, "python")]
COMMANDS = [
    line.split("#")[0].strip()
    for text in (FRONT, HANDBOOK)
    for block in (*_blocks(text, "sh"), *_blocks(text, ""))
    for line in block.splitlines()
    if line.startswith(".venv/bin/appliance ")
]


@pytest.mark.parametrize("source", SHOWN, ids=lambda source: re.search(r"class (\w+)", source)[1])
def test_every_strategy_shown_runs_and_survives_a_restart(source: str) -> None:
    whole = source if IMPORT in source else IMPORT + source
    saved = _run(whole).snapshot()
    fresh = load(whole, "shown.py")
    fresh.restore(saved)
    assert fresh.snapshot() == saved


def test_the_blocks_are_found() -> None:
    assert len(SHOWN) == 6
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_shown_is_one(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = app
    parent = None
    while isinstance(command, click.Group):
        parent = click.Context(command, parent)
        name = words.pop(0)
        found = command.get_command(parent, name)
        assert found is not None, f"there is no {name}"
        command = found
    assert command.make_context(command.name, words, parent, resilient_parsing=False).params


def test_what_is_to_be_tried_works_as_it_stands(tmp_path: Path) -> None:
    bin_folder = tmp_path / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    for name, rest in (("python", ""), ("appliance", "-m appliance ")):
        (bin_folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {rest}"$@"\n')
        (bin_folder / name).chmod(0o755)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "trend.py").write_text(_blocks(HANDBOOK, "python")[0])
    done = subprocess.run(
        ["bash", "-e", "-c", _blocks(HANDBOOK, "sh")[0]],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    assert "5,000" in done.stdout
    assert "7 passed, 0 failed, 0 skipped" in done.stdout


# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_table_of_files_has_every_example() -> None:
    rows = re.findall(r"^\| `(\w+\.py)` \|", HANDBOOK, re.MULTILINE)
    assert sorted(rows) == sorted(path.name for path in (ROOT / "strategies").glob("*.py"))


def test_the_table_of_hooks_has_every_hook_as_it_is_called() -> None:
    shown = [_code(row[0])[0] for row in _table("Hooks")]
    assert shown == [f"{name}({', '.join(('self', *given))})" for name, given in HOOKS.items()]


def test_the_table_of_verbs_has_every_verb() -> None:
    shown = {name for row in _table("Verbs") for cell in row for name in re.findall(r"self\.(\w+)", cell)}
    others = {"sell", "order"}
    assert {*shown, *others} == {name for name in vars(Verbs) if not name.startswith("_")}


def test_the_table_of_indicators_has_every_indicator_and_each_call_works() -> None:
    calls = [call for row in _table("Indicators") for call in _code(row[0])]
    assert {re.search(r"self\.(\w+)", call)[1] for call in calls} == {
        name for name in vars(Indicators) if not name.startswith("_")
    }
    lines = "".join(f"        self.made{number} = {call}\n" for number, call in enumerate(calls))
    made = load(
        f'{IMPORT}class All(Strategy):\n    def on_start(self):\n        symbol, other = "A", "B"\n{lines}', "all.py"
    )
    made.start(0)
    assert len(made.snapshot()["indicators"]) == len(calls)


def test_the_lines_in_the_table_of_indicators_exist() -> None:
    for first, second in _table("Indicators"):
        for name in re.findall(r"`\.(\w+)`", second):
            call = _code(first)[0]
            source = f"{IMPORT}class One(Strategy):\n    def on_start(self):\n        symbol, other = 'A', 'B'\n"
            made = load(f"{source}        self.one = {call}\n        one = self.one.{name}\n", "one.py")
            assert made.start(0) == ()


# --- mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES = _table("What is refused, and common mistakes")
WRONG = f"{IMPORT}class Wrong(Strategy):\n    symbol: str = param('WALK')\n"
WHERE = {
    "file": f"{{code}}\n{WRONG}",
    "class": f"{WRONG}    symbols = ('WALK',)\n    {{code}}\n",
    "on_bar": f"{WRONG}    def on_bar(self, bar):\n        {{code}}\n",
}
"""Where the code of a row stands."""


@pytest.mark.parametrize(("where", "code", "message"), MISTAKES, ids=[row[1] for row in MISTAKES])
def test_every_common_mistake_is_told_as_the_table_says(where: str, code: str, message: str) -> None:
    source = WHERE[where].format(code=_code(code)[0])
    with pytest.raises(StrategyError) as told:
        _run(source).snapshot()
    assert message in str(told.value)
