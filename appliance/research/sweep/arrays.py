"""One combination by whole arrays: the rule's ``signals`` over columns, its fills booked, its equity marked at once.

Books and marks are those of ``core.bookkeeping.Book`` on the same fills; of a long run one mark a session is kept, at
its last bar.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from appliance.core.books.book import MARKS_MAX, Book
from appliance.core.books.entries import Mark
from appliance.data.sources.files import FileSource
from appliance.domain.market import DAY, Bar, Sessions
from appliance.domain.trading import Fill
from appliance.errors import ApplianceError, StrategyError, UsageError
from appliance.making import Past, runner_factory, source_of
from appliance.research.results.measuring import of_books
from appliance.research.results.running import Plan
from appliance.research.sweep.figures import PERIODS
from appliance.research.vectorized import running as vectorized
from appliance.research.vectorized.agreement import check_agreement
from appliance.research.vectorized.running import EVENTS, VectorRun
from appliance.strategy import loader
from appliance.strategy.base import Strategy
from appliance.strategy.indicators.arrays import Floats, Ints
from appliance.strategy.signals import BarArrays, has_signals

Columns = dict[str, BarArrays]
NAMES = ("open", "high", "low", "close", "volume", "start", "end")
BATCH = 8_192
PASTS, PASTS_BYTES = 64, 256_000_000
"""Lengths of warm-up whose arrays are remembered, at most: combinations of one length share their indicators."""


def strategy_class(plan: Plan) -> type[Strategy]:
    """The strategy's class. Raises StrategyError when it does not load, or has no ``signals``; UsageError for a model
    or limits that arrays cannot express."""
    spec = plan.strategy
    found = loader.load_class(source_of(spec), spec.file, spec.class_name or None)
    if not has_signals(found):
        raise StrategyError(
            f"{spec.file}: {found.__name__} has no signals(bars), which --vectorized needs",
            hint="write one, or leave --vectorized away",
        )
    vectorized.check_expressible(plan.model, plan.limits)
    return found


def columns(source: FileSource) -> Columns:
    """The bars of a source by symbol. Raises UsageError for data that are not one series of bars a symbol."""
    found: dict[tuple[str, str], tuple[array[float], ...]] = {}
    source.seek(0)
    done = False
    while not done:
        offer = source.batch(BATCH)
        for event in offer.events:
            if type(event) is not Bar:
                raise UsageError(f"--vectorized: the data hold {type(event).__name__}, not bars alone", hint=EVENTS)
            made = found.get((event.symbol, event.timeframe))
            if made is None:
                made = found[event.symbol, event.timeframe] = tuple(array("q" if at > 4 else "d") for at in range(7))
            for column, value in zip(made, (getattr(event, name) for name in NAMES), strict=True):
                column.append(value)
        done = offer.done
    if len({symbol for symbol, _ in found}) < len(found):
        raise UsageError("--vectorized: a symbol has bars of several lengths", hint=EVENTS)
    return {symbol: _made(symbol, length, map(np.asarray, made)) for (symbol, length), made in sorted(found.items())}


def _made(symbol: str, timeframe: str, given: Iterable[Any]) -> BarArrays:
    """Arrays of the columns ``NAMES``."""
    *prices, start, end = given
    whole: tuple[Any, ...] = (*prices, symbol, timeframe, start, end)
    return BarArrays(*whole)


class Arrays:
    """The data of a sweep as columns, with whatever a combination warms up with before them."""

    def __init__(self, plan: Plan, source: FileSource, sessions: Sessions | None, past: Past) -> None:
        self.strategy = strategy_class(plan)
        self.sessions = sessions
        self._bars, self._past = columns(source), past
        size = sum(len(NAMES) * one.end.nbytes for one in self._bars.values())
        self._room = max(1, min(PASTS, PASTS_BYTES // size))
        self._first = min(int(one.end[0]) for one in self._bars.values())
        self._known: dict[tuple[tuple[str, int], ...], Columns] = {}

    def figures(self, plan: Plan) -> dict[str, Any]:
        """Run and measure: counts and all figures by name. Raises StrategyError for what the strategy raises."""
        bars, since = self._of(plan), self._first - 1
        spec = plan.strategy
        try:
            ran = vectorized.run(
                self.strategy, spec.params, bars, plan.model, plan.cash, self.sessions, plan.limits, since
            )
        except ApplianceError:
            raise
        except Exception as error:
            raise StrategyError(f"{spec.file}: signals raised {type(error).__name__}: {error}") from error
        found = booked(ran, bars, plan.cash, self.sessions, spec.name)
        marks = marked(found, bars, plan.cash, self.sessions, since)
        analysis = of_books(plan.cash, marks, found.book.trades, found.book.entries)
        counts = {"orders": ran.orders, "fills": len(ran.filled), "denied": ran.denied, PERIODS: analysis.year.periods}
        return counts | analysis.figures()

    def agree(self, plan: Plan) -> int:
        """How many fills of a combination were compared with those event by event. Raises StrategyError where
        ``signals`` say otherwise than ``on_bar``, or look ahead."""
        params = plan.strategy.params
        return check_agreement(self.strategy, params, self._bars, plan.model, plan.cash, self.sessions)

    def _of(self, plan: Plan) -> Columns:
        """The columns a combination sees: those of its warm-up first."""
        if not plan.files.start:
            return self._bars
        before = self._past(runner_factory(plan.strategy, self.sessions)())
        key = tuple((symbol, sum(bar.symbol == symbol for bar in before)) for symbol in self._bars)
        if key not in self._known:
            if len(self._known) >= self._room:
                self._known.pop(next(iter(self._known)))
            self._known[key] = {symbol: _joined(before, bars) for symbol, bars in self._bars.items()}
        return self._known[key]


def _joined(before: Sequence[Bar], bars: BarArrays) -> BarArrays:
    past = [bar for bar in before if bar.symbol == bars.symbol and bar.timeframe == bars.timeframe]
    if not past:
        return bars
    old = BarArrays.from_bars(past)
    joined = (np.concatenate((getattr(old, name), getattr(bars, name))) for name in NAMES)
    return _made(bars.symbol, bars.timeframe, joined)


class Booked(NamedTuple):
    """Fills in books; after each of them, its time (ns UTC, when its bar is known), cash, and what the account was
    worth (USD); and of each symbol the times at which a holding began, with its price."""

    book: Book
    times: list[int]
    cash: list[float]
    worths: list[float]
    begun: dict[str, list[tuple[int, float]]]


def booked(
    ran: VectorRun, bars: Mapping[str, BarArrays], cash: Decimal, sessions: Sessions | None, strategy: str
) -> Booked:
    """Book the fills: entries and closed trades, with the best and the worst each of them saw."""
    decided = [Decimal(repr(price)) for price in ran.filled.decided.tolist()]
    found = Booked(Book(cash, sessions, decided=lambda order: decided[int(order) - 1]), [], [], [], {})
    book, since, now = found.book, dict[str, int](), -1
    for fill, at in zip(ran.fills(bars, strategy), ran.filled.bar.tolist(), strict=True):
        symbol, time = fill.symbol, int(bars[fill.symbol].end[at])
        if time > now:
            now = time
            _priced(book, bars, time)
        _seen(book, bars[symbol], since.get(symbol, at), at)
        since[symbol] = at
        if symbol not in book.held:
            found.begun.setdefault(symbol, []).append((time, float(fill.price)))
        book.hears[Fill](fill)
        found.times.append(time)
        found.cash.append(float(book.cash))
        found.worths.append(found.cash[-1] + sum(held.shares * held.last for held in book.held.values()))
    return found


def _priced(book: Book, bars: Mapping[str, BarArrays], time: int) -> None:
    """What is held is worth the close before ``time``."""
    for symbol, held in book.held.items():
        held.last = float(bars[symbol].close[np.searchsorted(bars[symbol].end, time) - 1])


def _seen(book: Book, bars: BarArrays, begin: int, end: int) -> None:
    """Let the lots of a symbol see the prices of rows ``begin`` to ``end``, which is not among them."""
    held = book.held.get(bars.symbol)
    if held is not None and begin < end:
        low, high = float(bars.low[begin:end].min()), float(bars.high[begin:end].max())
        for lots in held.lots:
            lots.see(low, high)


class _Path(NamedTuple):
    """An account at each time, in the order of a ``Mark``."""

    times: Ints
    equity: Floats
    lowest: Floats
    highest: Floats
    cash: Floats
    long: Floats
    short: Floats


def marked(
    found: Booked, bars: Mapping[str, BarArrays], cash: Decimal, sessions: Sessions | None, since: int
) -> list[Mark]:
    """The marks of the equity, from the first bar that ends after ``since`` (ns UTC) on."""
    path = _path(found, bars, float(cash), since)
    if len(path.times) >= MARKS_MAX:
        path = _by_session(path, sessions)
    return [Mark(*row) for row in zip(*(column.tolist() for column in path), strict=True)]


def _path(found: Booked, bars: Mapping[str, BarArrays], cash: float, since: int) -> _Path:
    """As ``Book`` hears it: the fills of a time come first, then its prices, one symbol after the other."""
    times = np.unique(np.concatenate([one.end[one.end > since] for one in bars.values()]))
    at = np.searchsorted(times, found.times)
    money = _stepped(len(times), at, np.array(found.cash), cash)
    lowest, highest = np.full(len(times), np.inf), np.full(len(times), -np.inf)
    np.minimum.at(lowest, at, found.worths)
    np.maximum.at(highest, at, found.worths)
    holdings = [_Holding.of(found, bars[symbol], times) for symbol in sorted(found.begun)]
    running = money.copy()
    for one in holdings:
        running += one.shares * one.before
    long, short = np.zeros(len(times)), np.zeros(len(times))
    for one in holdings:
        base = running - one.shares * one.before
        for price in (one.low, one.high):
            np.minimum(lowest, base + one.shares * price, out=lowest)
            np.maximum(highest, base + one.shares * price, out=highest)
        running = base + one.shares * one.close
        long += (one.shares * one.close).clip(min=0.0)
        short += (one.shares * one.close).clip(max=0.0)
    before = np.concatenate(([cash], running[:-1]))
    lowest, highest = (how(how(side, before), running) for how, side in ((np.minimum, lowest), (np.maximum, highest)))
    return _Path(times, running, lowest, highest, money, long, short)


class _Holding(NamedTuple):
    """Of one symbol at each time: shares after the fills, the price ``before``, and those of its bar; the price before
    where there is no bar."""

    shares: Floats
    before: Floats
    low: Floats
    high: Floats
    close: Floats

    @classmethod
    def of(cls, found: Booked, bars: BarArrays, times: Ints) -> _Holding:
        """The holding of the symbol of ``bars``."""
        rows = np.searchsorted(bars.end, times, side="right") - 1
        there = (rows >= 0) & (bars.end[rows.clip(min=0)] == times)
        previous = np.where(there, rows - 1, rows)
        before = np.where(previous >= 0, bars.close[previous.clip(min=0)], 0.0)
        for time, price in found.begun[bars.symbol]:
            before[np.searchsorted(times, time)] = price
        low, high, close = (np.where(there, column[rows.clip(min=0)], before)
                            for column in (bars.low, bars.high, bars.close))  # fmt: skip
        fills = [entry for entry in found.book.entries if entry.symbol == bars.symbol]
        at = np.searchsorted(times, bars.end[np.searchsorted(bars.start, [fill.time for fill in fills])])
        shares = np.cumsum([float(fill.quantity) for fill in fills])
        return cls(_stepped(len(times), at, shares, 0.0), before, low, high, close)


def _stepped(count: int, at: Ints, values: Floats, first: float) -> Floats:
    """A line that has ``values`` from the places ``at`` on, the last of equal ones, and ``first`` before."""
    place = np.searchsorted(at, np.arange(count), side="right")
    line: Floats = np.concatenate(([first], values))[place]
    return line


def _by_session(path: _Path, sessions: Sessions | None) -> _Path:
    """The last time of each session, with the extremes of all of them."""
    if sessions:
        closes = np.array([session.close for session in sessions], dtype=np.int64)
        group = np.searchsorted(closes, path.times)
    else:
        group = (path.times - 1) // DAY
    first = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    last = np.append(first[1:] - 1, len(group) - 1)
    kept = [column[last] for column in path]
    kept[2], kept[3] = np.minimum.reduceat(path.lowest, first), np.maximum.reduceat(path.highest, first)
    return _Path(*kept)
