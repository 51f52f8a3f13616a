"""What a margin account costs and must keep, at each session's close: borrow fees, interest, margin calls.

Fees are for the nights until the next session that brings an event. Interest is owed on what is lacking when the
proceeds of short sales are left aside, as brokers leave them. Maintenance is FINRA Rule 4210(c)'s: 25 % of long and 30
% of short market value; an account with less equity gets a call, and the guard ends its positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from math import inf

from appliance.core.base import Core
from appliance.core.models import MarketModel
from appliance.core.models.financing import borrow_fee, margin_interest
from appliance.domain.market import AlwaysOpen, MarketEvent, Session, Sessions, last_price
from appliance.domain.trading import ZERO, AccountKind, Activity, ActivityKind

LONG, SHORT = Decimal("0.25"), Decimal("0.30")
"""Equity to be kept, of the market value of long and of short positions."""

FOREVER = 1 << 62


class Lending:
    """The lender of one account. Only of a margin account it needs prices, and only while something is held or owed."""

    def __init__(self, market: Core, model: MarketModel, sessions: Sessions | None) -> None:
        self.lends = model.account is AccountKind.MARGIN
        self.watches = False
        """Whether every market event matters, because something is held or owed on margin."""
        self._rates = model.financing
        self._sessions = sessions if sessions else AlwaysOpen()
        self._due = market.table("close", int)
        self._prices = market.table("last", float)

    def look(self, cash: Decimal, positions: Mapping[str, Decimal]) -> None:
        """Cash or positions have changed."""
        self.watches = self.lends and (cash < 0 or any(positions.values()))

    def due(self, time: int, cash: Decimal, positions: Mapping[str, Decimal]) -> list[Activity]:
        """What is charged for the close that has passed before ``time`` (ns UTC), once."""
        close = self._due.get("", 0)
        if time <= close:
            return []
        session = self._sessions.coming(time - 1)  # what is known at the close belongs to the session
        self._due[""] = session.close if session is not None else FOREVER
        return self.charges(close, cash, positions, session) if close else []

    def hear(self, events: Iterable[MarketEvent]) -> None:
        """Prices have changed."""
        for happened in events:
            price = last_price(happened)
            if 0.0 < price < inf:
                self._prices[happened.symbol] = price

    def split(self, symbol: str, old: int, new: int) -> None:
        """The last price of a symbol in new shares."""
        if symbol in self._prices:
            self._prices[symbol] = self._prices[symbol] * old / new

    def charges(
        self, close: int, cash: Decimal, positions: Mapping[str, Decimal], until: Session | None = None
    ) -> list[Activity]:
        """What the account is charged at a close (ns UTC) for the nights ``until`` the session in which something
        happens again (None: the next one), and the margin call where it has too little."""
        session = self._sessions.previous(close)
        if session is None:
            return []
        nights = self._nights(session, until)
        worth = {symbol: shares * self._price(symbol) for symbol, shares in sorted(positions.items()) if shares}
        found = []
        for symbol, value in worth.items():
            fee = borrow_fee(-value, nights, self._rates) if value < 0 else ZERO
            if fee:
                key = f"{symbol}:borrow:{close}"
                found.append(Activity(key, ActivityKind.BORROW, symbol, close, -fee, positions[symbol]))
        short = sum((value for value in worth.values() if value < 0), ZERO)
        interest = margin_interest(cash + short, nights, self._rates)
        if interest:
            found.append(Activity(f"interest:{close}", ActivityKind.INTEREST, "", close, -interest))
        equity = cash + sum(worth.values(), ZERO) + sum((one.cash for one in found), ZERO)
        required = (sum(worth.values(), ZERO) - short) * LONG - short * SHORT
        if equity < required:
            found.append(Activity(f"margin_call:{close}", ActivityKind.MARGIN_CALL, "", close))
        return found

    def _price(self, symbol: str) -> Decimal:
        return Decimal(repr(self._prices.get(symbol, 0.0)))

    def _nights(self, session: Session, until: Session | None) -> int:
        """Calendar days from a session to another, or to the next."""
        following = until if until is not None else self._sessions.coming(session.close)
        if following is None:
            return 1
        return (date.fromisoformat(following.date) - date.fromisoformat(session.date)).days
