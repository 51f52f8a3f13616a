"""Renko bricks, counted by hand: where they begin, when they are complete, how they turn, what a restart keeps."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise

import pytest

from appliance.domain.market import MINUTE, Bar
from appliance.errors import StrategyError
from appliance.strategy.indicators import Renko
from appliance.strategy.indicators.renko import BRICKS_MAX
from appliance.strategy.loader import load
from tests.strategy.indicator_table import numbered, walk


def closes(*prices: float) -> list[Bar]:
    return numbered((price, price, price, price, 1.0) for price in prices)


def levels(one: Renko, *prices: float) -> list[list[tuple[float, float]]]:
    """(open, close) of the bricks of each bar."""
    found = []
    for bar in closes(*prices):
        one.update(bar)
        found.append([(brick.open, brick.close) for brick in one.bricks])
    return found


@pytest.mark.parametrize(
    ("style", "prices", "bricks"),
    [
        # the first brick begins at 10 (nearest multiple of 2 to 10.3); 12 is not beyond its close, 12.1 is
        ("wicked", (10.3, 12.0, 12.1), [[], [], [(10.0, 12.0)]]),
        # one bar completes several
        ("wicked", (10.3, 16.5), [[], [(10.0, 12.0), (12.0, 14.0), (14.0, 16.0)]]),
        # to turn, two sizes: from 12 it has to go below 8, and the brick begins where the last one did
        ("wicked", (10.3, 12.1, 8.0, 7.9, 5.0), [[], [(10.0, 12.0)], [], [(10.0, 8.0)], [(8.0, 6.0)]]),
        # a turn of many sizes at once, and back
        ("wicked", (10.0, 12.1, 3.9, 8.1), [[], [(10.0, 12.0)], [(10.0, 8.0), (8.0, 6.0), (6.0, 4.0)], [(6.0, 8.0)]]),
        # a tie goes to the even multiple: 11 is between 5 x 2 and 6 x 2; 9 is between 4 x 2 and 5 x 2
        ("wicked", (11.0, 14.1), [[], [(12.0, 14.0)]]),
        ("wicked", (9.0, 10.1), [[], [(8.0, 10.0)]]),
        # the first brick begins at 12 (multiple at or above 10.3); touching 10 completes it, one a bar
        ("classic", (10.3, 10.0, 4.0, 4.0, 9.0), [[], [(12.0, 10.0)], [(10.0, 8.0)], [(8.0, 6.0)], [(6.0, 8.0)]]),
        ("classic", (12.0, 13.9, 14.0, 12.1, 12.0), [[], [], [(12.0, 14.0)], [], [(14.0, 12.0)]]),
    ],
)
def test_bricks_are_those_counted_by_hand(
    style: str, prices: tuple[float, ...], bricks: list[list[tuple[float, float]]]
) -> None:
    assert levels(Renko("SPY", 2.0, style), *prices) == bricks


def test_a_brick_has_the_times_and_the_extremes_of_its_bars() -> None:
    one = Renko("SPY", 2.0)
    for bar in closes(10.0, 9.1, 11.0, 12.5, 11.1, 14.2):
        one.update(bar)
        if one.count.value:
            last = one.bricks[-1]
    assert (last.start, last.end) == (4 * MINUTE, 6 * MINUTE)  # known when the bars at its ends were
    assert (last.open, last.high, last.low, last.close) == (12.0, 14.0, 11.1, 14.0)
    assert last.rising


def test_value_direction_and_count_say_where_it_stands() -> None:
    one, found = Renko("SPY", 2.0), []
    for bar in closes(10.3, 11.0, 14.5, 13.0, 9.0):
        one.update(bar)
        found.append((one.value, one.direction.value, one.count.value))
    assert found == [(10.0, 0.0, 0.0), (10.0, 0.0, 0.0), (14.0, 1.0, 2.0), (14.0, 1.0, 0.0), (10.0, -1.0, 1.0)]


def test_the_price_is_the_weighted_mean_of_a_bar() -> None:
    bar, next_bar = numbered([(10.0, 13.0, 9.0, 12.0, 1.0), (12.0, 15.0, 12.0, 15.0, 1.0)])
    one = Renko("SPY", 0.5, "classic", (2, 1, 1, 3))
    one.update(bar)
    assert one.value == 11.5  # (2 x 10 + 13 + 9 + 3 x 12) / 7 = 11.14, the multiple above
    one.update(next_bar)
    assert [brick.close for brick in one.bricks] == [12.0]


def test_sizes_that_floats_cannot_say_make_exact_levels() -> None:
    one = Renko("SPY", 0.1)
    assert levels(one, 0.3, 0.71)[1] == [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (0.6, 0.7)]


def test_no_brick_has_another_size_and_each_begins_where_the_last_one_ended_or_began() -> None:
    one, all_bricks = Renko("SPY", 0.05), []
    for bar in walk(3_000, seed=2):
        one.update(bar)
        all_bricks += one.bricks
    assert len(all_bricks) > 500
    for last, brick in pairwise(all_bricks):
        assert abs(Decimal(repr(brick.close)) - Decimal(repr(brick.open))) == Decimal("0.05")
        assert brick.open == (last.close if brick.rising == last.rising else last.open)
        assert brick.low <= min(brick.open, brick.close)
        assert brick.high >= max(brick.open, brick.close)


@pytest.mark.parametrize("style", ["wicked", "classic"])
def test_a_restart_at_any_bar_goes_on_with_the_same_bricks(style: str) -> None:
    bars = walk(400, seed=4)
    one = Renko("SPY", 0.2, style, (1, 1, 1, 1))
    for cut, bar in enumerate(bars):
        one.update(bar)
        if cut % 7 == 0:
            other = Renko("SPY", 0.2, style, (1, 1, 1, 1))
            other.restore(json.loads(json.dumps(one.snapshot())))
            assert other.bricks == one.bricks
            one = other
    fresh = Renko("SPY", 0.2, style, (1, 1, 1, 1))
    for bar in bars:
        fresh.update(bar)
    assert fresh.snapshot() == one.snapshot()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((0.0,), "the size must be a number of USD above 0"),
        ((float("nan"),), "the size must be a number of USD above 0"),
        ((1e-9,), "the size must be a number of USD above 0"),
        ((1.0, "range"), "no style 'range'"),
        ((1.0, "classic", (0, 0, 0, 0)), "four whole numbers"),
        ((1.0, "classic", (1, 1, 1)), "four whole numbers"),
        ((1.0, "classic", (0.5, 0, 0, 0.5)), "four whole numbers"),
    ],
)
def test_what_makes_no_bricks_is_refused(given: tuple[object, ...], says: str) -> None:
    with pytest.raises(StrategyError, match=says):
        Renko("SPY", *given)  # type: ignore[arg-type]


def test_a_bar_of_more_bricks_than_anyone_can_mean_is_refused() -> None:
    one = Renko("SPY", 0.01)
    with pytest.raises(StrategyError, match=f"more than {BRICKS_MAX:,}"):
        levels(one, 100.0, 300.0)


def test_a_strategy_hears_of_bricks_bar_by_bar() -> None:
    runner = load(
        """
from appliance.strategy import Strategy, param

class Bricks(Strategy):
    symbol: str = param("SPY")

    def on_start(self):
        self.bricks = self.renko(self.symbol, 2.0)
        self.state["closes"] = []

    def on_bar(self, bar):
        self.state["closes"] += [brick.close for brick in self.bricks.bricks]
""",
        "bricks.py",
    )
    runner.start(0)
    for bar in closes(10.0, 14.5, 14.5, 9.0):
        runner.bar(bar, bar.end)
    assert runner.snapshot()["state"] == {"closes": [12.0, 14.0, 10.0]}
