"""One entry run as `appliance backtest` does it, and what came out by the names of those who published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.books.entries import Entry as Booked
from appliance.core.books.entries import EntryKind
from appliance.core.limits import LimitValues, rules
from appliance.core.models import PRESETS, MarketModel
from appliance.core.models.commission import FREE
from appliance.data.options import NEW_YORK
from appliance.data.sources.files import FileSource
from appliance.domain.market import SECOND, TIMEFRAMES, Bar, Sessions
from appliance.making import runner_factory
from appliance.research.metrics.backtesting_py import backtesting_py
from appliance.runs import StrategySpec
from appliance.world.backtest import Backtest
from tests.known_answers.entries import DATA, GOOG, Entry, Golden, figures, golden_fills

CENT = Decimal("0.01")
RELATIVE = 1e-9


class Compared(Struct, frozen=True):
    """One published figure and ours."""

    name: str
    field: str
    expected: str
    got: str
    equal: bool


def compared(entry: Entry, sessions: Sessions) -> list[Compared]:
    """Run an entry; every published figure of it beside ours."""
    if entry.model != "lean":
        return _figures(entry, figures_of(entry, sessions))
    with _files(entry.data) as files:
        run, bars = _run(entry, files, sessions)
    return [*_lean_figures(entry, run), *_fills(entry, run, TIMEFRAMES[bars[0].timeframe])]


def figures_of(entry: Entry, sessions: Sessions) -> dict[str, float | None]:
    """Run an entry; all its figures by the conventions of backtesting.py, which looks at the equity at bars' ends."""
    with _files(entry.data) as files:
        run, bars = _run(entry, files, sessions)
    ends = {bar.end for bar in bars}
    return backtesting_py([mark for mark in run.book.marks if mark.time in ends], run.book.trades)


def _run(entry: Entry, files: Sequence[str], sessions: Sessions) -> tuple[Backtest, list[Bar]]:
    """The run when it is over, and the bars it heard."""
    options = replace(entry.options, sessions=sessions if entry.options.session == "regular" else None)
    spec = StrategySpec(entry.strategy, str(entry.file), params=entry.params)
    options = replace(options, symbols=runner_factory(spec)().symbols)
    model = _model(entry)
    source = FileSource(files, options)
    make = runner_factory(spec, options.sessions)
    run = Backtest(spec.name, (make,), rules(LimitValues()), entry.cash, model, options.sessions)
    bars: list[Bar] = []
    done = False
    while not done:
        offer = source.batch(10_000)
        run.run(offer.events)
        bars += [event for event in offer.events if isinstance(event, Bar)]
        done = offer.done
    return run, bars


def _model(entry: Entry) -> MarketModel:
    model = PRESETS[entry.model]
    if entry.commission == "none":
        model = replace(model, commission=FREE)
    if entry.options.opens:
        model = replace(model, fills=replace(model.fills, market="at_once"))
    return model


@contextmanager
def _files(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The paths of recorded files; GOOG is written for as long as it is read."""
    with TemporaryDirectory(prefix="known-answers-") as folder:
        yield tuple(_goog(Path(folder)) if name == GOOG else str(DATA / "market" / f"{name}.csv.gz") for name in names)


def _goog(folder: Path) -> str:
    """GOOG by days, 2004 to 2013, out of the package `backtesting`, stamped as the recorded days are."""
    from backtesting.test import GOOG as frame

    lines = ["ts,symbol,open,high,low,close,volume"]
    for day, row in frame.iterrows():
        prices = (repr(float(row[name])) for name in ("Open", "High", "Low", "Close", "Volume"))
        close = day.to_pydatetime().replace(hour=16, tzinfo=NEW_YORK)
        lines.append(f"{int(close.timestamp()) * SECOND},GOOG,{','.join(prices)}")
    path = folder / "goog.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def _booked(run: Backtest) -> list[Booked]:
    return [one for one in run.book.entries if one.kind is EntryKind.FILL]


def _lean_figures(entry: Entry, run: Backtest) -> list[Compared]:
    fees = sum((one.fee for one in _booked(run)), Decimal(0))
    ours = {"total_orders": str(run.record.orders), "end_equity": _cents(run.equity), "total_fees": _cents(fees)}
    published = {name: str(value) for name, value in figures(entry).items()}
    return [
        Compared(entry.name, name, expected, ours.get(name, "unknown"), expected == ours.get(name))
        for name, expected in published.items()
    ]


def _fills(entry: Entry, run: Backtest, length: int) -> list[Compared]:
    """Fill by fill; a fill too many, or one that is missing, is one that differs."""
    published, booked = golden_fills(entry.name), _booked(run)
    found: list[Compared] = []
    for number, fill in enumerate(published, 1):
        ours = _as_published(booked[number - 1], fill.time, entry, length) if number <= len(booked) else None
        for field in Golden.__struct_fields__:
            expected, got = getattr(fill, field), getattr(ours, field, "none")
            found.append(Compared(entry.name, f"fill {number} {field}", f"{expected}", f"{got}", expected == got))
    if published:
        equal = len(published) == len(booked)
        found.append(Compared(entry.name, "fills", str(len(published)), str(len(booked)), equal))
    return found


def _as_published(one: Booked, time: str, entry: Entry, length: int) -> Golden:
    """A fill of ours in New York time, as exactly as the published one."""
    at = one.time - (length if entry.stamp == "start" else 0)
    text = datetime.fromtimestamp(at // SECOND, NEW_YORK).strftime("%Y-%m-%d %H:%M:%S")
    return Golden(text[: len(time)], one.symbol, one.quantity, one.price, one.fee)


def _figures(entry: Entry, ours: dict[str, float | None]) -> list[Compared]:
    found = []
    for name, expected in figures(entry).items():
        got = ours.get(name)
        equal = got is not None and abs(got - expected) <= RELATIVE * abs(expected)
        found.append(Compared(entry.name, name, repr(expected), repr(got), equal))
    return found


def _cents(amount: Decimal) -> str:
    return str(amount.quantize(CENT, ROUND_HALF_UP))


def as_rows(found: Sequence[Compared]) -> list[dict[str, Any]]:
    """For JSON: name, field, expected and got."""
    return [{"name": one.name, "field": one.field, "expected": one.expected, "got": one.got} for one in found]
