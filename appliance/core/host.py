"""The strategy host's core: market events in, wishes netted into intents out; each strategy contained on its own."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.base import Core
from appliance.core.netting import legs
from appliance.core.streams import Writers
from appliance.core.wishes import Runner, Wish
from appliance.domain.market import Bar, MarketEvent, Quote
from appliance.domain.messages import DATA_BOOT, Event, EventType, Now, Stage
from appliance.domain.operations import Spot
from appliance.domain.orders import is_terminal
from appliance.domain.trading import ZERO, Denied, Fill, Intent, Order, Side, Signal

VALID = 5_000_000_000
FAILURES_MAX = 3
FAILURES_WINDOW = 600_000_000_000
BOOKED_MAX = 1_000
HOOKS: dict[type, str] = {Bar: "bar", Quote: "quote"}
"""Which of a runner's calls hears of which market event."""


class Booked(Struct, frozen=True):
    """An intent of ours on its way: ``left`` shares may still trade; ``ended`` when nothing more is expected."""

    strategy: str
    symbol: str
    side: Side
    left: Decimal
    ended: bool = False


class Standing(Struct, frozen=True):
    """How a strategy stands: its signal counter, recent failures (ns UTC), whether it is paused and why."""

    counter: int = 0
    failures: tuple[int, ...] = ()
    paused: str = ""


class Told(Struct, frozen=True):
    """An order event or fill that waits for its lockstep stage."""

    position: str
    order: Order | None = None
    fill: Fill | None = None


class HostCore(Core):
    """Runs a group of strategies. ``keep`` saves their state after every message."""

    watches = ("gateway", "guard", "feed")

    def __init__(
        self,
        process: str,
        writers: Writers,
        runners: Sequence[Callable[[], Runner]],
        validity: int = VALID,
        keep: bool = True,
        mark: Callable[[str, str], None] = lambda strategy, hook: None,
    ) -> None:
        super().__init__(process, writers)
        self.name = process.partition("@")[2]
        self._intents = f"host/{self.name}/intents"
        self._signals = f"host/{self.name}/signals"
        self._validity = validity
        self._keep = keep
        self._mark = mark
        self._make = {runner.name: make for runner, make in ((make(), make) for make in runners)}
        self.runners: dict[str, Runner] = {}
        self._saved = self.table("strategy", dict[str, Any])
        self._standing = self.table("standing", Standing)
        self._positions = self.table("position", Decimal)
        self._booked = self.table("booked", Booked)
        self._deferred = self.table("deferred", Signal)
        self._missed = self.table("missed", Signal)
        self._through = self.table("through", Spot)
        self._told = self.table("told", Told)
        self._open: dict[str, None] | None = None
        self._begun = False
        self._past = False
        self._catching_up = True
        self.on(EventType.STEP, self._step)
        self.on(EventType.BAR, self._live_market)
        self.on(EventType.QUOTE_BAR, self._live_market)
        self.on(EventType.TICKS, self._ticks)
        self.on(EventType.ORDER, self._order)
        self.on(EventType.FILL, self._fill)
        self.on(EventType.ACCOUNT, self._ignore)
        self.on(EventType.LATCH, self._ignore)
        self.on(EventType.APPROVED, self._ignore)
        self.on(EventType.DENIED, self._denied)
        self.on(EventType.DEATH, self._died)

    def started(self, now: Now) -> list[Event]:
        """Revive the strategies; in a replay that has not begun, time is not known yet and the first step does it."""
        self._out = []
        if now.time > 0:
            self._begin(now)
        return self._out

    def figures(self) -> dict[str, int]:
        failures = sum(len(standing.failures) for standing in self._standing.values())
        paused = sum(bool(standing.paused) for standing in self._standing.values())
        return {"strategy_failures": failures, "strategies_paused": paused}

    def released(self, now: Now) -> list[Event]:
        """The gateway's stream is consumed to its head: what was wished meanwhile is netted against what is known."""
        self._out = []
        self._catching_up = False
        for key, signal in [*self._missed.items(), *self._deferred.items()]:
            self._missed.drop(key)
            self._net(signal, now)
        return self._out

    # --- strategies -----------------------------------------------------------------------------------------------

    def _begin(self, now: Now) -> None:
        """Load strategies with the first message, when time is known: from what was saved, or from their start."""
        self._begun = True
        for name in self._make:
            if not self._standing.get(name, Standing()).paused:
                self._revive(name, now)

    def _revive(self, name: str, now: Now) -> None:
        runner = self._make[name]()
        self.runners[name] = runner
        try:
            self._mark(name, "start")
            wishes = self._resume(name, runner, now)
            self._mark("", "")
        except Exception as error:
            self._mark("", "")
            if not self._keep:
                raise
            self._standing[name] = replace(self._standing.get(name, Standing()), paused=f"cannot start: {error!r}")
            self.logged.append(f"{name} cannot start: " + "".join(traceback.format_exception(error)))
            return
        self._wishes(name, wishes, now, "start")
        for key, quantity in self._positions.items():
            strategy, _, symbol = key.partition("/")
            if strategy == name:
                runner.set_position(symbol, quantity)

    def _resume(self, name: str, runner: Runner, now: Now) -> tuple[Wish, ...]:
        if name in self._saved:
            runner.restore(self._saved[name])
            return ()
        wishes = runner.start(now.time)
        if self._keep:
            self._save(name, runner)  # what it wished at its start it does not wish again
        return wishes

    def _call(self, name: str, hook: str, what: object, now: Now, cause: str, spot: Spot) -> None:
        """Let one strategy hear of something. What it raises costs it this call; thrice in ten minutes pauses it."""
        standing = self._standing.get(name)
        if standing is not None and standing.paused:
            return
        runner = self.runners[name]
        try:
            self._mark(name, hook)
            wishes = getattr(runner, hook)(what, now.time)
            if self._keep:
                self._save(name, runner)
            self._mark("", "")
        except Exception as error:
            if not self._keep:
                raise
            self._failed(name, error, now)
            self._mark("", "")
            return
        if wishes:
            through = self._through.get(f"{name}/{cause}")
            if through is None or spot > through:
                self._wishes(name, wishes, now, f"{cause}:{spot}")
        if self._keep:
            self.logged.extend(f"{name}: {line}" for line in runner.logs())

    def _save(self, name: str, runner: Runner) -> None:
        """Only what changed is written: most quotes change nothing."""
        state = runner.snapshot()
        if self._saved.get(name) != state:
            self._saved[name] = state

    def _failed(self, name: str, error: Exception, now: Now) -> None:
        standing = self._standing.get(name, Standing())
        recent = (*(t for t in standing.failures if now.time - t < FAILURES_WINDOW), now.time)
        paused = f"raised {len(recent)} times in 10 minutes: {error!r}" if len(recent) >= FAILURES_MAX else ""
        self._standing[name] = replace(standing, failures=recent, paused=paused)
        self.logged.append(f"{name} raised: " + "".join(traceback.format_exception(error)))
        self._revive(name, now)

    def _died(self, event: Event, now: Now) -> None:
        """Our process died of a strategy: that is a failure of it. Nothing is revived: we have not begun."""
        death = event.body
        standing = self._standing.get(death.strategy, Standing())
        recent = (*(t for t in standing.failures if now.time - t < FAILURES_WINDOW), now.time)
        paused = f"died {len(recent)} times in 10 minutes: {death.cause}" if len(recent) >= FAILURES_MAX else ""
        self._standing[death.strategy] = replace(standing, failures=recent, paused=paused)
        self.logged.append(f"{death.strategy} ended its process in {death.hook}: {death.cause}")

    # --- what happens ---------------------------------------------------------------------------------------------

    def _step(self, event: Event, now: Now) -> None:
        if not self._begun:
            self._begin(now)
        step = event.body
        if step.stage is not Stage.HOSTS:
            return
        spot = event.spot
        if self._told or self._deferred:
            self._tell_all(now)
        for happened in step.events:
            self._market(happened, now, event.stream, spot)

    def _live_market(self, event: Event, now: Now) -> None:
        if not self._begun:
            self._begin(now)
        # The past is judged by time: strategies learn from it, nobody trades it, the last wish waits for the present.
        self._past = now.time - event.body.end > self._validity
        self._market(event.body, now, event.stream, event.spot)
        if self._missed and not self._past:
            self._catch_up(now)

    def _market(self, happened: MarketEvent, now: Now, cause: str, spot: Spot) -> None:
        hook = HOOKS.get(type(happened))
        if hook is None:
            return
        for name, runner in self.runners.items():
            if happened.symbol in runner.symbols:
                self._call(name, hook, happened, now, cause, spot)

    def _catch_up(self, now: Now) -> None:
        """Back in the present: one target per symbol from what was missed, unless it has been said anew."""
        for key, signal in list(self._missed.items()):
            del self._missed[key]
            said = any(e.type is EventType.SIGNAL and f"{e.body.strategy}/{e.body.symbol}" == key for e in self._out)
            if not said:
                self._net(signal, now)

    def _ticks(self, event: Event, now: Now) -> None:
        if not self._begun:
            return
        for quote in event.body.quotes:
            self._market(quote, now, "feed/quotes", Spot(0, event.body.n))

    def _ignore(self, event: Event, now: Now) -> None:
        """Not for us."""

    # --- wishes to intents ----------------------------------------------------------------------------------------

    def _wishes(self, name: str, wishes: tuple[Wish, ...], now: Now, cause: str) -> None:
        for wish in wishes:
            standing = self._standing.get(name, Standing())
            counter = standing.counter + 1
            self._standing[name] = replace(standing, counter=counter)
            signal = Signal(name, wish.symbol, wish.quantity, wish.reason, counter, wish.stop, cause)
            self.emit(self._signals, signal, now, cause)
            if self._past or self._catching_up:
                self._missed[f"{name}/{wish.symbol}"] = signal
            else:
                self._net(signal, now)

    def _net(self, signal: Signal, now: Now) -> None:
        key = f"{signal.strategy}/{signal.symbol}"
        on_its_way = self._on_its_way(signal.strategy, signal.symbol)
        wanted = legs(signal.quantity, self._positions.get(key, ZERO), on_its_way)
        if wanted is None:
            self._deferred[key] = signal
            return
        self._deferred.drop(key)
        for leg in wanted:
            spot = self.writers[self._intents].next()
            intent = Intent(
                id=f"{self.name}-{spot.epoch}-{spot.seq}", strategy=signal.strategy, counter=signal.counter,
                symbol=signal.symbol, side=leg.side, quantity=leg.quantity, decided=now.moment, valid=self._validity,
                cause=signal.cause, reason=signal.reason, stop=None if leg.exit else signal.stop, exit=leg.exit,
                staged=now.boot == DATA_BOOT,
            )  # fmt: skip
            self._book(intent.id, Booked(signal.strategy, signal.symbol, leg.side, leg.quantity))
            self.emit(self._intents, intent, now, signal.cause)

    def _on_its_way(self, strategy: str, symbol: str) -> Decimal:
        total = ZERO
        for booked in self._on_the_way():
            if booked.strategy == strategy and booked.symbol == symbol:
                total += booked.left * booked.side.sign
        return total

    def _on_the_way(self) -> list[Booked]:
        if self._open is None:  # the first question after a start
            self._open = {key: None for key, booked in self._booked.items() if not booked.ended}
        return [self._booked[key] for key in self._open]

    def _book(self, order_id: str, booked: Booked) -> None:
        self._booked[order_id] = booked
        if self._open is not None and not booked.ended:
            self._open[order_id] = None
        elif self._open is not None:
            self._open.pop(order_id, None)

    # --- what became of it ----------------------------------------------------------------------------------------

    def _denied(self, event: Event, now: Now) -> None:
        denied: Denied = event.body
        if denied.intent.id in self._booked:
            self._end(denied.intent.id, denied.intent.strategy, denied.intent.symbol, now)

    def _order(self, event: Event, now: Now) -> None:
        order: Order = event.body
        strategy = order.intent.strategy
        if strategy not in self._make:
            return
        ours = order.id.startswith(f"{self.name}-") and not order.protects
        if ours and order.id not in self._booked:
            self._adopt(order)
        if ours:
            booked = self._booked[order.id]
            if not booked.ended and booked.left != order.remaining:
                self._book(order.id, replace(booked, left=order.remaining))
        self._hear(Told(event.position, order=order), strategy, now)
        if is_terminal(order.status) and order.id in self._booked:
            self._end(order.id, strategy, order.symbol, now)

    def _adopt(self, order: Order) -> None:
        """An intent of ours that we do not remember: a power cut took the memory, not the order."""
        intent = order.intent
        ended = is_terminal(order.status)
        self._book(order.id, Booked(intent.strategy, intent.symbol, intent.side, order.remaining, ended))
        stream, _, spot = intent.cause.partition(":")
        if spot:
            epoch, _, seq = spot.partition(":")
            key = f"{intent.strategy}/{stream}"
            self._through[key] = max(self._through.get(key, Spot()), Spot(int(epoch), int(seq)))
        wished = f"{intent.strategy}/{intent.symbol}"
        for table in (self._deferred, self._missed):
            if wished in table and table[wished].counter <= intent.counter:
                del table[wished]
        standing = self._standing.get(intent.strategy, Standing())
        self._standing[intent.strategy] = replace(standing, counter=max(standing.counter, intent.counter))

    def _fill(self, event: Event, now: Now) -> None:
        fill: Fill = event.body
        if fill.strategy not in self._make:
            return
        key = f"{fill.strategy}/{fill.symbol}"
        self._positions[key] = self._positions.get(key, ZERO) + fill.signed
        booked = self._booked.get(fill.order_id)
        if booked is not None and not booked.ended:
            self._book(fill.order_id, replace(booked, left=booked.left - fill.quantity))
        runner = self.runners.get(fill.strategy)
        if runner is not None:
            runner.set_position(fill.symbol, self._positions[key])
        self._hear(Told(event.position, fill=fill), fill.strategy, now)

    def _end(self, order_id: str, strategy: str, symbol: str, now: Now) -> None:
        booked = self._booked[order_id]
        if not booked.ended:
            self._book(order_id, replace(booked, ended=True, left=ZERO))
            if len(self._booked) > BOOKED_MAX:
                self._forget()
        deferred = self._deferred.get(f"{strategy}/{symbol}")
        if deferred is not None and now.boot != DATA_BOOT and not self._catching_up:
            self._net(deferred, now)

    def _forget(self) -> None:
        for order_id in [key for key, booked in self._booked.items() if booked.ended][: BOOKED_MAX // 2]:
            del self._booked[order_id]

    def _hear(self, told: Told, strategy: str, now: Now) -> None:
        """Let the strategy hear of its order: at once live, at its stage in lockstep."""
        if strategy not in self.runners:
            return
        if now.boot == DATA_BOOT:
            self._told[told.position] = told
        else:
            self._tell(told, now)

    def _tell_all(self, now: Now) -> None:
        for position, told in list(self._told.items()):
            del self._told[position]
            self._tell(told, now)
        for signal in list(self._deferred.values()):
            self._net(signal, now)

    def _tell(self, told: Told, now: Now) -> None:
        cause, _, spot = told.position.partition(":")
        epoch, _, seq = spot.partition(":")
        at = Spot(int(epoch), int(seq))
        order, fill = told.order, told.fill
        if order is not None:
            self._call(order.intent.strategy, "order", order, now, cause, at)
        elif fill is not None:
            self._call(fill.strategy, "fill", fill, now, cause, at)
