"""Every indicator there is, for tests that promise the same of all of them; and bars to feed them with."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from appliance.domain.market import MINUTE, Bar
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
    Renko,
    SessionVWAP,
    StDev,
    Stochastic,
    SuperTrend,
    ZScore,
)

Make = Callable[[int], Indicator]

SINGLE: dict[str, Make] = {
    "sma": lambda n: SMA("SPY", n),
    "ema": lambda n: EMA("SPY", n),
    "wma": lambda n: WMA("SPY", n),
    "macd": lambda n: MACD("SPY", n, n + 4, 3),
    "macd, slow first": lambda n: MACD("SPY", n + 2, n, n),
    "stdev": lambda n: StDev("SPY", n),
    "zscore": lambda n: ZScore("SPY", n),
    "bollinger": lambda n: Bollinger("SPY", n, 1.7),
    "highest": lambda n: Highest("SPY", n),
    "lowest": lambda n: Lowest("SPY", n),
    "donchian": lambda n: Donchian("SPY", n),
    "stochastic, fast": lambda n: Stochastic("SPY", n, 3),
    "stochastic, slow": lambda n: Stochastic("SPY", n, n, 3),
    "rsi": lambda n: RSI("SPY", n),
    "roc": lambda n: ROC("SPY", n),
    "adx": lambda n: ADX("SPY", n),
    "atr": lambda n: ATR("SPY", n),
    "keltner": lambda n: Keltner("SPY", n, 1.5, 4),
    "supertrend": lambda n: SuperTrend("SPY", n, 0.9),
    "vwap": lambda n: VWAP("SPY", n),
    "session vwap": lambda n: SessionVWAP("SPY"),
    "obv": lambda n: OBV("SPY"),
    "renko, classic": lambda n: Renko("SPY", n / 400, "classic"),
    "renko, wicked": lambda n: Renko("SPY", n * 1e8, "wicked", (1, 0, 2, 3)),
}
PAIRS: dict[str, Make] = {
    "correlation": lambda n: Correlation("SPY", "QQQ", n),
    "beta": lambda n: Beta("SPY", "QQQ", n),
    "zscore of a ratio": lambda n: RatioZScore("SPY", "QQQ", n),
}

cents = st.integers(1, 500_00).map(lambda price: price / 100)
odd_prices = st.floats(0.01, 900.0, allow_nan=False)
huge_prices = st.integers(1, 10**11).map(float)
volumes = st.one_of(st.just(0.0), st.integers(0, 10**7).map(float), st.floats(0.0, 1e3), st.just(3e11))


def bar_lists(prices: st.SearchStrategy[float] | None = None) -> st.SearchStrategy[list[Bar]]:
    """Lists of bars of SPY, up to 60, whose prices are of one kind: cents, any digits, or huge."""
    kinds = st.sampled_from([cents, odd_prices, huge_prices]) if prices is None else st.just(prices)
    return kinds.flatmap(lambda kind: st.lists(rows(kind), max_size=60)).map(numbered)


def rows(prices: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[float, ...]]:
    """Open, high, low, close and volume, high the highest and low the lowest."""
    four = st.lists(prices, min_size=4, max_size=4).map(sorted)
    ordered = st.tuples(four, st.booleans()).map(
        lambda drawn: (drawn[0][1 + drawn[1]], drawn[0][3], drawn[0][0], drawn[0][2 - drawn[1]])
    )
    flat = prices.map(lambda price: (price,) * 4)
    return st.tuples(st.one_of(ordered, flat), volumes).map(lambda drawn: (*drawn[0], drawn[1]))


def numbered(found: Iterable[tuple[float, ...]], symbol: str = "SPY") -> list[Bar]:
    """Rows as one-minute bars in a row."""
    return [Bar(symbol, "1m", i * MINUTE, (i + 1) * MINUTE, *row) for i, row in enumerate(found)]


def walk(count: int, seed: int, symbol: str = "SPY", step: float = 0.001) -> list[Bar]:
    """A random walk of bars in cents, volume included."""
    draw = np.random.default_rng(seed)
    closes = np.round(100 * np.exp(np.cumsum(draw.normal(0, step, count))), 2)
    opens = np.concatenate(([100.0], closes[:-1]))
    highs = np.round(np.maximum(opens, closes) + draw.exponential(0.05, count), 2)
    lows = np.round(np.minimum(opens, closes) - draw.exponential(0.05, count), 2)
    sizes = draw.integers(1, 10_000, count).astype(float)
    return numbered(zip(*(one.tolist() for one in (opens, highs, lows, closes, sizes)), strict=True), symbol)


@cache
def recorded(folder: Path, symbol: str = "SPY") -> tuple[Bar, ...]:
    """The recorded one-minute bars of a symbol, in order of time (stamped with their start)."""
    with gzip.open(folder / "equity_1min_bars.csv.gz", "rt") as lines:
        found = [row for row in csv.DictReader(lines) if row["symbol"] == symbol]
    fields = ("open", "high", "low", "close", "volume")
    bars = [
        Bar(symbol, "1m", int(row["ts"]), int(row["ts"]) + MINUTE, *(float(row[name]) for name in fields))
        for row in found
    ]
    return tuple(sorted(bars, key=lambda bar: bar.end))


def streamed(indicator: Indicator, bars: Iterable[Bar]) -> dict[str, list[float]]:
    """All lines after each bar, fed one at a time."""
    found: dict[str, list[float]] = {name: [] for name in indicator.LINES}
    for bar in bars:
        indicator.update(bar)
        for name, line in indicator.lines.items():
            found[name].append(line.value)
    return found


def together(first: Iterable[Bar], second: Iterable[Bar]) -> list[Bar]:
    """The bars of two symbols in the order they come in: by end, then as given."""
    return sorted([*first, *second], key=lambda bar: bar.end)


def bits(series: Iterable[float]) -> list[str]:
    """Values so that equal means the same bits (and NaN is NaN)."""
    return [repr(float(value)) for value in series]
