"""`appliance simulate`: many seeded worlds of faults, over all cores of the machine."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import click

from appliance.domain.market import SECOND
from appliance.errors import EnvironmentFault, UsageError
from appliance.world.simulation import Result
from appliance.world.simulation import simulate as simulate_seed

CHUNK = 4
"""Seeds a worker process gets at a time."""
FAILED_SHOWN = 20


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=100, show_default=True, help="how many worlds")
@click.option("--first-seed", type=click.IntRange(0), default=1, show_default=True, help="the first of them")
@click.option("--seed", type=click.IntRange(0), help="this one alone")
@click.option("--trace", is_flag=True, help="with --seed: tell everything that happens in it")
@click.option("--jobs", type=click.IntRange(1), default=None, help="processes  [default: one per processor]")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
def simulate(seeds: int, first_seed: int, seed: int | None, trace: bool, jobs: int | None, as_json: bool) -> None:
    """Run seeded worlds of faults around the shipped code: lost and doubled messages, kill -9, power cuts, brokers
    that do not answer. Nothing may be sent twice, no fill lost, and everything must settle once the faults stop.

    A seed replays exactly. Exit code 1 when any world broke a rule.

    \b
      appliance simulate --seeds 1000
      appliance simulate --seed 17 --trace | less
    """
    if trace and seed is None:
        raise UsageError("--trace needs a seed", hint="name one: --seed 17 --trace")
    began = time.perf_counter()
    if seed is not None:
        results = [_one(seed, _teller(as_json) if trace else None)]
    else:
        results = _many(range(first_seed, first_seed + seeds), jobs or os.cpu_count() or 1)
    summary = _summary(results, time.perf_counter() - began)
    click.echo(json.dumps(summary) if as_json else _readable(summary))
    if summary["violations"]:
        click.get_current_context().exit(1)


def _teller(as_json: bool) -> Callable[[str], None]:
    """Where a trace goes: with --json standard output is for the result alone."""
    return lambda line: click.echo(line, err=as_json)


def _one(seed: int, trace: Callable[[str], None] | None = None) -> Result:
    """One world. What raises out of it is a violation like any other: the seed must be named."""
    try:
        return simulate_seed(seed, trace)
    except Exception as error:
        return Result(seed, [f"the world raised {type(error).__name__}: {error}"], 0, 0, 0, {}, "")


def _chunk(seeds: range) -> list[Result]:
    return [_one(seed) for seed in seeds]


def _many(seeds: range, jobs: int) -> list[Result]:
    """All worlds, in the order of their seeds, however many processes there are."""
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=len(seeds), label="simulate", file=sys.stderr, hidden=hidden) as bar:
        results: list[Result] = []
        for found in _spread(chunks, min(jobs, len(chunks))):
            results += found
            bar.update(len(found))
    return sorted(results, key=lambda result: result.seed)


def _spread(chunks: list[range], jobs: int) -> Iterator[list[Result]]:
    if jobs == 1:
        yield from map(_chunk, chunks)
        return
    with _pool(jobs) as pool:
        try:
            yield from (future.result() for future in as_completed([pool.submit(_chunk, chunk) for chunk in chunks]))
        except BrokenProcessPool as error:
            raise EnvironmentFault(
                f"a worker process ended: {error}", hint="is the memory full? try fewer processes: --jobs 1"
            ) from None


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes that leave Ctrl-C to us; an early end drops what has not begun."""
    pool = ProcessPoolExecutor(jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _summary(results: Iterable[Result], wall: float) -> dict[str, Any]:
    """``violations`` counts seeds; ``failed`` has the sentences of each."""
    results = list(results)
    failed = [result for result in results if result.violations]
    faults: Counter[str] = Counter()
    for result in results:
        faults.update(result.faults)
    simulated = sum(result.simulated for result in results) / SECOND
    return {
        "seeds": len(results),
        "violations": len(failed),
        "simulated_s": round(simulated, 3),
        "wall_s": round(wall, 3),
        "speedup": round(simulated / wall, 1),
        "orders": sum(result.orders for result in results),
        "fills": sum(result.fills for result in results),
        "faults": dict(sorted(faults.items())),
        "failed": [{"seed": result.seed, "violations": result.violations[:3]} for result in failed],
    }


def _readable(summary: dict[str, Any]) -> str:
    faults = ", ".join(f"{count:,} {name}" for name, count in summary["faults"].items())
    lines = [
        f"{summary['seeds']:,} worlds, {summary['simulated_s']:,.0f} s simulated in {summary['wall_s']:.1f} s "
        f"({summary['speedup']:,.0f} times real time)",
        f"  orders      {summary['orders']:,}, {summary['fills']:,} fills",
        f"  faults      {faults or 'none'}",
        f"  violations  in {summary['violations']:,} worlds",
    ]
    for failed in summary["failed"][:FAILED_SHOWN]:
        lines.append(f"  seed {failed['seed']}: {failed['violations'][0]}")
    if summary["failed"]:
        lines.append(f"look at one: appliance simulate --seed {summary['failed'][0]['seed']} --trace")
    return "\n".join(lines)
