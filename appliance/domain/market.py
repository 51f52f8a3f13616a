"""What markets say: bars, quotes, trades, and when they are open. Floats: markets are measured.

Times are integer nanoseconds since the epoch, UTC. A bar covers ``[start, end)`` and is known at ``end``.
Prices are USD, raw (unadjusted); sizes and volumes are shares.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from msgspec import Struct

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

RECORDED: dict[str, int] = {
    "1s": SECOND, "5s": 5 * SECOND, "10s": 10 * SECOND, "15s": 15 * SECOND, "30s": 30 * SECOND,
    "1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE, "1h": HOUR, "1d": DAY,
}  # fmt: skip
"""Timeframes of files and of the simulated market, with their nominal length in ns: a bar lies in one session, and its
end is its start and that length, or its session's close."""
TIMEFRAMES: dict[str, int] = {**RECORDED, "2h": 2 * HOUR, "4h": 4 * HOUR, "1w": WEEK, "1mo": 30 * DAY}
"""Name of each timeframe that bars are asked for in and its nominal length in ns. Where a bar begins and ends is known
by its sessions only (``appliance.core.spans``): a month has 28 to 31 days, and no bar reaches over a close."""

UNITS: dict[str, int] = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK, "mo": 30 * DAY}
"""What a length of time is counted in, and its nominal length in ns."""
_TIMEFRAME = re.compile(r"([1-9][0-9]{0,4})(s|m|h|d|w|mo)")


def timeframe_parts(text: str) -> tuple[int, str]:
    """Count and unit of a length of time: ``"15m"`` is ``(15, "m")``. Raises ValueError naming what is allowed."""
    found = _TIMEFRAME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r}: write a whole number and {', '.join(UNITS)}, such as 30s, 5m, 1h, 1d, 1w or 1mo")
    count, unit = int(found[1]), found[2]
    if unit in ("s", "m", "h") and count * UNITS[unit] >= DAY:
        raise ValueError(f"{text!r}: seconds, minutes and hours stay below a day; write 1d, 1w or 1mo")
    return count, unit


def timeframe_ns(text: str) -> int:
    """Nominal length (ns) of a timeframe: ``timeframe_ns("15m")``. Days are 24 hours and months 30 days here, whatever
    the sessions are. Raises ValueError naming what is allowed."""
    count, unit = timeframe_parts(text)
    return count * UNITS[unit]


class Instrument(Struct, frozen=True):
    """What is traded. ``tick`` is the price step in USD and ``lot`` the quantity step in shares."""

    symbol: str
    tick: str = "0.01"
    lot: str = "1"
    kind: str = "stock"
    currency: str = "USD"


class Bar(Struct, frozen=True, gc=False, tag="bar", omit_defaults=True):
    """Open, high, low and close of the trades in ``[start, end)``; ``volume`` in shares.

    ``source`` is who told it and ``received`` when (ns UTC; "" and 0: recorded data). ``revision`` counts what its
    source made of it since: a bar at or before the last one of its symbol and timeframe is never new.
    """

    symbol: str
    timeframe: str
    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    source: str = ""
    received: int = 0
    revision: int = 0


class QuoteBar(Struct, frozen=True, gc=False, tag="quote_bar"):
    """Open, high, low and close of bid and ask in ``[start, end)``; sizes at the close, in shares."""

    symbol: str
    timeframe: str
    start: int
    end: int
    bid_open: float
    bid_high: float
    bid_low: float
    bid_close: float
    ask_open: float
    ask_high: float
    ask_low: float
    ask_close: float
    bid_size: float = 0.0
    ask_size: float = 0.0


class Quote(Struct, frozen=True, gc=False, tag="quote", omit_defaults=True):
    """Best bid and ask at ``time``. A conflated quote also carries the extremes since the one before it:
    ``low`` is the lowest bid at ``low_time``, ``high`` the highest ask at ``high_time`` (0 time: none kept)."""

    symbol: str
    time: int
    bid: float
    ask: float
    bid_size: float = 0.0
    ask_size: float = 0.0
    low: float = 0.0
    low_time: int = 0
    high: float = 0.0
    high_time: int = 0
    source: str = ""
    received: int = 0


class Trade(Struct, frozen=True, gc=False, tag="trade", omit_defaults=True):
    """One trade of ``size`` shares at ``price``."""

    symbol: str
    time: int
    price: float
    size: float
    source: str = ""
    received: int = 0


class TradingStatus(Struct, frozen=True, gc=False, tag="trading_status"):
    """The exchange stopped (``halted``) or resumed trading of a symbol; ``code`` and ``reason`` as it says it."""

    symbol: str
    time: int
    halted: bool
    code: str = ""
    reason: str = ""
    source: str = ""


class PriceBand(Struct, frozen=True, gc=False, tag="price_band"):
    """Limit up, limit down: no trade below ``low`` or above ``high`` (USD) from ``time`` on."""

    symbol: str
    time: int
    low: float
    high: float
    source: str = ""


class SymbolStatus(Struct, frozen=True, gc=False, tag="symbol_status"):
    """What exchanges say of a symbol besides its prices: whether trading is ``halted`` since ``time`` (ns UTC; 0:
    nobody said), why, and the price band that was told last (USD, from ``band`` on; 0: none was)."""

    symbol: str
    halted: bool = False
    time: int = 0
    code: str = ""
    reason: str = ""
    low: float = 0.0
    high: float = 0.0
    band: int = 0
    source: str = ""


class Split(Struct, frozen=True, gc=False, tag="split"):
    """From ``time`` on there are ``new`` shares where there were ``old`` ones (7 for 1; a reverse split 1 for 20);
    ``price`` is the last one before it (USD), at which a fraction of a share is paid out; 0: unknown."""

    symbol: str
    time: int
    new: int
    old: int
    price: Decimal = Decimal(0)


class Dividend(Struct, frozen=True, gc=False, tag="dividend"):
    """Who held the symbol before ``time`` gets ``amount`` USD a share; who was short pays it."""

    symbol: str
    time: int
    amount: Decimal


MarketEvent = Bar | QuoteBar | Quote | Trade
Heard = Bar | Quote | Trade | TradingStatus | PriceBand
"""What a live source tells."""
CorporateAction = Split | Dividend
"""What changes raw prices and positions without a trade. ``time`` is before the first event of the ex-date (ns UTC)."""
ACTIONS = (Split, Dividend)


def known_at(event: MarketEvent | CorporateAction) -> int:
    """When an event can be known (ns UTC): the end of a bar, the time of all else."""
    return event.end if isinstance(event, Bar | QuoteBar) else event.time


def last_price(event: MarketEvent) -> float:
    """The price (USD) an event leaves behind: last trade, or the middle of the last bid and ask."""
    if isinstance(event, Bar):
        return event.close
    if isinstance(event, Trade):
        return event.price
    if isinstance(event, QuoteBar):
        return (event.bid_close + event.ask_close) / 2
    return (event.bid + event.ask) / 2


def middle(bar: QuoteBar) -> Bar:
    """The middle of bid and ask as a bar of its own, without volume."""
    return Bar(
        bar.symbol, bar.timeframe, bar.start, bar.end, (bar.bid_open + bar.ask_open) / 2,
        (bar.bid_high + bar.ask_high) / 2, (bar.bid_low + bar.ask_low) / 2, (bar.bid_close + bar.ask_close) / 2, 0.0,
    )  # fmt: skip


class Session(Struct, frozen=True, gc=False):
    """One trading session ``[open, close)``, ns UTC, of the exchange's calendar day ``date`` (YYYY-MM-DD)."""

    date: str
    open: int
    close: int


class Sessions:
    """A session calendar compiled to a table: in-memory bisection, no calendar library in a live process."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._sessions = tuple(sessions)
        self._opens = [session.open for session in self._sessions]
        self._closes = [session.close for session in self._sessions]

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._sessions)

    def at(self, time: int) -> Session | None:
        """The session that contains ``time`` (ns UTC), or None when the market is closed."""
        index = bisect_right(self._opens, time) - 1
        if index < 0 or time >= self._sessions[index].close:
            return None
        return self._sessions[index]

    def next_open(self, time: int) -> int | None:
        """The first open (ns UTC) after ``time``, or None beyond the table."""
        index = bisect_right(self._opens, time)
        return self._opens[index] if index < len(self._opens) else None

    def contains(self, start: int, end: int) -> bool:
        """Whether ``[start, end)`` (ns UTC) lies inside one session."""
        session = self.at(start)
        return session is not None and end <= session.close

    def coming(self, time: int) -> Session | None:
        """The session that contains ``time`` (ns UTC), else the next one, or None beyond the table."""
        index = bisect_right(self._closes, time)
        return self._sessions[index] if index < len(self._sessions) else None

    def previous(self, time: int) -> Session | None:
        """The last session that had closed at ``time`` (ns UTC), or None before the table."""
        index = bisect_right(self._closes, time) - 1
        return self._sessions[index] if index >= 0 else None

    def number(self, session: Session) -> int:
        """Which session it is: neighbours differ by one."""
        return bisect_right(self._opens, session.open) - 1


class AlwaysOpen(Sessions):
    """A market that never closes: one session a UTC day, and everything is inside."""

    def __init__(self) -> None:
        super().__init__(())

    def at(self, time: int) -> Session:
        """The UTC day that contains ``time`` (ns UTC)."""
        start = time - time % DAY
        return Session(date.fromordinal(_EPOCH + start // DAY).isoformat(), start, start + DAY)

    def next_open(self, time: int) -> int:
        """The next UTC midnight (ns) after ``time``."""
        return time - time % DAY + DAY

    def contains(self, start: int, end: int) -> bool:
        """Always."""
        return True

    def coming(self, time: int) -> Session:
        """The UTC day that contains ``time`` (ns UTC)."""
        return self.at(time)

    def previous(self, time: int) -> Session:
        """The UTC day before that of ``time`` (ns UTC)."""
        return self.at(time - time % DAY - DAY)

    def number(self, session: Session) -> int:
        """Days since 1970."""
        return session.open // DAY


_EPOCH = date(1970, 1, 1).toordinal()
