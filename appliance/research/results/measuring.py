"""From a run that is over to its result: figures, evidence, findings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from appliance.core.books.entries import Entry, EntryKind, Mark, Trade
from appliance.core.record import plain
from appliance.data.sources.files import FileReport
from appliance.domain.market import DAY, RECORDED
from appliance.domain.trading import ZERO
from appliance.making import runner_factory
from appliance.research.analysis import PerformanceAnalyzer
from appliance.research.metrics.series import Closes
from appliance.research.results.evidence import Evidence, Leap, Setting
from appliance.research.results.findings import judge
from appliance.research.results.inputs import Inputs
from appliance.research.results.result import BacktestResult, Parameter
from appliance.research.results.running import Plan, Ran
from appliance.research.results.tape import Path, Tape
from appliance.strategy.params import Param
from appliance.strategy.runner import StrategyRunner

THURSDAY = 3
"""The weekday of the first day of 1970, Monday being 0."""
LEAP = 1.9
"""Times the price before: a split of 2 for 1 on a day that moves a little."""
WEEKEND = (5, 6)
WEEKENDS_MIN = 0.15
"""Of the days of a market that never closes some 2 in 7 lie on weekends; a stamp past midnight puts a few there."""


def measured(plan: Plan, ran: Ran, tape: Tape, made_from: Inputs, checked: str = "") -> BacktestResult:
    """The result of a run that was watched; ``checked`` is what the look-ahead check said, "" when it was not run."""
    book, symbols = ran.backtest.book, ran.data.symbols
    benchmark = plan.benchmark or next(one for one in (*plan.files.symbols, *symbols) if one in symbols)
    path = tape.paths.get(benchmark)
    analysis = analysed(plan, ran, path, tape.shares)
    result = BacktestResult(
        name=plan.strategy.name,
        plan=plan,
        inputs=made_from,
        parameters=_parameters(plan),
        data=_data(ran, benchmark),
        summary=summary(ran),
        metrics=dict(analysis.figures()),
        curves=analysis.curves(),
        drawdowns=analysis.drawdowns,
        symbols=analysis.by_symbol,
        strategies=analysis.by_strategy,
        findings=(),
        orders=ran.backtest.record.jsonl(),
        entries=book.entries,
        trades=book.trades,
        trips=book.trips,
        marks=analysis.marks,
        tape=tape,
        benchmark=benchmark,
        checked=checked,
    )
    result.findings = judge(_evidence(result, ran))
    return result


def analysed(
    plan: Plan, ran: Ran, benchmark: Path | None = None, shares: Mapping[int, float | None] | None = None
) -> PerformanceAnalyzer:
    """A run's books, measured; ``shares`` are its fills' parts of their bars' volume."""
    book = ran.backtest.book
    closes = (benchmark.times, [benchmark.worth(time) or 0.0 for time in benchmark.times]) if benchmark else None
    return of_books(plan.cash, book.marks, book.trades, book.entries, closes, shares)


def of_books(
    cash: Decimal,
    marks: Sequence[Mark],
    trades: Sequence[Trade],
    entries: Sequence[Entry],
    benchmark: Closes | None = None,
    shares: Mapping[int, float | None] | None = None,
) -> PerformanceAnalyzer:
    """Books that began with ``cash`` (USD), measured; a year has 365 days where the market trades on weekends."""
    always_open = _never_closes(marks)
    return PerformanceAnalyzer(
        marks, trades, entries, opening=float(cash), always_open=always_open, benchmark=benchmark, shares=shares
    )


def figures_of(plan: Plan, ran: Ran) -> dict[str, Any]:
    """The figures of a run that nobody watched: none of a benchmark or of volume."""
    return dict(analysed(plan, ran).figures())


def _never_closes(marks: Sequence[Mark]) -> bool:
    """Whether the market trades on weekends: then a year has 365 days."""
    days = set((np.array([mark.time for mark in marks], dtype=np.int64) // DAY).tolist())
    weekend = sum((day + THURSDAY) % 7 in WEEKEND for day in days)
    return len(days) > 1 and weekend > WEEKENDS_MIN * len(days)


def summary(ran: Ran) -> dict[str, Any]:
    """The main figures of a run, those that repeat. Money and shares are plain strings, money USD."""
    test, record = ran.backtest, ran.backtest.record
    return {
        "bars": test.bars,
        "bars_outside_session": ran.data.outside,
        "signals": test.signals,
        "intents": record.intents,
        "orders": record.orders,
        "fills": record.fills,
        "trades": len(test.book.trades),
        "denied": record.denied,
        "position": {symbol: plain(quantity) for symbol, quantity in sorted(record.positions.items())},
        "cash": plain(test.cash),
        "equity": plain(test.equity),
        "end_equity": plain(test.equity),
        "fees": plain(sum((one.fee for one in test.book.entries), ZERO)),
    }


def timing(ran: Ran) -> dict[str, Any]:
    """What no two runs have in common: how long it took."""
    return {
        "seconds": round(ran.seconds, 3),
        "bars_per_second": round(ran.backtest.bars / ran.seconds) if ran.seconds else 0,
        "realtime_factor": round(ran.realtime_factor, 1),
    }


def _data(ran: Ran, benchmark: str) -> dict[str, Any]:
    held = ran.data
    return {
        "symbols": list(held.symbols),
        "benchmark": benchmark,
        "first": held.first,
        "last": held.last,
        "events": held.events,
        "files": [{"name": one.name, "kind": one.kind, "timeframe": one.timeframe, "rows": one.rows}
                  for one in held.files],
        "missing": held.missing,
        "gaps": [str(gap) for gap in held.gaps],
        "bad_rows": held.bad,
        "unadjusted": list(held.unadjusted),
    }  # fmt: skip


def _evidence(result: BacktestResult, ran: Ran) -> Evidence:
    record, plan = ran.backtest.record, result.plan
    return Evidence(
        cash=float(plan.cash),
        trades=result.trades,
        entries=result.entries,
        marks=result.marks,
        shares=tuple(result.tape.shares.values()),
        waits=_waits(record.rows()),
        settings=tuple(found for one in result.parameters if (found := _setting(one)) is not None),
        held=record.positions,
        unrealised=_unrealised(result),
        bars=ran.backtest.bars,
        missing=ran.data.missing,
        bad=ran.data.bad,
        intents=record.intents,
        denied=record.denied,
        benchmark=_change(result),
        skill=result.metrics.get("probabilistic_sharpe"),
        checked=result.checked,
        bar_length=min((RECORDED.get(one.timeframe, 0) for one in ran.data.files), default=0),
        kinds=kinds(ran.data),
        leaps=() if plan.files.factors else leaps(result.tape.paths),
    )


def kinds(data: FileReport) -> tuple[str, ...]:
    """What kinds of rows the files hold, in words, in their order."""
    return tuple(dict.fromkeys(one.kind for one in data.files))


def leaps(paths: Mapping[str, Path]) -> tuple[Leap, ...]:
    """Where a price was ``LEAP`` times that before it, or the other way round; the largest first."""
    found = [(size, leap) for symbol, path in paths.items() for size, leap in _leaps(symbol, path)]
    return tuple(leap for _, leap in sorted(found, key=lambda one: -one[0]))


def _leaps(symbol: str, path: Path) -> Iterator[tuple[float, Leap]]:
    prices = np.asarray(path.prices)
    sizes = np.abs(np.diff(np.log(prices)))
    for at in np.flatnonzero(sizes >= math.log(LEAP)).tolist():
        yield float(sizes[at]), Leap(symbol, path.times[at + 1], path.prices[at], path.prices[at + 1])


def _waits(rows: Sequence[dict[str, Any]]) -> tuple[int, ...]:
    """How long each market order waited for its first fill (ns)."""
    return tuple(row["fills"][0]["time"] - row["decided"] for row in rows if row["type"] == "market" and row["fills"])


def _setting(one: Parameter) -> Setting | None:
    try:
        return Setting(one.name, float(one.value), one.low, one.high)
    except ValueError:
        return None


def _unrealised(result: BacktestResult) -> float:
    """What of the profit (USD) neither a closed trade nor another booking has brought: that of what is still held."""
    if not result.marks:
        return 0.0
    booked = sum((one.amount for one in result.entries if one.kind is not EntryKind.FILL), ZERO)
    realised = sum((one.profit for one in result.trades), ZERO) + booked
    return result.marks[-1].equity - float(result.plan.cash + realised)


def _change(result: BacktestResult) -> float | None:
    """What holding the benchmark brought between the first and the last mark, a fraction."""
    path = result.tape.paths.get(result.benchmark)
    if path is None or not result.marks or not len(path):
        return None
    begin = path.worth(result.marks[0].time) or path.prices[0]
    end = path.worth(result.marks[-1].time)
    return end / begin - 1 if end is not None and begin > 0 else None


def _parameters(plan: Plan) -> tuple[Parameter, ...]:
    """The strategy's parameters as the run had them."""
    runner = runner_factory(plan.strategy)()
    if not isinstance(runner, StrategyRunner):
        return ()
    return tuple(_parameter(one, runner.params[name]) for name, one in runner.declared.items())


def _parameter(declared: Param, value: str) -> Parameter:
    return Parameter(
        declared.name, value, declared.allowed, declared.help, _number(declared.low), _number(declared.high)
    )


def _number(value: object) -> float | None:
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return float(value) if number else None  # type: ignore[arg-type]
