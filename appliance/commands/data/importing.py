"""`appliance data import`: recorded bars into the history store."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.commands.data.asking import (
    Calendars,
    dates,
    json_option,
    names,
    opened,
    progress_option,
    session_option,
    settings_option,
    state_option,
    tell_short_memory,
    timeframe_option,
)
from appliance.commands.progress import Progress
from appliance.errors import INTERRUPTED, DataError, UsageError

if TYPE_CHECKING:  # numpy comes with the readers
    from appliance.commands.data.taking import Choice, Survey, Taken, Taking
    from appliance.domain.market import CorporateAction

_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,31}")


@click.command("import", short_help="Bars from files into the store.")
@click.argument("files", nargs=-1, metavar="FILES...", type=click.Path())
@click.option("--symbols", default="", metavar="A,B", help="only these  [default: all]")
@timeframe_option("")
@click.option(
    "--bar-stamp",
    type=click.Choice(("start", "end")),
    default="end",
    show_default=True,
    help="which end of a bar the file's ts is",
)
@session_option
@settings_option
@dates("", "")
@click.option(
    "--factors",
    type=click.Path(),
    default="",
    metavar="FILE",
    help="split and dividend factors: splits are no jumps, and 'export --adjusted' knows them",
)
@click.option(
    "--source-name", default="", metavar="NAME", help="who told the bars  [default: as the file says, else import]"
)
@click.option(
    "--all",
    "doubtful",
    is_flag=True,
    help="also bars that are set aside as doubtful (a jump, an order that goes back); never what cannot be",
)
@click.option("--partial", is_flag=True, help="of a damaged file, the rows before the damage")
@state_option
@progress_option
@json_option
def import_(files: tuple[str, ...], state: Path, as_json: bool, progress: bool, partial: bool, **given: Any) -> int:
    """Take the bars in FILES (CSV, CSV.gz or Parquet) into the history store, each judged as the feed judges live ones.

    Every file is read to its end before anything is kept. What is set aside is told and not kept. Bars that are known
    are left as they are: stopped at any moment, it is run again. Prices are taken as they are traded, not adjusted.
    Exit code 0: all is kept; 1: something was left out, or nothing is of these days; 3: a file cannot be read; 130:
    interrupted.

    \b
      appliance data import bars.csv.gz --bar-stamp start
      appliance data import daily.parquet --timeframe 1d --symbols SPY,QQQ --source-name vendor
    """  # fmt: skip
    from appliance.commands.data.taking import Taking

    if not files:
        raise UsageError("no data file", hint="name at least one")
    calendars = Calendars(given["session"], given["settings_file"])
    choice = _choice(given, calendars)
    surveys = _surveyed(files, given["timeframe"], choice, progress)
    actions = _actions(given["factors"], calendars)
    with opened(state, writing=True) as store:
        taking = Taking(store, calendars, choice, actions)
        if not partial:
            _whole(surveys, taking)
        store.add_actions(actions)
        done = _take(taking, surveys, progress)
        tell_short_memory(store, [one.timeframe for one in taking.taken], time.time_ns())
    click.echo(json.dumps(_plain(taking.taken)) if as_json else "\n".join(readable(taking.taken)))
    if not done:
        click.echo("interrupted: what is told above is kept; run it again to go on", err=True)
        return INTERRUPTED
    if nothing := all(one.nothing for one in taking.taken):
        click.echo("nothing is of the days and symbols that were asked for: see --start, --end, --symbols", err=True)
    return int(nothing or any(one.left_out or one.fault for one in taking.taken))


def _choice(given: dict[str, Any], calendars: Calendars) -> Choice:
    """What is taken, checked. Raises UsageError."""
    from appliance.commands.data.taking import Choice
    from appliance.data.options import FileOptions
    from appliance.domain.market import TIMEFRAMES

    if given["source_name"] and not _SOURCE.fullmatch(given["source_name"]):
        raise UsageError(
            f"--source-name {given['source_name']!r}", hint="letters, digits and ._:-, at most 32, such as vendor"
        )
    if given["timeframe"] and given["timeframe"] not in TIMEFRAMES:
        raise UsageError(f"--timeframe {given['timeframe']!r}", hint=f"it must be one of {', '.join(TIMEFRAMES)}")
    options = FileOptions(
        bar_stamp=given["bar_stamp"], symbols=names([given["symbols"]]), session="all",
        sessions=calendars.exchange, start=given["start"], end=given["end"],
    )  # fmt: skip
    return Choice(options.checked(), given["source_name"], given["doubtful"])


def _actions(path: str, calendars: Calendars) -> list[CorporateAction]:
    """The splits and dividends that a file of factors tells of. Raises DataError."""
    if not path:
        return []
    from appliance.data.factors import actions_of, load_factors

    factors = load_factors(path)
    return [action for symbol, rows in factors.items() for action in actions_of(symbol, rows, calendars(symbol))]


def _surveyed(paths: Sequence[str], timeframe: str, choice: Choice, asked: bool) -> list[Survey]:
    from appliance.commands.data.taking import check_symbols, survey
    from appliance.data.validation.reading import check_spans, lines, recorded

    for path in paths:
        check_spans(recorded(path, timeframe), choice.options)  # mistakes are told before anything is read
    with Progress("reading", sum(map(lines, paths)), asked) as bar:
        surveys = [survey(path, timeframe, bar.advance) for path in paths]
    check_symbols(surveys, choice.options.symbols)
    return surveys


def _whole(surveys: Sequence[Survey], taking: Taking) -> None:
    """Raise DataError for the damaged files: nothing is kept."""
    broken = [one for one in surveys if one.fault is not None]
    if broken:
        told = [f"{one.fault.text} ({taking.good_rows(one):,} good rows before it)" for one in broken if one.fault]
        raise DataError(
            "\n".join([*told, "nothing is imported"]),
            hint="copy the file again, or take the good rows there are with --partial",
        )


def _take(taking: Taking, surveys: Sequence[Survey], asked: bool) -> bool:
    """Take all files; False where a person stopped it."""
    try:
        with Progress("importing", sum(one.rows for one in surveys), asked) as bar:
            for one in surveys:
                taking.take(one, bar.advance)
    except KeyboardInterrupt:
        return False
    return True


def _plain(taken: Sequence[Taken]) -> dict[str, Any]:
    import msgspec

    files = [{**msgspec.to_builtins(one), "set_aside": one.aside} for one in taken]
    for one in files:
        del one["aside"]
    return {"stored": sum(one.stored for one in taken), "known": sum(one.known for one in taken), "files": files}


def readable(taken: Sequence[Taken]) -> Iterator[str]:
    """A line a file, and what was set aside."""
    from appliance.commands.data.taking import TOLD, total
    from appliance.data.validation.rules import RULES

    for one in taken:
        aside = f", {one.left_out:,} set aside" if one.left_out else ""
        bars = f"{one.stored:,} {one.timeframe} bars are new or changed, {one.known:,} were known"
        yield f"{one.file}: {one.rows:,} rows, {bars}{aside}"
        if one.fault:
            yield f"  only up to its damage: {one.fault}"
        yield from (f"  {found.rule}: {found.symbol} {found.text}" for found in one.findings)
        if one.left_out > TOLD:
            yield f"  and {one.left_out - TOLD:,} more"
    for rule, count in total(taken).most_common():
        yield f"{count:>8}  {rule}: {RULES[rule].says}"
