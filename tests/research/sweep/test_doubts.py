"""What speaks against the best of many, each at its threshold."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from appliance.research.sweep.board import Aim, Board
from appliance.research.sweep.doubts import LONELY, SURE, TRADES_MIN, doubts
from tests.research.sweep.boards import Figures, ranked

LINE = ["n=1:5:1"]
GOOD = [1.0, 1.1, 1.2, 1.1, 1.0]


def codes(found: Board) -> list[str]:
    return [one.code for one in doubts(found)]


def steady(values: Sequence[float] = GOOD, trades: float = 100.0, **more: float) -> list[Figures | str | float | None]:
    return [{"sharpe": value, "trades": trades, "periods": 252.0, "days": 252.0, **more} for value in values]


def test_nothing_is_said_of_a_plateau_within_its_range() -> None:
    assert codes(replace(ranked(LINE, steady()), deflated=0.99)) == []


@pytest.mark.parametrize(("deflated", "level"), [(SURE, ""), (SURE - 0.01, "warning"), (SURE / 2 - 0.01, "serious")])
def test_luck_is_the_graver_the_likelier(deflated: float, level: str) -> None:
    found = doubts(replace(ranked(LINE, steady()), deflated=deflated))
    assert [one.level for one in found if one.code == "chance"] == ([level] if level else [])


@pytest.mark.parametrize(("values", "said"), [([1.5, 1.4, 1.0, 0.9, 0.8], True), ([0.8, 1.0, 1.4, 1.0, 0.8], False)])
def test_a_plateau_at_the_edge_of_a_range_is_told(values: list[float], said: bool) -> None:
    assert ("edge" in codes(ranked(LINE, steady(values)))) is said


def test_values_without_an_order_or_only_two_of_them_have_no_edge() -> None:
    assert "edge" not in codes(ranked(["mode=b,a,c"], steady([3.0, 2.0, 1.0])))
    assert "edge" not in codes(ranked(["n=1,2"], steady([3.0, 2.0])))


@pytest.mark.parametrize(("beside", "said"), [(1 - 1.5 * LONELY - 0.01, True), (1 - 1.5 * LONELY + 0.01, False)])
def test_a_best_whose_neighbours_have_lost_half_of_it_stands_alone(beside: float, said: bool) -> None:
    values = [beside, beside, 1.0, beside, beside]  # the mean of three is 1 - 2/3 (1 - beside)
    assert ("lonely" in codes(ranked(LINE, steady(values)))) is said


@pytest.mark.parametrize(("trades", "said"), [(TRADES_MIN - 1.0, True), (float(TRADES_MIN), False)])
def test_few_trades_are_told(trades: float, said: bool) -> None:
    assert ("few_trades" in codes(ranked(LINE, steady(trades=trades)))) is said


def test_what_raised_is_told_with_the_first_of_it() -> None:
    found = ranked(LINE, [*steady()[:3], "division by zero", "another"])
    (said,) = [one for one in doubts(found) if one.code == "failed"]
    assert said.title == "2 of 5 combinations raised."
    assert "division by zero" in said.reason


@pytest.mark.parametrize(("fit", "said"), [(2, True), (3, False)])
def test_conditions_that_most_do_not_fulfil_are_told(fit: int, said: bool) -> None:
    figures = [*steady(trades=50.0)[:fit], *steady(trades=1.0)[fit:]]
    assert ("few_fit" in codes(ranked(LINE, figures, Aim(where=("trades > 10",))))) is said


def test_nothing_that_counts_is_the_gravest() -> None:
    found = doubts(ranked(LINE, ["no"] * 5))
    assert [(one.code, one.level) for one in found] == [("nothing_fits", "serious"), ("failed", "warning")]
