"""What became of every intent, in the order the guard decided: the rows of ``--orders-out`` and the summary figures."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from appliance.domain.messages import Event
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import ZERO, Account, Activity, ActivityKind, Approved, Denied, Fill, Intent, Order

DENIED = OrderStatus.DENIED


class OrderRecord:
    """Hears ``guard/decisions`` and ``gateway/orders``; the same whoever drives the cores."""

    def __init__(self) -> None:
        self._intents: dict[str, Intent] = {}
        self._status: dict[str, OrderStatus | None] = {}  # None: approved, and nothing has come of it yet
        self._fills: dict[str, list[Fill]] = {}
        self.positions: dict[str, Decimal] = {}
        self.account: Account | None = None
        self.fills = 0
        self.denied = 0
        self._orders: dict[str, None] = {}
        self.hears: dict[type, Callable[[Any], None]] = {
            Approved: self._approved,
            Denied: self._denied,
            Order: self._order,
            Fill: self._fill,
            Account: self._accounted,
            Activity: self._happened,
        }

    def note(self, event: Event) -> None:
        """Hear one message; other types are ignored."""
        hear = self.hears.get(type(event.body))
        if hear is not None:
            hear(event.body)

    def _approved(self, approved: Approved) -> None:
        intent = approved.intent
        self._intents[intent.id] = intent
        self._status.setdefault(intent.id)

    def _denied(self, denied: Denied) -> None:
        self._intents[denied.intent.id] = denied.intent
        self._status[denied.intent.id] = DENIED
        self.denied += 1

    def _order(self, order: Order) -> None:
        if order.attempt:
            self._orders[order.id] = None
        if order.protects:
            return
        if order.status is DENIED and self._status.get(order.id) is not DENIED:
            self.denied += 1
        self._status[order.id] = order.status

    def _fill(self, fill: Fill) -> None:
        self._fills.setdefault(fill.order_id, []).append(fill)
        self.positions[fill.symbol] = self.positions.get(fill.symbol, ZERO) + fill.signed
        self.fills += 1

    def _accounted(self, account: Account) -> None:
        self.account = account

    def _happened(self, activity: Activity) -> None:
        if activity.kind in (ActivityKind.SPLIT, ActivityKind.DELISTING):
            self.positions[activity.symbol] = activity.position if activity.kind is ActivityKind.SPLIT else ZERO

    @property
    def intents(self) -> int:
        """Intents that were decided."""
        return len(self._intents)

    @property
    def orders(self) -> int:
        """Orders that were sent, protective stops included."""
        return len(self._orders)

    def rows(self) -> list[dict[str, Any]]:
        """One row per intent in decision order, denied ones included; times ns UTC, Decimals as plain strings."""
        return [self._row(intent) for intent in self._intents.values()]

    def _row(self, intent: Intent) -> dict[str, Any]:
        fills = [
            {"time": fill.time, "price": plain(fill.price), "quantity": plain(fill.quantity)}
            for fill in self._fills.get(intent.id, ())
        ]
        status = self._status[intent.id]
        return {
            "id": intent.id,
            "symbol": intent.symbol,
            "side": intent.side.value,
            "quantity": plain(intent.quantity),
            "type": intent.type.value,
            "status": "approved" if status is None else status.value,
            "decided": intent.decided.time,
            "fills": fills,
        }

    def jsonl(self) -> bytes:
        """The rows as JSON lines with compact separators."""
        return b"".join(msgspec.json.encode(row) + b"\n" for row in self.rows())


def plain(value: Decimal) -> str:
    """A Decimal without exponent or trailing zeros: ``100``, ``167.65``."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
