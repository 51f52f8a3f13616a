"""Executions that the venue corrects or takes back: booked exactly once, in whatever order they are told.

Whoever keeps books by fills hears of two more: the execution as it is now, and the opposite of what it was. Of the two
the one that leads away from nothing comes first, so that a position that stays is at no time none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.ledger import fill_of
from appliance.domain.messages import Now, VenueFill
from appliance.domain.operations import Severity
from appliance.domain.trading import ZERO, Fill

if TYPE_CHECKING:
    from appliance.core.gateway import GatewayCore

REMEMBERED = 2_000
"""So many corrections before the oldest are looked through for those that cannot be told again."""

ANEW = "~"
"""Between the key of an execution and what it is now, where the venue gave that no key of its own."""


class Corrected(Struct, frozen=True):
    """The key of the execution that took another's place, and when that was (ns UTC)."""

    by: str
    time: int


class Corrections:
    """Knows which execution took the place of which."""

    def __init__(self, gateway: GatewayCore) -> None:
        self._gateway = gateway
        self._corrected = gateway.table("corrected", Corrected)

    def known(self, told: VenueFill) -> bool:
        """Whether there is nothing to book of an execution: another has taken its place, and it takes no other's."""
        return bool(self._corrected) and told.fill_key in self._corrected and not told.corrects

    def anew(self, told: VenueFill) -> VenueFill:
        """A fill that a look tells of, as a correction where we have it otherwise: who has forgotten what he told tells
        it as it is now, under the key that it had."""
        head = self._head(told.fill_key)
        old = self._gateway.ledger.fills.get(head)
        if told.corrects or old is None or (old.quantity, old.price) == (told.quantity, told.price):
            return told
        if head != told.fill_key and not head.startswith(f"{told.fill_key}{ANEW}"):
            return told  # corrected by name
        return replace(told, fill_key=f"{told.fill_key}{ANEW}{told.quantity}@{told.price}", corrects=told.fill_key)

    def take(self, told: VenueFill, now: Now) -> str | None:
        """Let an execution take the place of the one it ``corrects``. None: all is done. Otherwise that was no fill of
        ours, and this one is to be booked as any other: the key that it takes the place of."""
        head, over = self._head(told.corrects), told.fill_key in self._corrected
        if head == told.fill_key or (over and head == self._head(told.fill_key)):
            return None
        if head != told.corrects and not _later(told.fill_key, head):
            self._note(told.fill_key, head, told.time)  # the venue has corrected it again, and that was told first
            return None
        self._note(head, told.fill_key, told.time)
        old = self._gateway.ledger.fills.get(head)
        if old is not None:
            self._swap(old, None if over else told, told, now)
        return None if over or old is not None else head

    def _head(self, key: str) -> str:
        """The last that took the place of ``key``, or itself."""
        while (row := self._corrected.get(key)) is not None:
            key = row.by
        return key

    def _note(self, old: str, by: str, time: int) -> None:
        self._corrected[old] = Corrected(by, time)
        if len(self._corrected) > REMEMBERED:
            horizon = self._gateway.ledger.told_from()
            for key in [key for key, row in self._corrected.items() if row.time < horizon]:
                del self._corrected[key]

    def _swap(self, old: Fill, new: VenueFill | None, told: VenueFill, now: Now) -> None:
        gateway, ledger = self._gateway, self._gateway.ledger
        order = ledger.orders.get(old.order_id)
        fills = [_opposite(old, told)] if old.quantity else []
        if new is not None and new.quantity:
            fills.append(fill_of(new, old.order_id, old.strategy))
        held = ledger.holding(old.strategy, old.symbol)
        if len(fills) == 2 and held * fills[1].signed >= 0:
            fills.reverse()
        moved, wrong = ledger.correct(old, new, fills, order)
        for fill in fills:
            gateway.emit("gateway/orders", fill, now, old.order_id)
        if moved is not None:
            gateway.tell(moved, now)
        gateway.tell_account(now)
        gateway.show_position(old.symbol, now)
        gateway.reconciler.booked(told.fill_key)
        self._say(old, told, now)
        if wrong:
            gateway.block(old.symbol, f"{old.order_id}: {wrong}", now)
        if moved is not None:
            gateway.plans.corrected(moved, now)

    def _say(self, old: Fill, told: VenueFill, now: Now) -> None:
        became = f"{told.quantity} at {told.price}" if told.quantity else "nothing: it never happened"
        text = (
            f"the venue corrects {old.side.value} {old.quantity} {old.symbol} at {old.price} of {old.order_id} to "
            f"{became}"
        )
        self._gateway.notices.happened(f"FILL_CORRECTED/{old.symbol}", Severity.WARNING, text, now)


def _opposite(old: Fill, told: VenueFill) -> Fill:
    return Fill(
        f"{told.fill_key}:reversal", old.order_id, old.strategy, old.symbol, old.side.opposite, old.quantity, old.price,
        ZERO - old.commission, told.time,
    )  # fmt: skip


def _later(key: str, other: str) -> bool:
    """Which of two corrections of one execution is the later: venues number them upwards in their keys."""
    return ANEW in other or (len(key), key) > (len(other), other)
