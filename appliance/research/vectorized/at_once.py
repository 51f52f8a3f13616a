"""The same fills without a loop, where nothing is denied, nothing expires and money fits whole numbers.

It does what ``executions.walk`` does, all wishes at once and in integers of ``1 / UNITS`` USD, then looks whether any
of its assumptions failed. If one did it answers nothing, and the walk has to do it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from appliance.core.models.commission import AnyCommission, Commission
from appliance.core.models.impact import NoImpact
from appliance.core.models.slippage import NoSlippage
from appliance.domain.market import DAY, AlwaysOpen, Sessions
from appliance.domain.trading import Side
from appliance.research.vectorized.executions import Account, Filled, Rules, exact, wishes
from appliance.strategy.indicators.arrays import Floats
from appliance.strategy.indicators.units import SCALE, UNITS
from appliance.strategy.signals import BarArrays

Whole = npt.NDArray[np.int64]
FITS = 2.0**62
"""Amounts below it fit 64 bits, with room for the rounding of their floats."""
MARGIN = 100_000
"""Units (a tenth of a cent) by which an entry must be paid for where fees are only known as floats."""
EXACT = 1e7
"""Prices (USD) below it have at most 15 digits in units: a float then stands for exactly one of them."""


def at_once(bars: Mapping[str, BarArrays], targets: Mapping[str, Floats], rules: Rules) -> Account | None:
    """The account after all bars of one symbol; None where the walk must decide."""
    model = rules.model
    plain = isinstance(model.slippage, NoSlippage) and isinstance(model.impact, NoImpact)
    if len(targets) != 1 or not plain:
        return None
    ((symbol, wanted),) = targets.items()
    one = bars[symbol]
    moves = _moves(one, wanted, rules.since)
    rows, before, after = moves
    ends_with_one = len(rows) > 0 and int(rows[-1]) == len(one) - 1
    filling = _Moves(rows[:-1], before[:-1], after[:-1]) if ends_with_one else moves
    if _expires(one, filling.rows, rules.sessions):
        return None
    found = _filled(one, moves, filling, model.commission, rules.cash)
    if found is None:
        return None
    cash, filled = found
    held = int(filling.after[-1]) if len(filling.rows) else 0
    working = int(sum(len(leg[leg > 0]) for leg in _quantities(before[-1:], after[-1:]))) if ends_with_one else 0
    return Account(cash, {symbol: held}, filled, working=working)


class _Moves(NamedTuple):
    """Rows at which another position is wished than there is, the shares ``before`` and ``after``."""

    rows: Whole
    before: Whole
    after: Whole


def _moves(bars: BarArrays, targets: Floats, since: int) -> _Moves:
    rows = wishes(bars, targets, since)
    after = targets[rows].astype(np.int64)
    before = np.concatenate((np.zeros(1, dtype=np.int64), after[:-1]))[: len(after)]
    moved = after != before
    return _Moves(rows[moved], before[moved], after[moved])


def _expires(bars: BarArrays, rows: Whole, sessions: Sessions | None) -> bool:
    """Whether an order's session is over before the next bar begins."""
    if sessions is None or not len(rows):
        return False
    if isinstance(sessions, AlwaysOpen):
        return bool(np.any(bars.start[rows + 1] >= bars.end[rows] // DAY * DAY + DAY))
    closes = np.array([session.close for session in sessions], dtype=np.int64)
    found = np.searchsorted(closes, bars.end[rows], side="right")
    known = found < len(closes)
    return bool(np.any(bars.start[rows[known] + 1] >= closes[found[known]]))


def _quantities(before: Whole, after: Whole) -> tuple[Whole, Whole]:
    """Shares of the exit and of the entry that lead from one position to the other (``core.netting``)."""
    flips = np.sign(before) * np.sign(after) < 0
    leaving = np.where(flips, np.abs(before), np.maximum(np.abs(before) - np.abs(after), 0))
    entering = np.where(flips, np.abs(after), np.maximum(np.abs(after) - np.abs(before), 0))
    return leaving, entering


def _filled(
    bars: BarArrays, moves: _Moves, filling: _Moves, commission: AnyCommission, cash: Decimal
) -> tuple[Decimal, Filled] | None:
    """Cash and fills; None when a number does not fit, or an entry may not be paid for."""
    count = len(filling.rows)
    leaving, entering = _quantities(moves.before, moves.after)
    quantity = np.stack((leaving[:count], entering[:count]), axis=1)
    sides = np.stack((-np.sign(filling.before), np.sign(filling.after)), axis=1)
    prices = _units(bars.open[filling.rows + 1])
    closes = _units(bars.close[moves.rows])
    opening = _money(cash)
    if prices is None or closes is None or opening is None or not _fits(quantity, prices, entering, moves, closes):
        return None
    worth = quantity * prices[:, np.newaxis]
    fees, exact_fees = _charged(commission, quantity, worth, sides)
    flows = (-sides * worth - fees).sum(axis=1)
    if not abs(np.cumsum(flows, dtype=np.float64)).max(initial=0.0) + opening < FITS:
        return None
    money = opening + np.concatenate((np.zeros(1, dtype=flows.dtype), np.cumsum(flows)))
    margin = 0 if exact_fees is None else MARGIN
    short = np.maximum(-moves.before, 0)
    secured = np.where(leaving > 0, short, 2 * short) * closes  # an exit beside an entry buys all of it back
    if np.any((entering > 0) & (entering * closes + secured + margin > money[: len(entering)])):
        return None
    there = quantity > 0
    rows = np.stack((filling.rows, filling.rows), axis=1)[there]
    filled = Filled(
        (bars.symbol,), np.zeros(len(rows), dtype=np.int64), rows + 1, (sides * quantity)[there], bars.open[rows + 1],
        fees[there] / SCALE, bars.close[rows], exact_fees,
    )  # fmt: skip
    if exact_fees is None:
        return Decimal(int(money[-1])) / UNITS, filled
    return Decimal(opening - int((sides * worth).sum())) / UNITS - sum(exact_fees, Decimal(0)), filled


def _fits(quantity: Whole, prices: Whole, entering: Whole, moves: _Moves, closes: Whole) -> bool:
    most = quantity.max(initial=0) * float(prices.max(initial=0))
    shares = float(entering.max(initial=0)) + 2 * float(abs(moves.before).max(initial=0))
    return bool(most < FITS / 2 and shares * float(closes.max(initial=0)) < FITS)


def _units(prices: Floats) -> Whole | None:
    """Prices in units; None unless each is exactly the decimal its float is written as."""
    whole = np.rint(prices * SCALE)
    if not np.all((whole / SCALE == prices) & (prices < EXACT)):
        return None
    return whole.astype(np.int64)


def _money(amount: Decimal) -> int | None:
    units = amount * UNITS
    return int(units) if units == units.to_integral_value() and abs(units) < FITS else None


def _charged(
    commission: AnyCommission, quantity: Whole, worth: Whole, sides: Whole
) -> tuple[Whole | Floats, tuple[Decimal, ...] | None]:
    """What each fill is charged: in whole units, or about that and then exactly, fill by fill."""
    whole = _fees(commission, quantity, worth) if isinstance(commission, Commission) else None
    if whole is not None:
        return whole, None
    there = quantity > 0
    fills = zip(quantity[there].tolist(), worth[there].tolist(), sides[there].tolist(), strict=True)
    charged = tuple(
        commission.charge(Decimal(size), Decimal(notional) / UNITS, Side.BUY if side > 0 else Side.SELL, False)
        for size, notional, side in fills
    )
    fees = np.zeros(quantity.shape)
    fees[there] = [float(fee) * SCALE for fee in charged]
    return fees, charged


def _fees(commission: Commission, quantity: Whole, worth: Whole) -> Whole | None:
    """``Commission.charge`` of each fill, in units: by quantity, and one by one where the cap may bind."""
    sizes, places = np.unique(quantity, return_inverse=True)
    plain, floors = [], []
    for size in sizes.tolist():
        uncapped = max(commission.minimum, commission.per_share * size) if size else Decimal(0)
        fee = _money(_rounded(commission, uncapped))
        if fee is None:
            return None
        plain.append(fee)
        floors.append(float(uncapped) * (1 + 1e-9))
    fees: Whole = np.array(plain, dtype=np.int64)[places].reshape(quantity.shape)
    cap = worth * (float(commission.maximum_percent) / 100 / SCALE)
    capped = np.flatnonzero((np.array(floors)[places].reshape(quantity.shape) >= cap) & (fees > 0))
    for at in capped.tolist():
        size, notional = int(quantity.flat[at]), Decimal(int(worth.flat[at])) / UNITS
        fee = _money(commission.charge(Decimal(size), notional, Side.BUY, False))
        if fee is None:
            return None
        fees.flat[at] = fee
    return fees


def _rounded(commission: Commission, fee: Decimal) -> Decimal:
    """As the schedule rounds it, with a traded value that is beyond any cap."""
    free = Commission(fee, Decimal(0), Decimal(10) ** 9, commission.to_cent)
    return free.charge(Decimal(1), Decimal(10) ** 15, Side.BUY, False)


def worth_of(account: Account, bars: Mapping[str, BarArrays]) -> Decimal:
    """Cash and positions at the last closes, USD."""
    held = [shares * exact(float(bars[symbol].close[-1])) for symbol, shares in account.positions.items() if shares]
    return account.cash + sum(held, Decimal(0))
