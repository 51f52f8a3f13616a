"""A sweep of SMA pairs over a random walk of one-minute bars, by whole arrays on one core, and what others make of it.

``bars_per_s`` is bars times combinations over all seconds of the sweep, moving averages included; ``cold_bars_per_s``
is its first combination alone, which has to make its averages. One combination is run event by event too, over the
first bars: its fills and equity must be the same. vectorbt (extra ``bench-peers``) runs some of the pairs at once and
backtesting.py one; each where it is installed.

Where a combination's time goes (1 M bars, 39,000 fills, 12 ms of processor time): two crossings over all bars 6 ms,
looking for wishes 2 ms, fills and money 4 ms. An average costs 25 ms once: it is exact, so that it may be shared, and
the prices in units are made once for all of them. Numba has nothing to do here: the loops are numpy's.
"""

from __future__ import annotations

import argparse
import time
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.data.sources.random_walk import random_walk
from appliance.domain.market import Bar
from appliance.making import runner_factory
from appliance.research.vectorized import running as vectorized
from appliance.runs import StrategySpec
from appliance.strategy import Strategy, loader
from appliance.strategy.signals import BarArrays
from appliance.world.backtest import Backtest
from tests.bench import box

SYMBOL, SEED = "WALK", 1
FAST, SLOW = range(5, 55, 5), range(20, 220, 20)
CASH, SHARES = Decimal(100_000), 100
FILE = box.ROOT / "strategies" / "sma_cross.py"
CHECKED = 50_000
"""Bars of the one combination that is run event by event too."""
Pair = tuple[int, int]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run."""
    box.tell(f"making {options.bars} bars")
    bars = list(random_walk(options.bars, SEED, SYMBOL))
    columns = BarArrays.from_bars(bars)
    pairs = [pair for pair in product(FAST, SLOW) if pair[0] < pair[1]]
    box.tell(f"ours: {len(pairs)} combinations")
    ours = _ours(columns, pairs)
    box.tell("one of them event by event")
    checked = _checked(bars[:CHECKED])
    peers: dict[str, Any] = {}
    for name, peer in (("vectorbt", _vectorbt), ("backtesting_py", _backtesting)):
        box.tell(name)
        peers |= _peer(name, peer, columns, pairs, ours["bars_per_s"])
    return {"bars": len(bars), "combinations": len(pairs), **ours, **checked, **peers}


def _strategy() -> type[Strategy]:
    return loader.load_class(FILE.read_text(), str(FILE))


def _params(pair: Pair) -> dict[str, Any]:
    return {"symbol": SYMBOL, "fast": pair[0], "slow": pair[1]}


def _ours(columns: BarArrays, pairs: list[Pair]) -> dict[str, Any]:
    strategy, bars = _strategy(), {SYMBOL: columns}
    fills, spent = 0, []
    used = time.process_time()
    for pair in pairs:
        begin = time.perf_counter()
        fills += len(vectorized.run(strategy, _params(pair), bars, cash=CASH).filled)
        spent.append(time.perf_counter() - begin)
    used = time.process_time() - used
    return {
        "bars_per_s": round(len(columns) * len(pairs) / sum(spent)),
        "bars_per_cpu_s": round(len(columns) * len(pairs) / used),
        "cold_bars_per_s": round(len(columns) / spent[0]),
        "best_bars_per_s": round(len(columns) / min(spent)),
        "seconds": round(sum(spent), 3), "cpu_seconds": round(used, 3), "fills": fills,
    }  # fmt: skip


def _checked(bars: list[Bar]) -> dict[str, Any]:
    pair = (10, 30)
    mine = vectorized.run(_strategy(), _params(pair), {SYMBOL: BarArrays.from_bars(bars)}, cash=CASH)
    params = {name: str(value) for name, value in _params(pair).items()}
    maker = runner_factory(StrategySpec("sma_cross", str(FILE), params=params))
    theirs = Backtest("sma_cross", (maker,), rules(LimitValues()), CASH, MarketModel())
    theirs.run(bars)
    same = (len(mine.filled), mine.equity) == (theirs.record.fills, theirs.equity)
    return {"same_as_events": same, "checked_bars": len(bars), "checked_fills": len(mine.filled)}


def _peer(name: str, peer: Any, columns: BarArrays, pairs: list[Pair], ours: float) -> dict[str, Any]:
    try:
        rate = peer(columns, pairs)
    except ImportError:
        box.tell(f"{name} is not installed: pip install 'trading-appliance[bench-peers]'")
        return {f"{name}_bars_per_s": None}
    return {f"{name}_bars_per_s": round(rate), f"ratio_to_{name}": round(ours / rate, 1)}


def _vectorbt(columns: BarArrays, pairs: list[Pair]) -> float:
    """Bars times combinations a second. Orders fill at the next open, as ours; its numba is compiled before."""
    import pandas as pd
    import vectorbt as vbt

    frame = pd.DataFrame({"open": columns.open, "close": columns.close}, index=pd.to_datetime(columns.start))

    def sweep(data: Any, some: list[Pair]) -> None:
        fast = vbt.MA.run(data.close, [pair[0] for pair in some], short_name="fast")
        slow = vbt.MA.run(data.close, [pair[1] for pair in some], short_name="slow")
        entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
        vbt.Portfolio.from_signals(
            data.close, entries.vbt.signals.fshift(1), exits.vbt.signals.fshift(1), size=SHARES, fixed_fees=1.0,
            price=data.open, init_cash=float(CASH), freq="1min",
        ).final_value()  # fmt: skip

    few = pairs[:4]  # all of them at once need a gigabyte for each million bars
    sweep(frame.iloc[:1_000], few)
    begin = time.perf_counter()
    sweep(frame, few)
    return len(columns) * len(few) / (time.perf_counter() - begin)


def _backtesting(columns: BarArrays, pairs: list[Pair]) -> float:
    """Bars a second of its one run with the same rule, statistics included."""
    import pandas as pd
    from backtesting import Backtest as Theirs
    from backtesting import Strategy as TheirStrategy
    from backtesting.lib import crossover

    def sma(values: Any, window: int) -> Any:
        return pd.Series(values).rolling(window).mean()

    class SmaCross(TheirStrategy):  # type: ignore[misc]
        def init(self) -> None:
            self.fast, self.slow = (self.I(sma, self.data.Close, window) for window in (10, 30))

        def next(self) -> None:
            if crossover(self.fast, self.slow):
                self.buy(size=SHARES)
            elif crossover(self.slow, self.fast):
                self.position.close()

    count = min(len(columns), 200_000)
    names = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}
    frame = pd.DataFrame({name: np.array(getattr(columns, column)[:count]) for name, column in names.items()})
    frame.index = pd.to_datetime(columns.start[:count])
    theirs = Theirs(frame, SmaCross, cash=float(CASH), commission=(1.0, 0.0))
    begin = time.perf_counter()
    theirs.run()
    return count / (time.perf_counter() - begin)
