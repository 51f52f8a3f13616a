"""What became of every intent, in the order the guard decided: the rows of ``--orders-out`` and the summary figures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from appliance.domain.messages import Event, EventType
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import ZERO, Account, ActivityKind, Fill, Intent, Order


class OrderRecord:
    """Hears ``guard/decisions`` and ``gateway/orders``; the same whoever drives the cores."""

    def __init__(self) -> None:
        self._intents: dict[str, Intent] = {}
        self._status: dict[str, str] = {}
        self._fills: dict[str, list[Fill]] = {}
        self.positions: dict[str, Decimal] = {}
        self.account: Account | None = None
        self.fills = 0
        self.denied = 0
        self._orders: dict[str, None] = {}

    def note(self, event: Event) -> None:
        """Hear one message; other types are ignored."""
        body = event.body
        if event.type is EventType.APPROVED:
            self._intents[body.intent.id] = body.intent
            self._status.setdefault(body.intent.id, "approved")
        elif event.type is EventType.DENIED:
            self._intents[body.intent.id] = body.intent
            self._status[body.intent.id] = "denied"
            self.denied += 1
        elif event.type is EventType.ORDER:
            self._order(body)
        elif event.type is EventType.FILL:
            self._fills.setdefault(body.order_id, []).append(body)
            self.positions[body.symbol] = self.positions.get(body.symbol, ZERO) + body.signed
            self.fills += 1
        elif event.type is EventType.ACCOUNT:
            self.account = body
        elif event.type is EventType.ACTIVITY and body.kind is ActivityKind.SPLIT:
            self.positions[body.symbol] = body.position

    def _order(self, order: Order) -> None:
        if order.attempt:
            self._orders[order.id] = None
        if order.protects:
            return
        if order.status is OrderStatus.DENIED and self._status.get(order.id) != "denied":
            self.denied += 1
        self._status[order.id] = order.status.value

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
        return {
            "id": intent.id,
            "symbol": intent.symbol,
            "side": intent.side.value,
            "quantity": plain(intent.quantity),
            "type": intent.type.value,
            "status": self._status[intent.id],
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
