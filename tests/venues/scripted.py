"""A broker that answers as a test says, and a desk whose clock the test turns; threads are waited for, never timed."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from appliance.core.outbox import UNLIMITED, Rates
from appliance.domain.messages import (
    OpenOrder,
    VenueActivity,
    VenueFill,
    VenueLink,
    VenueReport,
    VenueSubmit,
    local,
)
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import Account, Order
from appliance.domain.venue import VenueTraits
from appliance.errors import VenueSilent
from appliance.venues.base import Answer, Change, Hear, Heard, VenueClock
from appliance.venues.desk import Desk
from tests.core import make
from tests.core.memory import HandClock
from tests.playbook import BEGIN, SECOND

PATIENCE = 10.0
"""Seconds a test waits for a thread before it fails."""
ACCEPT = OrderEvent.ACCEPT


def order(name: str = "a", **given: Any) -> Order:
    """BUY 100 of a symbol of its own at the market, on its way."""
    return make.order(make.intent(**{"id": name, "symbol": name, **given}), OrderStatus.SENDING)


def submit(name: str = "a", **given: Any) -> VenueSubmit:
    return VenueSubmit(order(name, **given))


class Hang:
    """A question that does not come back before the connection is closed, or the test lets it."""

    def __init__(self, through_close: bool = False) -> None:
        self.through_close = through_close
        self.free = threading.Event()


class ScriptedBroker:
    """``script[method]`` is what its next calls answer: values, errors to raise, Hang; without any, all is well.
    ``script["submit a"]`` is for those about order ``a``."""

    name = "scripted"
    traits = VenueTraits()

    def __init__(self) -> None:
        self.script: dict[str, list[Any]] = {}
        self.calls: list[tuple[str, Any]] = []
        self.positions_held: dict[str, Decimal] = {}
        self.hear: Hear | None = None
        self._hung: list[Hang] = []
        self._lock = threading.Lock()

    def say(self, heard: Heard) -> None:
        """Tell something by itself."""
        assert self.hear is not None
        self.hear(heard)

    def called(self, name: str) -> list[Any]:
        """What a method was called with, in order."""
        return [given for called, given in self.calls if called == name]

    def _play(self, name: str, given: Any, usual: Any) -> Any:
        with self._lock:
            self.calls.append((name, given))
            acts = self.script.get(f"{name} {given}") or self.script.get(name, [])
            act = acts.pop(0) if acts else usual
            if isinstance(act, Hang):
                self._hung.append(act)
        if isinstance(act, Hang):
            assert act.free.wait(PATIENCE), "nobody let it go"
            raise VenueSilent("closed while it waited", venue=self.name)
        if isinstance(act, BaseException):
            raise act
        return act() if callable(act) else act

    def open(self, hear: Hear) -> None:
        self.hear = hear
        self._play("open", None, None)

    def close(self) -> None:
        self._play("close", None, None)
        for hang in self._hung:
            if not hang.through_close:
                hang.free.set()

    def release(self) -> None:
        """Let all go that hangs."""
        for hang in self._hung:
            hang.free.set()

    def beat(self) -> None:
        self._play("beat", None, None)

    def submit(self, order: Order) -> VenueReport:
        told: VenueReport = self._play("submit", order.id, VenueReport(order.id, ACCEPT, BEGIN, f"v-{order.id}"))
        return told

    def cancel(self, order_id: str, venue_id: str = "") -> VenueReport | None:
        told: VenueReport | None = self._play("cancel", order_id, None)
        return told

    def replace(self, order_id: str, change: Change, venue_id: str = "") -> VenueReport:
        told: VenueReport = self._play("replace", order_id, VenueReport(order_id, ACCEPT, BEGIN))
        return told

    def order(self, order_id: str) -> Answer:
        told: Answer = self._play("order", order_id, Answer(VenueReport(order_id, OrderEvent.ABSENT, BEGIN)))
        return told

    def open_orders(self) -> tuple[OpenOrder, ...]:
        told: tuple[OpenOrder, ...] = self._play("open_orders", None, ())
        return told

    def fills(self, since: int) -> tuple[VenueFill, ...]:
        told: tuple[VenueFill, ...] = self._play("fills", since, ())
        return told

    def activities(self, since: int) -> tuple[VenueActivity, ...]:
        told: tuple[VenueActivity, ...] = self._play("activities", since, ())
        return told

    def positions(self) -> dict[str, Decimal]:
        told: dict[str, Decimal] = self._play("positions", None, dict(self.positions_held))
        return told

    def account(self) -> Account:
        told: Account = self._play("account", None, Account(Decimal(1000)))
        return told

    def clock(self) -> VenueClock:
        return VenueClock(BEGIN)


class Counter:
    """A desk, its broker, and what the gateway's core hears."""

    def __init__(self, broker: ScriptedBroker | None = None, rates: Rates = UNLIMITED) -> None:
        self.broker, self.clock = broker or ScriptedBroker(), HandClock()
        self.told: list[Any] = []
        self.desk = Desk(self.broker, self.clock, lambda event: self.told.append(event.body), Random(1), rates)

    def ask(self, *bodies: Any) -> Counter:
        for body in bodies:
            self.desk.request(local(body))
        return self

    def up(self) -> Counter:
        """Connected, and what was told of it heard."""
        self.ask(VenueLink(False, "connect"))
        self.until(lambda: bool(self.links()) and self.links()[-1].up)
        return self

    def links(self) -> list[VenueLink]:
        return [body for body in self.told if isinstance(body, VenueLink)]

    def reports(self) -> list[tuple[str, str, str]]:
        """What was told of orders: id, event and code."""
        return [(one.order_id, one.event.value, str(one.code)) for one in self.told if isinstance(one, VenueReport)]

    def poll(self) -> None:
        self.desk.poll(None)  # type: ignore[arg-type]

    def until(self, happened: Callable[[], bool]) -> None:
        """Poll whenever the bell rings, until it has happened."""
        waited = 0.0
        self.poll()
        while not happened():
            assert waited < PATIENCE, f"it did not happen; told: {self.told}, called: {self.broker.calls}"
            ready, _, _ = select.select([fd for fd, _ in self.desk.fds()], [], [], 0.05)
            waited += 0.0 if ready else 0.05
            for _, hush in self.desk.fds() if ready else ():
                hush()
            self.poll()

    def until_called(self, name: str, times: int = 1) -> None:
        self.until(lambda: len(self.broker.called(name)) >= times)

    def wait(self, seconds: float) -> None:
        """Let the clock go on, stopping where the desk wants to look."""
        end = self.clock.time + int(seconds * SECOND)
        while (due := self.desk.next_deadline()) is not None and due < end:
            self.clock.time = max(self.clock.time, due)
            self.poll()
            if self.desk.next_deadline() == due:
                break
        self.clock.time = max(self.clock.time, end)
        self.poll()

    def close(self) -> None:
        self.broker.release()
        self.desk.close()
