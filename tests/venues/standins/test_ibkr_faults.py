"""Each fault of IB's stand-in does what it says, seen by the real client library and in the stand-in's own log."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.standins.ibkr import REJECTIONS, WARNINGS, IbkrStandIn
from tests.standins.ibkr.__main__ import Console
from tests.venues.standins.ibkr_client import connected, order, play, quiet, stock, told, until


@pytest.fixture
def gateway() -> Iterator[IbkrStandIn]:
    with IbkrStandIn() as one:
        one.books.price("SPY", "99.99", "100.01")
        yield one


def codes(ib: Any) -> list[int]:
    return [code for request, code, _ in ib.errors if request != -1]


def accepted(gateway: IbkrStandIn) -> list[str]:
    return [record.client_id for record in gateway.books.log.accepted()]


async def references(ib: Any) -> list[str]:
    return [trade.order.orderRef for trade in await ib.reqAllOpenOrdersAsync()]


# --- ambiguous answers ------------------------------------------------------------------------------------------------


def test_an_order_is_taken_and_never_answered(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.unanswered = 1
        ib.client.placeOrder(10, stock(), order("MKT", orderRef="filled"))
        ib.client.placeOrder(11, stock(), order("MKT", orderRef="told"))
        await until(lambda: [fill.execution.orderRef for fill in ib.fills()] == ["told"])
        await quiet(gateway, ib)
        assert [sent.fields[1] for sent in gateway.log.of("sent", "5")] == ["11"] * 3
        assert {fill.execution.orderRef for fill in await ib.reqExecutionsAsync()} == {"filled", "told"}
        assert [fill.commissionReport.commission for fill in ib.fills()] == [1.0, 1.0]

    play(gateway, scenario)
    assert accepted(gateway) == ["filled", "told"]


def test_an_order_is_swallowed(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.swallowed = 1
        for number, ref in enumerate(("lost", "kept"), 10):
            ib.client.placeOrder(number, stock(), order(orderRef=ref))
        await until(lambda: ib.openTrades())
        assert await references(ib) == ["kept"]
        assert [entry.fields for entry in gateway.log.of("swallowed")] == [("10", "lost")]

    play(gateway, scenario)
    assert accepted(gateway) == ["kept"]


def test_a_cancel_is_swallowed(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        trade = ib.placeOrder(stock(), order(orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        gateway.faults.swallowed_cancels = 1
        ib.client.cancelOrder(trade.order.orderId, "")
        await quiet(gateway, ib)
        assert await references(ib) == ["ref-1"]
        ib.client.cancelOrder(trade.order.orderId, "")
        await until(lambda: trade.orderStatus.status == "Cancelled")

    play(gateway, scenario)


def test_the_connection_is_reset_instead_of_taking_an_order(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.hung_up = 1
        ib.client.placeOrder(10, stock(), order(orderRef="ref-1"))
        await until(lambda: not ib.isConnected())
        again = await connected(gateway, 1)
        assert await references(again) == []
        again.disconnect()

    play(gateway, scenario)
    assert accepted(gateway) == []


@pytest.mark.parametrize("count", [0, 1, 4, 5, 60])
def test_an_answer_is_cut_at_any_byte_and_the_order_is_taken(gateway: IbkrStandIn, count: int) -> None:
    async def scenario(ib: Any) -> None:
        got: list[bytes] = []
        ib.client.conn.hasData += got.append
        gateway.faults.cut = count
        ib.client.placeOrder(10, stock(), order(orderRef="ref-1"))
        await until(lambda: not ib.isConnected())
        assert len(b"".join(got)) == count
        again = await connected(gateway, 1)
        assert await references(again) == ["ref-1"]
        again.disconnect()

    play(gateway, scenario)
    assert accepted(gateway) == ["ref-1"]


def test_another_answer_is_cut_where_it_is_named(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.cut_at = "59"
        gateway.faults.cut = 7
        ib.placeOrder(stock(), order("MKT", orderRef="ref-1"))
        await until(lambda: not ib.isConnected())
        assert told(gateway)[-1] == "5 Filled"

    play(gateway, scenario)


def test_an_order_sent_to_a_gateway_that_hangs_is_taken_when_it_goes_on(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.half_open = True
        ib.client.placeOrder(10, stock(), order(orderRef="ref-1"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ib.reqCurrentTimeAsync(), 0.05)
        assert accepted(gateway) == []
        gateway.faults.half_open = False
        await until(lambda: accepted(gateway) == ["ref-1"])

    play(gateway, scenario)


# --- what is told, and how --------------------------------------------------------------------------------------------


def test_events_come_two_times(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.doubled = True
        trade = ib.placeOrder(stock(), order("MKT", orderRef="ref-1"))
        await until(lambda: trade.fills)
        await quiet(gateway, ib)
        assert told(gateway).count("11") == told(gateway).count("59") == 2
        assert len(trade.fills) == 1

    play(gateway, scenario)
    assert len(gateway.books.executions) == 1


def test_events_come_in_the_wrong_order(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.shuffled = True
        ib.client.placeOrder(10, stock(), order("MKT", orderRef="ref-1"))
        await until(lambda: len(told(gateway)) == 7)
        assert told(gateway) == [
            "59", "5 Filled", "3 Filled", "5 Filled", "11", "3 PreSubmitted", "5 PreSubmitted",
        ]  # fmt: skip

    play(gateway, scenario)


@pytest.mark.parametrize("message", ["3", "5", "11", "59"])
def test_events_are_lost(gateway: IbkrStandIn, message: str) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.losing = frozenset([message])
        ib.client.placeOrder(10, stock(), order("MKT", orderRef="ref-1"))
        gateway.log.until("accepted")
        await quiet(gateway, ib)
        await until(lambda: len({one[:2].strip() for one in told(gateway)}) == 3)
        assert not gateway.log.of("sent", message)
        assert gateway.log.of("lost", message)
        assert [fill.execution.orderRef for fill in await ib.reqExecutionsAsync()] == ["ref-1"]

    play(gateway, scenario)


def test_only_the_next_events_are_lost(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.losing, gateway.faults.lost = frozenset(["11"]), 1
        for number in (10, 11):
            ib.client.placeOrder(number, stock(), order("MKT", 1, orderRef=str(number)))
        await until(lambda: [fill.execution.orderRef for fill in ib.fills()] == ["11"])

    play(gateway, scenario)


def test_an_order_is_filled_in_part_and_cancelled(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.halves = 1
        trade = ib.placeOrder(stock(), order("MKT", 10, orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Cancelled")
        assert (trade.orderStatus.filled, trade.orderStatus.remaining) == (5, 5)
        assert [fill.execution.shares for fill in trade.fills] == [5]

    play(gateway, scenario)
    assert gateway.books.positions == {"SPY": Decimal(5)}


def test_a_fill_comes_after_the_cancel(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.late_fills = 1
        trade = ib.placeOrder(stock(), order(orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        before = len(gateway.log.of("sent"))
        ib.client.cancelOrder(trade.order.orderId, "")
        await until(lambda: trade.fills)
        await until(lambda: told(gateway, before)[-1] == "59")
        assert told(gateway, before) == ["3 Cancelled", "4 202", "11", "5 Filled", "3 Filled", "5 Filled", "59"]

    play(gateway, scenario)
    assert [record.kind for record in gateway.books.log.records] == ["accepted", "canceled", "execution"]


@pytest.mark.parametrize("name", list(REJECTIONS))
def test_orders_are_refused_as_it_is_asked(gateway: IbkrStandIn, name: str) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.rejection, gateway.faults.rejected = name, 1
        for number in (10, 11):
            ib.client.placeOrder(number, stock(), order(orderRef=str(number)))
        await until(lambda: codes(ib) and accepted(gateway))
        assert (codes(ib), accepted(gateway)) == ([REJECTIONS[name][0]], ["11"])

    play(gateway, scenario)


@pytest.mark.parametrize("name", list(WARNINGS))
def test_what_is_only_a_warning_leaves_the_order_alive(gateway: IbkrStandIn, name: str) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.warning, gateway.faults.warned = name, 1
        ib.client.placeOrder(10, stock(), order(orderRef="ref-1"))
        await until(lambda: codes(ib))
        assert codes(ib) == [WARNINGS[name][0]]
        await until(lambda: "5 Submitted" in told(gateway))
        assert gateway.books.by_client_id("ref-1").open  # type: ignore[union-attr]

    play(gateway, scenario)


def test_a_gateway_that_only_reads_takes_no_order(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        ib.client.placeOrder(10, stock(), order(orderRef="ref-1"))
        await until(lambda: ib.openTrades())
        gateway.faults.read_only = True
        ib.client.placeOrder(11, stock(), order(orderRef="ref-2"))
        ib.client.placeOrder(10, stock(), order(orderRef="ref-1", price=80))
        ib.client.cancelOrder(10, "")
        await until(lambda: len(codes(ib)) == 3)
        assert codes(ib) == [321, 321, 321]
        assert await references(ib) == ["ref-1"]

    play(gateway, scenario)
    assert accepted(gateway) == ["ref-1"]


def test_a_status_did_not_exist_yesterday(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.strange = "Pondering"
        trade = ib.placeOrder(stock(), order(orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Pondering")
        gateway.faults.strange = ""
        await ib.reqOpenOrdersAsync()
        assert trade.orderStatus.status == "Submitted"

    play(gateway, scenario)


# --- what newer gateways do -------------------------------------------------------------------------------------------


def test_orders_for_the_close_are_told_of_when_they_end(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.closing_unanswered = True
        ib.client.placeOrder(10, stock(), order("MOC", orderRef="ref-1"))
        gateway.log.until("accepted")
        await quiet(gateway, ib)
        assert told(gateway) == []
        ib.client.cancelOrder(10, "")
        await until(lambda: codes(ib))
        assert told(gateway) == ["3 Cancelled", "4 202"]

    play(gateway, scenario)


def test_executions_are_told_in_utc_and_listed_in_new_york(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.utc_times = True
        trade = ib.placeOrder(stock(), order("MKT"))
        await until(lambda: trade.fills)
        await ib.reqExecutionsAsync()
        live, listed = (sent.fields[15] for sent in gateway.log.of("sent", "11"))
        (fill,) = gateway.books.executions
        moment = datetime.fromtimestamp(fill.time // 10**9, UTC)
        assert datetime.strptime(live, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC) == moment
        assert listed.endswith(" US/Eastern")

    play(gateway, scenario)


def test_open_orders_include_those_that_were_refused(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.rejected = 1
        ib.client.placeOrder(10, stock(), order(orderRef="ref-1"))
        await until(lambda: codes(ib))
        await quiet(gateway, ib)
        before = len(gateway.log.of("sent"))
        await ib.reqAllOpenOrdersAsync()
        assert told(gateway, before) == []
        gateway.faults.inactive_listed = True
        await ib.reqAllOpenOrdersAsync()
        assert told(gateway, before) == ["5 Inactive", "3 Inactive"]

    play(gateway, scenario)


def test_completed_orders_show_what_was_refused_as_cancelled_by_the_system(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.rejection, gateway.faults.rejected = "not_shortable", 1
        ib.client.placeOrder(10, stock(), order(orderRef="ref-1"))
        await until(lambda: codes(ib))
        gateway.faults.refused_as_cancelled = True
        (ended,) = await ib.reqCompletedOrdersAsync(False)
        assert (ended.order.orderRef, ended.orderStatus.status) == ("ref-1", "Cancelled")
        assert gateway.log.of("sent", "101")[-1].fields[-6] == (
            "Rejected by System:\nThe contract is not available for short sale."
        )

    play(gateway, scenario)


def test_completed_orders_begin_with_how_they_ended(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        trade = ib.placeOrder(stock(), order("MKT"))
        await until(lambda: trade.fills and trade.fills[0].commissionReport.execId)
        await quiet(gateway, ib)
        gateway.faults.statuses_first = True
        before = len(gateway.log.of("sent"))
        await ib.reqCompletedOrdersAsync(False)
        assert [sent.fields[0] for sent in gateway.log.of("sent")[before:]] == ["3", "101", "102"]

    play(gateway, scenario)


def test_a_question_for_the_time_soon_after_another_is_not_answered(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.clock_gap = 0.2
        await ib.reqCurrentTimeAsync()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ib.reqCurrentTimeAsync(), 0.05)
        gateway.faults.clock_gap = 0.0
        await ib.reqCurrentTimeAsync()

    play(gateway, scenario)


# --- executions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "reports"), [(0.1, 1), (-1.0, 0)])
def test_the_commission_comes_late_or_never(gateway: IbkrStandIn, after: float, reports: int) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.commission_late = after
        trade = ib.placeOrder(stock(), order("MKT", orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Filled")
        await ib.reqExecutionsAsync()
        assert not gateway.log.of("sent", "59")
        if reports:
            await until(lambda: trade.fills[0].commissionReport.execId)
        await quiet(gateway, ib)
        assert len(gateway.log.of("sent", "59")) == reports
        gateway.faults.commission_late = 0.0
        await ib.reqExecutionsAsync()
        assert len(gateway.log.of("sent", "59")) == reports + 1

    play(gateway, scenario)


def test_an_execution_is_corrected_and_another_is_undone(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        for _ in range(2):
            trade = ib.placeOrder(stock(), order("MKT"))
            await until(lambda trade=trade: trade.orderStatus.status == "Filled")
        gateway.books.correct(1, price="99.50")
        gateway.books.bust(2)
        await until(lambda: len(ib.fills()) == 4)
        ids = [fill.execution.execId for fill in ib.fills()]
        assert [one.rpartition(".")[2] for one in ids] == ["01", "01", "02", "02"]
        assert [one.rpartition(".")[0] for one in ids[:2]] == [one.rpartition(".")[0] for one in ids[2:]]
        corrected, undone = (fill.execution for fill in ib.fills()[2:])
        assert (corrected.price, corrected.shares, undone.shares) == (99.5, 10, 0)
        assert len(await ib.reqExecutionsAsync()) == 4
        await until(lambda: ib.positions()[0].position == 10)

    play(gateway, scenario)
    assert gateway.books.cash == Decimal("100000") - 995 - 1


# --- the connection ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_id", "ask"),
    [
        ("16", "reqAllOpenOrdersAsync"),
        ("5", "reqOpenOrdersAsync"),
        ("7", "reqExecutionsAsync"),
        ("61", "reqPositionsAsync"),
        ("62", "reqAccountSummaryAsync"),
    ],
)
@pytest.mark.parametrize("fault", ["silent", "endless"])
def test_a_question_is_never_answered_or_its_answer_never_ends(
    gateway: IbkrStandIn, request_id: str, ask: str, fault: str
) -> None:
    async def scenario(ib: Any) -> None:
        resting = ib.placeOrder(stock(), order())
        trade = ib.placeOrder(stock(), order("MKT"))
        await until(lambda: trade.orderStatus.status == "Filled" and resting.orderStatus.status == "Submitted")
        await quiet(gateway, ib)
        setattr(gateway.faults, fault, frozenset([request_id]))
        before = len(gateway.log.of("sent"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(getattr(ib, ask)(), 0.05)
        assert bool(len(gateway.log.of("sent")) > before) == (fault == "endless")

    play(gateway, scenario)


def test_completed_orders_never_end(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        gateway.faults.endless = frozenset(["99"])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ib.reqCompletedOrdersAsync(False), 0.05)

    play(gateway, scenario)


@pytest.mark.parametrize("roll_back", [0, 1])
def test_after_the_daily_restart_all_orders_are_there(gateway: IbkrStandIn, roll_back: int) -> None:
    async def scenario(ib: Any) -> None:
        trade = ib.placeOrder(stock(), order(orderRef="ref-1", tif="GTC"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        last = trade.order.orderId
        gateway.restart(0.1, roll_back=roll_back)
        await until(lambda: not ib.isConnected())
        with pytest.raises(ConnectionRefusedError):
            await connected(gateway, 1)
        gateway.books.price("SPY", "89.98", "90")
        gateway.log.until("listening", count=2)
        again = await connected(gateway, 1)
        (fill,) = again.fills()
        assert (fill.execution.orderRef, fill.execution.price) == ("ref-1", 90)
        assert await again.reqAllOpenOrdersAsync() == []
        assert gateway.log.of("sent", "9")[-1].fields[2] == str(roll_back or last + 1)
        again.disconnect()

    play(gateway, scenario)


def test_an_id_that_was_rolled_back_changes_the_order_that_has_it(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        trade = ib.placeOrder(stock(), order(orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        gateway.roll_back(1)
        ib.client.reqIds(1)
        await until(lambda: gateway.log.of("sent", "9")[-1].fields[2] == "1")
        ib.client.placeOrder(trade.order.orderId, stock(), order(orderRef="ref-2", price=80))
        gateway.books.log.until(lambda records: records[-1].kind == "modified")

    play(gateway, scenario)
    assert accepted(gateway) == ["ref-1"]


@pytest.mark.parametrize(("data_lost", "code"), [(True, 1101), (False, 1102)])
def test_what_happens_while_the_way_is_lost_is_never_told(gateway: IbkrStandIn, data_lost: bool, code: int) -> None:
    async def scenario(ib: Any) -> None:
        trade = ib.placeOrder(stock(), order(orderRef="ref-1"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        gateway.lose()
        gateway.books.price("SPY", "89.98", "90")
        ib.client.placeOrder(50, stock(), order(orderRef="ref-2"))
        await quiet(gateway, ib)
        assert await ib.reqExecutionsAsync() == []
        assert await references(ib) == ["ref-1"]
        gateway.restore(data_lost)
        await until(lambda: code in [told for _, told, _ in ib.errors])
        assert not ib.fills()
        assert [fill.execution.orderRef for fill in await ib.reqExecutionsAsync()] == ["ref-1"]
        assert await references(ib) == []

    play(gateway, scenario)
    assert accepted(gateway) == ["ref-1"]


def test_a_farm_is_down(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        for code in (2103, 2110, 2104):
            gateway.farm(code)
        await until(lambda: [code for _, code, _ in ib.errors[-3:]] == [2103, 2110, 2104])

    play(gateway, scenario)


def test_a_client_id_that_is_used_is_refused_until_it_is_free(gateway: IbkrStandIn) -> None:
    async def scenario(ib: Any) -> None:
        with pytest.raises((TimeoutError, ConnectionError)):
            await asyncio.wait_for(connected(gateway, 1), 0.3)
        assert gateway.log.of("sent", "4")[-1].fields[3] == "326"
        ib.disconnect()
        gateway.log.until("closed", count=2)
        again = await connected(gateway, 1)
        again.disconnect()

    play(gateway, scenario)


# --- as a process -----------------------------------------------------------------------------------------------------


def test_a_line_switches_a_fault_or_does_something(gateway: IbkrStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    console, faults = Console(gateway), gateway.faults
    for line in ("swallowed 3", "read_only on", "losing 3,11", "strange Odd", "cut 12", "refusing 162 no data", ""):
        console.line(line)
    assert (faults.swallowed, faults.read_only, faults.losing) == (3, True, frozenset(["3", "11"]))
    assert (faults.strange, faults.cut, faults.refusing) == ("Odd", 12, (162, "no data"))
    console.line("clear")
    assert (faults.swallowed, faults.read_only, faults.losing, faults.refusing) == (0, False, frozenset(), (0, ""))
    gateway.books.place("ref-1", "SPY", "buy", 10, type="limit", limit_price="90")
    console.line("fill ref-1 4 90")
    console.line("price SPY 80 80.02")
    console.line("log")
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["kind"], one["client_id"]) for one in printed] == [
        ("accepted", "ref-1"), ("execution", "ref-1"), ("execution", "ref-1"),
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["nonsense on", "fill nobody", "price SPY", "bust 99", "clear now", "cut deep"])
def test_a_line_that_means_nothing_is_said_so(
    gateway: IbkrStandIn, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Console(gateway).line(line)
    assert capsys.readouterr().err.startswith(f"{line}: ")


def test_as_a_process_it_says_its_port_and_ends_with_its_input() -> None:
    command = [sys.executable, "-m", "tests.standins.ibkr", "SPY", "--every", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert isinstance(process.stdin, io.TextIOBase)
        assert isinstance(process.stdout, io.TextIOBase)
        where = json.loads(process.stdout.readline())
        assert where["port"] > 0
        process.stdin.close()
        assert process.wait(10) == 0
