"""`appliance backtest`: a strategy over recorded data, by the shipped cores, in this process."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from appliance.commands.options import RunOptions, backtest_options, limit_values, orders_file
from appliance.core.limits import LimitValues, rules
from appliance.core.record import plain
from appliance.data.sources.files import FileReport, FileSource
from appliance.domain.market import SECOND
from appliance.errors import ApplianceError, StrategyError
from appliance.making import past_in, runner_factory
from appliance.runs import StrategySpec
from appliance.settings import load_limits, load_settings
from appliance.world.backtest import Backtest

BATCH = 8_192
"""Events between two looks at the progress bar."""
LONG = 100_000
"""Events from which a run is worth a progress bar."""


@click.command()
@backtest_options
def backtest(options: RunOptions) -> None:
    """Run STRATEGY (FILE or FILE:CLASS) over recorded data, with the guard, the paper broker and its commission.

    Nothing runs beside it and nothing is kept. Without --limits only malformed orders are denied, and those the cash
    does not pay for. The orders are the same, byte for byte, as those of `appliance up` on the same data.

    \b
      appliance backtest strategies/sma_cross.py --data bars.csv.gz --bar-stamp start
      appliance backtest mine.py:Trend --data spy.csv --data qqq.csv --param fast=5 --start 2021-01-01
      appliance backtest mine.py --data bars.csv.gz --limits limits.toml --orders-out orders.jsonl --json
    """
    run, report, seconds = _run(options)
    summary = _summary(run, report, seconds)
    click.echo(json.dumps(summary) if options.as_json else _readable(summary, options.strategies[0], report))


def _run(options: RunOptions) -> tuple[Backtest, FileReport, float]:
    """The whole run. Everything that can be wrong with what was given is found before it starts."""
    spec = options.strategies[0]
    limits = limit_values(load_limits(options.limits)) if options.limits is not None else LimitValues()
    settings = load_settings()
    model = options.market_model(settings)
    source, files = options.source()
    make = runner_factory(spec, files.sessions, past_in(options.data, files, options.warm_up))
    with orders_file(options.orders_out) as write:
        run = Backtest(
            spec.name,
            (make,),
            rules(limits),
            options.cash if options.cash is not None else settings.paper.cash,
            model,
            files.sessions,
        )
        began = time.perf_counter()
        _play(run, source, spec)
        seconds = time.perf_counter() - began
        write(run.record.jsonl())
    return run, source.report, seconds


def _play(run: Backtest, source: FileSource, spec: StrategySpec) -> None:
    """Let all the data happen. Raises StrategyError for what the strategy raises."""
    total = source.report.events
    hidden = total < LONG or not sys.stderr.isatty()
    with click.progressbar(length=total, label="backtest", file=sys.stderr, hidden=hidden) as bar:
        done = False
        while not done:
            offer = source.batch(BATCH)
            try:
                run.run(offer.events)
            except (Exception, SystemExit) as error:
                raise _blamed(error, spec, run.time) from error
            bar.update(len(offer.events))
            done = offer.done


def _blamed(error: Exception | SystemExit, spec: StrategySpec, at: int) -> BaseException:
    """What the strategy raised, with its file, line and the data's time; an error of our own as it is."""
    line = _line_in(error.__traceback__, spec.file)
    if line is None:
        return error
    text = error.text if isinstance(error, ApplianceError) else f"{type(error).__name__}: {error}"
    source = Path(spec.file).read_text(errors="replace").splitlines()
    shown = source[line - 1].strip() if line <= len(source) else ""
    when = datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    hint = error.hint if isinstance(error, ApplianceError) else ""
    return StrategyError(f"{spec.file}:{line}: {shown}\n    {text} (at the bar that ends {when})", hint=hint)


def _line_in(trace: TracebackType | None, file: str) -> int | None:
    """The line of ``file`` nearest to where it was raised."""
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _summary(run: Backtest, report: FileReport, seconds: float) -> dict[str, Any]:
    record = run.record
    return {
        "bars": run.bars,
        "bars_outside_session": report.outside,
        "signals": run.signals,
        "intents": record.intents,
        "orders": record.orders,
        "fills": record.fills,
        "denied": record.denied,
        "position": {symbol: plain(quantity) for symbol, quantity in sorted(record.positions.items())},
        "cash": plain(run.cash),
        "equity": plain(run.equity),
        "seconds": round(seconds, 3),
        "bars_per_second": round(run.bars / seconds) if seconds else 0,
    }


def _readable(summary: dict[str, Any], spec: StrategySpec, report: FileReport) -> str:
    held = ", ".join(f"{symbol} {quantity}" for symbol, quantity in summary["position"].items() if quantity != "0")
    lines = [
        f"{spec.name}: {', '.join(report.symbols)}, {_day(report.first)} to {_day(report.last)}",
        f"  bars      {summary['bars']:,} ({summary['bars_outside_session']:,} outside the sessions left out)",
        f"  signals   {summary['signals']:,}",
        f"  intents   {summary['intents']:,}, of which {summary['denied']:,} denied",
        f"  orders    {summary['orders']:,}, {summary['fills']:,} fills",
        f"  position  {held or 'none'}",
        f"  cash      {summary['cash']} USD",
        f"  equity    {summary['equity']} USD",
        f"  took      {summary['seconds']} s, {summary['bars_per_second']:,} bars/s",
    ]
    if report.missing:
        lines.append(f"  gaps      {report.missing:,} bars missing; {'; '.join(str(gap) for gap in report.gaps)}")
    if report.bad:
        lines.append(f"  bad rows  {report.bad:,} left out; the first: {report.quarantined[0]}")
    if report.unadjusted:
        lines.append(f"  factors   none for {', '.join(report.unadjusted)}: prices as they were")
    return "\n".join(lines)


def _day(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // SECOND, UTC).date().isoformat()
