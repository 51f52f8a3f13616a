"""What one order costs on its whole way: wish, signal, intent, the guard's decision, gateway, paper broker, accept,
fill, booking, and the strategy's hooks. A run that trades on every bar less the same run without a trade.

The floor is what it takes to make the same messages and nothing else: each envelope and body once, their parts there
already. Processor time, the best of some runs: what else the machine does only makes them longer. ``first`` and
``last`` are the first and the last tenth of the orders: an order costs the same whatever came before it.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec import Struct

from appliance.core.limits import LimitValues, rules
from appliance.data.sources.random_walk import random_walk
from appliance.domain.market import Bar
from appliance.domain.messages import Event
from appliance.making import runner_factory
from appliance.runs import StrategySpec
from appliance.world.backtest import Backtest
from tests.bench import box

SYMBOL, SEED = "WALK", 1
SHARES = 100
CASH = Decimal(10_000_000)
REPEATS = 5
PARTS = 10
SAMPLE = 1_000


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run."""
    bars = list(random_walk(options.orders + 1, SEED, SYMBOL))
    box.tell(f"{options.orders} orders, {REPEATS} times")
    trading = _best(bars, SHARES)
    quiet = _best(bars, 0)
    each = [1e6 * (one - other) / (len(bars) / PARTS) for one, other in zip(trading, quiet, strict=True)]
    box.tell("the messages alone")
    made = _messages(bars[: SAMPLE + 1])
    backtest, _ = _run(bars, SHARES)
    return {
        "orders": backtest.record.orders, "fills": backtest.record.fills, "us_an_order": _us(sum(each) / PARTS),
        "first": _us(each[0]), "last": _us(each[-1]), "messages_an_order": len(made) / SAMPLE,
        "floor_us": _us(_floor(made)), "us_a_quiet_bar": _us(1e6 * sum(quiet) / len(bars)),
        "equity": str(backtest.equity), "digest": hashlib.sha256(backtest.record.jsonl()).hexdigest()[:16],
    }  # fmt: skip


def _us(value: float) -> float:
    return round(value, 2)


def _backtest(shares: int) -> Backtest:
    params = {"symbol": SYMBOL, "shares": str(shares)}
    maker = runner_factory(StrategySpec("every", str(box.ROOT / "tests/bench/strategies/every.py"), params=params))
    return Backtest("every", (maker,), rules(LimitValues()), CASH)


def _run(bars: list[Bar], shares: int) -> tuple[Backtest, list[float]]:
    """A run, and the processor seconds of each of its parts."""
    backtest, size, seconds = _backtest(shares), -(-len(bars) // PARTS), []
    for begin in range(0, len(bars), size):
        some = bars[begin : begin + size]
        seconds.append(_seconds(lambda some=some: backtest.run(some)))  # type: ignore[misc]
    return backtest, seconds


def _best(bars: list[Bar], shares: int) -> list[float]:
    """The least that each part of a run has taken."""
    return [min(some) for some in zip(*(_run(bars, shares)[1] for _ in range(REPEATS)), strict=True)]


def _seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _messages(bars: list[Bar]) -> list[Event]:
    """All that the cores say in a run: every message is settled."""
    made: list[Event] = []
    settle = Backtest._settle

    def settled(self: Backtest, said: list[Event]) -> None:
        settle(self, said)
        made.extend(said)

    Backtest._settle = settled  # type: ignore[method-assign]
    try:
        _run(bars, SHARES)
    finally:
        Backtest._settle = settle  # type: ignore[method-assign]
    return made


def _floor(made: list[Event]) -> float:
    """What making those messages takes, µs an order."""
    parts = [(type(one), _fields(one)) for event in made for one in (event.body, event)]

    def again() -> None:
        for kind, fields in parts:
            kind(*fields)

    return 1e6 * min(_seconds(again) for _ in range(REPEATS)) / SAMPLE


def _fields(one: Struct) -> tuple[Any, ...]:
    return tuple(getattr(one, name) for name in one.__struct_fields__)
