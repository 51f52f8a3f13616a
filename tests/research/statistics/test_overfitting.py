"""Probability of backtest overfitting: by hand on two trials, and where it must be near nothing or near all."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.errors import UsageError
from appliance.research.statistics.overfitting import overfitting


def test_two_trials_by_hand() -> None:
    # two parts of two days. The first trial wins in the first part and loses in the second; the other is the other way
    good, bad = [0.03, 0.01], [-0.03, -0.01]
    returns = np.array([good + bad, bad + good]).T
    found = overfitting(returns, parts=2)
    assert (found.choices, found.trials) == (2, 2)
    assert (found.probability, found.loss, found.median_rank) == (1.0, 1.0, pytest.approx(1 / 3))


def test_four_parts_by_hand() -> None:
    # the Sharpe ratio of a half is decided by its means here: each part's mean of each trial is known
    rng = np.random.default_rng(5)
    returns = rng.normal(0, 0.01, (40, 3)) + np.repeat([[2, 0, -1], [-1, 1, 0], [0, 2, 1], [1, -2, 0]], 10, 0) / 500
    halves = {(0, 1): (2, 3), (0, 2): (1, 3), (0, 3): (1, 2), (1, 2): (0, 3), (1, 3): (0, 2), (2, 3): (0, 1)}
    ranks = []
    for inside, outside in halves.items():
        means = [np.concatenate([returns[at * 10 : at * 10 + 10] for at in half]) for half in (inside, outside)]
        ratios = [one.mean(axis=0) / one.std(axis=0, ddof=1) for one in means]
        best = ratios[0].argmax()
        ranks.append((ratios[1] <= ratios[1][best]).sum() / 4)
    found = overfitting(returns, parts=4)
    assert found.probability == np.mean(np.array(ranks) <= 0.5)
    assert found.median_rank == np.median(ranks)


def test_a_trial_that_is_better_everywhere_is_not_overfitted() -> None:
    returns = np.random.default_rng(1).normal(0, 0.01, (800, 20))
    returns[:, 7] += 0.01
    found = overfitting(returns)
    assert (found.probability, found.loss, found.median_rank) == (0.0, 0.0, pytest.approx(20 / 21))


def test_without_skill_the_best_is_as_often_below_the_middle_as_above() -> None:
    found = [overfitting(np.random.default_rng(seed).normal(0, 0.01, (400, 30)), 10).probability for seed in range(30)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_trials_fitted_to_one_stretch_are_overfitted() -> None:
    # each trial earns in a part of its own and gives it back in all others
    returns = np.random.default_rng(2).normal(0, 0.001, (160, 16)) - 0.002
    for trial in range(16):
        returns[trial * 10 : trial * 10 + 10, trial] += 0.03
    found = overfitting(returns)
    assert found.probability > 0.9
    assert (found.slope or 0.0) < 0


def test_equal_trials_rank_in_the_middle() -> None:
    found = overfitting(np.repeat(np.random.default_rng(3).normal(0, 0.01, (64, 1)), 5, axis=1), 8)
    assert (found.median_rank, found.probability) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("shape", "parts", "says"),
    [((100, 3), 7, "7 parts"), ((100, 3), 22, "22 parts"), ((100, 1), 4, "too few"), ((6, 3), 4, "too few")],
)
def test_too_little_is_refused(shape: tuple[int, int], parts: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        overfitting(np.zeros(shape), parts)


def test_a_return_that_is_no_number_is_named() -> None:
    returns = np.zeros((20, 3))
    returns[4, 2] = np.nan
    with pytest.raises(UsageError, match="trial 2 on day 4"):
        overfitting(returns, 4)
