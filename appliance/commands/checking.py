"""`appliance strategy check`: the checks against self-deception, told to a person or a program."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.errors import StrategyError

if TYPE_CHECKING:  # a person asks rarely for a check, and often for what is beside it
    from appliance.commands.options import RunOptions
    from appliance.research.checks import Report
    from appliance.research.scenes import Scene
    from appliance.research.subject import Subject
    from appliance.runs import StrategySpec

EVENTS_MAX = 20_000
"""Of recorded data so many events are taken; a check runs over them some thirty times."""
AROUND = 40 * 86_400 * 1_000_000_000
"""Sessions so long before and after the data are known to the strategy (ns)."""
INDENT = 24


@click.command()
@click.argument("strategy", metavar="FILE[:CLASS]")
@click.option("--data", multiple=True, metavar="FILE", help="recorded data, CSV or CSV.gz (default: random walks)")
@click.option(
    "--bar-stamp",
    type=click.Choice(("start", "end")),
    default="end",
    show_default=True,
    help="which end of a bar the file's ts is",
)
@click.option(
    "--session",
    type=click.Choice(("regular", "all")),
    default="regular",
    show_default=True,
    help="regular hours of the exchange, or everything in the file",
)
@click.option("--param", multiple=True, metavar="KEY=VALUE", help="a strategy parameter (repeatable)")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output")
def check(
    strategy: str, data: tuple[str, ...], bar_stamp: str, session: str, param: tuple[str, ...], as_json: bool
) -> int:
    """Does FILE deceive itself? Imports, a run, parameters, look-ahead, warm-up, determinism, saved state.

    Every check runs the strategy in a backtest, most of them twice, and compares what it decides byte for byte. Without
    --data the market is seeded random walks of its symbols. Exit code 0: nothing found; 1: a check failed; 4: the
    strategy does not load.

    \b
      appliance strategy check strategies/sma_cross.py
      appliance strategy check mine.py --param fast=5 --data bars.csv.gz --bar-stamp start
    """
    from appliance.commands.options import RunOptions, parameters, strategy_specs
    from appliance.data.options import FileOptions
    from appliance.research.checks import CHECKS
    from appliance.research.checks import check as run

    specs = strategy_specs((strategy,), parameters(param))
    subject = subject_of(specs[0])
    options = RunOptions(data=data, files=FileOptions(bar_stamp=bar_stamp, session=session), strategies=specs)
    hidden = as_json or not sys.stderr.isatty()
    with click.progressbar(length=len(CHECKS), label="check", file=sys.stderr, hidden=hidden) as bar:
        report = run(subject, data=(lambda: recorded(options)) if data else None, say=lambda name: bar.update(1))
    click.echo(json.dumps(_plain(report), ensure_ascii=False) if as_json else _readable(report))
    return StrategyError.exit_code if not report.loads else int(bool(report.failures))


def subject_of(spec: StrategySpec) -> Subject:
    """A strategy as the checks take it. Raises StrategyError when its file cannot be read."""
    from appliance.research.subject import Subject

    try:
        source = Path(spec.file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise StrategyError(f"{spec.file}: {why}", hint="name an existing strategy file") from None
    return Subject(spec.name, spec.file, source, spec.class_name, spec.params)


def recorded(options: RunOptions) -> Scene:
    """The beginning of recorded data, as a scene. Raises DataError naming file, row and rule."""
    from appliance.domain.market import known_at
    from appliance.research.scenes import Scene

    source, files = options.source()
    events = source.batch(EVENTS_MAX).events
    first, last = known_at(events[0]) - AROUND, known_at(events[-1]) + AROUND
    names = ", ".join(Path(name).name for name in options.data)
    sessions = None if files.sessions is None else tuple(s for s in files.sessions if s.close > first and s.open < last)
    return Scene(names, events, sessions)


def _plain(report: Report) -> dict[str, Any]:
    return {
        "strategy": report.name,
        "file": report.file,
        "loads": report.loads,
        "passed": not report.failures,
        "checks": [
            {"check": one.check, "verdict": one.verdict, "text": one.text, "hint": one.hint} for one in report.verdicts
        ],
    }


def _readable(report: Report) -> str:
    lines = [report.file]
    for one in report.verdicts:
        text = one.text + (f"\nhint: {one.hint}" if one.hint else "")
        first, *rest = text.splitlines()
        lines.append(f"  {one.verdict:<9}{one.check:<13}{first}")
        lines += [" " * INDENT + line for line in rest]
    counts = {name: sum(one.verdict == name for one in report.verdicts) for name in ("pass", "fail", "skipped")}
    lines.append(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skipped']} skipped")
    return "\n".join(lines)
