"""Symbols as IB's contracts, and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from appliance.clients.ibkr.trouble import NoContract


class Spec(NamedTuple):
    """What names a contract to IB, before it is looked up."""

    symbol: str
    kind: str
    exchange: str
    currency: str


_STOCK = re.compile(r"[A-Z][A-Z0-9]{0,7}(\.[A-Z]{1,3})?")
KINDS: tuple[tuple[re.Pattern[str], Callable[[str], Spec]], ...] = (
    (_STOCK, lambda symbol: Spec(symbol.replace(".", " "), "STK", "SMART", "USD")),
)
"""The form of a symbol, and what it is: other kinds than US stocks get their line here."""


def spec(symbol: str) -> Spec:
    """What a symbol names. Raises NoContract for one of no known form."""
    for form, make in KINDS:
        if form.fullmatch(symbol):
            return make(symbol)
    raise NoContract(f"Interactive Brokers has no {symbol!r} here", hint="write US stocks, such as SPY or BRK.B")


def contract(library: Any, symbol: str) -> Any:
    """The library's contract of a symbol, not looked up yet. Raises NoContract."""
    named = spec(symbol)
    return library.Contract(symbol=named.symbol, secType=named.kind, exchange=named.exchange, currency=named.currency)


def symbol_of(symbol: str, kind: str, currency: str, local: str) -> str:
    """Our symbol of a contract. What is no US stock gets a name that none has: an option on SPY is not SPY."""
    if kind == "STK" and currency == "USD":
        return symbol.replace(" ", ".")
    return f"{'_'.join((local or symbol).split())}:{kind}:{currency}"
