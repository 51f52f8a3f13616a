"""The stand-in as a process of its own, with faults by lines on its input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import MarketOrderRequest

from tests.standins.alpaca import AlpacaStandIn, AlpacaTrading
from tests.standins.alpaca.console import Console
from tests.venues.standins.alpaca.conftest import Ask

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def console(alpaca: AlpacaTrading) -> Iterator[Console]:
    with AlpacaStandIn() as data:
        yield Console(data, alpaca)


def test_the_process_prints_its_addresses_trades_and_reports() -> None:
    command = [sys.executable, "-m", "tests.standins.alpaca", "SPY", "--every", "30"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        places = json.loads(process.stdout.readline())
        client = TradingClient(places["key"], places["secret"], url_override=places["trading_url"])
        client.submit_order(
            MarketOrderRequest(symbol="SPY", qty=2, side="buy", time_in_force="day", client_order_id="a")  # type: ignore[arg-type]
        )
        process.stdin.write("trading report\n")
        process.stdin.flush()
        report = json.loads(process.stdout.readline())
        process.stdin.close()
        assert process.wait(10) == 0
    assert report["accepted"] == {"a": 1}
    assert report["positions"] == {"SPY": "2"}


@pytest.mark.parametrize(
    "line",
    [
        "latency 0.01", "mute off", "clear", "trading latency 0.01", "trading lost_events 2", "trading halted SPY QQQ",
        "trading next 2 504 after", "trading freeze", "trading thaw", "trading hang up", "trading go_away",
        "trading requests 10", "trading price SPY 9 9.01", "trading split SPY 2 1", "trading fee 1", "trading cash 5",
        "trading automatic off", "trading slice 5", "trading close_market", "trading expire_keys", "trading clear", "",
    ],
)  # fmt: skip
def test_each_line_is_done_without_a_word(console: Console, line: str) -> None:
    assert console.take(line) == ""


@pytest.mark.parametrize(
    "line", ["no_such_fault on", "clear_all", "trading", "trading _lock 1", "trading next 1 nonsense",
             "trading fill nobody", "trading latency much", "trading price SPY",
             "mishap 1"],
)  # fmt: skip
def test_a_line_that_means_nothing_is_answered(console: Console, line: str) -> None:
    assert console.take(line)


def test_lines_move_orders_and_the_market(console: Console, ask: Ask, alpaca: AlpacaTrading) -> None:
    ask.rest("a", 10)
    console.take("trading fill a 4 50")
    assert alpaca.books.positions == {"SPY": 4}
    console.take("trading cancel a")
    assert ask("GET", "orders").json() == []
    console.take("trading next 1 502 before")
    assert ask.rest("b").status_code == 502
    console.take("trading price SPY 9 9.01")
    assert ask("GET", "positions").json()[0]["current_price"] == "9.005"
    report = json.loads(console.take("trading report"))
    assert report["accepted"] == {"a": 1}
    assert report["executions"] == [["a", "SPY", "4", "50"]]
    assert "504 after" in console.take("trading next")
