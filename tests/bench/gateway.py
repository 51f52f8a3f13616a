"""An approval in, an order's bytes on the broker's socket: the shipped gateway, a real client library, a stand-in.

It begins with the guard's decision and ends when the library writes the order to its socket: the guard's commit, one
hop by Mosquitto, the gateway's commit of SENDING (fsync), the desk, the library. The floor is one such fsync and the
library alone. Then the same with five hundred orders that rest at the broker, and what they cost of memory.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

from msgspec.structs import replace

from appliance.domain.messages import EventType
from appliance.domain.operations import Verb
from appliance.domain.trading import OrderType, Side, TimeInForce
from appliance.runs import RunSpec
from appliance.shell.child import Spec
from appliance.shell.paths import StatePaths
from tests.ambiguity.box import DrillBox
from tests.ambiguity.venues import CASH, PRICES, VENUES, AlpacaVenue, Venue
from tests.bench import box
from tests.bench.gateway_process import SENT, noting
from tests.bench.memory import pss

MB = 1_000_000
NS_PER_MS = 1_000_000
PACE = 0.1
"""Seconds between two orders that are measured."""
REST_PACE = 0.05
"""Seconds between two orders that rest: twenty a second, half of what Interactive Brokers takes of all messages."""
REFILL = 5.0
"""Seconds until what the resting orders took of the allowed messages is there again."""
SYMBOLS = tuple(PRICES)


class Measured(DrillBox):
    """A drill's box whose gateway notes what it sends; ``approved`` is when (ns UTC) the guard said yes, by id."""

    approved: dict[str, int]

    def _child(self, process: str) -> Spec:
        child = super()._child(process)
        if process != "gateway":
            return child
        return replace(child, argv=(sys.executable, "-m", "tests.bench.gateway_process", str(self.paths.root)))

    def _hear(self, event: Any) -> None:
        if event.type is EventType.APPROVED:
            self.__dict__.setdefault("approved", {})[event.body.intent.id] = event.body.at.time
        super()._hear(event)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of both brokers' adapters."""
    return {name: _venue(name, options.orders, options.open) for name in VENUES}


def _venue(name: str, orders: int, resting: int) -> dict[str, Any]:
    with VENUES[name]() as venue, box.state_directory() as paths:
        paths.prepare()
        spec = RunSpec("drill", (), Decimal(CASH), symbols={"SPY": 50.0}, broker=venue.spec(paths))
        launch = Measured(paths, spec)
        try:
            launch.start()
            assert launch.until(launch.ready, 30), f"the box is not ready: {launch.supervisor.failed}"
            found = _figures(launch, orders, resting, name)
            floor = _floor(venue, paths, orders)
        finally:
            launch.stop()
    return {**found, **floor, **_ratios(found, floor)}


def _figures(launch: Measured, orders: int, resting: int, name: str) -> dict[str, Any]:
    box.tell(f"{name}: {orders} orders, one after the other")
    idle, empty = pss(_pid(launch)), _latencies(launch, orders)
    box.tell(f"{name}: {resting} orders that rest")
    for number in range(resting):
        _rest(launch, number)
        launch.wait(REST_PACE)
    assert launch.until(lambda: _working(launch) == resting, 60), f"{_working(launch)} of {resting} rest"
    launch.wait(REFILL)
    full = _latencies(launch, orders)
    memory = pss(_pid(launch))
    launch.command(Verb.CANCEL_ALL, everything=True)
    began = time.monotonic()
    assert launch.until(lambda: _working(launch) == 0, 240), f"{_working(launch)} still rest"
    return {
        **_spread("", empty), **_spread(f"with_{resting}_open_", full), "n": len(empty), "open": resting,
        "pss_mb": round(idle / MB, 1), f"pss_mb_with_{resting}_open": round(memory / MB, 1),
        "cancel_all_s": round(time.monotonic() - began, 2),
    }  # fmt: skip


def _latencies(launch: Measured, n: int) -> list[int]:
    ids = []
    for number in range(n):
        ids.append(launch.intend(symbol=SYMBOLS[number % len(SYMBOLS)], side=Side.BUY, quantity=Decimal(1)))
        launch.wait(PACE)
    launch.until(lambda: all(order_id in launch.orders for order_id in ids), 10)
    sent = _sent(launch.paths)
    return [sent[order_id] - launch.approved[order_id] for order_id in ids if order_id in sent]


def _rest(launch: Measured, number: int) -> None:
    launch.intend(
        symbol=SYMBOLS[number % len(SYMBOLS)], side=Side.BUY, quantity=Decimal(1), type=OrderType.LIMIT,
        limit_price=Decimal(1), time_in_force=TimeInForce.GTC,
    )  # fmt: skip


def _working(launch: Measured) -> int:
    return sum(not order.status.terminal for order in launch.orders.values())


def _pid(launch: Measured) -> int:
    pid = launch.supervisor.child("gateway").pid
    assert pid is not None
    return pid


def _sent(paths: StatePaths) -> dict[str, int]:
    """When the first bytes that name an order went out."""
    found: dict[str, int] = {}
    for line in (paths.run / SENT).read_text().splitlines():
        order_id, at = line.split()
        found.setdefault(order_id, int(at))
    return found


# --- the floor ----------------------------------------------------------------------------------------------------


def _floor(venue: Venue, paths: StatePaths, n: int) -> dict[str, Any]:
    floor = {"fsync_p50_ms": _ms(median(_fsyncs(paths.root / "floor.db", n)))}
    if isinstance(venue, AlpacaVenue):
        floor["library_p50_ms"] = _ms(median(_posts(venue, n)))
    return floor


def _fsyncs(path: Path, n: int) -> list[int]:
    """One row of an order's size committed, as the gateway's journal does."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE t (x BLOB)"):
        connection.execute(statement)
    took = []
    for _ in range(n):
        began = time.perf_counter_ns()
        connection.execute("INSERT INTO t VALUES (?)", (bytes(2_000),))
        took.append(time.perf_counter_ns() - began)
    connection.close()
    return took


def _posts(venue: AlpacaVenue, n: int) -> list[int]:
    """alpaca-py alone, from the call to the bytes."""
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide
    from alpaca.trading.enums import TimeInForce as Tif
    from alpaca.trading.requests import MarketOrderRequest

    client = TradingClient(*venue.keys, raw_data=True, url_override=venue.url)
    at: list[int] = []
    send = HTTPConnection.send
    HTTPConnection.send = noting(lambda _: at.append(time.perf_counter_ns()), send)  # type: ignore[method-assign]
    try:
        took = []
        for number in range(n):
            at.clear()
            began = time.perf_counter_ns()
            client.submit_order(
                MarketOrderRequest(
                    symbol="SPY",
                    qty=1,
                    side=OrderSide.BUY,
                    time_in_force=Tif.DAY,
                    client_order_id=f"drill-0-{number}",
                )
            )
            took.append(at[0] - began)
    finally:
        HTTPConnection.send = send  # type: ignore[method-assign]
    return took


def _ratios(found: dict[str, Any], floor: dict[str, Any]) -> dict[str, float]:
    below = floor["fsync_p50_ms"] + floor.get("library_p50_ms", 0.0)
    return {"ratio_p50": round(found["p50_ms"] / below, 2)} if below else {}


def _spread(name: str, samples: Sequence[int]) -> dict[str, float]:
    at: Callable[[float], float] = lambda share: _ms(box.quantile(samples, share))  # noqa: E731
    return {f"{name}p50_ms": at(0.5), f"{name}p99_ms": at(0.99), f"{name}max_ms": at(1.0)}


def _ms(ns: float) -> float:
    return round(ns / NS_PER_MS, 3)
