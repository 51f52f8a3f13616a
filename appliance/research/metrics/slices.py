"""The same account by symbol and by strategy. Money USD."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from appliance.core.books.entries import Entry, EntryKind, Trade
from appliance.domain.trading import ZERO
from appliance.research.metrics.costs import notional
from appliance.research.metrics.trades import trade_figures


class Slice(Struct, frozen=True):
    """One symbol or strategy. ``realised`` is the profit of its closed ``trades`` net of fees, ``other`` what
    dividends, borrow fees and interest brought; ``average_holding`` is ns. None: not defined."""

    name: str
    trades: int
    win_rate: float | None
    realised: float
    profit_factor: float | None
    best_trade: float | None
    worst_trade: float | None
    average_holding: float | None
    fills: int
    traded: float
    fees: float
    other: float


def by_symbol(trades: Sequence[Trade], entries: Sequence[Entry]) -> tuple[Slice, ...]:
    """One per symbol that was traded or booked, in order of their names."""
    return _slices(trades, entries, lambda one: one.symbol)


def by_strategy(trades: Sequence[Trade], entries: Sequence[Entry]) -> tuple[Slice, ...]:
    """One per strategy, "" for what belongs to none."""
    return _slices(trades, entries, lambda one: one.strategy)


def _slices(
    trades: Sequence[Trade], entries: Sequence[Entry], name_of: Callable[[Trade | Entry], str]
) -> tuple[Slice, ...]:
    held: dict[str, list[Trade]] = {}
    booked: dict[str, list[Entry]] = {}
    for trade in trades:
        held.setdefault(name_of(trade), []).append(trade)
    for entry in entries:
        booked.setdefault(name_of(entry), []).append(entry)
    return tuple(_slice(name, held.get(name, []), booked.get(name, [])) for name in sorted({*held, *booked}))


def _slice(name: str, trades: Sequence[Trade], entries: Sequence[Entry]) -> Slice:
    figures = trade_figures(trades)
    fills = [entry for entry in entries if entry.kind is EntryKind.FILL]
    other = sum((entry.amount for entry in entries if entry.kind is not EntryKind.FILL), ZERO)
    return Slice(
        name=name,
        trades=len(trades),
        win_rate=figures.get("win_rate"),
        realised=float(sum((trade.profit for trade in trades), ZERO)),
        profit_factor=figures.get("profit_factor"),
        best_trade=figures.get("best_trade"),
        worst_trade=figures.get("worst_trade"),
        average_holding=figures.get("average_holding"),
        fills=len(fills),
        traded=float(notional(fills)),
        fees=float(sum((entry.fee for entry in entries), ZERO)),
        other=float(other),
    )
