"""Fifty worlds of faults without a violation, a seed that replays exactly, and every planted bug found."""

from __future__ import annotations

import pytest

from appliance.world.simulation import simulate
from tests.world.planted import BUGS, SEEDS, Bug, hunt

SEEDS_IN_MAKE_TEST = 50


@pytest.mark.parametrize("first", range(0, SEEDS_IN_MAKE_TEST, 10))
def test_no_order_is_sent_twice_and_no_fill_is_lost_whatever_fails(first: int) -> None:
    for seed in range(first, first + 10):
        result = simulate(seed)
        assert result.violations == [], f"seed {seed}: appliance simulate --seed {seed} --trace"


def test_the_worlds_are_not_calm_because_nothing_happens() -> None:
    results = [simulate(seed) for seed in range(8)]
    assert sum(result.orders for result in results) > 200
    assert sum(result.fills for result in results) > 200
    happened = {name for result in results for name, count in result.faults.items() if count}
    assert {"crashes", "power_cut", "dropped", "duplicated", "delayed", "broker_restart", "pause"} <= happened


@pytest.mark.parametrize("seed", [0, 7, 23])
def test_a_seed_replays_exactly_with_and_without_a_trace(seed: int) -> None:
    lines: list[str] = []
    assert simulate(seed) == simulate(seed, lines.append)
    assert any("power cut" in line or "dies" in line for line in lines)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_planted_bug_is_found(bug: Bug) -> None:
    found = hunt(bug)
    assert found, f"{bug.name} was not found within {SEEDS} seeds: the simulation is blind to it"
    assert not found.startswith("-"), found
