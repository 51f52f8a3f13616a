"""The paper venue with bad manners: what it does is a broker's doing, and the gateway gets to the bottom of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from appliance.core.models import MarketModel
from appliance.core.models.commission import FREE
from appliance.domain.market import MINUTE, Bar
from appliance.domain.messages import (
    Event,
    EventType,
    VenueAsk,
    VenueCancel,
    VenueFill,
    VenueLink,
    VenueLook,
    VenueReport,
    VenueSnapshot,
    VenueSubmit,
    local,
)
from appliance.domain.operations import Spot
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Order
from appliance.venues.paper import PaperVenue
from appliance.venues.unruly import AWAY, Manners, UnrulyMarket, UnrulyVenue
from tests.core import make
from tests.core.memory import HandClock, MemoryStore
from tests.playbook import BEGIN, SECOND

D = Decimal


def order(name: str = "a", **given: Any) -> Order:
    return make.order(make.intent(**{"id": name, **given}), OrderStatus.SENDING)


class Inbox:
    """As much of a turn as the paper venue looks at."""

    inbox: tuple[Event, ...] = ()

    def report(self) -> None:
        """Nobody asks."""


class Drill:
    """A paper venue with manners, and what the gateway hears of it."""

    def __init__(self, **manners: Any) -> None:
        self.clock, self.told, self.minutes = HandClock(), [], 0
        rude = Manners(**manners)

        def market(writers: Any) -> UnrulyMarket:
            return UnrulyMarket("paper", writers, D(1_000_000), MarketModel(FREE), None, rude)

        def make_venue(answer: Any) -> PaperVenue:
            return PaperVenue(market, MemoryStore(), self.clock, answer, lambda event, payload: None, False)

        self.venue = UnrulyVenue(make_venue, rude, self.clock, lambda event: self.told.append(event.body))
        self.venue.turn.start()
        self.told: list[Any] = []
        self.ask(VenueLink(False, "connect"))

    def ask(self, *bodies: Any) -> None:
        for body in bodies:
            self.venue.request(local(body))

    def wait(self, seconds: float) -> None:
        self.clock.time += int(seconds * SECOND)
        self.venue.poll(Inbox())  # type: ignore[arg-type]

    def minute(self) -> None:
        start = BEGIN + self.minutes * MINUTE
        self.minutes += 1
        bar = Bar("SPY", "1m", start, start + MINUTE, 100.0, 101.0, 99.0, 100.0, 1000.0)
        after = Spot() if self.minutes == 1 else None
        self.venue.hear(Event(EventType.BAR, bar, "feed/bars", 1, self.minutes, bar.end, after=after))
        self.wait(0)

    def events(self, order_id: str = "a") -> list[str]:
        return [one.event.value for one in self.told if isinstance(one, VenueReport) and one.order_id == order_id]

    def fills(self) -> list[Decimal]:
        return [one.quantity for one in self.told if isinstance(one, VenueFill)]


def test_good_manners_are_those_of_the_paper_venue() -> None:
    assert Manners().good
    drill = Drill()
    drill.ask(VenueSubmit(order()))
    drill.minute()
    assert (drill.events(), drill.fills()) == (["accept"], [D(100)])


@pytest.mark.parametrize("name", ["reject", "partial", "disconnect", "ambiguous"])
@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused_by_name(name: str, share: float) -> None:
    with pytest.raises(ValueError, match=f"{name} {share}"):
        Manners(**{name: share})  # type: ignore[arg-type]


def test_a_late_venue_answers_late() -> None:
    drill = Drill(latency_ms=200)
    drill.ask(VenueSubmit(order()))
    assert drill.events() == []
    due = drill.venue.next_deadline()
    assert due is not None
    assert 0.1 <= (due - BEGIN) / SECOND <= 0.3
    drill.wait(0.3)
    assert drill.events() == ["accept"]


def test_late_requests_keep_their_order() -> None:
    drill = Drill(latency_ms=200)
    drill.ask(*(VenueSubmit(order(f"o-{n}")) for n in range(9)), VenueCancel("o-8"))
    drill.wait(1)
    assert [one.order_id for one in drill.told[1:]] == [*(f"o-{n}" for n in range(9)), "o-8"]
    assert drill.events("o-8") == ["accept", "cancel"]


def test_a_question_on_its_way_is_not_asked_a_second_time() -> None:
    drill = Drill(latency_ms=200)
    drill.ask(VenueAsk("a"), VenueAsk("b"), VenueAsk("a"))
    drill.wait(1)
    assert [one.order_id for one in drill.told[1:]] == ["a", "b"]


def test_a_venue_that_rejects_has_never_had_the_order() -> None:
    drill = Drill(reject=1.0)
    drill.ask(VenueSubmit(order()), VenueAsk("a"))
    assert drill.events() == ["reject", "absent"]
    assert drill.told[1].code


def test_an_order_filled_in_parts_is_filled_whole_in_the_end() -> None:
    drill = Drill(partial=1.0)
    drill.ask(VenueSubmit(order()))
    for _ in range(9):
        drill.minute()
    assert drill.fills()[:3] == [D(50), D(25), D(13)]
    assert sum(drill.fills()) == D(100)


def test_an_ambiguous_order_is_lost_and_asking_tells_what_became_of_it() -> None:
    drill = Drill(ambiguous=1.0)
    names = [f"o-{n}" for n in range(20)]
    drill.ask(*(VenueSubmit(order(name)) for name in names))
    assert all(drill.events(name) == ["lose"] for name in names)
    drill.ask(*(VenueAsk(name) for name in names))
    answers = [drill.events(name)[1] for name in names]
    assert set(answers) == {"accept", "absent"}


def test_an_ambiguous_cancel_is_answered_once_it_is_asked_again_often_enough() -> None:
    drill = Drill(ambiguous=0.5)
    drill.ask(VenueSubmit(order()))
    while "accept" not in drill.events():
        drill.ask(VenueSubmit(order()))
    for _ in range(30):
        drill.ask(VenueCancel("a"))
    assert "cancel" in drill.events()


def test_a_venue_that_hangs_up_is_away_for_seconds_and_tells_nothing_meanwhile() -> None:
    drill = Drill()
    drill.ask(VenueSubmit(order()))
    rude = Drill(disconnect=1.0)
    rude.ask(VenueSubmit(order()))
    assert rude.told[-1].up is False
    assert rude.events() == ["lose"]
    rude.ask(VenueSubmit(order("b")), VenueAsk("a"))
    assert rude.events("b") == ["deny"]
    rude.minute()
    assert rude.fills() == []
    rude.wait(AWAY[1] / SECOND)
    assert rude.told[-1].up is True


def test_what_happened_while_it_was_away_is_in_the_next_look() -> None:
    drill = Drill()
    drill.ask(VenueSubmit(order()))
    drill.venue._back = drill.clock.time + SECOND
    drill.minute()
    assert drill.fills() == []
    drill.wait(2)
    drill.ask(VenueLook(1))
    seen = drill.told[-1]
    assert isinstance(seen, VenueSnapshot)
    assert [fill.quantity for fill in seen.fills] == [D(100)]


def test_two_drills_of_one_seed_are_the_same() -> None:
    def story(seed: int) -> list[Any]:
        drill = Drill(reject=0.2, ambiguous=0.3, partial=0.5, disconnect=0.05, seed=seed)
        for n in range(30):
            drill.ask(VenueSubmit(order(f"o-{n}")))
            drill.minute()
            drill.wait(1)
        return drill.told

    assert story(3) == story(3)
    assert story(3) != story(4)


def test_no_order_has_two_kinds_of_end() -> None:
    drill = Drill(reject=0.3, ambiguous=0.3, seed=7)
    for n in range(40):
        drill.ask(VenueSubmit(order(f"o-{n}")))
    for n in range(40):
        assert len(drill.events(f"o-{n}")) == 1
    assert {event for n in range(40) for event in drill.events(f"o-{n}")} == {"accept", "reject", "lose"}
