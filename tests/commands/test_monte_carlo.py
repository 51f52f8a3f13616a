"""What else a result could have been: read from its folder, seeded, and refused where there is nothing to draw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.research.monte_carlo import BLOCKS, METHODS, Chance, as_json, doubts, simulated
from appliance.research.statistics.resampling import Distribution, Simulated
from tests.commands.conftest import SMA, Appliance
from tests.integration.running import random_walk


@pytest.fixture
def folder(appliance: Appliance, tmp_path: Path) -> Path:
    """A result of four days, with many trades."""
    data, out = random_walk(tmp_path / "bars.csv", 4_000), tmp_path / "result"
    said = appliance(
        "backtest", SMA, "--data", data, "--session", "all", "--param", "fast=3", "--param", "slow=12", "--out", out
    )
    assert said.code == 0, said.err
    return out


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_runs_and_the_result_is_among_them(folder: Path, method: str) -> None:
    one, again, other = (simulated(folder, method, 500, seed, 0.5, None) for seed in (3, 3, 4))
    assert one == again
    assert one != other
    end = float(json.loads((folder / "result.json").read_bytes())["summary"]["end_equity"])
    assert one.found.end_equity.actual == pytest.approx(end, rel=1e-9)
    assert one.found.end_equity.percentiles[1] <= end + 1e-6
    assert one.found.end_equity.percentiles[99] >= end - 1e-6


def test_shuffled_trades_end_where_the_result_did(folder: Path) -> None:
    found = simulated(folder, "trades", 500, 1, 0.5, None).found
    trades = (folder / "trades.csv").read_text().count("\n") - 1
    assert found.count == trades
    assert len(set(found.end_equity.percentiles.values())) == 1
    assert found.max_drawdown.percentiles[1] < found.max_drawdown.percentiles[99]


def test_the_command_writes_a_table_and_a_page(appliance: Appliance, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "chance"
    said = appliance("monte-carlo", folder, "--shuffles", 200, "--block", 2, "--out", out, "--json")
    assert said.code == 0, said.err
    assert said.json == json.loads((out / "monte-carlo.json").read_bytes())
    assert said.json["method"] == "stationary blocks of 2 days"
    assert b"Monte Carlo" in (out / "report.html").read_bytes()
    assert appliance("monte-carlo", folder, "--shuffles", 200, "--block", 2).out.startswith(
        "sma_cross: 200 runs of 4, "
    )


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--shuffles", 0), 2, "--shuffles"),
        (("--method", "dice"), 2, "dice"),
        (("--method", "trades", "--block", 3), 2, "--block 3 with --method trades"),
        (("--block", 99), 2, "block 99 is out of range"),
        (("--ruin", 2), 2, "ruin 2.0 is out of range"),
    ],
)
def test_what_is_wrong_is_told(
    appliance: Appliance, folder: Path, more: tuple[object, ...], code: int, words: str
) -> None:
    said = appliance("monte-carlo", folder, *more)
    assert said.code == code
    assert words in said.err


def test_a_folder_that_holds_no_result_is_named(appliance: Appliance, folder: Path, tmp_path: Path) -> None:
    said = appliance("monte-carlo", tmp_path)
    assert said.code == 3
    assert "result.json" in said.err
    (folder / "equity.csv").write_text("time,equity\n1,x\n")
    said = appliance("monte-carlo", folder)
    assert said.code == 3
    assert "equity.csv: row 2: equity is 'x'" in said.err


def chance(ruined: float = 0.0, depth: float = -0.1, deep: float = -0.1, low: float = 1_001.0) -> Chance:
    ends = Distribution({25: low, 50: 1_100.0}, 1_100.0, 0.5)
    return Chance("mine", 1_000.0, Simulated(BLOCKS, 9, 1, 9, 0.5, ends, Distribution({5: deep}, depth, 0.5), ruined))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (chance(), []),
        (chance(ruined=0.05), []),
        (chance(ruined=0.051), ["ruin"]),
        (chance(deep=-0.149), []),
        (chance(deep=-0.151), ["deeper"]),
        (chance(low=999.0), ["may_lose"]),
    ],
)
def test_what_is_doubted(made: Chance, said: list[str]) -> None:
    assert [one.code for one in doubts(made)] == said
    assert as_json(made)["opening"] == 1_000.0
