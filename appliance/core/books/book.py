"""A run's books, kept by listening: entries, trades by FIFO and by average cost, and marks of the equity.

It hears the rare messages of ``gateway/orders`` (``note``), prices only while something is held (``price``), and how
time goes on (``turn``). At any prices, exactly: equity = cash + positions, and the opening cash plus all entries is the
cash. Interest of a session's close is told after it, and so is part of the mark of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from appliance.core.books.entries import Entry, EntryKind, Mark, Trade
from appliance.core.books.lots import Fifo
from appliance.core.metrics.trips import RoundTrip, RoundTrips
from appliance.domain.market import AlwaysOpen, Bar, MarketEvent, Quote, QuoteBar, Sessions, last_price
from appliance.domain.messages import Event
from appliance.domain.trading import ZERO, Activity, ActivityKind, Fill, Part

SESSION, EVENT, AUTO = "session", "event", "auto"
MARKS_MAX = 25_000
"""Marks of single times (60 sessions of one-minute bars) from which on only those of session closes are kept."""
FOREVER = 1 << 62
_QUOTES = (QuoteBar, Quote)
_CASH = {
    ActivityKind.DIVIDEND: EntryKind.DIVIDEND,
    ActivityKind.SPLIT: EntryKind.SPLIT,
    ActivityKind.BORROW: EntryKind.BORROW,
    ActivityKind.INTEREST: EntryKind.INTEREST,
}


class _Held:
    """What is held of one symbol: shares as a float, the last price, whether that is of a trade, and the lots that see
    its prices."""

    __slots__ = ("last", "lots", "shares", "trades")

    def __init__(self, last: float) -> None:
        self.shares = 0.0
        self.last = last
        self.trades = False
        self.lots: tuple[Fifo, ...] = ()


def _unknown(order_id: str) -> Decimal | None:
    return None


class Book:
    """``cash`` is the opening balance (USD). ``mark_every`` says when the equity is marked: at each ``session`` close,
    after each ``event`` time, or ``auto``: each time, until there are ``MARKS_MAX`` of them. ``decided`` finds the last
    price (USD) when an order was decided. ``sessions`` None: a market that never closes."""

    def __init__(
        self,
        cash: Decimal,
        sessions: Sessions | None = None,
        mark_every: str = AUTO,
        decided: Callable[[str], Decimal | None] = _unknown,
    ) -> None:
        self.opening = cash
        self.cash = cash
        self.entries: list[Entry] = []
        self.trades: list[Trade] = []
        self.trips: list[RoundTrip] = []
        self.positions: dict[str, Decimal] = {}
        self.held: dict[str, _Held] = {}
        self.due = -1
        self.through = 0
        self.hears: dict[type, Callable[[Any], None]] = {Fill: self._fill, Activity: self._activity}
        self._decided = decided
        self._sessions = sessions if sessions else AlwaysOpen()
        self._every, self._thins = (EVENT, True) if mark_every == AUTO else (mark_every, False)
        self._lots: dict[tuple[str, str], Fifo] = {}
        self._under_way: dict[str, RoundTrips] = {}
        self._marks: list[Mark] = []
        self._open = 0  # of the session under way, where marks are of sessions
        self._since = -1  # when something began to be held; -1: nothing is
        self._busy = 0  # ns of the session under way with something held, up to the last time there was nothing
        self._leverage = 0.0
        self._money = self._equity = self._lowest = self._highest = float(cash)

    # --- what is heard --------------------------------------------------------------------------------------------

    def note(self, event: Event) -> None:
        """Hear one message; other types are ignored."""
        hear = self.hears.get(type(event.body))
        if hear is not None:
            hear(event.body)

    def _fill(self, fill: Fill) -> None:
        amount = -fill.signed * fill.price - fill.commission
        self.cash += amount
        self.positions[fill.symbol] = self.positions.get(fill.symbol, ZERO) + fill.signed
        self.entries.append(
            Entry(
                fill.time, EntryKind.FILL, fill.symbol, fill.signed, fill.price, fill.commission, amount, self.cash,
                fill.order_id, fill.strategy, self._decided(fill.order_id),
            )
        )  # fmt: skip
        self.trades += self._fifo(fill.strategy, fill.symbol).fill(fill)
        self._close(fill.strategy, self._trips(fill.strategy).fill(fill))
        self._weigh(fill.symbol, float(fill.price))
        self._hold(fill.time)

    def _activity(self, activity: Activity) -> None:
        kind = _CASH.get(activity.kind)
        if kind is None:
            return
        for part in activity.parts:
            self._part(activity, kind, part)
        if kind is EntryKind.SPLIT:
            self.positions[activity.symbol] = activity.position
            held = self.held.get(activity.symbol)
            last = held.last * activity.old / activity.new if held is not None else 0.0
            self._weigh(activity.symbol, last, anew=True)
        else:
            self._weigh("", 0.0)
        self._hold(activity.time)

    def _part(self, activity: Activity, kind: EntryKind, part: Part) -> None:
        change = ZERO
        if kind is EntryKind.SPLIT and part.strategy:
            fifo = self._fifo(part.strategy, activity.symbol)
            change = part.quantity - fifo.shares
            if fifo.lots:
                self.trades += fifo.split(activity, part.quantity, part.cash)
            trips = self._trips(part.strategy)
            self._close(part.strategy, trips.split(activity.symbol, part.quantity, part.cash, activity.time))
        self.cash += part.cash
        price = activity.amount if kind is EntryKind.DIVIDEND else activity.price * activity.old / activity.new
        self.entries.append(
            Entry(
                activity.time, kind, activity.symbol, change, price, ZERO, part.cash, self.cash, strategy=part.strategy
            )
        )

    def _fifo(self, strategy: str, symbol: str) -> Fifo:
        found = self._lots.get((strategy, symbol))
        if found is None:
            found = self._lots[strategy, symbol] = Fifo(strategy, symbol)
        return found

    def _trips(self, strategy: str) -> RoundTrips:
        return self._under_way.setdefault(strategy, RoundTrips())

    def _close(self, strategy: str, trip: RoundTrip | None) -> None:
        if trip is not None:
            self.trips.append(replace(trip, strategy=strategy))

    # --- what it is worth -----------------------------------------------------------------------------------------

    def _weigh(self, symbol: str, price: float, anew: bool = False) -> None:
        """What is held of a symbol has changed, or the cash; ``price`` (USD) counts where there was no last one."""
        self._money = float(self.cash)
        if symbol:
            lots = tuple(lots for (_, of), lots in self._lots.items() if of == symbol and lots.lots)
            held = self.held.get(symbol)
            if not lots:
                self.held.pop(symbol, None)
            else:
                held = self.held.setdefault(symbol, _Held(price))
                held.last = price if anew else held.last
                held.shares, held.lots = float(self.positions[symbol]), lots
        self._take(self._worth())

    def _hold(self, time: int) -> None:
        """How long something is held and how large it is, since marks of whole sessions may see neither."""
        if bool(self.held) != (self._since >= 0):
            if not self.held:
                self._busy += self._held_until(time)
            self._since = time if self.held else -1
        if self._every == SESSION and self._equity > 0:
            gross = sum(abs(held.shares * held.last) for held in self.held.values())
            self._leverage = max(self._leverage, gross / self._equity)

    def _held_until(self, time: int) -> int:
        """Of the session under way (ns), since something began to be held."""
        return max(0, time - max(self._since, self._open)) if self._since >= 0 else 0

    def _worth(self) -> float:
        return self._money + sum(held.shares * held.last for held in self.held.values())

    def _take(self, equity: float) -> None:
        self._equity = equity
        if equity < self._lowest:
            self._lowest = equity
        if equity > self._highest:
            self._highest = equity

    def price(self, happened: MarketEvent) -> None:
        """A price of a symbol; only needed while something is ``held``. What has trades is worth the last of them,
        whatever is quoted meanwhile."""
        held = self.held.get(happened.symbol)
        if held is None or (held.trades and type(happened) in _QUOTES):
            return
        if type(happened) is Bar:
            low, high, last = happened.low, happened.high, happened.close
            held.trades = True
        else:
            last = last_price(happened)
            low, high = _extremes(happened, last)
            held.trades = type(happened) not in _QUOTES
        for lots in held.lots:
            lots.see(low, high)
        shares, base = held.shares, self._equity - held.shares * held.last
        held.last = last
        self._take(base + shares * low)
        self._take(base + shares * high)
        self._equity = base + shares * last

    # --- marks ----------------------------------------------------------------------------------------------------

    def turn(self, time: int, marked: bool = True) -> None:
        """Something of ``time`` (ns UTC) is to come, all before it has: needed when it is later than ``due``. A
        corporate action alone is not ``marked``: it belongs to the time after it."""
        if self.due >= 0:
            self._marks.append(self._mark(self.due))
            self._equity = self._lowest = self._highest = self._worth()
            self._busy, self._leverage = 0, 0.0
            if self._thins and len(self._marks) >= MARKS_MAX:
                self._thin(time)
        if self._every == EVENT:
            self.due = time if marked else -1
        else:
            self._open, self.due = self._session_of(time)

    def _session_of(self, time: int) -> tuple[int, int]:
        """Open and close (ns UTC) of the session that ``time`` belongs to: what is known at the close does."""
        session = self._sessions.coming(time - 1)
        return (session.open, session.close) if session is not None else (time, FOREVER)

    def _mark(self, time: int) -> Mark:
        equity = self._worth()
        worths = [held.shares * held.last for held in self.held.values()]
        return Mark(
            time, equity, min(self._lowest, equity), max(self._highest, equity), self._money,
            sum((worth for worth in worths if worth > 0), 0.0), sum((worth for worth in worths if worth < 0), 0.0),
            *(self._of_session(time) if self._every == SESSION else ()),
        )  # fmt: skip

    def _of_session(self, time: int) -> tuple[float | None, float]:
        """The part of the session up to ``time`` in which something was held, and the largest leverage after a fill."""
        span = time - self._open
        busy = self._busy + self._held_until(time)
        return min(1.0, busy / span) if span > 0 else None, self._leverage

    def _thin(self, time: int) -> None:
        """From now on, and of all before, only the last mark of each session, with the extremes of all of them."""
        self._every, self._thins = SESSION, False
        kept: dict[int, list[Mark]] = {}
        for mark in self._marks:
            kept.setdefault(self._session_of(mark.time)[1], []).append(mark)
        opened, close = self._session_of(time)
        if under_way := kept.pop(close, None):
            one = _joined(under_way)
            self._lowest, self._highest, self._leverage = one.lowest, one.highest, one.leverage or 0.0
            self._busy = round((one.held or 0.0) * max(0, one.time - opened))
            self._since = one.time if self._since >= 0 else -1
        self._marks = [_joined(marks) for marks in kept.values()]

    @property
    def marks(self) -> list[Mark]:
        """The marks so far, and one for ``through``, which is as far as events have come (ns UTC)."""
        last = self._marks[-1].time if self._marks else -1
        return [*self._marks, self._mark(self.through)] if self.through > last else list(self._marks)

    # --- sums -----------------------------------------------------------------------------------------------------

    def equity(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Cash and positions at ``prices`` (USD by symbol), exact. Raises KeyError for a position without a price."""
        return self.cash + sum((shares * prices[symbol] for symbol, shares in self.positions.items() if shares), ZERO)

    def of(self, kind: EntryKind) -> list[Entry]:
        """The entries of one kind."""
        return [entry for entry in self.entries if entry.kind is kind]

    @property
    def fees(self) -> Decimal:
        """Commissions paid, USD."""
        return sum((entry.fee for entry in self.entries), ZERO)

    @property
    def dividends(self) -> Decimal:
        """Dividends received less those paid on short positions, USD."""
        return sum((entry.amount for entry in self.of(EntryKind.DIVIDEND)), ZERO)


def _joined(marks: Sequence[Mark]) -> Mark:
    """The marks of single times of one session as one."""
    gross = [mark.long - mark.short for mark in marks]
    return replace(
        marks[-1],
        lowest=min(mark.lowest for mark in marks),
        highest=max(mark.highest for mark in marks),
        held=sum(one > 0 for one in gross) / len(gross),
        leverage=max(
            (one / mark.equity for one, mark in zip(gross, marks, strict=True) if mark.equity > 0), default=0.0
        ),
    )


def _extremes(happened: MarketEvent, last: float) -> tuple[float, float]:
    if isinstance(happened, QuoteBar):
        return (happened.bid_low + happened.ask_low) / 2, (happened.bid_high + happened.ask_high) / 2
    return last, last
