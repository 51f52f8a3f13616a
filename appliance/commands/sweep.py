"""`appliance sweep`: a strategy with many combinations of its parameters, kept as they are done, ranked by plateau."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from appliance.commands.options import RunOptions, backtest_options
from appliance.commands.planning import planned
from appliance.commands.progress import Progress
from appliance.commands.searching import Search, folder_of, search_options
from appliance.research.results.folder import replaced
from appliance.research.sweep.board import Board, Ranked, board
from appliance.research.sweep.job import Job
from appliance.research.sweep.page import report, told
from appliance.research.sweep.sweeping import STORE, job_of, swept

RESULTS, RESULT, REPORT = "results.csv", "sweep.json", "report.html"
TOP = 10


@click.command()
@backtest_options
@search_options
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="where it is kept  [default: sweep-NAME]")
def sweep(options: RunOptions, search: Search, out: Path | None) -> int:
    """Run STRATEGY with every combination of --grid, each as `appliance backtest` would, guard and fills on.

    Every outcome is kept in DIR as it is done. Whatever ends a sweep, Ctrl-C or a power cut, the same command goes on
    with what is missing; it refuses when strategy, data or settings have changed. --objective and --where may change:
    they only rank what is there. At the end DIR has results.csv (a row each), sweep.json and report.html with heat
    maps. Ranked is by plateau: the mean of the objective over a combination and its neighbours.

    --vectorized is for strategies with signals(bars), and many times as fast; its fills are the same. That is looked at
    before: the first combination's signals are compared with its on_bar, and with themselves where later bars are cut
    off.

    \b
      appliance sweep strategies/sma_cross.py --data daily.csv --grid fast=5:50:5 --grid slow=20:200:10
      appliance sweep mine.py --data bars.csv --grid n=5:50:5 --objective calmar --where 'trades >= 30'
      appliance sweep mine.py --data bars.csv --grid stop=0.5:3 --random 200 --seed 7 --constraint 'stop < 2.5'
      appliance sweep mine.py --data bars.csv --grid n=5:50:5 --cluster tcp://10.0.0.5:8786
    """
    plan, source, sessions = planned(options, "")
    job = job_of(plan, search.varied, sessions, (source.report.first, source.report.last), search.vectorized)
    search.check(plan, source, sessions)
    folder = folder_of(out if out is not None else Path(f"sweep-{plan.strategy.name}"), STORE, "sweep")
    with search.workers() as workers, Progress("sweep", len(job.numbered()), search.progress) as bar:
        outcomes = swept(job, sessions, folder, search.jobs, workers, bar.advance)
    ranked = board(search.aim, search.varied.axes, outcomes)
    _write(folder, job, ranked)
    click.echo(json.dumps(_told(job, ranked, folder)) if options.as_json else _readable(job, ranked, folder))
    return 0 if ranked.best is not None else 1


def _write(folder: Path, job: Job, ranked: Board) -> None:
    for name, content in {
        RESULTS: ranked.csv(),
        RESULT: json.dumps(_kept(job, ranked), indent=1).encode() + b"\n",
        REPORT: report(job, ranked),
    }.items():
        replaced(folder / name, content)


def _kept(job: Job, ranked: Board) -> dict[str, Any]:
    """``sweep.json``: what was swept, and what came of it; the same bytes for the same sweep."""
    return {"job": json.loads(job.packed()), **_figures(ranked)}


def _told(job: Job, ranked: Board, folder: Path) -> dict[str, Any]:
    return {"strategy": job.plan.strategy.name, "out": str(folder), **_figures(ranked)}


def _figures(ranked: Board) -> dict[str, Any]:
    aim = ranked.aim
    return {
        "objective": aim.objective, "minimize": aim.minimize, "where": list(aim.where),
        "combinations": len(ranked.rows), "fit": sum(row.fit for row in ranked.rows), "failed": ranked.failed,
        "best": _row(ranked.best), "plateau": _row(ranked.steady), "deflated_sharpe": ranked.deflated,
    }  # fmt: skip


def _row(row: Ranked | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "number": row.outcome.number, "params": row.outcome.params, "objective": row.objective,
        "plateau": row.plateau, "worst_neighbour": row.worst, "neighbours": row.neighbours,
    }  # fmt: skip


def _readable(job: Job, ranked: Board, folder: Path) -> str:
    aim = ranked.aim
    fit = sum(row.fit for row in ranked.rows)
    lines = [f"{job.plan.strategy.name}: {len(ranked.rows):,} combinations, {fit:,} fit, {ranked.failed:,} raised"]
    names = [axis.name for axis in ranked.axes]
    widths = [max(len(name), *(len(row.outcome.params[name]) for row in ranked.rows)) for name in names]
    head = "  ".join(name.rjust(width) for name, width in zip(names, widths, strict=True))
    lines.append(f"       {head}  {'plateau':>12}  {aim.objective:>12}  place")
    for row in ranked.top(TOP):
        values = "  ".join(row.outcome.params[name].rjust(width) for name, width in zip(names, widths, strict=True))
        lines.append(
            f"  {row.plateau_place:3d}  {values}  {told(ranked, row.plateau):>12}  {told(ranked, row.objective):>12}  "
            f"{row.place:5d}"
        )
    if ranked.best is None:
        lines.append(f"  none has a {aim.objective} and fulfils all conditions: see results.csv")
    if ranked.deflated is not None:
        lines.append(f"  that the best is not chance: {100 * ranked.deflated:.1f} % (deflated Sharpe)")
    return "\n".join([*lines, f"  result  {folder}"])
