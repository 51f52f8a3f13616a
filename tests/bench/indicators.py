"""What each indicator costs, ns a bar, fed and over whole arrays; and SMA beside a bare deque and running sum."""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from appliance.data.sources.random_walk import random_walk
from appliance.domain.market import Bar
from appliance.strategy.indicators import SMA, Indicator, Pair
from appliance.strategy.indicators.arrays import Columns
from tests.bench import box
from tests.strategy.indicator_table import PAIRS, SINGLE, Make, together

PERIOD = 20
SEED = 1
REPEATS = 3


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run: the best of three, all in this process."""
    box.tell(f"making {options.bars} bars")
    bars, others = (list(random_walk(options.bars, SEED, symbol)) for symbol in ("SPY", "QQQ"))
    feeds = {**dict.fromkeys(SINGLE, bars), **dict.fromkeys(PAIRS, together(bars, others))}
    columns = Columns.of(bars), Columns.of(others)
    stream = {name: _stream(make, feeds[name]) for name, make in (SINGLE | PAIRS).items()}
    box.tell("over arrays")
    array = {name: _array(make(PERIOD), columns) for name, make in (SINGLE | PAIRS).items()}
    sma, bare = _best(lambda: _fed(SMA("SPY", PERIOD), bars), bars), _best(lambda: _bare(bars), bars)
    ratio = round(sma / bare, 2)
    return {"bars": len(bars), "period": PERIOD, "ns_a_bar": stream, "array_ns_a_bar": array,
            "sma_ns": sma, "deque_and_sum_ns": bare, "sma_to_deque_and_sum": ratio}  # fmt: skip


def _stream(make: Make, bars: list[Bar]) -> int:
    box.tell(make(PERIOD).label)
    return round(_best(lambda: _fed(make(PERIOD), bars), bars))


def _fed(indicator: Indicator, bars: Iterable[Bar]) -> None:
    update = indicator.update
    for bar in bars:
        update(bar)


def _array(indicator: Indicator, columns: tuple[Columns, Columns]) -> int:
    first, second = columns
    over = (lambda: indicator.over(first, second)) if isinstance(indicator, Pair) else (lambda: indicator.over(first))
    return round(_best(over, first))


def _bare(bars: Iterable[Bar]) -> float:
    """The least an average can do: a window of floats and their running sum, which drifts."""
    window, total, value = deque([0.0] * PERIOD, maxlen=PERIOD), 0.0, 0.0
    for bar in bars:
        total += bar.close - window[0]
        window.append(bar.close)
        value = total / PERIOD
    return value


def _best(work: Callable[[], object], bars: Any) -> float:
    """The shortest of some runs, ns a bar: what else the machine does only makes them longer."""
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return round(min(seconds) / len(bars) * 1e9, 1)
