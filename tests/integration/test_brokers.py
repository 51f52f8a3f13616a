"""A whole box at a real broker's stand-in: its orders, its money, and what a kill or a cut changes about them."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Order
from appliance.shell.paths import StatePaths
from tests.integration.driving import rows
from tests.integration.running import APPLIANCE, Box, environment, until
from tests.standins.alpaca import AlpacaTrading
from tests.standins.alpaca.server import KEY, SECRET
from tests.standins.brokerage import Brokerage
from tests.standins.exchange import Exchange
from tests.standins.ibkr import IbkrStandIn
from tests.standins.ibkr.session import ACCOUNT

SYMBOL = "SPY"
SETTINGS = """
[market]
source = "live"
symbols = ["SPY"]
[data]
hours = "always"
[data.limits]
late_bar_seconds = 86400
[validity]
intent_seconds = 86400
approval_seconds = 86400
[limits]
price_collar_percent = "off"
stale_price_seconds = "off"
"""
"""Minutes that are over four times a second end in the past: what may be acted on for a day is acted on."""


class There(NamedTuple):
    """A broker's stand-in: its settings, its books, and how its connection is cut."""

    settings: str
    books: Brokerage
    cut: Callable[[], None]


@contextmanager
def _alpaca() -> Iterator[There]:
    with AlpacaTrading() as server:
        yield There(
            f'venue = "alpaca"\nkey = "{KEY}"\nsecret = "{SECRET}"\nurl = "{server.rest_url}"\n'
            f'stream_url = "{server.stream_url}"\n',
            server.books, server.hang_up,
        )  # fmt: skip


@contextmanager
def _ibkr() -> Iterator[There]:
    with IbkrStandIn() as gateway:
        yield There(f'venue = "ibkr"\nport = {gateway.port}\naccount = "{ACCOUNT}"\n', gateway.books, gateway.hang_up)


BROKERS = {"alpaca": _alpaca, "ibkr": _ibkr}


class Traded:
    """What came of a box that bought, was killed, was cut off, and sold again."""

    def __init__(self, there: There, box: Box) -> None:
        self.books, self._box = there.books, box
        self.ready = self._settled(100)
        self.accepted = len(self.books.log.accepted())
        box.hit("gateway")
        until(lambda: box.rows()["gateway"]["restarts"] == 1 and box._all_ready(), 30, "the gateway is back")
        self.killed = self._settled(100)
        there.cut()
        self.cut = self._settled(100)
        self.accepted_then = len(self.books.log.accepted())
        self.flattened = box.ask("flatten")
        until(lambda: self.books.positions == {}, 30, "nothing is held any more")
        self.flat = self._settled(0)
        self.done = box.interrupt(20)

    def _settled(self, shares: int) -> dict[str, Any]:
        """The box's status once it is ready and says what the broker's books say of shares and cash."""

        def right() -> dict[str, Any] | None:
            told = self._box.status()
            held = {symbol: float(shares) for symbol, shares in told["positions"].items()}
            cash = told["account"] and float(told["account"]["cash"]) == float(self.books.cash)
            ready = told["state"] == "ready" and told["venue"] and told["venue"]["state"] == "ready"
            return told if ready and cash and held == ({SYMBOL: float(shares)} if shares else {}) else None

        found = until(right, 40, f"{shares} shares, the same cash, and ready; books {self.books.positions}")
        assert found is not None
        return found


@pytest.fixture(scope="module", params=sorted(BROKERS))
def traded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, strategies: Path
) -> Iterator[Traded]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        there = stack.enter_context(BROKERS[request.param]())
        there.books.price(SYMBOL, "99.99", "100.01")
        exchange = stack.enter_context(Exchange((SYMBOL,)))
        box = Box(folder, {"NO_PROXY": "127.0.0.1"})
        stack.callback(box.close)
        file = folder / "box.toml"
        file.write_text(f"{SETTINGS}[broker]\ncash = 50000\n{there.settings}{exchange.settings()}")
        box.up("--settings", file, "--strategy", strategies / "steady.py", "--param", f"symbol={SYMBOL}")
        box.ready(40)
        exchange.open()
        yield Traded(there, box)


def test_the_box_trades_there_and_says_of_shares_and_cash_what_the_broker_says(traded: Traded) -> None:
    assert traded.ready["venue"]["state"] == "ready"
    assert [row["name"] for row in traded.ready["processes"]].count("gateway") == 1
    assert traded.done.code == 0


def test_no_order_is_taken_twice_whatever_was_killed_or_cut(traded: Traded) -> None:
    ids = [record.client_id for record in traded.books.log.accepted()]
    assert len(ids) == len(set(ids))
    assert traded.accepted_then == traded.accepted


def test_the_protective_stop_rests_at_the_broker(traded: Traded) -> None:
    stops = [record for record in traded.books.log.accepted() if record.content.get("type") == "stop"]
    assert len(stops) == 1


def test_flatten_sells_what_is_held_and_the_cash_is_the_same_to_the_cent(traded: Traded) -> None:
    assert traded.flattened.code == 0, traded.flattened
    assert traded.flat["positions"] == {}
    sold = [record for record in traded.books.log.of("execution") if record.content["side"] == "sell"]
    assert sum(record.content["quantity"] for record in sold) == 100


def _typed(file: Path, state: Path, text: str) -> int:
    """`appliance broker confirm-live` on a terminal where somebody types; its exit code."""
    ours, theirs = pty.openpty()
    command = [*APPLIANCE, "broker", "confirm-live", "--settings", str(file), "--state", str(state)]
    env = environment({"NO_PROXY": "127.0.0.1"})
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        os.write(ours, text.encode() + b"\n")
        process.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    return process.returncode


def test_live_money_is_traded_once_its_name_was_typed_on_a_terminal_and_then_by_a_box_alone(
    boxes: Callable[..., Box], strategies: Path
) -> None:
    box = boxes("live-money", {"NO_PROXY": "127.0.0.1"})
    with AlpacaTrading() as server, Exchange((SYMBOL,)) as exchange:
        server.books.price(SYMBOL, "99.99", "100.01")
        file = box.folder / "box.toml"
        file.write_text(
            f'profile = "live"\n{SETTINGS}[broker]\nvenue = "alpaca"\naccount = "live"\ncash = 50000\nkey = "{KEY}"\n'
            f'secret = "{SECRET}"\nurl = "{server.rest_url}"\nstream_url = "{server.stream_url}"\n{exchange.settings()}'
            f'[[strategies]]\nname = "steady"\nfile = "{strategies / "steady.py"}"\nparams = {{symbol = "{SYMBOL}"}}\n'
        )
        refused = box.up("--settings", file).end()
        assert refused.code == 1
        assert "nobody has confirmed" in refused.err
        assert _typed(file, box.state, "yes") == 1
        assert _typed(file, box.state, "live alpaca") == 0
        assert server.books.log.accepted() == []
        box.up("--settings", file).ready(40)
        exchange.open()
        until(lambda: server.books.positions.get(SYMBOL) == 100, 40, "it has bought")
        assert box.interrupt(20).code == 0
        file.write_text(file.read_text().replace("cash = 50000", "cash = 60000"))
        assert "are others than were confirmed" in box.up("--settings", file).end().err


MANNERS = {"LATENCY_MS": "30", "REJECT": "0.1", "PARTIAL": "0.3", "DISCONNECT": "0.05", "AMBIGUOUS": "0.2", "SEED": "3"}


def test_a_drill_with_a_paper_broker_of_bad_manners_ends_with_orders_that_are_all_known(
    boxes: Callable[..., Box], strategies: Path
) -> None:
    env = {"APPLIANCE_MARKET__TIMEFRAME": "1s"} | {f"APPLIANCE_PAPER__MANNERS__{k}": v for k, v in MANNERS.items()}
    box = boxes("drill", env)
    box.up("--strategy", strategies / "flip.py", "--param", "symbol=ALFA").ready()
    until(lambda: _sent(box) >= 8, 60, "eight orders")
    box.ask("reduce")
    until(lambda: not _unknown(box), 30, "nothing is in doubt any more")
    assert box.interrupt().code == 0
    orders = _orders(box)
    assert len(orders) >= 8
    assert {order.status for order in orders} <= {*TERMINAL, OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED}


TERMINAL = tuple(status for status in OrderStatus if status.terminal)


def _orders(box: Box) -> list[Order]:
    return list(rows(StatePaths(box.state).journal("gateway"), "order", Order).values())


def _sent(box: Box) -> int:
    return len(_orders(box))


def _unknown(box: Box) -> list[Order]:
    return [one for one in _orders(box) if one.status in (OrderStatus.SENDING, OrderStatus.UNKNOWN)]
