"""Bars of a seeded random walk, made fast: for benches and long backtests."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

from appliance.domain.market import MINUTE, Bar

_CHUNK = 65_536
_START = 1_577_836_800_000_000_000  # 2020-01-01 UTC


def random_walk(bars: int, seed: int, symbol: str = "WALK", price: float = 100.0, start: int = _START) -> Iterator[Bar]:
    """``bars`` one-minute bars without gaps from ``start`` (ns UTC), prices in cents from ``price`` (USD) on.

    The same arguments give the same bars. Imports numpy when the first bar is asked for.
    """
    import numpy

    draw = numpy.random.Generator(numpy.random.PCG64([seed, crc32(symbol.encode())]))
    for begin in range(0, bars, _CHUNK):
        count = min(_CHUNK, bars - begin)
        closes = price * numpy.exp(numpy.cumsum(draw.normal(0.0, 0.0005, count)))
        opens = numpy.concatenate(([price], closes[:-1]))
        price = float(closes[-1])
        highs = numpy.maximum(opens, closes) * (1 + numpy.abs(draw.normal(0.0, 0.0002, count)))
        lows = numpy.minimum(opens, closes) * (1 - numpy.abs(draw.normal(0.0, 0.0002, count)))
        volumes = draw.integers(100, 10_000, count).astype(float)
        prices = (numpy.maximum(numpy.round(column, 2), 0.01).tolist() for column in (opens, highs, lows, closes))
        for index, numbers in enumerate(zip(*prices, volumes.tolist(), strict=True)):
            at = start + (begin + index) * MINUTE
            yield Bar(symbol, "1m", at, at + MINUTE, *numbers)
