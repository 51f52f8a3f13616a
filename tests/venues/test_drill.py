"""A drill on paper: whatever the venue's manners, the gateway's books are the venue's in the end, and no order is there
twice."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from appliance.core.gateway import GatewayCore
from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.models.commission import FREE
from appliance.core.streams import Writer, Writers
from appliance.core.turn import Turn
from appliance.domain.market import MINUTE, Bar
from appliance.domain.messages import Event, EventType, VenueSubmit, local
from appliance.domain.operations import Head, Peer, Spot
from appliance.domain.trading import Approved, Order, Side
from appliance.domain.venue import VenueTraits
from appliance.venues.paper import PaperVenue
from appliance.venues.unruly import Manners, UnrulyMarket, UnrulyVenue
from tests.core import make
from tests.core.memory import HandClock, MemoryStore
from tests.playbook import SECOND

D = Decimal
MANNERS = Manners(latency_ms=150, reject=0.1, partial=0.4, disconnect=0.02, ambiguous=0.3)


class Drill:
    """A gateway, its unruly venue, and the orders the venue really took."""

    def __init__(self, seed: int) -> None:
        manners = Manners(**{**{name: getattr(MANNERS, name) for name in MANNERS.__struct_fields__}, "seed": seed})
        self.clock, self.minutes, self.sent = HandClock(), 0, 0
        self.taken: list[str] = []
        self.orders: dict[str, Order] = {}
        self._decisions = Writer("guard/decisions", Head())
        taken = self.taken

        class Market(UnrulyMarket):
            def _submit(self, event: Event, now: Any) -> None:
                before = len(self.resting) + len(self.ended)
                super()._submit(event, now)
                taken.extend([event.body.order.id] * (len(self.resting) + len(self.ended) - before))

        def market(writers: Writers) -> MarketSimulator:
            return Market("paper", writers, D(1_000_000), MarketModel(FREE), None, manners)

        def make_venue(answer: Any) -> PaperVenue:
            return PaperVenue(market, MemoryStore(), self.clock, answer, lambda event, payload: None, False)

        def build(writers: Writers) -> GatewayCore:
            return GatewayCore("gateway", writers, VenueTraits(look_every=60 * SECOND))

        reads = ("guard/decisions",)
        self.turn = Turn("gateway", build, MemoryStore(), self._publish, self.clock, reads)
        self.venue = UnrulyVenue(make_venue, manners, self.clock, self.turn.accept)
        self.venue.turn.start()
        self.turn.start()
        self.turn.accept(local(Peer("guard", True)))

    @property
    def core(self) -> GatewayCore:
        assert isinstance(self.turn.core, GatewayCore)
        return self.turn.core

    @property
    def market(self) -> MarketSimulator:
        assert isinstance(self.venue.turn.core, MarketSimulator)
        return self.venue.turn.core

    def _publish(self, event: Event, payload: bytes) -> None:
        if event.topic == "venue/requests":
            self.venue.request(event)
        elif isinstance(event.body, Order):
            self.orders[event.body.id] = event.body

    def send(self, symbol: str, side: Side) -> None:
        self.sent += 1
        now = self.clock.now(None)
        name = f"trend-1-{self.sent}"
        wanted = make.intent(id=name, symbol=symbol, side=side, quantity=D(self.sent), decided=now.moment)
        self.turn.accept(self._decisions.event(Approved(wanted, now.moment, 60 * SECOND), 0, ""))

    def go(self, seconds: float) -> None:
        """Half a second a round."""
        end = self.clock.time + int(seconds * SECOND)
        while self.clock.time < end:
            self.clock.time += SECOND // 2
            self.venue.poll(self.turn)
            while self.turn.run():
                pass
            self.turn.tend()

    def settle(self) -> None:
        """Until all is answered and compared: the venue may hang up on the very last question."""
        for _ in range(60):
            self.go(5)
            if self.core.reconciler.done and not self.venue._held:
                return
        raise AssertionError("it is not reconciled within five minutes")

    def minute(self) -> None:
        """A minute of SPY passes."""
        self.go(60)
        end = self.clock.time
        self.minutes += 1
        bar = Bar("SPY", "1m", end - MINUTE, end, 100.0, 101.0, 99.0, 100.0, 1000.0)
        after = Spot() if self.minutes == 1 else None
        self.venue.hear(Event(EventType.BAR, bar, "feed/bars", 1, self.minutes, bar.end, after=after))
        self.go(1)


@pytest.mark.parametrize("seed", range(12))
def test_after_a_drill_our_books_are_the_venues_and_no_order_was_taken_twice(seed: int) -> None:
    dice, drill = Random(seed), Drill(seed)
    for _ in range(25):
        drill.send("SPY", Side.BUY)
        drill.go(dice.choice((1, 5)))
        drill.minute()
    for _ in range(8):
        drill.minute()
    drill.settle()
    assert len(drill.taken) == len(set(drill.taken))
    assert all(order.status.terminal for order in drill.orders.values()), "an order is still in doubt"
    assert drill.core.ledger.position("SPY") == drill.market.positions.get("SPY", D(0)) > 0
    assert drill.core.ledger.account[""].cash == drill.market.cash
    assert drill.core.ledger.blocked == {}
    assert sum(drill.venue.counters.values()) >= 3, "manners were too good to prove anything"


def test_the_drill_counts_an_order_that_would_be_taken_twice() -> None:
    drill = Drill(1)
    order = make.order(make.intent(id="trend-9-9", decided=drill.clock.now(None).moment))
    drill.venue._venue.request(local(VenueSubmit(order)))
    drill.venue._venue.request(local(VenueSubmit(order)))
    assert drill.taken == ["trend-9-9"]
