"""`appliance data ls`: what the history store of a state directory holds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from appliance.commands.data.asking import (
    Calendars,
    chosen,
    held_symbols,
    history_file,
    json_option,
    names,
    opened,
    session_option,
    settings_option,
    state_option,
)


@click.command(short_help="What the store holds.")
@click.option("--symbols", default="", metavar="A,B", help="only these  [default: all]", shell_complete=held_symbols)
@session_option
@settings_option
@state_option
@json_option
def ls(symbols: str, session: str | None, settings_file: Path | None, state: Path, as_json: bool) -> None:
    """List what the history store holds: bars by symbol and timeframe, from when to when, and how many days between
    lack a bar that should be there.

    \b
      appliance data ls
      appliance data ls --symbols SPY,QQQ --json
    """
    told = look(state, names([symbols]), Calendars(session, settings_file))
    click.echo(json.dumps(told) if as_json else readable(told))


def look(state: Path, symbols: tuple[str, ...], calendars: Calendars) -> dict[str, Any]:
    """What is held, and how large the store is (bytes). Raises DataError for a symbol it has nothing of."""
    from appliance.data.lacking import countable, gaps, lacking_days

    with opened(state) as store:
        rows = [
            {
                "symbol": one.symbol, "timeframe": one.timeframe, "first": one.first, "last": one.last,
                "bars": one.bars,
                "lacking_days": lacking_days(
                    gaps(store, calendars(one.symbol), one.symbol, one.timeframe, one.first, one.last)
                ) if countable(one.timeframe) else None,
            }
            for one in chosen(store, symbols)
        ]  # fmt: skip
    path = history_file(state)
    return {"store": str(path), "bytes": size(path), "holdings": rows}


def size(path: Path) -> int:
    """Bytes on the disk: the store, and what SQLite keeps beside it."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(os.path.getsize(file) for file in files if file.exists())


def readable(told: dict[str, Any]) -> str:
    """The table a person reads."""
    from appliance.data.options import new_york_date

    rows = told["holdings"]
    if not rows:
        return f"{told['store']}: holds nothing yet; fill it with 'appliance data fetch' or 'appliance data import'"
    lines = [f"{'symbol':<12}{'bars':<6}{'first':<12}{'last':<12}{'count':>12}{'lacking days':>14}"]
    for row in rows:
        lacking = "-" if row["lacking_days"] is None else f"{row['lacking_days']:,}"
        first, last = new_york_date(row["first"]), new_york_date(row["last"] - 1)
        lines.append(f"{row['symbol']:<12}{row['timeframe']:<6}{first:<12}{last:<12}{row['bars']:>12,}{lacking:>14}")
    return "\n".join([*lines, "", f"{told['bytes'] / 1e6:,.1f} MB in {told['store']}"])
