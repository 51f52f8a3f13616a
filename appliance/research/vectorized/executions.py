"""From wished targets to fills, by the rules of the event-driven run: exactly, and for the common case all at once.

A target becomes the orders that lead to it (``core.netting``), the guard passes what closes a position and what the
cash pays for at the last price, and market orders fill at the next bar's open unless their session is over by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import numpy as np

from appliance.core.booking import PATIENCE_MAX
from appliance.core.market.crossing import Crossing
from appliance.core.market.resting import NOTHING, Resting
from appliance.core.models import MarketModel
from appliance.core.netting import Leg, legs
from appliance.domain.market import Bar, Sessions
from appliance.domain.trading import ZERO, OrderType, TimeInForce
from appliance.strategy.indicators.arrays import Floats, Ints
from appliance.strategy.signals import BarArrays


class Execution(NamedTuple):
    """One fill: at the open of row ``bar`` of ``symbol``; ``shares`` are signed, ``price`` and ``decided`` (the last
    price when it was decided) USD, ``fee`` USD."""

    symbol: str
    bar: int
    shares: int
    price: float
    fee: Decimal
    decided: float


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """Fills in order, as arrays: ``which`` of the ``symbols``, the row ``bar`` at whose open, ``shares`` (signed),
    ``price`` and ``decided`` (USD), ``fee`` (USD). ``fees`` are the exact ones; None: ``fee`` has few enough digits."""

    symbols: tuple[str, ...]
    which: Ints
    bar: Ints
    shares: Ints
    price: Floats
    fee: Floats
    decided: Floats
    fees: tuple[Decimal, ...] | None = None

    @classmethod
    def of(cls, executions: Sequence[Execution], symbols: Sequence[str]) -> Filled:
        """The same as arrays."""
        places = {symbol: index for index, symbol in enumerate(symbols)}
        names, rows, shares, prices, fees, decided = zip(*executions, strict=True) if executions else ((),) * 6
        which = np.array([places[name] for name in names], dtype=np.int64)
        bar, amounts = (np.array(one, dtype=np.int64) for one in (rows, shares))
        price, fee, close = (np.array(one, dtype=np.float64) for one in (prices, fees, decided))
        return cls(tuple(symbols), which, bar, amounts, price, fee, close, tuple(fees))

    def __len__(self) -> int:
        return len(self.bar)

    def __iter__(self) -> Iterator[Execution]:
        fees = self.fees if self.fees is not None else [exact(fee) for fee in self.fee.tolist()]
        columns = (one.tolist() for one in (self.which, self.bar, self.shares, self.price))
        for which, bar, shares, price, fee, close in zip(*columns, fees, self.decided.tolist(), strict=True):
            yield Execution(self.symbols[which], bar, shares, price, fee, close)


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """What a run has come to: ``cash`` (USD) and ``positions`` (shares) after its last bar, and what became of its
    orders: ``filled``, and how many were ``denied``, ``expired`` or still ``working``."""

    cash: Decimal
    positions: dict[str, int]
    filled: Filled
    denied: int = 0
    expired: int = 0
    working: int = 0


class Rules(NamedTuple):
    """What decides about orders. ``since`` (ns UTC): nothing is wished at bars that end until then."""

    model: MarketModel
    cash: Decimal
    sessions: Sessions | None
    since: int = -1


def wishes(bars: BarArrays, targets: Floats, since: int) -> Ints:
    """Rows at which something is wished."""
    rows = np.flatnonzero(targets == targets)
    return rows[bars.end[rows] > since] if since >= 0 else rows


def walk(bars: Mapping[str, BarArrays], targets: Mapping[str, Floats], rules: Rules) -> Account:
    """One wish after the other, in Decimals, for any number of symbols. ``targets`` are whole shares."""
    return _Walk(bars, targets, rules).run()


class _Refused(NamedTuple):
    """A target that was denied: asked for again after ``patience`` more wishes (see ``core.booking``)."""

    target: int
    held: int
    patience: int = 1
    repeats: int = 0


class _Pending(NamedTuple):
    """Orders of one symbol that wait for its next bar; ``reserved`` USD are what entries among them may need."""

    legs: tuple[Leg, ...]
    expires: int
    decided: float
    reserved: Decimal


class _Walk:
    def __init__(self, bars: Mapping[str, BarArrays], targets: Mapping[str, Floats], rules: Rules) -> None:
        self._bars, self._rules = bars, rules
        self._symbols = sorted(targets)
        self._targets = {symbol: targets[symbol] for symbol in self._symbols}
        self._crossing = Crossing(rules.model, None)
        self._cash = rules.cash
        self._held = dict.fromkeys(self._symbols, 0)
        self._pending: dict[str, _Pending] = {}
        self._refused: dict[str, _Refused] = {}
        self._filled: list[Execution] = []
        self._denied = self._expired = 0

    def run(self) -> Account:
        """Fills of a time come before what is wished then, both by symbol."""
        happens: list[tuple[int, int, int, int]] = []
        for index, symbol in enumerate(self._symbols):
            bars = self._bars[symbol]
            rows = wishes(bars, self._targets[symbol], self._rules.since)
            happens += [(end, 1, index, row) for end, row in zip(bars.end[rows].tolist(), rows.tolist(), strict=True)]
        heapify(happens)
        while happens:
            _, wished, index, row = heappop(happens)
            symbol = self._symbols[index]
            if not wished:
                self._meet(symbol, row)
            elif self._wish(symbol, row, int(self._targets[symbol][row])) and row + 1 < len(self._bars[symbol]):
                heappush(happens, (int(self._bars[symbol].end[row + 1]), 0, index, row + 1))
        working = sum(len(pending.legs) for pending in self._pending.values())
        filled = Filled.of(self._filled, self._symbols)
        return Account(self._cash, self._held, filled, self._denied, self._expired, working)

    def _wish(self, symbol: str, row: int, target: int) -> bool:
        """Whether orders are under way for it."""
        held = self._held[symbol]
        if self._was_refused(symbol, target, held):
            return False
        wanted = legs(Decimal(target), Decimal(held), ZERO) or ()
        close = float(self._bars[symbol].close[row])
        secured = self._secured(symbol, wanted, int(self._bars[symbol].end[row]))
        passed = tuple(leg for leg in wanted if leg.exit or self._pays(leg, close, secured))
        self._denied += len(wanted) - len(passed)
        if len(passed) < len(wanted) and not passed:
            self._refuse(symbol, target, held)
        elif passed:
            self._refused.pop(symbol, None)
            entries = sum((leg.quantity for leg in passed if not leg.exit), ZERO)
            end = int(self._bars[symbol].end[row])
            self._pending[symbol] = _Pending(passed, self._closing(end), close, entries * exact(close))
        return bool(passed)

    def _pays(self, leg: Leg, price: float, secured: Decimal) -> bool:
        """``SufficientCash``: the other symbols' entries under way may still need what they were decided at."""
        reserved = sum((pending.reserved for pending in self._pending.values()), ZERO)
        return leg.quantity * exact(price) + reserved + secured <= self._cash

    def _secured(self, wished: str, wanted: Sequence[Leg], time: int) -> Decimal:
        """USD that short positions keep from being spent: twice their value, once that of what is bought back."""
        secured = ZERO
        for symbol, held in self._held.items():
            if held < 0:
                under_way = self._pending.get(symbol)
                there = wanted if symbol == wished else under_way.legs if under_way is not None else ()
                covered = sum((leg.quantity for leg in there if leg.exit), ZERO)
                bars = self._bars[symbol]
                row = int(np.searchsorted(bars.end, time, side="right")) - 1
                secured += (-2 * held - covered) * exact(float(bars.close[row]))
        return secured

    def _closing(self, time: int) -> int:
        session = self._rules.sessions.coming(time) if self._rules.sessions is not None else None
        return session.close if session is not None else 0

    def _meet(self, symbol: str, row: int) -> None:
        """The bar after a decision: its open fills the orders, unless their session is over."""
        pending, bars = self._pending.pop(symbol), self._bars[symbol]
        if pending.expires and int(bars.start[row]) >= pending.expires:
            self._expired += len(pending.legs)
            return
        for leg in pending.legs:
            price = self._price(symbol, row, leg)
            worth = leg.quantity * exact(price)
            fee = self._rules.model.commission.charge(leg.quantity, worth, leg.side, False)
            shares = int(leg.quantity) * leg.side.sign
            self._cash -= worth * leg.side.sign + fee
            self._held[symbol] += shares
            self._filled.append(Execution(symbol, row, shares, price, fee, pending.decided))

    def _price(self, symbol: str, row: int, leg: Leg) -> float:
        """The open, with slippage and impact as the market model has them."""
        bars = self._bars[symbol]
        price = float(bars.open[row])
        if not self._crossing.slips:
            return price
        columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
        opened, high, low, close, volume = (float(column[row]) for column in columns)
        start, end = int(bars.start[row]), int(bars.end[row])
        bar = Bar(symbol, bars.timeframe, start, end, opened, high, low, close, volume)
        order = Resting(
            "", symbol, leg.side, OrderType.MARKET, leg.quantity, ZERO, 0.0, 0.0, TimeInForce.DAY, bar.start, 0
        )
        return self._crossing.slipped(order, price, float(leg.quantity), bar, NOTHING)

    # --- what was denied, as the host remembers it ----------------------------------------------------------------

    def _refuse(self, symbol: str, target: int, held: int) -> None:
        before = self._refused.get(symbol)
        if before is None or (before.target, before.held) != (target, held):
            self._refused[symbol] = _Refused(target, held)

    def _was_refused(self, symbol: str, target: int, held: int) -> bool:
        refused = self._refused.get(symbol)
        if refused is None:
            return False
        if (refused.target, refused.held) != (target, held):
            del self._refused[symbol]
            return False
        if refused.repeats < refused.patience:
            self._refused[symbol] = refused._replace(repeats=refused.repeats + 1)
            return True
        self._refused[symbol] = refused._replace(patience=min(2 * refused.patience, PATIENCE_MAX), repeats=0)
        return False


def exact(price: float) -> Decimal:
    """A market's number as money counts it."""
    return Decimal(repr(price))
