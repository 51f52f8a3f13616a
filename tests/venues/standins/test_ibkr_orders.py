"""The trading of IB's stand-in, used by the real client library over real sockets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.standins.ibkr import IbkrStandIn
from tests.venues.standins.ibkr_client import connected, order, play, quiet, stock, told, until


@pytest.fixture(params=[176, 178])
def gateway(request: pytest.FixtureRequest) -> Iterator[IbkrStandIn]:
    with IbkrStandIn(version=request.param) as one:
        one.books.price("SPY", "99.99", "100.01")
        yield one


@pytest.fixture
def one() -> Iterator[IbkrStandIn]:
    """Where the protocol's version makes no difference."""
    with IbkrStandIn() as stand_in:
        stand_in.books.price("SPY", "99.99", "100.01")
        yield stand_in


def codes(ib: Any) -> list[tuple[int, int]]:
    return [(request, code) for request, code, _ in ib.errors if request != -1]


def test_a_market_order_fills_in_the_sequence_that_was_recorded(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        trade = ib.placeOrder(stock(), order("MKT", 100, orderRef="ref-1"))
        await until(lambda: trade.fills and trade.fills[0].commissionReport.execId)
        assert told(gateway) == [
            "5 PreSubmitted", "3 PreSubmitted", "11", "5 Filled", "3 Filled", "5 Filled", "59",
        ]  # fmt: skip
        execution, report = trade.fills[0].execution, trade.fills[0].commissionReport
        assert (execution.orderRef, execution.shares, execution.price, execution.side) == ("ref-1", 100, 100.01, "BOT")
        assert (report.commission, report.currency) == (1.0, "USD")
        assert trade.orderStatus.permId == trade.order.permId == execution.permId > 0

    play(gateway, scenario)
    (accepted,) = gateway.books.log.accepted("ref-1")
    assert (accepted.content["symbol"], accepted.content["side"], accepted.content["quantity"]) == ("SPY", "buy", 100)
    assert len(gateway.books.log.of("execution", "ref-1")) == 1
    assert gateway.books.cash == Decimal("100000") - Decimal("10001.00") - 1


def test_an_order_rests_fills_in_parts_and_is_cancelled(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        resting = order("LMT", 100, 90.05, orderRef="ref-1", tif="GTC")
        trade = ib.placeOrder(stock(), resting)
        await until(lambda: trade.orderStatus.status == "Submitted")
        books_id = gateway.books.by_client_id("ref-1").id  # type: ignore[union-attr]
        gateway.books.fill(books_id, 30, "90.01")
        gateway.books.fill(books_id, 20, "90.02")
        await until(lambda: len([fill for fill in trade.fills if fill.commissionReport.execId]) == 2)
        before = len(gateway.log.of("sent"))
        ib.cancelOrder(resting)
        await until(lambda: codes(ib))
        assert told(gateway, before) == ["3 Cancelled", "4 202"]
        assert (trade.orderStatus.status, trade.orderStatus.remaining) == ("Cancelled", 50)
        assert [fill.execution.cumQty for fill in trade.fills] == [30, 50]
        assert ib.errors[-1][1:] == (202, "Order Canceled - reason:")

    play(gateway, scenario)
    assert [one.kind for one in gateway.books.log.records] == ["accepted", "execution", "execution", "canceled"]


def test_an_open_order_placed_again_is_changed(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        resting = order("LMT", 10, 90, orderRef="ref-1")
        trade = ib.placeOrder(stock(), resting)
        await until(lambda: trade.orderStatus.status == "Submitted")
        resting.lmtPrice, resting.totalQuantity = 91.5, 15
        ib.placeOrder(stock(), resting)
        await until(lambda: trade.orderStatus.remaining == 15)
        (known,) = await ib.reqOpenOrdersAsync()
        assert (known.order.lmtPrice, known.order.totalQuantity) == (91.5, 15)

    play(gateway, scenario)
    assert len(gateway.books.log.accepted()) == 1
    (modified,) = gateway.books.log.of("modified", "ref-1")
    assert (modified.content["limit_price"], modified.content["quantity"]) == (Decimal("91.5"), 15)


def test_an_order_of_an_earlier_connection_is_changed_as_the_client_decoded_it(gateway: IbkrStandIn) -> None:
    async def first(ib: Any) -> None:
        trade = ib.placeOrder(stock(), order("LMT", 10, 90, orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Submitted")

    async def second(ib: Any) -> None:
        (trade,) = await ib.reqOpenOrdersAsync()
        trade.order.lmtPrice = 91
        ib.placeOrder(trade.contract, trade.order)
        (modified,) = gateway.books.log.until(lambda records: records[-1].kind == "modified")[1:]
        assert modified.content["limit_price"] == 91
        assert gateway.books.by_client_id("ref-1").quantity == 10  # type: ignore[union-attr]

    play(gateway, first)
    play(gateway, second)


def test_a_limit_becomes_a_market_order(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        resting = order(orderRef="ref-1")
        trade = ib.placeOrder(stock(), resting)
        await until(lambda: trade.orderStatus.status == "Submitted")
        ib.client.placeOrder(resting.orderId, stock(), order("MKT", orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Filled")
        ib.client.placeOrder(resting.orderId, stock(), order("MKT", orderRef="ref-1"))
        await until(lambda: codes(ib) == [(resting.orderId, 104)])

    play(gateway, scenario)
    assert len(gateway.books.executions) == 1


def test_an_open_order_does_not_change_sides(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        trade = ib.placeOrder(stock(), order(orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        ib.client.placeOrder(trade.order.orderId, stock(), order(side="SELL", price=200, orderRef="ref-1"))
        await until(lambda: [code for _, code in codes(ib)] == [105])
        assert one.books.by_client_id("ref-1").side == "buy"  # type: ignore[union-attr]

    play(one, scenario)


def test_a_client_that_comes_back_is_told_of_its_open_orders_before_anything_else(gateway: IbkrStandIn) -> None:
    async def first(ib: Any) -> None:
        trade = ib.placeOrder(stock(), order(orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Submitted")

    async def second(ib: Any) -> None:
        sent = [one.fields[0] for one in gateway.log.of("sent")]
        assert sent[before + 1 :][:5] == ["5", "3", "53", "15", "9"]
        assert [trade.order.orderRef for trade in ib.openTrades()] == ["ref-1"]

    play(gateway, first)
    before = len(gateway.log.of("sent"))
    play(gateway, second)


def test_what_an_order_waits_for_is_said(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        held = [ib.placeOrder(stock(), child) for child in ib.bracketOrder("BUY", 10, 95, 110, 90)]
        held.append(ib.placeOrder(stock(), order("STP", auxPrice=120)))
        await until(lambda: all(trade.orderStatus.permId for trade in held))
        await quiet(one, ib)
        assert [trade.orderStatus.whyHeld for trade in held] == ["", "child", "child,trigger", "trigger"]

    play(one, scenario)


def test_a_change_that_is_refused_leaves_the_order_as_it_was(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        resting = order(orderRef="ref-1")
        trade = ib.placeOrder(stock(), resting)
        await until(lambda: trade.orderStatus.status == "Submitted")
        resting.lmtPrice = 90.005
        ib.placeOrder(stock(), resting)
        await until(lambda: codes(ib))
        assert codes(ib) == [(resting.orderId, 110)]
        assert one.books.by_client_id("ref-1").limit_price == 90  # type: ignore[union-attr]
        assert one.books.by_client_id("ref-1").open  # type: ignore[union-attr]

    play(one, scenario)


def test_a_used_order_id_is_no_new_order(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        first = ib.placeOrder(stock(), order("MKT", orderRef="ref-1"))
        await until(lambda: first.orderStatus.status == "Filled")
        number = first.order.orderId
        for count, (order_id, ref) in enumerate([(number, "ref-2"), (number, "ref-1"), (number - 1, "ref-3")], 1):
            ib.client.placeOrder(order_id, stock(), order("MKT", orderRef=ref))
            await until(lambda count=count: len(codes(ib)) == count)
        assert codes(ib) == [(number, 103), (number, 104), (number - 1, 103)]

    play(one, scenario)
    assert [record.client_id for record in one.books.log.accepted()] == ["ref-1"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"price": 90.005}, 110),
        ({"quantity": 1_000_000}, 201),
        ({"quantity": 0}, 434),
        ({"quantity": 0.5}, 10243),
        ({"kind": "REL"}, 387),
        ({"kind": "FEELINGS"}, 321),
        ({"tif": "XYZ"}, 10052),
        ({"whatIf": True}, 321),
        ({"parentId": 77}, 10006),
    ],
)
def test_what_cannot_be_is_refused_by_its_code(one: IbkrStandIn, asked: dict[str, Any], code: int) -> None:
    async def scenario(ib: Any) -> None:
        ib.placeOrder(stock(), order(orderRef="ref-1", **asked))
        await until(lambda: codes(ib))
        assert [told for _, told in codes(ib)] == [code]

    play(one, scenario)
    assert not one.books.log.accepted()


def test_a_rejection_is_an_error_and_then_inactive(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.books.asset("SPY", shortable=False)
        ib.placeOrder(stock(), order("MKT", 10, side="SELL", orderRef="ref-1"))
        await until(lambda: codes(ib))
        await quiet(gateway, ib)
        assert told(gateway) == ["4 201", "5 Inactive", "3 Inactive"]
        assert ib.errors[-1][2] == "Order rejected - reason:The contract is not available for short sale."
        (ended,) = await ib.reqCompletedOrdersAsync(False)
        assert (ended.order.orderRef, ended.orderStatus.status) == ("ref-1", "Inactive")

    play(gateway, scenario)
    assert [one.content["code"] for one in gateway.books.log.of("refused")] == ["not_shortable"]


def test_an_unknown_symbol_is_refused(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        ib.placeOrder(stock("NOSUCH"), order(orderRef="ref-1"))
        await until(lambda: codes(ib))
        assert [code for _, code in codes(ib)] == [200]

    play(one, scenario)
    assert not one.books.log.accepted()


def test_a_cancel_of_what_is_not_open_says_how_it_stands(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        trade = ib.placeOrder(stock(), order("MKT", orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Filled")
        number = trade.order.orderId
        ib.client.cancelOrder(number, "")
        ib.client.cancelOrder(number + 50, "")
        await until(lambda: len(codes(ib)) == 2)
        assert codes(ib) == [(number, 10148), (number + 50, 10147)]
        assert "state: Filled" in ib.errors[-2][2]

    play(one, scenario)


def test_orders_are_seen_and_cancelled_by_their_own_client_only(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        other = await connected(gateway, 2)
        trade = ib.placeOrder(stock(), order(orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        assert await other.reqOpenOrdersAsync() == []
        (seen,) = await other.reqAllOpenOrdersAsync()
        assert (seen.order.orderRef, seen.order.clientId) == ("ref-1", 1)
        other.client.cancelOrder(trade.order.orderId, "")
        await until(lambda: codes(other))
        assert [code for _, code in codes(other)] == [10147]
        gateway.books.price("SPY", "89", "89.01")
        await until(lambda: trade.orderStatus.status == "Filled")
        assert not other.fills()
        assert len(await other.reqExecutionsAsync()) == 1
        other.disconnect()

    play(gateway, scenario)


def test_a_master_client_is_told_of_the_others(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        one.telling.master = 9
        master = await connected(one, 9)
        ib.placeOrder(stock(), order("MKT", orderRef="ref-1"))
        await until(lambda: master.fills())
        assert master.fills()[0].execution.orderRef == "ref-1"
        master.disconnect()

    play(one, scenario)


def test_what_the_owner_does_by_hand_is_of_client_0_without_an_order_id(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.books.place("", "SPY", "sell", 5, type="limit", limit_price="120")
        gateway.books.fill(gateway.books.place("", "SPY", "buy", 5, type="limit", limit_price="90").id, 2, "90")
        assert await ib.reqOpenOrdersAsync() == []
        seen = await ib.reqAllOpenOrdersAsync()
        assert [(one.order.action, one.order.clientId, one.order.orderId) for one in seen] == [
            ("SELL", 0, 0), ("BUY", 0, 0),
        ]  # fmt: skip
        (fill,) = await ib.reqExecutionsAsync()
        assert (fill.execution.shares, fill.execution.orderRef, fill.execution.clientId) == (2, "", 0)
        assert gateway.log.of("sent", "11")[-1].fields[2] == "2147483647"

    play(gateway, scenario)


def test_all_is_there_again_after_a_new_connection(gateway: IbkrStandIn) -> None:
    async def first(ib: Any) -> None:
        filled = ib.placeOrder(stock(), order("MKT", 10, orderRef="ref-1"))
        resting = ib.placeOrder(stock(), order(orderRef="ref-2"))
        await until(lambda: filled.orderStatus.status == "Filled" and resting.orderStatus.status == "Submitted")

    async def second(ib: Any) -> None:
        (working,) = ib.openTrades()
        assert working.order.orderRef == "ref-2"
        assert working.order.permId > 0
        (ended,) = await ib.reqCompletedOrdersAsync(False)
        assert (ended.order.orderRef, ended.orderStatus.status) == ("ref-1", "Filled")
        assert ended.order.filledQuantity == 10
        assert ended.order.totalQuantity == 0
        (fill,) = await ib.reqExecutionsAsync()
        assert fill.execution.orderRef == "ref-1"
        assert [one.commissionReport.commission for one in ib.fills()] == [1.0]
        assert ib.client.getReqId() > working.order.orderId

    play(gateway, first)
    play(gateway, second)


def test_executions_are_filtered(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        one.books.price("AAPL", "9.99", "10.01")
        for symbol, side in (("SPY", "BUY"), ("AAPL", "BUY"), ("SPY", "SELL")):
            trade = ib.placeOrder(stock(symbol), order("MKT", 1, side=side))
            await until(lambda trade=trade: trade.orderStatus.status == "Filled")
        ask = ib.client
        answers = {}
        for name, wanted in {
            "symbol": {"symbol": "AAPL"}, "side": {"side": "SELL"}, "client": {"clientId": 7},
            "later": {"time": "20991231-00:00:00"}, "since": {"time": "20200101 00:00:00 US/Eastern"},
        }.items():  # fmt: skip
            number = ask.getReqId()
            future = ib.wrapper.startReq(number)
            ask.reqExecutions(number, type("Filter", (), {**FILTER, **wanted}))
            answers[name] = len(await future)
        assert answers == {"symbol": 1, "side": 1, "client": 0, "later": 0, "since": 3}

    play(one, scenario)


FILTER = {"clientId": 0, "acctCode": "", "time": "", "symbol": "", "secType": "", "exchange": "", "side": ""}


def test_positions_are_pushed_after_a_fill(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        await ib.reqPositionsAsync()
        assert ib.positions() == []
        ib.placeOrder(stock(), order("MKT", 10))
        await until(lambda: ib.positions())
        assert (ib.positions()[0].position, ib.positions()[0].avgCost) == (10, 100.01)
        await until(lambda: ib.portfolio())
        assert ib.portfolio()[0].position == 10
        ib.placeOrder(stock(), order("MKT", 10, side="SELL"))
        await until(lambda: not ib.positions())

    play(gateway, scenario)


def test_the_account_is_what_the_books_say(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        filled = ib.placeOrder(stock(), order("MKT", 10))
        await until(lambda: filled.fills)
        summary = {one.tag: one.value for one in await ib.accountSummaryAsync()}
        assert Decimal(summary["TotalCashValue"]) == gateway.books.cash == Decimal("98998.90")
        assert Decimal(summary["NetLiquidation"]) == gateway.books.equity
        assert Decimal(summary["BuyingPower"]) == gateway.books.buying_power
        await until(lambda: any(one.tag == "TotalCashValue" and one.value == "98998.90" for one in ib.accountValues()))
        profit = ib.reqPnL("DU1234567")
        await until(lambda: profit.dailyPnL == profit.dailyPnL)
        assert profit.unrealizedPnL == -0.1

    play(gateway, scenario)


def test_of_a_group_a_fill_of_one_ends_the_other(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        group = {"ocaGroup": "g-1", "ocaType": 1}
        low = ib.placeOrder(stock(), order("LMT", 10, 90, orderRef="low", **group))
        high = ib.placeOrder(stock(), order("STP", 10, orderRef="high", auxPrice=110, **group))
        await until(lambda: (low.orderStatus.status, high.orderStatus.status) == ("Submitted", "PreSubmitted"))
        gateway.books.price("SPY", "89.9", "90")
        await until(lambda: low.orderStatus.status == "Filled" and high.orderStatus.status == "Cancelled")

    play(gateway, scenario)


def test_of_a_group_that_reduces_a_part_of_one_makes_the_other_less(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        group = {"ocaGroup": "g-1", "ocaType": 3}
        low = ib.placeOrder(stock(), order("LMT", 10, 90, orderRef="low", **group))
        high = ib.placeOrder(stock(), order("STP", 10, orderRef="high", auxPrice=110, **group))
        await until(lambda: (low.orderStatus.status, high.orderStatus.status) == ("Submitted", "PreSubmitted"))
        one.books.fill(one.books.by_client_id("low").id, 4, "90")  # type: ignore[union-attr]
        await until(lambda: high.orderStatus.remaining == 6)

    play(one, scenario)


def test_children_wait_for_their_parent_and_the_last_transmits_all(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        parent, profit, stop = ib.bracketOrder("BUY", 10, 95, 110, 90)
        ib.placeOrder(stock(), parent)
        await quiet(gateway, ib)
        assert not gateway.books.orders
        trades = [ib.placeOrder(stock(), child) for child in (profit, stop)]
        await until(lambda: all(trade.orderStatus.status == "PreSubmitted" for trade in trades))
        assert [one.status for one in gateway.books.orders.values()] == ["new", "held", "held"]
        gateway.books.price("SPY", "94.9", "95")
        await until(lambda: trades[0].orderStatus.status == "Submitted")
        gateway.books.price("SPY", "90", "90.1")
        await until(lambda: [trade.orderStatus.status for trade in trades] == ["Cancelled", "Filled"])

    play(gateway, scenario)
    assert gateway.books.positions == {}


def test_orders_for_a_closed_market_wait_with_a_warning(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        one.books.close_market()
        trade = ib.placeOrder(stock(), order("MKT", orderRef="ref-1"))
        await until(lambda: codes(ib))
        assert [code for _, code in codes(ib)] == [399]
        one.books.open_market()
        await until(lambda: trade.orderStatus.status == "Filled")

    play(one, scenario)


def test_an_order_for_the_day_ends_with_it(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        trades = [ib.placeOrder(stock(), order(tif=tif)) for tif in ("DAY", "GTC")]
        await until(lambda: all(trade.orderStatus.status == "Submitted" for trade in trades))
        gateway.books.close_market()
        await until(lambda: codes(ib))
        assert codes(ib) == [(trades[0].order.orderId, 202)]
        assert [trade.orderStatus.status for trade in trades] == ["Cancelled", "Submitted"]

    play(gateway, scenario)


def test_an_order_that_was_taken_is_rejected_all_the_same(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        trade = ib.placeOrder(stock(), order(orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        before = len(gateway.log.of("sent"))
        gateway.books.reject(gateway.books.by_client_id("ref-1").id, "no more margin")  # type: ignore[union-attr]
        await until(lambda: codes(ib))
        await quiet(gateway, ib)
        assert told(gateway, before) == ["4 201", "5 Inactive", "3 Inactive"]

    play(gateway, scenario)


def test_a_contract_may_be_named_by_its_number(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        (known,) = await ib.qualifyContractsAsync(stock())
        ib.client.placeOrder(10, type(known)(conId=known.conId, exchange="SMART"), order("MKT", orderRef="ref-1"))
        await until(lambda: ib.fills())

    play(one, scenario)
    assert one.books.positions == {"SPY": Decimal(10)}


def test_a_global_cancel_ends_everything_and_says_what_it_could_not(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        filled = ib.placeOrder(stock(), order("MKT"))
        await until(lambda: filled.orderStatus.status == "Filled")
        trades = [ib.placeOrder(stock(), order(orderRef=ref)) for ref in ("a", "b")]
        await until(lambda: all(trade.orderStatus.status == "Submitted" for trade in trades))
        ib.reqGlobalCancel()
        await until(lambda: all(trade.orderStatus.status == "Cancelled" for trade in trades))
        await until(lambda: (filled.order.orderId, 161) in codes(ib))

    play(one, scenario)
    assert [record.kind for record in one.books.log.records][2:] == ["accepted"] * 2 + ["canceled"] * 2


def test_a_trailing_stop_follows(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        bought = ib.placeOrder(stock(), order("MKT", 10))
        await until(lambda: bought.fills)
        trade = ib.placeOrder(stock(), order("TRAIL", 10, side="SELL", auxPrice=2, orderRef="trail"))
        await until(lambda: trade.orderStatus.status == "PreSubmitted")
        one.books.price("SPY", "105", "105.02")
        await ib.reqOpenOrdersAsync()
        assert [sent.fields[114] for sent in one.log.of("sent", "5")][-1] == "103"
        one.books.price("SPY", "102.9", "103")
        await until(lambda: trade.orderStatus.status == "Filled")

    play(one, scenario)


def test_two_clients_trade_at_once(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        other = await connected(one, 2)
        trades = [who.placeOrder(stock(), order("MKT", 1)) for _ in range(10) for who in (ib, other)]
        await until(lambda: all(trade.orderStatus.status == "Filled" for trade in trades))
        assert (len(ib.fills()), len(other.fills())) == (10, 10)
        other.disconnect()

    play(one, scenario)
    assert one.books.positions == {"SPY": Decimal(20)}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_a_client_may_ask_is_what_the_books_say_whatever_happened(gateway: IbkrStandIn, seed: int) -> None:
    chance, books = random.Random(seed), gateway.books

    async def happen(ib: Any, number: int) -> None:
        what = chance.choice(["MKT", "LMT", "LMT", "cancel", "price", "part"])
        working = [one for one in books.orders.values() if one.open]
        if what in ("MKT", "LMT"):
            side, price = chance.choice(["BUY", "SELL"]), round(chance.uniform(95, 105), 2)
            ib.placeOrder(stock(), order(what, chance.randint(1, 50), price, side, orderRef=f"ref-{number}"))
            await until(lambda: books.by_client_id(f"ref-{number}"))
        elif what == "price":
            cents = chance.randint(9_700, 10_300)
            books.price("SPY", Decimal(cents) / 100, Decimal(cents + 2) / 100)
        elif working and what == "cancel":
            ib.client.cancelOrder(gateway.book.of(chance.choice(working).id).ticket.order_id, "")
            await quiet(gateway, ib)
        elif working:
            books.fill(chance.choice(working).id, 1)

    async def scenario(ib: Any) -> None:
        for number in range(30):
            await happen(ib, number)
        fills = await ib.reqExecutionsAsync()
        assert [(one.execution.orderRef, one.execution.shares, one.execution.price) for one in fills] == [
            (one.client_id, float(one.quantity), float(one.price)) for one in books.executions
        ]
        held = {one.contract.symbol: one.position for one in await ib.reqPositionsAsync() if one.position}
        assert held == {symbol: float(shares) for symbol, shares in books.positions.items()}
        working = [one.order.orderRef for one in await ib.reqAllOpenOrdersAsync()]
        ended = [one.order.orderRef for one in await ib.reqCompletedOrdersAsync(False)]
        assert working == [one.client_id for one in books.orders.values() if one.open]
        assert sorted(working + ended) == sorted(one.client_id for one in books.log.accepted())

    play(gateway, scenario)


def test_too_many_messages_are_refused_and_at_last_the_connection_is_closed(one: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        ib.client.MaxRequests = 0
        for _ in range(200):
            ib.client.reqCurrentTime()
        await until(lambda: not ib.isConnected())

    play(one, scenario)
    assert [sent.fields[3] for sent in one.log.of("sent", "4")].count("100") == 3

    async def again(ib: Any) -> None:
        assert ib.isConnected()

    play(one, again)
