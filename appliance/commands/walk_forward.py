"""`appliance walk-forward`: choose parameters on one stretch of days, trade the next with them, go on."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import click
import msgspec

from appliance.commands.options import RunOptions, backtest_options
from appliance.commands.planning import planned
from appliance.commands.progress import Progress
from appliance.commands.searching import Search, folder_of, search_options
from appliance.data.options import new_york_date
from appliance.research.formats import NONE, number, percent
from appliance.research.results.folder import replaced
from appliance.research.results.tables import equity_csv
from appliance.research.sweep.forward import BEST, PLATEAU, Forward, Step, Walk
from appliance.research.sweep.forward_page import report, told
from appliance.research.sweep.job import describe
from appliance.research.sweep.windows import span, windows

FIRST = "window-01"
FIGURES = ("total_return", "cagr", "sharpe", "max_drawdown", "trades", "win_rate", "profit_factor", "fees")


@click.command()
@backtest_options
@search_options
@click.option("--train", default="2y", show_default=True, metavar="LENGTH", help="days to choose on: 90d, 6mo, 2y")
@click.option("--test", default="6mo", show_default=True, metavar="LENGTH", help="days to trade what was chosen")
@click.option("--anchored", is_flag=True, help="every training begins on the first day, and grows")
@click.option(
    "--choose",
    type=click.Choice((PLATEAU, BEST)),
    default=PLATEAU,
    show_default=True,
    help="the best plateau, or the best single combination",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR",
              help="where it is kept  [default: walk-forward-NAME]")  # fmt: skip
def walk_forward(
    options: RunOptions, search: Search, train: str, test: str, anchored: bool, choose: str, out: Path | None
) -> int:
    """Sweep STRATEGY over a stretch of days (--train), trade the next one (--test) with what was chosen, and go on.

    What comes out was never seen in training: equity of all tests one after the other, each of them flat at its begin
    and worth its last prices at its end, with the strategy warmed up on the days before. Efficiency is what a year
    brought outside over what it brought in training. DIR has walk-forward.json, windows.csv, equity.csv, report.html;
    trainings are kept there too, so that the same command goes on after whatever ended it.

    \b
      appliance walk-forward strategies/sma_cross.py --data daily.csv --grid fast=5:50:5 --grid slow=20:200:10
      appliance walk-forward mine.py --data bars.csv --grid n=5:50:5 --train 1y --test 3mo --anchored
      appliance walk-forward mine.py --data bars.csv --grid n=5:50:5 --objective calmar --choose best --json
    """
    plan, source, sessions = planned(options, "")
    search.check(plan, source, sessions)
    first, last = (date.fromisoformat(new_york_date(time - 1)) for time in (source.report.first, source.report.last))
    found = windows(first, last, span("--train", train), span("--test", test), anchored)
    walk = Walk(plan, search.varied, search.aim, choose, found, sessions, search.vectorized)
    folder = folder_of(out if out is not None else Path(f"walk-forward-{plan.strategy.name}"), FIRST, "walk-forward")
    with search.workers() as workers, Progress("walk-forward", walk.total, search.progress) as bar:
        forward = walk.walk(folder, search.jobs, workers, bar.advance)
    told_of = {"strategy": plan.strategy.name, "train": train, "test": test, "anchored": anchored, "choose": choose}
    for name, content in {
        "walk-forward.json": json.dumps(told_of | _figures(forward), indent=1).encode() + b"\n",
        "windows.csv": forward.windows_csv(),
        "equity.csv": equity_csv(forward.marks, float(plan.cash), None),
        "report.html": report(plan.strategy.name, describe(search.varied), forward),
    }.items():
        replaced(folder / name, content)
    whole = told_of | {"out": str(folder)} | _figures(forward)
    click.echo(json.dumps(whole) if options.as_json else _readable(plan.strategy.name, forward, folder))
    return 0 if forward.marks else 1


def _figures(found: Forward) -> dict[str, Any]:
    return {
        "objective": found.aim.objective, "windows": len(found.steps), "efficiency": found.efficiency,
        "gained": found.gained, **{name: found.figures.get(name) for name in FIGURES},
        "steps": [msgspec.to_builtins(step) for step in found.steps],
    }  # fmt: skip


def _readable(name: str, found: Forward, folder: Path) -> str:
    aim = found.aim.objective
    lines = [f"{name}: {len(found.steps)} windows", f"  {'test':24}  {'training':>10}  {'test':>10}  chosen ({aim})"]
    lines += [_line(found, step) for step in found.steps]
    efficiency = NONE if found.efficiency is None else number(found.efficiency)
    lines.append(f"  efficiency {efficiency}, {percent(found.gained, 0)} of the tests gained")
    for one in ("cagr", "max_drawdown"):
        value = found.figures.get(one)
        lines.append(f"  {one.replace('_', ' '):14} {NONE if value is None else percent(value)}")
    return "\n".join([*lines, f"  result  {folder}"])


def _line(found: Forward, step: Step) -> str:
    one = step.window
    chosen = ", ".join(f"{name} {value}" for name, value in (step.params or {}).items()) or "nothing fits"
    days = f"{one.test_start} to {one.test_end}"
    return f"  {days:24}  {told(found, step.inside):>10}  {told(found, step.outside):>10}  {chosen}"
