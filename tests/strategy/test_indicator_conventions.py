"""Every indicator against independent libraries (TA-Lib, talipp), on random walks and on the recorded SPY.

Where a library starts its recursion otherwise (TA-Lib counts no true range on the first bar, and starts MACD's fast
average late), it is compared after it has converged: ``SKIP`` bars, of which a Wilder average of 14 keeps 1e-19.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import talib
from talipp import indicators as talipp
from talipp.indicators.SuperTrend import Trend
from talipp.ohlcv import OHLCV

from appliance.domain.market import Bar
from appliance.strategy.indicators import (
    ADX,
    ATR,
    EMA,
    MACD,
    OBV,
    ROC,
    RSI,
    SMA,
    VWAP,
    WMA,
    Beta,
    Bollinger,
    Correlation,
    Donchian,
    Highest,
    Indicator,
    Keltner,
    Lowest,
    RatioZScore,
    SessionVWAP,
    StDev,
    Stochastic,
    SuperTrend,
    ZScore,
)
from appliance.strategy.indicators.arrays import Columns
from tests.strategy.indicator_table import recorded, walk

SKIP = 600
Lines = Sequence[Any]


def incremental(make: Callable[[], Any], *fields: str) -> Callable[[Columns], Lines]:
    """The named fields of an indicator of talipp, or its output itself."""

    def found(columns: Columns) -> Lines:
        one = make()
        for bar in columns.bars("SPY"):
            candle = OHLCV(bar.open, bar.high, bar.low, bar.close, bar.volume)
            one.add(bar.close if isinstance(one, talipp.MACD) else candle)
        rows = [[number(getattr(value, field, None)) for field in fields] if fields else [value] for value in one]
        return list(np.array(rows, dtype=float).T)

    return found


def number(value: Any) -> Any:
    return {Trend.UP: 1.0, Trend.DOWN: -1.0}[value] if isinstance(value, Trend) else value


def typical(columns: Columns) -> Any:
    return (columns.high + columns.low + columns.close) / 3


def zscore(columns: Columns) -> Lines:
    windows = np.lib.stride_tricks.sliding_window_view(columns.close, 20)
    scores = (windows[:, -1] - windows.mean(axis=1)) / windows.std(axis=1)
    return [np.concatenate((np.full(19, np.nan), scores))]


def weighed(columns: Columns) -> Lines:
    return [talib.SUM(typical(columns) * columns.volume, 20) / talib.SUM(columns.volume, 20)]


def directions(columns: Columns) -> Lines:
    """In whole hundredths of a cent: with 0.05 and 0.05 in floats, noise would say which movement is the larger."""
    prices = [np.rint(one * 10_000) for one in (columns.high, columns.low, columns.close)]
    return [getattr(talib, name)(*prices, 14) for name in ("ADX", "PLUS_DI", "MINUS_DI")]


def stochastics(columns: Columns) -> Lines:
    return talib.STOCHF(columns.high, columns.low, columns.close, 14, 3)


def slow_stochastics(columns: Columns) -> Lines:
    return talib.STOCH(columns.high, columns.low, columns.close, 14, 3, 0, 3, 0)


def obv(columns: Columns) -> Lines:
    return [talib.OBV(columns.close, columns.volume) - columns.volume[0]]  # it starts at the first volume, we at 0


def bands(columns: Columns) -> Lines:
    upper, middle, lower = talib.BBANDS(columns.close, 20, 2.0, 2.0)
    return middle, upper, lower


def closes(name: str, *given: Any) -> Callable[[Columns], Lines]:
    """The lines of a function of TA-Lib that takes the closes."""

    def found(columns: Columns) -> Lines:
        lines = getattr(talib, name)(columns.close, *given)
        return lines if isinstance(lines, tuple) else (lines,)

    return found


CONVENTIONS: dict[str, tuple[Indicator, Callable[[Columns], Lines], int, float]] = {
    # ours, theirs, bars left out at the start, absolute tolerance
    "sma": (SMA("SPY", 30), closes("SMA", 30), 0, 1e-8),
    "ema": (EMA("SPY", 30), closes("EMA", 30), 0, 1e-8),
    "wma": (WMA("SPY", 30), closes("WMA", 30), 0, 1e-8),
    "macd, talib": (MACD("SPY"), closes("MACD", 12, 26, 9), SKIP, 1e-8),
    "stdev": (StDev("SPY", 20), closes("STDDEV", 20), 0, 1e-5),
    "zscore": (ZScore("SPY", 20), zscore, 0, 1e-6),
    "bollinger": (Bollinger("SPY"), bands, 0, 1e-5),
    "rsi": (RSI("SPY"), closes("RSI", 14), 0, 1e-8),
    "roc": (ROC("SPY", 10), closes("ROC", 10), 0, 1e-8),
    "highest": (Highest("SPY", 20), lambda columns: [talib.MAX(columns.high, 20)], 0, 0.0),
    "lowest": (Lowest("SPY", 20), lambda columns: [talib.MIN(columns.low, 20)], 0, 0.0),
    "atr": (ATR("SPY"), lambda columns: [talib.ATR(columns.high, columns.low, columns.close, 14)], SKIP, 1e-8),
    "adx": (ADX("SPY"), directions, SKIP, 1e-8),
    "stochastic, fast": (Stochastic("SPY"), stochastics, 0, 1e-7),
    "stochastic, slow": (Stochastic("SPY", 14, 3, 3), slow_stochastics, 0, 1e-7),
    "obv": (OBV("SPY"), obv, 0, 0.0),
    "vwap": (VWAP("SPY", 20), weighed, 0, 1e-6),
    "macd, talipp": (MACD("SPY"), incremental(lambda: talipp.MACD(12, 26, 9), "macd", "signal", "histogram"), 0, 1e-8),
    "donchian": (Donchian("SPY"), incremental(lambda: talipp.DonchianChannels(20), "cb", "ub", "lb"), 0, 1e-9),
    "keltner": (Keltner("SPY"), incremental(lambda: talipp.KeltnerChannels(20, 10, 2, 2), "cb", "ub", "lb"), 0, 1e-8),
    "supertrend": (SuperTrend("SPY"), incremental(lambda: talipp.SuperTrend(10, 3), "value", "trend"), SKIP, 1e-8),
    "session vwap": (SessionVWAP("SPY"), incremental(lambda: talipp.VWAP()), 0, 1e-6),
}


def compare(ours: dict[str, Any], theirs: Lines, skip: int, tolerance: float) -> None:
    """That all lines agree, NaN where the other is NaN; where theirs begins later (a convention), from there on."""
    for (name, mine), other in zip(ours.items(), theirs, strict=True):
        known = np.isfinite(other)
        known[:skip] = False
        assert known.sum() > 1_000, name
        np.testing.assert_allclose(mine[known], other[known], rtol=1e-9, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_random_walk_has_the_values_of_the_libraries(name: str, seed: int) -> None:
    ours, theirs, skip, tolerance = CONVENTIONS[name]
    columns = Columns.of(walk(3_000, seed=seed))
    compare(ours.lines_over(columns), theirs(columns), skip, tolerance)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_recorded_spy_has_the_values_of_the_libraries(name: str, real_data: Path) -> None:
    ours, theirs, skip, tolerance = CONVENTIONS[name]
    columns = Columns.of(lively(recorded(real_data)))
    compare(ours.lines_over(columns), theirs(columns), skip, tolerance)


def lively(bars: Sequence[Bar]) -> list[Bar]:
    """The regular hours alone, 13:30 to 20:00 UTC: before and after them windows stand still, where conventions part
    (a flat window is 50 to us and 0 to TA-Lib) and its float sums leave noise to divide by."""
    return [bar for bar in bars if 810 <= bar.start // 60_000_000_000 % 1440 < 1200]


def returns(columns: Columns) -> Any:
    """From bar to bar, the first one NaN."""
    return np.concatenate(([np.nan], np.diff(columns.close) / columns.close[:-1]))


def test_the_zscore_of_a_ratio_is_that_of_numpy() -> None:
    first, second = Columns.of(walk(3_000, seed=7)), Columns.of(walk(3_000, seed=8))
    ratio = first.close / second.close
    theirs = zscore(Columns(ratio, ratio, ratio, ratio, ratio))[0]
    ours = RatioZScore("A", "B", 20).over(first, second)
    np.testing.assert_allclose(ours, theirs, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("period", [5, 60])
def test_correlation_and_beta_are_those_of_talib(period: int) -> None:
    draw = np.random.default_rng(5)
    second = Columns.of(walk(3_000, seed=6))
    drift = np.round(second.close * np.exp(np.cumsum(draw.normal(0, 0.0005, 3_000))), 4)
    first = Columns(drift, drift, drift, drift, second.volume)
    correlation = Correlation("A", "B", period).over(first, second)
    theirs = talib.CORREL(returns(first)[1:], returns(second)[1:], period)
    np.testing.assert_allclose(correlation[period:], theirs[period - 1 :], atol=1e-7)
    beta = Beta("A", "B", period).over(first, second)
    np.testing.assert_allclose(beta[period:], talib.BETA(second.close, first.close, period)[period:], atol=1e-6)
    assert 0.5 < np.median(correlation[period:]) < 0.999


def test_correlation_and_beta_of_recorded_symbols_are_those_of_talib(real_data: Path) -> None:
    both = [{bar.end: bar for bar in recorded(real_data, symbol)} for symbol in ("AIG", "SPY")]
    common = [end for end in both[0] if end in both[1]]
    first, second = (Columns.of([bars[end] for end in common]) for bars in both)
    assert len(first) > 1_000
    correlation = Correlation("AIG", "SPY", 60).over(first, second)
    theirs = talib.CORREL(returns(first)[1:], returns(second)[1:], 60)
    np.testing.assert_allclose(correlation[60:], theirs[59:], atol=1e-5)
    beta = Beta("AIG", "SPY", 60).over(first, second)
    np.testing.assert_allclose(beta[60:], talib.BETA(second.close, first.close, 60)[60:], atol=1e-4)
