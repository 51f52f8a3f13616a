"""What market data cost on their way in: a box under quotes and trades over a real WebSocket, and bars from seconds.

A server in a process of its own sends thousands of quotes a second, then the recorded Binance stream at twice its
speed. The shipped feed process takes them (source, conduit, desk and its judge, core) and says them on the bus, where
the bench listens. ``objects`` are the memory blocks that Python holds: what leaks holds more of them from minute to
minute, while the resident size also grows with the longest queue there ever was. Figures, never assertions.
"""

from __future__ import annotations

import argparse
import json
import select
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.messages import Event, Ticks
from appliance.launch import Launch
from appliance.runs import RunSpec, StrategySpec
from appliance.shell import mosquitto
from appliance.shell.bus import EventBus
from appliance.shell.paths import StatePaths
from appliance.shell.supervisor import Spec
from tests.bench import box, data_bars
from tests.bench.data_feed import TAKEN
from tests.bench.data_server import SPIKE, STREAM
from tests.bench.memory import usage
from tests.data.real import MARKET

SYMBOLS = [f"S{number:02}" for number in range(20)]
SETTLE = 3.0
"""Seconds at the beginning of a stretch in which memory may still grow: caches fill, queues find their size."""
DRAINS = 10
"""How often a bench on a busy machine looks whether all was taken."""
MB = 1_000_000


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    found: dict[str, Any] = {"bar": data_bars.cost()}
    if MARKET.is_dir():
        found["minutes"] = data_bars.minutes()
        box.tell(f"minutes of seconds: {found['minutes']}")
    with box.state_directory() as paths, Server() as server:
        launch = Fed(paths, _spec(), server.url)
        with box.running(launch):
            hearer = Hearer(launch)
            hearer.until_taken()
            job = {"do": "quotes", "rate": options.rate, "symbols": SYMBOLS, "seconds": options.seconds}
            found["quotes"] = _quotes(hearer, server, job)
            if MARKET.is_dir():
                job = {"do": "replay", "speed": options.speed, "seconds": options.replay}
                found["stream"] = _stream(hearer, server, job)
            hearer.bus.close()
    return found


class Fed(Launch):
    """A box whose feed is the bench's."""

    def __init__(self, paths: StatePaths, spec: RunSpec, url: str) -> None:
        super().__init__(paths, spec, lambda event: None)
        self._url = url

    def _child(self, process: str) -> Spec:
        spec = super()._child(process)
        if process != "feed":
            return spec
        names = ",".join([*SYMBOLS, STREAM])
        command = (sys.executable, "-m", "tests.bench.data_feed", str(self.paths.root), self._url, names)
        return msgspec.structs.replace(spec, argv=command)


def _spec() -> RunSpec:
    """One strategy that hears all and, since there are no bars, does nothing."""
    file = str(Path(__file__).parent / "strategies" / "watching.py")
    strategy = StrategySpec("watching", file, params={"symbol": SYMBOLS[0], "symbols": ",".join(SYMBOLS)})
    return RunSpec("bench", (strategy,), Decimal(100_000), symbols=dict.fromkeys(SYMBOLS, 100.0))


class Server:
    """The server's process."""

    def __enter__(self) -> Server:
        command = (sys.executable, "-m", "tests.bench.data_server")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._out, self._in = self._process.stdout, self._process.stdin
        self.pid = self._process.pid
        self.url = f"ws://127.0.0.1:{int(self._out.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._in.close()
        self._process.wait(5)

    def begin(self, job: dict[str, Any]) -> None:
        """Give it a job."""
        self._in.write(json.dumps(job) + "\n")
        self._in.flush()

    def done(self) -> dict[str, Any] | None:
        """What came of the job; None while it is at it."""
        if not select.select([self._out], [], [], 0)[0]:
            return None
        said: dict[str, Any] = json.loads(self._out.readline())
        return said


class Hearer:
    """What the bus says of quotes, and what the feed process takes."""

    def __init__(self, launch: Launch) -> None:
        paths = launch.paths
        filters = (("feed/quotes", 0),)
        password = mosquitto.password(paths, "cli")
        self.bus = EventBus("cli", launch.spec.box, paths.mqtt_socket, password, client="bench", filters=filters)
        self.bus.receive = self._receive
        self._launch, self._taken = launch, paths.root / TAKEN
        self.pids = {child.spec.name: child.pid for child in launch.supervisor if child.pid is not None}
        self.pid = self.pids["feed"]
        self._last = 0
        self.clear()

    def clear(self) -> None:
        """Begin to count."""
        self.ticks = self.quotes = self.missed = 0
        self.late: list[int] = []
        self.low: dict[str, float] = {}
        self.high: dict[str, float] = {}
        self.lows: set[float] = set()
        self.sizes: list[tuple[float, int]] = []
        self.blocks: list[tuple[float, int]] = []

    def used(self) -> dict[str, float]:
        """Processor seconds so far, by process."""
        return {name: usage(pid).seconds for name, pid in self.pids.items()}

    def taken(self) -> dict[str, float]:
        """What the feed process says that it has taken."""
        found: dict[str, float] = json.loads(self._taken.read_text())
        return found

    def until_taken(self) -> None:
        """Wait until the feed process has a connection, and has said so."""
        end = time.monotonic() + box.READY_WITHIN
        while not (self._taken.exists() and self.taken()["connections"]) and time.monotonic() < end:
            box.watch(self._launch, 0.1)
        self.watch(1.0)

    def watch(self, seconds: float) -> None:
        """Listen for a while. Raises EnvironmentFault when a process of the box dies."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.bus.tick()
            fd = self.bus.fileno()
            if fd is None:
                box.watch(self._launch, 0.02)
                continue
            readable, _, _ = select.select([fd], [fd] if self.bus.wants_write else [], [], 0.05)
            if readable:
                self.bus.read()
            if self.bus.wants_write:
                self.bus.write()
        self.sizes.append((time.monotonic(), rss(self.pid)))
        self.blocks.append((time.monotonic(), round(self.taken()["blocks"])))
        box.watch(self._launch, 0.0)

    def _receive(self, event: Event) -> None:
        now, told = time.time_ns(), event.body
        if not isinstance(told, Ticks):
            return
        self.missed += told.n - self._last - 1 if self._last else 0
        self._last = told.n
        self.ticks += 1
        self.quotes += len(told.quotes)
        self.late.append(now - max(quote.time for quote in told.quotes))
        for quote in told.quotes:
            self.low[quote.symbol] = min(self.low.get(quote.symbol, 1e9), quote.low)
            self.high[quote.symbol] = max(self.high.get(quote.symbol, 0.0), quote.high)
            self.lows.add(quote.low)


def _stretch(hearer: Hearer, server: Server, job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let the server do its job: what it says of it, and the figures that every job has."""
    box.tell(f"the server sends: {job['do']}")
    hearer.clear()
    before, begin = hearer.taken(), hearer.used()
    began = time.monotonic()
    server.begin(job)
    while (said := server.done()) is None:
        hearer.watch(0.25)
    seconds = time.monotonic() - began
    cpu = {name: round(100 * (used - begin[name]) / seconds, 1) for name, used in hearer.used().items()}
    _drain(hearer, before, said["sent"])
    taken = {name: round(value - before[name], 6) for name, value in hearer.taken().items()}
    sizes, blocks = (
        [(at - began, size) for at, size in samples if at - began > SETTLE] or samples
        for samples in (hearer.sizes, hearer.blocks)
    )
    return said, {
        "seconds": round(said["seconds"], 1), "told_by_source": round(taken["quotes"]),
        "ticks_out": hearer.ticks, "ticks_missed": hearer.missed, "quotes_out": hearer.quotes,
        "conflated_to": round(hearer.quotes / max(1, taken["quotes"]), 4),
        "rounds": round(taken["rounds"]), "set_aside": round(taken["set_aside"]),
        "latency_p50_ms": _ms(hearer.late, 0.5), "latency_p90_ms": _ms(hearer.late, 0.9),
        "latency_p99_ms": _ms(hearer.late, 0.99), "latency_max_ms": _ms(hearer.late, 1.0),
        "cpu_percent_of_a_core": cpu["feed"], "cpu_percent_by_process": cpu,
        "rss_mb_begin": round(sizes[0][1] / MB, 1), "rss_mb_end": round(sizes[-1][1] / MB, 1),
        "objects_begin": blocks[0][1], "objects_end": blocks[-1][1], "objects_a_minute": round(slope(blocks) * 60),
        "rss_mb_a_minute": round(slope(sizes) * 60 / MB, 2), "connections": round(taken["connections"]),
        "trades": round(taken["trades"]), "trades_judged": round(taken["judged_trades"]), "size": taken["size"],
    }  # fmt: skip


def _drain(hearer: Hearer, before: dict[str, float], sent: int | dict[str, int]) -> None:
    """Until all that was sent was taken, and what follows from the last of it was heard."""
    total = sent if isinstance(sent, int) else sum(sent.values())
    for _ in range(DRAINS):
        hearer.watch(0.6)
        taken = hearer.taken()
        if sum(taken[name] - before[name] for name in ("quotes", "trades")) >= total:
            break
    hearer.watch(0.6)


def _quotes(hearer: Hearer, server: Server, job: dict[str, Any]) -> dict[str, Any]:
    said, figures = _stretch(hearer, server, job)
    for name in ("trades", "trades_judged", "size"):
        del figures[name]
    kept = sum(hearer.low.get(name) == said["low"][name] for name in SYMBOLS)
    kept += sum(hearer.high.get(name) == said["high"][name] for name in SYMBOLS)
    spikes = sum(low < SPIKE for low in hearer.lows)
    return {
        "sent": said["sent"], "rate": round(said["sent"] / said["seconds"]), **figures,
        "extremes_kept": kept, "extremes": 2 * len(SYMBOLS), "spikes_sent": said["spikes"], "spikes_told": spikes,
    }  # fmt: skip


def _stream(hearer: Hearer, server: Server, job: dict[str, Any]) -> dict[str, Any]:
    said, figures = _stretch(hearer, server, job)
    return {
        "quotes_sent": said["sent"]["quotes"], "trades_sent": said["sent"]["trades"],
        "all_trades": figures["trades_judged"] == said["sent"]["trades"] and abs(figures["size"] - said["size"]) < 1e-3,
        "busiest_second": said["busiest"], "server_behind_s": round(said["behind_s"], 3), **figures,
    }  # fmt: skip


def slope(samples: list[tuple[float, int]]) -> float:
    """Least squares: bytes a second."""
    middle = sum(at for at, _ in samples) / len(samples)
    mean = sum(size for _, size in samples) / len(samples)
    spread = sum((at - middle) ** 2 for at, _ in samples)
    return sum((at - middle) * (size - mean) for at, size in samples) / spread if spread else 0.0


def rss(pid: int) -> int:
    """A process's resident set, bytes."""
    rows = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return next(int(row[1]) * 1024 for row in rows if row[0] == "VmRSS:")


def _ms(samples: list[int], share: float) -> float:
    return round(box.quantile(samples, share) / 1e6, 2)
