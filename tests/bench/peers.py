"""The same rule on the same bars by other engines: ``python -m tests.bench.peers ENGINE --bars N``, a process each.

Each is timed over its run alone, with its bars in its own form already; its statistics are left out where they can be.
All buy 100 shares when SMA 10 crosses above SMA 30 and sell them when it crosses below.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from appliance.data.sources.random_walk import random_walk
from tests.bench import box

SYMBOL, SEED = "WALK", 1
FAST, SLOW, SHARES = 10, 30, 100
CASH = 100_000
WITHIN = 1_800
"""Seconds after which an engine is given up."""


def compare(engine: str, bars: int) -> float | None:
    """Bars/s of an engine in a process of its own; None, with a line saying so, where it is not installed or fails."""
    if find_spec(MODULES[engine]) is None:
        box.tell(f"{engine}: not installed (extra bench-peers), left out")
        return None
    box.tell(engine)
    command = [sys.executable, "-m", "tests.bench.peers", engine, "--bars", str(bars)]
    try:
        done = subprocess.run(command, cwd=box.ROOT, capture_output=True, text=True, timeout=WITHIN, check=True)
    except subprocess.SubprocessError as error:
        said = str(getattr(error, "stderr", None) or "").strip().rpartition("\n")[2]
        box.tell(f"{engine}: left out: {said or error}")
        return None
    return float(json.loads(done.stdout.splitlines()[-1])["bars_per_s"])


def frame(bars: int) -> Any:
    """The random walk as a pandas frame."""
    import pandas

    walk = list(random_walk(bars, SEED, SYMBOL))
    names = ("open", "high", "low", "close", "volume")
    columns = {name: [getattr(bar, name) for bar in walk] for name in names}
    return pandas.DataFrame(columns, index=pandas.to_datetime([bar.start for bar in walk]))


def backtrader(bars: int) -> float:
    """Seconds of ``Cerebro.run``."""
    import backtrader as bt

    class SmaCross(bt.Strategy):  # type: ignore[misc]
        def __init__(self) -> None:
            averages = [bt.ind.SMA(self.data.close, period=period) for period in (FAST, SLOW)]
            self.cross = bt.ind.CrossOver(*averages)

        def next(self) -> None:
            if self.cross > 0:
                self.buy(size=SHARES)
            elif self.cross < 0 and self.position:
                self.close()

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(CASH)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame(bars)))
    cerebro.addstrategy(SmaCross)
    return _seconds(cerebro.run)


def vectorbt(bars: int) -> float:
    """Seconds of both averages, the crossings and ``Portfolio.from_signals``, after one run that compiles them."""
    import vectorbt as vbt

    close = frame(bars)["close"]

    def run() -> None:
        fast, slow = vbt.MA.run(close, FAST), vbt.MA.run(close, SLOW)
        entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
        portfolio = vbt.Portfolio.from_signals(close, entries, exits, init_cash=CASH, size=SHARES)
        assert len(portfolio.order_records)

    run()
    return _seconds(run)


def nautilus(bars: int) -> float:
    """Seconds of ``BacktestEngine.run``, logging off."""
    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.indicators import SimpleMovingAverage
    from nautilus_trader.model.currencies import USD
    from nautilus_trader.model.data import Bar, BarType
    from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
    from nautilus_trader.model.identifiers import Venue
    from nautilus_trader.model.objects import Money, Price, Quantity
    from nautilus_trader.test_kit.providers import TestInstrumentProvider
    from nautilus_trader.trading.strategy import Strategy

    instrument = TestInstrumentProvider.equity(symbol=SYMBOL, venue="SIM")
    kind = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")

    class SmaCross(Strategy):  # type: ignore[misc]
        def on_start(self) -> None:
            self.fast, self.slow, self.above = SimpleMovingAverage(FAST), SimpleMovingAverage(SLOW), None
            for average in (self.fast, self.slow):
                self.register_indicator_for_bars(kind, average)
            self.subscribe_bars(kind)

        def on_bar(self, bar: Any) -> None:
            if not self.indicators_initialized():
                return
            before, self.above = self.above, self.fast.value > self.slow.value
            if before is not None and before != self.above:
                side = OrderSide.BUY if self.above else OrderSide.SELL
                if self.above or not self.portfolio.is_flat(instrument.id):
                    order = self.order_factory.market(instrument.id, side, Quantity.from_int(SHARES))
                    self.submit_order(order)

    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(Venue("SIM"), OmsType.NETTING, AccountType.CASH, [Money(CASH, USD)], base_currency=USD)
    engine.add_instrument(instrument)
    walk = random_walk(bars, SEED, SYMBOL)
    prices = ((bar.end, [Price(each, 2) for each in (bar.open, bar.high, bar.low, bar.close)], bar) for bar in walk)
    engine.add_data([Bar(kind, *four, Quantity(bar.volume, 0), end, end) for end, four, bar in prices])
    engine.add_strategy(SmaCross())
    return _seconds(engine.run)


MODULES = {"backtrader": "backtrader", "nautilus": "nautilus_trader", "vectorbt": "vectorbt"}
"""The module each engine is in."""
ENGINES: dict[str, Callable[[int], float]] = {"backtrader": backtrader, "nautilus": nautilus, "vectorbt": vectorbt}


def _seconds(run: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def main() -> None:
    """Run one engine and print its bars/s as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers")
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--bars", type=int, default=100_000, help="default 100000")
    options = parser.parse_args()
    print(json.dumps({"bars_per_s": round(options.bars / ENGINES[options.engine](options.bars))}))


if __name__ == "__main__":
    main()
