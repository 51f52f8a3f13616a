"""The simulated market: at what price, when, and to the cent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.models.commission import FREE, Commission
from appliance.core.streams import Writers
from appliance.domain.market import Bar, MarketEvent, Quote, QuoteBar, Session, Sessions, Trade
from appliance.domain.messages import (
    Stage,
    Step,
    Ticks,
    VenueAsk,
    VenueCancel,
    VenueFill,
    VenueLook,
    VenueReport,
    VenueSnapshot,
    VenueSubmit,
)  # fmt: skip
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Intent, OrderType, Side, TimeInForce
from tests.core.make import again, intent, moment, order
from tests.playbook import BEGIN, SECOND, Playbook

D = Decimal
MINUTE = 60 * SECOND
BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT, STOP, STOP_LIMIT = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT
NEXT = Bar("SPY", "1m", BEGIN, BEGIN + MINUTE, 100.0, 104.0, 97.0, 101.0, 1000.0)
AFTER = Bar("SPY", "1m", BEGIN + MINUTE, BEGIN + 2 * MINUTE, 99.0, 99.5, 98.0, 98.5, 1000.0)


def simulator(commission: Commission = FREE, sessions: Sessions | None = None) -> MarketSimulator:
    return MarketSimulator("paper", Writers(()), D(100_000), MarketModel(commission), sessions)


def resting(commission: Commission = FREE, sessions: Sessions | None = None, **wanted: Any) -> Playbook:
    """A market that has accepted one order, decided at the beginning."""
    play = Playbook(simulator(commission, sessions))
    play >> VenueSubmit(order(intent(**wanted))) << reported("accept")
    return play


def reported(event: str, **fields: Any) -> Any:
    def fits(said: Any) -> bool:
        same = isinstance(said, VenueReport) and said.event is OrderEvent(event)
        return same and all(getattr(said, name) == value for name, value in fields.items())

    fits.__name__ = f"VenueReport {event} {fields or ''}"
    return fits


def filled(price: str, time: int) -> Any:
    def fits(said: Any) -> bool:
        return isinstance(said, VenueFill) and (said.price, said.time) == (D(price), time)

    fits.__name__ = f"VenueFill {price} at {time}"
    return fits


@pytest.mark.parametrize(
    ("kind", "side", "limit", "stop", "expected"),
    [
        (MARKET, BUY, None, None, ("100.0", 0)),
        (MARKET, SELL, None, None, ("100.0", 0)),
        (LIMIT, BUY, "101", None, ("100.0", 0)),  # the open is better than asked
        (LIMIT, BUY, "98", None, ("98.0", 1)),
        (LIMIT, BUY, "97", None, None),  # touched, not traded through
        (LIMIT, BUY, "96", None, None),
        (LIMIT, SELL, "99", None, ("100.0", 0)),
        (LIMIT, SELL, "103", None, ("103.0", 1)),
        (LIMIT, SELL, "104", None, None),
        (STOP, SELL, None, "98", ("98.0", 1)),
        (STOP, SELL, None, "97", ("97.0", 1)),  # touched is enough for a stop
        (STOP, SELL, None, "102", ("100.0", 0)),  # gapped: the open, which is worse
        (STOP, SELL, None, "96", None),
        (STOP, BUY, None, "104", ("104.0", 1)),
        (STOP, BUY, None, "99", ("100.0", 0)),
        (STOP, BUY, None, "105", None),
        (STOP_LIMIT, SELL, "97", "98", None),  # the stop is hit; the limit waits for the next event
    ],
)
def test_at_what_price_an_order_meets_the_next_bar(
    kind: OrderType, side: Side, limit: str | None, stop: str | None, expected: tuple[str, int] | None
) -> None:
    prices = {"limit_price": D(limit) if limit else None, "stop_price": D(stop) if stop else None}
    with resting(type=kind, side=side, **prices) as play:
        play >> NEXT
        if expected is not None:
            play << filled(expected[0], BEGIN + expected[1] * MINUTE)


def test_a_stop_limit_becomes_a_limit_and_fills_later() -> None:
    with resting(type=STOP_LIMIT, side=SELL, limit_price=D(97), stop_price=D(98)) as play:
        play >> NEXT >> AFTER << filled("99.0", AFTER.start)


@pytest.mark.parametrize(
    ("event", "side", "price"),
    [
        (Quote("SPY", BEGIN + 1, 99.9, 100.1), BUY, "100.1"),
        (Quote("SPY", BEGIN + 1, 99.9, 100.1), SELL, "99.9"),
        (Trade("SPY", BEGIN + 1, 100.05, 10), BUY, "100.05"),
        (QuoteBar("SPY", "1m", BEGIN, BEGIN + 1, 99.9, 99.9, 99.9, 99.9, 100.1, 100.1, 100.1, 100.1), BUY, "100.1"),
        (QuoteBar("SPY", "1m", BEGIN, BEGIN + 1, 99.9, 99.9, 99.9, 99.9, 100.1, 100.1, 100.1, 100.1), SELL, "99.9"),
    ],
)
def test_who_buys_pays_the_ask_and_who_sells_gets_the_bid(event: MarketEvent, side: Side, price: str) -> None:
    with resting(side=side) as play:
        play >> Step(Stage.VENUE, BEGIN + 1, 0, (event,)) << (lambda said: said.price == D(price))


def test_only_what_happens_after_the_decision_is_met() -> None:
    with resting(decided=moment(60)) as play:
        play >> NEXT >> Ticks(1, (Quote("SPY", BEGIN + MINUTE, 1.0, 1.0),)) >> AFTER << filled("99.0", AFTER.start)


@pytest.mark.parametrize(("kind", "price"), [(MARKET, "101.0"), (LIMIT, None), (STOP, None)])
def test_a_bar_that_started_before_the_decision_is_met_at_its_close_only(kind: OrderType, price: str | None) -> None:
    with resting(type=kind, decided=moment(30), limit_price=D(98), stop_price=D(103)) as play:
        play >> NEXT
        if price is not None:
            play << filled(price, NEXT.end)


def test_other_symbols_and_other_stages_are_not_met() -> None:
    with resting() as play:
        play >> Bar("QQQ", "1m", BEGIN, BEGIN + MINUTE, 1, 1, 1, 1, 1) >> Step(Stage.HOSTS, BEGIN + MINUTE, 0, (NEXT,))


@pytest.mark.parametrize("kind", [TimeInForce.IOC, TimeInForce.FOK])
def test_an_immediate_order_that_is_not_met_is_cancelled(kind: TimeInForce) -> None:
    with resting(type=LIMIT, limit_price=D(90), time_in_force=kind) as play:
        play >> NEXT << reported("cancel") >> AFTER


def test_an_immediate_order_that_is_met_fills() -> None:
    with resting(time_in_force=TimeInForce.IOC) as play:
        play >> NEXT << VenueFill


DAYS = Sessions([Session("a", BEGIN, BEGIN + MINUTE), Session("b", BEGIN + 10 * MINUTE, BEGIN + 20 * MINUTE)])


def test_a_day_order_expires_at_the_close_and_a_lasting_one_does_not() -> None:
    later = Bar("SPY", "1m", BEGIN + 10 * MINUTE, BEGIN + 11 * MINUTE, 90.0, 90.0, 80.0, 90.0, 1.0)
    with resting(sessions=DAYS, type=LIMIT, limit_price=D(85)) as play:
        play >> NEXT >> later << reported("expire")
    with resting(sessions=DAYS, type=LIMIT, limit_price=D(85), time_in_force=TimeInForce.GTC) as play:
        play >> NEXT >> later << filled("85.0", later.end)


def test_a_day_order_decided_at_the_close_lives_in_the_next_session() -> None:
    later = Bar("SPY", "1m", BEGIN + 10 * MINUTE, BEGIN + 11 * MINUTE, 90.0, 90.0, 80.0, 90.0, 1.0)
    with resting(sessions=DAYS, decided=moment(60)) as play:
        play >> later << filled("90.0", later.start)


def test_an_order_of_the_last_bar_of_a_session_fills_at_its_close() -> None:
    with resting(sessions=DAYS, decided=moment(30)) as play:
        play >> NEXT << filled("101.0", NEXT.end)


# --- the venue's answers --------------------------------------------------------------------------


def test_a_second_order_with_an_id_is_never_made_and_its_state_is_the_answer() -> None:
    with resting() as play:
        play >> VenueSubmit(order(intent(quantity=D(7)))) << reported("accept")
        play >> NEXT << (lambda said: said.quantity == 100)
        play >> VenueSubmit(order(intent())) << VenueFill << reported("fill", filled=D(100)) >> AFTER


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN"])
def test_an_order_for_nothing_is_rejected(quantity: str) -> None:
    with Playbook(simulator()) as play:
        play >> VenueSubmit(order(intent(quantity=D(quantity)))) << reported("reject")


def test_a_cancel_ends_an_order_once() -> None:
    with resting() as play:
        play >> VenueCancel("trend-1-1") << reported("cancel") >> VenueCancel("trend-1-1") << reported("cancel")
        play >> NEXT >> VenueCancel("nobody") << reported("absent", order_id="nobody")


def test_asked_by_id_it_tells_what_became_of_an_order() -> None:
    with resting() as play:
        play >> VenueAsk("nobody") << reported("absent") >> VenueAsk("trend-1-1") << reported("accept")
        play >> NEXT << VenueFill >> VenueAsk("trend-1-1") << filled("100.0", BEGIN)
        play << reported("fill", filled=D(100))


def test_of_an_order_that_its_group_left_fewer_shares_it_is_told_that_it_is_filled() -> None:
    far, first, late = (
        VenueSubmit(replace(order(intent(id=name, quantity=D(shares), type=kind, limit_price=price)), oco="group"))
        for name, shares, kind, price in (
            ("far", 20, LIMIT, D(1)), ("first", 10, MARKET, None), ("late", 20, MARKET, None)
        )
    )  # fmt: skip
    with Playbook(simulator()) as play:
        play >> far << reported("accept") >> first << reported("accept") >> NEXT << VenueFill
        play >> late << reported("accept") >> AFTER << (lambda said: said.quantity == 10) << reported("cancel")
        for asked in (VenueCancel("late"), VenueAsk("late"), late):
            play >> asked << VenueFill << reported("fill", filled=D(10))


def test_a_snapshot_tells_open_orders_fills_positions_and_cash() -> None:
    with resting() as play:
        waiting = intent(id="trend-1-2", type=LIMIT, limit_price=D(1))
        play >> VenueSubmit(order(waiting)) << reported("accept") >> NEXT
        fill = play.heard(VenueFill)[0]
        wanted = VenueSnapshot(5, BEGIN, ("trend-1-2",), (fill,), {"SPY": D(100)}, D(90_000))
        play >> VenueLook(5) << wanted


def test_a_fill_has_the_same_key_wherever_it_is_told() -> None:
    with resting() as play:
        keys = set()
        for message in (NEXT, VenueAsk("trend-1-1")):
            play >> message
            keys |= {fill.fill_key for fill in play.heard(VenueFill)}
        play >> VenueLook(1)
        keys |= {fill.fill_key for fill in play.heard(VenueSnapshot)[0].fills}
        assert len(keys) == 1


def test_a_market_that_restarts_knows_everything() -> None:
    play = resting(Commission())
    play >> VenueSubmit(order(intent(id="b", type=LIMIT, limit_price=D(1)))) >> NEXT << ...
    after = Playbook(again(play.core, simulator()))
    after >> VenueLook(1)
    play >> VenueLook(1)
    assert after.heard(VenueSnapshot) == play.heard(VenueSnapshot)


# --- money ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "price", "fee"),
    [
        (100, "100", "1.00"),  # the minimum
        (1_000, "100", "5.00"),
        (201, "100", "1.01"),  # 1.005 rounds half up
        (1, "10", "0.05"),  # at most 0.5 %
        (1, "1", "0.01"),  # 0.005 rounds half up
        (10_000, "0.10", "5.00"),
    ],
)
def test_the_commission_to_the_cent(quantity: int, price: str, fee: str) -> None:
    assert Commission().of(D(quantity), D(price)) == D(fee)
    assert FREE.of(D(quantity), D(price)) == 0


def test_cash_is_exact_to_the_cent() -> None:
    core = simulator(Commission())
    play = Playbook(core)
    out: Intent = intent(id="o", side=SELL, decided=moment(60))
    play >> VenueSubmit(order(intent())) >> NEXT >> VenueSubmit(order(out)) >> AFTER << ...
    assert core.cash == D(100_000) - D(10_000) + D(9_900) - D(2)
    assert core.positions["SPY"] == 0
