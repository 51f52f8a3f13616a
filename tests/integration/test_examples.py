"""Every example trades: recorded data through backtest and box alike, and a simulated market as the backtest of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.running import STRATEGIES, Box, appliance, orders_of

MINUTES = ("equity_1min_bars", "--bar-stamp", "start")
DAYS = ("equity_daily",)
ADJUSTED = "equity_factors.csv.gz"
RECORDED: dict[str, tuple[str, ...]] = {
    "sma_cross": (*MINUTES, "--start", "2013-10-08", "--end", "2013-10-08"),
    "rsi_reversion": (*MINUTES, "--start", "2013-10-08", "--end", "2013-10-08"),
    "bollinger": (*MINUTES, "--start", "2013-10-09", "--end", "2013-10-09"),
    "opening_range": (*MINUTES, "--start", "2013-10-07", "--end", "2013-10-08"),
    "pairs": (*MINUTES, "--start", "2013-10-11", "--end", "2013-10-11"),
    "donchian_breakout": (*DAYS, "--start", "2013-01-02", "--end", "2014-06-30"),
    "momentum_rotation": (*DAYS, "--start", "2009-06-01", "--end", "2010-09-30"),
    "buy_and_hold": (*DAYS, "--start", "2014-06-02", "--end", "2015-03-31"),
}
"""Real data for each: the file and the dates."""


@pytest.mark.parametrize("name", RECORDED)
def test_an_example_trades_real_data_alike_in_backtest_and_box(box: Box, real_data: Path, name: str) -> None:
    file, *dates = RECORDED[name]
    data = ("--data", real_data / f"{file}.csv.gz", "--factors", real_data / ADJUSTED, *dates)
    wanted = box.folder / "backtest.jsonl"
    tested = appliance("backtest", STRATEGIES / f"{name}.py", *data, "--orders-out", wanted, "--json")
    assert tested.code == 0, tested
    assert tested.json["fills"] >= 2
    assert tested.json["denied"] == 0
    done = box.finish(*data, "--strategy", STRATEGIES / f"{name}.py", "--speed", "max")
    assert done.code == 0, done
    assert len(orders_of(wanted)) == tested.json["intents"]
    assert box.orders.read_bytes() == wanted.read_bytes()
