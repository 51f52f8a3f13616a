"""What a rule sees of one intent, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple, Protocol

from msgspec import Struct

from appliance.domain.messages import Now
from appliance.domain.trading import Intent, Order


class Price(Struct, frozen=True, gc=False):
    """The last good price of a symbol in USD and when it was known (ns UTC)."""

    value: float
    time: int


NOTHING: Mapping[str, Decimal] = MappingProxyType({})
NO_PRICES: Mapping[str, Price] = MappingProxyType({})


class Case(Struct, frozen=True, gc=False):
    """One intent and everything the rules may ask: the last price, the confirmed position and what is on its way.

    ``buying`` and ``selling`` are shares of the symbol in working orders of each side, this one not among them;
    ``reserved`` is the USD that working entries may still need; ``cash`` is None while the account is unknown.
    ``positions`` and ``prices`` are those of all symbols, ``covering`` the shares that working exits buy back.
    """

    intent: Intent
    now: Now
    price: Price | None
    position: Decimal
    buying: Decimal
    selling: Decimal
    cash: Decimal | None
    reserved: Decimal
    reduces: bool
    positions: Mapping[str, Decimal] = NOTHING
    prices: Mapping[str, Price] = NO_PRICES
    covering: Mapping[str, Decimal] = NOTHING

    @property
    def worst(self) -> Decimal:
        """The largest position in shares this intent could lead to, if all working orders of its side fill."""
        if self.intent.side.sign > 0:
            return abs(self.position + self.buying + self.intent.quantity)
        return abs(self.position - self.selling - self.intent.quantity)

    @property
    def reference(self) -> Decimal | None:
        """The USD price this order is judged at, as ``priced`` says; None unless it is positive."""
        price = priced(self.intent, self.price)
        return price if positive(price) else None


def priced(intent: Intent | Order, last: Price | None) -> Decimal | None:
    """What a share may cost (USD): the limit; else the last price, or the stop price where that is higher, or where a
    trailing stop to buy begins."""
    if intent.limit_price is not None:
        return intent.limit_price
    if last is None:
        return None
    price = Decimal(repr(last.value))
    trail, stop = intent.trail, intent.stop_price
    if trail is not None and intent.side.sign > 0:
        price += price * trail.distance / 100 if trail.percent else trail.distance
    return max(price, stop) if stop is not None and stop.is_finite() else price


def positive(value: Decimal | None) -> bool:
    """Whether a value is known, a finite number, and above zero."""
    return value is not None and value.is_finite() and value > 0


def within(value: Decimal, limit: Decimal) -> bool:
    """``value <= limit``; never for NaN, which Decimals cannot even be asked about, nor for an infinite value."""
    return value.is_finite() and limit.is_finite() and value <= limit


class Refusal(NamedTuple):
    """Why not: the rule's code and a text with value and limit."""

    code: str
    text: str


class Rule(Protocol):
    """A pure verdict. ``binds_reductions`` says whether it is also asked of orders that only reduce."""

    code: str
    binds_reductions: bool

    def check(self, case: Case) -> Refusal | None:
        """None to let it pass."""
        ...
