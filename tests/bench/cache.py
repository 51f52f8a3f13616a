"""The data cache: ten thousand bars cold and warm, and what ten strategies of two recorded days still ask a source for.

Warm figures are those of ``DataCache.history``, whole bars included; the floor is what SQLite alone takes to hand out
one blob of the same size. Levels are counted by blocks (a day of one-minute bars), and beside that by requests and by
bars. ``--record`` records the pattern anew from the strategies as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from appliance.data.cache import CacheStats, DataCache
from appliance.data.cache.columns import packed
from appliance.data.calendars import always_open
from appliance.data.sources.alpaca import AlpacaOptions, history
from appliance.data.sources.base import Traits
from appliance.domain.market import MINUTE, Bar, CorporateAction, Sessions, timeframe_ns
from tests.bench import box, cache_pattern
from tests.bench.cache_pattern import Request
from tests.standins.alpaca import AlpacaStandIn, Market, minutes
from tests.standins.alpaca.server import KEY, SECRET

START = 1_700_000_040_000_000_000
PAGES, TIMES = 4, 300
COLD_GOAL_S, WARM_GOAL_MS, HIT_GOAL = 2.0, 5.0, 0.8


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Cold and warm, then the pattern."""
    if options.record:
        cache_pattern.write(list(cache_pattern.recorded(cache_pattern.sessions())))
        box.tell(f"{len(cache_pattern.read())} requests recorded, {cache_pattern.FILE.stat().st_size} bytes")
    with box.state_directory() as paths:
        figures = {**_times(paths.root / "cache.db", options.bars, options.latency), **_replayed(paths.root)}
    warm = max(figures["memory_ms"]["p99"], figures["disk_ms"]["p99"])
    reached = figures["cold_s"] < COLD_GOAL_S and warm < WARM_GOAL_MS and figures["hit_rate"] > HIT_GOAL
    return {
        **figures,
        "load": round(os.getloadavg()[0], 1),
        "goals": {"cold_s": COLD_GOAL_S, "warm_ms": WARM_GOAL_MS, "hit_rate": HIT_GOAL},
        "reached": reached,
    }


# --- cold and warm -----------------------------------------------------------------------------------------------


def _times(path: Path, bars: int, latency: float) -> dict[str, Any]:
    market = Market()
    market.add("bars", "SPY", minutes(START, bars))
    cache = DataCache(path, lambda symbol: always_open())
    with AlpacaStandIn(market, page_max=-(-bars // PAGES)) as server:
        server.faults.latency = latency / 1000
        source = history(AlpacaOptions(key=KEY, secret=SECRET, rest_url=server.rest_url), always_open())
        began = time.perf_counter()
        found = _asked(cache, source, bars)
        cold = time.perf_counter() - began
        source.close()
    memory = _spread(lambda: _asked(cache, source, bars))
    disk = _spread(lambda: _asked(cache, source, bars), cache.clear_memory)
    stats = cache.stats()
    cache.close()
    if stats.calls != 1:
        raise AssertionError(f"the source was called {stats.calls} times, not once")
    floor = _floor(path.with_name("floor.db"), packed(found))
    return {
        "bars": bars, "latency_ms": latency, "cold_s": round(cold, 3), "memory_ms": memory, "disk_ms": disk,
        "new_process_ms": _new_process(path, bars), "floor_ms": floor,
        "disk_to_floor": round(disk["processor"] / floor["processor"], 1),
        "disk_bytes_a_bar": round(stats.disk / bars, 1),
    }  # fmt: skip


def _asked(cache: DataCache, source: Any, bars: int) -> tuple[Bar, ...]:
    found = cache.history(source, "SPY", "1m", START, START + bars * MINUTE)
    if len(found) != bars:
        raise AssertionError(f"{len(found)} bars came, not {bars}")
    return found


def _spread(work: Callable[[], object], before: Callable[[], None] = lambda: None) -> dict[str, float]:
    """Median and 99th percentile, ms, and the median of the processor's time, which a busy machine leaves as it is."""
    took, used = [], []
    for _ in range(TIMES):
        before()
        began, busy = time.perf_counter(), time.process_time()
        work()
        used.append(1e3 * (time.process_time() - busy))
        took.append(1e3 * (time.perf_counter() - began))
    took.sort()
    return {
        "median": round(median(took), 3), "p99": round(took[int(0.99 * TIMES)], 3), "processor": round(median(used), 3),
    }  # fmt: skip


def _floor(path: Path, blob: bytes) -> dict[str, float]:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE blob (id INTEGER PRIMARY KEY, body BLOB)")
    connection.execute("INSERT INTO blob VALUES (1, ?)", (blob,))
    connection.commit()
    figures = _spread(lambda: connection.execute("SELECT body FROM blob WHERE id = 1").fetchone())
    connection.close()
    return figures


_FRESH = """
import json, sys, time
from pathlib import Path
from appliance.data.cache import DataCache
from appliance.data.calendars import always_open
from appliance.data.sources.base import Traits
class Nobody:
    name, traits = "alpaca", Traits(history=True)
    def bars(self, *asked):
        raise AssertionError("the source was asked")
path, start, end = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
began = time.perf_counter()
cache = DataCache(path, lambda symbol: always_open())
count = len(cache.history(Nobody(), "SPY", "1m", start, end))
print(json.dumps([count, 1e3 * (time.perf_counter() - began)]))
"""


def _new_process(path: Path, bars: int) -> float:
    """The first answer of a process that has just begun (ms), the file opened and checked: the median of five."""
    took = []
    for _ in range(5):
        argv = [sys.executable, "-c", _FRESH, str(path), str(START), str(START + bars * MINUTE)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=box.ROOT)
        count, ms = json.loads(done.stdout)
        if count != bars:
            raise AssertionError(f"{count} bars came, not {bars}")
        took.append(ms)
    return round(median(took), 2)


# --- the pattern -------------------------------------------------------------------------------------------------


class Past:
    """A source that has every minute of every session, up to the clock; longer bars likewise."""

    name, traits = "past", Traits(timeframes=("1m", "5m", "1d"), history=True)

    def __init__(self, table: Sessions) -> None:
        self.now = 0
        self._opens = [session.open for session in table]
        self._sessions = list(table)

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        until = min(end, self.now)
        first = max(bisect_right(self._opens, start) - 1, 0)
        for session in self._sessions[first : bisect_left(self._opens, until)]:
            length = min(timeframe_ns(timeframe), session.close - session.open)
            begins = range(session.open, session.close, length)
            yield tuple(
                Bar(symbols[0], timeframe, one, one + length, 100.0, 101.0, 99.0, 100.5, 1_000.0, "past", one + length)
                for one in begins
                if start <= one and one + length <= until
            )

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        return ()

    def close(self) -> None:
        pass


@dataclass
class Replay:
    """The pattern, asked of a cache that is made anew at each restart of the box."""

    path: Path
    table: Sessions
    source: Past
    caches: list[DataCache] = field(default_factory=list)
    delivered: int = 0

    def ask(self, request: Request) -> None:
        """One request of the pattern."""
        self.source.now = request.now
        if not request.symbol:
            self.close()
            self.caches.append(DataCache(self.path, lambda symbol: self.table, lambda: self.source.now))
            return
        of = request.symbol, request.timeframe, request.start, request.end
        self.delivered += len(self.caches[-1].history(self.source, *of))

    def close(self) -> None:
        """The box stops."""
        for cache in self.caches[-1:]:
            cache.close()

    def total(self) -> CacheStats:
        """What all of them counted."""
        names = CacheStats.__struct_fields__
        return CacheStats(**{name: sum(getattr(one.stats(), name) for one in self.caches) for name in names})


def _replayed(root: Path) -> dict[str, Any]:
    table = cache_pattern.sessions()
    replay = Replay(root / "pattern.db", table, Past(table))
    began = time.perf_counter()
    for request in cache_pattern.read():
        replay.ask(request)
    replay.close()
    stats = replay.total()
    blocks = stats.memory_hits + stats.disk_hits + stats.shared + stats.misses
    rates = {
        "memory": stats.memory_hits / blocks, "disk": stats.disk_hits / blocks, "source": stats.misses / blocks,
    }  # fmt: skip
    return {
        "hit_rate": round(stats.hit_rate, 4),
        "levels": {name: round(rate, 4) for name, rate in rates.items()},
        "blocks": blocks,
        "requests": stats.requests,
        "requests_without_a_call": round(stats.silent / stats.requests, 4),
        "calls": stats.calls,
        "bars_delivered": replay.delivered,
        "bars_from_the_cache": round(1 - stats.bars / replay.delivered, 4),
        "starts": len(replay.caches),
        "written_mb": round(stats.written / 1e6, 1),
        "replay_s": round(time.perf_counter() - began, 1),
    }
