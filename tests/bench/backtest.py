"""SMA 10/30 over a random walk of one-minute bars: the event-driven backtest, guard and fills on, and other engines.

Timed is the run itself. Ours and backtesting.py are given the bars in memory, and backtesting.py's statistics, which
ours has not made either, are taken off its time; the others run in processes of their own (``peers.py``). ``cpu_ratio``
compares processor time, which a busy machine disturbs less.

Profile of a bar with nothing happening, ns of processor time, the best of seven runs on two cores that others used too,
marks at session closes (6,300 before, when each timestamp went through VENUE, GUARD and HOSTS as messages; those were
with a mark at each of the first 25,000 times):

====================================================  =====
all                                                    1660
the timestamp: its events, ``Now``, prices, the books   550
``Stages.hear``: who hears the symbol                   290
``StrategyRunner.bar`` around what follows              320
two averages                                            310
``on_bar``: two crossings                               190
====================================================  =====

An average sums floats that hold whole units: 120 ns alone, Python's integers took 540. A mark costs about 3 us. A
position costs about 1.2 us a bar, its author's question for it included, and a stop that rests far away 0.2 us more:
see ``holding.py``. Freezing, rarer or no garbage collection made no difference. All else is orders: see ``orders.py``.
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
from tests.bench import box, peers
from tests.bench.peers import CASH, FAST, SEED, SHARES, SLOW, SYMBOL


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run."""
    box.tell(f"making {options.bars} bars")
    bars = list(random_walk(options.bars, SEED, SYMBOL))
    box.tell("ours")
    ours = _ours(bars)
    box.tell("backtesting.py")
    theirs = _theirs(bars)
    ratio = round(ours["bars_per_s"] / theirs["backtesting_py_bars_per_s"], 2)
    cpu_ratio = round(theirs["backtesting_py_cpu_seconds"] / ours["cpu_seconds"], 2)
    others = _peers(len(bars), ours["bars_per_s"])
    return {"bars": len(bars), **ours, **theirs, "ratio": ratio, "cpu_ratio": cpu_ratio, **others}


def _peers(bars: int, ours: int) -> dict[str, Any]:
    """Bars/s of each other engine that is installed, and how many times as fast we are."""
    found: dict[str, Any] = {}
    for engine in peers.ENGINES:
        speed = peers.compare(engine, bars)
        if speed is not None:
            found |= {f"{engine}_bars_per_s": round(speed), f"{engine}_ratio": round(ours / speed, 2)}
    return found


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
    begin, used = time.perf_counter(), time.process_time()
    stats = theirs.run()
    seconds, used = time.perf_counter() - begin - spent[0], time.process_time() - used - spent[1]
    return {
        "backtesting_py_bars_per_s": round(len(bars) / seconds), "backtesting_py_seconds": round(seconds, 3),
        "backtesting_py_cpu_seconds": round(used, 3),
        "backtesting_py_trades": int(stats["# Trades"]),
    }  # fmt: skip


def _fee(size: float, price: float) -> float:
    """Commission() in floats, as backtesting.py counts."""
    shares = abs(size)
    return round(min(max(1.0, 0.005 * shares), 0.005 * shares * price), 2)


def _timed(module: Any, name: str) -> list[float]:
    """Let a function of a module count the seconds it takes, and those of processor time."""
    spent, function = [0.0, 0.0], getattr(module, name)

    def timed(*given: Any, **named: Any) -> Any:
        begin, used = time.perf_counter(), time.process_time()
        try:
            return function(*given, **named)
        finally:
            spent[0] += time.perf_counter() - begin
            spent[1] += time.process_time() - used

    setattr(module, name, timed)
    return spent
