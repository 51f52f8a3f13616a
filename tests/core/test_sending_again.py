"""What may be sent again, and for how long something is asked about."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from appliance.core.gateway import GatewayCore
from appliance.domain.messages import VenueAsk, VenueLink, VenueSubmit
from appliance.domain.operations import Inhibit, Peer, Wakeup
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import OrderType, TimeInForce
from appliance.domain.venue import LinkState, Rejection
from tests.core.make import approved, intent, report, snapshot, status, told, writers
from tests.core.test_brokers import ALPACA, ENTRY, EXIT, STOP, core_of, corrects, filled, linked, notice
from tests.playbook import Playbook

D = Decimal
OTHER = intent(id="trend-1-9", counter=9)
RESTS = intent(type=OrderType.LIMIT, limit_price=D(90))


def absent_twice(play: Playbook, order_id: str) -> Playbook:
    play >> report(order_id, "lose") >> report(order_id, "absent") << ...
    return play.later(2)


def blocked(play: Playbook) -> object:
    core_of(play).block("SPY", "something differs", play.now)
    play << ...
    return report(OTHER.id, "absent")


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda play: Peer("guard", False), lambda play: Inhibit("CLOCK", True), blocked,
        lambda play: VenueLink(True, "no way to the market", LinkState.DEGRADED),
    ],
    ids=["guard silent", "inhibited", "symbol halted", "market lost"],
)  # fmt: skip
def test_an_entry_is_not_sent_again_where_no_new_risk_is_taken(meanwhile: Any) -> None:
    with linked() as play:
        play >> approved() << ...
        absent_twice(play, ENTRY.id)
        play >> meanwhile(play) << ...
        play >> report(ENTRY.id, "absent") << status("not_placed")


def test_an_exit_is_not_sent_again_for_what_the_venue_has_taken_back_meanwhile() -> None:
    with linked() as play:
        filled(play)
        play >> approved(EXIT) << ...
        absent_twice(play, EXIT.id)
        play >> corrects("b", f"{ENTRY.id}:100", 60) << ...
        play >> report(EXIT.id, "absent") << status("not_placed")


def test_an_exit_that_still_fits_is_sent_again() -> None:
    with linked() as play:
        filled(play)
        play >> approved(EXIT) << ...
        absent_twice(play, EXIT.id)
        play >> report(EXIT.id, "absent") << status("sending", attempt=2) << VenueSubmit


def asks(play: Playbook, seconds: int = 10) -> int:
    """How often something is asked about in so many seconds."""
    play << ...
    for _ in range(seconds):
        play.later(1) >> Wakeup()
    return len(play.heard(VenueAsk))


def test_an_order_is_asked_about_until_its_fills_are_here_and_no_longer() -> None:
    with linked() as play:
        play >> approved(RESTS) >> report(ENTRY.id, "accept") << ...
        play >> report(ENTRY.id, "partial_fill", filled=D(50)) << VenueAsk(ENTRY.id)
        play >> report(ENTRY.id, "partial_fill", filled=D(50))
        assert asks(play) >= 4
        play >> told(ENTRY.id, 50) >> report(ENTRY.id, "accept", filled=D(50))
        assert asks(play) == 0


def test_an_order_that_is_missing_from_what_works_is_asked_about_until_that_is_answered() -> None:
    core = GatewayCore("gateway", writers("gateway"), ALPACA)
    with linked(core=core) as play:
        play >> approved(RESTS) >> report(ENTRY.id, "accept") << ...
        play >> VenueLink(False) >> VenueLink(True) << ...
        play >> snapshot(2) << VenueAsk(ENTRY.id) >> report(ENTRY.id, "lose") << ...
        assert asks(play) >= 4
        play >> report(ENTRY.id, "absent") << ...
        play >> report(ENTRY.id, "absent") << ...
        assert core.ledger.orders[ENTRY.id].status is OrderStatus.ACCEPTED, "twice at once is once"
        play >> report(ENTRY.id, "accept")
        assert asks(play) == 0


def test_a_stop_that_is_refused_for_how_long_it_should_rest_is_placed_for_the_day() -> None:
    with linked() as play:
        play >> approved(intent(stop=D(90))) >> told(ENTRY.id, 100) << ...
        play >> report(STOP, "reject", code=Rejection.UNSUPPORTED) << status("rejected")
        play << status("sending", time_in_force=TimeInForce.DAY, stop_price=D(90), type=OrderType.STOP) << VenueSubmit
        (fresh,) = core_of(play).ledger.protective("trend", "SPY")
        play >> report(fresh.id, "reject", code=Rejection.UNSUPPORTED) << status("rejected")
        play << notice("STOP_MISSING/trend/SPY")
