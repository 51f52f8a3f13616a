"""A tick in, an order at the paper broker: real processes, real Mosquitto, one fsync; and bare paho in the same run.

It begins when the feed's source makes a quote and ends when the paper broker takes the order, by its journal: after
the gateway has committed SENDING, before the broker's own commit. Ours and bare paho's have the same machine in turn,
a block of time each, and their percentiles are taken of the same number of seconds.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from appliance.core.limits import LimitValues
from appliance.domain import wire
from appliance.domain.market import SECOND, Quote
from appliance.domain.messages import Event, EventType, Ticks, VenueReport, local
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Approved, Intent, Moment, Side
from appliance.launch import Launch
from appliance.runs import RunSpec, StrategySpec
from appliance.shell import audit, mosquitto
from appliance.shell.paths import StatePaths
from appliance.shell.supervisor import Spec
from tests.bench import bare, box
from tests.bench.feed import SYMBOL

BLOCK = 2.0
"""Seconds that ours and bare paho's take turns for."""
SENT = len(',"sent":1234567890123456789')
STRATEGY = "alternate"
QOS = (0, 1, 1)
"""Of the hops: quotes, intents, decisions."""
NS_PER_US = 1_000


class Alternating(Launch):
    """A box whose feed is the bench's; ``rate`` is quotes a second."""

    def __init__(self, paths: StatePaths, spec: RunSpec, rate: float) -> None:
        super().__init__(paths, spec, lambda event: None)
        self._rate = rate

    def _child(self, process: str) -> Spec:
        spec = super()._child(process)
        if process != "feed":
            return spec
        command = (sys.executable, "-m", "tests.bench.feed", str(self.paths.root), str(self._rate), str(BLOCK))
        return msgspec.structs.replace(spec, argv=command)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run, µs."""
    with box.state_directory() as paths:
        launch = Alternating(paths, _spec(), 2 * options.rate)
        with box.running(launch):
            seconds = options.warm_up + 2 * options.seconds
            box.tell(f"measuring for {seconds:.0f} s: {options.rate:g} decisions a second, and as many of bare paho")
            begin = time.time_ns() + round(options.warm_up * SECOND)
            chain = _chain(launch, options.rate, time.time_ns() + round(seconds * SECOND))
            processes = _start(chain)
            box.watch(launch, seconds)
            for process in processes:
                process.wait(10)
        theirs = [sample for sample in bare.samples(chain) if sample.sent >= begin]
        return _figures(Trail(paths), theirs, begin)


def _spec() -> RunSpec:
    """Every rule of the guard, with room enough to let pass."""
    limits = LimitValues(
        Decimal(100), Decimal(100), Decimal(100_000), price_collar_percent=Decimal(5), stale_price=5 * SECOND
    )
    file = str(Path(__file__).parent / "strategies" / "alternate.py")
    strategy = StrategySpec(STRATEGY, file, params={"symbol": SYMBOL})
    return RunSpec("bench", (strategy,), Decimal(100_000), limits, symbols={SYMBOL: 48.0})


# --- bare paho -----------------------------------------------------------------------------------------------------


def _chain(launch: Launch, rate: float, until: int) -> bare.Chain:
    """A chain with as many hops as ours on the same Mosquitto, which is told of one more user."""
    paths, secret, root = launch.paths, secrets.token_urlsafe(24), f"appliance/1/{launch.spec.box}/"
    with paths.mosquitto_passwords.open("a") as passwords:
        passwords.write(f"bench:{mosquitto.hashed(secret)}\n")
    with paths.mosquitto_acl.open("a") as acl:
        acl.write(f"\nuser bench\ntopic readwrite {root}bench/#\n")
    launch.supervisor.child("mosquitto").signal(signal.SIGHUP)
    time.sleep(0.5)  # it says nothing when it has read them
    folder = paths.root / "bare"
    folder.mkdir()
    sizes = tuple(len(payload) + SENT for payload in _payloads())
    block = round(BLOCK * SECOND)
    return bare.Chain(str(paths.mqtt_socket), secret, root, sizes, QOS, rate, block, until, str(folder))


def _payloads() -> Iterable[bytes]:
    """What ours says on each hop, with the values of the run's first minutes."""
    now = time.time_ns()
    moment = Moment(now, "3f5c9c5e-5d4c-4a60-9f0e-0d5c8c0a1b2d", now // 1000)
    quote = Quote(SYMBOL, now, 47.99, 48.01, 300.0, 500.0)
    cause = "feed/quotes:0:1000"
    intent = Intent(
        f"{STRATEGY}-1-1000", STRATEGY, 1000, SYMBOL, Side.BUY, Decimal(1), moment, 30 * SECOND, cause, reason=str(now)
    )
    yield wire.encode(local(Ticks(1000, (quote,)), now))
    yield wire.encode(Event(EventType.INTENT, intent, f"host/{STRATEGY}/intents", 1, 1000, now, cause))
    approved = Approved(intent, moment, 5 * SECOND)
    yield wire.encode(Event(EventType.APPROVED, approved, "guard/decisions", 1, 1000, now, intent.id))


def _start(chain: bare.Chain) -> list[subprocess.Popen[bytes]]:
    """The chain's processes, last one first, so that each finds its hearer."""
    file = Path(chain.folder) / "chain.json"
    file.write_bytes(msgspec.json.encode(chain))
    places = range(len(chain.sizes), -1, -1)
    return [subprocess.Popen((sys.executable, "-m", "tests.bench.bare", str(file), str(place))) for place in places]


# --- ours, from the journals ---------------------------------------------------------------------------------------


class Trail:
    """Where each decision was when, by the journals: ns UTC by intent id, the box being stopped."""

    STEPS = ("feed_to_host", "host_to_guard", "guard_to_gateway", "gateway_to_broker", "broker_to_accepted")

    def __init__(self, paths: StatePaths) -> None:
        self._paths = paths
        self.made: dict[str, int] = {}
        self.at: dict[str, dict[str, int]] = {name: {} for name in ("host", "guard", "gateway", "paper", "accepted")}
        for order_id, (time_, made) in self._submitted().items():
            self.made[order_id], self.at["paper"][order_id] = made, time_
        decided = dict(self._decisions())
        ticks = dict(self._ticks())
        self.at["host"] = {order_id: ticks[made] for order_id, made in self.made.items() if made in ticks}
        for position, (time_, _) in self._inputs("guard", f"host/{STRATEGY}/intents:"):
            self.at["guard"][_id(position)] = time_
        for position, (time_, _) in self._inputs("gateway", "guard/decisions:"):
            self.at["gateway"][decided[position]] = time_
        for _, (time_, payload) in self._inputs("gateway", "venue/answers"):
            report = wire.decode(payload, wire.LOCAL_MAX).body
            if isinstance(report, VenueReport) and report.event is OrderEvent.ACCEPT:
                self.at["accepted"].setdefault(report.order_id, time_)

    def _inputs(self, process: str, prefix: str) -> Iterable[tuple[str, tuple[int, bytes]]]:
        connection = audit.opened(self._paths.journal(process))
        for _, taken in audit.inputs(connection):
            if taken.position.startswith(prefix):
                yield taken.position, (taken.now.time, taken.payload)
        connection.close()

    def _submitted(self) -> Mapping[str, tuple[int, int]]:
        found = {}
        for _, (time_, payload) in self._inputs("paper", "venue/requests"):
            event = wire.decode(payload, wire.LOCAL_MAX)
            if event.type is EventType.VENUE_SUBMIT:
                found[event.body.order.id] = time_, int(event.body.order.intent.reason)
        return found

    def _ticks(self) -> Iterable[tuple[int, int]]:
        for _, (time_, payload) in self._inputs(f"host@{STRATEGY}", "feed/quotes"):
            yield wire.decode(payload, wire.LOCAL_MAX).body.quotes[0].time, time_

    def _decisions(self) -> Iterable[tuple[str, str]]:
        connection = audit.opened(self._paths.journal("guard"))
        for line in audit.lines(connection):
            if line.kind == "out":
                yield line.position, wire.decode(line.payload).body.intent.id
        connection.close()

    def steps(self, order_id: str) -> list[int]:
        """How long each step took, ns; empty when one of them is not in a journal any more."""
        places = [self.made, *self.at.values()]
        times = [place[order_id] for place in places if order_id in place]
        return [after - before for before, after in pairwise(times)] if len(times) == 6 else []


def _id(position: str) -> str:
    """The intent's id, which is its position on the host's stream."""
    _, epoch, seq = position.rsplit(":", 2)
    return f"{STRATEGY}-{epoch}-{seq}"


# --- figures -------------------------------------------------------------------------------------------------------


def _figures(trail: Trail, theirs: Sequence[bare.Sample], begin: int) -> dict[str, Any]:
    ids = [order_id for order_id, made in trail.made.items() if made >= begin]
    ours = [trail.at["paper"][order_id] - trail.made[order_id] for order_id in ids]
    wires = [sample.wire for sample in theirs]
    both = [sample.wire + sample.commit for sample in theirs]
    steps = [step for step in map(trail.steps, ids) if step]
    columns = zip(*steps, strict=True) if steps else ()
    return {
        **_spread("", ours), "bare_p50_us": _us(wires, 0.5), "bare_p99_us": _us(wires, 0.99),
        "fsync_p50_us": _us([sample.commit for sample in theirs], 0.5),
        "ratio_p50": _ratio(ours, both, 0.5), "ratio_p99": _ratio(ours, both, 0.99),
        "n": len(ours), "bare_n": len(theirs), "hops": len(QOS), "max_us": _us(ours, 1.0),
        "bare_and_fsync_p50_us": _us(both, 0.5), "bare_and_fsync_p99_us": _us(both, 0.99),
        "fdatasync_p50_us": _us([sample.sync for sample in theirs], 0.5),
        "steps_p50_us": {name: _us(column, 0.5) for name, column in zip(Trail.STEPS, columns, strict=False)},
    }  # fmt: skip


def _spread(name: str, samples: Sequence[int]) -> dict[str, float]:
    return {f"{name}p{label}_us": _us(samples, share) for label, share in (("50", 0.5), ("99", 0.99), ("999", 0.999))}


def _us(samples: Sequence[int], share: float) -> float:
    return round(box.quantile(samples, share) / NS_PER_US, 1)


def _ratio(ours: Sequence[int], base: Sequence[int], share: float) -> float:
    """Ours ÷ (bare + one fsync), both at the same percentile; the sum is of each message, not of percentiles."""
    below = box.quantile(base, share)
    return round(box.quantile(ours, share) / below, 2) if below else 0.0
