"""``python -m tests.bench BENCH [--json] [--keep]``: figures of this machine, never assertions.

What happens is told on standard error; the last line of standard output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

HISTORY = Path(__file__).with_name("history.jsonl")

Bench = Callable[[argparse.Namespace], dict[str, Any]]


Options = dict[str, tuple[int | float | bool, str]]
"""A bench's options: the default, whose type is the option's, and what it means."""

BENCHES: dict[str, tuple[str, Options]] = {
    "latency": ("a tick in, an order at the paper broker: ours and bare paho", {
        "--rate": (20.0, "decisions a second"),
        "--seconds": (60.0, "measured time of each of the two"),
        "--warm-up": (5.0, "seconds dropped before"),
    }),
    "backtest": ("SMA 10/30 on a random walk: ours, backtesting.py, and others that are installed", {
        "--bars": (1_000_000, "one-minute bars"),
    }),
    "cache": ("ten thousand bars cold and warm, and what ten strategies of two recorded days ask for", {
        "--bars": (10_000, "one-minute bars"),
        "--latency": (200.0, "milliseconds before each reply"),
        "--record": (False, "record the pattern anew from the strategies as they are"),
    }),
    "history": ("a cold request of bars, page by page, over a slow line", {
        "--bars": (10_000, "one-minute bars"),
        "--pages": (4, "how many"),
        "--latency": (200.0, "milliseconds before each reply"),
    }),
    "data": ("market data on their way in: quotes by the thousand, a recorded stream, minutes of seconds", {
        "--rate": (5_000, "quotes a second over twenty symbols"),
        "--seconds": (16.0, "how long"),
        "--speed": (2.0, "how many times as fast the recorded Binance stream is replayed"),
        "--replay": (16.0, "seconds of the replay, the busiest; 0: all of it, three minutes"),
    }),
    "orders": ("what an order costs on its whole way, and its messages alone", {"--orders": (20_000, "how many")}),
    "holding": ("what a bar costs while a position is held and its stop rests", {"--bars": (50_000, "how many")}),
    "failover": ("each fault of a preferred source, on a box in real time and by the rules", {
        "--tick": (0.3, "seconds until a minute is over on the box's market"),
        "--bars": (5, "how many bars a fault lasts in simulated time"),
    }),
    "gateway": ("an approval in, an order's bytes on the broker's socket; five hundred orders that rest", {
        "--orders": (100, "measured orders, before and with those that rest"),
        "--open": (500, "orders that rest"),
    }),
    "memory": ("an idle box: memory, processor time, bytes written", {
        "--seconds": (60.0, "how long, best in whole minutes"),
        "--symbols": (3, "simulated symbols of one-minute bars"),
    }),
    "indicators": ("each indicator, stream and array, and a bare deque and sum", {"--bars": (100_000, "how many")}),
    "isolation": ("a tick in, an intent out, beside a strategy that loops for ever", {
        "--rate": (20.0, "decisions a second"),
        "--seconds": (30.0, "measured time of each of the two"),
    }),
    "strategies": ("a hundred strategies on fifty symbols, and twelve apart", {
        "--strategies": (100, "in shared hosts"),
        "--hosts": (4, "hosts they share"),
        "--separate": (12, "strategies in hosts of their own"),
        "--symbols": (50, "how many"),
        "--minutes": (200, "one-minute bars of each symbol"),
    }),
    "vectorized": ("a sweep of SMA pairs by whole arrays: ours, and others", {"--bars": (1_000_000, "how many")}),
    "streaming": ("a backtest over more rows than memory should hold", {
        "--symbols": (20, "how many"),
        "--years": (10.0, "of one-minute bars"),
        "--by-time": (False, "rows in order of time, not symbol after symbol"),
    }),
    "sweep": ("a sweep over ten years of five symbols: alone, beside, killed, clustered", {
        "--lookbacks": (50, "ten combinations each"),
    }),
}  # fmt: skip
"""Every bench: what it measures, and its options."""


def main() -> None:
    """Run one bench, print its figures, and with ``--keep`` add them to the history."""
    options = arguments().parse_args()
    bench: Bench = import_module(f"tests.bench.{options.bench}").run
    figures = bench(options)
    if not options.json:
        for name, value in figures.items():
            print(f"{name:24} {json.dumps(value)}", file=sys.stderr)
    line = json.dumps(figures)
    if options.keep:
        with HISTORY.open("a") as history:
            history.write(json.dumps({"bench": options.bench, **circumstances(), **figures}) + "\n")
    print(line)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    benches = parser.add_subparsers(dest="bench", required=True, metavar="|".join(BENCHES))
    for name, (help, options) in BENCHES.items():
        bench = benches.add_parser(name, help=help)
        for option, (default, meaning) in options.items():
            if isinstance(default, bool):
                bench.add_argument(option, action="store_true", help=meaning)
            else:
                bench.add_argument(option, type=type(default), default=default, help=f"{meaning} (default {default})")
        bench.add_argument("--json", action="store_true", help="nothing but the JSON object")
        bench.add_argument("--keep", action="store_true", help="add the figures to history.jsonl")
    return parser


def circumstances() -> dict[str, Any]:
    """When and on what the figures were measured."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"at": when, "machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}


if __name__ == "__main__":
    main()
