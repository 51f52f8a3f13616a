"""A stop-limit that looks at closes: from the very bar that hits its stop on, strictly within the limit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.models.commission import FREE
from appliance.core.models.fills import Fills
from appliance.core.streams import Writers
from appliance.domain.market import Bar
from appliance.domain.messages import VenueSubmit
from appliance.domain.trading import OrderType, Side
from tests.core.make import again, intent, order
from tests.core.market.test_market import AFTER, NEXT, filled, reported
from tests.playbook import BEGIN, SECOND, Playbook

MINUTE = 60 * SECOND
LATER = Bar("SPY", "1m", BEGIN + 2 * MINUTE, BEGIN + 3 * MINUTE, 98.5, 106.0, 98.0, 105.0, 1000.0)
"""NEXT is 100, 104, 97, 101 (open, high, low, close); AFTER 99, 99.5, 98, 98.5."""


def simulator() -> MarketSimulator:
    return MarketSimulator("paper", Writers(()), Decimal(100_000), MarketModel(FREE, Fills(stop_limit="close")))


def waiting(side: Side, stop: str, limit: str) -> Playbook:
    play = Playbook(simulator())
    placed = order(intent(type=OrderType.STOP_LIMIT, side=side, stop_price=Decimal(stop), limit_price=Decimal(limit)))
    play >> VenueSubmit(placed) << reported("accept")
    return play


def silent(play: Playbook, bar: Bar) -> None:
    play >> bar
    assert not play.unread


@pytest.mark.parametrize(
    ("side", "stop", "limit", "price"),
    [
        (Side.BUY, "103", "103.5", "103.5"),  # the stop is hit, the close (101) is below the limit: at the limit
        (Side.BUY, "103", "105", "104.0"),  # a limit beyond the bar: at its high
        (Side.SELL, "98", "97.5", "97.5"),
        (Side.SELL, "98", "95", "97.0"),
    ],
)
def test_it_fills_on_the_bar_that_hits_it_when_that_closes_within_the_limit(
    side: Side, stop: str, limit: str, price: str
) -> None:
    waiting(side, stop, limit) >> NEXT << filled(price, NEXT.end)


def test_a_close_at_the_limit_is_not_within_it_and_the_stop_stays_hit() -> None:
    play = waiting(Side.BUY, "103", "101")
    silent(play, NEXT)  # closes at 101
    play >> AFTER << filled("99.5", AFTER.end)  # below the stop by now, closes at 98.5


def test_a_stop_that_has_not_been_hit_waits_whatever_the_close_is() -> None:
    play = waiting(Side.BUY, "105", "110")
    silent(play, NEXT)
    silent(play, AFTER)
    play >> LATER << filled("106.0", LATER.end)


def test_a_restart_remembers_that_the_stop_has_been_hit() -> None:
    play = waiting(Side.SELL, "98", "101")
    silent(play, NEXT)
    fresh = Playbook(again(play.core, simulator()))
    fresh >> LATER << filled("101.0", LATER.end)
