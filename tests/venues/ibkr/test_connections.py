"""What the gateway says of its way to IB, and what is waited for when it is away: by name, for the owner's phone."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from appliance.domain.orders import OrderEvent
from appliance.domain.venue import LinkState
from appliance.errors import VenueDown
from appliance.venues.base import Condition, Lost
from tests.standins.ibkr import IbkrStandIn
from tests.venues.ibkr.conftest import Ears, Make, limit, order, until

NEW_YORK = "America/New_York"


def at(text: str) -> int:
    """A time in New York as ns UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(NEW_YORK)).timestamp()) * 10**9


def condition(code: str) -> object:
    return lambda one: isinstance(one, Condition) and one.code == code


@pytest.mark.parametrize("data_lost", [False, True])
def test_the_way_to_ib_is_lost_and_comes_back_and_all_is_to_be_compared(
    one: IbkrStandIn, make: Make, data_lost: bool
) -> None:
    ears = Ears()
    broker = make(one, ears)
    broker.submit(limit("a-1-1"))
    one.lose()
    assert ears.wait(condition("1100")).state is LinkState.DEGRADED  # type: ignore[arg-type]
    broker.beat()
    one.books.price("SPY", "89", "89.5")
    assert broker.fills(0) == ()
    one.restore(data_lost)
    back = ears.wait(condition("1101" if data_lost else "1102"))  # type: ignore[arg-type]
    assert (back.state, back.lost) == (LinkState.READY, True)
    assert [fill.order_id for fill in broker.fills(0)] == ["a-1-1"], "executions of meanwhile are asked for"


def test_farms_of_data_are_told_and_change_nothing(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    make(one, ears)
    for code in (2103, 2105, 2157):
        one.farm(code)
        told = ears.wait(condition(str(code)))  # type: ignore[arg-type]
        assert (told.state, told.lost) == (LinkState.READY, False)
    one.farm(2110)
    assert ears.wait(condition("2110")).state is LinkState.DEGRADED  # type: ignore[arg-type]
    one.farm(2104)
    back = ears.wait(condition("2104"))  # type: ignore[arg-type]
    assert (back.state, back.lost) == (LinkState.READY, True)


def test_a_client_id_that_is_in_use_is_said_and_free_again_later(one: IbkrStandIn, make: Make) -> None:
    first = make(one)
    with pytest.raises(VenueDown, match="client id 7 is in use") as caught:
        make(one)
    assert "set client_id" in caught.value.hint
    first.close()
    until(lambda: not one.session.peers)
    assert make(one).open_orders() == ()


def test_a_restart_of_the_gateway_with_ids_rolled_back_never_uses_an_id_twice(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    for number in range(1, 4):
        broker.submit(limit(f"a-1-{number}"))
    one.restart(0.2, roll_back=1)
    ears.wait(lambda told: isinstance(told, Lost))

    def back() -> bool:
        try:
            broker.open(ears)
        except VenueDown:
            return False
        return True

    until(back)
    assert [seen.order_id for seen in broker.open_orders()] == ["a-1-1", "a-1-2", "a-1-3"]
    assert broker.submit(limit("a-1-4")).event is OrderEvent.ACCEPT
    ids = [entry.fields[1] for entry in one.log.of("received", "3")]
    assert len(set(ids)) == 4
    assert len(broker.open_orders()) == 4


def test_an_id_that_the_gateway_has_forgotten_to_tell_is_leapt_over(one: IbkrStandIn, make: Make) -> None:
    broker = make(one)
    one.faults.rejection, one.faults.rejected = "duplicate_id", 1
    assert broker.submit(order("a-1-1")).event is OrderEvent.REJECT
    assert broker.submit(order("a-1-2")).event is OrderEvent.ACCEPT
    first, second = (int(entry.fields[1]) for entry in one.log.of("received", "3"))
    assert second > first + 1_000


class Wall:
    """A clock that is set by hand."""

    def __init__(self, text: str) -> None:
        self.now = at(text)

    def __call__(self) -> int:
        return self.now


def test_a_reset_at_the_time_of_the_restart_is_waited_for_as_such(one: IbkrStandIn, make: Make) -> None:
    ears, wall = Ears(), Wall("2026-11-25T23:45:20")
    make(one, ears, clock=wall, restart="23:45", timezone=NEW_YORK)
    one.hang_up()
    told = ears.wait(lambda heard: isinstance(heard, Lost))
    assert told.state is LinkState.WAITING_RESET
    assert "restarts" in told.error.text


def test_a_gateway_that_waits_for_its_weekly_login_says_so_for_the_owner(one: IbkrStandIn, make: Make) -> None:
    ears, wall = Ears(), Wall("2026-11-29T01:00:10")
    broker = make(one, ears, clock=wall, restart="23:45", timezone=NEW_YORK)
    one.stop()
    ears.wait(lambda heard: isinstance(heard, Lost))
    for text, state in (("2026-11-29T01:01:00", LinkState.DOWN), ("2026-11-29T01:06:00", LinkState.WAITING_2FA)):
        wall.now = at(text)
        before = len(ears.of(Lost))
        with pytest.raises(VenueDown) as caught:
            broker.open(ears)
        if state is LinkState.DOWN:
            assert len(ears.of(Lost)) == before
        else:
            assert ears.of(Lost)[-1].state is state
            assert "confirm on your phone" in caught.value.text
    one.start()
    broker.open(ears)
    assert broker.open_orders() == ()


def test_around_the_restart_no_new_risk_is_wanted(one: IbkrStandIn, make: Make) -> None:
    ears, wall = Ears(), Wall("2026-11-25T23:40:00")
    broker = make(one, ears, clock=wall, restart="23:45", timezone=NEW_YORK)
    broker.beat()
    assert ears.of(Condition) == []
    wall.now = at("2026-11-25T23:43:30")
    broker.beat()
    broker.beat()
    (told,) = ears.of(Condition)
    assert (told.state, told.code) == (LinkState.DEGRADED, "RESTART")
    wall.now = at("2026-11-25T23:48:00")
    broker.beat()
    assert ears.of(Condition)[-1].state is LinkState.READY


def test_connecting_again_takes_little_time(one: IbkrStandIn, make: Make) -> None:
    ears = Ears()
    broker = make(one, ears)
    for _ in range(3):
        one.hang_up()
        ears.wait(lambda heard: isinstance(heard, Lost))
        ears.heard.clear()
        started = time.monotonic()
        broker.open(ears)
        assert time.monotonic() - started < 2.0
