"""Probabilistic and deflated Sharpe ratio against the worked examples of the papers."""

from __future__ import annotations

import math

import pytest

from appliance.errors import UsageError
from appliance.research.analysis import PerformanceAnalyzer
from appliance.research.metrics.deflated import (
    deflated_sharpe,
    expected_maximum,
    minimum_track_record,
    probabilistic_sharpe,
)
from tests.research.metrics.series import CASH, SERIES, marks

FOUND = 2.5 / math.sqrt(250)
"""An annual Sharpe ratio of 2.5 over 250 days a year: the example of "The Deflated Sharpe Ratio"."""
VARIANCE = 1 / 2 / 250


def test_the_best_of_a_hundred_trials_of_the_paper() -> None:
    assert expected_maximum(100, VARIANCE) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(FOUND, 1_250, -3, 10, 100, VARIANCE) == pytest.approx(0.9004, abs=5e-5)


def test_fewer_trials_or_normal_returns_deflate_less_as_in_the_paper() -> None:
    assert deflated_sharpe(FOUND, 1_250, -3, 10, 46, VARIANCE) == pytest.approx(0.9505, abs=5e-5)
    assert deflated_sharpe(FOUND, 1_250, 0, 3, 88, VARIANCE) == pytest.approx(0.9505, abs=5e-5)


def test_the_hedge_fund_of_the_sharpe_ratio_efficient_frontier() -> None:
    assert probabilistic_sharpe(0.458, 24) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe(0.458, 24, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)


@pytest.mark.parametrize(
    ("periods", "skew", "kurtosis", "years"),
    [(250, 0, 3, 2.73), (52, 0, 3, 2.83), (12, 0, 3, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_years_it_takes_to_tell_two_from_one(periods: int, skew: float, kurtosis: float, years: float) -> None:
    root = math.sqrt(periods)
    found = minimum_track_record(2 / root, skew, kurtosis, 1 / root)
    assert found is not None
    assert found / periods == pytest.approx(years, abs=5e-3)


def test_the_minimum_track_record_is_where_the_probability_reaches_the_confidence() -> None:
    count = minimum_track_record(0.1, -0.5, 6.0, 0.02, 0.9)
    assert count is not None
    short, long = (probabilistic_sharpe(0.1, at, -0.5, 6.0, 0.02) for at in (math.floor(count), math.ceil(count)))
    assert (short or 1) < 0.9 <= (long or 0)


def test_one_trial_is_not_deflated_and_more_trials_are_never_kinder() -> None:
    figures = [
        PerformanceAnalyzer(marks(SERIES["seed 1"]), opening=CASH, trials=trials).figures() for trials in (1, 10, 1_000)
    ]
    assert figures[0]["deflated_sharpe"] == figures[0]["probabilistic_sharpe"]
    deflated = [found["deflated_sharpe"] or 0.0 for found in figures]
    assert deflated == sorted(deflated, reverse=True)
    assert deflated[2] < 0.01


def test_what_is_not_defined_is_none_and_nonsense_is_refused() -> None:
    assert probabilistic_sharpe(0.1, 1) is None
    assert probabilistic_sharpe(2.0, 10, 3.0, 1.0) is None  # the variance would be below 0
    assert deflated_sharpe(0.1, 1, trials=5) is None
    assert minimum_track_record(0.0) is None
    with pytest.raises(UsageError, match="0 trials"):
        expected_maximum(0, 1.0)
    with pytest.raises(UsageError, match="variance -1"):
        expected_maximum(2, -1.0)
    with pytest.raises(UsageError, match="confidence 95"):
        minimum_track_record(0.1, confidence=95)
