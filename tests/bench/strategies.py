"""Many strategies on many symbols over real Mosquitto: does each hear every bar once and in order, and what it costs.

Three boxes: all strategies in a few shared hosts over recorded bars, twelve in hosts of their own over recorded bars,
and the shared hosts again on a simulated market of one-second bars in real time, to see how late they are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from appliance.domain import wire
from appliance.domain.messages import Event, EventType
from appliance.errors import DataError, EnvironmentFault
from appliance.launch import Launch
from appliance.runs import RunSpec
from appliance.shell import audit
from appliance.shell.paths import StatePaths
from appliance.summary import RunFigures
from tests.bench import box, many, memory

POLL_S = 0.05
SLOWEST = 300.0
"""Seconds after which a box over recorded data is given up."""
MS = 1_000_000
MB = 1_000_000
LIVE = 12.0
"""Seconds of one-second bars; the first ones, when everybody starts, are left out."""
SETTLE = 3


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of the three boxes. Raises DataError when a strategy missed a bar, or heard one twice or too late."""
    shared = many.strategies(options.strategies, options.symbols, options.hosts)
    apart = many.strategies(options.separate, options.symbols, 0)
    box.tell(f"{len(shared)} strategies in {options.hosts} hosts, {options.symbols} symbols, {options.minutes} minutes")
    together = _recorded(shared, options.symbols, options.minutes)
    box.tell(f"{len(apart)} strategies in hosts of their own")
    separate = _recorded(apart, options.symbols, options.minutes)
    box.tell(f"one-second bars in real time for {LIVE:.0f} s")
    live = _live(shared, options.symbols)
    return {"shared": together, "separate": separate, "live": live}


# --- recorded bars -------------------------------------------------------------------------------------------------


def _recorded(of: tuple[Any, ...], symbols: int, minutes: int) -> dict[str, Any]:
    with box.state_directory() as paths:
        file = paths.root / "bars.csv"
        many.write_data(file, symbols, minutes)
        launch = _Watched(paths, many.recorded(file, of))
        used = launch.until_done()
        expected = many.heard_of(file)
        wrong = many.faults(paths, of, expected)
        if wrong:
            raise DataError(f"{len(wrong)} of {len(of)} strategies heard something else: " + "; ".join(wrong[:5]))
        return {"strategies": len(of), "symbols": symbols, **_figures(launch, expected[0], used)}


class _Watched:
    """A box over recorded data, driven to its end, and what it used on the way."""

    def __init__(self, paths: StatePaths, spec: RunSpec) -> None:
        self.figures = RunFigures()
        self.hosts = spec.hosts
        self.latency: dict[str, tuple[int, ...]] = {}
        self.pss: dict[str, int] = {}
        self.strategies = len(spec.strategies)
        self.seconds = 0.0
        self._launch = Launch(paths, spec, self._note)
        self._began = 0.0

    def _note(self, event: Event) -> None:
        if event.type is EventType.STEP and not self._began:
            self._began = time.perf_counter()
        self.figures.note(event)

    def until_done(self) -> dict[str, memory.Usage]:
        """Run it; what each process has used by its end. Raises EnvironmentFault when it takes too long."""
        launch, deadline = self._launch, time.monotonic() + SLOWEST
        try:
            launch.start()
            while not (self.figures.done and launch.collector is not None and launch.collector.caught_up()):
                launch.poll(POLL_S)
                if time.monotonic() > deadline:
                    raise EnvironmentFault(f"not done within {SLOWEST:.0f} s: {self.figures.bars} bars so far")
            self.seconds = time.perf_counter() - self._began
            pids = {child.spec.name: child.pid for child in launch.supervisor if child.pid is not None}
            self.pss = {name: memory.pss(pid) for name, pid in pids.items()}
            assert launch.collector is not None
            self.latency = {name: beat.latency for name, beat in launch.collector.beats.items()}
            return {name: memory.usage(pid) for name, pid in pids.items()}
        finally:
            launch.stop()


def _figures(box_: _Watched, bars: int, used: dict[str, memory.Usage]) -> dict[str, Any]:
    """Processor time and bytes are those of whole lives, loading included."""
    record, seconds = box_.figures.record, box_.seconds
    return {
        "bars": bars, "seconds": round(seconds, 2), "bars_per_s": round(bars / seconds),
        "deliveries_per_s": round(bars * box_.strategies / seconds),
        "signals": box_.figures.signals, "intents": record.intents, "orders": record.orders, "fills": record.fills,
        "denied": record.denied, "hop_ms": _hops(box_.latency.values()),
        "cpu_s": _by_kind({name: use.seconds for name, use in used.items()}, 2),
        "written_bytes_per_bar": round(sum(use.written for use in used.values()) / bars),
        "pss_mb": _by_kind({name: size / MB for name, size in box_.pss.items()}, 1),
    }  # fmt: skip


def _hops(latencies: Iterable[tuple[int, ...]]) -> dict[str, float]:
    """From sent to heard, ms: the median process's p50, the worst p99 and maximum."""
    rows = sorted(row for row in latencies if len(row) == 3)
    if not rows:
        return {}
    middle = rows[len(rows) // 2][0]
    return {
        "p50": round(middle / MS, 2), "p99": round(max(row[1] for row in rows) / MS, 2),
        "max": round(max(row[2] for row in rows) / MS, 2),
    }  # fmt: skip


def _by_kind(values: dict[str, float], digits: int) -> dict[str, float]:
    """By process; of the hosts, the mean of one."""
    hosts = [value for name, value in values.items() if name.startswith("host@")]
    others = {name: round(value, digits) for name, value in values.items() if not name.startswith("host@")}
    return {**others, "a host": round(sum(hosts) / len(hosts), digits)}


# --- bars in real time ---------------------------------------------------------------------------------------------


def _live(of: tuple[Any, ...], symbols: int) -> dict[str, Any]:
    spec = many.live(of, symbols)
    with box.state_directory() as paths:
        launch = Launch(paths, spec, lambda event: None)
        with box.running(launch):
            pids = {child.spec.name: child.pid for child in launch.supervisor if child.pid is not None}
            before, began = {name: memory.usage(pid) for name, pid in pids.items()}, time.monotonic()
            box.watch(launch, LIVE)
            seconds = time.monotonic() - began
            after = {name: memory.usage(pid) for name, pid in pids.items()}
            cpu = {name: 100 * (after[name].seconds - before[name].seconds) / seconds for name in pids}
        return {"cpu_percent": _by_kind(cpu, 1), "late_ms": _lateness(paths, spec.hosts)}


def _lateness(paths: StatePaths, hosts: Iterable[str]) -> dict[str, Any]:
    """How long after the feed had made them the bars of one second began to be handled, ms: each bar, and the last."""
    made = _made(Path(paths.journal("feed")))
    each: list[float] = []
    last: list[float] = []
    for host in hosts:
        seconds: dict[int, list[float]] = {}
        for position, taken in _taken(paths.journal(f"host@{host}")):
            if position in made:
                end, at = made[position]
                seconds.setdefault(end, []).append((taken - at) / MS)
        kept = [seconds[end] for end in sorted(seconds)[SETTLE:]]
        each += [late for rows in kept for late in rows]
        last += [max(rows) for rows in kept]
    return {
        "bars": len(each), "p50": round(box.quantile(each, 0.5), 1), "p99": round(box.quantile(each, 0.99), 1),
        "last_p50": round(box.quantile(last, 0.5), 1), "last_p99": round(box.quantile(last, 0.99), 1),
    }  # fmt: skip


def _made(journal: Path) -> dict[str, tuple[int, int]]:
    """By position: a bar's end and when the feed made it known (ns UTC)."""
    connection = audit.opened(journal)
    found = {}
    for line in audit.lines(connection):
        if line.kind == "out" and line.position.startswith("feed/bars:"):
            event = wire.decode(line.payload)
            found[line.position] = event.body.end, event.ts
    connection.close()
    return found


def _taken(journal: Path) -> list[tuple[str, int]]:
    """Position and time (ns UTC) of every input."""
    connection = audit.opened(journal)
    rows = [(taken.position, taken.now.time) for _, taken in audit.inputs(connection)]
    connection.close()
    return rows
