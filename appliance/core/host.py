"""The strategy host's core: market events in, wishes netted into intents out; each strategy contained on its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from appliance.core.base import Core, Handler
from appliance.core.booking import Bookings, in_order, missed_key
from appliance.core.director import Director
from appliance.core.metrics.performance import Performance
from appliance.core.models.sizing import Sizer
from appliance.core.portfolio import Portfolio
from appliance.core.roster import Roster
from appliance.core.runners import HOOKS
from appliance.core.stages import Stages
from appliance.core.streams import Writers
from appliance.core.telling import Telling, Told, spot_of
from appliance.core.timing import GRACE, Timing
from appliance.core.tracking import Tracker
from appliance.core.wishes import CancelWish, Maker, Wish, Wishes
from appliance.domain.market import AlwaysOpen, MarketEvent, Sessions, known_at, last_price
from appliance.domain.messages import DATA_BOOT, Event, EventType, Now, local
from appliance.domain.operations import Spot, StrategyState
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import ZERO, Denied, Fill, Order, Signal, ordered

REVISIONS = "feed/revisions"
VALID = 5_000_000_000
PAST = ("feed/", "timer:")
"""What the cause of a wish begins with that may have been decided on data of the past."""
SPOT = re.compile(r"[0-9]+:[0-9]+")
SAVE_EVERY = 60_000_000_000
"""How often (ns) performance is written that only prices have changed."""


def unmarked(strategy: str, hook: str) -> None:
    """Nobody watches what we run."""


class HostCore(Core):
    """Runs a group of strategies. ``keep`` saves their state after every message; ``mark`` is told whose code runs.

    ``allotments`` are USD by strategy: what each starts with. ``sessions`` None: a market that never closes.
    ``sizer`` says how many shares a weight is.
    """

    watches = ("gateway", "guard", "feed")

    def __init__(
        self,
        process: str,
        writers: Writers,
        makers: Sequence[Maker],
        validity: int = VALID,
        keep: bool = True,
        allotments: dict[str, Decimal] | None = None,
        sessions: Sessions | None = None,
        mark: Callable[[str, str], None] = unmarked,
        sizer: Sizer = Sizer(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__(process, writers)
        self.sizer = sizer
        self.name = process.partition("@")[2]
        self._prefix = f"{self.name}-"
        self.validity = validity
        self.catching_up = True
        self._signals = f"host/{self.name}/signals"
        self._notices = f"host/{self.name}/notices"
        self._allotments = allotments or {}
        self.keep = keep
        self.bookings = Bookings(self)
        self.tracker = Tracker(
            self.table("portfolio", Portfolio), self.table("performance", Performance), sessions or AlwaysOpen(), keep
        )
        self.roster = Roster(self, makers, keep, mark)
        self.director = Director(self)
        self._through = self.table("through", Spot)
        self.stages = Stages(self)
        self.telling = Telling(self)
        self._saved_at = 0
        self.timing = Timing(validity)
        self.begun = False
        self._register()

    def _register(self) -> None:
        self.on(EventType.STEP, self.stages.step)
        self.on(EventType.BAR, self._live_market)
        self.on(EventType.QUOTE_BAR, self._live_market)
        self.on(EventType.TICKS, self._ticks)
        self.on(EventType.ORDER, self._order)
        self.on(EventType.FILL, self._fill)
        self.on(EventType.ACTIVITY, self.telling.activity)
        self.on(EventType.LATCH, self._latch)
        self.ignore(EventType.ACCOUNT, EventType.APPROVED, EventType.CANCEL)
        self.on(EventType.DENIED, self._denied)
        self.on(EventType.SIGNAL, self._others_signal)
        self.on(EventType.COMMAND, self._command)
        self.on(EventType.WAKEUP, self._wakeup)
        self.on(EventType.DEATH, self._died)

    # --- what the turn asks ---------------------------------------------------------------------------------------

    def started(self, now: Now) -> list[Event]:
        """Revive the strategies; in a replay that has not begun, time is not known yet and the first step does it."""
        self.out = []
        self.timing.set(now)
        if now.time > 0:
            self.begin(now)
        return self.out

    def _died(self, event: Event, now: Now) -> None:
        """Our last life ended in a strategy's code; told before the start of this one."""
        self.roster.bury(event.body, now)

    def figures(self) -> dict[str, int]:
        standings = self.roster.standing.values()
        return {
            "strategy_failures": sum(len(standing.failures) for standing in standings),
            "strategies_paused": sum(s.state in (StrategyState.PAUSED, StrategyState.FAILED) for s in standings),
        }

    def reports(self, now: Now) -> list[Event]:
        if not self.begun:
            return []
        standing = self.roster.standing
        return [
            local(
                replace(
                    self.tracker.report(name, now.time), state=self.roster.state(name).value, why=standing[name].why,
                    params=self.roster.runners[name].params if name in self.roster.runners else {},
                ),
                now.time,
                f"view/strategy/{name}",
            )
            for name in self.roster.makers
        ]  # fmt: skip

    def released(self, now: Now) -> list[Event]:
        """The gateway's stream is consumed to its head: what was wished meanwhile is netted against what is known."""
        self.out = []
        self.catching_up = False
        self.timing.be_patient(now)
        for signal in in_order(self.bookings.missed.values()):
            if not signal.cause.startswith(PAST):
                self.bookings.missed.drop(missed_key(signal))
                self.bookings.net(signal, now)
        if now.boot != DATA_BOOT:  # in lockstep, at its stage
            self.bookings.go_on_all(now)
        return self.out

    def snapshot(self) -> dict[str, bytes]:
        self.roster.save_all()
        return super().snapshot()

    def changes(self) -> dict[str, bytes | None]:
        self.roster.save_all()
        return super().changes()

    def deadline(self) -> int | None:
        """The ticks at which the next timer of a strategy is due."""
        due = self._next_due()
        if due is None:
            return None
        return self.timing.ticks_of(due)

    # --- what strategies and their parts ask ----------------------------------------------------------------------

    def counter(self, strategy: str) -> int:
        """The number of a strategy's last signal."""
        return self.roster.counter(strategy)

    def cash(self, strategy: str) -> Decimal:
        """USD of a strategy's allotment that are not in positions."""
        return self.tracker.portfolios[strategy].cash

    # --- what happens ---------------------------------------------------------------------------------------------

    def on(self, kind: EventType, handler: Handler) -> None:
        """Register the handler of one event type; notices that come of it are told after all else."""

        def handled(event: Event, now: Now) -> None:
            handler(event, now)
            if self.roster.notices:
                self._tell_notices(now)

        super().on(kind, handled)

    def producing(self, so_far: Sequence[Event]) -> list[Event]:
        """Where what follows is put from now on, if nothing has followed ``so_far``."""
        if not so_far:
            self.out = []
        return self.out

    def _tell_notices(self, now: Now) -> None:
        for notice in self.roster.notices:
            self.emit(self._notices, notice, now)
        self.roster.notices.clear()

    def begin(self, now: Now) -> None:
        """Load strategies with the first message, when time is known."""
        self.begun = True
        for name in self.roster.makers:
            self.tracker.open(name, self._allotments.get(name, ZERO), now.time)
        for name, wishes in self.roster.begin(now):
            self.log_of(name)
            self.wished(name, wishes, now, "start")
        self._tell_notices(now)

    def _live_market(self, event: Event, now: Now) -> None:
        if event.stream == REVISIONS:
            self._revised(event, now)
            return
        if not self.begun:
            self.begin(now)
        self.timing.set(now)
        self.timers(event.body.end - 1, now)
        if self.timing.judge(event.body.end, now):
            self.timing.be_patient(now)
        self.market(event.body, now, event.stream, event.spot)
        if self.bookings.missed and not self.timing.past:
            self._catch_up(now)
        self.save_marks(now)

    def _revised(self, event: Event, now: Now) -> None:
        """A bar that has been told was revised: it makes no price, and what is wished of it is of the time it came."""
        if not self.begun:
            return
        self.timing.set(now)
        self.timing.judge(event.ts, now)
        for name in self.roster.runners.hearing(event.body.symbol, "revision"):
            self.call(name, "revision", event.body, now, event.stream, event.spot)

    def save_marks(self, now: Now) -> None:
        if self.keep and now.time - self._saved_at >= SAVE_EVERY:
            self._saved_at = now.time
            self.tracker.save()

    def _wakeup(self, event: Event, now: Now) -> None:
        self.timing.set(now)
        self.timers(now.time - GRACE, now)

    def market(self, happened: MarketEvent, now: Now, cause: str, spot: Spot) -> None:
        self._note_price(happened)
        hook = HOOKS[type(happened)]
        for name in self.roster.runners.hearing(happened.symbol, hook):
            self.call(name, hook, happened, now, cause, spot)

    def _note_price(self, happened: MarketEvent) -> None:
        """Marks cost more than the price: they are for what is kept."""
        if self.keep:
            self.tracker.price(happened.symbol, last_price(happened), known_at(happened))
        else:
            self.tracker.prices[happened.symbol] = last_price(happened)

    def call(self, name: str, hook: str, what: object, now: Now, cause: str, spot: Spot) -> None:
        """Let one strategy hear of something, and do what it wishes unless it has been decided before."""
        wishes = self.roster.call(name, hook, what, now)
        if wishes:
            self.decided(name, wishes, now, cause, spot)
        self.log_of(name)

    def log_of(self, name: str) -> None:
        """Log what a strategy has written since the last time."""
        if self.keep and name in self.roster.runners:
            self.logged.extend(f"{name}: {line}" for line in self.roster.runners[name].logs())

    def decided(self, name: str, wishes: Wishes, now: Now, cause: str, spot: Spot) -> None:
        """Do what a strategy wishes unless it has been decided before."""
        through = self._through.get(f"{name}/{cause}")
        if through is None or spot > through:
            self.wished(name, wishes, now, f"{cause}:{spot}")

    def _catch_up(self, now: Now) -> None:
        """Back in the present: one target per symbol from what was missed and has not been said anew."""
        for signal in in_order(self.bookings.missed.values()):
            self.bookings.missed.drop(missed_key(signal))
            self.bookings.net(signal, now)

    def _ticks(self, event: Event, now: Now) -> None:
        if not self.begun:
            return
        for quote in event.body.quotes:
            self.timing.judge(quote.time, now)
            self.market(quote, now, "feed/quotes", Spot(0, quote.time))

    def _latch(self, event: Event, now: Now) -> None:
        self.bookings.forgive()

    def _command(self, event: Event, now: Now) -> None:
        self.timing.judge(now.time, now)
        self.director.command(event, now)

    # --- time -----------------------------------------------------------------------------------------------------

    def _next_due(self) -> int | None:
        return self.roster.runners.next_due() if self.roster.runners.timed else None

    def timers(self, upto: int, now: Now) -> None:
        """Let strategies hear of their timers that were due until ``upto`` (ns UTC), in order of time and name."""
        while (due := self._next_due()) is not None and due <= upto:
            self.timing.judge(due, now)
            for name in [name for name, at in self.roster.runners.dues() if at == due]:
                self.call(name, "timer", due, now, "timer", Spot(0, due))

    # --- wishes to signals and intents ----------------------------------------------------------------------------

    def wished(self, name: str, wishes: Wishes, now: Now, cause: str) -> None:
        """Say what a strategy wishes, and act on it."""
        for wish in wishes:
            if isinstance(wish, CancelWish):
                self.bookings.cancel(name, wish, cause, now)
            else:
                self._signal(name, wish, now, cause)

    def _signal(self, name: str, wish: Wish, now: Now, cause: str) -> None:
        signal = Signal(
            name, wish.symbol, wish.quantity, wish.reason, self.roster.count(name), wish.stop, cause,
            wish.take_profit, wish.trailing, wish.side, wish.terms, wish.ticket, self.stages.at,
        )  # fmt: skip
        event = self.emit(self._signals, signal, now, cause)
        if self.timing.past and wish.side is not None:
            self.logged.append(f"{name}: order {wish.ticket} was wished on data of the past and is not sent")
        elif self.timing.past or self.catching_up:
            self.bookings.missed[missed_key(signal)] = signal
        else:
            if self.bookings.missed:
                self.bookings.missed.drop(missed_key(signal))
            self.bookings.net(signal, now)
        self._spread(event, now)

    def _others_signal(self, event: Event, now: Now) -> None:
        self.timing.judge(event.ts, now)
        self._spread(event, now)

    def _spread(self, event: Event, now: Now) -> None:
        """Let those who follow a strategy hear of its signal: at their next stage in lockstep, at once live."""
        signal: Signal = event.body
        if self.roster.runners.followers(signal.strategy):
            self.telling.hear(Told(event.stream, event.spot, signal=signal), now)

    # --- what became of it ----------------------------------------------------------------------------------------

    def _denied(self, event: Event, now: Now) -> None:
        denied: Denied = event.body
        intent = denied.intent
        if intent.id not in self.bookings.booked:
            return
        order = ordered(intent, OrderStatus.DENIED)
        self._tell_order(replace(order, code=denied.code, text=denied.text), event, now)

    def _order(self, event: Event, now: Now) -> None:
        order: Order = event.body
        if order.intent.strategy not in self.roster.makers:
            return
        if order.protects:
            self.bookings.rests_behind(order)
        elif order.id.startswith(self._prefix):
            if order.id not in self.bookings.booked:
                self._decided_before(order)
            self.bookings.heard(order, now)
        self._tell_order(order, event, now)

    def _tell_order(self, order: Order, event: Event, now: Now) -> None:
        """It has ended before its strategy hears of it, which may wish for another; what was deferred goes on then."""
        ended = order.status.terminal
        if ended and order.id in self.bookings.booked:
            self.bookings.ended(order.id, order.status)
        self.timing.judge(event.ts, now)
        self.telling.hear(Told(event.stream, event.spot, order), now)
        if ended:
            self.bookings.go_on(order.id, now)

    def _decided_before(self, order: Order) -> None:
        """An order we do not remember: what led to it has been decided, and is not decided again."""
        intent = order.intent
        stream, _, spot = intent.cause.partition(":")
        if SPOT.fullmatch(spot):
            key = f"{intent.strategy}/{stream}"
            self._through[key] = max(self._through.get(key, Spot()), spot_of(spot))
        self.roster.count(intent.strategy, at_least=intent.counter)

    def _fill(self, event: Event, now: Now) -> None:
        fill: Fill = event.body
        if fill.strategy not in self.roster.makers:
            return
        position, cash = self.bookings.filled(fill, now), self.cash(fill.strategy)
        runner = self.roster.runners.get(fill.strategy)
        if runner is not None:
            runner.set_position(fill.symbol, position)
            runner.set_cash(cash)
        self.timing.judge(event.ts, now)
        self.telling.hear(Told(event.stream, event.spot, fill=fill), now)
