"""What strategies hear of each other's signals, and when: in lockstep by the data alone, whoever was quicker."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import pytest

from appliance.core.host import HostCore
from appliance.core.wishes import Made, Silent, Wish
from appliance.domain.market import Bar
from appliance.domain.messages import DATA_BOOT, Event, EventType, Stage, Step
from appliance.domain.trading import Signal
from tests.core.make import bar, writers
from tests.playbook import Playbook


class Follower(Silent):
    """It hears of SPY and follows ``lead`` and ``tail``."""

    follows = ("lead", "tail")

    def __init__(self) -> None:
        super().__init__("trend", ("SPY",))
        self.heard: list[str] = []

    def bar(self, bar: Bar, now: int) -> tuple[Wish, ...]:
        self.heard.append(f"bar {bar.close:g}")
        return ()

    def signal(self, signal: Signal, now: int) -> tuple[Wish, ...]:
        self.heard.append(f"{signal.strategy} {signal.counter}")
        return ()


def lockstep() -> tuple[Playbook, Follower]:
    follower = Follower()
    core = HostCore("host@trend", writers("host@trend"), [Made("trend", lambda: follower)])
    play = Playbook(core, boot=DATA_BOOT)
    play.core.started(play.now)
    play.core.released(play.now)
    return play, follower


def signal(strategy: str, counter: int, step: int) -> Event:
    body = Signal(strategy, "SPY", Decimal(1), "", counter, step=step)
    return Event(EventType.SIGNAL, body, f"host/{strategy}/signals", 1, counter)


@pytest.mark.parametrize("quicker", [True, False])
def test_in_lockstep_a_signal_is_heard_in_the_step_after_its_own_whoever_was_quicker(quicker: bool) -> None:
    play, follower = lockstep()
    first = Step(Stage.HOSTS, play.now.time, 0, (bar(1),))
    if quicker:
        play >> signal("lead", 1, step=1) >> first
    else:
        play >> first >> signal("lead", 1, step=1)
    assert follower.heard == ["bar 1"]
    play >> Step(Stage.HOSTS, play.now.time, 1)
    assert follower.heard == ["bar 1", "lead 1"]


def test_in_lockstep_signals_of_several_hosts_are_heard_in_one_order() -> None:
    came = [signal("lead", 1, 1), signal("lead", 2, 1), signal("tail", 1, 1)]
    for order in permutations(came):
        play, follower = lockstep()
        play >> Step(Stage.HOSTS, play.now.time, 0, (bar(1),))
        for event in order:
            play >> event
        play >> Step(Stage.HOSTS, play.now.time, 1)
        assert follower.heard == ["bar 1", "lead 1", "lead 2", "tail 1"]
