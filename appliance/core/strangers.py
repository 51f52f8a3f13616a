"""Orders and fills at our account that are not ours: shown, left alone, and explained by the baseline.

An order id that looks like ours and is not in our books is another matter: a journal was lost, and its symbol halts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from appliance.core.activities import whole_after
from appliance.domain.market import Split
from appliance.domain.messages import Foreign, Now, OpenOrder, VenueFill
from appliance.domain.operations import Severity
from appliance.domain.trading import ZERO

if TYPE_CHECKING:
    from appliance.core.gateway import GatewayCore

VIEW = "view/foreign"
SHOWN = 200
"""So many orders of strangers fit in a view."""
REMEMBERED = 5_000
"""So many fills of strangers before the oldest are looked through for those that cannot be told again."""
_OURS = re.compile(r"[A-Za-z0-9_.-]{1,24}-[1-9][0-9]*-[1-9][0-9]*(-[rst][0-9.]*(-[rst0-9.]+)*)?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def looks_ours(order_id: str) -> bool:
    """Whether an id is ``<producer>-<epoch>-<number>``, with what protective orders have after it; ids that a venue
    makes itself (UUIDs) may look like that by chance."""
    return _OURS.fullmatch(order_id) is not None and _UUID.fullmatch(order_id) is None


class Strangers:
    """Knows each fill that is not ours by its key, so that it moves the baseline once."""

    def __init__(self, gateway: GatewayCore) -> None:
        self._gateway = gateway
        self.fills = gateway.table("stranger", VenueFill)
        self.taken = gateway.table("taken", Decimal)
        """Shares of strategies' positions that another hand has sold (negative: bought back) at the broker."""
        self.shown = Foreign()

    def orders(self, told: Sequence[OpenOrder], now: Now) -> None:
        """What works at the venue and is not in our books."""
        ours = [order for order in told if looks_ours(order.order_id)]
        for order in ours:
            self.lost(order.symbol, f"order {order.order_id} works at the venue", now)
        sort = sorted(told, key=lambda order: (order.symbol, order.venue_id, order.order_id))
        found = Foreign(len(sort), tuple(sort[:SHOWN]))
        if found == self.shown:
            return
        self.shown = found
        self._gateway.show(VIEW, found, now)
        names = ", ".join(f"{order.side.value} {order.quantity} {order.symbol}" for order in found.orders[:5])
        if found.orders:
            text = f"{found.n} orders at the venue are not ours and are left alone: {names}"
            self._gateway.notices.holds("FOREIGN_ORDERS", Severity.INFO, text, now)
        else:
            self._gateway.notices.over("FOREIGN_ORDERS", "no order at the venue is a stranger's any more", now)

    def lost(self, symbol: str, what: str, now: Now) -> None:
        """An id of ours that our journal does not know: nobody knows what it was for."""
        self._gateway.block(symbol, f"{what} and looks like ours, but our journal does not know it: was one lost?", now)

    def fill(self, told: VenueFill, replaces: str, now: Now) -> None:
        """Somebody else traded at our account: the baseline has it, no strategy does. What is told before our first
        look is in that already. ``replaces`` is the key of the fill that this one corrects, or ""."""
        if told.fill_key in self.fills:
            return
        before = self.fills.get(replaces)
        self.fills.drop(replaces)
        self._note(told)
        gateway = self._gateway
        gateway.reconciler.booked(told.fill_key)  # a first look taken before it does not have it in its positions
        if not gateway.ledger.account:
            return
        shares = told.quantity * told.side.sign
        cash = -shares * told.price - told.commission
        if before is not None:
            shares -= before.quantity * before.side.sign
            cash += before.quantity * before.side.sign * before.price + before.commission
        self.moved(told.symbol, shares, now)
        gateway.ledger.pay(cash, told.time)
        gateway.tell_account(now)
        if looks_ours(told.order_id):
            self.lost(told.symbol, f"{told.order_id} filled {told.quantity}", now)
            return
        text = f"{told.side.value} {told.quantity} {told.symbol} at {told.price} was traded here, not by us"
        gateway.notices.happened(f"FOREIGN_TRADE/{told.symbol}", Severity.INFO, text, now)

    def moved(self, symbol: str, shares: Decimal, now: Now) -> None:
        """So many more (signed) of the broker's shares are of no strategy. Where that leaves fewer than strategies
        hold, no exit and no stop may sell what is gone: it would be sold twice."""
        reconciler, position = self._gateway.reconciler, self._gateway.ledger.position(symbol)
        before, taken = reconciler.baseline(symbol), self.taken.get(symbol, ZERO)
        reconciler.rebase(symbol, before + shares)
        if not shares or not position:
            return
        sign = 1 if position > 0 else -1
        if position * shares > 0:
            left = max(ZERO, abs(taken) - abs(shares))
        else:
            spare = max(ZERO, before * sign)
            left = min(abs(taken) + max(ZERO, abs(shares) - spare), abs(position))
        if left == abs(taken):
            return
        self.taken[symbol] = left * sign
        if left > abs(taken):
            why = f"another hand took {left} of the {abs(position)} that strategies hold: see to it by hand"
            self._gateway.block(symbol, why, now)
            self._gateway.plans.taken(symbol, now)

    def leaves(self, symbol: str) -> Decimal | None:
        """Shares (not signed) of all strategies' position that are still at the broker; None: all of them are."""
        taken, position = self.taken.get(symbol, ZERO), self._gateway.ledger.position(symbol)
        if taken * position <= 0:
            self.taken.drop(symbol)
            return None
        return max(ZERO, abs(position) - abs(taken))

    def split(self, split: Split) -> None:
        """What is gone would be as many shares as a split makes of it."""
        if split.symbol in self.taken:
            self.taken[split.symbol] = whole_after(self.taken[split.symbol], split)

    def rename(self, symbol: str, becomes: str) -> None:
        """A symbol is called otherwise."""
        if symbol in self.taken:
            self.taken[becomes] = self.taken[symbol]
            del self.taken[symbol]

    def _note(self, told: VenueFill) -> None:
        self.fills[told.fill_key] = told
        if len(self.fills) > REMEMBERED:
            horizon = self._gateway.ledger.told_from()
            for key in [key for key, fill in self.fills.items() if fill.time < horizon]:
                del self.fills[key]

    def missing_journal(self, told: Sequence[VenueFill], held: Mapping[str, Decimal], now: Now) -> None:
        """The first look of a new journal: positions that fills of ours have made are of no strategy any more."""
        for fill in told:
            if held.get(fill.symbol, ZERO) and looks_ours(fill.order_id):
                self.lost(fill.symbol, f"{fill.order_id} filled {fill.quantity}", now)
