"""Whatever state an order is in when the link falls or the gateway dies: it is known within 30 s of the return."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from msgspec import Struct

from appliance.core.gateway import GatewayCore
from appliance.domain.messages import (
    VenueAsk,
    VenueCancel,
    VenueFill,
    VenueLink,
    VenueLook,
    VenueReport,
    VenueSnapshot,
    VenueSubmit,
)
from appliance.domain.operations import Verb, Wakeup
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import Order, Side
from appliance.domain.venue import LinkState, VenueTraits
from tests.core.make import again, approved, command, intent, report, snapshot, told, writers
from tests.playbook import SECOND, Playbook

D = Decimal
ALPACA = VenueTraits(absent_is_final=False, flips_at_once=False, oco=False, looks_to_differ=2)
IBKR = VenueTraits(refuses_duplicates=False, absent_is_final=False, looks_to_differ=2)
BROKERS = pytest.mark.parametrize("traits", [ALPACA, IBKR], ids=["alpaca", "ibkr"])
ENTRY = intent()
EXIT = intent(id="trend-1-2", counter=2, side=Side.SELL, exit=True)
STOP = f"{ENTRY.id}-s100"
IN_DOUBT = (OrderStatus.SENDING, OrderStatus.UNKNOWN, OrderStatus.WAITING)
LATENCY = SECOND // 5


class Placed(Struct):
    """An order at the venue."""

    order: Order
    filled: Decimal = D(0)
    ended: OrderEvent | None = None


class Venue:
    """A venue that answers what it is asked, LATENCY later, and takes what it is sent; its log counts what it took."""

    def __init__(self, refuses_duplicates: bool) -> None:
        self.orders: dict[str, Placed] = {}
        self.fills: list[VenueFill] = []
        self.taken: list[str] = []
        self._refuses = refuses_duplicates

    def take(self, order: Order, filled: int = 0, ended: str = "", first: int = 0) -> None:
        """Have an order, of which so much is ``filled``, in one execution or after a ``first``."""
        self.taken.append(order.id)
        end = OrderEvent(ended) if ended else OrderEvent.FILL if filled == order.quantity else None
        self.orders[order.id] = Placed(order, D(filled), end)
        for upto, shares in ((first, first), (filled, filled - first)):
            if shares:
                self.fills.append(told(order.id, shares, order.side, key=f"{order.id}:{upto}"))

    def answer(self, asked: Any, now: int) -> list[Any]:
        if isinstance(asked, VenueLook):
            return [self._snapshot(asked.n, now)]
        if isinstance(asked, VenueSubmit):
            if asked.order.id in self.orders and self._refuses:
                return [VenueReport(asked.order.id, OrderEvent.REJECT, now, code="DUPLICATE_ID")]
            self.take(asked.order)
        if isinstance(asked, VenueCancel) and asked.order_id in self.orders:
            placed = self.orders[asked.order_id]
            placed.ended = placed.ended or OrderEvent.CANCEL
        order_id = asked.order.id if isinstance(asked, VenueSubmit) else asked.order_id
        placed_ = self.orders.get(order_id)
        if placed_ is None:
            return [VenueReport(order_id, OrderEvent.ABSENT, now)]
        fills = [fill for fill in self.fills if fill.order_id == order_id]
        return [*fills, VenueReport(order_id, placed_.ended or OrderEvent.ACCEPT, now, filled=placed_.filled)]

    def _snapshot(self, n: int, now: int) -> VenueSnapshot:
        position = sum((fill.quantity * fill.side.sign for fill in self.fills), D(0))
        cash = D(100_000) - sum((fill.quantity * fill.side.sign * fill.price + 1 for fill in self.fills), D(0))
        works = tuple(order_id for order_id, placed in self.orders.items() if placed.ended is None)
        held = {"SPY": position} if position else {}
        return snapshot(n, at=now, open=works, fills=tuple(self.fills), positions=held, cash=cash)


def back(before: Playbook, traits: VenueTraits, venue: Venue, restart: bool) -> float:
    """The link is back, after a restart or without: seconds until nothing is in doubt and new decisions are taken."""
    play = before
    if restart:
        play = Playbook(again(before.core, GatewayCore("gateway", writers("gateway"), traits)))
        play.now = before.now
    else:
        play >> VenueLink(False) << ...
    before.core = play.core  # for who looks at it afterwards
    began = play.now.time
    play >> VenueLink(True)
    while True:
        asked = [event.body for event in play.unread if event.topic == "venue/requests"]
        play << ...
        if asked:
            play.later(LATENCY / SECOND)
            for one in asked:
                for said in venue.answer(one, play.now.time):
                    play >> said
            continue
        core = play.core
        assert isinstance(core, GatewayCore)
        if core.recovered() and not any(order.status in IN_DOUBT for order in core.ledger.live()):
            return (play.now.time - began) / SECOND
        deadline = core.deadline()
        assert deadline is not None
        play.later(max(deadline - play.now.ticks, SECOND // 100) / SECOND) >> Wakeup()
        assert play.now.time - began < 120 * SECOND


def linked(traits: VenueTraits) -> Playbook:
    play = Playbook(GatewayCore("gateway", writers("gateway"), traits))
    return play >> VenueLink(True) >> snapshot(1) << ...


def core_of(play: Playbook) -> GatewayCore:
    assert isinstance(play.core, GatewayCore)
    return play.core


# How far our book had come, by what the gateway had heard.
HEARD: dict[str, tuple[Any, ...]] = {
    "sending": (),
    "unknown": (report(ENTRY.id, "lose"),),
    "accepted": (report(ENTRY.id, "accept"),),
    "partially filled": (report(ENTRY.id, "accept"), told(ENTRY.id, 40)),
}
# What is true at the venue meanwhile: shares filled, and how it ended; None: it never came.
TRUE: dict[str, tuple[int, str] | None] = {
    "never came": None,
    "works": (0, ""),
    "works, part filled": (40, ""),
    "filled": (100, ""),
    "canceled": (0, "cancel"),
    "canceled, part filled": (40, "cancel"),
    "rejected": (0, "reject"),
    "expired": (0, "expire"),
}
BECOMES = {
    "works": OrderStatus.ACCEPTED, "works, part filled": OrderStatus.PARTIALLY_FILLED, "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED, "canceled, part filled": OrderStatus.CANCELED, "rejected": OrderStatus.REJECTED,
    "expired": OrderStatus.EXPIRED,
}  # fmt: skip


def possible(heard: str, true: str) -> bool:
    if heard in ("accepted", "partially filled") and true == "never came":
        return False
    return not (heard == "partially filled" and true in ("works", "canceled", "rejected", "expired"))


CASES = [(heard, true) for heard in HEARD for true in TRUE if possible(heard, true)]


@BROKERS
@pytest.mark.parametrize("restart", [True, False], ids=["killed", "link fell"])
@pytest.mark.parametrize(("heard", "true"), CASES)
def test_an_order_in_every_state_is_known_in_time_and_sent_at_most_once(
    heard: str, true: str, restart: bool, traits: VenueTraits
) -> None:
    play, venue = linked(traits), Venue(traits.refuses_duplicates)
    play >> approved()
    (sent,) = play.heard(VenueSubmit)
    for said in HEARD[heard]:
        play >> said << ...
    if (is_true := TRUE[true]) is not None:
        venue.take(sent.order, *is_true, first=40 if heard == "partially filled" else 0)
    assert back(play, traits, venue, restart) <= 30
    order = core_of(play).ledger.orders[ENTRY.id]
    assert venue.taken.count(ENTRY.id) == (true != "never came" or traits.refuses_duplicates)
    if true == "never came":
        assert order.status is (OrderStatus.ACCEPTED if traits.refuses_duplicates else OrderStatus.NOT_PLACED)
    else:
        assert order.status is BECOMES[true]
        assert core_of(play).ledger.position("SPY") == order.filled == venue.orders[ENTRY.id].filled
    assert core_of(play).ledger.blocked == {}


@BROKERS
@pytest.mark.parametrize("restart", [True, False], ids=["killed", "link fell"])
@pytest.mark.parametrize("stop", ["never came", "works", "filled"])
@pytest.mark.parametrize("heard", ["sending", "accepted", "canceling"])
def test_a_plan_to_leave_is_finished_in_time_and_sells_no_more_than_is_held(
    heard: str, stop: str, restart: bool, traits: VenueTraits
) -> None:
    play, venue = linked(traits), Venue(traits.refuses_duplicates)
    play >> approved(intent(stop=D(90))) >> told(ENTRY.id, 100)
    entry, rests = (said.order for said in play.heard(VenueSubmit))
    venue.take(entry, 100)
    if heard != "sending":
        play >> report(STOP, "accept") << ...
    if heard == "canceling" or stop != "filled":
        play >> approved(EXIT) << ...
    if stop != "never came":
        venue.take(rests, 100 if stop == "filled" else 0)
    assert back(play, traits, venue, restart) <= 30
    core = core_of(play)
    sells = [placed for placed in venue.orders.values() if placed.order.side is Side.SELL and placed.ended is None]
    assert sum((placed.order.quantity - placed.filled for placed in sells), D(0)) <= core.ledger.position("SPY")
    if stop == "filled":
        assert core.ledger.position("SPY") == 0


@BROKERS
def test_five_hundred_orders_in_doubt_are_known_in_time(traits: VenueTraits) -> None:
    play, venue = linked(traits), Venue(traits.refuses_duplicates)
    for number in range(500):
        play >> approved(intent(id=f"trend-1-{number + 1}", symbol=f"S{number}"))
    for number, said in enumerate(play.heard(VenueSubmit)):
        if number % 2:
            venue.take(said.order)
    assert back(play, traits, venue, restart=True) <= 30
    assert len(venue.taken) == len(set(venue.taken)) == (500 if traits.refuses_duplicates else 250)


# --- races ----------------------------------------------------------------------------------------


@BROKERS
def test_a_cancel_that_loses_the_race_books_the_fill(traits: VenueTraits) -> None:
    play = linked(traits)
    play >> approved() >> report(ENTRY.id, "accept") >> command(Verb.CANCEL_ALL) << ...
    play >> report(ENTRY.id, "accept")  # too late to cancel, it says
    assert play.heard(Order) == []
    play >> told(ENTRY.id, 100) << ...
    play >> report(ENTRY.id, "cancel")
    play.later(5) >> Wakeup()
    assert play.heard(VenueCancel) == []
    order = core_of(play).ledger.orders[ENTRY.id]
    assert (order.status, order.filled) == (OrderStatus.FILLED, D(100))
    assert core_of(play).ledger.blocked == {}


@pytest.mark.parametrize("filled", [D(100), D(0)])
def test_a_word_of_a_fill_without_its_executions_is_not_believed_but_asked_about_and_not_in_a_circle(
    filled: Decimal,
) -> None:
    play = linked(IBKR)
    play >> approved() >> report(ENTRY.id, "accept") << ...
    play >> report(ENTRY.id, "fill", filled=filled)
    assert play.heard(VenueAsk) == [VenueAsk(ENTRY.id)]
    for _ in range(3):
        play >> report(ENTRY.id, "fill", filled=filled)  # the answer comes before the executions
    assert play.heard(VenueAsk) == []
    play.later(2) >> Wakeup()
    assert play.heard(VenueAsk) == [VenueAsk(ENTRY.id)]
    play >> told(ENTRY.id, 100)
    assert [order.status for order in play.heard(Order)] == [OrderStatus.FILLED]


def test_an_order_that_is_over_with_more_filled_than_we_know_is_asked_about_once() -> None:
    play = linked(IBKR)
    play >> approved() >> report(ENTRY.id, "accept") >> report(ENTRY.id, "cancel") << ...
    for _ in range(3):
        play >> report(ENTRY.id, "cancel", filled=D(40))
    assert play.heard(VenueAsk) == [VenueAsk(ENTRY.id)]


def test_an_order_made_smaller_at_the_venue_and_filled_is_filled() -> None:
    play = linked(IBKR)
    play >> approved() >> report(ENTRY.id, "accept") >> told(ENTRY.id, 50) << ...
    play >> report(ENTRY.id, "fill", filled=D(50))
    assert [(one.status, one.quantity) for one in play.heard(Order)] == [(OrderStatus.FILLED, D(50))]


def test_new_risk_waits_for_the_venue_to_have_the_market_again() -> None:
    play = linked(IBKR)
    play >> VenueLink(True, "", LinkState.DEGRADED, "1100") << ... >> approved()
    assert [(order.status, order.code) for order in play.heard(Order)] == [(OrderStatus.DENIED, "VENUE_DEGRADED")]


@BROKERS
def test_a_market_order_that_is_not_told_filled_is_asked_about_soon_and_then_ever_more_rarely(
    traits: VenueTraits,
) -> None:
    with linked(traits) as play:
        play >> approved(ENTRY) << ... >> report(ENTRY.id, "accept") << ...
        waits = []
        while len(waits) < 5:
            before, deadline = play.now.ticks, play.core.deadline()
            assert deadline is not None
            play.later((deadline - before) / SECOND) >> Wakeup()
            if any(isinstance(event.body, VenueAsk) for event in play.unread):
                waits.append(play.now.ticks)
                play << ... >> report(ENTRY.id, "accept")
            for look in [event.body for event in play.unread if isinstance(event.body, VenueLook)]:
                play >> snapshot(look.n, open=(ENTRY.id,))
            play << ...
        gaps = [after - before for before, after in pairwise(waits)]
        assert gaps == [4 * SECOND, 8 * SECOND, 16 * SECOND, traits.look_every]
        play >> told(ENTRY.id, 100) << ...
        play.later(60) >> Wakeup() << VenueLook
