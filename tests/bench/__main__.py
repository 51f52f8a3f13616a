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
    benches = parser.add_subparsers(
        dest="bench",
        required=True,
        metavar="latency|backtest|orders|holding|memory|indicators|isolation|strategies|sweep|vectorized|streaming",
    )
    latency = benches.add_parser("latency", help="a tick in, an order at the paper broker: ours and bare paho")
    latency.add_argument("--rate", type=float, default=20.0, help="decisions a second (default 20)")
    latency.add_argument("--seconds", type=float, default=60.0, help="measured time of each of the two (default 60)")
    latency.add_argument("--warm-up", type=float, default=5.0, help="seconds dropped before (default 5)")
    backtest = benches.add_parser(
        "backtest", help="SMA 10/30 on a random walk: ours, backtesting.py, and others that are installed"
    )
    backtest.add_argument("--bars", type=int, default=1_000_000, help="default 1000000")
    orders = benches.add_parser("orders", help="what an order costs on its whole way, and its messages alone")
    orders.add_argument("--orders", type=int, default=20_000, help="default 20000")
    holding = benches.add_parser("holding", help="what a bar costs while a position is held and its stop rests")
    holding.add_argument("--bars", type=int, default=50_000, help="default 50000")
    memory = benches.add_parser("memory", help="an idle box: memory, processor time, bytes written")
    memory.add_argument("--seconds", type=float, default=60.0, help="how long, best in whole minutes (default 60)")
    memory.add_argument("--symbols", type=int, default=3, help="simulated symbols of one-minute bars (default 3)")
    indicators = benches.add_parser("indicators", help="each indicator, stream and array, and a bare deque and sum")
    indicators.add_argument("--bars", type=int, default=100_000, help="default 100000")
    isolation = benches.add_parser("isolation", help="a tick in, an intent out, beside a strategy that loops for ever")
    isolation.add_argument("--rate", type=float, default=20.0, help="decisions a second (default 20)")
    isolation.add_argument("--seconds", type=float, default=30.0, help="measured time of each of the two (default 30)")
    vectorized = benches.add_parser("vectorized", help="a sweep of SMA pairs by whole arrays: ours, and others")
    vectorized.add_argument("--bars", type=int, default=1_000_000, help="default 1000000")
    streaming = benches.add_parser("streaming", help="a backtest over more rows than memory should hold")
    streaming.add_argument("--symbols", type=int, default=20, help="default 20")
    streaming.add_argument("--years", type=float, default=10.0, help="of one-minute bars (default 10)")
    streaming.add_argument("--by-time", action="store_true", help="rows in order of time, not symbol after symbol")
    strategies = benches.add_parser("strategies", help="a hundred strategies on fifty symbols, and twelve apart")
    strategies.add_argument("--strategies", type=int, default=100, help="in shared hosts (default 100)")
    strategies.add_argument("--hosts", type=int, default=4, help="hosts they share (default 4)")
    strategies.add_argument("--separate", type=int, default=12, help="strategies in hosts of their own (default 12)")
    strategies.add_argument("--symbols", type=int, default=50, help="default 50")
    strategies.add_argument("--minutes", type=int, default=200, help="one-minute bars of each symbol (default 200)")
    sweep = benches.add_parser("sweep", help="a sweep over ten years of five symbols: alone, beside, killed, clustered")
    sweep.add_argument("--lookbacks", type=int, default=50, help="ten combinations each (default 50)")
    for bench in benches.choices.values():
        bench.add_argument("--json", action="store_true", help="nothing but the JSON object")
        bench.add_argument("--keep", action="store_true", help="add the figures to history.jsonl")
    return parser


def circumstances() -> dict[str, Any]:
    """When and on what the figures were measured."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"at": when, "machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}


if __name__ == "__main__":
    main()
