"""The gateway's core, its turn and its desk on a real broker's adapter: all of the gateway but the process."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from appliance.core.connection import LinkTerms
from appliance.core.gateway import GatewayCore
from appliance.core.streams import Writer, Writers
from appliance.core.turn import Turn
from appliance.domain.messages import Event, VenueLink, local
from appliance.domain.operations import Command, Head, Peer
from appliance.domain.trading import Approved, Order
from appliance.shell.clock import MachineClock
from appliance.venues.base import BrokerInterface
from appliance.venues.desk import Desk
from appliance.venues.rates import rates_of
from tests.core import make
from tests.core.memory import MemoryStore
from tests.playbook import SECOND

MILLI = SECOND // 1000
QUICK = LinkTerms(beat_every=300 * MILLI, beat_patience=700 * MILLI)
"""Impatient with the link, as the tests' brokers are."""
PATIENCE = 20.0


class Floor:
    """Orders go in as the guard's decisions; ``orders`` is what was told of them, newest."""

    def __init__(self, broker: BrokerInterface, store: MemoryStore | None = None) -> None:
        self.clock = MachineClock()
        self.orders: dict[str, Order] = {}
        self.links: list[VenueLink] = []
        self._decisions = Writer("guard/decisions", Head())
        self._sent = 0
        traits = broker.traits

        def build(writers: Writers) -> GatewayCore:
            return GatewayCore("gateway", writers, traits)

        self.desk: Desk | None = None
        reads = ("guard/decisions",)
        self.turn = Turn("gateway", build, store or MemoryStore(), self._publish, self.clock, reads)
        self.desk = Desk(broker, self.clock, self._answer, Random(1), rates_of(broker.name), QUICK)
        self.turn.start()
        self.turn.accept(local(Peer("guard", True)))

    @property
    def core(self) -> GatewayCore:
        assert isinstance(self.turn.core, GatewayCore)
        return self.turn.core

    @property
    def reconciled(self) -> bool:
        return self.core.reconciler.done

    def _answer(self, event: Event) -> None:
        if isinstance(event.body, VenueLink):
            self.links.append(event.body)
        self.turn.accept(event)

    def _publish(self, event: Event, payload: bytes) -> None:
        if event.topic == "venue/requests":
            assert self.desk is not None
            self.desk.request(event)
        elif isinstance(event.body, Order):
            self.orders[event.body.id] = event.body

    def send(self, name: str, **given: Any) -> None:
        """The guard lets an order for one SPY pass; it holds for a minute."""
        now = self.clock.now(None)
        wanted = make.intent(**{"id": name, "quantity": Decimal(1), "decided": now.moment, **given})
        self.turn.accept(self._decisions.event(Approved(wanted, now.moment, 60 * SECOND), 0, ""))

    def command(self, command: Command) -> None:
        """The owner says something."""
        self.turn.accept(local(command))

    def status(self, name: str) -> str:
        """How an order stands; "" : it is not known."""
        return self.orders[name].status.value if name in self.orders else ""

    def round(self) -> None:
        """One round of the engine's loop."""
        assert self.desk is not None
        ready, _, _ = select.select([fd for fd, _ in self.desk.fds()], [], [], 0.01)
        for _, hush in self.desk.fds() if ready else ():
            hush()
        self.desk.poll(self.turn)
        while self.turn.run():
            pass
        self.turn.tend()

    def until(self, happened: Callable[[], object], seconds: float = PATIENCE) -> float:
        """Go round until it has happened; how many seconds that took."""
        start = time.monotonic()
        while not happened():
            took = time.monotonic() - start
            assert took < seconds, f"not in {seconds} s; links {self.links[-4:]}, orders {list(self.orders.values())}"
            self.round()
        return time.monotonic() - start

    def close(self) -> None:
        assert self.desk is not None
        self.desk.close()
