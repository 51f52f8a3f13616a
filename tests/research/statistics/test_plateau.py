"""A plateau is preferred to a lonely peak, and holes and failures do not make one."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.research.statistics.plateau import plateau

GRID = list(product(range(3), range(3)))
ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]


def test_a_score_is_the_mean_and_the_worst_of_a_point_and_its_neighbours() -> None:
    found = plateau(GRID, [value for row in ROWS for value in row])
    assert found.neighbours.tolist() == [4, 6, 4, 6, 9, 6, 4, 6, 4]
    assert found.mean[GRID.index((1, 1))] == 5.0
    assert found.mean[GRID.index((2, 2))] == 7.0
    assert found.worst[GRID.index((2, 2))] == 5.0
    assert found.drop[GRID.index((2, 2))] == 2.0
    assert found.best() == found.best("worst") == GRID.index((2, 2))


def test_a_lonely_peak_loses_to_a_plateau() -> None:
    line = [0.0, 9.0, 0.0, 0.0, 5.0, 5.2, 5.0, 0.0]
    found = plateau([[at] for at in range(8)], line)
    assert found.best() == found.best("worst") == 5
    assert np.argmax(line) == 1
    assert found.drop[1] == 6.0


def test_what_is_minimized_is_worst_where_it_is_most() -> None:
    line = [9.0, 0.0, 9.0, 4.0, 3.9, 4.0]
    found = plateau([[at] for at in range(6)], line, minimize=True)
    assert found.best("worst") == 4
    assert found.worst[1] == 9.0
    assert found.drop[1] == 6.0


def test_a_neighbour_without_a_result_is_the_worst_and_one_that_was_not_run_does_not_count() -> None:
    failed = plateau([[0], [1], [2], [3]], [1.0, 5.0, None, 4.0])
    assert (failed.mean[1], failed.worst[1], failed.neighbours[1]) == (pytest.approx(7 / 3), 1.0, 3)
    assert np.isnan(failed.mean[2])
    absent = plateau([[0], [1], [3]], [1.0, 5.0, 4.0])
    assert (absent.mean[1], absent.neighbours[1]) == (3.0, 2)


def test_drawn_points_have_neighbours_by_distance_on_every_axis() -> None:
    points = [[0.1, 0.1], [0.15, 0.18], [0.15, 0.4], [0.9, 0.9]]
    found = plateau(points, [1.0, 2.0, 3.0, 4.0], radius=0.1)
    assert found.neighbours.tolist() == [2, 2, 1, 1]


def test_without_a_result_there_is_no_best() -> None:
    found = plateau([[0], [1]], [None, math.nan])
    assert found.best() is None
    assert plateau([], []).best() is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_the_order_of_the_points_does_not_matter(values: list[float], chance: object) -> None:
    places = [(at // 5, at % 5) for at in range(len(values))]
    order = list(range(len(values)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    one = plateau(places, values)
    other = plateau([places[at] for at in order], [values[at] for at in order])
    assert other.mean == pytest.approx(one.mean[order])
    assert (other.worst == one.worst[order]).all()
    assert (one.worst <= one.mean + 1e-9).all()


@pytest.mark.parametrize(
    ("places", "values", "radius", "says"),
    [
        ([[0]], [1.0, 2.0], 1, "1 coordinates of 1 numbers for 2 objectives"),
        ([[0], [0, 1]], [1.0, 2.0], 1, "2 coordinates of 1 or 2 numbers"),
        ([[math.nan]], [1.0], 1, "a coordinate of point 0 is no number"),
        ([[0]], [1.0], 0, "radius 0"),
    ],
)
def test_points_that_do_not_fit_are_refused(
    places: list[list[float]], values: list[float], radius: float, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        plateau(places, values, radius)
    with pytest.raises(UsageError, match="'median' is unknown"):
        plateau([[0]], [1.0]).best("median")
