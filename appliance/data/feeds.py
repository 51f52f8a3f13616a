"""Sources as a feed process's hooks: recorded data offered as far as it is wanted, a simulated market as time goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from appliance.core.feed import FeedCore
from appliance.core.ports import Clock
from appliance.core.turn import Turn
from appliance.data.sources.simulated import STEP, SimulatedMarket
from appliance.domain.market import known_at
from appliance.domain.messages import EventType, Offer, local

if TYPE_CHECKING:
    from appliance.data.sources.files import FileSource  # a simulated market does without numpy

BATCH = 64
"""Market events offered at a time."""


class _Ticks(Protocol):
    def __call__(self) -> int: ...


class _NoFds:
    def fds(self) -> Sequence[tuple[int, Callable[[], None]]]:
        """A source has nothing to wait for but time."""
        return ()


class FileFeed(_NoFds):
    """Offers recorded data whenever the core wants more; ``speed`` is "max" or a multiple of real time."""

    def __init__(self, source: FileSource, speed: str, ticks: _Ticks) -> None:
        self._source = source
        self._speed = None if speed == "max" else float(speed)
        self._ticks = ticks
        self._began: tuple[int, int] | None = None
        self._next: Offer | None = None
        self._due: int | None = None

    def poll(self, turn: Turn) -> None:
        """Offer the next events, once they are due."""
        core = cast(FeedCore, turn.core)
        if not core.hungry or any(event.type is EventType.OFFER for event in turn.inbox):
            self._due = None
            return
        if self._source.position != core.wanted and self._next is None:
            self._source.seek(core.wanted)
        offer = self._paced() if self._speed is not None else self._source.batch(BATCH)
        if offer is not None:
            turn.accept(local(offer, topic="source/files"))

    def _paced(self) -> Offer | None:
        """The next timestamp, when the clock has reached it."""
        offer = self._next or self._source.step()
        self._next = offer
        if offer.events:
            time, ticks = known_at(offer.events[-1]), self._ticks()
            began, first = self._began = self._began or (ticks, time)
            self._due = began + int((time - first) / (self._speed or 1))
            if ticks < self._due:
                return None
        self._next, self._due = None, None
        return offer

    def next_deadline(self) -> int | None:
        """When the next timestamp is due (machine ticks), while one is held back."""
        return self._due


class SimulatedFeed(_NoFds):
    """Lets a simulated market go on in real time, from where the journal left it."""

    def __init__(self, market: SimulatedMarket, clock: Clock) -> None:
        self._market = market
        self._clock = clock
        self._restored = False
        self._due = 0

    def poll(self, turn: Turn) -> None:
        """Offer what has happened since the last round."""
        core = cast(FeedCore, turn.core)
        if not self._restored:
            self._restored = True
            if core.taken.state:
                self._market.restore(msgspec.json.decode(core.taken.state))
        ticks = self._clock.ticks()
        if ticks < self._due:
            return
        self._due = ticks + STEP
        now = self._clock.now(None)
        events = self._market.advance(now.time)
        if events:
            state = msgspec.json.encode(self._market.state()).decode()
            turn.accept(local(Offer(0, events, state=state), now.time, "source/simulated"))

    def next_deadline(self) -> int | None:
        """The market's next step (machine ticks)."""
        return self._due
