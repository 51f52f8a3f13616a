"""What the gateway tells, in our types: what it leaves out is None or empty. Times ns UTC, money USD."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

_NOTHING = 1e300
"""IB's way to say nothing is the largest number there is."""


def number(value: float) -> Decimal | None:
    """A number as the gateway wrote it, which the libraries have made a float of: up to 15 digits it is the same one.
    None for what is not set."""
    return Decimal(f"{value:.15g}") if abs(value) < _NOTHING else None


def amount(value: float) -> Decimal:
    """Like ``number``, of what is always there. Raises ValueError for what is not."""
    found = number(value)
    if found is None:
        raise ValueError(f"no number: {value}")
    return found


class Ticket(NamedTuple):
    """What an order asks of IB, in its own words; prices it does not have are None."""

    action: str
    quantity: Decimal
    type: str
    tif: str
    limit: Decimal | None = None
    aux: Decimal | None = None
    trail_stop: Decimal | None = None
    trail_percent: Decimal | None = None
    group: str = ""
    ref: str = ""
    account: str = ""
    outside_rth: bool = False


class Seen(NamedTuple):
    """openOrder: an order that works, or has just ended, at any client's."""

    order_id: int
    client: int
    perm_id: int
    symbol: str
    con_id: int
    ticket: Ticket
    status: str
    text: str = ""


class Status(NamedTuple):
    """orderStatus."""

    order_id: int
    client: int
    perm_id: int
    status: str
    filled: Decimal
    text: str = ""


class Done(NamedTuple):
    """completedOrder: it says neither id nor client."""

    ref: str
    perm_id: int
    account: str
    status: str
    filled: Decimal
    text: str


class Deal(NamedTuple):
    """execDetails; ``request`` is -1 where it is told by itself."""

    request: int
    exec_id: str
    order_id: int
    client: int
    perm_id: int
    ref: str
    account: str
    symbol: str
    side: str
    shares: Decimal
    price: Decimal
    time: int


class Cost(NamedTuple):
    """commissionReport; None where it is not known yet."""

    exec_id: str
    amount: Decimal | None
    currency: str


class Word(NamedTuple):
    """An error, a warning or a notice, of a request, an order, or (-1) of nothing in particular."""

    about: int
    code: int
    text: str


class Held(NamedTuple):
    """position."""

    account: str
    symbol: str
    shares: Decimal


class Row(NamedTuple):
    """accountSummary."""

    account: str
    tag: str
    value: str
    currency: str
