"""The paper broker: the simulated market with its own file, transaction and cursors, inside the gateway's process.

It hears the market before the gateway does, and what it answers it has committed: a crash between the two leaves an
answer the gateway finds again when it reconciles, as with any broker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.core.market.simulator import MarketSimulator
from appliance.core.ports import Clock, Store
from appliance.core.streams import Writers
from appliance.core.turn import Turn
from appliance.domain.messages import Event, EventType, VenueLink, local

PAPER = "paper"
ANSWERS = "venue/answers"
READS = ("feed/bars", "feed/steps")
_MARKET = (EventType.TICKS, EventType.REPLAYED, EventType.COMPACTED, EventType.PROGRESS)


class PaperVenue:
    """A second turn in the gateway's process. ``answer`` takes what the venue says; ``publish`` is the bus's."""

    def __init__(
        self,
        build: Callable[[Writers], MarketSimulator],
        store: Store,
        clock: Clock,
        answer: Callable[[Event], None],
        publish: Callable[[Event, bytes], None],
        lockstep: bool,
    ) -> None:
        self._answer = answer
        self._outside = publish
        self.turn = Turn(PAPER, build, store, self._publish, clock, READS, lockstep=lockstep, consumer="gateway")

    def _publish(self, event: Event, payload: bytes) -> None:
        if event.topic == ANSWERS:
            self._answer(event)
        elif event.topic.startswith("ask/"):
            self._outside(event, payload)

    # --- from the gateway and from the market ---------------------------------------------------------------------

    def request(self, event: Event) -> None:
        """What the gateway asks; answered before this returns."""
        if event.type is EventType.VENUE_LINK:
            self._answer(local(VenueLink(True, PAPER), event.ts, ANSWERS))
            return
        self.turn.accept(event)
        self._work()

    def hear(self, event: Event) -> None:
        """Everything that comes by MQTT passes here first; the market's part of it is ours."""
        if (
            event.stream in READS
            or event.type in _MARKET
            or (event.type is EventType.HEARTBEAT and event.body.process == "feed")
        ):
            self.turn.accept(event)

    def _work(self) -> bool:
        worked = False
        while self.turn.run():
            worked = True
        return worked

    # --- the engine's hooks ---------------------------------------------------------------------------------------

    def fds(self) -> Sequence[tuple[int, Callable[[], None]]]:
        """Nothing of ours to wait for."""
        return ()

    def poll(self, turn: Turn) -> None:
        """Let the market happen; the gateway's progress tells of it when its answers have been handled."""
        self.turn.tend()
        if self._work() and not turn.inbox:
            turn.report()

    def next_deadline(self) -> int | None:
        """The paper broker wants no wake-ups."""
        return None
