"""Monte Carlo over a backtest's folder: its trades in other orders, or its days in other blocks (``resampling``)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from appliance import __version__
from appliance.core.books.entries import Mark
from appliance.errors import DataError, UsageError
from appliance.research.formats import NONE, figure, money, percent
from appliance.research.report.html import Html, join, page, section, table, tag
from appliance.research.results.evidence import Finding
from appliance.research.results.measuring import of_books
from appliance.research.results.result import EQUITY, TRADES, saved
from appliance.research.statistics.resampling import (
    PERCENTILES,
    Distribution,
    Simulated,
    resampled_returns,
    shuffled_trades,
)
from appliance.research.sweep.pieces import listed, tile

SHUFFLED, DRAWN, BLOCKS, MOVING = "trades", "drawn", "blocks", "moving"
METHODS = (SHUFFLED, DRAWN, BLOCKS, MOVING)
"""Trades shuffled, trades drawn with replacement, days in blocks of random lengths, days in blocks of one length."""
RUIN_MAX = 0.05
"""More runs than these ruined are too many."""
DEEPER = 1.5
"""A drawdown was lucky when one run in twenty had one so many times as deep."""


class Chance(Struct, frozen=True):
    """What was found of the run ``name``, which began with ``opening`` USD."""

    name: str
    opening: float
    found: Simulated


def simulated(folder: Path, method: str, runs: int, seed: int, ruin: float, block: int | None) -> Chance:
    """What else the result in ``folder`` could have been. ``block`` is in days, for the ways that have blocks. Raises
    DataError for a folder that holds no result, UsageError for options out of range."""
    result = saved(folder)
    place = folder if folder.is_dir() else folder.parent
    cash = float(result.plan.cash)
    if method in (SHUFFLED, DRAWN):
        if block is not None:
            raise UsageError(
                f"--block {block} with --method {method}", hint=f"take --method {BLOCKS} or {MOVING}, or leave it away"
            )
        profits = list(_column(place / TRADES, "profit"))
        return Chance(result.name, cash, shuffled_trades(profits, cash, runs, seed, ruin, replace=method == DRAWN))
    rows = zip(_column(place / EQUITY, "time"), _column(place / EQUITY, "equity"), strict=True)
    marks = [Mark(int(time), worth, worth, worth, worth) for time, worth in rows]
    analysis = of_books(result.plan.cash, marks, (), ())
    returns = analysis.series.returns.tolist() if analysis.series is not None else []
    kind = "stationary" if method == BLOCKS else "moving"
    periods = analysis.year.periods
    return Chance(result.name, cash, resampled_returns(returns, cash, runs, seed, ruin, block, kind, periods))


def _column(path: Path, name: str) -> Iterator[float]:
    """The numbers of one column of a result's table. Raises DataError naming file and row."""
    hint = "write the result anew: appliance backtest … --out DIR"
    try:
        rows = list(csv.DictReader(path.read_text().splitlines()))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", hint=hint) from None
    for number_of, row in enumerate(rows, 2):
        try:
            yield float(row[name])
        except (KeyError, TypeError, ValueError):
            raise DataError(f"{path}: row {number_of}: {name} is {row.get(name)!r}", hint=hint) from None


def doubts(chance: Chance) -> Iterator[Finding]:
    """What speaks against the result, the gravest first."""
    found = chance.found
    if found.ruined > RUIN_MAX:
        yield Finding("ruin", "serious", "It may well be ruined.",
                      f"{percent(found.ruined, 1)} of the runs fell by {percent(found.ruin, 0)} from a peak.",
                      "Trade smaller.")  # fmt: skip
    depth, bad = found.max_drawdown.actual, found.max_drawdown.percentiles.get(5)
    if depth is not None and bad is not None and depth < 0 and bad < DEEPER * depth:
        yield Finding("deeper", "warning", "It was lucky with its drawdown.",
                      f"That was {percent(depth)}; one run in twenty had {percent(bad)} or worse.",
                      "Expect the deeper one.")  # fmt: skip
    ends = found.end_equity
    low = ends.percentiles.get(25)
    if low is not None and ends.actual is not None and low < chance.opening < ends.actual:
        yield Finding("may_lose", "warning", "It may as well have lost.", "One run in four ended below its beginning.",
                      "Take more data before you believe it.")  # fmt: skip


def as_json(chance: Chance) -> dict[str, Any]:
    """The whole, for a program."""
    return {"name": chance.name, "opening": chance.opening, **msgspec.to_builtins(chance.found, str_keys=True)}


def readable(chance: Chance) -> str:
    """The whole, as a table."""
    found = chance.found
    lines = [f"{chance.name}: {found.runs:,} runs of {found.count:,}, {found.method}, seed {found.seed}"]
    lines.append(f"  {'':14}" + "".join(f"{head:>16}" for head in _few(HEAD)))
    lines += [f"  {row[0]:14}" + "".join(f"{cell:>16}" for cell in _few(row)) for row in _rows(found)]
    lines.append(f"  fell by {percent(found.ruin, 0)} from a peak: {percent(found.ruined, 1)} of the runs")
    return "\n".join(lines)


def _few(row: Sequence[str]) -> list[str]:
    """The result, its rank, and the percentiles a narrow terminal has room for."""
    return [cell for head, cell in zip(HEAD, row, strict=True) if head in ("result", "rank", "5 %", "50 %", "95 %")]


def report(chance: Chance) -> bytes:
    """The page: one file that needs nothing else, the same bytes for the same result and seed."""
    found = chance.found
    title = f"{chance.name}: Monte Carlo"
    top = tag("header", tag("h1", title), tag("p", f"{found.method}, seed {found.seed}", class_="sub"),
              tag("div", *_tiles(chance), class_="tiles"), class_="top")  # fmt: skip
    lead = (
        "How the runs ended. Of a percentile, so many of a hundred runs were at or below it; rank is the share of them "
        "that ended below what the result had."
    )
    spread = section("spread", "All runs", lead, table(HEAD, _rows(found)))
    parts = tag("main", listed(tuple(doubts(chance))), spread)
    return page(title, join(top, parts, tag("footer", f"appliance {__version__}.")), [])


def _tiles(chance: Chance) -> Iterator[Html]:
    found = chance.found
    yield tile("Runs", f"{found.runs:,}", f"of {found.count:,} each")
    yield tile("End equity, median", money(found.end_equity.percentiles[50]), f"began with {money(chance.opening)}")
    yield tile("Deepest drawdown, median", percent(found.max_drawdown.percentiles[50]), "of each run")
    yield tile("Ruined", percent(found.ruined, 1), f"fell by {percent(found.ruin, 0)}")


def _rows(found: Simulated) -> Iterator[list[str]]:
    for name, label, unit in ROWS:
        one: Distribution | None = getattr(found, name)
        if one is not None:
            rank = NONE if one.rank is None else percent(one.rank, 0)
            yield [
                label,
                figure(one.actual, unit),
                rank,
                *(figure(one.percentiles.get(at), unit) for at in PERCENTILES),
            ]


HEAD = ("", "result", "rank", *(f"{at} %" for at in PERCENTILES))
ROWS = (
    ("end_equity", "end equity", "USD"),
    ("max_drawdown", "max drawdown", "fraction"),
    ("sharpe", "Sharpe", "ratio"),
)
