"""`panic` at a real broker, whose gateway is dead: everything that works is cancelled, and held shares are sold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from appliance.emergency import panic
from appliance.errors import EnvironmentFault, VenueError
from appliance.runs import BrokerSpec, RunSpec, write_spec
from appliance.shell import credentials
from appliance.shell.locks import Lock
from appliance.shell.paths import StatePaths
from tests.standins.alpaca import AlpacaTrading
from tests.standins.alpaca.server import KEY, SECRET
from tests.standins.brokerage import Brokerage
from tests.standins.ibkr import IbkrStandIn
from tests.standins.ibkr.session import ACCOUNT
from tests.venues.contract.stage import eventually


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePaths:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    paths = StatePaths(tmp_path / "state", {"XDG_RUNTIME_DIR": str(tmp_path)})
    paths.prepare()
    credentials.keep(paths, "broker", "key", KEY)
    credentials.keep(paths, "broker", "secret", SECRET)
    return paths


@contextmanager
def _alpaca(paths: StatePaths) -> Iterator[Brokerage]:
    with AlpacaTrading() as server:
        urls: dict[str, bool | int | str] = {"url": server.rest_url, "stream_url": server.stream_url}
        _runs(paths, BrokerSpec("alpaca", "paper alpaca", "", False, urls))
        yield server.books


@contextmanager
def _ibkr(paths: StatePaths) -> Iterator[Brokerage]:
    with IbkrStandIn() as gateway:
        _runs(paths, BrokerSpec("ibkr", f"paper {ACCOUNT}", ACCOUNT, False, {"port": gateway.port}))
        yield gateway.books


def _runs(paths: StatePaths, broker: BrokerSpec) -> None:
    write_spec(paths, RunSpec("test", (), Decimal(1_000), broker=broker))


def _held(books: Brokerage) -> None:
    """Ten shares of one symbol, five sold short of another, and orders that rest."""
    books.price("SPY", "99.99", "100.01")
    books.price("QQQ", "49.99", "50.01")
    books.place("a", "SPY", "buy", 10)
    books.place("b", "QQQ", "sell", 5)


def test_at_alpaca_it_cancels_all_that_works_and_closes_what_is_held(paths: StatePaths) -> None:
    with _alpaca(paths) as books:
        _held(books)
        books.place("stop", "SPY", "sell", 10, type="stop", stop_price=50, time_in_force="gtc")
        books.place("entry", "QQQ", "sell", 5, type="limit", limit_price=60)
        assert panic(paths, close=True) == {"canceled": 2, "closing": 2}
        assert eventually(lambda: not books.positions)
        assert not any(order.open for order in books.orders.values())


def test_at_interactive_brokers_it_closes_what_is_held(paths: StatePaths) -> None:
    with _ibkr(paths) as books:
        _held(books)
        assert panic(paths, close=True) == {"canceled": 0, "closing": 2}
        assert eventually(lambda: not books.positions)


def test_without_closing_it_only_cancels(paths: StatePaths) -> None:
    with _alpaca(paths) as books:
        _held(books)
        books.place("stop", "SPY", "sell", 10, type="stop", stop_price=50)
        assert panic(paths, close=False) == {"canceled": 1, "closing": 0}
        assert books.positions == {"SPY": Decimal(10), "QQQ": Decimal(-5)}


def test_what_the_broker_does_not_take_is_counted_and_keeps_nothing_from_the_rest(paths: StatePaths) -> None:
    with _alpaca(paths) as books:
        _held(books)
        books.asset("QQQ", halted=False, tradable=False)
        assert panic(paths, close=True) == {"canceled": 0, "closing": 1, "failed": 1}
        assert eventually(lambda: "SPY" not in books.positions)


def test_a_broker_that_is_away_is_said_to_be(paths: StatePaths) -> None:
    _runs(paths, BrokerSpec("ibkr", "paper DU1", "DU1", False, {"port": 1}))
    with pytest.raises(VenueError, match="reached"):
        panic(paths, close=True)


def test_it_does_nothing_while_the_gateway_lives(paths: StatePaths) -> None:
    with _alpaca(paths) as books:
        _held(books)
        with Lock(paths.lock("gateway")), pytest.raises(EnvironmentFault, match="in use by process"):
            panic(paths, close=True)
        assert books.positions == {"SPY": Decimal(10), "QQQ": Decimal(-5)}
