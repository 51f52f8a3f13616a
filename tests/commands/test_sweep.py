"""`appliance sweep` as an owner meets it: what he gets, what he gets wrong, and what is left of it."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.commands.conftest import SMA, Appliance, bars, prices, strategy
from tests.integration.running import APPLIANCE, environment, until
from tests.integration.sweeps import kept as outcomes

WAY = ("--objective", "total_return", "--jobs", 1)
"""Two hours are one day, which has no Sharpe ratio."""
GRID = ("--grid", "fast=2:5:1", "--grid", "slow=6:8:2", *WAY)
FILES = {"outcomes.db", "results.csv", "sweep.json", "report.html"}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def sweep(appliance: Appliance, data: Path, tmp_path: Path) -> Appliance:
    """``appliance sweep`` of the SMA crossing over two hours, into ``out``."""

    def run(*more: object) -> object:
        return appliance("sweep", SMA, "--data", data, "--bar-stamp", "start", "--out", tmp_path / "out", *more)

    return run  # type: ignore[return-value]


def test_a_sweep_leaves_a_table_its_settings_and_a_report(sweep: Appliance, tmp_path: Path) -> None:
    said = sweep(*GRID, "--json")
    assert said.code == 0, said.err
    told = said.json
    assert (told["combinations"], told["failed"]) == (8, 0)
    found = rows(tmp_path / "out")
    assert [(row["fast"], row["slow"]) for row in found[:3]] == [("2", "6"), ("2", "8"), ("3", "6")]
    best = max(found, key=lambda row: float(row["total_return"]))
    assert told["best"]["params"] == {"fast": best["fast"], "slow": best["slow"]}
    assert told["best"]["objective"] == float(best["total_return"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES


def test_a_combination_is_what_backtest_says_of_it(
    sweep: Appliance, appliance: Appliance, data: Path, tmp_path: Path
) -> None:
    sweep(*GRID)
    row = rows(tmp_path / "out")[2]
    alone = appliance(
        "backtest", SMA, "--data", data, "--bar-stamp", "start", "--param", "fast=3", "--param", "slow=6", "--json"
    ).json
    for name in ("total_return", "max_drawdown", "fees", "orders", "trades"):
        assert float(row[name]) == float(alone[name]), name
    assert float(row["trades"]) > 3


def test_the_same_command_runs_nothing_twice_and_may_rank_by_something_else(sweep: Appliance, tmp_path: Path) -> None:
    sweep(*GRID)
    before = (tmp_path / "out" / "results.csv").read_bytes()
    kept = outcomes(tmp_path / "out")
    assert sweep(*GRID).code == 0
    assert (tmp_path / "out" / "results.csv").read_bytes() == before
    assert outcomes(tmp_path / "out") == kept
    said = sweep(*GRID, "--objective", "fees", "--minimize", "--where", "trades >= 1", "--json")
    assert said.json["objective"] == "fees"
    fees = [float(row["fees"]) for row in rows(tmp_path / "out") if float(row["trades"]) >= 1]
    assert said.json["best"]["objective"] == min(fees)


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ((), 2, ("nothing is varied", "--grid")),
        (("--grid", "fast"), 2, ("--grid 'fast'", "NAME=LOW:HIGH:STEP")),
        (("--grid", "fast=5:2:1"), 2, ("5 is above 2",)),
        (("--grid", "fats=2:5:1"), 4, ("fats", "fast")),
        (("--grid", "fast=2,x"), 4, ("fast", "x")),
        (("--grid", "fast=0:5:1"), 4, ("fast", "0")),
        (("--grid", "fast=2:5:1", "--param", "fast=3"), 2, ("fast is both varied and given",)),
        (("--grid", "fast=2:5:1", "--objective", "sharpes"), 2, ("'sharpes'", "did you mean sharpe")),
        (("--grid", "fast=2:5:1", "--where", "trade > 3"), 2, ("'trade'", "did you mean")),
        (("--grid", "fast=2:5:1", "--where", "trades"), 2, ("compares nothing",)),
        (("--grid", "fast=2:5:1", "--constraint", "fast < slo"), 2, ("varied parameter 'slo'",)),
        (("--grid", "fast=2:5:1", "--constraint", "fast > 9"), 2, ("no combination is left", "fast > 9")),
        (("--grid", "fast=2:5"), 2, ("has no step", "--random N")),
        (("--grid", "fast=2:5:1", "--jobs", 0), 2, ("--jobs",)),
        (("--grid", "fast=2:5:1", "--orders-out", "x"), 2, ("--orders-out",)),
        (("--grid", "fast=2:5:1", "--vectorized", "--latency", "1s"), 2, ("latency",)),
        (("--grid", "fast=2:5:1", "--cluster", "tcp://127.0.0.1:9"), 5, ("tcp://127.0.0.1:9", "dask scheduler")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_nothing_is_left_behind(
    sweep: Appliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[object, ...], code: int,
    words: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.setattr("appliance.research.sweep.workers.PATIENCE", 0.5)
    said = sweep(*more)
    assert said.code == code, said.err
    for word in words:
        assert word in said.err
    left = tmp_path / "out"
    assert not left.exists() or not any(left.iterdir())


def test_a_folder_that_holds_something_else_is_left_alone(sweep: Appliance, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("mine")
    said = sweep(*GRID)
    assert said.code == 2
    assert "holds no sweep" in said.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["letter.txt"]


def test_what_has_changed_since_is_named_and_nothing_is_mixed(sweep: Appliance, data: Path, tmp_path: Path) -> None:
    sweep(*GRID)
    before = (tmp_path / "out" / "results.csv").read_bytes()
    assert "combinations: fast=2,3,4,5" in sweep("--grid", "fast=2:6:1", "--grid", "slow=6:8:2", *WAY).err
    assert "settings" in sweep(*GRID, "--cash", 5_000).err
    assert "--vectorized: it was not given" in sweep(*GRID, "--vectorized").err
    bars(data, *prices(121))
    said = sweep(*GRID)
    assert said.code != 0
    assert f"data: {data} has other bytes" in said.err
    assert "--out DIR" in said.err
    assert (tmp_path / "out" / "results.csv").read_bytes() == before


def test_combinations_that_raise_are_counted_and_the_others_ranked(
    appliance: Appliance, data: Path, tmp_path: Path
) -> None:
    mine = strategy(
        tmp_path / "mine.py",
        "1 / (self.pace - 2)\n        self.target('SPY', quantity=self.pace % 2)",
    )
    mine.write_text(mine.read_text().replace('param("SPY")\n', 'param("SPY")\n    pace: int = param(1)\n'))
    out = tmp_path / "out"
    said = appliance(
        "sweep", mine, "--data", data, "--bar-stamp", "start", "--grid", "pace=1:4:1", "--jobs", 1,
        "--objective", "fees", "--out", out, "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert (said.json["combinations"], said.json["failed"]) == (4, 1)
    assert "ZeroDivisionError" in rows(out)[1]["error"]
    assert "mine.py:12" in rows(out)[1]["error"]


def test_by_whole_arrays_the_table_is_the_same(sweep: Appliance, tmp_path: Path) -> None:
    sweep(*GRID)
    before = rows(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "events")
    assert sweep(*GRID, "--vectorized").code == 0
    for one, other in zip(before, rows(tmp_path / "out"), strict=True):
        for name in ("orders", "fills", "trades", "fees"):
            assert one[name] == other[name], name
        assert float(one["total_return"]) == pytest.approx(float(other["total_return"]), rel=1e-9, abs=1e-15)


def test_signals_that_say_otherwise_than_on_bar_are_told_before_anything_is_swept(
    appliance: Appliance, data: Path, tmp_path: Path
) -> None:
    mine = strategy(tmp_path / "mine.py", "self.target('SPY', quantity=self.pace if bar.close > bar.open else 0)")
    text = mine.read_text().replace('param("SPY")\n', 'param("SPY")\n    pace: int = param(1)\n')
    mine.write_text(
        text + "\n    def signals(self, bars):\n        return (bars.close < bars.open) * float(self.pace)\n"
    )
    out = tmp_path / "out"
    said = appliance(
        "sweep", mine, "--data", data, "--bar-stamp", "start", "--grid", "pace=1:4:1", "--vectorized", "--out", out
    )
    assert said.code == 4
    assert "signals" in said.err
    assert not out.exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_it_with_130_and_the_same_command_goes_on(tmp_path: Path, jobs: int) -> None:
    data = bars(tmp_path / "bars.csv", *prices(200))
    command = [
        *APPLIANCE, "sweep", SMA, "--data", str(data), "--bar-stamp", "start", "--grid", "fast=2:31:1",
        "--grid", "slow=32:36:1", "--objective", "fees", "--jobs", str(jobs), "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    until(lambda: len(outcomes(tmp_path / "out")) >= 20, 60, "some outcomes")
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does it: to every process
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert b"the same command goes on with the rest" in err
    assert not (tmp_path / "out" / "results.csv").exists()
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "out")) == 150
