"""Growth, daily returns and drawdown against empyrical, numpy and plain loops."""

from __future__ import annotations

import csv
import gzip
import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.metrics.drawdown import Drawdown
from appliance.core.metrics.returns import TRADING_DAYS, YEAR, Growth, Returns, Spread, annual_growth, ratio
from appliance.domain import wire
from appliance.domain.market import DAY
from tests.data.real import needs_real_data, real

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it looks for packages of its own that nobody needs
    import empyrical

GROWTHS = st.lists(st.floats(0.2, 5.0), min_size=1, max_size=40)
ORACLES: dict[str, Callable[..., float]] = {
    "cagr": empyrical.cagr,
    "volatility": empyrical.annual_volatility,
    "sharpe": empyrical.sharpe_ratio,
    "sortino": empyrical.sortino_ratio,
    "downside_deviation": empyrical.downside_risk,
    "best": np.max,
    "worst": np.min,
}


def closes(symbol: str) -> list[float]:
    with gzip.open(real("equity_daily"), "rt") as file:
        return [float(row["close"]) for row in csv.DictReader(file) if row["symbol"] == symbol]


def random_walk(seed: int, drift: float, deviation: float, days: int = 756) -> list[float]:
    steps = np.random.default_rng(seed).normal(drift, deviation, days)
    return [100_000.0, *(100_000.0 * np.cumprod(1 + steps)).tolist()]


def measured(equity: list[float]) -> tuple[Returns, Drawdown]:
    growth, returns, drawdown = Growth(equity[0]), Returns(), Drawdown()
    for day, value in enumerate(equity[1:], 1):
        grown = growth.of(value)
        assert grown is not None
        assert returns.close(grown, day * DAY)
        drawdown.mark(grown, day * DAY)
    return returns, drawdown


def assert_agrees(equity: list[float]) -> None:
    returns, drawdown = measured(equity)
    daily = np.diff(equity) / np.array(equity[:-1])
    for name, oracle in ORACLES.items():
        assert getattr(returns, name) == pytest.approx(oracle(daily), rel=1e-9), name
    assert drawdown.deepest == pytest.approx(empyrical.max_drawdown(daily), rel=1e-9)
    assert returns.last - 1 == pytest.approx(empyrical.cum_returns_final(daily), rel=1e-9)
    years = len(daily) / 365.25
    assert returns.cagr_calendar == pytest.approx((equity[-1] / equity[0]) ** (1 / years) - 1, rel=1e-9)


@pytest.mark.parametrize(
    ("seed", "drift", "deviation"), [(7, 0, 0.01), (1, 0.001, 0.02), (2, -0.002, 0.03), (3, 0.0001, 0.0001)]
)
def test_figures_of_random_days_agree_with_empyrical(seed: int, drift: float, deviation: float) -> None:
    assert_agrees(random_walk(seed, drift, deviation))


@needs_real_data
def test_figures_of_recorded_days_agree_with_empyrical() -> None:
    prices = closes("SPY")
    assert len(prices) > 1_000
    assert_agrees(prices)
    assert_agrees(prices[-30:])


def lasted(growths: list[float]) -> tuple[int, int]:
    """Longest time from a peak until it is reached again, and the moments below a peak, by looking back."""
    series, longest, under = [1.0, *growths], 0, 0
    for today in range(1, len(series)):
        peak = max(range(today + 1), key=lambda day: (series[day], day))
        before = max(range(today), key=lambda day: (series[day], day))
        fell = any(series[day] < series[before] for day in range(before + 1, today))
        if peak != today:
            longest, under = max(longest, today - peak), under + 1
        elif fell:
            longest = max(longest, today - before)
    return longest, under


@settings(max_examples=150)
@given(st.lists(st.sampled_from([0.5, 0.9, 1.0, 1.1, 1.5, 2.0]), min_size=1, max_size=30))
def test_drawdowns_agree_with_looking_back(growths: list[float]) -> None:
    drawdown = Drawdown()
    for day, growth in enumerate(growths, 1):
        drawdown.mark(growth, day)
    longest, under = lasted(growths)
    assert drawdown.deepest == min(growth / max([1.0, *growths[:day]]) - 1 for day, growth in enumerate(growths, 1))
    assert (drawdown.longest, drawdown.under, drawdown.moments) == (longest, under, len(growths))
    assert drawdown.under_water == under / len(growths)
    assert (drawdown.lasts > 0) == (drawdown.current < 0)


def test_a_drawdown_lasts_from_its_peak_until_that_is_reached_again() -> None:
    drawdown = Drawdown(since=0)
    seen = []
    for time, growth in [(1, 1.2), (2, 0.9), (5, 1.1), (7, 1.2), (8, 1.0)]:
        drawdown.mark(growth, time)
        seen.append((round(drawdown.current, 6), drawdown.lasts, drawdown.longest))
    assert seen == [(0, 0, 0), (-0.25, 1, 1), (-0.083333, 4, 4), (0, 0, 6), (-0.166667, 1, 6)]


@given(GROWTHS)
def test_one_by_one_is_the_same_as_all_at_once(growths: list[float]) -> None:
    returns, _ = measured([1.0, *growths])
    daily = np.diff([1.0, *growths]) / np.array([1.0, *growths[:-1]])
    assert returns.days == len(growths)
    assert returns.spread.mean == pytest.approx(daily.mean(), rel=1e-9, abs=1e-12)
    assert math.sqrt(returns.below) == pytest.approx(np.sqrt((np.minimum(daily, 0) ** 2).sum()), rel=1e-9, abs=1e-12)
    if len(daily) > 1:
        assert returns.spread.deviation == pytest.approx(daily.std(ddof=1), rel=1e-9, abs=1e-12)


FIGURES = ("volatility", "downside_deviation", "sharpe", "sortino", "cagr", "cagr_calendar", "best", "worst")
RATIOS = {"volatility", "sharpe", "downside_deviation", "sortino"}
ANNUAL = {"cagr", "cagr_calendar"}
UNDEFINED = {
    "nothing": ([1.0], set(FIGURES)),
    "one day up": ([1.0, 1.01], RATIOS),
    "flat": ([1.0] * 9, RATIOS),
    "the same gain each day": ([1.01**n for n in range(50)], RATIOS),
    "no loss": ([1.0, 1.1, 1.3], {"downside_deviation", "sortino"}),
    "all is lost": ([1.0, 1.1, 0.0], ANNUAL),
    "ruin, and it goes on": ([1.0, 1.1, 0.0, 1.0, 1.2], RATIOS | ANNUAL),
    "less than nothing": ([1.0, -0.5, -0.6], RATIOS | ANNUAL),
    "a million times in a day": ([1.0, 1e6], RATIOS | ANNUAL),
}


@pytest.mark.parametrize("name", list(UNDEFINED))
def test_what_is_not_defined_is_none(name: str) -> None:
    equity, undefined = UNDEFINED[name]
    returns, _ = measured(equity)
    assert {figure for figure in FIGURES if getattr(returns, figure) is None} == undefined


@settings(max_examples=200)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20), st.floats(allow_nan=True))
def test_whatever_comes_no_figure_is_infinite_or_no_number(equity: list[float], base: float) -> None:
    growth, returns = Growth(base), Returns()
    for day, value in enumerate(equity, 1):
        grown = growth.of(value)
        if grown is not None:
            returns.close(grown, day * DAY)
    found = [getattr(returns, figure) for figure in FIGURES]
    assert all(value is None or math.isfinite(value) for value in found)
    assert wire.unpack(wire.pack(returns), Returns) == returns


def test_a_session_that_closes_again_is_counted_once() -> None:
    returns = Returns(opened=DAY)
    counted = [returns.close(1.1, day * DAY) for day in (0, 1, 2, 2, 1, 3)]
    assert counted == [False, False, True, False, False, True]
    assert returns.days == 2


def test_other_markets_have_other_years() -> None:
    days = [1.0, 1.01, 0.99, 1.02]
    crypto, stocks = Returns(periods=365), Returns()
    for day, value in enumerate(days[1:], 1):
        crypto.close(value, day)
        stocks.close(value, day)
    assert crypto.volatility is not None
    assert stocks.volatility is not None
    assert crypto.volatility / stocks.volatility == pytest.approx(math.sqrt(365 / TRADING_DAYS))


def test_money_that_comes_or_goes_is_no_return() -> None:
    growth = Growth(1_000.0)
    assert growth.of(1_100.0) == 1.1
    growth.flow(1_100.0, 900.0)
    assert growth.of(2_000.0) == 1.1
    growth.flow(2_200.0, -1_200.0)
    assert growth.of(500.0) == pytest.approx(1.1 * 1.1 / 2)


@pytest.mark.parametrize(("value", "years"), [(0.0, 1.0), (-1.0, 1.0), (1.1, 0.0), (math.nan, 1.0), (10.0, 1e-9)])
def test_growth_that_has_no_annual_rate_has_none(value: float, years: float) -> None:
    assert annual_growth(value, years) is None


@pytest.mark.parametrize(("above", "below", "found"), [(1, 2, 0.5), (1, 0, None), (0, 0, None), (1e300, 1e-300, None)])
def test_a_quotient_that_is_no_number_is_none(above: float, below: float, found: float | None) -> None:
    assert ratio(above, below) == found


def test_a_spread_of_one_number_has_no_deviation() -> None:
    spread = Spread()
    assert spread.deviation is None
    spread.add(3.0)
    assert (spread.mean, spread.deviation) == (3.0, None)


def test_a_calendar_year_has_365_days_and_a_quarter() -> None:
    assert YEAR == 365.25 * DAY
