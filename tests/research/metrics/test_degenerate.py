"""No figure is ever infinite or NaN, whatever the run; and what holds of every series."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from appliance.core.books.entries import Mark, Trade
from appliance.research.analysis import CONVENTIONS, METRICS, PerformanceAnalyzer
from tests.research.metrics.series import CASH, DAY, SERIES, fill, mark, marks, trade

RETURNS = st.lists(st.floats(-0.2, 0.2).map(lambda value: round(value, 5)), min_size=2, max_size=60)
PROFITS = st.lists(st.integers(-500, 500).map(float), min_size=1, max_size=30)
ALWAYS = {row.name for row in METRICS if not row.undefined}
COUNTS = {"trades", "wins_in_a_row", "losses_in_a_row", "fills", "traded", "fees", "dividends", "borrow", "interest"}


def figures(made: list[Mark], trades: list[Trade] | None = None, **more: object) -> dict[str, float | None]:
    return PerformanceAnalyzer(made, trades or [], opening=CASH, **more).figures()  # type: ignore[arg-type]


EDGES: dict[str, list[Mark]] = {
    "nothing": [],
    "one mark": [mark(DAY, CASH)],
    "flat": marks([0.0] * 30),
    "nearly flat": marks([1e-15] * 30),
    "all lost": marks([0.01, -1.0]),
    "below nothing": marks([0.01, -1.5, 0.3, 0.3]),
    "nothing, then something": [mark(DAY, 0.0), mark(2 * DAY, 5.0)],
    "no numbers": [mark(DAY, math.nan), mark(2 * DAY, math.inf)],
    "some no numbers": [mark(DAY, CASH), mark(2 * DAY, math.nan), mark(3 * DAY, CASH * 1.01)],
    "beyond all bounds": [mark(DAY, CASH), mark(2 * DAY, 1e300), mark(3 * DAY, 1e-300), mark(4 * DAY, 1e308)],
    "extremes that are no numbers": [Mark(DAY, CASH, math.nan, math.nan, math.nan, math.nan, math.nan)],
}


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("edge", EDGES)
def test_no_figure_is_infinite_or_no_number(edge: str, convention: str) -> None:
    prices = ([DAY, 2 * DAY, 3 * DAY], [math.nan, 0.0, 50.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        analysis = PerformanceAnalyzer(EDGES[edge], [trade(0)], benchmark=prices, flows=[(2 * DAY, -CASH)])
        found = analysis.figures(convention)
        json.dumps([found, analysis.curves().returns], allow_nan=False)
    assert all(value is None or math.isfinite(value) for value in found.values())


def test_without_a_mark_only_counts_and_sums_are_there() -> None:
    assert {name for name, value in PerformanceAnalyzer([]).figures().items() if value is not None} == COUNTS


@pytest.mark.parametrize("edge", ["one mark", "flat", "nearly flat", "some no numbers"])
def test_what_the_table_says_every_run_has_it_has(edge: str) -> None:
    found = PerformanceAnalyzer(EDGES[edge]).figures()
    assert {name for name in ALWAYS if found[name] is None} == set()


def test_a_flat_run_has_neither_risk_nor_ratios() -> None:
    found = figures(EDGES["flat"])
    for name in ("volatility", "downside_deviation", "sharpe", "sortino", "calmar", "omega", "stability", "skew"):
        assert found[name] is None, name
    for name in ("total_return", "cagr", "max_drawdown", "under_water", "worst_day"):
        assert found[name] == 0.0, name
        assert math.copysign(1, found[name] or 0.0) == 1


def test_without_a_loss_there_is_no_ratio_to_losses() -> None:
    found = figures(marks(SERIES["all gains"]), [trade(10), trade(20)])
    for name in ("sortino", "omega", "calmar", "ulcer_index", "average_loss", "payoff", "profit_factor", "kelly"):
        assert found[name] is None, name


@settings(max_examples=80, deadline=None)
@given(RETURNS, st.sampled_from([0.01, 3.0, 1_000.0]))
def test_figures_do_not_depend_on_the_size_of_the_account(returns: list[float], size: float) -> None:
    money = {"profit", "end_equity", "peak_equity"}
    one = PerformanceAnalyzer(marks(returns, CASH), opening=CASH).figures()
    other = PerformanceAnalyzer(marks(returns, CASH * size), opening=CASH * size).figures()
    assume(np.ptp(returns) > 1e-4)
    for name, value in one.items():
        expected = value * size if name in money and value is not None else value
        if name in ("drawdowns", "under_water", "average_drawdown") or name.endswith("_time"):
            continue  # a peak reached again to the last bit, or not
        assert other[name] == (None if expected is None else pytest.approx(expected, rel=1e-6, abs=1e-7)), name


@settings(max_examples=80, deadline=None)
@given(RETURNS)
def test_drawdowns_are_within_their_bounds(returns: list[float]) -> None:
    analysis = PerformanceAnalyzer(marks(returns), opening=CASH)
    found = analysis.figures()
    deepest = found["max_drawdown"] or 0.0
    assert -1 < deepest <= 0
    assert deepest <= (found["drawdown"] or 0.0) <= 0
    assert deepest <= min(min(returns), 0.0) + 1e-12
    assert deepest <= (found["average_drawdown"] or 0.0) <= 0
    assert min((one.depth for one in analysis.drawdowns), default=0.0) == pytest.approx(deepest)
    assert all(one.start <= one.trough <= (one.end or one.trough) for one in analysis.drawdowns)
    assert 0 <= (found["under_water"] or 0.0) <= 1


@settings(max_examples=80, deadline=None)
@given(RETURNS, st.randoms(use_true_random=False))
def test_the_order_of_the_days_is_nothing_to_what_scatters(returns: list[float], chance: object) -> None:
    mixed = list(returns)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    one, other = figures(marks(returns)), figures(marks(mixed))
    names = ("total_return", "volatility", "sharpe", "sortino", "omega", "value_at_risk_95", "tail_ratio", "best_day")
    assume(np.ptp(returns) > 1e-4)
    for name in names:
        assert other[name] == (None if one[name] is None else pytest.approx(one[name], rel=1e-6, abs=1e-9)), name


@settings(max_examples=80, deadline=None)
@given(PROFITS, st.randoms(use_true_random=False))
def test_the_order_of_the_trades_is_nothing_to_their_sums(profits: list[float], chance: object) -> None:
    mixed = list(profits)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    one, other = (figures([], [trade(value) for value in values]) for values in (profits, mixed))
    rows = {"wins_in_a_row", "losses_in_a_row"}
    assert {name: other[name] for name in one if name not in rows} == pytest.approx(
        {name: value for name, value in one.items() if name not in rows}
    )


@settings(max_examples=80, deadline=None)
@given(PROFITS, st.integers(1, 50))
def test_higher_fees_never_raise_a_figure_of_the_trades(profits: list[float], fee: int) -> None:
    less, more = (figures([], [trade(value - cost) for value in profits]) for cost in (0, fee))
    for name in ("win_rate", "expectancy", "best_trade", "worst_trade"):
        assert (more[name] or 0.0) <= (less[name] or 0.0), name


def test_the_same_run_gives_the_same_bits() -> None:
    def once() -> str:
        trades = [trade(value, best=500, worst=-500) for value in (3, -7, 0.1)]
        analysis = PerformanceAnalyzer(marks(SERIES["seed 2"]), trades, [fill(1, 3, 7.1)], trials=20)
        return json.dumps([analysis.figures(name) for name in CONVENTIONS])

    assert once() == once()
