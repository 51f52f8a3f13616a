"""What an idle box costs: memory, processor time and bytes written, by process.

Memory is PSS (a page shared by n processes counts one n-th), from smaps_rollup at the end. Bytes written are
``write_bytes`` of /proc/PID/io, what a process caused to be written to disks, over whole minutes after a
while, made a day's; nothing is counted on tmpfs, so let TMPDIR be on a disk.
"""

from __future__ import annotations

import argparse
import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from appliance.data.sources.simulated import SYMBOLS
from appliance.launch import Launch
from appliance.runs import RunSpec, StrategySpec
from tests.bench import box

DAY_S = 86_400
SETTLE = 15.0
"""Seconds before the figures begin."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MB = 1_000_000


class Usage(NamedTuple):
    """What one process has used so far: processor seconds, bytes written to disks."""

    seconds: float
    written: int


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run; the supervisor that a box under systemd has not is not counted."""
    with box.state_directory() as paths:
        launch = Launch(paths, _spec(options.symbols), lambda event: None)
        with box.running(launch):
            box.tell(f"watching an idle box for {SETTLE + options.seconds:.0f} s")
            box.watch(launch, SETTLE)
            pids = {child.spec.name: child.pid for child in launch.supervisor if child.pid is not None}
            before, begin = {name: usage(pid) for name, pid in pids.items()}, time.monotonic()
            box.watch(launch, options.seconds)
            after, seconds = {name: usage(pid) for name, pid in pids.items()}, time.monotonic() - begin
            memory = {name: pss(pid) for name, pid in pids.items()}
    cpu = {name: 100 * (after[name].seconds - before[name].seconds) / seconds for name in pids}
    written = {name: (after[name].written - before[name].written) / seconds * DAY_S / MB for name in pids}
    return {
        "pss_mb": round(sum(memory.values()) / MB, 1),
        "cpu_percent_of_a_core": round(sum(cpu.values()), 2),
        "written_mb_a_day": round(sum(written.values()), 1),
        "processes": len(pids), "symbols": options.symbols, "seconds": round(seconds, 1),
        "pss_mb_by_process": {name: round(bytes_ / MB, 1) for name, bytes_ in memory.items()},
        "cpu_percent_by_process": {name: round(percent, 2) for name, percent in cpu.items()},
        "written_mb_a_day_by_process": {name: round(amount, 1) for name, amount in written.items()},
    }  # fmt: skip


def _spec(symbols: int) -> RunSpec:
    """Two strategies in hosts of their own, a simulated market of one-minute bars."""
    names = [*SYMBOLS, *(f"SIM{number:02}" for number in range(symbols))][:symbols]
    market = {name: SYMBOLS.get(name, 100.0) for name in names}
    folder = box.ROOT / "strategies"
    strategies = tuple(
        StrategySpec(file, str(folder / f"{file}.py"), params={"symbol": names[at % symbols]})
        for at, file in enumerate(("sma_cross", "bollinger"))
    )
    return RunSpec("bench", strategies, Decimal(100_000), symbols=market, timeframe="1m")


def usage(pid: int) -> Usage:
    """A process's use so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    seconds = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    rows = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return Usage(seconds, int(rows["write_bytes"]))


def pss(pid: int) -> int:
    """A process's proportional set size, bytes."""
    rows = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return next(int(row[1]) * 1024 for row in rows if row[0] == "Pss:")
