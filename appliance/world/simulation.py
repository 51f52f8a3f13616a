"""A seeded world of faults around the shipped turn, streams and cores: first safety, then liveness.

Only Clock, Wire and Store are replaced. A seed replays exactly; the digest of everything the venue saw proves it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from random import Random

from msgspec import Struct

from appliance.core.base import Core
from appliance.core.feed import FeedCore
from appliance.core.gateway import GatewayCore
from appliance.core.guard import GuardCore
from appliance.core.host import HostCore
from appliance.core.limits import LimitValues, rules
from appliance.core.streams import Writers
from appliance.core.wishes import Made
from appliance.domain import topics, wire
from appliance.domain.market import Bar, Quote
from appliance.domain.messages import Event, EventType, Offer, local
from appliance.domain.operations import Command, Verb
from appliance.domain.venue import VenueTraits
from appliance.world.checkers import Checkers
from appliance.world.faults import MILLI, SECOND, Faults
from appliance.world.node import Node, WorldClock
from appliance.world.scheduler import Scheduler
from appliance.world.trader import ENOUGH, WorldTrader
from appliance.world.venue import SimulatedVenue

START = 1_700_000_000 * SECOND
SAFETY = 60 * SECOND
LIVENESS = 25 * SECOND
QUIET = 8 * SECOND
"""The market closes this long before the verdict, so that nothing is under way by itself."""
SYMBOLS = ("AAA", "BBB")
HOSTS = ("alpha", "beta")
BAR = SECOND
"""Market time is short here: one-second bars give decisions enough for every fault to meet one."""
VALID = 8 * SECOND
"""Decisions hold long enough for a doubt to be cleared up and the order sent again, and not always."""
VERBS = (Verb.HALT, Verb.HALT, Verb.REDUCE, Verb.FLATTEN, Verb.CANCEL_ALL)


class Result(Struct):
    """What became of one seed; ``violations`` are sentences, ``digest`` is equal for equal runs."""

    seed: int
    violations: list[str]
    simulated: int
    orders: int
    fills: int
    faults: dict[str, int]
    digest: str


class World:
    """Five kinds of process, a broker, a market, an owner and everything that can go wrong between them."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.faults = Faults.draw(self.random, Random(seed + 2))
        self.scheduler = Scheduler(START)
        self.clock = WorldClock(self.scheduler)
        self.counts: Counter[str] = Counter()
        self.trace = trace
        self.bus_up = True
        self._bus = 0
        self._last: dict[tuple[str, str], int] = {}
        self._subscribers: dict[str, tuple[str, ...]] = {}
        self._commands = 0
        self._prices = {symbol: 100.0 + 10 * i for i, symbol in enumerate(SYMBOLS)}
        self._open: dict[str, list[float]] = {}
        self.venue = SimulatedVenue(self.scheduler, self.faults, Random(seed + 1), self._answer)
        self.nodes = {name: self._node(name, build) for name, build in self._builders().items()}
        self.checkers = Checkers(self)

    def _builders(self) -> dict[str, Callable[[Writers], Core]]:
        traits = VenueTraits(
            self.faults.refuses_duplicates, absent_is_final=False, flips_at_once=False, look_every=6 * SECOND,
            looks_to_differ=2 if self.faults.torn_looks else 1,
        )  # fmt: skip
        limits = rules(LimitValues(stale_price=10 * SECOND))
        made: dict[str, Callable[[Writers], Core]] = {
            "feed": lambda writers: FeedCore("feed", writers),
            "guard": lambda writers: GuardCore("guard", writers, limits, VALID),
            "gateway": lambda writers: GatewayCore("gateway", writers, traits),
        }
        for index, host in enumerate(HOSTS):
            made[f"host@{host}"] = self._host(host, SYMBOLS[index % len(SYMBOLS)], index)
        return made

    def _host(self, host: str, symbol: str, salt: int) -> Callable[[Writers], Core]:
        enough = ENOUGH[self.seed % len(ENOUGH)]
        maker = Made(host, lambda: WorldTrader(host, symbol, salt, enough))
        return lambda writers: HostCore(f"host@{host}", writers, (maker,), VALID)

    def _node(self, name: str, build: Callable[[Writers], Core]) -> Node:
        reads = topics.streams_read_by(name, HOSTS)
        if name == "gateway":
            reads = ("guard/decisions",)
        reads = tuple(stream for stream in reads if stream != "feed/steps")
        gate = "gateway/orders" if topics.kind_of(name) in ("host", "guard") else ""
        random = Random(self.seed * 1_000 + len(name))
        return Node(name, build, reads, gate, self.clock, self.faults, random, lambda e, p: self._publish(name, e, p))

    # --- the wire -------------------------------------------------------------------------------------------------

    def _publish(self, source: str, event: Event, payload: bytes) -> None:
        topic = event.topic or event.stream
        if topic == "venue/requests":
            self.checkers.requested(event)
            self.venue.request(event)
            return
        if self.trace is not None and event.stream:
            self.say(f"{source} says {event.position} {_brief(event)}")
        if topic == "result":
            self.checkers.acknowledged(event)
        if not self.bus_up:
            return
        shipped = wire.decode(payload) if payload else event
        if event.topic:
            shipped = Event(shipped.type, shipped.body, ts=shipped.ts, cause=shipped.cause, topic=event.topic)
        for target in self._targets(topic, source):
            self._ship(source, target, topic, shipped)

    def _targets(self, topic: str, source: str) -> tuple[str, ...]:
        found = self._subscribers.get(topic)
        if found is None:
            parts = topic.split("/")
            if parts[0] in ("ask", "replay"):
                found = tuple(name for name in self.nodes if name == parts[1])
            else:
                row = topics.topic(topic)
                found = tuple(name for name in self.nodes if topics.kind_of(name) in row.readers)
            self._subscribers[topic] = found
        return tuple(name for name in found if name != source)

    def _ship(self, source: str, target: str, topic: str, event: Event) -> None:
        if self.random.random() < self.faults.drop:
            self.counts["dropped"] += 1
            return
        copies = 1
        if self.random.random() < self.faults.duplicate:
            self.counts["duplicated"] += 1
            copies = 2
        for _ in range(copies):
            slow = self.random.random() < self.faults.slow
            delay = self.random.randrange(MILLI // 2, 3 * SECOND if slow else 4 * MILLI)
            self.counts["delayed"] += slow
            lane = (source + ">" + target, topic)
            # Mosquitto keeps the order of one publisher and topic; between topics there is none.
            at = max(self.scheduler.time + delay, self._last.get(lane, 0) + 1)
            self._last[lane] = at
            self.scheduler.at(at, self._delivery(target, event, self._bus))

    def _delivery(self, target: str, event: Event, bus: int) -> Callable[[], None]:
        def deliver() -> None:
            if self._bus == bus and self.bus_up and not self.nodes[target].hear(event):
                self._died(target)

        return deliver

    def _answer(self, event: Event) -> None:
        self.say(f"venue says {_brief(event)}" if self.trace is not None else "")
        if not self.nodes["gateway"].hear(event):
            self._died("gateway")

    # --- processes ------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Start every process, the market, the owner and the troubles."""
        for name in self.nodes:
            self._start(name)
        self.scheduler.after(SECOND, self._market)
        for trouble, every in self._troubles():
            self._again(trouble, every)

    def _troubles(self) -> tuple[tuple[Callable[[], None], str], ...]:
        return (
            (self._kill, "kill_every"),
            (self._pause, "pause_every"),
            (self._restart_bus, "broker_restart_every"),
            (self.power_cut, "power_cut_every"),
            (self._command, "command_every"),
            (self._link_down, "link_down_every"),
            (self.venue.stranger, "strangers_every"),
        )

    def _again(self, trouble: Callable[[], None], every: str) -> None:
        mean = getattr(self.faults, every)
        if not mean:
            return

        def act() -> None:
            if getattr(self.faults, every):
                self.counts[every.removesuffix("_every")] += 1
                trouble()
                self._again(trouble, every)

        self.scheduler.after(int(self.random.expovariate(1 / mean) * SECOND) + 100 * MILLI, act)

    def _start(self, name: str) -> None:
        node = self.nodes[name]
        if node.turn is not None:
            return
        self.say(f"{name} starts")
        if not node.start():
            self._died(name)
            return
        life = node.lives
        self._tend(name, life)
        self._beat(name, life)

    def _tend(self, name: str, life: int) -> None:
        node = self.nodes[name]
        if node.turn is None or node.lives != life:
            return
        if not node.tend():
            self._died(name)
            return
        self.scheduler.after(200 * MILLI, lambda: self._tend(name, life))

    def _beat(self, name: str, life: int) -> None:
        node = self.nodes[name]
        if node.turn is None or node.lives != life:
            return
        if not node.beat():
            self._died(name)
            return
        self.scheduler.after(SECOND, lambda: self._beat(name, life))

    def _died(self, name: str) -> None:
        self.counts["crashes"] += 1
        self.say(f"{name} dies")
        self.scheduler.after(self.random.randrange(100 * MILLI, 2 * SECOND), lambda: self._start(name))

    # --- troubles -------------------------------------------------------------------------------------------------

    def _kill(self) -> None:
        name = self.random.choice(list(self.nodes))
        if self.nodes[name].turn is not None:
            self.nodes[name].die()
            self._died(name)

    def _pause(self) -> None:
        name = self.random.choice(list(self.nodes))
        node = self.nodes[name]
        if node.turn is None or node.paused:
            return
        node.paused = True
        self.say(f"{name} is stopped")
        self.scheduler.after(self.random.randrange(SECOND, 8 * SECOND), lambda: self._resume(name, node.lives))

    def _resume(self, name: str, life: int) -> None:
        node = self.nodes[name]
        if node.lives == life and node.turn is not None and node.paused:
            self.say(f"{name} goes on")
            if not node.go_on():
                self._died(name)

    def _restart_bus(self) -> None:
        self.say("Mosquitto restarts")
        self.bus_up = False
        self._bus += 1
        self.scheduler.after(self.random.randrange(200 * MILLI, 4 * SECOND), self._bus_back)

    def _bus_back(self) -> None:
        self.bus_up = True
        for name, node in self.nodes.items():
            if not node.paused and not node.reconnected():
                self._died(name)

    def power_cut(self) -> None:
        """All processes at once, and whatever their disks had not been told to keep."""
        self.say("power cut")
        self._bus += 1
        self.clock.reboot()
        for name, node in self.nodes.items():
            node.die()
            lost = node.store.cut(self.random)
            self.counts["commits_lost"] += lost
            self.say(f"  {name} loses {lost} commits")
            self.scheduler.after(self.random.randrange(SECOND, 4 * SECOND), self._starter(name))

    def _starter(self, name: str) -> Callable[[], None]:
        return lambda: self._start(name)

    def _link_down(self) -> None:
        self.say("the venue's link is down")
        self.venue.disconnect()

    def _command(self) -> None:
        self.send(self.random.choice(VERBS))
        if self.random.random() < 0.3:
            self.scheduler.after(self.random.randrange(20 * MILLI, 300 * MILLI), self.power_cut)
        self.scheduler.after(self.random.randrange(2 * SECOND, 8 * SECOND), self.resume)

    def send(self, verb: Verb) -> None:
        """The owner says something; Mosquitto carries it to whoever is there."""
        self._commands += 1
        latch = self.checkers.seen_latch()
        command = Command(
            f"cli-{self._commands}", verb, "owner", self.scheduler.time + 10 * SECOND, generation=latch.generation
        )
        self.say(f"owner: {verb.value}")
        event = local(command, self.scheduler.time, "command")
        if self.bus_up:
            for name in self.nodes:
                self._ship("cli", name, "command", event)

    def resume(self) -> None:
        """The owner raises the latch again, naming what he saw; he insists until it is done."""
        if self.checkers.seen_latch().state.severity:
            self.send(Verb.RESUME)
            self.scheduler.after(3 * SECOND, self.resume)

    # --- the market -----------------------------------------------------------------------------------------------

    def _market(self) -> None:
        if not self._prices:
            return
        now = self.scheduler.time
        events: list[Quote | Bar] = []
        for symbol in SYMBOLS:
            price = max(1.0, round(self._prices[symbol] * (1 + self.random.gauss(0, 0.0008)), 2))
            self._prices[symbol] = price
            events.append(Quote(symbol, now, price - 0.01, price + 0.01, 100, 100))
            self._open.setdefault(symbol, []).append(price)
        self.venue.trade(tuple(events))
        for symbol in SYMBOLS if (now - START) % BAR == 0 else ():
            seen = self._open.pop(symbol)
            bar = Bar(symbol, "1s", now - BAR, now, seen[0], max(seen), min(seen), seen[-1], 100.0 * len(seen))
            events.append(bar)
        offer = local(Offer(0, tuple(events)), now)
        if not self.nodes["feed"].hear(offer):
            self._died("feed")
        self.scheduler.after(SECOND, self._market)

    # --- a whole run ----------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """A line of the trace."""
        if self.trace is not None:
            self.trace(f"{(self.scheduler.time - START) / SECOND:8.3f}  {text}")

    def run(self) -> Result:
        """Safety, then liveness, then the verdict."""
        self.boot()
        self.scheduler.run(START + SAFETY)
        self.say("faults stop")
        self.faults.heal()
        self.bus_up = True
        for name, node in self.nodes.items():
            node.paused = False
            if node.turn is None:
                self._start(name)
            elif node.waiting:
                node.go_on()
        self.resume()
        self.scheduler.run(START + SAFETY + LIVENESS - QUIET)
        self._prices.clear()
        self.scheduler.run(START + SAFETY + LIVENESS)
        self.checkers.final()
        return Result(
            self.seed, self.checkers.violations, SAFETY + LIVENESS, len(self.venue.log), len(self.venue.market.fills),
            dict(sorted(self.counts.items())), self._digest(),
        )  # fmt: skip

    def _digest(self) -> str:
        seen = hashlib.sha256()
        for placed in self.venue.log:
            seen.update(f"{placed.at} {placed.order.id} {placed.order.quantity}\n".encode())
        for fill in self.venue.market.fills.values():
            seen.update(f"{fill.time} {fill.fill_key} {fill.price}\n".encode())
        return seen.hexdigest()[:16]


def _brief(event: Event) -> str:
    """One line of what a message says."""
    body = event.body
    if event.type is EventType.ORDER:
        return f"order {body.id} {body.status.value} {body.side.value} {body.filled}/{body.quantity} {body.code}"
    if event.type in (EventType.APPROVED, EventType.DENIED):
        return f"{event.type.value} {body.intent.id} {getattr(body, 'code', '')}"
    if event.type is EventType.INTENT:
        return f"intent {body.id} {body.side.value} {body.quantity} exit={body.exit} because {body.cause}"
    if event.type in (EventType.FILL, EventType.VENUE_FILL):
        return f"fill {body.fill_key} {body.side.value} {body.quantity}"
    return f"report {body.order_id} {body.event.value}" if event.type is EventType.VENUE_REPORT else event.type.value


def simulate(seed: int, trace: Callable[[str], None] | None = None) -> Result:
    """One seed's world, from boot to verdict."""
    return World(seed, trace).run()
