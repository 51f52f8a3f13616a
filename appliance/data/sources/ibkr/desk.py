"""What comes over one connection as market data in our form. No clock, no socket: ``received`` is ns UTC."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from appliance.data.sources.base import Kind, Linked, Oddity, Told, Wire
from appliance.data.sources.ibkr.options import IbkrOptions
from appliance.data.sources.ibkr.refusals import Sign, Way, refusal
from appliance.domain.market import MINUTE, SECOND, Bar, Quote, Trade, TradingStatus
from appliance.errors import SourceBusy, SourceDown, SourceError

LENGTH = 5 * SECOND
TIMEFRAME = "5s"
DELAY = 15 * MINUTE
"""How late delayed data are."""
_REFUSED_BELOW = (2100, 2200)
"""Codes in here are notices, also when they come with a request's id."""
_REALTIME_KINDS = {0: "bid_size", 1: "bid", 2: "ask", 3: "ask_size", 4: "last", 5: "last_size", 49: "halted"}
_DELAYED_KINDS = {69: "bid_size", 66: "bid", 67: "ask", 70: "ask_size", 68: "last", 71: "last_size", 90: "halted"}
_PERMITTED_DELAY = 10167
_HALTS = {0: "trading", 1: "general halt", 2: "volatility halt"}
_LARGEST = 1e300
"""IB's way to say nothing is the largest number there is."""


class Tick(NamedTuple):
    """A price or size as IB tells it, by its tick type; a size alone comes with the price it is of."""

    kind: int
    price: float
    size: float


class Prices(NamedTuple):
    """Of a bar, USD."""

    open: float
    high: float
    low: float
    close: float


class Lane(Struct):
    """What is known of one symbol: each side's price and size (NaN: not known), the last trade, and how late (ns) they
    are told."""

    bid: float = math.nan
    ask: float = math.nan
    bid_size: float = 0.0
    ask_size: float = 0.0
    last: float = math.nan
    last_size: float = 0.0
    late: int = 0


class Line(NamedTuple):
    """What a request id stands for."""

    symbol: str
    kind: str


class Desk:
    """``again`` asks for a new subscription to all, ``ended`` is the error that ends the connection.

    Nothing is told before ``link``: what comes earlier is told after it. Heartbeats count as signs of life only while
    IB's servers can be reached: a gateway that answers although it is cut off from them is as good as mute. ``halted``,
    what was told of each symbol, outlives a connection.
    """

    def __init__(
        self, options: IbkrOptions, symbols: Sequence[str], kinds: Sequence[Kind], halted: dict[str, bool]
    ) -> None:
        self._options = options
        self._kinds = frozenset(kinds)
        self._codes = _REALTIME_KINDS | (_DELAYED_KINDS if options.delayed else {})
        self._way = Way()
        self._halts = halted
        self._lines: dict[int, Line] = {}
        self._lanes = {symbol: Lane() for symbol in symbols}
        self._busy: dict[str, None] = {}
        self._held: list[Told] = []
        self._linked = False
        self._anew: tuple[str, ...] | None = None
        self.lacking: dict[str, str] = {}
        self.errors: list[SourceError] = []
        self.again = False
        self.ended: SourceError | None = None

    @property
    def served(self) -> tuple[str, ...]:
        """The symbols of which nothing is refused."""
        return tuple(symbol for symbol in self._lanes if symbol not in self.lacking)

    def lacks(self, symbol: str, error: SourceError) -> None:
        """A symbol is refused, with why."""
        self.lacking.setdefault(symbol, error.text)
        self.errors.append(error)
        if isinstance(error, SourceBusy):
            self._busy[symbol] = None

    def opened(self, request: int, symbol: str, kind: str) -> None:
        """A subscription was asked for under this id."""
        self._lines[request] = Line(symbol, kind)

    def closed(self) -> None:
        """All subscriptions are gone; what is known of prices is no longer known."""
        self.again = False
        self._anew = None
        self._lines.clear()
        self._lanes = {symbol: Lane() for symbol in self._lanes}

    @property
    def busy(self) -> bool:
        """Whether IB was too busy for some symbol, and may be asked again."""
        return bool(self._busy)

    def reopen(self) -> tuple[str, ...]:
        """The symbols that IB was too busy for, which are lacking no more: to be asked for again."""
        self._anew = again = tuple(self._busy)
        self._busy.clear()
        for symbol in again:
            del self.lacking[symbol]
            self._lanes[symbol] = Lane()
        return again

    def forget(self, symbol: str) -> list[tuple[int, str]]:
        """Ids and kinds of what is still subscribed to of a symbol that is given up."""
        left = [(request, line.kind) for request, line in self._lines.items() if line.symbol == symbol]
        for request, _ in left:
            del self._lines[request]
        return left

    def link(self) -> list[Told]:
        """Say what is subscribed to, then what has come before."""
        self._linked = True
        held, self._held = self._held, []
        anew, self._anew = self._anew, None
        return [Linked(self.served, dict(self.lacking), anew), *held]

    def alive(self) -> list[Told]:
        """The gateway answered a heartbeat."""
        return self._out([Wire()] if self._way.open else [])

    def odd(self, text: str) -> list[Told]:
        """Something could not be read."""
        return self._out([Oddity(text)])

    def notice(self, request: int, code: int, text: str) -> list[Told]:
        """An error or a notice came."""
        line = self._lines.get(request)
        if line is not None and not _REFUSED_BELOW[0] <= code < _REFUSED_BELOW[1]:
            return self._refused(request, line, code, text)
        if request != -1:
            return []  # the answer to a question: whoever asked it knows
        was_open, sign = self._way.open, self._way.take(code, text)
        if sign is Sign.EMPTY:
            self.again = True
        if sign is Sign.ENDED:
            self.ended = SourceDown(f"{text} (code {code})", source=self._options.name)
        odd = [] if sign in (Sign.FINE, Sign.MENDED) else self._out([Oddity(f"{text} (code {code})")])
        return odd + self._back() if self._way.open and not was_open else odd

    def _back(self) -> list[Told]:
        """IB's servers were away: what happened meanwhile was not told. Where all is asked for again, that tells it."""
        return [Linked(self.served, dict(self.lacking))] if self._linked and not self.again else []

    def _refused(self, request: int, line: Line, code: int, text: str) -> list[Told]:
        if code == _PERMITTED_DELAY and self._options.delayed:
            return []
        del self._lines[request]
        self.lacks(line.symbol, refusal(self._options.name, line.symbol, code, text))
        return [Linked(self.served, dict(self.lacking), ())] if self._linked else []

    def bar(self, symbol: str, epoch: int, prices: Prices, volume: float, received: int) -> list[Told]:
        """A 5-second bar that begins at ``epoch`` (s). One without a trade repeats the last price: it is no bar."""
        if symbol in self.lacking:
            return []
        if any(not abs(price) < _LARGEST for price in prices):
            return self._out([Oddity(f"{symbol}: a bar without its prices: {tuple(prices)}")])
        if self._options.show == "TRADES" and volume <= 0:
            return self.alive()
        start = epoch * SECOND
        size = max(volume, 0.0) * self._options.lot
        bar = Bar(
            symbol, TIMEFRAME, start, start + LENGTH, prices.open, prices.high, prices.low, prices.close, size,
            self._options.name, received,
        )  # fmt: skip
        return self._out([bar])

    def ticks(self, symbol: str, ticks: Iterable[Tick], received: int) -> list[Told]:
        """The ticks of one piece of data: at most one quote comes of them, with all of them in it."""
        if symbol in self.lacking:
            return []
        lane = self._lanes[symbol]
        before = _sides(lane)
        told: list[Told] = []
        for tick in ticks:
            told += self._tick(symbol, lane, tick, received)
        if Kind.QUOTES in self._kinds and _sides(lane) != before and lane.bid > 0 and lane.ask > 0:
            time = received - lane.late
            sides = lane.bid, lane.ask, lane.bid_size, lane.ask_size
            told.append(Quote(symbol, time, *sides, source=self._options.name, received=received))
        return self._out(told)

    def _tick(self, symbol: str, lane: Lane, tick: Tick, received: int) -> list[Told]:
        name = self._codes.get(tick.kind, "")
        if name:  # who asks for delayed data gets them in time where the account has a subscription
            lane.late = DELAY if tick.kind in _DELAYED_KINDS else 0
        size = tick.size * self._options.lot
        if name in ("bid", "bid_size"):
            lane.bid, lane.bid_size = _side(tick.price, size)
        elif name in ("ask", "ask_size"):
            lane.ask, lane.ask_size = _side(tick.price, size)
        elif name in ("last", "last_size"):
            return self._last(symbol, lane, tick, size, received)
        elif name == "halted":
            return self._halted(symbol, tick.price, received - lane.late)
        return []

    def _last(self, symbol: str, lane: Lane, tick: Tick, size: float, received: int) -> list[Told]:
        """The gateway repeats a trade's size by itself after its price: the same one is not told twice. The first that
        it tells is the last before we subscribed, perhaps yesterday's: it is told of no time, so it is not told."""
        same = (tick.price, size) == (lane.last, lane.last_size)
        if not 0 < tick.price < _LARGEST or size <= 0 or (same and self._codes[tick.kind] == "last_size"):
            return []
        first = math.isnan(lane.last)
        lane.last, lane.last_size = tick.price, size
        if first or Kind.TRADES not in self._kinds:
            return []
        return [Trade(symbol, received - lane.late, tick.price, size, self._options.name, received)]

    def _halted(self, symbol: str, value: float, time: int) -> list[Told]:
        """1: a regulator or the exchange halted it, 2: its volatility did. A change is told; at first all trade.
        Below 0 it is not known."""
        if value < 0:
            return []
        halted, before = value > 0, self._halts.get(symbol, False)
        self._halts[symbol] = halted
        if Kind.STATUSES not in self._kinds or halted == before:
            return []
        code = int(value)
        reason = _HALTS.get(code, "halted")
        return [TradingStatus(symbol, time, halted, str(code), reason, self._options.name)]

    def _out(self, told: list[Told]) -> list[Told]:
        if self._linked:
            return told
        self._held += told
        return []


def _side(price: float, size: float) -> tuple[float, float]:
    """A price of nothing, or for nothing, is none."""
    return (price, size) if 0 < price < _LARGEST and size > 0 else (math.nan, 0.0)


def _sides(lane: Lane) -> tuple[float, ...]:
    return tuple(0.0 if math.isnan(value) else value for value in (lane.bid, lane.ask, lane.bid_size, lane.ask_size))
