"""Quote bars, and the opens of bars, through the real processes: the same orders as the backtest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.running import Box, appliance, orders_of

ON_QUOTES = """
from appliance.strategy import Strategy

class OnQuotes(Strategy):
    symbols = ("XAUUSD",)
    bars_from = "quotes"

    def on_start(self):
        self.average = self.sma("XAUUSD", 5)

    def on_bar(self, bar):
        if self.average.ready:
            self.target(bar.symbol, quantity=20 if bar.close > self.average.value else 0)

    def on_quote_bar(self, bar):
        self.state["wide"] = bar.ask_close - bar.bid_close
"""
AT_THE_OPEN = """
from appliance.strategy import Strategy

class AtTheOpen(Strategy):
    symbols = ("SPY",)

    def on_start(self):
        self.bricks = self.renko("SPY", 1.0)

    def on_trade(self, trade):
        rises = self.bricks.direction.value > 0 and trade.price > self.bricks.value
        self.target(trade.symbol, quantity=100 if rises else 0)
"""


@pytest.mark.parametrize(
    ("source", "file", "options"),
    [
        (ON_QUOTES, "fx_gold_daily_quotebars", ("--bar-stamp", "start", "--session", "all")),
        (AT_THE_OPEN, "equity_daily", ("--opens",)),
    ],
    ids=["quotes", "opens"],
)
def test_quotes_and_opens_give_the_orders_of_the_backtest(
    box: Box, real_data: Path, source: str, file: str, options: tuple[str, ...]
) -> None:
    strategy = box.folder / "on_quotes.py"
    strategy.write_text(source)
    data = ("--data", real_data / f"{file}.csv.gz", "--start", "2012-01-01", "--end", "2012-04-30", *options)
    done = box.finish(*data, "--strategy", strategy, "--speed", "max")
    assert done.code == 0, done
    wanted = box.folder / "backtest.jsonl"
    there = appliance("backtest", strategy, *data, "--orders-out", wanted, "--json")
    assert there.code == 0, there
    assert len(orders_of(box.orders)) >= 8
    assert box.orders.read_bytes() == wanted.read_bytes()
    assert (done.json["cash"], done.json["equity"]) == (there.json["cash"], there.json["equity"])
