"""Splits and dividends of recorded raw prices through the real processes: the same orders as the backtest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.running import Box, appliance, orders_of

THROUGH_A_SPLIT = """
from appliance.strategy import Strategy

class Through(Strategy):
    symbols = ("AAPL", "SPY")

    def on_start(self):
        self.average = self.sma("AAPL", 5)
        self.state["n"] = 0

    def on_bar(self, bar):
        if bar.symbol == "SPY":
            return
        self.state["n"] += 1
        n, price = self.state["n"], bar.close
        if n == 3:
            self.target("AAPL", quantity=11, stop_loss=price * 0.9, take_profit=price * 1.5)
            self.sell("SPY", 7)
        if n == 10:
            self.buy("AAPL", 3, limit=price * 0.98, time_in_force="gtc")
        if n > 13 and bar.close < self.average.value:
            self.target("AAPL", quantity=21)

    def on_corporate_action(self, action):
        if self.position(action.symbol) > 0:
            self.buy(action.symbol, self.position(action.symbol), limit=1000)
"""


@pytest.mark.parametrize("dates", [("2014-05-20", "2014-07-03"), ("2013-12-02", "2014-02-20")], ids=["split", "cash"])
def test_a_split_and_dividends_give_the_orders_of_the_backtest(
    box: Box, real_data: Path, dates: tuple[str, str]
) -> None:
    strategy = box.folder / "through.py"
    strategy.write_text(THROUGH_A_SPLIT)
    data = (
        "--data", real_data / "equity_daily.csv.gz", "--start", dates[0], "--end", dates[1],
        "--factors", real_data / "equity_factors.csv.gz", "--prices", "raw",
    )  # fmt: skip
    done = box.finish(*data, "--strategy", strategy, "--speed", "max")
    assert done.code == 0, done
    wanted = box.folder / "backtest.jsonl"
    there = appliance("backtest", strategy, *data, "--orders-out", wanted, "--json")
    assert there.code == 0, there
    assert len(orders_of(box.orders)) >= 4
    assert box.orders.read_bytes() == wanted.read_bytes()
    for figure in ("cash", "position", "equity", "orders"):
        assert done.json[figure] == there.json[figure], figure


LENDING = """
from appliance.strategy import Strategy

class Lending(Strategy):
    symbols = ("AAPL", "SPY")

    def on_start(self):
        self.state["n"] = 0

    def on_bar(self, bar):
        self.state["n"] += 1
        if self.state["n"] == 4:
            self.target("SPY", quantity=-300)
            self.target("AAPL", quantity=150)
        if self.state["n"] == 60:
            self.target("AAPL", quantity=0)
"""


@pytest.mark.parametrize("account", ["secured", "cash", "margin"])
def test_each_kind_of_account_gives_the_orders_and_the_money_of_the_backtest(
    box: Box, real_data: Path, account: str
) -> None:
    strategy = box.folder / "lending.py"
    strategy.write_text(LENDING)
    data = (
        "--data", real_data / "equity_daily.csv.gz", "--start", "2014-01-02", "--end", "2014-03-14",
        "--factors", real_data / "equity_factors.csv.gz", "--prices", "raw", "--account", account,
    )  # fmt: skip
    done = box.finish(*data, "--strategy", strategy, "--speed", "max")
    assert done.code == 0, done
    wanted = box.folder / "backtest.jsonl"
    there = appliance("backtest", strategy, *data, "--orders-out", wanted, "--json")
    assert there.code == 0, there
    assert box.orders.read_bytes() == wanted.read_bytes()
    for figure in ("cash", "position", "equity", "orders", "denied"):
        assert done.json[figure] == there.json[figure], figure
    assert done.json["denied"] == {"secured": 1, "cash": 1, "margin": 0}[account]
