"""`appliance simulate`: seeds over processes, a verdict in figures, the way to look at a world that broke a rule."""

from __future__ import annotations

import pytest

from appliance.commands import simulate as command
from appliance.world.simulation import Result
from tests.commands.conftest import Appliance

KEYS = ["seeds", "violations", "simulated_s", "wall_s", "speedup", "orders", "fills", "faults", "failed"]


def test_a_few_worlds_break_no_rule_and_are_counted(appliance: Appliance) -> None:
    said = appliance("simulate", "--seeds", 5, "--first-seed", 3, "--jobs", 1, "--json")
    assert said.code == 0
    assert list(said.json) == KEYS
    assert (said.json["seeds"], said.json["violations"], said.json["failed"]) == (5, 0, [])
    assert said.json["orders"] > 0
    assert said.json["simulated_s"] == 5 * 85
    assert sum(said.json["faults"].values()) > 0


def test_several_processes_find_what_one_finds(appliance: Appliance) -> None:
    one, two = (appliance("simulate", "--seeds", 5, "--jobs", jobs, "--json").json for jobs in (1, 2))
    for key in ("seeds", "violations", "simulated_s", "orders", "fills", "faults"):
        assert one[key] == two[key]


def test_a_world_that_broke_a_rule_gives_code_1_its_seed_and_the_way_to_look(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(seed: int, trace: object) -> Result:
        return Result(seed, ["an order was sent twice"] if seed == 2 else [], 10**9, 1, 1, {"kill": 1}, "")

    monkeypatch.setattr(command, "simulate_seed", broken)
    told = appliance("simulate", "--seeds", 3, "--jobs", 1)
    assert told.code == 1
    assert "seed 2: an order was sent twice" in told.out
    assert "appliance simulate --seed 2 --trace" in told.out
    said = appliance("simulate", "--seeds", 3, "--jobs", 1, "--json")
    assert said.code == 1
    assert said.json["violations"] == 1
    assert said.json["failed"] == [{"seed": 2, "violations": ["an order was sent twice"]}]
    assert said.json["faults"] == {"kill": 3}


def test_a_world_that_raises_is_a_violation_with_its_seed(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(seed: int, trace: object) -> Result:
        raise KeyError("lost")

    monkeypatch.setattr(command, "simulate_seed", raising)
    said = appliance("simulate", "--seed", 7)
    assert said.code == 1
    assert "seed 7: the world raised KeyError: 'lost'" in said.out


def test_a_trace_tells_a_run_and_with_json_it_leaves_standard_output_alone(appliance: Appliance) -> None:
    told = appliance("simulate", "--seed", 3, "--trace")
    assert told.code == 0
    assert "feed starts" in told.out
    assert "faults stop" in told.out
    said = appliance("simulate", "--seed", 3, "--trace", "--json")
    assert said.json["seeds"] == 1
    assert "faults stop" in said.err


@pytest.mark.parametrize(
    ("args", "words"),
    [(("--trace",), "--trace needs a seed"), (("--seeds", "0"), "'--seeds'"), (("--jobs", "many"), "'--jobs'")],
)
def test_a_wrong_option_ends_it_with_code_2(appliance: Appliance, args: tuple[str, ...], words: str) -> None:
    said = appliance("simulate", *args)
    assert said.code == 2
    assert words in said.err
