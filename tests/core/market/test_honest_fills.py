"""What the simulated market does not give away: no price, fee or share that a real one would have kept."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.core.market import simulator as module
from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.models.commission import FREE, MakerTaker
from appliance.core.models.slippage import Fixed, Volatility
from appliance.domain.market import Quote
from appliance.domain.messages import Ticks, VenueFill
from appliance.domain.trading import OrderType, Side, TimeInForce, Trail
from tests.core.make import again
from tests.core.market.test_fill_rules import MINUTE, bar, filled, fills, market, quotes, wished
from tests.core.market.test_market import reported
from tests.playbook import BEGIN, Playbook

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
LIMIT, STOP, TRAILING = OrderType.LIMIT, OrderType.STOP, OrderType.TRAILING_STOP
IOC, FOK, GTC = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC
NAN, INF = float("nan"), float("inf")
FEES = MakerTaker(D(1), D(2))


def commissions(play: Playbook) -> list[Decimal]:
    return [fill.commission for fill in play.core.fills.values()]  # type: ignore[attr-defined]


# --- fees -------------------------------------------------------------------------------------------------------------


def test_a_limit_that_takes_the_open_is_no_maker_though_slippage_brings_it_to_its_limit() -> None:
    with market(MarketModel(FEES, slippage=Fixed(5.0))) as play:
        play >> wished(type=LIMIT, limit_price=D(100)) << reported("accept") >> bar(1, 99, 101, 97, 99) << VenueFill
        assert commissions(play) == [D(200)]


def test_each_part_of_an_order_pays_for_how_it_was_filled() -> None:
    with market(MarketModel(MakerTaker(D(0), D(2)), participation=D(10))) as play:
        play >> wished(type=LIMIT, limit_price=D(100), time_in_force=GTC) << reported("accept")
        play >> bar(1, 90, 101, 89, 99, volume=500) << filled("90.0", BEGIN, 50)
        play >> bar(2, 101, 102, 99, 101, volume=1000) << filled("100.0", BEGIN + 2 * MINUTE, 50)
        assert commissions(play) == [D(90), D(0)]  # never less than nothing


# --- immediate orders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [IOC, FOK])
@pytest.mark.parametrize(("side", "limit"), [(BUY, 98), (SELL, 102)])
def test_an_immediate_limit_takes_what_there_is_first_and_does_not_wait_for_the_rest_of_the_bar(
    force: TimeInForce, side: Side, limit: int
) -> None:
    with market(fills()) as play:
        play >> wished(type=LIMIT, side=side, limit_price=D(limit), time_in_force=force) << reported("accept")
        play >> bar(1, 100, 103, 97, 100) << reported("cancel")


def test_an_immediate_limit_gets_the_open_that_is_good_enough() -> None:
    with market(fills()) as play:
        play >> wished(type=LIMIT, limit_price=D(101), time_in_force=IOC) << reported("accept")
        play >> bar(1, 100, 103, 97, 100) << filled("100.0", BEGIN)


# --- what is no price -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [NAN, INF, 0.0, -1.0])
@pytest.mark.parametrize(
    "order",
    [
        wished(),
        wished(type=LIMIT, limit_price=D(99), time_in_force=GTC),
        wished(type=STOP, stop_price=D(99), time_in_force=GTC),
        wished(type=TRAILING, side=SELL, trail=Trail(D(1)), time_in_force=GTC),
    ],
)
def test_nothing_fills_or_trails_at_what_is_no_price(order: Any, wrong: float) -> None:
    with market(MarketModel(slippage=Volatility())) as play:
        play >> order << reported("accept")
        before = dict(play.core.resting)  # type: ignore[attr-defined]
        play >> bar(1, wrong, wrong, wrong, wrong) >> quotes(2, (wrong,) * 4, (wrong,) * 4)
        play >> Ticks(1, (Quote("SPY", BEGIN + 3 * MINUTE, wrong, wrong),))
        assert play.core.resting == before  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [NAN, INF, -5.0])
def test_an_unknown_volume_is_none(wrong: float) -> None:
    with market(MarketModel(FREE, participation=D(10))) as play:
        play >> wished() << reported("accept") >> bar(1, 10, 11, 9, 10, volume=wrong)
        play >> bar(2, 11, 11, 11, 11) << filled("11.0", BEGIN + MINUTE, 100)


# --- months of running ------------------------------------------------------------------------------------------------


def test_a_bracket_that_rests_for_months_outlives_what_is_remembered_of_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 8)
    with market(fills()) as play:
        old = wished(id="old", side=SELL, type=STOP, stop_price=D(50), time_in_force=GTC)
        other = wished(id="other", side=SELL, type=LIMIT, limit_price=D(150), time_in_force=GTC)
        for one in (old, other):
            play >> replace(one, order=replace(one.order, oco="old")) << reported("accept")
        for n in range(40):
            quick = wished(id=f"q{n}", type=LIMIT, limit_price=D(1), time_in_force=IOC)
            play >> replace(quick, order=replace(quick.order, oco=f"q{n}")) << reported("accept")
            play >> Ticks(n, (Quote("SPY", BEGIN + n + 1, 100.0, 100.0),)) << reported("cancel")
        play >> bar(2, 100, 100, 40, 60) << filled("50.0", BEGIN + 2 * MINUTE) << reported("cancel")


def test_what_a_market_forgets_after_a_restart_is_still_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 8)
    play = market(fills())
    for n in (9, 8, 7, 6, 5, 4, 3, 2):  # later ids come first in the alphabet
        play.later(1) >> wished(id=f"o{n}") << reported("accept")
        play >> Ticks(n, (Quote("SPY", play.now.time, 100.0, 100.0),)) << VenueFill
    core = play.core
    assert isinstance(core, MarketSimulator)
    fresh = MarketSimulator("paper", core.writers, D(0), fills())
    fresh.restore(dict(sorted(core.snapshot().items())))
    assert list(fresh.fills) == list(core.fills)
    assert again(core, fresh).fills == core.fills
