"""Ranking: what is best alone, what is good with its neighbours, and what does not count."""

from __future__ import annotations

import csv
import io
import math
from statistics import variance

import pytest

from appliance.errors import UsageError
from appliance.research.metrics.deflated import deflated_sharpe
from appliance.research.sweep.board import FIGURES, Aim
from tests.research.sweep.boards import of_draws, ranked

LINE = ["n=1:5:1"]


def test_a_lonely_peak_is_the_best_alone_and_a_plateau_is_the_best_with_its_neighbours() -> None:
    found = ranked(LINE, [3.0, 0.0, 1.5, 1.6, 1.5])
    assert found.best is not None
    assert found.steady is not None
    assert found.best.outcome.params == {"n": "1"}
    assert found.steady.outcome.params == {"n": "5"}
    assert found.steady.plateau == pytest.approx((1.6 + 1.5) / 2)
    assert found.steady.worst == 1.5
    assert [row.neighbours for row in found.rows] == [1, 2, 2, 2, 1]
    assert [row.place for row in found.rows] == [1, 5, 3, 2, 4]
    assert found.rows[3].plateau == pytest.approx((1.5 + 1.6 + 1.5) / 3)
    assert [row.outcome.params["n"] for row in found.top(2)] == ["5", "4"]


def test_of_equals_the_first_is_better() -> None:
    assert [row.place for row in ranked(LINE, [1.0, 1.0, 1.0, 1.0, 1.0]).rows] == [1, 2, 3, 4, 5]


def test_what_is_to_be_small_is_best_where_it_is_smallest() -> None:
    found = ranked(LINE, [3.0, 0.0, 1.5, 1.6, 1.5], Aim(minimize=True))
    assert found.best is not None
    assert found.best.objective == 0.0
    assert found.rows[0].worst == 3.0
    assert [row.place for row in found.rows] == [5, 1, 2, 4, 3]


def test_what_raised_has_no_figure_or_fails_a_condition_has_no_place_and_pulls_its_neighbours_down() -> None:
    figures = [{"sharpe": 9.0, "trades": 5.0}, {"sharpe": 2.0, "trades": 50.0}, "it raised", None, {"sharpe": 1.0}]
    found = ranked(LINE, figures, Aim(where=("trades >= 30",)))
    assert [row.fit for row in found.rows] == [False, True, False, False, False]
    assert [row.place for row in found.rows] == [0, 1, 0, 0, 0]
    assert found.failed == 1
    assert found.best is found.steady is found.rows[1]
    loose = ranked(LINE, [9.0, 2.0, "it raised", 1.0, 1.0])
    assert loose.rows[1].plateau == pytest.approx((9 + 2 + 1) / 3)  # what raised counts as the worst there is


def test_a_board_on_which_nothing_counts_has_no_best() -> None:
    found = ranked(LINE, ["no", "no", None, None, None])
    assert (found.best, found.steady, found.deflated, found.top(3)) == (None, None, None, ())


def test_the_best_is_deflated_by_the_number_of_trials_and_how_they_spread() -> None:
    figures = [
        {"sharpe": sharpe, "periods": 252.0, "days": 1000.0, "skew": -0.5, "kurtosis": 2.0}
        for sharpe in (1.5, 0.5, 0.2, -0.3, 0.1)
    ]
    found = ranked(LINE, figures)
    daily = [one["sharpe"] / math.sqrt(252) for one in figures]
    expected = deflated_sharpe(daily[0], 1000, -0.5, 5.0, 5, variance(daily))
    assert found.deflated == pytest.approx(expected)
    assert found.deflated is not None
    assert 0.5 < found.deflated < 1


def test_values_without_an_order_are_no_neighbours() -> None:
    found = ranked(["mode=a,b,c"], [1.0, 5.0, 3.0])
    assert [row.plateau for row in found.rows] == [1.0, 5.0, 3.0]
    assert [row.neighbours for row in found.rows] == [0, 0, 0]


def test_drawn_values_within_a_tenth_of_the_range_are_neighbours() -> None:
    found = of_draws("stop=0.5:3", 40)
    values = [float(row.outcome.params["stop"]) for row in found.rows]
    for row, value in zip(found.rows, values, strict=True):
        near = [other for other in values if abs(other - value) <= 0.25 + 1e-9]
        assert row.neighbours == len(near) - 1
        assert row.plateau == pytest.approx(sum(near) / len(near))


def test_an_objective_that_does_not_exist_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UsageError, match="sharp") as raised:
        Aim("sharp").checked()
    assert "did you mean sharpe" in raised.value.hint
    with pytest.raises(UsageError, match="no figure 'trade'"):
        Aim(where=("trade > 3",)).checked()
    assert Aim("calmar", where=("trades > 3",)).checked().objective == "calmar"


def test_the_table_has_a_row_a_combination_and_leaves_empty_what_is_not_defined() -> None:
    rows = list(csv.DictReader(io.StringIO(ranked(["n=1:2:1"], [1.25, "it\nraised"]).csv().decode())))
    assert [row["number"] for row in rows] == ["0", "1"]
    assert (rows[0]["n"], rows[0]["sharpe"], rows[0]["fit"], rows[0]["place"]) == ("1", "1.25", "1", "1")
    assert (rows[1]["sharpe"], rows[1]["fit"], rows[1]["place"], rows[1]["error"]) == ("", "0", "", "it\nraised")
    assert set(FIGURES) <= set(rows[0])
