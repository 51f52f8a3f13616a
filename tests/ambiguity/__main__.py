"""Ambiguous answers, by the hundred: no order twice, no fill lost, whatever a broker does. By the stand-ins' own logs.

python -m tests.ambiguity [--venue alpaca] [--fault NAME]… [--episodes 25] [--orders 40] [--seed 1] [--jobs 2] [--json]

Real gateway, guard and Mosquitto; real alpaca-py and ib_insync over real sockets. `kill -9` of the gateway mixed in.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.ambiguity.drill import drill
from tests.ambiguity.episode import Plan
from tests.ambiguity.venues import ALPACA, IBKR, VENUES

FAULTS = {"alpaca": ALPACA, "ibkr": IBKR}
COLUMNS = ("episodes", "orders", "accepted", "executions", "unknown", "kills")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table for people."""
    head = f"{'venue':8}{'fault':32}" + "".join(f"{name:>11}" for name in COLUMNS)
    lines = [f"{head}{'reconnected, s p50/p99/max':>30}{'resolved, s p50/p99/max':>28}  wrong"]
    for row in rows:
        figures = "".join(f"{row[name]:>11}" for name in COLUMNS)
        spans = f"{_span(row['reconnect_s']):>30}{_span(row['resolved_s']):>28}"
        lines.append(f"{row['venue']:8}{row['fault']:32}{figures}{spans}  {len(row['wrong'])}")
        lines += [f"    {text}" for text in row["wrong"][:5]]
    return "\n".join(lines)


def _span(spread: dict[str, float] | None) -> str:
    return f"{spread['p50']:.2f} / {spread['p99']:.2f} / {spread['max']:.2f}" if spread else "-"


def main() -> int:
    """Exit code 1 when anything is wrong."""
    options = _options(sys.argv[1:])
    plan = Plan(orders=options.orders)
    kinds = [(venue, fault) for venue in options.venue or VENUES for fault in FAULTS[venue]]
    kinds = [kind for kind in kinds if not options.fault or kind[1] in options.fault]
    rows = []
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        jobs = [
            pool.submit(drill, *kind, options.episodes, plan, options.seed, _kept(options.state, *kind))
            for kind in kinds
        ]
        for done, job in enumerate(jobs, 1):
            rows.append(row := job.result())
            said = f"{row['venue']}, {row['fault']}: {len(row['wrong'])} wrong, {row['seconds']:.0f} s"
            print("\n  ".join([f"{done} of {len(jobs)}: {said}", *row["wrong"]]), file=sys.stderr, flush=True)
    print(table(rows))
    wrong = sum(len(row["wrong"]) for row in rows)
    if options.json:
        print(json.dumps({"wrong": wrong, "rows": rows}))
    return 1 if wrong else 0


def _kept(state: Path | None, venue: str, fault: str) -> Path | None:
    return state / f"{venue}-{fault}".replace(" ", "-") if state is not None else None


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.ambiguity", description=__doc__)
    parser.add_argument("--venue", action="append", choices=list(VENUES))
    parser.add_argument("--fault", action="append", metavar="NAME", help="default: all of them")
    parser.add_argument("--episodes", type=int, default=25)
    parser.add_argument("--orders", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep each box's state directory in here")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
