"""Rows of a host's state: the targets it follows, its intents on their way, what was refused, what rests behind."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from appliance.domain.trading import AT_MARKET, Moment, OrderType, Side, Terms, Trail

MARKET = OrderType.MARKET


class Target(Struct, frozen=True):
    """A wished position (shares, signed), and what is to protect it; prices USD."""

    quantity: Decimal
    stop: Decimal | None = None
    take_profit: Decimal | None = None
    trailing: Trail | None = None


class Booked(Struct, frozen=True):
    """An intent of ours on its way: ``left`` shares may still trade; ``ended`` when nothing more is expected.

    ``target`` is what it leads to (None: an order of the strategy's own, called ``ticket``); ``price`` (USD) and
    ``decided`` are those of its decision; ``sent`` when it is known to be at the venue, ``canceled`` when we have asked
    for its end. ``counter`` is that of the signal it comes from.
    """

    strategy: str
    symbol: str
    side: Side
    left: Decimal
    ended: bool = False
    exit: bool = False
    target: Target | None = None
    terms: Terms = AT_MARKET
    ticket: str = ""
    canceled: bool = False
    price: Decimal | None = None
    decided: Moment | None = None
    sent: bool = False
    counter: int = 0

    @property
    def rests(self) -> bool:
        """Whether it may wait in the market for a price, for ever."""
        return self.terms.type is not MARKET


class Refused(Struct, frozen=True):
    """A target that came to nothing: it is not asked for again with every bar, but after 1, 2, 4, … more wishes."""

    target: Target
    terms: Terms
    held: Decimal
    patience: int = 1
    repeats: int = 0


class Protecting(Struct, frozen=True):
    """An order that rests behind a position of a strategy; ``canceled`` when the strategy has given it up."""

    strategy: str
    symbol: str
    canceled: bool = False
