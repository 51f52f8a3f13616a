"""Rows of state, and what a core does with a message nobody registered."""

from __future__ import annotations

import pytest

from appliance.core.base import Core, Unhandled
from appliance.core.peers import LATE, SILENCE, Peers
from appliance.core.streams import Writers
from appliance.domain import wire
from appliance.domain.messages import EventType, Now, local
from appliance.domain.operations import Heartbeat, Peer, ProcessState, Progress, Spot, Wakeup
from appliance.domain.trading import Position


def core() -> Core:
    return Core("guard", Writers(()))


def test_only_what_changed_is_told_and_deleted_rows_are_none() -> None:
    one = core()
    rows = one.table("position", Position)
    rows["a"], rows["b"] = Position("A"), Position("B")
    assert set(one.changes()) == {"position/a", "position/b"}
    assert one.changes() == {}
    del rows["a"]
    rows.drop("nothing")
    assert one.changes() == {"position/a": None}
    rows["c"] = Position("C")
    del rows["c"]
    assert one.changes() == {"position/c": None}


def test_a_restored_core_has_the_same_rows_in_the_same_order_and_nothing_to_write() -> None:
    one, two = core(), core()
    rows = one.table("position", Position)
    for key in ("b/2", "a", "b/10"):
        rows[key] = Position(key)
    again = two.table("position", Position)
    two.restore({**one.snapshot(), "gone/x": b"1"})
    assert list(again.items()) == list(rows.items())
    assert two.changes() == {}


def test_rows_nobody_stores_are_the_same_rows_and_cannot_be_asked_what_changed() -> None:
    one = Core("guard", Writers((), stored=False))
    rows = one.table("position", Position)
    rows["a"], rows["b"] = Position("A"), Position("B")
    del rows["a"]
    rows.drop("a")
    assert one.snapshot() == {"position/b": wire.pack(Position("B"))}
    with pytest.raises(TypeError, match="guard keeps nothing"):
        one.changes()


@pytest.mark.parametrize("stored", [True, False])
def test_the_newest_rows_are_kept_and_the_oldest_forgotten_an_eighth_at_a_time(stored: bool) -> None:
    one = Core("guard", Writers((), stored=stored))
    rows = one.table("position", Position)
    for n in range(90):
        rows[str(n)] = Position("A")
        rows.keep_newest(80)
    assert list(rows) == [str(n) for n in range(90)]
    rows["90"] = Position("A")
    rows.keep_newest(80)
    assert list(rows) == [str(n) for n in range(11, 91)]
    if stored:
        assert one.changes()["position/10"] is None


@pytest.mark.parametrize("stored", [True, False])
def test_a_view_is_made_where_somebody_may_look(stored: bool) -> None:
    one = Core("guard", Writers((), stored=stored))
    one.show("view/position/A", Position("A"), Now(1, "boot", 1))
    assert [event.topic for event in one.out] == (["view/position/A"] if stored else [])


def test_what_is_ignored_is_understood_and_nothing_follows() -> None:
    one = core()
    one.ignore(EventType.WAKEUP)
    assert one.understands(EventType.WAKEUP)
    assert not one.heeds(EventType.WAKEUP)
    assert one.handle(local(Wakeup()), Now(1, "boot", 1)) == []
    assert not one.understands(EventType.FILL)
    assert not one.heeds(EventType.FILL)


def test_a_message_without_a_handler_is_an_error_that_names_it() -> None:
    with pytest.raises(Unhandled, match="guard has no handler for 'wakeup' from clock"):
        core().handle(local(Wakeup(), topic="clock"), None)  # type: ignore[arg-type]


def beat(process: str = "gateway", state: ProcessState = ProcessState.READY, poisoned: int = 0) -> Heartbeat:
    return Heartbeat(process, state, 1, "i", "b", 1, Progress(process, {}, {}, poisoned=poisoned))


def test_a_peer_is_told_when_it_comes_is_late_falls_silent_and_returns() -> None:
    peers = Peers("guard", ("gateway/orders",))
    assert peers.publishers == ("gateway",)
    assert peers.heard(beat(), 0) == [Peer("gateway", True)]
    assert peers.heard(beat(), 1) == []
    assert peers.silent(LATE + 1) == []
    assert peers.silent(LATE + 2) == [Peer("gateway", True, late=True)]
    assert peers.silent(SILENCE + 1) == []
    assert peers.silent(SILENCE + 2) == [Peer("gateway", False)]
    assert peers.silent(SILENCE + 3) == []
    assert peers.heard(beat(), SILENCE + 4) == [Peer("gateway", True)]


@pytest.mark.parametrize("state", [ProcessState.LOST, ProcessState.STOPPED, ProcessState.STOPPING])
def test_a_peer_that_says_goodbye_is_gone_at_once(state: ProcessState) -> None:
    peers = Peers("guard", ())
    peers.heard(beat(), 0)
    said_so = state is not ProcessState.LOST
    assert peers.heard(beat(state=state), 1) == [Peer("gateway", False, stopped=said_so)]


def test_a_poisoned_message_is_told_once() -> None:
    peers = Peers("guard", ())
    peers.heard(beat(), 0)
    assert peers.heard(beat(poisoned=1), 1) == [Peer("gateway", True, 1)]
    assert peers.heard(beat(poisoned=1), 2) == []


def test_retention_follows_the_lowest_cursor() -> None:
    peers = Peers("guard", ())
    assert peers.lowest_cursor("s") is None
    for name, seq in (("a", 5), ("b", 3)):
        peers.progressed(Progress(name, {"s": Spot(1, seq)}, {}))
    assert peers.lowest_cursor("s") == Spot(1, 3)
