"""Ten strategies trade while the preferred source fails: they hear, want and get what they would without it."""

from __future__ import annotations

from functools import cache

import pytest

from appliance.domain.market import SECOND
from appliance.domain.messages import Now
from appliance.domain.orders import OrderStatus
from tests.data.live.floor import SYMBOLS, TEN, Floor
from tests.data.live.stage import BEGIN, FAULTS, ROUND, Stage, truth

COUNT = 150
TOLD = tuple(truth(symbol, COUNT) for symbol in SYMBOLS)


def traded(fault: str, at: int = 20, length: int = 50) -> Floor:
    """The floor after a run in which the first source was broken from bar ``at`` on. Timers of a day come later: a host
    waits a second for the bar that ends with one, and no longer (``core.timing.GRACE``)."""
    stage, floor = Stage(fault, at, length, told=TOLD), Floor()
    stage.hear = floor.hear
    floor.open(Now(BEGIN, "boot", BEGIN))
    for second in range(ROUND, COUNT * 60, ROUND):
        stage.at(BEGIN + second * SECOND, lambda now: floor.look(Now(now, "boot", now)))
    stage.run()
    return floor


@cache
def calm() -> Floor:
    """Nothing fails."""
    return traded("mute", COUNT + 1)


def test_the_ten_are_worth_comparing_with() -> None:
    floor = calm()
    assert [(symbol, end) for _, symbol, end, _ in floor.heard] == [
        (bar.symbol, bar.end) for bars in zip(*TOLD, strict=True) for bar in bars
    ]
    assert {intent[1] for intent in floor.intents} == set(TEN)
    assert len(floor.fills) > 100
    assert all(order.status is not OrderStatus.UNKNOWN for order in floor.gateway.ledger.orders.values())


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_the_preferred_source_does_ten_strategies_hear_and_do_the_same(fault: str) -> None:
    floor = traded(fault)
    assert sorted(floor.heard, key=lambda one: one[2]) == floor.heard
    assert {one[1:] for one in floor.heard} == {one[1:] for one in calm().heard}
    assert len(floor.heard) == len(calm().heard)
    assert floor.intents == calm().intents
    assert floor.fills == calm().fills
