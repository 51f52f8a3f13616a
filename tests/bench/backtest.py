"""SMA 10/30 over a random walk of one-minute bars: the event-driven backtest, guard and fills on, and backtesting.py.

Timed is the run itself. Both are given the bars in memory, and backtesting.py's statistics, which ours has not made
either, are taken off its time.
"""

from __future__ import annotations

import argparse
import time
import warnings
from decimal import Decimal
from typing import Any

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.data.sources.random_walk import random_walk
from appliance.domain.market import Bar
from appliance.making import runner_factory
from appliance.runs import StrategySpec
from appliance.world.backtest import Backtest
from tests.bench import box

SYMBOL, SEED = "WALK", 1
FAST, SLOW, SHARES = 10, 30, 100
CASH = 100_000


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run."""
    box.tell(f"making {options.bars} bars")
    bars = list(random_walk(options.bars, SEED, SYMBOL))
    box.tell("ours")
    ours = _ours(bars)
    box.tell("backtesting.py")
    theirs = _theirs(bars)
    ratio = round(ours["bars_per_s"] / theirs["backtesting_py_bars_per_s"], 2)
    return {"bars": len(bars), **ours, **theirs, "ratio": ratio}


def _ours(bars: list[Bar]) -> dict[str, Any]:
    params = {"symbol": SYMBOL, "fast": str(FAST), "slow": str(SLOW)}
    file = str(box.ROOT / "strategies" / "sma_cross.py")
    maker = runner_factory(StrategySpec("sma_cross", file, params=params))
    backtest = Backtest("sma_cross", (maker,), rules(LimitValues()), Decimal(CASH), MarketModel())
    begin, used = time.perf_counter(), time.process_time()
    backtest.run(bars)
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    return {
        "bars_per_s": round(len(bars) / seconds), "seconds": round(seconds, 3), "cpu_seconds": round(used, 3),
        "orders": backtest.record.orders, "fills": backtest.record.fills, "denied": backtest.record.denied,
        "equity": str(backtest.equity),
    }  # fmt: skip


def _theirs(bars: list[Bar]) -> dict[str, Any]:
    import backtesting.backtesting as engine
    import numpy
    import pandas
    from backtesting import Backtest as Theirs
    from backtesting import Strategy
    from backtesting.lib import crossover

    def sma(values: Any, window: int) -> Any:
        return pandas.Series(values).rolling(window).mean()

    class SmaCross(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.fast, self.slow = self.I(sma, self.data.Close, FAST), self.I(sma, self.data.Close, SLOW)

        def next(self) -> None:
            if crossover(self.fast, self.slow):
                self.buy(size=SHARES)
            elif crossover(self.slow, self.fast):
                self.position.close()

    columns = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}
    frame = pandas.DataFrame({theirs: [getattr(bar, ours) for bar in bars] for theirs, ours in columns.items()})
    frame.index = pandas.to_datetime(numpy.array([bar.start for bar in bars]))
    warnings.filterwarnings("ignore", module="backtesting")
    theirs = Theirs(frame, SmaCross, cash=CASH, commission=_fee)
    spent = _timed(engine, "compute_stats")
    begin = time.perf_counter()
    stats = theirs.run()
    seconds = time.perf_counter() - begin - spent[0]
    return {
        "backtesting_py_bars_per_s": round(len(bars) / seconds), "backtesting_py_seconds": round(seconds, 3),
        "backtesting_py_trades": int(stats["# Trades"]),
    }  # fmt: skip


def _fee(size: float, price: float) -> float:
    """Commission() in floats, as backtesting.py counts."""
    shares = abs(size)
    return round(min(max(1.0, 0.005 * shares), 0.005 * shares * price), 2)


def _timed(module: Any, name: str) -> list[float]:
    """Let a function of a module count the seconds it takes, in the list's first place."""
    spent, function = [0.0], getattr(module, name)

    def timed(*given: Any, **named: Any) -> Any:
        begin = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            spent[0] += time.perf_counter() - begin

    setattr(module, name, timed)
    return spent
