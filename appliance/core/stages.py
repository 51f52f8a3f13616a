"""A host's part in lockstep: what happens to its strategies at each stage of a timestamp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from appliance.core.lockstep import STEPS
from appliance.domain.market import Bar, MarketEvent, last_price
from appliance.domain.messages import DATA_BOOT, Event, Now, Stage
from appliance.domain.operations import Spot

if TYPE_CHECKING:
    from appliance.core.host import HostCore

NOTHING: Sequence[Event] = ()


class Stages:
    """Hears the steps of the feed for a host; ``at`` is the number of the one under way."""

    def __init__(self, host: HostCore) -> None:
        self._host = host
        self._heard = host.table("heard", int)
        self._through = 0
        self.at = 0

    def step(self, event: Event, now: Now) -> None:
        """One step: first what others did is told, then what the market did, then timers that are due."""
        host = self._host
        if not host.begun:
            host.begin(now)
        step, spot, self.at = event.body, event.spot, event.seq
        if step.stage is Stage.WAKE:
            host.timers(now.time, now)
            self._bars_heard(now)
        if step.stage is not Stage.HOSTS:
            return
        if host.telling.waiting:
            host.telling.tell_all(event.seq, now)
        if host.bookings.deferred:
            host.bookings.go_on_all(now)
        for happened in step.events:
            host.market(happened, now, event.stream, spot)
        host.timers(now.time, now)
        self._bars_heard(now)
        host.save_marks(now)

    def is_amid(self, now: Now) -> bool:
        """Whether the market has moved on to ``now`` and the strategies have not heard of it yet."""
        heard = max(self._heard.get("", 0), self._through)
        return now.boot == DATA_BOOT and (not self._host.begun or now.time > heard)

    def _bars_heard(self, now: Now) -> None:
        if self._heard.get("") != now.time:
            self._heard[""] = now.time
        self._host.director.bars_heard(now)

    # --- when there is nothing but the market ---------------------------------------------------------------------

    @property
    def calm(self) -> bool:
        """Whether a HOSTS step would bring market events alone, to strategies that all run and are not kept: `hear`
        then does what `step` does."""
        host = self._host
        busy = host.telling.waiting or host.bookings.deferred or host.director.waits
        return host.begun and not host.keep and not busy and host.roster.runners.all_run

    def hear(self, events: Sequence[MarketEvent], at: int, now: Now) -> Sequence[Event]:
        """The HOSTS step number ``at`` of these events, while all is calm: what follows from it."""
        host, time = self._host, now.time
        prices, runners, out = host.tracker.prices, host.roster.runners, NOTHING
        known = runners.known
        self.at = at
        for happened in events:
            kind, symbol = type(happened), happened.symbol
            prices[symbol] = happened.close if kind is Bar else last_price(happened)  # type: ignore[union-attr]
            taking = known[kind].get(symbol)
            for name, take in runners.taking(kind, symbol) if taking is None else taking:
                wishes = take(happened, time)
                if wishes:
                    out = host.producing(out)
                    host.decided(name, wishes, now, STEPS, Spot(1, at))
        self._through = time
        if runners.timed:
            runners.stir()
            due = runners.next_due()
            if due is not None and due <= time:
                out = host.producing(out)
                host.timers(time, now)
        return out
