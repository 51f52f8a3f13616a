"""Figures of the daily returns against empyrical-reloaded and quantstats, on several series and on real prices."""

from __future__ import annotations

import csv
import gzip
import math
import warnings
from collections.abc import Iterator

import empyrical
import numpy as np
import pandas as pd
import pytest
import quantstats.stats as qs
from numpy.typing import NDArray

from appliance.research.analysis import PerformanceAnalyzer
from tests.data.real import MARKET, real
from tests.research.metrics.series import CASH, SERIES, close_of, dates, equity, marks, random_returns

Returns = NDArray[np.float64]
NAMES = [*SERIES, "SPY"]


def spy() -> Returns:
    """Ten years of SPY's daily returns."""
    if not MARKET.is_dir():
        pytest.skip("the recorded market data is not here")
    with gzip.open(real("equity_daily"), "rt") as file:
        closes = [float(row["close"]) for row in csv.DictReader(file)
                  if row["symbol"] == "SPY" and "2005" <= row["date"] < "2015"]  # fmt: skip
    prices = np.array(closes)
    return prices[1:] / prices[:-1] - 1


@pytest.fixture(params=NAMES)
def returns(request: pytest.FixtureRequest) -> Returns:
    """One series after the other."""
    return spy() if request.param == "SPY" else SERIES[request.param]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The libraries warn of divisions by zero where we say None."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def figures(returns: Returns, **more: object) -> dict[str, float | None]:
    return PerformanceAnalyzer(marks(returns), opening=CASH, **more).figures()  # type: ignore[arg-type]


def frame(returns: Returns) -> pd.Series:
    return pd.Series(returns, index=pd.DatetimeIndex(pd.to_datetime(dates(len(returns)))))


def assert_same(ours: float | None, theirs: float, name: str) -> None:
    """Equal to nine places, or None where they have no number."""
    if not math.isfinite(theirs):
        assert ours is None, name
    else:
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12), name


def defined(name: str, theirs: float) -> float:
    """Without a day that misses the rate they say 0, we that there is no deviation."""
    return math.nan if name == "downside_deviation" and not theirs else theirs


EMPYRICAL = {
    "total_return": empyrical.cum_returns_final,
    "cagr": empyrical.cagr,
    "volatility": empyrical.annual_volatility,
    "sharpe": empyrical.sharpe_ratio,
    "sortino": empyrical.sortino_ratio,
    "downside_deviation": empyrical.downside_risk,
    "omega": empyrical.omega_ratio,
    "max_drawdown": empyrical.max_drawdown,
    "calmar": empyrical.calmar_ratio,
    "value_at_risk_95": empyrical.value_at_risk,
    "conditional_value_at_risk_95": empyrical.conditional_value_at_risk,
    "tail_ratio": empyrical.tail_ratio,
    "stability": empyrical.stability_of_timeseries,
}


@pytest.mark.parametrize("name", EMPYRICAL)
def test_a_figure_is_that_of_empyrical(returns: Returns, name: str) -> None:
    ours, theirs = figures(returns)[name], EMPYRICAL[name](frame(returns))
    assert_same(ours, defined(name, float(theirs)), name)


@pytest.mark.parametrize("name", ["sharpe", "sortino", "omega", "downside_deviation"])
def test_a_rate_without_risk_is_taken_off_each_day(returns: Returns, name: str) -> None:
    ours, daily = figures(returns, risk_free=0.04)[name], 1.04 ** (1 / 252) - 1
    theirs = {
        "sharpe": lambda: empyrical.sharpe_ratio(frame(returns), risk_free=daily),
        "sortino": lambda: empyrical.sortino_ratio(frame(returns), required_return=daily),
        "omega": lambda: empyrical.omega_ratio(frame(returns), risk_free=daily),
        "downside_deviation": lambda: empyrical.downside_risk(frame(returns), required_return=daily),
    }
    assert_same(ours, defined(name, float(theirs[name]())), name)


QUANTSTATS = {
    "skew": qs.skew,
    "kurtosis": qs.kurtosis,
    "smart_sharpe": qs.smart_sharpe,
    "probabilistic_sharpe": qs.probabilistic_sharpe_ratio,
    "ulcer_performance": lambda one: qs.ulcer_performance_index(one) * math.sqrt(len(one) / (len(one) - 1)),
    "best_day": lambda one: qs.best(one, compounded=False),
    "worst_day": lambda one: qs.worst(one, compounded=False),
}


@pytest.mark.parametrize("name", QUANTSTATS)
def test_a_figure_is_that_of_quantstats(returns: Returns, name: str) -> None:
    ours, theirs = figures(returns)[name], float(QUANTSTATS[name](frame(returns)))
    assert_same(ours, theirs, name)


def test_the_ulcer_index_is_over_all_days_that_of_quantstats_over_one_less(returns: Returns) -> None:
    count = len(returns)
    theirs = float(qs.ulcer_index(frame(returns))) * math.sqrt((count - 1) / count)
    assert_same(figures(returns)["ulcer_index"], theirs or math.nan, "ulcer_index")


def test_the_serenity_index_differs_from_that_of_quantstats_in_its_two_conventions(returns: Returns) -> None:
    # over all days instead of one less, and with the historical mean of the worst depths instead of a normal's
    depths = np.cumprod(1 + returns) / np.maximum.accumulate(np.maximum(np.cumprod(1 + returns), 1)) - 1
    worst = np.sort(depths)[: int((len(depths) - 1) * 0.05) + 1].mean()
    ulcer = float(qs.ulcer_index(frame(returns))) * math.sqrt((len(returns) - 1) / len(returns))
    theirs = returns.sum() / (ulcer * -worst / returns.std(ddof=1)) if ulcer else math.nan
    assert_same(figures(returns)["serenity"], float(theirs), "serenity")


def test_months_and_weeks_are_those_of_pandas(returns: Returns) -> None:
    found, series = figures(returns), frame(returns)
    monthly = (1 + series).groupby([series.index.year, series.index.month]).prod() - 1
    iso = series.index.isocalendar()
    weekly = (1 + series).groupby([iso.year.to_numpy(), iso.week.to_numpy()]).prod() - 1
    assert (found["best_month"], found["worst_month"]) == pytest.approx((monthly.max(), monthly.min()), rel=1e-9)
    assert (found["best_week"], found["worst_week"]) == pytest.approx((weekly.max(), weekly.min()), rel=1e-9)
    assert found["positive_months"] == pytest.approx((monthly > 0).mean())
    assert found["positive_days"] == pytest.approx((series > 0).mean())


def test_the_drawdowns_are_those_of_quantstats(returns: Returns) -> None:
    returns = np.concatenate([[0.0], returns])  # it does not see one that begins on the first day and never ends
    theirs = qs.drawdown_details(qs.to_drawdown_series(frame(returns)))
    ours = PerformanceAnalyzer(marks(returns), opening=CASH).drawdowns
    assert sorted(one.depth * 100 for one in ours) == pytest.approx(sorted(theirs["max drawdown"]), rel=1e-9)
    assert figures(returns)["drawdowns"] == len(theirs)


def against(returns: Returns) -> tuple[Returns, dict[str, float | None]]:
    """A benchmark the account follows in part, and the figures against it."""
    theirs = 0.4 * returns + random_returns(99, len(returns), 0.0003, 0.006)
    prices = [100.0, *equity(theirs, 100.0)]
    times = [close_of(day) for day in dates(len(returns))]
    first = times[0] - 1
    return theirs, figures(returns, benchmark=([first, *times], prices), opened=first)


def test_alpha_and_beta_are_those_of_empyrical(returns: Returns) -> None:
    theirs, found = against(returns)
    alpha, beta = empyrical.alpha_beta(frame(returns), frame(theirs))
    assert_same(found["alpha"], float(alpha), "alpha")
    assert_same(found["beta"], float(beta), "beta")


def test_the_information_ratio_is_that_of_empyrical_times_the_root_of_a_year(returns: Returns) -> None:
    theirs, found = against(returns)
    assert_same(found["information_ratio"], empyrical.excess_sharpe(frame(returns), frame(theirs)) * math.sqrt(252), "")
    assert found["tracking_error"] == pytest.approx((returns - theirs).std(ddof=1) * math.sqrt(252))


def test_r_squared_is_that_of_quantstats(returns: Returns) -> None:
    theirs, found = against(returns)
    assert_same(found["r_squared"], float(qs.r_squared(frame(returns), frame(theirs))), "r_squared")


def test_captures_are_those_of_empyrical_by_months(returns: Returns) -> None:
    theirs, found = against(returns)
    months = [empyrical.aggregate_returns(frame(one), "monthly") for one in (returns, theirs)]
    for name, of in (("up_capture", empyrical.up_capture), ("down_capture", empyrical.down_capture)):
        assert_same(found[name], float(of(*months, period="monthly")), name)
