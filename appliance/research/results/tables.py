"""A run's books as CSV: fills, trades, round trips, other bookings, equity. The same books give the same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from appliance.core.books.entries import Entry, EntryKind, Mark, Trade
from appliance.core.metrics.trips import GRAIN, RoundTrip
from appliance.core.record import plain
from appliance.domain.market import SECOND
from appliance.domain.trading import Side
from appliance.research.results.tape import Path

FILLS = (
    "time", "when", "symbol", "side", "quantity", "price", "fee", "amount", "cash", "decided", "volume_share",
    "order_id", "strategy",
)  # fmt: skip
BOOKINGS = ("time", "when", "kind", "symbol", "quantity", "price", "amount", "cash", "strategy")
TRADES = (
    "symbol", "strategy", "side", "quantity", "entry_time", "entry_when", "entry_price", "exit_time", "exit_when",
    "exit_price", "fees", "profit", "return", "seconds", "best", "worst",
)  # fmt: skip
TRIPS = (
    "symbol", "strategy", "side", "quantity", "opened", "opened_when", "entry_price", "closed", "closed_when",
    "exit_price", "fees", "profit", "seconds",
)  # fmt: skip
EQUITY = ("time", "when", "equity", "lowest", "highest", "cash", "long", "short", "drawdown", "benchmark")


def utc(time: int) -> str:
    """A time (ns UTC) for people: ``2013-10-07T13:31:00Z``; the fraction of a second only where there is one."""
    seconds, rest = divmod(time, SECOND)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def fills_csv(entries: Sequence[Entry], shares: Mapping[int, float | None]) -> bytes:
    """One row per fill: ``amount`` is the change of cash (USD) after ``fee``, ``cash`` what there was then, ``decided``
    the price when the order was decided, ``volume_share`` what part of its bar's volume it was."""
    return _csv(FILLS, (_fill(one, shares.get(at)) for at, one in enumerate(entries) if one.kind is EntryKind.FILL))


def bookings_csv(entries: Iterable[Entry]) -> bytes:
    """One row per change of cash or position that is no fill: dividend, split, borrow fee, interest."""
    return _csv(BOOKINGS, (_booking(one) for one in entries if one.kind is not EntryKind.FILL))


def trades_csv(trades: Iterable[Trade]) -> bytes:
    """One row per closed trade (first in, first out); ``return`` is ``profit`` over the entry's value, a fraction."""
    return _csv(TRADES, map(_trade, trades))


def round_trips_csv(trips: Iterable[RoundTrip]) -> bytes:
    """One row per round trip, from no shares to no shares again; ``quantity`` is what was entered in all, the prices
    are averages (USD), ``profit`` is net of ``fees``: in all that of the trades that lie inside it."""
    return _csv(TRIPS, map(_trip, trips))


def equity_csv(marks: Sequence[Mark], opening: float, benchmark: Path | None) -> bytes:
    """One row per mark of an account that began with ``opening`` USD; ``drawdown`` is a fraction, not above 0,
    ``benchmark`` what one share of it bought at the beginning is worth (USD), splits and dividends kept in it."""
    return _csv(EQUITY, _marks(marks, opening, benchmark))


def depths(marks: Iterable[Mark], opening: float) -> Iterator[float]:
    """How far below its peak so far the account lay at the lowest before each mark: fractions not above 0. Within a
    mark nobody knows which came first, so its own highest is no peak for its lowest."""
    peak = opening
    for one in marks:
        before, peak = peak, max(peak, one.equity)
        yield min(one.lowest / before, one.equity / peak) - 1 if before > 0 else 0.0


def trade_return(trade: Trade) -> float | None:
    """Profit over the value of the entry, a fraction."""
    value = trade.quantity * trade.entry_price
    return float(trade.profit / value) if value else None


def _fill(one: Entry, share: float | None) -> tuple[Any, ...]:
    side = Side.BUY if one.quantity > 0 else Side.SELL
    return (
        one.time, utc(one.time), one.symbol, side.value, abs(one.quantity), one.price, one.fee, one.amount, one.cash,
        one.decided, share, one.order_id, one.strategy,
    )  # fmt: skip


def _booking(one: Entry) -> tuple[Any, ...]:
    return (
        one.time, utc(one.time), one.kind.value, one.symbol, one.quantity, one.price, one.amount, one.cash,
        one.strategy,
    )  # fmt: skip


def _trade(one: Trade) -> tuple[Any, ...]:
    return (
        one.symbol, one.strategy, one.side.value, one.quantity, one.entry_time, utc(one.entry_time), one.entry_price,
        one.exit_time, utc(one.exit_time), one.exit_price, one.fees, one.profit, trade_return(one),
        (one.exit_time - one.entry_time) / SECOND, one.best, one.worst,
    )  # fmt: skip


def _trip(one: RoundTrip) -> tuple[Any, ...]:
    return (
        one.symbol, one.strategy, one.side.value, one.quantity, one.opened, utc(one.opened),
        one.entry_price.quantize(GRAIN), one.closed, utc(one.closed), one.exit_price.quantize(GRAIN), one.fees,
        one.profit, (one.closed - one.opened) / SECOND,
    )  # fmt: skip


def _marks(marks: Sequence[Mark], opening: float, benchmark: Path | None) -> Iterator[tuple[Any, ...]]:
    for one, depth in zip(marks, depths(marks, opening), strict=True):
        price = benchmark.worth(one.time) if benchmark is not None else None
        yield (
            one.time, utc(one.time), one.equity, one.lowest, one.highest, one.cash, one.long, one.short, depth, price,
        )  # fmt: skip


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_TEXTS.get(type(cell), str)(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


_TEXTS: dict[type, Callable[[Any], str]] = {Decimal: plain, float: repr, type(None): lambda cell: ""}
