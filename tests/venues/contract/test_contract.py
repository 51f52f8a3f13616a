"""The one contract, shown of every broker there is: what is answered, what is heard, and what the books say of it.

The venue's own books are what counts: a test reads there what was accepted and executed, never what we believe.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from appliance.domain.messages import VenueFill
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import OrderType, Side, TimeInForce
from appliance.domain.venue import Rejection, VenueTraits
from appliance.errors import VenueDown, VenueError
from appliance.venues.base import Change
from tests.venues.contract.makers import MAKERS
from tests.venues.contract.stage import ASK, BID, SYMBOL, Ear, Stage, eventually, order

ACCEPT, CANCEL, REJECT, ABSENT = OrderEvent.ACCEPT, OrderEvent.CANCEL, OrderEvent.REJECT, OrderEvent.ABSENT
WHOLE = (ACCEPT, OrderEvent.FILL)
"""How a filled order stands: accepted with all of it filled, or filled; the core takes either."""
SECOND = 1_000_000_000
CENT = Decimal("0.01")


@pytest.fixture(params=sorted(MAKERS))
def stage(request: pytest.FixtureRequest, tmp_path, monkeypatch) -> Iterator[Stage]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with MAKERS[request.param](tmp_path) as made:
        made.price(BID, ASK)
        yield made
        made.broker.close()


@pytest.fixture
def ear(stage: Stage) -> Ear:
    """Opens the broker."""
    ear = Ear()
    stage.broker.open(ear)
    return ear


def _needs(stage: Stage, what: str) -> None:
    if what not in stage.can:
        pytest.skip(f"{stage.name} has no {what}")


def _keys(fills: tuple[VenueFill, ...] | list[VenueFill]) -> list[tuple[str, str, Decimal, Decimal]]:
    return sorted({(one.fill_key, one.order_id, one.quantity, one.price) for one in fills})


def _agrees(stage: Stage) -> None:
    """Positions and cash are the venue's own, to the cent."""
    cash, positions = stage.books()
    assert eventually(lambda: stage.broker.positions() == positions)
    assert eventually(lambda: stage.broker.account().cash.quantize(CENT) == cash.quantize(CENT))


def test_it_has_a_name_and_says_what_it_can_before_it_is_opened(stage):
    assert stage.broker.name
    assert isinstance(stage.broker.traits, VenueTraits)
    assert stage.broker.traits.takes(SYMBOL) is not None


def test_a_market_order_is_accepted_filled_and_booked_to_the_cent(stage, ear):
    one = order(Side.BUY, 10)
    report = stage.broker.submit(one)
    assert (report.order_id, report.event) == (one.id, ACCEPT)
    assert report.venue_id
    ear.until(lambda: ear.filled(one.id) == 10)
    assert stage.accepted(one.id) == 1
    (quantity, price), *more = stage.executions(one.id)
    assert not more
    (fill,) = {one.fill_key: one for one in ear.fills}.values()
    assert (fill.symbol, fill.side, fill.quantity, fill.price) == (SYMBOL, Side.BUY, quantity, price)
    _agrees(stage)


def test_the_fills_add_up_to_the_cash_and_the_shares_of_the_account_to_the_cent(stage, ear):
    opening, _ = stage.books()
    for side, quantity in ((Side.BUY, 10), (Side.SELL, 3), (Side.BUY, 2)):
        stage.broker.submit(one := order(side, quantity))
        ear.until(lambda one=one: ear.filled(one.id) == one.quantity)
    fills = list({one.fill_key: one for one in stage.broker.fills(0)}.values())
    shares = sum(one.quantity * one.side.sign for one in fills)
    paid = sum(one.quantity * one.side.sign * one.price + one.commission for one in fills)
    assert stage.broker.positions() == {SYMBOL: shares}
    assert shares == 9
    assert eventually(lambda: stage.broker.account().cash == opening - paid)
    _agrees(stage)


def test_it_may_be_asked_from_many_threads_at_once(stage, ear):
    orders = [order(Side.BUY, 1, "90.00") for _ in range(6)]
    with ThreadPoolExecutor(12) as threads:
        reports = list(threads.map(stage.broker.submit, orders))
        others = [threads.submit(ask) for ask in (stage.broker.positions, stage.broker.account, stage.broker.beat)]
        found = threads.submit(stage.broker.open_orders)
    assert [report.event for report in reports] == [ACCEPT] * 6
    assert [one.exception() for one in others] == [None] * 3
    assert len(found.result()) <= 6
    assert {one.order_id for one in stage.broker.open_orders()} == {one.id for one in orders}
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda one: stage.broker.cancel(one.id), orders))
    assert eventually(lambda: stage.broker.open_orders() == ())
    assert [stage.accepted(one.id) for one in orders] == [1] * 6


def test_a_change_that_comes_too_late_is_refused_and_the_order_stays_as_it_ended(stage, ear):
    filled, unknown = order(Side.BUY, 4), "guard-1-999998"
    stage.broker.submit(filled)
    ear.until(lambda: ear.filled(filled.id) == 4)
    for order_id in (filled.id, unknown):
        report = stage.broker.replace(order_id, Change(quantity=Decimal(9)))
        assert report.event in (REJECT, ABSENT), report
    assert stage.books()[1] == {SYMBOL: 4}
    assert stage.broker.open_orders() == ()


def test_a_stop_rests_until_its_price_and_then_sells(stage, ear):
    stage.broker.submit(bought := order(Side.BUY, 6))
    ear.until(lambda: ear.filled(bought.id) == 6)
    stop = order(Side.SELL, 6, stop="95.00", time_in_force=TimeInForce.GTC)
    assert stage.broker.submit(stop).event is ACCEPT
    (found,) = eventually(stage.broker.open_orders)
    assert (found.order_id, found.type, found.stop_price) == (stop.id, OrderType.STOP, 95)
    assert found.time_in_force is TimeInForce.GTC
    stage.price(Decimal("94.80"), Decimal("94.90"))
    ear.until(lambda: ear.filled(stop.id) == 6)
    assert eventually(lambda: stage.broker.positions() == {})
    _agrees(stage)


def test_what_is_heard_of_a_fill_is_what_is_told_of_it_afterwards_with_the_same_key(stage, ear):
    began = time.time_ns()
    ids = [order(side, quantity) for side, quantity in ((Side.BUY, 10), (Side.SELL, 4), (Side.BUY, 1))]
    for one in ids:
        stage.broker.submit(one)
        ear.until(lambda one=one: ear.filled(one.id) == one.quantity)
    told = eventually(lambda: len(found := stage.broker.fills(began - SECOND)) == 3 and found)
    assert _keys(told) == _keys(ear.fills)
    assert [one.time for one in told] == sorted(one.time for one in told)
    assert len({one.fill_key for one in told}) == 3
    _agrees(stage)


def test_money_and_shares_are_decimals(stage, ear):
    one = order(Side.BUY, 3)
    stage.broker.submit(one)
    fill = ear.until(lambda: ear.fills)[0]
    account = stage.broker.account()
    numbers = [fill.quantity, fill.price, fill.commission, account.cash, *stage.broker.positions().values()]
    resting = order(Side.BUY, 2, "90.25")
    stage.broker.submit(resting)
    (found,) = eventually(stage.broker.open_orders)
    numbers += [found.quantity, found.filled, found.limit_price, account.equity, account.buying_power]
    assert {type(number) for number in numbers if number is not None} == {Decimal}
    assert account.currency == "USD"


def test_a_limit_rests_is_listed_and_ends_when_it_is_canceled(stage, ear):
    one = order(Side.BUY, 5, "90.50")
    report = stage.broker.submit(one)
    assert report.event is ACCEPT
    (found,) = eventually(stage.broker.open_orders)
    assert (found.order_id, found.symbol, found.side, found.type) == (one.id, SYMBOL, Side.BUY, OrderType.LIMIT)
    assert (found.quantity, found.filled, found.limit_price) == (5, 0, Decimal("90.50"))
    assert found.time_in_force is TimeInForce.DAY
    assert stage.broker.order(one.id).report.event is ACCEPT
    answer = stage.broker.cancel(one.id, report.venue_id)
    assert answer is None or answer.event in (ACCEPT, CANCEL)
    ear.until(lambda: ear.reports(one.id, CANCEL) or (answer is not None and answer.event is CANCEL))
    assert stage.broker.order(one.id).report.event is CANCEL
    assert eventually(lambda: stage.broker.open_orders() == ())
    assert stage.executions(one.id) == []


def test_a_resting_order_asks_for_something_else_under_the_same_id(stage, ear):
    one = order(Side.BUY, 5, "90.50")
    report = stage.broker.submit(one)
    changed = stage.broker.replace(one.id, Change(quantity=Decimal(8), limit_price=Decimal("91.25")), report.venue_id)
    assert changed.event is ACCEPT, changed
    found = eventually(lambda: [o for o in stage.broker.open_orders() if o.limit_price == Decimal("91.25")])
    assert [(o.order_id, o.quantity) for o in found] == [(one.id, Decimal(8))]
    stage.price(Decimal("91.00"), Decimal("91.20"))
    ear.until(lambda: ear.filled(one.id) == 8)
    assert {fill.order_id for fill in ear.fills} == {one.id}
    assert sum(quantity for quantity, _ in stage.executions(one.id)) == 8
    _agrees(stage)


def test_parts_of_an_order_are_told_as_they_are_filled_and_the_rest_goes_on(stage, ear):
    one = order(Side.BUY, 10, "90.00")
    stage.broker.submit(one)
    eventually(stage.broker.open_orders)
    stage.fill(one.id, Decimal(3), Decimal("90.00"))
    ear.until(lambda: ear.filled(one.id) == 3)
    (found,) = eventually(lambda: [o for o in stage.broker.open_orders() if o.filled == 3])
    assert found.quantity == 10
    answer = stage.broker.order(one.id)
    assert (answer.report.event, answer.report.filled) == (ACCEPT, 3)
    assert [fill.quantity for fill in answer.fills] == [3]
    stage.fill(one.id, Decimal(7), Decimal("89.50"))
    ear.until(lambda: ear.filled(one.id) == 10)
    assert _keys(stage.broker.order(one.id).fills) == _keys(ear.fills)
    assert len({fill.fill_key for fill in ear.fills}) == 2
    _agrees(stage)


def test_a_part_is_filled_and_the_rest_canceled(stage, ear):
    one = order(Side.BUY, 10, "90.00")
    report = stage.broker.submit(one)
    eventually(stage.broker.open_orders)
    stage.fill(one.id, Decimal(4), Decimal("90.00"))
    ear.until(lambda: ear.filled(one.id) == 4)
    stage.broker.cancel(one.id, report.venue_id)
    ended = eventually(lambda: (found := stage.broker.order(one.id)).report.event is CANCEL and found)
    assert ended.report.filled == 4
    assert _keys(ended.fills) == _keys(ear.fills)
    _agrees(stage)


def test_a_cancel_that_loses_the_race_finds_the_fill(stage, ear):
    one = order(Side.BUY, 10)
    report = stage.broker.submit(one)
    ear.until(lambda: ear.filled(one.id) == 10)
    answer = stage.broker.cancel(one.id, report.venue_id)
    assert answer is None or (answer.event in WHOLE and answer.filled == 10)
    found = stage.broker.order(one.id)
    assert found.report.event in WHOLE
    assert found.report.filled == 10
    assert sum(fill.quantity for fill in found.fills) == 10


def test_an_id_that_was_never_sent_is_absent_whatever_is_asked_of_it(stage, ear):
    unknown = "guard-1-999999"
    answer = stage.broker.order(unknown)
    assert (answer.report.order_id, answer.report.event, answer.fills) == (unknown, ABSENT, ())
    canceled = stage.broker.cancel(unknown)
    assert canceled is not None
    assert canceled.event is ABSENT


def test_a_rejection_is_an_answer_with_a_code_and_the_venues_own_words(stage, ear):
    for wrong, codes in stage.refused():
        report = stage.broker.submit(wrong)
        assert (report.order_id, report.event) == (wrong.id, REJECT)
        assert report.code in codes
        assert report.text
        assert stage.accepted(wrong.id) == 0
        after = stage.broker.order(wrong.id).report
        assert (after.event in (REJECT, ABSENT, CANCEL), after.filled) == (True, 0)
    assert stage.broker.positions() == {}
    assert stage.broker.open_orders() == ()


def test_an_id_that_comes_twice_is_never_two_orders_where_the_venue_refuses_it(stage, ear):
    if not stage.broker.traits.refuses_duplicates:
        pytest.skip(f"{stage.name} takes an id twice, and so the gateway never sends one twice")
    one = order(Side.BUY, 5, "90.00")
    stage.broker.submit(one)
    again = stage.broker.submit(one)
    assert again.event in (ACCEPT, REJECT)
    assert again.event is ACCEPT or again.code == Rejection.DUPLICATE_ID
    assert stage.accepted(one.id) == 1
    assert len(stage.broker.open_orders()) == 1


def test_orders_of_strangers_are_shown_and_their_fills_are_told_as_not_ours(stage, ear):
    _needs(stage, "strangers")
    stage.stranger("by-hand")
    mine = order(Side.BUY, 1, "80.00")
    stage.broker.submit(mine)
    found = eventually(lambda: len(orders := stage.broker.open_orders()) == 2 and orders)
    (foreign,) = (one for one in found if one.order_id != mine.id)
    assert (foreign.symbol, foreign.quantity, foreign.limit_price) == (SYMBOL, 7, 50)
    assert foreign.venue_id
    began = time.time_ns()
    stage.price(Decimal("49.90"), Decimal("49.95"))
    told = eventually(lambda: len(fills := stage.broker.fills(began - SECOND)) == 2 and fills)
    assert [fill.quantity for fill in told if fill.order_id != mine.id] == [7]
    assert [fill.quantity for fill in told if fill.order_id == mine.id] == [1]
    _agrees(stage)


def test_it_answers_a_beat_and_knows_the_time(stage, ear):
    stage.broker.beat()
    clock = stage.broker.clock()
    assert abs(clock.time - time.time_ns()) < 5 * SECOND


def test_the_account_has_equity_and_what_may_be_bought(stage, ear):
    cash, _ = stage.books()
    account = stage.broker.account()
    assert account.cash == cash
    assert account.equity is None or account.equity == cash
    assert account.buying_power is None or account.buying_power > 0


def test_nothing_is_told_twice_and_nothing_of_before(stage, ear):
    began = time.time_ns()
    one = order(Side.BUY, 2)
    stage.broker.submit(one)
    ear.until(lambda: ear.filled(one.id) == 2)
    assert len(ear.fills) == len({fill.fill_key for fill in ear.fills})
    assert stage.broker.fills(time.time_ns() + 3600 * SECOND) == ()
    assert stage.broker.activities(began) == ()


# --- the connection ---------------------------------------------------------------------------------------------------


def test_before_it_is_opened_and_after_it_is_closed_nothing_is_sent(stage):
    one = order(Side.BUY, 1)
    for _ in range(2):
        for ask in (
            lambda: stage.broker.submit(one), lambda: stage.broker.cancel(one.id), lambda: stage.broker.order(one.id),
            stage.broker.open_orders, lambda: stage.broker.fills(0), stage.broker.positions,
            stage.broker.account, stage.broker.clock, stage.broker.beat,
            lambda: stage.broker.replace(one.id, Change(quantity=Decimal(2))),
        ):  # fmt: skip
            with pytest.raises(VenueDown):
                ask()
        stage.broker.close()
        stage.broker.open(Ear())
        stage.broker.close()
        stage.broker.close()
    assert stage.accepted(one.id) == 0


def test_it_is_opened_again_and_what_rested_is_still_known_by_its_id(stage, ear):
    one = order(Side.BUY, 5, "90.00")
    stage.broker.submit(one)
    stage.broker.close()
    ear = Ear()
    stage.broker.open(ear)
    (found,) = eventually(stage.broker.open_orders)
    assert found.order_id == one.id
    stage.broker.cancel(one.id, found.venue_id)
    assert eventually(lambda: stage.broker.order(one.id).report.event is CANCEL)


def test_another_process_finds_the_orders_of_the_one_before_and_cancels_them(stage, ear):
    one = order(Side.BUY, 5, "90.00")
    filled = order(Side.BUY, 2)
    stage.broker.submit(one)
    stage.broker.submit(filled)
    ear.until(lambda: ear.filled(filled.id) == 2)
    keys = _keys(ear.fills)
    stage.broker.close()
    broker = stage.again()
    try:
        broker.open(Ear())
        assert broker.order(filled.id).report.filled == 2
        assert _keys(broker.order(filled.id).fills) == keys
        (found,) = broker.open_orders()
        assert found.order_id == one.id
        broker.cancel(one.id)
        assert eventually(lambda: broker.order(one.id).report.event is CANCEL)
    finally:
        broker.close()
    assert stage.accepted(one.id) == stage.accepted(filled.id) == 1


def test_what_was_filled_while_we_were_away_is_told_when_we_are_back(stage, ear):
    began = time.time_ns()
    one = order(Side.BUY, 5, "90.00")
    stage.broker.submit(one)
    eventually(stage.broker.open_orders)
    stage.broker.close()
    stage.price(Decimal("89.80"), Decimal("89.90"))
    stage.broker.open(Ear())
    told = eventually(lambda: stage.broker.fills(began - SECOND))
    assert [(fill.order_id, fill.quantity) for fill in told] == [(one.id, 5)]
    answer = stage.broker.order(one.id)
    assert answer.report.event in WHOLE
    assert answer.report.filled == 5
    assert _keys(answer.fills) == _keys(told)
    assert stage.broker.open_orders() == ()
    _agrees(stage)


def test_a_cut_link_is_told_once_and_then_nothing_until_it_is_opened_again(stage, ear):
    _needs(stage, "link")
    one = order(Side.BUY, 5, "90.00")
    stage.broker.submit(one)
    eventually(stage.broker.open_orders)
    stage.cut()
    ear.until(lambda: ear.losses)
    stage.price(Decimal("89.80"), Decimal("89.90"))
    stage.broker.close()
    assert len(ear.losses) == 1
    assert isinstance(ear.losses[0].error, VenueError)
    assert ear.fills == []
    again = Ear()
    eventually(lambda: _opened(stage, again))
    told = eventually(lambda: stage.broker.fills(0))
    assert [(fill.order_id, fill.quantity) for fill in told] == [(one.id, 5)]
    assert len(ear.losses) == 1
    _agrees(stage)


def _opened(stage: Stage, ear: Ear) -> bool:
    try:
        stage.broker.open(ear)
    except VenueError:
        stage.broker.close()
        return False
    return True
