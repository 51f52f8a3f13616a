"""Monte Carlo over trades and days: seeded, exact where it can be counted, and not slow."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from appliance.errors import UsageError
from appliance.research.statistics.resampling import (
    Simulated,
    moving_blocks,
    resampled_returns,
    shuffled_trades,
    stationary_blocks,
)
from tests.research.metrics.series import random_returns

PROFITS = [100.0, -300.0, 50.0, 200.0]


def deepest(path: list[float]) -> float:
    peaks = np.maximum.accumulate(path)
    return float((np.array(path) / peaks - 1).min())


def test_shuffled_trades_give_what_all_their_orders_give() -> None:
    every = [deepest([1_000.0, *(1_000 + np.cumsum(order))]) for order in permutations(PROFITS)]
    found = shuffled_trades(PROFITS, 1_000.0, runs=20_000, ruin=0.29)
    actual = deepest([1_000.0, 1_100.0, 800.0, 850.0, 1_050.0])
    below = np.mean([value < actual - 1e-9 for value in every])
    equal = np.mean([abs(value - actual) <= 1e-9 for value in every])
    assert found.max_drawdown.actual == pytest.approx(actual)
    assert found.max_drawdown.rank == pytest.approx(below + equal / 2, abs=0.01)
    assert found.ruined == pytest.approx(np.mean([value <= -0.29 for value in every]), abs=0.01)
    assert found.max_drawdown.percentiles[1] == pytest.approx(min(every))


def test_the_order_of_trades_does_not_change_where_they_end() -> None:
    found = shuffled_trades(PROFITS, 1_000.0, runs=500)
    assert set(found.end_equity.percentiles.values()) == {1_050.0}
    assert (found.end_equity.actual, found.end_equity.rank, found.sharpe) == (1_050.0, 0.5, None)


def test_trades_drawn_with_replacement_end_around_their_sum() -> None:
    found = shuffled_trades([10.0, -10.0] * 50, 1_000.0, runs=20_000, replace=True)
    spread = math.sqrt(100) * 10
    assert found.end_equity.percentiles[50] == pytest.approx(1_000, abs=spread / 10)
    assert found.end_equity.percentiles[95] == pytest.approx(1_000 + 1.645 * spread, rel=0.02)


def test_blocks_of_one_day_are_drawn_alone_and_of_all_days_are_the_run_itself() -> None:
    returns = random_returns(4, 120)
    whole = resampled_returns(returns, 1_000.0, runs=50, block=120, method="moving")
    assert set(whole.end_equity.percentiles.values()) == {whole.end_equity.actual}
    alone = resampled_returns(returns, 1_000.0, runs=20_000, block=1)
    logs = np.log1p(returns)
    assert math.log(alone.end_equity.percentiles[50] / 1_000) == pytest.approx(logs.sum(), abs=0.02)
    wide = math.log(alone.end_equity.percentiles[75] / alone.end_equity.percentiles[25])
    assert wide == pytest.approx(2 * 0.6745 * logs.std() * math.sqrt(120), rel=0.05)


@pytest.mark.parametrize("method", ["moving", "stationary"])
def test_blocks_keep_what_days_have_in_common(method: str) -> None:
    # ten good days, ten bad ones: drawn one by one they cancel out, in blocks they make far deeper drawdowns
    returns = ([0.01] * 10 + [-0.01] * 10) * 20
    alone, blocks = (resampled_returns(returns, 1.0, runs=2_000, block=days, method=method) for days in (1, 10))
    assert blocks.max_drawdown.percentiles[50] < 1.25 * alone.max_drawdown.percentiles[50]


def test_moving_blocks_are_whole_stretches_of_the_run() -> None:
    places = moving_blocks(np.random.default_rng(1), 500, 17, 5)
    assert places.shape == (500, 17)
    assert (places.min(), places.max()) == (0, 16)
    for begin in (0, 5, 10):
        assert (np.diff(places[:, begin : begin + 5], axis=1) == 1).all()


def test_stationary_blocks_draw_every_day_alike_and_last_so_long_on_average() -> None:
    places = stationary_blocks(np.random.default_rng(1), 4_000, 50, 5)
    drawn = np.bincount(places.ravel(), minlength=50) / places.size
    assert drawn == pytest.approx(np.full(50, 1 / 50), rel=0.1)
    goes_on = (places[:, 1:] == (places[:, :-1] + 1) % 50).mean()
    assert goes_on == pytest.approx(1 - 1 / 5 + 1 / 5 / 50, abs=0.005)


def test_the_same_seed_gives_the_same_bits_and_another_other_ones() -> None:
    def once(seed: int) -> list[Simulated]:
        returns = random_returns(8, 300)
        return [shuffled_trades(returns * 1e4, 1e5, 300, seed), resampled_returns(returns, 1e5, 300, seed)]

    assert once(1) == once(1)
    assert once(1) != once(2)


def test_without_variance_there_is_no_sharpe_ratio() -> None:
    found = resampled_returns([0.001] * 30, 1_000.0, runs=100)
    assert found.sharpe is not None
    assert (found.sharpe.percentiles, found.sharpe.actual, found.sharpe.rank) == ({}, None, None)
    assert (found.max_drawdown.actual, found.ruined) == (0.0, 0.0)


def test_the_actual_result_of_a_lucky_order_ranks_high() -> None:
    losses_last = [50.0] * 60 + [-40.0] * 10
    mixed = shuffled_trades(losses_last, 1_000.0, runs=2_000)
    assert (mixed.max_drawdown.rank or 0.0) < 0.5
    alternating = shuffled_trades([50.0, 50.0, -40.0] * 20, 1_000.0, runs=2_000)
    assert (alternating.max_drawdown.rank or 0.0) > 0.9


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: shuffled_trades([], 1_000.0), "there is no trade"),
        (lambda: shuffled_trades([1.0, math.nan], 1_000.0), "trade 1 is nan"),
        (lambda: shuffled_trades([1.0], 0.0), "opening equity 0.0"),
        (lambda: shuffled_trades([1.0], 1.0, runs=0), "0 runs"),
        (lambda: shuffled_trades([1.0], 1.0, ruin=50), "ruin 50"),
        (lambda: resampled_returns([0.1], 1.0, block=2), "block 2"),
        (lambda: resampled_returns([0.1], 1.0, method="circular"), "method 'circular'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        call()  # type: ignore[operator]
