"""The brokerage under the stand-ins: what it takes, fills, refuses and writes down."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.standins.brokerage import Brokerage, Placed, Refusal, Told


@pytest.fixture
def books() -> Brokerage:
    made = Brokerage(100_000)
    made.price("SPY", "99.99", "100.01")
    return made


def refused(books: Brokerage, *args: object, **fields: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        books.place(*args, **fields)  # type: ignore[arg-type]
    assert books.log.of("refused")[-1].content["code"] == caught.value.code
    return caught.value


def test_a_market_order_fills_at_once_at_the_far_side(books: Brokerage) -> None:
    bought = books.place("a", "SPY", "buy", 10)
    assert (bought.status, bought.average_price) == ("filled", Decimal("100.01"))
    assert books.place("b", "SPY", "sell", 10).average_price == Decimal("99.99")
    assert (books.positions, books.cash) == ({}, Decimal("99999.80"))


def test_a_limit_waits_for_its_price_and_a_stop_for_its_trigger(books: Brokerage) -> None:
    books.place("a", "SPY", "buy", 10)
    limit = books.place("b", "SPY", "buy", 1, type="limit", limit_price="99")
    stop = books.place("c", "SPY", "sell", 10, type="stop", stop_price="95", parent="none")
    assert [books.orders[one.id].status for one in (limit, stop)] == ["new", "new"]
    books.price("SPY", "98.90", "98.95")
    assert books.orders[limit.id].average_price == Decimal("98.95")
    books.price("SPY", "94.50", "94.60")
    assert books.orders[stop.id].average_price == Decimal("94.50")


def test_a_trailing_stop_follows_the_best_price_only(books: Brokerage) -> None:
    books.place("a", "SPY", "buy", 1)
    trailing = books.place("b", "SPY", "sell", 1, type="trailing_stop", trail="2")
    for bid in ("103", "102"):
        books.price("SPY", bid, Decimal(bid) + 1)
    assert (books.orders[trailing.id].stop_price, books.orders[trailing.id].status) == (Decimal(101), "new")
    books.price("SPY", "101", "102")
    assert books.orders[trailing.id].status == "filled"


def test_parts_are_filled_by_hand_and_by_slices(books: Brokerage) -> None:
    order = books.place("a", "SPY", "buy", 10, type="limit", limit_price="99")
    books.fill(order.id, 4, "99")
    assert books.orders[order.id].status == "partially_filled"
    books.slice = Decimal(5)
    books.price("SPY", "98", "98.50")
    assert (books.orders[order.id].filled, books.orders[order.id].status) == (9, "partially_filled")
    books.cancel(order.id)
    assert books.orders[order.id].status == "canceled"
    books.fill(order.id, 1, "99", late=True)
    assert (books.orders[order.id].status, books.positions["SPY"]) == ("filled", 10)


@pytest.mark.parametrize(
    ("code", "order"),
    [
        ("unknown_symbol", {"symbol": "NOPE"}),
        ("quantity", {"quantity": 0}),
        ("tick", {"type": "limit", "limit_price": "99.999"}),
        ("price", {"type": "limit"}),
        ("buying_power", {"quantity": 5000}),
        ("duplicate_id", {"client_id": "first"}),
    ],
)
def test_what_cannot_be_is_refused_by_name(books: Brokerage, code: str, order: dict[str, object]) -> None:
    books.place("first", "SPY", "buy", 1, type="limit", limit_price="50")
    fields = {"client_id": "x", "symbol": "SPY", "side": "buy", "quantity": 1, **order}
    assert refused(books, **fields).code == code
    assert len(books.orders) == 1


def test_exits_share_what_is_held_and_a_group_counts_once(books: Brokerage) -> None:
    books.place("a", "SPY", "buy", 10)
    books.place("b", "SPY", "sell", 10, type="limit", limit_price="110", group="g")
    books.place("c", "SPY", "sell", 10, type="stop", stop_price="90", group="g")
    refusal = refused(books, "d", "SPY", "sell", 1)
    assert (refusal.code, refusal.facts["available"], refusal.facts["held"]) == ("held", 0, 10)
    books.price("SPY", "110", "110.02")
    assert [one.status for one in books.orders.values()] == ["filled", "filled", "canceled"]


def test_an_order_against_an_own_one_is_a_wash_trade(books: Brokerage) -> None:
    books.place("a", "SPY", "buy", 10)
    books.place("b", "SPY", "sell", 5, type="limit", limit_price="101")
    assert refused(books, "c", "SPY", "buy", 1).code == "wash_trade"
    assert refused(books, "d", "SPY", "buy", 1, type="limit", limit_price="101").code == "wash_trade"
    assert books.place("e", "SPY", "buy", 1, type="limit", limit_price="99").open


def test_what_is_not_lent_is_not_sold_short(books: Brokerage) -> None:
    books.asset("SPY", shortable=False)
    assert refused(books, "a", "SPY", "sell", 1).code == "not_shortable"


def test_a_replacement_takes_the_rest_and_a_change_keeps_the_order(books: Brokerage) -> None:
    old = books.place("a", "SPY", "buy", 10, type="limit", limit_price="99")
    books.fill(old.id, 4, "99")
    new = books.replace(old.id, "b", limit_price="98")
    assert (books.orders[old.id].status, books.orders[old.id].replaced_by) == ("replaced", new.id)
    assert (new.quantity, new.limit_price, new.replaces) == (6, 98, old.id)
    assert books.modify(new.id, quantity=2).quantity == 2
    books.fill(new.id, 1)
    with pytest.raises(Refusal, match="filled already"):
        books.modify(new.id, quantity=1)
    assert books.log.of("refused")[-1].content["code"] == "quantity"
    with pytest.raises(Refusal, match="replaced"):
        books.cancel(old.id)


def test_a_replacement_that_comes_too_late_is_rejected(books: Brokerage) -> None:
    heard: list[Told] = []
    old = books.place("a", "SPY", "buy", 10, type="limit", limit_price="99")
    books.listen(heard.append)
    new = books.replace(old.id, "b", late=True, limit_price="98")
    assert (books.orders[old.id].status, books.orders[new.id].status) == ("filled", "rejected")
    assert [told.what for told in heard] == ["fill", "order_replace_rejected", "rejected"]
    assert books.executions[0].price == 99


@pytest.mark.parametrize(
    ("orders", "stands"),
    [("stay", ("new", 10, 90)), ("adjust", ("new", 20, 45)), ("cancel", ("canceled", 10, 90))],
)
def test_a_split_leaves_adjusts_or_ends_the_open_orders(
    books: Brokerage, orders: str, stands: tuple[str, int, int]
) -> None:
    books.place("a", "SPY", "buy", 10)
    stop = books.place("b", "SPY", "sell", 10, type="stop", stop_price="90", time_in_force="gtc")
    books.split("SPY", 2, 1, orders=orders)
    now = books.orders[stop.id]
    assert (now.status, now.quantity, now.stop_price) == stands
    assert books.positions == {"SPY": 20}


def test_what_is_placed_together_meets_the_market_together(books: Brokerage) -> None:
    with books.together():
        first = books.place("a", "SPY", "buy", 1)
        assert first.status == "new"
        child = books.place("b", "SPY", "sell", 1, type="stop", stop_price="90", parent=first.id)
        assert child.status == "held"
    assert [one.status for one in books.orders.values()] == ["filled", "new"]


def test_orders_wait_for_the_session_and_end_with_it(books: Brokerage) -> None:
    books.close_market()
    waiting = books.place("a", "SPY", "buy", 1)
    assert waiting.status == "accepted"
    books.open_market()
    assert books.orders[waiting.id].status == "filled"
    day = books.place("b", "SPY", "buy", 1, type="limit", limit_price="90")
    good = books.place("c", "SPY", "buy", 1, type="limit", limit_price="90", time_in_force="gtc")
    close = books.place("d", "SPY", "buy", 1, time_in_force="cls")
    books.close_market()
    assert [books.orders[one.id].status for one in (day, good, close)] == ["expired", "new", "filled"]


def test_children_wait_for_their_parent_and_end_with_it(books: Brokerage) -> None:
    for name, ends in (("fill", "new"), ("cancel", "canceled")):
        parent = books.place(name, "SPY", "buy", 1, type="limit", limit_price="99")
        child = books.place(name + "-stop", "SPY", "sell", 1, type="stop", stop_price="90", parent=parent.id)
        assert child.status == "held"
        getattr(books, name)(parent.id)
        assert books.orders[child.id].status == ends


def test_at_once_or_not_at_all_leaves_nothing_behind(books: Brokerage) -> None:
    books.slice = Decimal(3)
    assert books.place("a", "SPY", "buy", 5, time_in_force="fok").filled == 0
    part = books.place("b", "SPY", "buy", 5, time_in_force="ioc")
    assert (part.filled, part.status) == (3, "canceled")


def test_corrections_and_busts_change_cash_and_position(books: Brokerage) -> None:
    books.place("a", "SPY", "buy", 10)
    books.correct(1, price="100")
    assert books.cash == Decimal(99_000)
    books.correct(1, quantity=9)
    assert (books.cash, books.positions) == (Decimal(99_100), {"SPY": 9})
    books.bust(1)
    assert (books.cash, books.positions) == (Decimal(100_000), {})


def test_activities_change_the_account_and_are_written_down(books: Brokerage) -> None:
    books.place("a", "SPY", "buy", 10)
    books.split("SPY", 2, 1)
    books.dividend("SPY", "0.5")
    books.fee("1")
    books.transfer("SPY", -5)
    books.rename("SPY", "SPX")
    assert books.positions == {"SPX": 15}
    assert books.cash == Decimal(100_000) - Decimal("1000.10") + 10 - 1
    kinds = ["split", "dividend", "fee", "transfer", "symbol_change"]
    assert [record.content["kind"] for record in books.log.of("activity")] == kinds
    assert books.delist("SPX", "2").cash == 30


def test_listeners_hear_each_event_in_order(books: Brokerage) -> None:
    heard: list[Told] = []
    books.listen(heard.append)
    order = books.place("a", "SPY", "buy", 2, type="limit", limit_price="99")
    books.fill(order.id, 1, "99")
    books.cancel(order.id)
    assert [told.what for told in heard] == ["new", "partial_fill", "canceled"]
    assert [one.kind for one in books.log.records] == ["accepted", "execution", "canceled"]


@given(
    st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 9), st.integers(90, 110)), max_size=20),
    st.lists(st.integers(91, 109), max_size=10),
)
def test_cash_and_positions_are_the_sum_of_the_executions(
    orders: list[tuple[str, int, int]], prices: list[int]
) -> None:
    books = Brokerage(10_000_000, rules=())
    books.price("SPY", 99, 101)
    placed: list[Placed] = [
        books.place(str(number), "SPY", side, quantity, type="limit", limit_price=limit)
        for number, (side, quantity, limit) in enumerate(orders)
    ]
    for price in prices:
        books.price("SPY", price - 1, price + 1)
    assert books.positions.get("SPY", 0) == sum(one.signed for one in books.executions)
    assert books.cash == 10_000_000 - sum(one.paid for one in books.executions)
    assert len(books.log.accepted()) == len(placed)
    assert all(one.filled <= one.quantity for one in books.orders.values())
