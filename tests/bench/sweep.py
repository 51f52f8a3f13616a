"""500 combinations over ten years of daily bars of five symbols: by one process, by two, killed and gone on with, and
by a cluster that loses a worker. Each must leave the same bytes; ``equal`` says so.

``combinations_per_s`` is by the clock, start of the processes and reading of the data included;
``combinations_per_cpu_s`` is by the processor's time of all of them. ``twice`` counts what was kept before the kill and
run again, which is none.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench import box
from tests.integration.running import until
from tests.integration.sweeps import FILES, SYMBOLS, Sweep, dask_cluster, kept

PARTS = 10
DAYS = 2_516
"""Trading days of the ten years."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run."""
    sweep = Sweep(options.lookbacks, PARTS)
    with tempfile.TemporaryDirectory() as folder:
        return _figures(sweep, Path(folder))


def _figures(sweep: Sweep, folder: Path) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    left: dict[str, dict[str, bytes]] = {}
    for name, way in {
        "one_job": lambda out: _whole(sweep, out, 1),
        "two_jobs": lambda out: _whole(sweep, out, 2),
        "killed": lambda out: _killed(sweep, out),
        "cluster": lambda out: _clustered(sweep, out, folder / "dask"),
    }.items():
        box.tell(f"{sweep.combinations} combinations: {name}")
        found[name], left[name] = _timed(sweep, way, folder / name)
    return {
        "combinations": sweep.combinations, "bars_each": DAYS * len(SYMBOLS), **found,
        "speed_up": round(found["one_job"]["seconds"] / found["two_jobs"]["seconds"], 2),
        "equal": all(files == left["one_job"] for files in left.values()),
    }  # fmt: skip


def _timed(sweep: Sweep, way: Callable[[Path], dict[str, Any]], out: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    used, begin = _processor(), time.perf_counter()
    more = way(out)
    seconds, used = time.perf_counter() - begin, _processor() - used
    figures = {
        "seconds": round(seconds, 1), "combinations_per_s": round(sweep.combinations / seconds, 1),
        "combinations_per_cpu_s": round(sweep.combinations / used, 1),
    }  # fmt: skip
    return figures | more, {name: (out / name).read_bytes() for name in FILES}


def _processor() -> float:
    """Seconds of the processor's time, of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _whole(sweep: Sweep, out: Path, jobs: int) -> dict[str, Any]:
    sweep.done(out, "--jobs", jobs)
    return {}


def _killed(sweep: Sweep, out: Path) -> dict[str, Any]:
    before = sweep.killed(out, sweep.combinations // 2, "--jobs", 2)
    sweep.done(out, "--jobs", 2)
    again = [row for row in before if row not in kept(out)]
    return {"kept_before": len(before), "twice": len(again)}


def _clustered(sweep: Sweep, out: Path, folder: Path) -> dict[str, Any]:
    with dask_cluster(folder) as cluster:
        process = sweep.started(out, "--cluster", cluster.address)
        try:
            until(lambda: len(kept(out)) >= sweep.combinations // 2, 900, "half of the outcomes")
            os.kill(cluster.workers[0].pid, signal.SIGKILL)
            before = len(kept(out))
            assert process.wait(1_800) == 0
        finally:
            process.kill()
            process.wait()
    return {"kept_before_the_loss": before}
