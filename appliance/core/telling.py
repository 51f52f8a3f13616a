"""What strategies hear of orders, fills and each other's signals: at once live, at their stage in lockstep."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

from appliance.domain.market import Dividend, Split
from appliance.domain.messages import DATA_BOOT, Event, Now
from appliance.domain.operations import Spot
from appliance.domain.trading import Fill, Order, Signal

if TYPE_CHECKING:
    from appliance.core.host import HostCore


ORDERS = "gateway/orders"
TOLD_MAX = 1_000
"""So much may follow from one message; more is a circle."""


class Told(Struct, frozen=True, gc=False):
    """An order event, a fill, another strategy's signal or a corporate action, and where it stands; it may wait for its
    lockstep stage."""

    stream: str
    spot: Spot
    order: Order | None = None
    fill: Fill | None = None
    signal: Signal | None = None
    action: Split | Dividend | None = None


class Telling:
    """Brings news to the strategies of a host, in an order that depends on the data alone."""

    def __init__(self, host: HostCore) -> None:
        self._host = host
        self.waiting = host.table("told", Told)
        self._queue: deque[Told] = deque()

    def hear(self, told: Told, now: Now) -> None:
        """News has come."""
        if now.boot == DATA_BOOT:
            self.waiting[f"{told.stream}:{told.spot.epoch}:{told.spot.seq}"] = told
            return
        self._queue.append(told)
        if len(self._queue) > 1:
            return  # raised by what is being told: its turn comes, and no circle of followers goes round for ever
        for _ in range(TOLD_MAX):
            self._tell(self._queue[0], now)
            self._queue.popleft()
            if not self._queue:
                return
        self._queue.clear()
        self._host.logged.append(
            f"{TOLD_MAX} signals followed from {told.stream}:{told.spot}: do strategies follow in a circle?"
        )

    def activity(self, event: Event, now: Now) -> None:
        """Something happened to the account without an order. Positions and cash have it at once; of a corporate action
        strategies hear as of a fill."""
        activity, host = event.body, self._host
        for part in activity.parts:
            if part.strategy in host.roster.makers:
                host.bookings.happened(activity, part)
                host.tracker.activity(activity, part)
                runner = host.roster.runners.get(part.strategy)
                if runner is not None:
                    host.roster.set_books(runner)
        if activity.action is not None:
            host.tracker.split(activity)
            host.timing.judge(event.ts, now)
            self.hear(Told(event.stream, event.spot, action=activity.action), now)

    def tell_all(self, step: int, now: Now) -> None:
        """Its stage has come, in the step of that number: tell what waits.

        A signal of this very step has come from a host that was quicker than ours: it waits for a later one.
        """
        # Several streams come in any order, and rows that were loaded in that of their keys.
        rows = [row for row in self.waiting.items() if row[1].signal is None or row[1].signal.step < step]
        for key, told in sorted(rows, key=_rank) if len(rows) > 1 else rows:
            del self.waiting[key]
            self._tell(told, now)

    def _tell(self, told: Told, now: Now) -> None:
        call, stream, spot = self._host.call, told.stream, told.spot
        if told.order is not None:
            call(told.order.intent.strategy, "order", told.order, now, stream, spot)
        elif told.fill is not None:
            call(told.fill.strategy, "fill", told.fill, now, stream, spot)
        elif told.action is not None:
            for name in self._host.roster.runners.hearing(told.action.symbol, "action"):
                call(name, "action", told.action, now, stream, spot)
        elif told.signal is not None:
            for name in self._host.roster.runners.followers(told.signal.strategy):
                call(name, "signal", told.signal, now, stream, spot)


def spot_of(text: str) -> Spot:
    """``epoch:seq`` as a position."""
    epoch, _, seq = text.partition(":")
    return Spot(int(epoch), int(seq))


def _rank(row: tuple[str, Told]) -> tuple[int, str, Spot]:
    """Orders and fills by stream, then denials, then signals by strategy: not by who was faster."""
    told = row[1]
    if told.signal is not None:
        return 2, told.signal.strategy, Spot(0, told.signal.counter)
    return told.stream != ORDERS, told.stream, told.spot
