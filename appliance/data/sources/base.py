"""What a source of market data is: recorded events for a replay, history that is asked for, and live data that is told.

Everything a source gives is of one form: times in ns UTC, bars stamped with their end, raw prices in USD (not adjusted
for splits or dividends), sizes in shares or coins. What its server calls things stays inside the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct

from appliance.domain.market import Bar, CorporateAction, Heard, Quote, Trade
from appliance.domain.messages import Offer


class Source(Protocol):
    """Market events in delivery order. Deterministic: the same position always gives the same events."""

    @property
    def position(self) -> int:
        """Market events consumed since the beginning."""

    def seek(self, position: int) -> None:
        """Go on after ``position`` events, as after a restart. Raises DataError when there are not that many."""

    def batch(self, limit: int) -> Offer:
        """The next events: at least ``limit`` of them while there are, and never a part of one timestamp.

        ``position`` is the source's after them, ``outside`` counts rows outside the sessions from the beginning up to
        here (a total, so that it survives restarts), ``done`` says that nothing follows.
        """

    def step(self) -> Offer:
        """The events of the next timestamp (``known_at``) alone."""


class Kind(Enum):
    """What can be subscribed to. BARS brings revised bars too, STATUSES halts and price bands."""

    BARS = "bars"
    QUOTES = "quotes"
    TRADES = "trades"
    STATUSES = "statuses"

    __hash__ = object.__hash__


class Traits(Struct, frozen=True):
    """What a source can do. ``live``: the kinds it tells; ``timeframes``: those of its bars, live first. ``symbols``:
    how many it takes at once (0: any number). ``mute`` (ns): in session the longest silence in session.
    ``history``: whether it answers questions about the past, ``actions`` whether it knows splits and dividends.
    ``sampled``: kinds of which it tells only some."""

    live: tuple[Kind, ...] = ()
    timeframes: tuple[str, ...] = ("1m",)
    symbols: int = 0
    mute: int = 10_000_000_000
    history: bool = False
    actions: bool = False
    sampled: tuple[Kind, ...] = ()


class HistorySource(Protocol):
    """Past data from one place. Blocking; called from a thread of its own. Every call has a deadline, and no call
    retries by itself: who asks has a token bucket, a circuit breaker and other sources.

    Errors: SourceDown, SourceBusy, SourceNonsense, SourceRefused; DataError for a question that makes no sense.
    """

    name: str
    traits: Traits

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        """Complete bars with ``start <= bar.start`` and ``bar.end <= end`` (ns UTC), page by page as the server sends
        them; in each page by symbol, then end. A bar that is not there was not traded."""

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        """Splits and dividends with an ex-date in ``[start, end)`` (ns UTC); () where ``traits.actions`` is false."""

    def close(self) -> None:
        """Leave its server; the next question connects again."""


class TickHistory(Protocol):
    """A history source that also has quotes and trades."""

    def quotes(self, symbol: str, start: int, end: int) -> Iterator[tuple[Quote, ...]]:
        """Quotes in ``[start, end)`` (ns UTC), page by page, in order of time."""

    def trades(self, symbol: str, start: int, end: int) -> Iterator[tuple[Trade, ...]]:
        """Trades in ``[start, end)`` (ns UTC), page by page, in order of time."""


class Linked(Struct, frozen=True):
    """Connected, authenticated and subscribed to ``symbols``; what the source refuses is in ``lacking``, with why.
    When it is told again, ``anew`` are those that are subscribed to anew (None: all): what happened to them just before
    may have been missed."""

    symbols: tuple[str, ...]
    lacking: dict[str, str] = {}
    anew: tuple[str, ...] | None = None


class Wire(Struct, frozen=True):
    """The peer gave a sign of life that is no market data (a pong, a heartbeat)."""


class Oddity(Struct, frozen=True):
    """Something that could not be understood was left out: ``text`` says what, and the first bytes of it."""

    text: str


Told = Linked | Wire | Oddity | Heard
"""What a live source says while it runs; each bar, quote and trade carries ``source`` and ``received``."""
Tell = Callable[[Told], None]
"""Takes what was told, at once and from any thread; never blocks, never raises."""


class Stop(Protocol):
    """Whether to stop: ``threading.Event``."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


class LiveSource(Protocol):
    """Live data from one place: one call of ``run`` is one connection. Who calls it decides when to try again."""

    name: str
    traits: Traits

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        """Connect, subscribe, tell ``Linked``, and then all that comes, until ``stop`` is set (returns within a second)
        or the connection ends. Blocking; runs in a thread of its own, with an event loop of its own where it needs one.

        Raises SourceDown (not reachable, hung up, no sign of life), SourceBusy, SourceNonsense, SourceRefused.
        """
