"""What others published, and how it is run here: which files, which rules, which strategy with which parameters."""

from __future__ import annotations

import csv
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct

from appliance.data.options import FileOptions

STRATEGIES = Path(__file__).with_name("strategies")
DATA = Path(os.environ.get("APPLIANCE_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")
ANSWERS = DATA / "known_answers"
GOOG = "goog"
"""The name of the file that is made of the package `backtesting`."""


class Golden(Struct, frozen=True):
    """One published fill: ``time`` is a date, or a time to the second, of New York."""

    time: str
    symbol: str
    quantity: Decimal
    price: Decimal
    fee: Decimal


class Entry(Struct, frozen=True):
    """One published result. ``strategy`` is a file and ``data`` are names of files; ``stamp`` says which end of a bar
    the published times of fills are; ``cash`` is USD; ``commission`` "none" leaves the model's away."""

    name: str
    model: str
    strategy: str
    data: tuple[str, ...]
    options: FileOptions
    params: dict[str, str] = {}
    cash: Decimal = Decimal(100_000)
    stamp: str = "end"
    commission: str = ""
    source: str = "known_answers"

    @property
    def file(self) -> Path:
        """Its strategy."""
        return STRATEGIES / f"{self.strategy}.py"


def _lean(name: str, strategy: str, data: str, start: str, end: str, **more: Any) -> Entry:
    stamp = "end" if data == "equity_daily" else "start"
    files = (data, data.replace("bars", "quotebars")) if data.endswith("bars") else (data,)
    options = FileOptions(bar_stamp=stamp, start=start, end=end, factors=_path("equity_factors"),
                          prices=more.pop("prices", "adjusted"))  # fmt: skip
    return Entry(name, "lean", strategy, files, options, **more)


def _path(name: str) -> str:
    return str(DATA / "market" / f"{name}.csv.gz")


_WEEK = ("2013-10-07", "2013-10-11")
_OPENS = FileOptions(opens=True)

ENTRIES = (
    _lean("BasicTemplateAlgorithm", "first_bar", "equity_1min_bars", *_WEEK),
    _lean("BasicTemplateHourlyAlgorithm", "first_bar", "equity_hourly", *_WEEK, stamp="start"),
    _lean("BasicTemplateDailyAlgorithm", "first_bar", "equity_daily", "2013-10-08", "2013-10-17"),
    _lean("DividendRegressionAlgorithm", "first_bar", "equity_daily", "1998-01-01", "2006-01-01", prices="raw",
          params={"weight": "0.5"}),
    _lean("AddRemoveSecurityRegressionAlgorithm", "add_remove", "equity_1min_bars", *_WEEK),
    _lean("ZeroFeeRegressionAlgorithm", "in_and_out", "equity_1min_bars", *_WEEK, stamp="start", commission="none"),
    Entry("GOOG_10_20_commission_.002_exclusive", "backtesting.py", "reversing", (GOOG,), _OPENS,
          cash=Decimal(10_000)),
    Entry("GOOG_10_30_nocost_finalize (=unit test)", "backtesting.py", "reversing", (GOOG,), _OPENS,
          {"slow": "30", "leave": "2013-03-01"}, cash=Decimal(10_000), commission="none"),
)  # fmt: skip
"""The entries of ``known_answers`` in the recorded data."""

LEAN_REPOSITORY = (
    _lean("MACDTrendAlgorithm", "macd_trend", "equity_daily", "2004-01-01", "2015-01-01", source="lean"),
    _lean("StopLimitOrderRegressionAlgorithm", "stop_limits", "equity_daily", "2012-12-31", "2017-01-01",
          source="lean"),
    _lean("StopLossOnOrderEventRegressionAlgorithm", "stop_after_fill", "equity_1min_bars", *_WEEK, source="lean"),
    _lean("TrailingStopOrderRegressionAlgorithm", "trailing_orders", "equity_1min_bars", *_WEEK, source="lean"),
    _lean("ClassicRenkoConsolidatorAlgorithm", "renko_turns", "equity_daily", "2012-01-01", "2013-01-01",
          source="lean"),
)  # fmt: skip
WHEN_PUBLISHED = (
    _lean("LimitFillRegressionAlgorithm", "hourly_limits", "equity_1sec_bars", *_WEEK),
    _lean("OnEndOfDayRegressionAlgorithm", "end_of_day", "equity_1min_bars", *_WEEK),
    _lean("RenkoConsolidatorAlgorithm", "renko_turns", "equity_daily", "2012-01-01", "2013-01-01",
          params={"style": "wicked"}),
)  # fmt: skip
"""Algorithms of LEAN whose figures for this data we have not seen: they are run where the file of answers has them."""
LEAN_FIGURES: dict[str, dict[str, Any]] = {
    "MACDTrendAlgorithm": {"total_orders": 84, "end_equity": "137751.04", "total_fees": "468.54"},
    "StopLimitOrderRegressionAlgorithm": {"total_orders": 2, "end_equity": "101444.99", "total_fees": "2.00"},
    "StopLossOnOrderEventRegressionAlgorithm": {"total_orders": 2, "end_equity": "99995.41", "total_fees": "2.00"},
    "TrailingStopOrderRegressionAlgorithm": {"total_orders": 2, "end_equity": "100023.22", "total_fees": "2.00"},
    "ClassicRenkoConsolidatorAlgorithm": {"total_orders": 29, "end_equity": "107838.74", "total_fees": "129.34"},
}
"""Statistics that LEAN's own repository expects of more of its algorithms, on the same data: QuantConnect/Lean on
GitHub, Algorithm.CSharp at 0124dffa, Apache-2.0. At that time a day's bar was known at the midnight after it, so that a
run from 2013-01-01 on began with the bar of 2012-12-31."""


def published() -> dict[str, dict[str, Any]]:
    """The figures of the files of answers, by entry and name."""
    lean = json.loads((ANSWERS / "lean_expected.json").read_text())
    other = json.loads((ANSWERS / "backtesting_py_expected.json").read_text())["results"]
    left_out = ("kwargs", "params")
    return lean | {
        entry: {name: value for name, value in found.items() if name not in left_out} for entry, found in other.items()
    }


def figures(entry: Entry) -> dict[str, Any]:
    """The published figures of one entry, by name."""
    return published().get(entry.name) or LEAN_FIGURES[entry.name]


def chosen() -> tuple[Entry, ...]:
    """The entries that are run: those whose figures there are."""
    there = published()
    return (*(entry for entry in (*ENTRIES, *WHEN_PUBLISHED) if entry.name in there), *LEAN_REPOSITORY)


def without_entry() -> list[str]:
    """Published results that nobody here reproduces."""
    known = {entry.name for entry in (*ENTRIES, *LEAN_REPOSITORY, *WHEN_PUBLISHED)}
    return sorted(set(published()) - known)


def golden_fills(name: str) -> list[Golden]:
    """The published fills of one algorithm, in order; none where none were published."""
    with (ANSWERS / "lean_golden_fills.csv").open(newline="") as text:
        rows = [row for row in csv.DictReader(text) if row["algorithm"] == name]
    return [
        Golden(row["fill_time_new_york"], row["symbol"], *(Decimal(row[key]) for key in ("quantity", "price", "fee")))
        for row in rows
    ]
