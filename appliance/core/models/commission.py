"""What a venue charges for a fill.

Every kind has ``charge(quantity, notional, side, makes)``: the commission in USD for all of an order that was filled so
far (shares, and USD they were traded for), so that a minimum or a cap counts once however many fills an order has.
``makes`` says that the order rested in the market and was met there.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, ROUND_UP, Decimal

from msgspec import Struct

from appliance.domain.trading import ZERO, Side

CENT = Decimal("0.01")


class Commission(Struct, frozen=True, tag="per_share"):
    """USD per share, at least ``minimum`` USD an order, at most ``maximum_percent`` of the traded value.

    The default is Interactive Brokers' fixed US equity schedule: 0.005 a share, at least 1, at most 0.5 %; rounded half
    up to the cent unless ``to_cent`` is false.
    """

    per_share: Decimal = Decimal("0.005")
    minimum: Decimal = Decimal(1)
    maximum_percent: Decimal = Decimal("0.5")
    to_cent: bool = True

    def of(self, quantity: Decimal, price: Decimal) -> Decimal:
        """The commission in USD for ``quantity`` shares at ``price`` USD in one fill."""
        return self.charge(quantity, quantity * price, Side.BUY, False)

    def charge(self, quantity: Decimal, notional: Decimal, side: Side, makes: bool) -> Decimal:
        """USD for all of an order that was filled so far."""
        fee = min(max(self.minimum, self.per_share * quantity), notional * self.maximum_percent / 100)
        return fee.quantize(CENT, ROUND_HALF_UP) if self.to_cent else fee


class Percent(Struct, frozen=True, tag="percent"):
    """``percent`` of the traded value (0.2 is two thousandths), at least ``minimum`` USD an order; not rounded unless
    ``to_cent`` says so."""

    percent: Decimal
    minimum: Decimal = ZERO
    to_cent: bool = False

    def charge(self, quantity: Decimal, notional: Decimal, side: Side, makes: bool) -> Decimal:
        """USD for all of an order that was filled so far."""
        fee = max(self.minimum, notional * self.percent / 100)
        return fee.quantize(CENT, ROUND_HALF_UP) if self.to_cent else fee


class MakerTaker(Struct, frozen=True, tag="maker_taker"):
    """``maker`` percent of the traded value for an order that rested in the book and was met there, ``taker`` percent
    for one that took what was offered, as crypto exchanges charge. Not rounded."""

    maker: Decimal
    taker: Decimal

    def charge(self, quantity: Decimal, notional: Decimal, side: Side, makes: bool) -> Decimal:
        """USD for all of an order that was filled so far."""
        return notional * (self.maker if makes else self.taker) / 100


class Alpaca(Struct, frozen=True, tag="alpaca"):
    """No commission, but the regulatory fees that Alpaca passes on for US equities; each is rounded up to the cent.

    ``sec_per_million`` USD of each million sold (Exchange Act, section 31), ``taf_per_share`` USD of each share sold
    and at most ``taf_maximum`` (FINRA Trading Activity Fee), ``cat_per_share`` USD of each share bought or sold
    (Consolidated Audit Trail). Rates as Alpaca's regulatory-fees page gave them in its table with 27.80 for the SEC
    (in force 2024-05-22 to 2025-05-13; 0 from 2025-05-14, and set anew each year): choose those of your period. Alpaca
    rounds each day's sum of a fee; to round each order's is the dearer of the two.
    """

    sec_per_million: Decimal = Decimal("27.80")
    taf_per_share: Decimal = Decimal("0.000166")
    taf_maximum: Decimal = Decimal("8.30")
    cat_per_share: Decimal = Decimal("0.000046")

    def charge(self, quantity: Decimal, notional: Decimal, side: Side, makes: bool) -> Decimal:
        """USD for all of an order that was filled so far."""
        fee = (self.cat_per_share * quantity).quantize(CENT, ROUND_UP)
        if side is Side.SELL:
            fee += (notional * self.sec_per_million / 1_000_000).quantize(CENT, ROUND_UP)
            fee += min(self.taf_per_share * quantity, self.taf_maximum).quantize(CENT, ROUND_UP)
        return fee


AnyCommission = Commission | Percent | MakerTaker | Alpaca
FREE = Commission(Decimal(0), Decimal(0), Decimal(0))
"""No commission at all."""
IB_EXACT = Commission(to_cent=False)
"""Interactive Brokers' schedule with all its decimals, as LEAN counts it."""
