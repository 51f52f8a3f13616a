"""Boxes of many strategies, and the proof from outside that each of them heard every bar once and in order.

What the strategies heard is in their own state, a number that every bar changes by its symbol, its end and its place;
it is read from the journals of a stopped box, and compared with the number that the data file gives by itself.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from appliance.core.limits import LimitValues
from appliance.data.options import FileOptions
from appliance.data.sources.random_walk import random_walk
from appliance.runs import RunSpec, StrategySpec
from appliance.shell import audit
from appliance.shell.paths import StatePaths

STRATEGY = Path(__file__).parent / "strategies" / "watching.py"
BASE, PRIME = 1_000_003, (1 << 61) - 1
CASH = Decimal(100_000_000)
COLUMNS = ("ts", "symbol", "open", "high", "low", "close", "volume")


def names(symbols: int) -> tuple[str, ...]:
    """``S00``, ``S01``, …"""
    return tuple(f"S{number:02}" for number in range(symbols))


def strategies(count: int, symbols: int, hosts: int) -> tuple[StrategySpec, ...]:
    """``count`` strategies that hear all ``symbols`` and trade one each; in ``hosts`` groups, 0: each on its own."""
    every = names(symbols)
    return tuple(
        StrategySpec(
            f"w{number:03}", str(STRATEGY), params={"symbol": every[number % symbols], "symbols": ",".join(every)},
            host=f"group{number % hosts}" if hosts else "",
        )
        for number in range(count)
    )  # fmt: skip


def recorded(file: Path, of: tuple[StrategySpec, ...]) -> RunSpec:
    """A run over a data file as fast as it goes."""
    return RunSpec("bench", of, CASH, files=(str(file),), options=FileOptions(session="all"), speed="max")


def live(of: tuple[StrategySpec, ...], symbols: int, timeframe: str = "1s") -> RunSpec:
    """A run over a simulated market in real time."""
    market = {name: 50.0 + number for number, name in enumerate(names(symbols))}
    return RunSpec("bench", of, CASH, LimitValues(), symbols=market, timeframe=timeframe)


def write_data(file: Path, symbols: int, minutes: int, seed: int = 1) -> None:
    """A data file of one-minute bars, time by time as they would have been recorded."""
    walks = [random_walk(minutes, seed, name) for name in names(symbols)]
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(COLUMNS)
        for bar in chain.from_iterable(zip(*walks, strict=True)):
            rows.writerow((bar.end, bar.symbol, bar.open, bar.high, bar.low, bar.close, bar.volume))


# --- the proof -----------------------------------------------------------------------------------------------------


def heard_of(file: Path) -> tuple[int, int]:
    """How many bars are in a data file, and the number they give in order of time and symbol."""
    with file.open(newline="") as lines:
        return number_of((int(row["ts"]), int(row["symbol"].removeprefix("S"))) for row in csv.DictReader(lines))


def number_of(bars: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """How many bars these are, each an end (ns UTC) and the place of its symbol, and the number they give."""
    count = number = 0
    for end, symbol in bars:
        number = (number * BASE + end * 1_000 + symbol + 1) % PRIME
        count += 1
    return count, number


def heard_by(paths: StatePaths, strategy: StrategySpec) -> tuple[int, int]:
    """How many bars a strategy of a stopped box has heard, and the number they gave it; (-1, -1): it is not saved."""
    connection = audit.opened(paths.journal(f"host@{strategy.host or strategy.name}"))
    row = connection.execute("SELECT value FROM state WHERE key = ?", (f"strategy/{strategy.name}",)).fetchone()
    connection.close()
    state: dict[str, Any] = msgspec.json.decode(row[0])["state"] if row else {"heard": -1, "sum": -1}
    return state["heard"], state["sum"]


def faults(paths: StatePaths, of: Sequence[StrategySpec], expected: tuple[int, int]) -> list[str]:
    """Who has not heard every bar once and in order, a line each."""
    found = ((strategy.name, heard_by(paths, strategy)) for strategy in of)
    return [f"{name} heard {heard}, the data file has {expected}" for name, heard in found if heard != expected]
