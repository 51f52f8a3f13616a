"""What a venue charges for a fill."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from msgspec import Struct

CENT = Decimal("0.01")


class Commission(Struct, frozen=True):
    """USD per share, at least ``minimum`` USD an order, at most ``maximum_percent`` of the traded value.

    The default is Interactive Brokers' fixed US equity schedule: 0.005 a share, at least 1, at most 0.5 %.
    """

    per_share: Decimal = Decimal("0.005")
    minimum: Decimal = Decimal(1)
    maximum_percent: Decimal = Decimal("0.5")

    def of(self, quantity: Decimal, price: Decimal) -> Decimal:
        """The commission in USD for ``quantity`` shares at ``price``, rounded half up to the cent."""
        fee = max(self.minimum, self.per_share * quantity)
        cap = quantity * price * self.maximum_percent / 100
        return min(fee, cap).quantize(CENT, ROUND_HALF_UP)


FREE = Commission(Decimal(0), Decimal(0), Decimal(0))
"""No commission at all."""
