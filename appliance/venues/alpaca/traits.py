"""What Alpaca takes, as its page on orders tabulates it (order types against times in force)."""

from __future__ import annotations

from decimal import Decimal

from appliance.domain.trading import OrderType, TimeInForce
from appliance.domain.venue import Takes, VenueTraits

_O, _T = OrderType, TimeInForce
_ALL = (_T.DAY, _T.GTC, _T.IOC, _T.FOK, _T.OPG, _T.CLS)
_RESTING = (_T.DAY, _T.GTC)
_DAY = (_T.DAY,)
_SMALLEST = Decimal("1e-9")

STOCKS = Takes(
    orders={
        _O.MARKET: _ALL, _O.LIMIT: _ALL, _O.STOP: _RESTING, _O.STOP_LIMIT: _RESTING, _O.TRAILING_STOP: _RESTING,
    },
    fractional={_O.MARKET: _DAY, _O.LIMIT: _DAY, _O.STOP: _DAY, _O.STOP_LIMIT: _DAY},
    smallest=_SMALLEST,
)  # fmt: skip

_CRYPTO = {
    _O.MARKET: (_T.DAY, _T.GTC, _T.IOC),  # for the day is sent as gtc: it executes at once
    _O.LIMIT: (_T.GTC, _T.IOC),
    _O.STOP_LIMIT: (_T.GTC,),
}
CRYPTO = Takes(orders=_CRYPTO, fractional=_CRYPTO, smallest=_SMALLEST, shorts=False)

EXTENDED = {_O.LIMIT: _DAY}
"""Orders that may work outside the regular session; any other is refused there when it asks to."""


def traits(extended_hours: bool) -> VenueTraits:
    """Alpaca's traits; ``extended_hours``: whether limit orders for the day ask to work outside the session."""
    stocks = STOCKS if not extended_hours else Takes(
        orders=STOCKS.orders, fractional=STOCKS.fractional, extended=EXTENDED, smallest=STOCKS.smallest
    )  # fmt: skip
    return VenueTraits(
        refuses_duplicates=True,
        absent_is_final=False,
        flips_at_once=False,
        oco=False,  # the ids of legs are Alpaca's own, not ours
        looks_to_differ=3,
        stocks=stocks,
        crypto=CRYPTO,
    )
