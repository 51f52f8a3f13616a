"""What trading cost, how much there was of it, and how much more the market could have taken. Money USD.

Slippage is what was paid above the price when the order was decided, or got below it: a cost is positive. It counts the
fills whose decision price is known. Basis points are of traded notional.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import numpy as np

from appliance.core.books.entries import Entry, EntryKind
from appliance.domain.trading import ZERO
from appliance.research.metrics.returns import Figures
from appliance.research.metrics.series import Series, ratio

PARTICIPATION = 0.025
"""What share of a bar's volume a fill may be at capacity."""
BASIS = 10_000


def cost_figures(entries: Sequence[Entry], series: Series | None, periods: int) -> Figures:
    """Of all entries; sums are 0 and all else None without fills. Turnover is by the average equity at daily closes."""
    fills = [entry for entry in entries if entry.kind is EntryKind.FILL]
    traded, fees = notional(fills), sum((entry.fee for entry in entries), ZERO)
    slipped = _slippage(fills)
    known = [entry for entry in fills if entry.decided is not None]
    judged, charged = notional(known), sum((entry.fee for entry in known), ZERO)
    return {
        "fills": len(fills),
        "traded": float(traded),
        "turnover": turnover(traded, series, periods),
        "fees": float(fees),
        "fees_bps": ratio(float(sum((entry.fee for entry in fills), ZERO)) * BASIS, float(traded)),
        "slippage": None if slipped is None else float(slipped),
        "slippage_bps": None if slipped is None else ratio(float(slipped) * BASIS, float(judged)),
        "shortfall": None if slipped is None else float(slipped + charged),
        "shortfall_bps": None if slipped is None else ratio(float(slipped + charged) * BASIS, float(judged)),
        **{kind.value + "s" * (kind is EntryKind.DIVIDEND): _amount(entries, kind) for kind in _BOOKED},
    }


_BOOKED = (EntryKind.DIVIDEND, EntryKind.BORROW, EntryKind.INTEREST)


def notional(fills: Iterable[Entry]) -> Decimal:
    """What was bought and sold, USD."""
    return sum((abs(entry.quantity) * entry.price for entry in fills), ZERO)


def _amount(entries: Iterable[Entry], kind: EntryKind) -> float:
    return float(sum((entry.amount for entry in entries if entry.kind is kind), ZERO))


def _slippage(fills: Sequence[Entry]) -> Decimal | None:
    """None where no decision price is known."""
    paid = [entry.quantity * (entry.price - entry.decided) for entry in fills if entry.decided is not None]
    return sum(paid, ZERO) if paid else None


def turnover(traded: Decimal, series: Series | None, periods: int) -> float | None:
    """How often in a year the average equity was turned over: half of what was bought and sold."""
    if series is None:
        return None
    last = np.isin(series.times, series.closed)
    mean = float(series.equity[last].mean())
    return ratio(float(traded) / 2 / mean * periods, len(series.closed)) if mean > 0 else None


def capacity(series: Series | None, entries: Sequence[Entry], shares: Mapping[int, float | None]) -> float | None:
    """The largest opening equity (USD) with which no fill takes more than ``PARTICIPATION`` of its bar's volume.

    ``shares`` are, of each fill by its place among the entries, its shares over those of its bar. None without fills or
    where one has no volume to compare with.
    """
    places = [at for at, entry in enumerate(entries) if entry.kind is EntryKind.FILL]
    found = [shares.get(at) for at in places]
    known = [value for value in found if value is not None and value > 0]
    if series is None or not known or len(known) < len(found):
        return None
    return ratio(series.opening * PARTICIPATION, max(known))


def parity(entries: Sequence[Entry], live: Sequence[Entry]) -> Figures:
    """How a run compares with what happened live, by order: ``mismatches`` are orders that only one of them has or that
    filled another quantity, ``parity_bps`` the root mean square distance of their average fill prices."""
    ours, theirs = _orders(entries), _orders(live)
    both = [one for one in ours if one in theirs and ours[one][0] == theirs[one][0]]
    apart = [float((theirs[one][1] - ours[one][1]) / ours[one][1]) * BASIS for one in both if ours[one][1]]
    return {
        "mismatches": len(ours.keys() | theirs.keys()) - len(both),
        "parity_bps": float(np.sqrt(np.mean(np.square(apart)))) if apart else None,
    }


def _orders(entries: Sequence[Entry]) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
    """Of each order with a fill: the quantity (signed), and its average price."""
    sums: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for entry in entries:
        if entry.kind is EntryKind.FILL:
            quantity, value = sums.get((entry.order_id, entry.symbol), (ZERO, ZERO))
            key = entry.order_id, entry.symbol
            sums[key] = quantity + entry.quantity, value + entry.quantity * entry.price
    return {key: (quantity, value / quantity if quantity else ZERO) for key, (quantity, value) in sums.items()}
