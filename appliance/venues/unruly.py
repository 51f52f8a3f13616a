"""The paper venue with bad manners, for drills: late, refusing, filling in parts, hanging up, and answering nobody.

It stands between the gateway and the paper venue, and is not there at all when manners are good. What it does is what
brokers do; what it loses, the gateway has to find out by asking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_UP, Decimal
from random import Random

from msgspec import Struct

from appliance.core.market.resting import Resting
from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.outbox import denied
from appliance.core.ports import Clock
from appliance.core.streams import Writers
from appliance.core.turn import Turn
from appliance.domain.market import Sessions
from appliance.domain.messages import Event, EventType, Now, VenueLink, VenueReport, local
from appliance.domain.orders import OrderEvent
from appliance.domain.venue import LinkState, Rejection
from appliance.venues.paper import PaperVenue

ANSWERS = "venue/answers"
MILLI = 1_000_000
SECOND = 1_000_000_000
AWAY = (SECOND, 5 * SECOND)
"""How long (ns) a connection that was hung up stays away."""
DRILL = "drill"
"""The code of a connection that ended because manners are bad."""
LOSE, REJECT = OrderEvent.LOSE, OrderEvent.REJECT


class Manners(Struct, frozen=True):
    """``latency_ms``: how late requests arrive, half as much to half as much again. The others are shares (0 to 1):
    ``reject`` of orders refused, ``partial`` of fills that are for half of what is left, ``disconnect`` of requests at
    which the connection ends, ``ambiguous`` of orders and cancels nobody answers: half of these are done. ``seed``
    makes two drills the same."""

    latency_ms: int = 0
    reject: float = 0.0
    partial: float = 0.0
    disconnect: float = 0.0
    ambiguous: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        shares = {name: getattr(self, name) for name in ("reject", "partial", "disconnect", "ambiguous")}
        wrong = [f"{name} {share}" for name, share in shares.items() if not 0 <= share <= 1]
        wrong += [f"latency_ms {self.latency_ms}"] if self.latency_ms < 0 else []
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: shares are from 0 to 1, a latency is not below 0")

    @property
    def good(self) -> bool:
        """Whether there is nothing to misbehave with."""
        return not (self.latency_ms or self.reject or self.partial or self.disconnect or self.ambiguous)


class UnrulyMarket(MarketSimulator):
    """Fills a share of orders in parts; which ones is a matter of seed and order, so that a replay does the same."""

    def __init__(
        self,
        process: str,
        writers: Writers,
        cash: Decimal,
        model: MarketModel,
        sessions: Sessions | None,
        manners: Manners,
    ) -> None:
        super().__init__(process, writers, cash, model, sessions)
        self._manners = manners

    def portion(self, order: Resting) -> Decimal:
        """Half of what is left, rounded up to what it is filled in steps of, where chance says so; else all."""
        dice = Random(f"{self._manners.seed}/{order.id}/{order.filled}")
        if dice.random() < self._manners.partial:
            return min(order.left, (order.left / 2).quantize(order.grain, ROUND_UP))
        return order.left


class UnrulyVenue:
    """The gateway's hook in place of the paper venue that ``make`` makes, given where its answers go."""

    def __init__(
        self,
        make: Callable[[Callable[[Event], None]], PaperVenue],
        manners: Manners,
        clock: Clock,
        answer: Callable[[Event], None],
    ) -> None:
        self._manners, self._clock, self._answer = manners, clock, answer
        self._dice = Random(manners.seed)
        self._held: list[tuple[int, Event]] = []
        self._back: int | None = None
        self._mute = False
        self.counters: dict[str, int] = {}
        self._deeds: Mapping[EventType, Callable[[Event, Now], None]] = {
            EventType.VENUE_SUBMIT: self._submit, EventType.VENUE_CANCEL: self._cancel,
        }  # fmt: skip
        self._venue = make(self._said)

    @property
    def turn(self) -> Turn:
        """The paper venue's turn."""
        return self._venue.turn

    # --- from the gateway and from the market ---------------------------------------------------------------------

    def request(self, event: Event) -> None:
        """What the gateway asks: lost, late, or passed on."""
        now = self._clock.now(None)
        if event.type is EventType.VENUE_LINK:
            self._back = None
            self._venue.request(event)
        elif self._back is not None:
            self._unsent(event, now)
        elif self._chance("disconnect", self._manners.disconnect):
            self._hang_up(event, now)
        elif event.type is EventType.VENUE_ASK and any(event.body == held.body for _, held in self._held):
            return  # it is on its way
        elif self._manners.latency_ms:
            late = int(self._manners.latency_ms * MILLI * self._dice.uniform(0.5, 1.5))
            last = self._held[-1][0] if self._held else 0
            self._held.append((max(last, now.ticks + late), event))  # they do not overtake each other
        else:
            self._arrive(event, now)

    def hear(self, event: Event) -> None:
        """The market is not to blame."""
        self._venue.hear(event)

    # --- the engine's hooks ---------------------------------------------------------------------------------------

    def fds(self) -> Sequence[tuple[int, Callable[[], None]]]:
        """Nothing of ours to wait for."""
        return self._venue.fds()

    def poll(self, turn: Turn) -> None:
        """Let arrive what is due, come back, and let the market happen."""
        now = self._clock.now(None)
        if self._back is not None and now.ticks >= self._back:
            self._back = None
            self._tell(VenueLink(True, "the drill is over", LinkState.SYNCING), now)
        while self._held and self._held[0][0] <= now.ticks:
            self._arrive(self._held.pop(0)[1], now)
        self._venue.poll(turn)

    def next_deadline(self) -> int | None:
        """When (ticks) the next request arrives, or the connection is back."""
        times = [ticks for ticks, _ in self._held[:1]] + ([self._back] if self._back is not None else [])
        return min(times, default=None)

    # --- bad manners ----------------------------------------------------------------------------------------------

    def _chance(self, name: str, share: float) -> bool:
        happens = share > 0 and self._dice.random() < share
        if happens:
            self.counters[name] = self.counters.get(name, 0) + 1
        return happens

    def _arrive(self, event: Event, now: Now) -> None:
        self._deeds.get(event.type, self._pass)(event, now)

    def _pass(self, event: Event, now: Now) -> None:
        self._venue.request(event)

    def _submit(self, event: Event, now: Now) -> None:
        order_id = event.body.order.id
        if self._chance("reject", self._manners.reject):
            code = self._dice.choice((Rejection.BUYING_POWER, Rejection.NOT_ALLOWED, Rejection.OTHER))
            self._tell(VenueReport(order_id, REJECT, now.time, text="refused for a drill", code=code), now)
        elif self._chance("ambiguous", self._manners.ambiguous):
            self._perhaps(event)
            self._tell(VenueReport(order_id, LOSE, now.time, text="not answered, for a drill"), now)
        else:
            self._venue.request(event)

    def _cancel(self, event: Event, now: Now) -> None:
        if self._chance("ambiguous", self._manners.ambiguous):
            self._perhaps(event)
        else:
            self._venue.request(event)

    def _perhaps(self, event: Event) -> None:
        """Do it or not, and tell nobody either way."""
        if self._dice.random() < 0.5:
            self._mute = True
            self._venue.request(event)
            self._mute = False

    def _hang_up(self, event: Event, now: Now) -> None:
        """The connection ends with this request on its way; those before it may not have arrived either."""
        self._back = now.ticks + self._dice.randint(*AWAY)
        held, self._held = [event for _, event in self._held], []
        for each in (*held, event):
            self._perhaps(each)
            if each.type is EventType.VENUE_SUBMIT:
                self._tell(VenueReport(each.body.order.id, LOSE, now.time, text="hung up on, for a drill"), now)
        self._tell(VenueLink(False, "hung up, for a drill", LinkState.DOWN, DRILL), now)

    def _unsent(self, event: Event, now: Now) -> None:
        if event.type is EventType.VENUE_SUBMIT:
            self._tell(denied(event.body.order.id, Rejection.NOT_SENT, "hung up, for a drill", now), now)

    # --- answers --------------------------------------------------------------------------------------------------

    def _said(self, event: Event) -> None:
        """What the paper venue says reaches nobody while the connection is away."""
        if not self._mute and self._back is None:
            self._answer(event)

    def _tell(self, body: VenueReport | VenueLink, now: Now) -> None:
        self._answer(local(body, now.time, ANSWERS))
