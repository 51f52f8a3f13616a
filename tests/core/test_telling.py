"""What strategies hear of orders, fills and each other's signals, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.core.telling import TOLD_MAX
from appliance.core.wishes import Wish
from appliance.domain.messages import DATA_BOOT, Event, EventType, Stage, Step
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Denied, Intent, Order, OrderType, Side, Signal, Terms, Trail
from tests.core.hosting import D, Scripted, begin, begun, by_close, closes, host, puppet, target
from tests.core.make import bar, fill, intent, order
from tests.playbook import SECOND, Playbook


class Follower(Scripted):
    """It hears other strategies' signals."""

    def __init__(self, name: str, *follows: str, **script: Any) -> None:
        super().__init__(name, **script)
        self.follows = follows

    def snapshot(self) -> dict[str, Any]:
        return {"heard": list(self.heard), "last": 0.0}


def heard_signals(play: Playbook, name: str = "mirror") -> list[tuple[str, int]]:
    found = puppet(play, name)
    assert isinstance(found, Scripted)
    return [(one.strategy, one.counter) for one in found.told if isinstance(one, Signal)]


def theirs(play: Playbook, seq: int, strategy: str = "alpha", counter: int | None = None, host: str = "other") -> Event:
    """A signal of a strategy in another host."""
    signal = Signal(strategy, "SPY", D(5), "", counter if counter is not None else seq, cause="feed/bars:1:1")
    return Event(EventType.SIGNAL, signal, f"host/{host}/signals", 1, seq, play.now.time)


def pair(**script: Any) -> Playbook:
    play = Playbook(host(lambda: Scripted("trend", bar=target(100)), lambda: Follower("mirror", "trend", **script)))
    begin(play)
    return play


def test_a_follower_in_the_same_host_hears_a_signal_at_once_and_may_act_on_it() -> None:
    with pair(signal=target(7)) as play:
        play >> closes(play, 1)
        assert [(said.strategy, said.quantity) for said in play.heard(Intent)] == [("trend", 100), ("mirror", 7)]
        assert heard_signals(play) == [("trend", 1)]


@pytest.mark.parametrize("boot", ["boot-1", DATA_BOOT])
def test_signals_of_other_hosts_come_at_once_live_and_by_strategy_and_number_in_lockstep(boot: str) -> None:
    play = Playbook(host(lambda: Follower("mirror", "alpha", "beta")), boot)
    begin(play)
    for seq, (strategy, of) in enumerate((("beta", "b"), ("alpha", "a"), ("beta", "b"), ("stranger", "c")), 1):
        play >> theirs(play, seq, strategy, host=of)
    live = [("beta", 1), ("alpha", 2), ("beta", 3)]
    assert heard_signals(play) == (live if boot == "boot-1" else [])
    play >> Step(Stage.HOSTS, play.now.time, 1)
    assert heard_signals(play) == (live if boot == "boot-1" else sorted(live))


def test_a_signal_told_before_a_restart_is_not_told_after_it_and_one_that_waited_is() -> None:
    play = Playbook(host(lambda: Follower("mirror", "alpha")), DATA_BOOT)
    begin(play)
    play >> theirs(play, 1) >> Step(Stage.HOSTS, play.now.time, 1) >> theirs(play, 2)
    after = begun(play, host(lambda: Follower("mirror", "alpha")))
    after >> Step(Stage.HOSTS, after.now.time, 2)
    assert heard_signals(after) == [("alpha", 2)]
    assert puppet(after, "mirror").heard.count("signal") == 2


def test_orders_and_fills_come_before_denials_and_those_before_signals_whoever_was_faster() -> None:
    """Ten of them, so that text would be sorted in another way than numbers; and again after a restart."""
    makers = (lambda: Scripted("trend", bar=by_close(c1=target(100))), lambda: Follower("mirror", "trend", "alpha"))

    def news(play: Playbook) -> list[Any]:
        sent = order(intent(id="trend-1-1"), OrderStatus.SENDING)
        told = [sent, *(fill(sent, 1, key=f"k{n}") for n in range(1, 11))]
        return [play.event(body) for body in told]

    def told(events: list[Event], restart: bool) -> list[str]:
        play = Playbook(host(*makers), DATA_BOOT)
        begin(play)
        play >> Step(Stage.HOSTS, play.now.time, 0, (bar(1),))
        for event in events:
            play >> event
        if restart:
            play = begun(play, host(*makers))
        play >> Step(Stage.HOSTS, play.now.time, 1)
        return [
            getattr(one, "fill_key", None) or one.status.value
            for one in puppet(play).told  # type: ignore[attr-defined]
            if not isinstance(one, type(bar(1)))
        ]

    first = Playbook(host(*makers), DATA_BOOT)
    events = news(first)
    denial = first.event(Denied(intent(id="trend-1-1"), "X", "no"))
    expected = ["sending", *(f"k{n}" for n in range(1, 11)), "denied"]
    assert told([*events, denial], restart=False) == expected
    assert told([denial, *events], restart=False) == expected
    assert told([denial, *events], restart=True) == expected


def test_what_a_strategy_hears_of_a_denial_is_the_order_it_asked_for_its_trail_too() -> None:
    trailing = Terms(OrderType.TRAILING_STOP, trail=Trail(D(2), percent=True))
    play = Playbook(host(lambda: Scripted("trend", bar=Wish("SPY", D(100), side=Side.BUY, terms=trailing, ticket="t"))))
    begin(play)
    play >> closes(play, 1)
    play >> Denied(play.heard(Intent)[0], "TOO_LARGE", "more than allowed")
    told = [one for one in puppet(play).told if isinstance(one, Order)]  # type: ignore[attr-defined]
    assert [(one.type, one.trail, one.status, one.code) for one in told] == [
        (OrderType.TRAILING_STOP, Trail(D(2), percent=True), OrderStatus.DENIED, "TOO_LARGE")
    ]


def test_strategies_that_follow_each_other_in_a_circle_do_not_go_round_for_ever() -> None:
    makers = [
        lambda: Follower("alpha", "beta", bar=target(1), signal=target(2)),
        lambda: Follower("beta", "alpha", signal=target(3)),
    ]
    play = Playbook(host(*makers))
    begin(play)
    play >> closes(play, 1)
    assert len(play.heard(Signal)) <= TOLD_MAX + 2
    assert any("in a circle" in line for line in play.core.logged)
    play >> bar(1, play.now.time - 60 * SECOND)
    assert play.heard(Signal), "the host goes on"


def test_a_circle_in_lockstep_goes_round_once_a_stage() -> None:
    makers = [lambda: Follower("alpha", "beta", bar=target(1), signal=target(2)), lambda: Follower("beta", "alpha")]
    play = Playbook(host(*makers), DATA_BOOT)
    begin(play)
    play >> Step(Stage.HOSTS, play.now.time, 0, (bar(1),))
    assert heard_signals(play, "beta") == []
    play >> Step(Stage.HOSTS, play.now.time, 1)
    assert heard_signals(play, "beta") == [("alpha", 1)]
