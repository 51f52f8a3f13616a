"""What an owner gets wrong, and what is wrong around us: a clear message, the right exit code, and nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.running import MINUTE, MONDAY, STRATEGIES, Box, Done, random_walk

SMA = ("--strategy", str(STRATEGIES / "sma_cross.py"))
MAX = ("--speed", "max")
HEADER = "ts,symbol,open,high,low,close,volume"
NO_MOSQUITTO = "import shutil; shutil.which = lambda *a, **k: None; from appliance.cli import main; main()"


def _row(n: int, symbol: str = "SPY", prices: str = "10,11,9,10") -> str:
    return f"{MONDAY + n * MINUTE},{symbol},{prices},100"


@pytest.fixture(scope="module")
def earlier(boxes: Callable[..., Box], walk: tuple[str, ...]) -> Box:
    """A box that has traded a part of its data and was stopped."""
    box = boxes("earlier")
    box.up(*walk, *SMA, *MAX).ready().interrupt()
    return box


DATA: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "a missing column": (["ts,symbol,open,high,low,volume", f"{MONDAY},SPY,10,11,9,100"], ("close",)),
    "a NaN price": ([HEADER, _row(1), _row(2, prices="10,11,nan,10")], ("row 3",)),
    "time going backwards": ([HEADER, _row(1), _row(3), _row(2)], ("row 4",)),
    "low above high": ([HEADER, _row(1), _row(2), _row(3, prices="10,9,11,10")], ("row 4", "low", "high")),
}


@pytest.mark.parametrize("wrong", DATA)
def test_wrong_data_is_refused_and_the_place_is_named(earlier: Box, tmp_path: Path, wrong: str) -> None:
    lines, words = DATA[wrong]
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(lines) + "\n")
    done = _refused(earlier, 3, "--data", path, "--session", "all", *SMA, *MAX, "--until-done")
    for word in ("bars.csv", *words):
        assert word in done.err, done.err


def test_no_such_file_is_told_with_the_nearest_name(earlier: Box, tmp_path: Path) -> None:
    random_walk(tmp_path / "bars.csv", 5)
    done = _refused(earlier, 3, "--data", tmp_path / "bar.csv", "--session", "all", *SMA, *MAX)
    assert "bar.csv: no such file" in done.err
    assert "bars.csv" in done.err


def test_an_unknown_settings_key_names_the_nearest(earlier: Box, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[limits]\nmax_order_share = 5\n[watchdog]\nseconds = -1\n")
    done = _refused(earlier, 2, "--settings", path)
    assert "max_order_shares" in done.err
    assert "watchdog.seconds" in done.err


@pytest.mark.parametrize("where", ["nowhere/orders.jsonl", "."])
def test_orders_that_cannot_be_written_are_told_before_anything_starts(
    earlier: Box, walk: tuple[str, ...], tmp_path: Path, where: str
) -> None:
    done = _refused(earlier, 5, *walk, *SMA, *MAX, "--until-done", "--orders-out", tmp_path / where)
    assert "the orders cannot be written" in done.err
    assert "--orders-out" in done.err


BROKEN = {
    "it does not import": ("import no_such_module\n", 1, "no_such_module"),
    "its syntax is wrong": ("class Mine(\n", 1, "was never closed"),
    "it raises in on_start": (
        "from appliance.strategy import Strategy, param\n\n\nclass Mine(Strategy):\n    symbol: str = param('SPY')\n\n"
        "    def on_start(self):\n        raise ValueError('not today')\n",
        8,
        "not today",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_strategy_that_does_not_load_is_told_with_file_line_and_text(
    earlier: Box, walk: tuple[str, ...], tmp_path: Path, broken: str
) -> None:
    source, line, text = BROKEN[broken]
    path = tmp_path / "mine.py"
    path.write_text(source)
    done = _refused(earlier, 4, *walk, "--strategy", path, *MAX, "--until-done")
    assert f"mine.py:{line}" in done.err
    assert text in done.err


def test_a_symbol_the_files_do_not_have_is_told_with_the_nearest(earlier: Box, walk: tuple[str, ...]) -> None:
    done = _refused(earlier, 3, *walk, *SMA, "--param", "symbol=SPI", *MAX, "--until-done")
    assert "no symbol SPI" in done.err
    assert "did you mean 'SPY'?" in done.err or "SPY" in done.err


def test_a_symbol_of_strategies_in_the_settings_is_looked_up_too(
    earlier: Box, walk: tuple[str, ...], tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f'[[strategies]]\nname = "mine"\nfile = "{STRATEGIES / "sma_cross.py"}"\nparams = {{symbol = "SPI"}}\n'
    )
    done = _refused(earlier, 4, *walk, "--settings", settings, *MAX, "--until-done")
    assert "mine: no symbol 'SPI' in this market; did you mean 'SPY'?; it has SPY" in done.err


def test_strategies_that_are_allotted_more_than_there_is_are_told_both_sums(
    earlier: Box, walk: tuple[str, ...], tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[[strategies]]\nname = "mine"\nfile = "{STRATEGIES / "sma_cross.py"}"\ncash = 60000\n')
    done = _refused(earlier, 2, *walk, "--settings", settings, "--cash", "50000", *MAX, "--until-done")
    assert "60000 USD in all, more than the account's 50000 USD" in done.err


def test_a_strategy_that_raises_in_on_bar_ends_a_recorded_run(box: Box, walk: tuple[str, ...]) -> None:
    path = box.folder / "mine.py"
    path.write_text(
        "from appliance.strategy import Strategy, param\n\n\nclass Mine(Strategy):\n    symbol: str = param('SPY')\n\n"
        "    def on_start(self):\n        self.average = self.sma(self.symbol, 2)\n\n"
        "    def on_bar(self, bar):\n        if self.average.ready:\n            raise ValueError('not this bar')\n"
    )
    done = box.finish(*walk, "--strategy", path, *MAX)
    assert done.code == 4
    assert "mine.py:12" in done.err
    assert "ValueError: not this bar" in done.err
    assert "Traceback" not in done.err
    assert box.left() == []
    _verify(box)


def test_without_mosquitto_it_is_said_how_to_install_it(earlier: Box, walk: tuple[str, ...]) -> None:
    before = earlier.journals()
    done = earlier.up(*walk, *SMA, *MAX, program=(sys.executable, "-c", NO_MOSQUITTO)).end()
    assert done.code == 5
    assert "mosquitto is not installed" in done.err
    assert "apt install mosquitto" in done.err
    assert earlier.journals() == before


@pytest.mark.parametrize("program", ["#!/bin/sh\necho 'cannot open shared object' >&2\nexit 127\n", "no program"])
def test_a_mosquitto_that_does_not_start_is_told_with_its_last_words(
    earlier: Box, walk: tuple[str, ...], tmp_path: Path, program: str
) -> None:
    broken = tmp_path / "mosquitto"
    broken.write_text(program)
    broken.chmod(0o755)
    done = _refused(earlier, 5, *walk, *SMA, *MAX, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert "mosquitto" in done.err
    assert ("cannot open shared object" if program.startswith("#!") else "cannot be started") in done.err


def test_a_state_directory_that_cannot_be_written_is_named(box: Box, walk: tuple[str, ...]) -> None:
    locked = box.folder / "locked"
    locked.mkdir(mode=0o555)
    box.state = locked / "state"
    as_nobody: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("setpriv is not here, and nothing is forbidden to root")
        as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        if subprocess.run([*as_nobody, sys.executable, "-c", "import appliance"], check=False).returncode:
            pytest.skip("this checkout is closed to other users, and nothing is forbidden to root")
    done = box.up("--session", "all", wrapper=as_nobody).end()
    assert done.code == 5, done
    assert str(locked) in done.err
    assert "Permission denied" in done.err
    assert "--state" in done.err


def test_after_all_of_it_the_box_of_before_goes_on_and_ends_as_it_would_have(
    earlier: Box, walk: tuple[str, ...], expected: bytes
) -> None:
    _verify(earlier)
    assert earlier.finish(*walk, *SMA, *MAX).code == 0
    assert earlier.orders.read_bytes() == expected


def _refused(box: Box, code: int, *args: object, env: dict[str, str] | None = None) -> Done:
    """What `up` says when it refuses; the journals of an earlier run stay as they were, bit for bit."""
    before = box.journals()
    done = box.up(*args, env=env).end()
    assert done.code == code, done
    assert done.json["error"]["text"] in done.err
    assert code == 4 or done.json["error"]["hint"]  # what is wrong with a strategy its own line tells
    assert "Traceback" not in done.err
    assert box.journals() == before
    return done


def _verify(box: Box) -> None:
    for process in ("feed", "guard", "gateway"):
        done = box.ask("journal", "verify", process, "--json")
        assert (done.code, done.json["faults"]) == (0, []), done
