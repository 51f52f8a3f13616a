"""Closed trades by FIFO: what was bought first is sold first. Money USD, exact; times ns UTC."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from appliance.core.books.entries import Trade
from appliance.core.metrics.trips import GRAIN
from appliance.domain.trading import ZERO, Activity, Fill, Side


class Lot(Struct):
    """Shares (without sign) that one fill entered at ``price``: their cost, what is left of its commission, and the
    highest and lowest prices seen since, until the lot after it was entered."""

    time: int
    quantity: Decimal
    price: Decimal
    cost: Decimal
    fees: Decimal
    high: float
    low: float

    def take(self, part: Decimal) -> tuple[Decimal, Decimal]:
        """Cost and commission of ``part`` of it, which goes; nothing is lost by rounding."""
        if part == self.quantity:
            cost, fees = self.cost, self.fees
        else:
            cost = (self.cost * part / self.quantity).quantize(GRAIN)
            fees = (self.fees * part / self.quantity).quantize(GRAIN)
        self.quantity -= part
        self.cost -= cost
        self.fees -= fees
        return cost, fees


class Fifo:
    """The open lots of one strategy in one symbol, oldest first."""

    __slots__ = ("lots", "side", "strategy", "symbol")

    def __init__(self, strategy: str, symbol: str) -> None:
        self.strategy = strategy
        self.symbol = symbol
        self.side = Side.BUY
        self.lots: deque[Lot] = deque()

    @property
    def shares(self) -> Decimal:
        """Shares held, signed."""
        return sum((lot.quantity for lot in self.lots), ZERO) * self.side.sign

    def see(self, low: float, high: float) -> None:
        """The symbol traded between these prices while something is held."""
        lot = self.lots[-1]
        if high > lot.high:
            lot.high = high
        if low < lot.low:
            lot.low = low

    def fill(self, fill: Fill) -> list[Trade]:
        """Book a fill; the trades it closed, one for each lot it takes from."""
        left, fees = fill.quantity, fill.commission
        closed: list[Trade] = []
        while left and self.lots and fill.side is not self.side:
            part = min(left, self.lots[0].quantity)
            paid = fees if part == left else (fees * part / left).quantize(GRAIN)
            closed.append(self._close(part, fill.price, part * fill.price, paid, fill.time))
            left -= part
            fees -= paid
        if left:
            self.side = fill.side
            price = float(fill.price)
            self.lots.append(Lot(fill.time, left, fill.price, left * fill.price, fees, price, price))
        return closed

    def split(self, activity: Activity, held: Decimal, cash: Decimal) -> list[Trade]:
        """Lots in new shares, ``held`` of them in all (signed); a fraction that was paid out by ``cash`` USD is a
        trade of the oldest lots; one that was paid for adds to the largest."""
        ratio = Fraction(activity.new, activity.old)
        for lot in self.lots:
            lot.quantity = _exact(Fraction(lot.quantity) * ratio).quantize(GRAIN)
            lot.price = _exact(Fraction(lot.price) / ratio)
            lot.high, lot.low = float(Fraction(lot.high) / ratio), float(Fraction(lot.low) / ratio)
        gone = abs(self.shares) - abs(held)
        if gone > len(self.lots) * GRAIN:
            return self._pay_out(gone, abs(cash), activity.time)
        largest = max(self.lots, key=lambda lot: lot.quantity)
        largest.quantity -= gone  # what rounding took or gave, and what was paid for to have a whole share
        largest.cost -= cash * self.side.sign
        return []

    def _pay_out(self, gone: Decimal, cash: Decimal, time: int) -> list[Trade]:
        """A fraction leaves the oldest lots."""
        price, closed = cash / gone, []
        while gone:
            part = min(gone, self.lots[0].quantity)
            worth = cash if part == gone else (part * price).quantize(GRAIN)
            closed.append(self._close(part, price, worth, ZERO, time))
            gone -= part
            cash -= worth
        return closed

    def _close(self, part: Decimal, price: Decimal, worth: Decimal, paid: Decimal, time: int) -> Trade:
        lot, sign = self.lots[0], self.side.sign
        high = max(float(price), *(each.high for each in self.lots))
        low = min(float(price), *(each.low for each in self.lots))
        entered, entry_price = lot.time, lot.price
        cost, entry_fees = lot.take(part)
        if not lot.quantity:
            self.lots.popleft()
        best, worst = (high, low) if sign > 0 else (low, high)
        fees = entry_fees + paid
        return Trade(
            self.symbol, self.strategy, self.side, part, entered, entry_price, time, price, fees,
            (worth - cost) * sign - fees, _gain(best, entry_price, part, sign), _gain(worst, entry_price, part, sign),
        )  # fmt: skip


def _gain(price: float, entered: Decimal, quantity: Decimal, sign: int) -> Decimal:
    return ((Decimal(repr(price)) - entered) * quantity * sign).quantize(GRAIN)


def _exact(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
