"""A strategy's rule over whole arrays: the same trades as the event-driven run, a hundred times as fast.

``run`` asks ``Strategy.signals`` for a target after each bar and fills them by the rules of the shipped cores. What
cannot be done by those rules without going through every event is refused and never approximated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from appliance.core.limits import LimitValues
from appliance.core.models import MarketModel
from appliance.data.layout import BARS
from appliance.data.sources.files import FileSource
from appliance.domain.market import Sessions
from appliance.domain.trading import Fill, Side
from appliance.errors import UsageError
from appliance.research.vectorized.at_once import at_once, worth_of
from appliance.research.vectorized.executions import Account, Filled, Rules, walk
from appliance.strategy.base import Strategy
from appliance.strategy.indicators.arrays import COLUMNS
from appliance.strategy.params import Value
from appliance.strategy.signals import BarArrays, targets

EXPRESSIBLE = ("commission", "sizing", "slippage", "impact", "financing", "fills")
"""Choices of a market model that arrays can follow; all others must be as by default. Of ``fills`` a market order needs
one rule alone; nothing is lent in the default kind of account, so that ``financing`` costs nothing."""
EVENTS = "run it event by event: without --vectorized"


@dataclass(frozen=True, slots=True, eq=False)
class VectorRun:
    """One run. ``bars`` were seen, ``cash`` and ``equity`` (USD) are those after the last of them, ``filled`` what was
    traded; of the orders, so many were ``denied``, ``expired`` with their session, or are still ``working``."""

    bars: int
    cash: Decimal
    equity: Decimal
    positions: dict[str, int]
    filled: Filled
    denied: int
    expired: int
    working: int

    @property
    def orders(self) -> int:
        """Orders that came to the market."""
        return len(self.filled) + self.expired + self.working

    @property
    def fees(self) -> Decimal:
        """Commissions paid, USD."""
        return sum((one.fee for one in self.filled), Decimal(0))

    def fills(self, bars: Mapping[str, BarArrays], strategy: str = "strategy") -> Iterator[Fill]:
        """The fills as the event-driven run tells of them, to book them (``core.bookkeeping.Book``); keys and ids of
        orders count from 1."""
        for number, one in enumerate(self.filled, 1):
            side = Side.BUY if one.shares > 0 else Side.SELL
            time = int(bars[one.symbol].start[one.bar])
            quantity, price = Decimal(abs(one.shares)), Decimal(repr(one.price))
            yield Fill(str(number), str(number), strategy, one.symbol, side, quantity, price, one.fee, time)


def run(
    strategy: type[Strategy],
    params: Mapping[str, Value],
    bars: Mapping[str, BarArrays],
    model: MarketModel = MarketModel(),  # noqa: B008 - frozen
    cash: Decimal = Decimal(100_000),
    sessions: Sessions | None = None,
    limits: LimitValues = LimitValues(),  # noqa: B008 - frozen
    since: int = -1,
) -> VectorRun:
    """One run of a strategy over ``bars`` by symbol; the arrays are read only and may be shared between processes.

    ``cash`` is the opening balance (USD), ``sessions`` None a market that never closes; bars that end until ``since``
    (ns UTC) only warm up. Raises UsageError for a model or limits that arrays cannot express, StrategyError for
    parameters or an answer that is none (see ``strategy.signals.targets``).
    """
    check_expressible(model, limits)
    values = strategy.configure(params)
    wanted = targets(strategy, values, bars, sessions, strategy.__name__)
    rules = Rules(model, cash, sessions, since)
    account = at_once(bars, wanted, rules) or walk(bars, wanted, rules)
    return _told(account, {symbol: bars[symbol] for symbol in wanted})


def _told(account: Account, bars: Mapping[str, BarArrays]) -> VectorRun:
    return VectorRun(
        sum(map(len, bars.values())), account.cash, worth_of(account, bars), account.positions, account.filled,
        account.denied, account.expired, account.working,
    )  # fmt: skip


def check_expressible(model: MarketModel, limits: LimitValues = LimitValues()) -> None:  # noqa: B008 - frozen
    """Raise UsageError naming the first choice that arrays cannot follow."""
    default = MarketModel()
    for name in MarketModel.__struct_fields__:
        if name not in EXPRESSIBLE and getattr(model, name) != getattr(default, name):
            raise UsageError(f"vectorized: {name} is {getattr(model, name)!r}", hint=EVENTS)
    if model.fills.market != default.fills.market:
        raise UsageError(
            f"vectorized: market orders fill {model.fills.market}", hint=f"only {default.fills.market} can be; {EVENTS}"
        )
    for name in LimitValues.__struct_fields__:
        if getattr(limits, name) != getattr(LimitValues(), name):
            raise UsageError(f"vectorized: the limit {name} is {getattr(limits, name)}", hint=EVENTS)


def bars_of(source: FileSource) -> dict[str, BarArrays]:
    """The trade bars of files by symbol, as they are delivered: all of them in memory, 56 bytes a bar.

    Raises UsageError for files with anything else in them (quotes, ticks, splits and dividends that happen), and for
    two files with bars of one symbol.
    """
    found: dict[str, BarArrays] = {}
    for track in source.bars():
        if track.kind is BARS and track.symbol in found:
            raise UsageError(f"vectorized: two files have bars of {track.symbol}", hint=EVENTS)
        if track.kind is BARS:
            known, starts, numbers, _ = track.block(0, len(track))
            columns = dict(zip(COLUMNS, np.ascontiguousarray(numbers.T), strict=True))
            found[track.symbol] = BarArrays(
                symbol=track.symbol, timeframe=track.timeframe, start=starts, end=known, **columns
            )
    if source.actions() or sum(map(len, found.values())) != source.report.events:
        raise UsageError("vectorized: the files hold more than bars of trades", hint=EVENTS)
    return found
