"""A simulated market: seeded, always open, and a pure function of seed and state.

Time is cut into steps of 250 ms. Each step of each symbol draws from a generator of its own, seeded by (seed, symbol,
step), so nothing but prices and the bar under way has to be saved. Volatility clusters, volume is U-shaped over a UTC
day, prices jump now and then and gap at midnight UTC and over every pause.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

import msgspec
from msgspec import Struct

from appliance.domain.market import DAY, RECORDED, SECOND, Bar, MarketEvent, Quote
from appliance.errors import UsageError

STEP = SECOND // 4
PAUSE = 5 * SECOND
"""Away for longer than this (ns) is a pause: what would have happened meanwhile is a gap, not a burst."""
SYMBOLS = {"ALFA": 48.0, "BRVO": 125.0, "CHLE": 310.0}
"""The symbols of the first run and what they cost to begin with (USD)."""

_YEAR_STEPS = 365 * DAY // STEP
_BASE = 0.60 / math.sqrt(_YEAR_STEPS)  # 60 % a year
_CALM = 0.9995  # half of a burst of volatility is gone after six minutes
_RESTLESS = 0.016
_JUMP_CHANCE, _JUMP = STEP / (900 * SECOND), 0.002
_NIGHT = 0.008
_PULL = STEP / (20 * DAY)  # back towards the first price, so that years do not end at nothing
_CENT = 0.01


class Ticker(Struct):
    """One symbol between two steps: middle price (USD), log of its volatility, and the bar under way."""

    price: float
    heat: float = 0.0
    start: int = 0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0


class MarketState(Struct):
    """All there is to save: the step last taken, and the symbols."""

    step: int
    symbols: dict[str, Ticker]


class SimulatedMarket:
    """Quotes several times a second, and bars of one timeframe, for as long as somebody asks.

    ``advance`` is deterministic: the same seed, state and times give the same events.
    """

    def __init__(
        self, seed: int, start: int, symbols: Mapping[str, float] = SYMBOLS, timeframe: str = "5s", pause: int = PAUSE
    ) -> None:
        """Begin at ``start`` (ns UTC) with ``symbols`` and their first prices (USD). Raises UsageError."""
        if timeframe not in RECORDED:
            raise UsageError(f"timeframe {timeframe!r}", hint=f"it must be one of {', '.join(RECORDED)}")
        for symbol, price in symbols.items():
            if not 1 <= price < math.inf:
                raise UsageError(f"first price {price} of {symbol}", hint="begin at 1 USD or more")
        self._seed, self._timeframe, self._length, self._pause = seed, timeframe, RECORDED[timeframe], pause
        self._anchors = dict(sorted(symbols.items()))
        self._state = MarketState(start // STEP, {name: Ticker(price) for name, price in self._anchors.items()})

    @property
    def time(self) -> int:
        """Up to when the market has been simulated (ns UTC)."""
        return self._state.step * STEP

    def state(self) -> dict[str, object]:
        """Plain data for ``restore``: some hundred bytes a symbol."""
        built: dict[str, object] = msgspec.to_builtins(self._state)
        return built

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a saved state. A symbol that is new since then begins at its first price, one that is gone goes.

        Raises msgspec.ValidationError for anything that ``state`` never gave.
        """
        saved = msgspec.convert(state, MarketState)
        saved.symbols = {name: saved.symbols.get(name, Ticker(price)) for name, price in self._anchors.items()}
        self._state = saved

    def advance(self, until: int) -> tuple[MarketEvent, ...]:
        """What happens after the last call and up to ``until`` (ns UTC), in order of time, symbol, quotes before bars.

        Nothing when ``until`` is in the past. After a pause the bar under way is given up, and the next begins at the
        next full one: a bar that we did not see from beginning to end is not told.
        """
        if until - self.time > self._pause:
            self._skip(until)
        events: list[MarketEvent] = []
        while self.time + STEP <= until:
            self._state.step += 1
            for name, ticker in self._state.symbols.items():
                self._step(name, ticker, events)
        return tuple(events)

    def _skip(self, until: int) -> None:
        """One gap for the whole pause; the last step of it is taken as any other."""
        missed = until // STEP - self._state.step - 1
        self._state.step += missed
        for name, ticker in self._state.symbols.items():
            spread = min(_BASE * math.sqrt(missed), 0.05)
            self._move(name, ticker, self._random(name, "gap").gauss(0, spread))
            ticker.start = 0

    def _step(self, name: str, ticker: Ticker, events: list[MarketEvent]) -> None:
        random, now = self._random(name), self.time
        ticker.heat = _CALM * ticker.heat + random.gauss(0, _RESTLESS)
        volatility = math.exp(ticker.heat)
        move = random.gauss(0, _BASE * volatility)
        if random.random() < _JUMP_CHANCE:
            move += random.gauss(0, _JUMP)
        if now % DAY == 0:
            move += random.gauss(0, _NIGHT)
        self._move(name, ticker, move)
        quote = _quote(name, now, ticker.price, volatility, random)
        begins = now - STEP
        if begins % self._length == 0:
            ticker.start, ticker.volume = begins, 0.0
        if ticker.start:
            _trade(ticker, quote, volatility, begins, random)
        if random.random() < 0.8 or now % SECOND == 0:
            events.append(quote)
        if ticker.start and now % self._length == 0:
            events.append(_bar(name, self._timeframe, ticker, now))
            ticker.start = 0

    def _move(self, name: str, ticker: Ticker, move: float) -> None:
        pull = _PULL * math.log(self._anchors[name] / ticker.price)
        ticker.price = max(ticker.price * math.exp(move + pull), 0.5)

    def _random(self, name: str, purpose: str = "step") -> Random:
        return Random(f"{self._seed}/{name}/{purpose}/{self._state.step}")


def _quote(name: str, now: int, price: float, volatility: float, random: Random) -> Quote:
    """The spread is a cent at least, some basis points of the price, and wider in nervous times."""
    cents = max(1, round(price * 0.00012 * math.sqrt(volatility) * random.uniform(0.7, 1.6) / _CENT))
    bid = max(1, math.floor(price / _CENT - cents / 2))
    bid_size, ask_size = 100.0 * random.randint(1, 12), 100.0 * random.randint(1, 12)
    return Quote(name, now, round(bid * _CENT, 2), round((bid + cents) * _CENT, 2), bid_size, ask_size)


def _trade(ticker: Ticker, quote: Quote, volatility: float, begins: int, random: Random) -> None:
    """Trades of one step at bid or ask; a bar's first step always has one, so that every bar has a price."""
    first = ticker.volume == 0
    rate = 1.2 * _busy(begins) * min(volatility, 4.0)
    trades = max(int(first), int(random.expovariate(1 / rate)))
    for _ in range(min(trades, 20)):
        price = quote.bid if random.random() < 0.5 else quote.ask
        if ticker.volume == 0:
            ticker.open = ticker.high = ticker.low = price
        ticker.high, ticker.low, ticker.close = max(ticker.high, price), min(ticker.low, price), price
        ticker.volume += max(1, round(random.lognormvariate(4.6, 0.9)))


def _busy(time: int) -> float:
    """The U of a day's volume: 1.7 around midnight UTC, 0.5 at noon, 0.9 on average."""
    return 0.5 + 1.2 * (2 * (time % DAY) / DAY - 1) ** 2


def _bar(name: str, timeframe: str, ticker: Ticker, end: int) -> Bar:
    return Bar(name, timeframe, ticker.start, end, ticker.open, ticker.high, ticker.low, ticker.close, ticker.volume)
