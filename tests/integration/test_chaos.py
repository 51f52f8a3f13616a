"""The short form of ``python -m tests.chaos``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import Chaos, options, play
from tests.integration.running import STRATEGIES, random_walk


def test_twelve_kills_of_anybody_leave_the_orders_as_they_were(tmp_path: Path) -> None:
    data = random_walk(tmp_path / "bars.csv", 600)
    chaos = Chaos(
        ("--data", str(data), "--session", "all"), (str(STRATEGIES / "sma_cross.py"),), kills=12, supervisor=1
    )
    told = play(chaos, tmp_path / "chaos")
    assert told["identical"], told
    assert told["kills"] == 12, told
    assert told["orders"] > 20
    assert sum(told["by_process"].values()) == 12


def test_a_run_that_ends_before_the_kills_are_done_says_so(tmp_path: Path) -> None:
    data = random_walk(tmp_path / "bars.csv", 20)
    chaos = Chaos(
        ("--data", str(data), "--session", "all"), (str(STRATEGIES / "sma_cross.py"),), kills=500, supervisor=0
    )
    told = play(chaos, tmp_path / "chaos")
    assert "of 500 kills" in told["error"]


@pytest.mark.parametrize("kills", [1, 60])
def test_options_are_those_of_the_command_line(kills: int) -> None:
    chaos, folder = options(["--kills", str(kills), "--seed", "7", "--data", "a.csv", "--data", "b.csv"])
    assert (chaos.kills, chaos.seed, folder) == (kills, 7, None)
    assert chaos.data == ("--data", "a.csv", "--data", "b.csv", "--bar-stamp", "start", "--symbols", "SPY")
