"""A box over recorded data driven from inside the test, and what its stopped journals hold."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from appliance.core.portfolio import Portfolio
from appliance.domain import wire
from appliance.domain.trading import Account, Position
from appliance.launch import Launch
from appliance.runs import RunSpec
from appliance.shell import audit
from appliance.shell.paths import StatePaths
from appliance.summary import RunFigures

T = TypeVar("T")


def traded(paths: StatePaths, spec: RunSpec, kills: Mapping[int, str] | None = None, seconds: float = 60) -> RunFigures:
    """Run a box to the end of its data; ``kills`` says which process gets a SIGKILL when so many bars are out."""
    figures, left = RunFigures(), dict(kills or {})
    launch, deadline = Launch(paths, spec, figures.note), time.monotonic() + seconds
    try:
        launch.start()
        while not (figures.done and launch.collector is not None and launch.collector.caught_up()):
            launch.poll(0.02)
            for bars in [bars for bars in left if figures.bars >= bars]:
                pid = launch.supervisor.child(left.pop(bars)).pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline, f"not done within {seconds:g} s: {figures.bars} bars"
        assert not left, f"the data was over before {left} could be killed"
    finally:
        launch.stop()
    return figures


def rows(journal: Path, table: str, kind: type[T]) -> dict[str, T]:
    """One table of a stopped process's state, by key."""
    connection = audit.opened(journal)
    found = connection.execute("SELECT key, value FROM state WHERE key LIKE ?", (f"{table}/%",)).fetchall()
    connection.close()
    return {key.removeprefix(f"{table}/"): wire.unpack(value, kind) for key, value in found}


def portfolios(paths: StatePaths, spec: RunSpec) -> dict[str, Portfolio]:
    """What every strategy has, by its host's journal."""
    found: dict[str, Portfolio] = {}
    for host in spec.hosts:
        found |= rows(paths.journal(f"host@{host}"), "portfolio", Portfolio)
    return found


def account(paths: StatePaths) -> tuple[Decimal, dict[str, Decimal]]:
    """Cash (USD) and shares by symbol, by the gateway's journal."""
    journal = paths.journal("gateway")
    cash = rows(journal, "account", Account)[""].cash
    held = rows(journal, "position", Position)
    return cash, {symbol: position.quantity for symbol, position in held.items() if position.quantity}
