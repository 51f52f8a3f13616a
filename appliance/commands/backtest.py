"""`appliance backtest`: a strategy over recorded data, by the shipped cores, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import click
from msgspec.structs import replace

from appliance.commands.options import (
    RunOptions,
    optional_strategy_options,
    orders_file,
    sessions_cache,
    sessions_for,
)
from appliance.commands.planning import planned
from appliance.commands.progress import Progress
from appliance.commands.telling import readable, told
from appliance.data.sources.files import FileSource
from appliance.domain.market import Sessions
from appliance.errors import UsageError
from appliance.making import source_of
from appliance.research.results.evidence import Finding
from appliance.research.results.folder import Out
from appliance.research.results.inputs import changed, inputs
from appliance.research.results.measuring import figures_of, measured, timing
from appliance.research.results.repeating import differences
from appliance.research.results.result import NAMES, REPEATED, TIMING, BacktestResult, saved
from appliance.research.results.running import Plan, Ran, run
from appliance.research.results.tape import Tape

OUT = click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="write the result and its report there"
)
REPEAT = click.option(
    "--repeat", type=click.Path(path_type=Path), metavar="FILE", help="run a result.json again, and say what differs"
)
BENCHMARK = click.option(
    "--benchmark", default="", metavar="SYMBOL", help="to compare with  [default: the first symbol]"
)
CHECK = click.option("--check", is_flag=True, help="also check the strategy for look-ahead, for the report")
PROGRESS = click.option("--progress", is_flag=True, help="say how far it is, also where there is no terminal")


@click.command()
@optional_strategy_options
@REPEAT
@OUT
@BENCHMARK
@CHECK
@PROGRESS
def backtest(
    options: RunOptions, repeat: Path | None, out: Path | None, benchmark: str, check: bool, progress: bool
) -> int:
    """Run STRATEGY (FILE or FILE:CLASS) over recorded data, with the guard, the paper broker and its commission.

    Nothing runs beside it, and nothing is kept but what --out names: a folder with result.json, orders.jsonl,
    fills.csv, trades.csv, round_trips.csv, bookings.csv, equity.csv, report.html, and timing.json. The same inputs give
    the same bytes (of all but timing.json); --repeat proves it, or says what differs and ends with 1.

    Without --limits only malformed orders are denied, and those the cash does not pay for. The orders are the same,
    byte for byte, as those of `appliance up` on the same data.

    \b
      appliance backtest strategies/sma_cross.py --data bars.csv.gz --bar-stamp start --out result
      appliance backtest mine.py:Trend --data spy.csv --data qqq.csv --param fast=5 --start 2021-01-01
      appliance backtest mine.py --data bars.csv.gz --limits limits.toml --orders-out orders.jsonl --json
      appliance backtest --repeat result/result.json
    """
    if repeat is not None:
        if replace(options, as_json=False) != RunOptions() or out is not None or benchmark or check:
            raise UsageError(
                "--repeat stands alone: the result says what was run", hint="leave all but --json and --progress away"
            )
        return _repeat(repeat, options.as_json, progress)
    if not options.strategies:
        raise UsageError(
            "missing argument 'STRATEGY'", hint="appliance backtest FILE --data bars.csv, or --repeat result.json"
        )
    if check and out is None:
        raise UsageError("--check without --out: it is for the report", hint="name a folder with --out")
    _backtest(options, out, benchmark, check, progress)
    return 0


def _backtest(options: RunOptions, out: Path | None, benchmark: str, check: bool, progress: bool) -> None:
    """The whole run. Everything that can be wrong with what was given is found before it starts."""
    place = Out(out, NAMES) if out is not None else None
    plan, source, sessions = planned(options, benchmark)
    with orders_file(options.orders_out) as write:
        if place is None:
            ran = _run(plan, source, sessions, progress)
            metrics, findings = figures_of(plan, ran), tuple[Finding, ...]()
        else:
            ran, result = _result(plan, source, sessions, check, progress)
            place.write(_files(result) | {TIMING: json.dumps(timing(ran)).encode() + b"\n"})
            metrics, findings = result.metrics, result.findings
        write(ran.backtest.record.jsonl())
    click.echo(json.dumps(told(ran, metrics)) if options.as_json else readable(plan, ran, metrics, findings, place))


def _run(plan: Plan, source: FileSource, sessions: Sessions | None, progress: bool, tape: Tape | None = None) -> Ran:
    with Progress("backtest", source.report.events, progress) as bar:
        return run(plan, source, sessions, tape, bar.advance)


def _result(
    plan: Plan, source: FileSource, sessions: Sessions | None, check: bool, progress: bool
) -> tuple[Ran, BacktestResult]:
    """The run and its result: what it was made from is looked at before it begins."""
    text, data = source_of(plan.strategy), source.report
    made_from = inputs(plan, text, sessions, data.first, data.last)
    tape = Tape(data.first, data.last)
    ran = _run(plan, source, sessions, progress, tape)
    return ran, measured(plan, ran, tape, made_from, _checked(plan) if check else "")


def _files(result: BacktestResult) -> dict[str, bytes]:
    from appliance.research.report.page import report

    return result.files(report(result))


def _checked(plan: Plan) -> str:
    """What the look-ahead check says of the strategy on the beginning of the data: pass, fail or skipped."""
    from appliance.commands.checking import recorded, subject_of
    from appliance.research import checks, lookahead

    options = RunOptions(data=plan.data, files=plan.files, strategies=(plan.strategy,))
    found = checks.check(subject_of(plan.strategy), checks.QUICK, data=lambda: recorded(options))
    return next(one.verdict for one in found.verdicts if one.check == lookahead.CHECK)


def _repeat(file: Path, as_json: bool, progress: bool) -> int:
    """Run a result again; 0 when every byte is the same, 1 when not, saying what differs."""
    before = saved(file)
    plan = before.plan
    sessions = sessions_for(sessions_cache()) if plan.files.session == "regular" else None
    _, result = _result(plan, plan.source(sessions), sessions, bool(before.checked), progress)
    differs = changed(before.inputs, result.inputs) + differences(
        file if file.is_dir() else file.parent, _files(result)
    )
    if as_json:
        click.echo(json.dumps({"identical": not differs, "differs": differs}))
    elif differs:
        click.echo("\n".join(["not the same:", *(f"  {line}" for line in differs)]))
    else:
        click.echo(f"identical: {', '.join(REPEATED)}")
    return int(bool(differs))
