"""Indicators against plain references, crossings as a table, and the promise of bit-identical restarts."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import math
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.market import MINUTE, Bar
from appliance.errors import StrategyError
from appliance.strategy.indicators import ATR, EMA, RSI, SMA, Highest, Indicator, Lowest, StDev

KINDS = (SMA, EMA, RSI, ATR, StDev, Highest, Lowest)


def bar(close: float, high: float | None = None, low: float | None = None, index: int = 0) -> Bar:
    high, low = close if high is None else high, close if low is None else low
    return Bar("SPY", "1m", index * MINUTE, (index + 1) * MINUTE, close, high, low, close, 100.0)


def values(indicator: Indicator, bars: list[Bar]) -> list[float]:
    found = []
    for one in bars:
        indicator.update(one)
        found.append(indicator.value)
    return found


prices = st.integers(1, 50_000_00).map(lambda cents: cents / 100)
bar_lists = st.lists(
    st.tuples(prices, st.integers(0, 500), st.integers(0, 500)).map(
        lambda row: bar(row[0], row[0] + row[1] / 100, max(0.01, row[0] - row[2] / 100))
    ),
    min_size=1,
    max_size=60,
)
periods = st.integers(1, 12)


def array(kind: type[Indicator], bars: list[Bar], period: int) -> list[float]:
    """The whole series at once, the slow and obvious way."""
    close, high, low = ([getattr(one, field) for one in bars] for field in ("close", "high", "low"))
    return _REFERENCES[kind](close, high, low, period)


def windowed(series, period, function):
    return [function(series[i + 1 - period : i + 1]) if i + 1 >= period else math.nan for i in range(len(series))]


def wilder(series, period):
    """Mean of the first ``period``, then smoothed by 1 / period."""
    found = [math.nan] * len(series)
    for i in range(period - 1, len(series)):
        before = found[i - 1]
        found[i] = sum(series[:period]) / period if i == period - 1 else before + (series[i] - before) / period
    return found


def reference_ema(close, high, low, period):
    found = [math.nan] * len(close)
    for i in range(period - 1, len(close)):
        seed = i == period - 1
        found[i] = sum(close[:period]) / period if seed else found[i - 1] + 2 / (period + 1) * (close[i] - found[i - 1])
    return found


def reference_rsi(close, high, low, period):
    changes = [round(b - a, 8) for a, b in itertools.pairwise(close)]
    gains, losses = (wilder([max(sign * change, 0.0) for change in changes], period) for sign in (1, -1))
    # 100 - 100 / (1 + RS), with RS = gain / loss; NaN stays NaN
    index = [50.0 if g == l == 0 else 100 * g / (g + l) for g, l in zip(gains, losses, strict=True)]  # noqa: E741
    return [math.nan, *index]


def reference_atr(close, high, low, period):
    ranges = [high[0] - low[0]] + [
        max(high[i] - low[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1])) for i in range(1, len(close))
    ]
    return wilder(ranges, period)


_REFERENCES = {
    SMA: lambda close, high, low, n: windowed(close, n, lambda w: float(np.mean(w))),
    EMA: reference_ema,
    RSI: reference_rsi,
    ATR: reference_atr,
    StDev: lambda close, high, low, n: windowed(close, n, lambda w: float(np.std(w))),
    Highest: lambda close, high, low, n: windowed(high, n, max),
    Lowest: lambda close, high, low, n: windowed(low, n, min),
}


@pytest.mark.parametrize("kind", KINDS)
@given(bars=bar_lists, period=periods)
@settings(max_examples=60, deadline=None)
def test_the_stream_equals_the_array(kind, bars, period):
    streamed = values(kind("SPY", period), bars)
    np.testing.assert_allclose(streamed, array(kind, bars, period), rtol=1e-9, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
@given(bars=bar_lists, period=periods, data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_restart_at_any_bar_continues_with_the_same_bits(kind, bars, period, data):
    cut = data.draw(st.integers(0, len(bars)))
    first, second = kind("SPY", period), kind("SPY", period)
    values(first, bars[:cut])
    second.restore(json.loads(json.dumps(first.snapshot(), allow_nan=False)))
    for one in bars[cut:]:
        first.update(one)
        second.update(one)
        assert repr((first.value, first.previous)) == repr((second.value, second.previous))
    assert first.snapshot() == second.snapshot()


@pytest.mark.parametrize("kind", [SMA, StDev, Highest, Lowest])
@given(bars=bar_lists, period=periods)
@settings(max_examples=60, deadline=None)
def test_a_window_does_not_remember_what_came_before_it(kind, bars, period):
    long, short = kind("SPY", period), kind("SPY", period)
    values(long, [bar(99_999.99), bar(0.01), *bars, *bars[-1:] * period])
    values(short, bars[-1:] * period)
    assert repr(long.value) == repr(short.value)


@given(bars=bar_lists, period=periods)
@settings(max_examples=100, deadline=None)
def test_sma_has_the_bits_of_a_numpy_cumulative_sum(bars, period):
    units = np.rint(np.array([one.close for one in bars]) * 1e8).astype(np.int64)
    sums = np.concatenate([[0], np.cumsum(units)])
    vectorized = (sums[period:] - sums[:-period]) / (period * 10**8) if period <= len(bars) else np.array([])
    streamed = [value for value in values(SMA("SPY", period), bars) if not math.isnan(value)]
    assert streamed == vectorized.tolist()


@given(bars=bar_lists, period=periods)
@settings(max_examples=100, deadline=None)
def test_sma_is_the_exact_mean_rounded_once(bars, period):
    streamed = values(SMA("SPY", period), bars)
    for i in range(period - 1, len(bars)):
        window = [Fraction(str(one.close)) for one in bars[i + 1 - period : i + 1]]
        assert streamed[i] == float(sum(window) / period)


@given(price=prices, fast=periods, slow=periods)
def test_averages_of_a_flat_price_are_that_price_and_never_cross(price, fast, slow):
    one, other = SMA("SPY", fast), SMA("SPY", slow)
    for _ in range(30):
        one.update(bar(price))
        other.update(bar(price))
        assert not one.crossed_above(other)
        assert not one.crossed_below(other)
    assert one.value == other.value == price


@pytest.mark.parametrize(("kind", "bars_needed"), [(SMA, 5), (EMA, 5), (RSI, 6), (ATR, 5), (StDev, 5), (Highest, 5)])
def test_it_is_ready_after_as_many_bars_as_it_says(kind, bars_needed):
    indicator = kind("SPY", 5)
    for index in range(bars_needed):
        assert not indicator.ready
        assert math.isnan(indicator.value)
        indicator.update(bar(100.0 + index))
    assert indicator.ready
    assert math.isnan(indicator.previous)
    before = indicator.value
    indicator.update(bar(90.0))
    assert indicator.previous == before


def test_rsi_agrees_with_the_table_stockcharts_publishes():
    closes = (44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931,
              46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439)  # fmt: skip
    found = values(RSI("QQQQ", 14), [bar(close) for close in closes])
    assert [round(value, 2) for value in found[14:]] == [70.53, 66.32, 66.55, 69.41, 66.36, 57.97]


@pytest.mark.parametrize(("closes", "expected"), [([5.0] * 4, 50.0), ([1, 2, 3, 4], 100.0), ([4, 3, 2, 1], 0.0)])
def test_rsi_of_a_price_that_only_rises_falls_or_stands_still(closes, expected):
    assert values(RSI("SPY", 3), [bar(float(close)) for close in closes])[-1] == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "above", "below"),
    [
        # through
        ((1.0, 3.0), (2.0, 2.0), True, False),
        ((3.0, 1.0), (2.0, 2.0), False, True),
        # both move
        ((1.0, 2.0), (2.0, 1.0), True, False),
        # from a touch: counts when it leaves, not when it arrives
        ((2.0, 3.0), (2.0, 2.0), True, False),
        ((2.0, 1.0), (2.0, 2.0), False, True),
        ((1.0, 2.0), (2.0, 2.0), False, False),
        ((3.0, 2.0), (2.0, 2.0), False, False),
        ((2.0, 2.0), (2.0, 2.0), False, False),
        # already there
        ((3.0, 4.0), (2.0, 2.0), False, False),
        ((1.0, 0.5), (2.0, 2.0), False, False),
        # warming up, on either side, now or on the bar before
        ((math.nan, 3.0), (2.0, 2.0), False, False),
        ((1.0, 3.0), (math.nan, 2.0), False, False),
        ((math.nan, math.nan), (2.0, 2.0), False, False),
        ((1.0, 3.0), (math.nan, math.nan), False, False),
    ],
)
def test_a_crossing_is_a_change_of_sides_between_two_bars(ours, theirs, above, below):
    one, other = SMA("SPY", 1), SMA("SPY", 1)
    (one.previous, one.value), (other.previous, other.value) = ours, theirs
    assert (one.crossed_above(other), one.crossed_below(other)) == (above, below)
    if theirs[0] == theirs[1]:
        assert (one.crossed_above(theirs[1]), one.crossed_below(theirs[1])) == (above, below)


@pytest.mark.parametrize("period", [0, -1, 2.0, "10", True, None, 100_001])
def test_a_period_that_is_no_number_of_bars_is_refused(period):
    with pytest.raises(StrategyError, match=r"sma\('SPY', .*whole number of bars"):
        SMA("SPY", period)


def spy_closes() -> list[float]:
    root = Path(os.environ.get("APPLIANCE_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")
    file = root / "market" / "equity_1min_bars.csv.gz"
    if not file.exists():
        pytest.skip("no recorded data here: set APPLIANCE_REAL_DATA to the folder that holds market/")
    with gzip.open(file, "rt") as lines:
        return [float(row["close"]) for row in csv.DictReader(lines) if row["symbol"] == "SPY"]


def test_the_six_ties_of_recorded_spy_are_ties_and_not_noise():
    closes = spy_closes()
    fast, slow = (values(SMA("SPY", period), [bar(close) for close in closes]) for period in (10, 30))
    near = [i for i in range(29, len(closes)) if abs(fast[i] - slow[i]) < 1e-9]
    assert len(near) == 6
    assert all(fast[i] == slow[i] for i in near)
    rounded = [Fraction(str(close)) for close in closes]
    for i in range(29, len(closes)):
        exact = sum(rounded[i - 9 : i + 1]) / 10 - sum(rounded[i - 29 : i + 1]) / 30
        assert (fast[i] > slow[i]) == (exact > 0)
        assert (fast[i] < slow[i]) == (exact < 0)
