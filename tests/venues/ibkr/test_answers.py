"""What is in the answers of a gateway: those of other accounts, in other money, and those that overtake each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from appliance.clients.ibkr import load
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Side
from appliance.errors import VenueDown, VenueNonsense, VenueRefused
from appliance.venues.base import Change
from appliance.venues.ibkr.tickets import fields, ticket
from appliance.venues.ibkr.told import Ticket
from tests.standins.ibkr import IbkrStandIn
from tests.standins.ibkr import book as standin
from tests.standins.ibkr.peer import frame
from tests.venues.ibkr.conftest import SHORT, Make, limit, order, until

D = Decimal


def answering(gateway: IbkrStandIn, question: str, ask: Callable[[], Any], *answer: list[str]) -> Any:
    """What ``ask`` gives when its question gets this answer; its request's id takes the place of REQUEST."""
    gateway.faults.silent = frozenset({question})
    before = len(gateway.log.of("received", question))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        until(lambda: len(gateway.log.of("received", question)) > before)
        request = gateway.log.of("received", question)[-1].fields[2:3]
        for message in answer:
            gateway.push_raw(frame([request[0] if field == "REQUEST" else field for field in message]))
        return asked.result(5)


def held(account: str, symbol: str, shares: str, kind: str = "STK") -> list[str]:
    return ["61", "3", account, "756733", symbol, kind, "", "0.0", "", "", "", "USD", symbol, "X", shares, "100"]


def row(tag: str, value: str, currency: str = "USD", account: str = "DU1234567") -> list[str]:
    return ["63", "1", "REQUEST", account, tag, value, currency]


END = ["64", "1", "REQUEST"]


def test_positions_are_those_of_our_account_and_of_all_kinds(one: IbkrStandIn, make: Make) -> None:
    broker = make(one, account="DU1234567")
    told = answering(
        one, "61", broker.positions, held("DU1234567", "SPY", "3"), held("DU7654321", "SPY", "500"),
        held("DU1234567", "QQQ", "0"), held("DU1234567", "SPY", "-7", "OPT"), ["62", "1"],
    )  # fmt: skip
    assert told == {"SPY": D(3), "SPY:OPT:USD": D(-7)}


def test_the_account_is_ours_to_the_cent_and_what_it_does_not_tell_is_not_known(one: IbkrStandIn, make: Make) -> None:
    broker = make(one)
    told = answering(
        one, "62", broker.account, row("TotalCashValue", "1.00", account="DU7654321"),
        row("TotalCashValue", "98765.43"), row("NetLiquidation", "123456.78"), END,
    )  # fmt: skip
    assert (told.cash, told.equity, told.buying_power) == (D("98765.43"), D("123456.78"), None)


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        ([row("TotalCashValue", "1000.00", "EUR")], VenueRefused, "kept in EUR"),
        ([row("NetLiquidation", "1000.00")], VenueNonsense, "tells no cash"),
        ([row("TotalCashValue", "NaN")], VenueNonsense, "tells TotalCashValue as 'NaN'"),
        ([row("TotalCashValue", "a lot")], VenueNonsense, "as 'a lot'"),
    ],
)
def test_cash_that_is_not_told_or_in_other_money_is_never_guessed(
    one: IbkrStandIn, make: Make, rows: list[list[str]], error: type[Exception], said: str
) -> None:
    broker = make(one)
    with pytest.raises(error, match=said):
        answering(one, "62", broker.account, *rows, END)


def test_open_orders_are_those_of_our_account(one: IbkrStandIn, make: Make) -> None:
    broker = make(one)
    broker.submit(limit("a-1-1"))
    other = list(until(lambda: one.log.of("sent", "5"))[-1].fields)
    other[1], other[20], other[25] = "77", "DU7654321", "999"
    ours = one.log.of("sent", "5")[-1].fields
    told = answering(one, "16", broker.open_orders, other, list(ours), ["53", "1"])
    assert [seen.order_id for seen in told] == ["a-1-1"]


def test_an_order_is_not_sent_before_its_contract_is_known(one: IbkrStandIn, make: Make) -> None:
    broker = make(one, **SHORT)
    one.faults.silent = frozenset({"9"})
    with pytest.raises(VenueDown, match="the contract was not looked up"):
        broker.submit(order("a-1-1"))
    assert one.log.of("received", "3") == []
    one.faults.silent = frozenset()
    assert broker.submit(order("a-1-1")).event is OrderEvent.ACCEPT


def test_an_order_that_found_no_connection_may_be_sent_again(
    one: IbkrStandIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = make(one)
    broker.submit(limit("a-1-1"))

    def gone(*_: object) -> None:
        raise ConnectionError("Not connected")

    with monkeypatch.context() as patch:
        patch.setattr(load().Client, "placeOrder", gone)
        patch.setattr(load().Client, "cancelOrder", gone)
        asked: list[Callable[[], Any]] = [
            lambda: broker.submit(limit("a-1-2")), lambda: broker.cancel("a-1-1"),
            lambda: broker.replace("a-1-1", Change(D(3))),
        ]  # fmt: skip
        for ask in asked:
            with pytest.raises(VenueDown, match="the connection ended"):
                ask()
    assert broker.submit(limit("a-1-2")).event is OrderEvent.ACCEPT
    assert [record.client_id for record in one.books.log.accepted()] == ["a-1-1", "a-1-2"]


def test_an_order_that_arrives_between_two_questions_is_open_and_has_not_ended(
    one: IbkrStandIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = make(one)
    one.books.automatic = False
    broker.submit(limit("a-1-1", "100"))
    one.books.fill(one.books.log.accepted("a-1-1")[0].order_id, 3)
    until(lambda: broker.open_orders()[0].filled == 3)
    open_now = standin.Book.open
    late = iter([[]])
    monkeypatch.setattr(standin.Book, "open", lambda self, client=None: next(late, open_now(self, client)))
    answer = broker.order("a-1-1")
    assert (answer.report.event, [fill.quantity for fill in answer.fills]) == (OrderEvent.ACCEPT, [D(3)])


def test_orders_of_a_group_lessen_each_other_one_at_a_time() -> None:
    alone, grouped = (ticket(order(side=Side.SELL, oco=group), "DU1", outside_rth=False) for group in ("", "g"))
    assert isinstance(alone, Ticket)
    assert isinstance(grouped, Ticket)
    assert (fields(alone)["ocaGroup"], fields(alone)["ocaType"]) == ("", 0)
    assert (fields(grouped)["ocaGroup"], fields(grouped)["ocaType"]) == ("g", 2)
