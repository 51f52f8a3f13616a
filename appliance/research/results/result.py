"""A backtest's result: one object, one folder. The same inputs give the same bytes; times of running are kept apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from appliance.core.books.entries import Entry, Mark, Trade
from appliance.core.metrics.trips import RoundTrip
from appliance.errors import DataError
from appliance.research.analysis import Curves, Drawdown, Slice
from appliance.research.results.evidence import Finding
from appliance.research.results.inputs import Inputs
from appliance.research.results.running import Plan
from appliance.research.results.tables import bookings_csv, equity_csv, fills_csv, round_trips_csv, trades_csv
from appliance.research.results.tape import Tape

FORMAT = 1
RESULT, ORDERS, FILLS, TRADES, TRIPS, BOOKINGS, EQUITY, REPORT, TIMING = (
    "result.json", "orders.jsonl", "fills.csv", "trades.csv", "round_trips.csv", "bookings.csv", "equity.csv",
    "report.html", "timing.json",
)  # fmt: skip
NAMES = frozenset((RESULT, ORDERS, FILLS, TRADES, TRIPS, BOOKINGS, EQUITY, REPORT, TIMING))
"""The files of a result's folder."""
DRAWDOWNS_MAX = 50
"""Drawdowns that are kept, the deepest."""
REPEATED = (RESULT, ORDERS, FILLS, TRADES, TRIPS, BOOKINGS, EQUITY, REPORT)
"""Those of which a repeated run gives the same bytes, in the order they are compared."""


class Parameter(Struct, frozen=True):
    """A parameter as the run had it, and what its declaration allows."""

    name: str
    value: str
    allowed: str
    help: str = ""
    low: float | None = None
    high: float | None = None


class BacktestResult(Struct):
    """What one run gave: its plan, its inputs, its books, and everything measured of it.

    ``summary`` are the main figures (money as plain strings, USD), ``metrics`` those of the analysis (None: not
    defined), ``data`` what the files held. ``orders`` are JSON lines, one per intent. ``curves``, ``drawdowns``,
    ``symbols`` and ``strategies`` are the analysis's tables.
    """

    name: str
    plan: Plan
    inputs: Inputs
    parameters: tuple[Parameter, ...]
    data: dict[str, Any]
    summary: dict[str, Any]
    metrics: dict[str, Any]
    curves: Curves
    drawdowns: Sequence[Drawdown]
    symbols: Sequence[Slice]
    strategies: Sequence[Slice]
    findings: tuple[Finding, ...]
    orders: bytes
    entries: Sequence[Entry]
    trades: Sequence[Trade]
    trips: Sequence[RoundTrip]
    marks: Sequence[Mark]
    tape: Tape
    benchmark: str
    checked: str = ""

    def as_json(self) -> bytes:
        """``result.json``: everything but the rows and the times of running."""
        told = {
            "format": FORMAT,
            "name": self.name,
            "plan": msgspec.to_builtins(self.plan),
            "parameters": {one.name: one.value for one in self.parameters},
            "seed": {"strategy": self.plan.strategy.name},
            "checked": self.checked,
            "inputs": msgspec.to_builtins(self.inputs),
            "data": self.data,
            "summary": self.summary,
            "metrics": self.metrics,
            "tables": self._tables(),
            "findings": msgspec.to_builtins(self.findings),
        }
        return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    def _tables(self) -> dict[str, Any]:
        return {
            "months": {f"{year}-{month:02d}": value for (year, month), value in self.curves.months.items()},
            "years": {str(year): value for year, value in self.curves.years.items()},
            "drawdowns": msgspec.to_builtins(sorted(self.drawdowns, key=lambda one: one.depth)[:DRAWDOWNS_MAX]),
            "symbols": msgspec.to_builtins(self.symbols),
            "strategies": msgspec.to_builtins(self.strategies),
        }

    def files(self, report: bytes) -> dict[str, bytes]:
        """The folder's files, those that repeat; ``report`` is the page."""
        return {
            RESULT: self.as_json(),
            ORDERS: self.orders,
            FILLS: fills_csv(self.entries, self.tape.shares),
            TRADES: trades_csv(self.trades),
            TRIPS: round_trips_csv(self.trips),
            BOOKINGS: bookings_csv(self.entries),
            EQUITY: equity_csv(self.marks, float(self.plan.cash), self.tape.paths.get(self.benchmark)),
            REPORT: report,
        }


class Saved(Struct):
    """What a folder's ``result.json`` says of its run: enough to run it again."""

    format: int
    name: str
    plan: Plan
    inputs: Inputs
    metrics: dict[str, Any]
    summary: dict[str, Any]
    checked: str = ""


def saved(path: Path) -> Saved:
    """The result in ``path``, a ``result.json`` or its folder. Raises DataError when it cannot be read."""
    file = path / RESULT if path.is_dir() else path
    hint = "name the result.json of a folder that `appliance backtest --out` wrote"
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Saved)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}", hint=hint) from None
    except msgspec.MsgspecError as error:
        raise DataError(f"{file}: not a result: {error}", hint=hint) from None
    if found.format != FORMAT:
        raise DataError(f"{file}: format {found.format}, this version reads {FORMAT}", hint="run it anew with --out")
    return found
