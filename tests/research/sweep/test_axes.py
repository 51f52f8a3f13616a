"""What is varied: every way to write an axis, and every mistake in it."""

from __future__ import annotations

from random import Random

import pytest

from appliance.errors import UsageError
from appliance.research.sweep.axes import Axis, axes, axis, drawn, grid, size


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("fast=5:20:5", ("5", "10", "15", "20")),
        ("fast=5:19:5", ("5", "10", "15")),
        ("stop=0.1:0.3:0.1", ("0.1", "0.2", "0.3")),
        ("fast=7:7:1", ("7",)),
        ("mode=long,short", ("long", "short")),
        ("fast=5", ("5",)),
        ("drift=-1:1:1", ("-1", "0", "1")),
    ],
)
def test_an_axis_has_both_of_its_ends(text: str, values: tuple[str, ...]) -> None:
    assert axis(text).values == values


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fast", "write NAME=LOW:HIGH:STEP"),
        ("=5", "write NAME=LOW:HIGH:STEP"),
        ("fast=", "write NAME=LOW:HIGH:STEP"),
        ("fast=9:5:1", "9 is above 5"),
        ("fast=5:9:0", "a step of 0"),
        ("fast=5:9:-1", "a step of -1"),
        ("fast=5:x:1", "'x' is not a number"),
        ("fast=5:nan:1", "'nan' is not a number"),
        ("fast=1:2:3:4", "4 numbers"),
        ("mode=a,,b", "empty or comes twice"),
        ("mode=a,a", "empty or comes twice"),
        ("fast=0:1e9:0.1", "values"),
    ],
)
def test_a_mistake_in_an_axis_is_named(text: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        axis(text)
    assert text in str(raised.value)
    assert told in str(raised.value)


def test_a_parameter_is_varied_once() -> None:
    with pytest.raises(UsageError, match="fast= is given twice"):
        axes(["fast=1:2:1", "slow=1:2:1", "fast=3,4"])
    with pytest.raises(UsageError, match="nothing is varied"):
        axes([])


def test_a_grid_goes_through_every_combination_the_last_axis_fastest() -> None:
    given = axes(["fast=1,2", "mode=a,b"])
    assert size(given) == 4
    assert list(grid(given)) == [
        {"fast": "1", "mode": "a"}, {"fast": "1", "mode": "b"}, {"fast": "2", "mode": "a"}, {"fast": "2", "mode": "b"},
    ]  # fmt: skip


def test_a_range_without_a_step_is_drawn_from_and_not_enumerated() -> None:
    with pytest.raises(UsageError, match="has no step"):
        grid(axes(["stop=0.5:3"]))
    assert size(axes(["stop=0.5:3", "fast=1,2"])) == 0


def test_more_combinations_than_anyone_can_mean_are_refused() -> None:
    with pytest.raises(UsageError, match="4,000,000 combinations"):
        grid(axes(["fast=1:2000:1", "slow=1:2000:1"]))


def test_the_same_seed_draws_the_same_combinations_and_none_twice() -> None:
    given = axes(["fast=1:100:1", "stop=0.5:3"])
    first, again, other = drawn(given, 50, 7), drawn(given, 50, 7), drawn(given, 50, 8)
    assert first == again != other
    assert len({tuple(one.values()) for one in first}) == 50
    assert all(0.5 <= float(one["stop"]) <= 3 for one in first)


def test_a_small_grid_is_taken_whole_rather_than_drawn_from() -> None:
    given = axes(["fast=1,2", "slow=3,4"])
    assert drawn(given, 4, 1) == list(grid(given))
    assert len(drawn(given, 3, 1)) == 3


def test_whole_ends_draw_whole_numbers() -> None:
    chance = Random(3)
    assert {Axis("n", low=axis("n=1:3").low, high=axis("n=1:3").high).draw(chance) for _ in range(100)} == {
        "1", "2", "3",
    }  # fmt: skip
