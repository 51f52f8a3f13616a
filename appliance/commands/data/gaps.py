"""`appliance data gaps`: which bars the history store lacks, and with --fill what the sources have of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.commands.data.asking import (
    FOREVER,
    Calendars,
    chosen,
    counted,
    dates,
    held_symbols,
    json_option,
    known_timeframe,
    moment,
    names,
    opened,
    progress_option,
    session_option,
    settings_option,
    span,
    state_option,
    timeframe_option,
)
from appliance.commands.data.fetch import LACKING
from appliance.commands.data.reaching import reached, source_names
from appliance.commands.progress import Progress
from appliance.errors import INTERRUPTED

if TYPE_CHECKING:
    from appliance.commands.data.fetching import Fetched
    from appliance.data.lacking import Gap
    from appliance.data.manager import DataManager
    from appliance.data.store import HistoryStore

SHOWN = 20
"""Gaps of a symbol and timeframe that a person is shown."""


@click.command(short_help="Bars that the store lacks; --fill asks for them.")
@click.argument("symbols", nargs=-1, metavar="[SYMBOLS...]", shell_complete=held_symbols)
@timeframe_option("")
@dates("  [default: the first there is]", "  [default: the last there is]")
@click.option("--fill", is_flag=True, help="ask the sources for these bars; those they do not have were not traded")
@click.option(
    "--source", default="", metavar="NAME", shell_complete=source_names, help="with --fill: ask this one alone"
)
@session_option
@settings_option
@state_option
@progress_option
@json_option
def gaps(symbols: tuple[str, ...], fill: bool, state: Path, progress: bool, as_json: bool, **given: Any) -> int:
    """List the bars that are missing in the history store (of SYMBOLS, else of all): those the sessions should have
    and that no source has said it has not.

    Exit code 0: nothing is lacking (any more); 1: something is; 3: a source could not be asked; 130: interrupted.

    \b
      appliance data gaps
      appliance data gaps SPY --timeframe 1m --start 2024-01-02 --fill --settings settings.toml
    """
    timeframe = known_timeframe(given["timeframe"]) if given["timeframe"] else ""
    asked, calendars = span(given["start"], given["end"]), _calendars(given)
    with opened(state) as store:
        found = look(store, names(symbols), timeframe, asked, calendars)
    if not fill or not found:
        click.echo(json.dumps(plain(found)) if as_json else "\n".join(readable(found)))
        return int(bool(found))
    with reached(given["settings_file"], state, calendars) as manager:
        done, whole = _fill(manager, found, given["source"], calendars, progress)
    with opened(state) as store:
        rest = look(store, names(symbols), timeframe, asked, calendars)
    return _told(done, rest, whole, as_json)


def _calendars(given: dict[str, Any]) -> Calendars:
    return Calendars(given["session"], given["settings_file"])


def _fill(
    manager: DataManager, found: Sequence[Gap], source: str, calendars: Calendars, progress: bool
) -> tuple[list[Fetched], bool]:
    """Ask for each gap; what came, and False where a person stopped it."""
    from appliance.commands.data.fetching import Fetching
    from appliance.data.lacking import questions

    done: list[Fetched] = []
    with Progress("filling", sum(gap.bars for gap in found), progress) as bar:
        for (symbol, timeframe), group in groupby(found, key=lambda gap: (gap.symbol, gap.timeframe)):
            fetching = Fetching(manager, timeframe, source, calendars)
            try:
                fetching.fetch(symbol, questions(group), bar.advance, known=True)
            except KeyboardInterrupt:
                return [*done, *fetching.done], False
            done += fetching.done
    return done, True


def _told(done: Sequence[Fetched], rest: Sequence[Gap], whole: bool, as_json: bool) -> int:
    """What came, and what remains."""
    from appliance.commands.data import fetching

    if as_json:
        filled = [fetching.plain(one) for one in done]
        click.echo(json.dumps({**plain(rest), "filled": filled, "interrupted": not whole}))
    else:
        click.echo("\n".join([*fetching.readable(done), *readable(rest)]))
    if not whole:
        click.echo("interrupted: what came is kept; run it again to go on", err=True)
        return INTERRUPTED
    return LACKING if any(one.error for one in done) else int(bool(rest))


def look(
    store: HistoryStore, symbols: Sequence[str], timeframe: str, span: tuple[int, int], calendars: Calendars
) -> list[Gap]:
    """The gaps of what the store holds, each holding from its first bar to its last where ``span`` (ns UTC) is open.
    Raises DataError for a symbol it has nothing of."""
    from appliance.data.lacking import gaps

    found: list[Gap] = []
    for held in chosen(store, symbols, timeframe):
        start = span[0] or held.first
        end = min(span[1], time.time_ns()) if span[1] < FOREVER else held.last
        found += gaps(store, calendars(held.symbol), held.symbol, held.timeframe, start, end)
    return found


def plain(found: Sequence[Gap]) -> dict[str, Any]:
    """For a program."""
    import msgspec

    return {"bars": sum(gap.bars for gap in found), "gaps": msgspec.to_builtins(found)}


def readable(found: Sequence[Gap]) -> Iterator[str]:
    """A line a gap, in order of time; of many the first ones."""
    if not found:
        yield "nothing is lacking"
    for (symbol, timeframe), group in groupby(found, key=lambda gap: (gap.symbol, gap.timeframe)):
        mine = list(group)
        days = counted(len({day for gap in mine for day in gap.days}), "day")
        bars = counted(sum(gap.bars for gap in mine), "bar")
        yield f"{symbol} {timeframe}: {bars} lacking in {counted(len(mine), 'gap')} on {days}"
        yield from (f"  {moment(gap.start)} to {moment(gap.end)} UTC  {gap.bars:>9,} bars" for gap in mine[:SHOWN])
        if len(mine) > SHOWN:
            yield f"  and {len(mine) - SHOWN:,} more (--json tells all)"
