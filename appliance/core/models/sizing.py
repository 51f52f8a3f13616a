"""How many shares a weight of the equity is."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Literal

from msgspec import Struct

from appliance.core.models.commission import AnyCommission, Commission
from appliance.domain.trading import ZERO, Side

_WHOLE = Decimal(1)


class Sizing(Struct, frozen=True):
    """Whole shares, towards 0, of so much of the equity as ``buffer_percent`` leaves.

    The commission of the order is ``ignored``, or comes out of the ``equity`` before its weight is taken (LEAN's set
    holdings, with a buffer of 0.25 %), or out of the ``order``'s worth (backtesting.py, without a buffer).
    """

    buffer_percent: Decimal = ZERO
    commission: Literal["ignored", "equity", "order"] = "ignored"


class Sizer(Struct, frozen=True):
    """A rule of sizing and the commission it counts with."""

    sizing: Sizing = Sizing()
    commission: AnyCommission = Commission()

    @property
    def plain(self) -> bool:
        """Whether it is the weight of the equity and nothing else."""
        return self.sizing == Sizing()

    def shares(self, weight: Decimal, equity: Decimal, price: Decimal) -> Decimal:
        """The largest whole number of shares (signed as ``weight``) that the rule allows: ``price`` times it is at most
        the weight of the ``equity`` (USD), less buffer and commission; 0 when that pays for none. ``price`` > 0."""
        side = Side.BUY if weight > 0 else Side.SELL
        size = abs(weight) * (1 - self.sizing.buffer_percent / 100)
        most = self._pays(ZERO, size, equity, price, side)
        if self.sizing.commission == "ignored":
            return most * side.sign + ZERO
        return self._between(self._pays(most, size, equity, price, side), most, size, equity, price, side) * side.sign

    def _pays(self, ordered: Decimal, size: Decimal, equity: Decimal, price: Decimal, side: Side) -> Decimal:
        """Whole shares that can be paid for when ``ordered`` of them are charged for."""
        fee = self.commission.charge(ordered, ordered * price, side, False) if ordered else ZERO
        worth = (equity - fee) * size if self.sizing.commission == "equity" else equity * size - fee
        return max((worth / price).quantize(_WHOLE, ROUND_DOWN), ZERO)

    def _between(
        self, low: Decimal, high: Decimal, size: Decimal, equity: Decimal, price: Decimal, side: Side
    ) -> Decimal:
        """The largest number in ``low``..``high`` that pays for itself; ``low`` does, since commissions only grow."""
        while low < high:
            middle = low + ((high - low + 1) / 2).quantize(_WHOLE, ROUND_DOWN)
            if middle <= self._pays(middle, size, equity, price, side):
                low = middle
            else:
                high = middle - 1
        return low
