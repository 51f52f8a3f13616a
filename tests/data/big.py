"""Large files of bars, seeded, made on the spot and never kept."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from appliance.domain.market import MINUTE, Sessions

HEADER = "ts,symbol,open,high,low,close,volume\n"
START = 1_420_070_400_000_000_000  # 2015-01-01 UTC


def bar_starts(count: int, sessions: Sessions | None) -> np.ndarray:
    """When so many one-minute bars begin (ns UTC): one after the other, or in the sessions from 2015 on."""
    if sessions is None:
        return START + np.arange(count) * MINUTE
    spans = [np.arange(one.open, one.close, MINUTE) for one in sessions if one.open >= START]
    return np.concatenate(spans)[:count]


def _columns(count: int, seed: int) -> Iterator[list[float]]:
    draw = np.random.default_rng(seed)
    closes = np.round(100 * np.exp(np.cumsum(draw.normal(0, 0.0003, count))), 2)
    opens = np.concatenate(([100.0], closes[:-1]))
    for column in (opens, np.maximum(opens, closes) + 0.01, np.minimum(opens, closes) - 0.01, closes):
        yield column.tolist()
    yield draw.integers(100, 99_999, count).tolist()


def rows_of(symbol: str, starts: list[int], seed: int) -> list[str]:
    """The lines of one symbol."""
    rows = zip(starts, *_columns(len(starts), seed), strict=True)
    return [f"{at},{symbol},{o:.2f},{h:.2f},{low:.2f},{c:.2f},{v}\n" for at, o, h, low, c, v in rows]


def write(path: Path, symbols: int, count: int, by_time: bool = False, sessions: Sessions | None = None) -> Path:
    """A file of ``count`` one-minute bars of each of so many symbols, one symbol after the other or in order of time;
    gzipped where the name says so."""
    opener = gzip.open if path.suffix == ".gz" else open
    starts = bar_starts(count, sessions).tolist()
    made = ((number, rows_of(f"S{number:02d}", starts, number)) for number in range(symbols))
    with opener(path, "wt", **({"compresslevel": 1} if path.suffix == ".gz" else {})) as file:  # type: ignore[operator]
        file.write(HEADER)
        if by_time:
            for together in zip(*[lines for _, lines in made], strict=True):
                file.writelines(together)
            return path
        for _, lines in made:
            file.writelines(lines)
    return path
