"""`appliance data fetch`: bars of the past from the sources into the history store."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.commands.data.asking import (
    Calendars,
    counted,
    dates,
    held_symbols,
    json_option,
    known_timeframe,
    names,
    progress_option,
    settings_option,
    span,
    state_option,
    tell_short_memory,
    timeframe_option,
)
from appliance.commands.data.reaching import reached, source_names
from appliance.commands.progress import Progress
from appliance.errors import INTERRUPTED, DataError, UsageError

if TYPE_CHECKING:
    from appliance.commands.data.fetching import Fetching
    from appliance.data.manager import DataManager

LACKING = 3
"""Exit code where something that was asked for is not there."""


@click.command(short_help="Past bars from the sources into the store.")
@click.argument("symbols", nargs=-1, metavar="SYMBOLS...", shell_complete=held_symbols)
@timeframe_option("1m")
@dates("", "  [default: today]")
@click.option(
    "--source",
    default="",
    metavar="NAME",
    shell_complete=source_names,
    help="ask this one alone  [default: in order of preference]",
)
@click.option(
    "--adjusted",
    type=click.Choice(("raw", "split", "all")),
    default="raw",
    show_default=True,
    help="bars are always kept as they were traded; with split or all also the splits and dividends that "
    "'export --adjusted' needs",
)
@settings_option
@state_option
@progress_option
@json_option
def fetch(
    symbols: tuple[str, ...],
    timeframe: str,
    start: str,
    end: str,
    source: str,
    adjusted: str,
    settings_file: Path | None,
    state: Path,
    progress: bool,
    as_json: bool,
) -> int:
    """Fetch bars of SYMBOLS from the sources in the settings into the history store.

    What the store covers is not asked for again: stopped at any moment, it is run again and asks for the rest. Where
    one source fails the next goes on, where one symbol fails the others go on. Exit code 0: all is there; 3: something
    is lacking, and it is said what and why; 130: interrupted.

    \b
      appliance data fetch SPY QQQ --start 2024-01-02 --settings settings.toml
      appliance data fetch SPY --timeframe 1d --start 2015-01-01 --end 2024-12-31 --adjusted all
    """  # fmt: skip
    wanted = names(symbols)
    if not wanted:
        raise UsageError("no symbol", hint="name at least one")
    asked = _asked(known_timeframe(timeframe), start, end)
    calendars = Calendars(None, settings_file)
    with reached(settings_file, state, calendars) as manager:
        from appliance.commands.data.fetching import Fetching

        fetching = Fetching(manager, timeframe, source, calendars)
        done = _fetch(fetching, wanted, asked, progress)
        unknown = _actions(manager, wanted, asked[0]) if done and adjusted != "raw" else ""
        tell_short_memory(fetching.store, [timeframe], time.time_ns())
    return _told(fetching, len(wanted), unknown, as_json, done)


def _asked(timeframe: str, start: str, end: str) -> tuple[int, int]:
    """``[start, end)`` (ns UTC). Raises UsageError, and DataError where it lies in the future."""
    if not start:
        raise UsageError("no --start", hint="name the first date, such as --start 2024-01-02")
    first, last = span(start, end)
    now = time.time_ns()
    if first > now:
        raise DataError(f"--start {start} is in the future", hint="ask for days before today, and check the clock")
    if end and last > now + 86_400_000_000_000:
        click.echo(f"note: --end {end} is in the future: fetched is what there is by now", err=True)
    return first, min(last, now)


def _fetch(fetching: Fetching, symbols: Sequence[str], asked: tuple[int, int], progress: bool) -> bool:
    """Fetch all symbols; False where a person stopped it."""
    total = sum(fetching.due(symbol, asked) for symbol in symbols)
    try:
        with Progress("fetching", total, progress) as bar:
            for symbol in symbols:
                fetching.fetch(symbol, [asked], bar.advance)
    except KeyboardInterrupt:
        return False
    return True


def _actions(manager: DataManager, symbols: Sequence[str], start: int) -> str:
    """Fetch splits and dividends; "" or why there are none."""
    try:
        manager.actions(symbols, start, time.time_ns())
    except DataError as error:
        return error.text
    return ""


def _told(fetching: Fetching, asked: int, unknown: str, as_json: bool, done: bool) -> int:
    from appliance.commands.data.fetching import plain, readable

    rows = fetching.done
    if as_json:
        told: dict[str, Any] = {"symbols": [plain(one) for one in rows], "interrupted": not done}
        click.echo(json.dumps({**told, "actions_error": unknown}))
    else:
        click.echo("\n".join([*readable(rows), *([f"splits and dividends: {unknown}"] if unknown else [])]))
    if not done:
        rest = f", and {counted(asked - len(rows), 'symbol')} not asked for" if asked > len(rows) else ""
        kept = sum(one.new for one in rows)
        click.echo(f"interrupted: {counted(kept, 'new bar')} kept{rest}; run it again to go on", err=True)
        return INTERRUPTED
    return LACKING if unknown or any(one.error for one in rows) else 0
