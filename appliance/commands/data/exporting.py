"""`appliance data export`: bars of the history store into a file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from appliance.commands.data.asking import (
    chosen,
    dates,
    held_symbols,
    json_option,
    known_timeframe,
    opened,
    progress_option,
    span,
    state_option,
    timeframe_option,
)
from appliance.commands.progress import Progress
from appliance.errors import DataError

if TYPE_CHECKING:
    from appliance.data.store import HistoryStore
    from appliance.domain.market import Bar


@click.command(short_help="Bars of the store into a file.")
@click.argument("symbol", shell_complete=held_symbols)
@timeframe_option("1m")
@dates("  [default: the first there is]", "  [default: the last there is]")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="ends with .csv, .csv.gz or .parquet"
)
@click.option(
    "--adjusted",
    type=click.Choice(("raw", "split", "all")),
    default="raw",
    show_default=True,
    help="as traded, or as if the splits (all: and dividends) that the store knows had always been",
)
@click.option("--force", is_flag=True, help="replace a file that is there")
@state_option
@progress_option
@json_option
def export(
    symbol: str,
    timeframe: str,
    start: str,
    end: str,
    out: Path,
    adjusted: str,
    force: bool,
    state: Path,
    progress: bool,
    as_json: bool,
) -> None:
    """Write the bars of SYMBOL into a file: all of it or nothing. `appliance data import` takes it back as it was, and
    a backtest reads it.

    \b
      appliance data export SPY --out spy.csv.gz
      appliance data export SPY --timeframe 1d --start 2024-01-02 --end 2024-12-31 --out spy.parquet
    """  # fmt: skip
    first, last = span(start, end)
    with opened(state) as store:
        pages = Pages(store, symbol, known_timeframe(timeframe), first, last, adjusted)
        told = write(pages, out, force, progress)
    note = f"; {pages.note}" if pages.note else ""
    days = f"{told['first_date']} to {told['last_date']}"
    click.echo(json.dumps(told) if as_json else f"{out}: {told['bars']:,} {timeframe} bars of {symbol}, {days}{note}")


class Pages:
    """The bars to be written, page by page; ``note`` says what is not known of them. Raises DataError for a symbol that
    the store does not hold."""

    def __init__(self, store: HistoryStore, symbol: str, timeframe: str, first: int, last: int, way: str = "raw"):
        (self.held,) = chosen(store, [symbol], timeframe)
        self._raw = store.bars(symbol, timeframe, first, last)
        self._actions = store.actions((symbol,), 0, time.time_ns()) if way != "raw" else ()
        self._way = way
        none = way != "raw" and not self._actions
        self.note = (
            f"no splits or dividends of it are known: 'appliance data fetch --adjusted {way}' asks" if none else ""
        )

    def __iter__(self) -> Iterator[tuple[Bar, ...]]:
        return self._raw if self._way == "raw" else self._adjusted()

    def _adjusted(self) -> Iterator[tuple[Bar, ...]]:
        """All at once, for a dividend scales what is before it; the source tells that these are no raw prices."""
        from appliance.data.adjustment import adjusted

        raw = [bar for page in self._raw for bar in page]
        made = adjusted(raw, self._actions, self._way, time.time_ns())
        yield tuple(
            replace(bar, source=f"{was.source}:{self._way}", received=was.received, revision=was.revision)
            for bar, was in zip(made, raw, strict=True)
        )


def write(pages: Pages, out: Path, force: bool, asked: bool) -> dict[str, Any]:
    """Write the file; what is in it. Raises DataError where there is no bar."""
    from appliance.commands.data.writing import written
    from appliance.data.options import new_york_date

    held, count, begins, ends = pages.held, 0, 0, 0
    with written(out, force) as page_out, Progress("exporting", held.bars, asked) as bar:
        for page in pages:
            page_out(page)
            begins, ends = begins or page[0].start, page[-1].end
            count += len(page)
            bar.advance(len(page))
        if not count:
            raise DataError(
                f"the store holds no {held.timeframe} bars of {held.symbol} in these days",
                hint=f"it holds {new_york_date(held.first)} to {new_york_date(held.last - 1)}; 'appliance data fetch' "
                "gets more",
            )
    return {
        "file": str(out), "symbol": held.symbol, "timeframe": held.timeframe, "bars": count, "first": begins,
        "last": ends, "first_date": new_york_date(begins), "last_date": new_york_date(ends - 1),
        "note": pages.note,
    }  # fmt: skip
