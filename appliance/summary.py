"""What `appliance up` and `appliance backtest` tell at the end: the figures of a run, from its own messages; and what
`up` tells meanwhile of orders that nobody took."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from appliance.core.record import OrderRecord, plain
from appliance.domain.market import Bar, last_price
from appliance.domain.messages import Event, EventType, Stage
from appliance.domain.operations import Heartbeat, Latch
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import ZERO, Denied, Order

MS = 1_000_000
AGAIN = 60 * 1_000 * MS
"""An order that is refused for what another one of the same strategy and symbol was is told after so long (ns)."""
NOT_TAKEN = (OrderStatus.DENIED, OrderStatus.REJECTED, OrderStatus.NOT_PLACED)


class RunFigures:
    """Hears a run's streams, message by message, and can be asked at any time."""

    def __init__(self) -> None:
        self.record = OrderRecord()
        self.bars = 0
        self.signals = 0
        self.done = False
        self.latch = Latch()
        self.prices: dict[str, float] = {}

    def note(self, event: Event) -> None:
        """Hear one message of a stream or a view."""
        if event.type is EventType.STEP:
            self._step(event)
        elif event.type is EventType.SIGNAL:
            self.signals += 1
        elif event.type is EventType.LATCH:
            self.latch = event.body
        elif event.type is EventType.BAR:
            self.bars += 1
            self.prices[event.body.symbol] = event.body.close
        else:
            self.record.note(event)

    def _step(self, event: Event) -> None:
        step = event.body
        self.done = self.done or step.stage is Stage.DONE
        if step.stage is Stage.VENUE:
            for happened in step.events:
                self.bars += isinstance(happened, Bar)
                self.prices[happened.symbol] = last_price(happened)

    @property
    def cash(self) -> Decimal | None:
        """USD, or None while the account is unknown."""
        return self.record.account.cash if self.record.account is not None else None

    @property
    def equity(self) -> Decimal | None:
        """Cash and positions at the last price, USD; while one that is held has no price yet, what the venue says."""
        held = {symbol: quantity for symbol, quantity in self.record.positions.items() if quantity}
        if self.cash is None or any(symbol not in self.prices for symbol in held):
            return self.record.account.equity if self.record.account is not None else None
        return self.cash + sum((q * Decimal(repr(self.prices[s])) for s, q in held.items()), ZERO)

    def summary(self, beats: Iterable[Heartbeat], outside: int, seconds: float) -> dict[str, Any]:
        """One JSON object's worth; money and shares as plain strings, latency in ms per hop between processes."""
        told = list(beats)
        cash, equity = self.cash, self.equity
        return {
            "bars": self.bars,
            "bars_outside_session": outside,
            "signals": self.signals,
            "intents": self.record.intents,
            "orders": self.record.orders,
            "fills": self.record.fills,
            "denied": self.record.denied,
            "duplicates_dropped": sum(beat.counters.get("duplicates_dropped", 0) for beat in told),
            "gaps_healed": sum(beat.counters.get("gaps_healed", 0) for beat in told),
            "position": {symbol: plain(quantity) for symbol, quantity in sorted(self.record.positions.items())},
            "cash": plain(cash) if cash is not None else None,
            "equity": plain(equity) if equity is not None else None,
            "seconds": round(seconds, 3),
            "latency_ms": _latency(told),
        }


class Refusals:
    """Says in a line which order was denied here, or rejected by the broker, and why; what is older than ``since`` (ns
    UTC) was told by another run."""

    def __init__(self, since: int) -> None:
        self._since = since
        self._told: dict[tuple[str, str, str], int] = {}
        self._ids: dict[str, None] = {}

    def line(self, event: Event) -> str:
        """``rejected cross-1-4, buy 10 SPY: BUYING_POWER: insufficient …``; "" for anything else, and for what has been
        told within the last minute."""
        body = event.body
        if isinstance(body, Denied):
            order_id, intent, status, code, text = body.intent.id, body.intent, "denied", body.code, body.text
        elif isinstance(body, Order) and body.status in NOT_TAKEN:
            order_id, intent, status, code, text = body.id, body.intent, body.status.value, body.code, body.text
        else:
            return ""
        key = (intent.strategy, intent.symbol, code)
        if event.ts < max(self._since, self._told.get(key, 0) + AGAIN) or order_id in self._ids:
            return ""
        self._told[key] = event.ts
        self._ids = {**dict.fromkeys(list(self._ids)[-100:]), order_id: None}
        what = f"{body.side.value} {plain(body.quantity)}" if isinstance(body, Order) else _asked(body)
        return f"{status.replace('_', ' ')} {order_id}, {what} {intent.symbol}: {code or 'no code'}: {text}".rstrip(
            ": "
        )


def _asked(denied: Denied) -> str:
    return f"{denied.intent.side.value} {plain(denied.intent.quantity)}"


def _latency(beats: list[Heartbeat]) -> dict[str, float]:
    """The median process's p50, the worst p99 and maximum of a hop, in ms, as the processes measured them."""
    measured = sorted(beat.latency for beat in beats if len(beat.latency) == 3)
    if not measured:
        return {"p50": 0.0, "p99": 0.0, "max": 0.0}
    return {
        "p50": round(measured[len(measured) // 2][0] / MS, 3),
        "p99": round(max(row[1] for row in measured) / MS, 3),
        "max": round(max(row[2] for row in measured) / MS, 3),
    }
