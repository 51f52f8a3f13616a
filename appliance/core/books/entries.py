"""The shapes of a run's accounting: every change of cash, every closed trade, and what the account was worth.

Money is Decimal USD, times are ns UTC, quantities are shares.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from appliance.domain.trading import Side


class EntryKind(Enum):
    """Why cash or a position changed."""

    FILL = "fill"
    DIVIDEND = "dividend"
    SPLIT = "split"
    BORROW = "borrow"
    INTEREST = "interest"


class Entry(Struct, frozen=True):
    """One line of the books. ``quantity`` is the change of the position (signed), ``amount`` the change of cash after
    ``fee``, ``cash`` what there is after it. ``order_id`` and ``strategy`` are "" where there is none; ``decided`` is
    the last price (USD) when the order was decided, None where nobody knows."""

    time: int
    kind: EntryKind
    symbol: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    amount: Decimal
    cash: Decimal
    order_id: str = ""
    strategy: str = ""
    decided: Decimal | None = None


class Trade(Struct, frozen=True):
    """One closed trade: ``quantity`` shares entered on ``side`` and left again. ``profit`` is net of ``fees``.

    ``best`` and ``worst`` are the largest gain and loss (USD, per trade, before fees; worst not above 0) any price of
    the symbol showed while it was held; None where nobody watched.
    """

    symbol: str
    strategy: str
    side: Side
    quantity: Decimal
    entry_time: int
    entry_price: Decimal
    exit_time: int
    exit_price: Decimal
    fees: Decimal
    profit: Decimal
    best: Decimal | None = None
    worst: Decimal | None = None


class Mark(Struct, frozen=True):
    """What the account was worth at ``time``, and the ``lowest`` and ``highest`` equity since the mark before it.

    ``long`` and ``short`` are exposures (short not above 0). Floats: a mark is measured at market prices. That of a
    whole session also has the part of it (fraction) in which something was ``held``, and the largest ``leverage`` there
    was after a fill: gross exposure over equity; None is as it was at the mark.
    """

    time: int
    equity: float
    lowest: float
    highest: float
    cash: float
    long: float = 0.0
    short: float = 0.0
    held: float | None = None
    leverage: float | None = None
