"""A box whose strategy is the drill: real Mosquitto, guard and gateway, and what the gateway told, in order."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from decimal import Decimal

from msgspec.structs import replace

from appliance.domain import wire
from appliance.domain.market import SECOND
from appliance.domain.messages import Event, EventType, local
from appliance.domain.operations import Command, ProcessState, Verb
from appliance.domain.trading import ZERO, Account, Cancel, Fill, Intent, Order
from appliance.launch import Launch
from appliance.runs import RunSpec
from appliance.shell.child import Spec
from appliance.shell.clock import MachineClock
from appliance.shell.paths import StatePaths
from tests.ambiguity.guard import SOCKET

VALID = 30 * SECOND
READY_WITHIN = 30.0
STRATEGY = "drill"
OURS = ("guard", "gateway")
"""Processes that differ from the shipped ones, in what their modules here say."""


class Doubt:
    """When an order began and ceased to be UNKNOWN (machine seconds)."""

    def __init__(self, order_id: str, began: float) -> None:
        self.order_id, self.began, self.ended = order_id, began, 0.0


class DrillBox(Launch):
    """Everything the gateway tells is here: ``orders`` by id, ``fills`` by key, ``account``; ``doubts`` are the orders
    that were UNKNOWN; ``links`` the states of the venue's link as they were shown, with machine seconds."""

    def __init__(self, paths: StatePaths, spec: RunSpec) -> None:
        super().__init__(paths, spec, self._hear)
        self.orders: dict[str, Order] = {}
        self.fills: dict[str, Fill] = {}
        self.told_twice: list[str] = []
        self.account: Account | None = None
        self.blocked: dict[str, str] = {}
        self.generation = 0
        self.denied: dict[str, str] = {}
        self.doubts: list[Doubt] = []
        self.links: list[tuple[float, str]] = []
        self._doubtful: dict[str, Doubt] = {}
        self._clock = MachineClock()
        self._intents = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._n = 0

    def _child(self, process: str) -> Spec:
        child = super()._child(process)
        if process not in OURS:
            return child
        return replace(child, argv=(sys.executable, "-m", f"tests.ambiguity.{process}", str(self.paths.root)))

    # --- what is told -----------------------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        hear = {
            EventType.ORDER: self._order, EventType.FILL: self._fill, EventType.ACCOUNT: self._accounted,
            EventType.LATCH: self._latched,
        }.get(event.type)  # fmt: skip
        if hear is not None and event.stream == "gateway/orders":
            hear(event)
        elif event.type is EventType.DENIED:
            self.denied[event.body.intent.id] = event.body.code
        elif event.topic == "view/venue":
            self.links.append((time.monotonic(), event.body.state.value))

    def _order(self, event: Event) -> None:
        order: Order = event.body
        self.orders[order.id] = order
        doubt = self._doubtful.get(order.id)
        if order.status.value == "unknown":
            if doubt is None:
                self._doubtful[order.id] = doubt = Doubt(order.id, time.monotonic())
                self.doubts.append(doubt)
        elif doubt is not None and order.status.value != "sending":
            doubt.ended = time.monotonic()
            del self._doubtful[order.id]

    def _fill(self, event: Event) -> None:
        if event.body.fill_key in self.fills:
            self.told_twice.append(event.body.fill_key)
        self.fills[event.body.fill_key] = event.body

    def _accounted(self, event: Event) -> None:
        self.account = event.body

    def _latched(self, event: Event) -> None:
        self.generation, self.blocked = event.body.generation, dict(event.body.blocked)

    @property
    def link(self) -> str:
        """The state of the venue's link as last shown."""
        return self.links[-1][1] if self.links else ""

    def positions(self) -> Mapping[str, Decimal]:
        """Shares by symbol, from the fills, without zeros."""
        held: dict[str, Decimal] = {}
        for fill in self.fills.values():
            held[fill.symbol] = held.get(fill.symbol, ZERO) + fill.signed
        return {symbol: shares for symbol, shares in held.items() if shares}

    # --- what is done -----------------------------------------------------------------------------------------------

    def intend(self, **wanted: object) -> str:
        """Say an intent to the guard; its id."""
        self._n += 1
        now = self._clock.now()
        order_id = f"{STRATEGY}-1-{self._n}"
        intent = Intent(
            order_id, STRATEGY, self._n, decided=now.moment, valid=VALID, cause=f"drill:1:{self._n}", **wanted  # type: ignore[arg-type]
        )  # fmt: skip
        self._say(intent)
        return order_id

    def take_back(self, order_id: str, symbol: str) -> None:
        """Cancel an order of the drill's."""
        self._n += 1
        now = self._clock.now()
        self._say(
            Cancel(f"{STRATEGY}-c-{self._n}", STRATEGY, self._n, symbol, order_id, now.moment, VALID, "drill:1:1")
        )

    def _say(self, body: Intent | Cancel) -> None:
        data = wire.encode(local(body, self._clock.now().time, "drill/intents"), wire.LOCAL_MAX)
        deadline = time.monotonic() + 5
        while True:
            try:
                self._intents.sendto(data, str(self.paths.run / SOCKET))
                return
            except OSError:
                assert time.monotonic() < deadline, "the guard takes no intents"
                self.poll(0.02)

    def command(self, verb: Verb, **more: object) -> None:
        """Say a command of the owner's."""
        self._n += 1
        now = self._clock.now()
        command = Command(f"drill-{now.time}-{self._n}", verb, "drill", now.time + 30 * SECOND, **more)  # type: ignore[arg-type]
        self.say(local(command, now.time, "command"))

    def kill_gateway(self) -> None:
        """kill -9; the supervisor starts it again, and has noticed when this returns."""
        child = self.supervisor.child("gateway")
        before = child.pid
        child.signal(signal.SIGKILL)
        self.until(lambda: child.pid != before, 5)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.poll(min(left, 0.05))

    def until(self, found: Callable[[], object], seconds: float) -> bool:
        """Poll until ``found`` is true; False when ``seconds`` pass first."""
        end = time.monotonic() + seconds
        while not found():
            if time.monotonic() > end:
                return False
            self.poll(0.02)
        return True

    def ready(self) -> bool:
        """Whether the gateway says so, and its venue's link."""
        assert self.collector is not None
        beat = self.collector.beats.get("gateway")
        return (
            self.supervisor.ready()
            and beat is not None
            and beat.pid == self.supervisor.child("gateway").pid
            and beat.state is ProcessState.READY
            and beat.progress.unresolved == 0
            and self.link == "ready"
            and self.collector.caught_up()
        )
