"""What needs no gateway: executions and their cost, the clock's verdicts, tickets, codes, options, which library."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.clients.ibkr import NoContract, spec
from appliance.clients.ibkr.contracts import symbol_of
from appliance.clients.ibkr.library import first
from appliance.domain.messages import VenueActivity, VenueFill
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import OrderType, TimeInForce, Trail
from appliance.domain.venue import LinkState, Rejection
from appliance.errors import UsageError
from appliance.venues.base import Change
from appliance.venues.ibkr import IbkrTerms
from appliance.venues.ibkr.book import Book, ending, works
from appliance.venues.ibkr.deals import REMEMBERED, Deals, fill_key
from appliance.venues.ibkr.outages import MINUTE, Outages
from appliance.venues.ibkr.tickets import ORDERS, changed, fields, open_order, ticket, traits
from appliance.venues.ibkr.told import Cost, Deal, Done, Seen, Status, Ticket, number
from appliance.venues.ibkr.words import meaning, rejection
from tests.venues.ibkr.conftest import limit, order

D = Decimal
SECOND = 10**9
EASTERN = ZoneInfo("America/New_York")


def deal(number: int = 1, group: int = 1, shares: str = "10", price: str = "100", time: int = 0) -> Deal:
    exec_id = f"0000e0d5.{number:08x}.01.{group:02d}"
    return Deal(-1, exec_id, 1, 7, 9, "a-1-1", "DU1", "SPY", "BOT", D(shares), D(price), time)


# --- executions -------------------------------------------------------------------------------------------------------


def test_a_fill_waits_for_its_commission_and_is_told_without_it_when_that_is_late() -> None:
    deals = Deals()
    assert deals.take(deal(1), 0) == []
    (prompt,) = deals.cost(Cost(deal(1).exec_id, D("0.35"), "USD"), 1)
    assert isinstance(prompt, VenueFill)
    assert prompt.commission == D("0.35")
    assert deals.take(deal(2), 0) == []
    assert deals.overdue(deal(1).exec_id, SECOND) == []
    assert [fill.commission for fill in deals.overdue(deal(2).exec_id, SECOND)] == [D(0)]
    (late,) = deals.cost(Cost(deal(2).exec_id, D("0.35"), "USD"), 3 * SECOND)
    assert isinstance(late, VenueActivity)
    assert late.activity.cash == D("-0.35")
    assert deals.cost(Cost(deal(2).exec_id, D("0.35"), "USD"), 4 * SECOND) == [], "told again, booked once"


def test_a_commission_in_another_currency_or_unset_is_none() -> None:
    deals = Deals()
    deals.take(deal(1), 0)
    assert deals.cost(Cost(deal(1).exec_id, D(1), "EUR"), 0) == []
    assert deals.cost(Cost(deal(1).exec_id, None, "USD"), 0) == []
    assert [fill.commission for fill in deals.overdue(deal(1).exec_id, SECOND)] == [D(0)]


def test_the_key_of_a_fill_is_its_execution_without_the_group_and_a_higher_group_corrects_it() -> None:
    assert fill_key("0000e0d5.67fe667b.01.01") == "0000e0d5.67fe667b.01"
    assert fill_key("0000e0d5.67fe667b.01.02") == "0000e0d5.67fe667b.01#2"
    for strange in ("0000e0d5.²", f"0000e0d5.{'9' * 5_000}"):
        assert fill_key(strange) == strange
    assert fill_key("strange") == "strange"
    deals = Deals()
    deals.take(deal(1), 0)
    deals.cost(Cost(deal(1).exec_id, D(1), "USD"), 0)
    deals.take(deal(1, group=2, price="99"), 0)
    (second,) = deals.overdue(deal(1, group=2).exec_id, 0)
    assert (second.corrects, second.price, second.commission) == (fill_key(deal(1).exec_id), D(99), D(1))
    (third,) = deals.take(deal(1, group=3, shares="0"), 0)
    assert (third.corrects, third.quantity, third.commission) == (second.fill_key, D(0), D(0))


def test_what_is_part_of_an_answer_is_not_told_by_itself() -> None:
    deals = Deals()
    assert deals.take(deal(1)._replace(request=5), 0) == []
    assert deals.overdue(deal(1).exec_id, 10 * SECOND) == []
    assert [fill.quantity for fill in deals.fills(0, 0)] == [D(10)]
    (late,) = deals.take(deal(1), 0)
    assert late.fill_key == deals.fills(0, 0)[0].fill_key, "but it is, when it comes by itself as well"


def test_executions_of_long_ago_are_forgotten() -> None:
    deals = Deals()
    deals.take(deal(1, time=0), 0)
    deals.take(deal(2, time=REMEMBERED + 2), 0)
    assert [fill.fill_key for fill in deals.fills(0, 0)] == [fill_key(deal(2).exec_id)]


events = st.lists(
    st.tuples(st.sampled_from(["deal", "cost", "answer", "overdue"]), st.integers(1, 4), st.integers(0, 3 * SECOND)),
    max_size=30,
)


@given(events)
def test_whatever_comes_when_each_execution_is_told_once_and_cash_is_exact(
    happened: list[tuple[str, int, int]],
) -> None:
    deals, told, now = Deals(), [], 0
    live, costs = set(), set()
    for what, which, later in happened:
        now += later
        one = deal(which)
        if what == "deal":
            live.add(which)
            told += deals.take(one, now)
        elif what == "answer":
            deals.take(one._replace(request=3), now)
            deals.fills(0, now)
        elif what == "cost":
            costs.add(which)
            told += deals.cost(Cost(one.exec_id, D(which), "USD"), now)
        else:
            told += deals.overdue(one.exec_id, now)
    for which in range(1, 5):
        told += deals.overdue(deal(which).exec_id, now + SECOND)
    heard = [one.fill_key for one in told if isinstance(one, VenueFill)]
    fills = {fill.fill_key: fill for fill in deals.fills(0, now)}
    assert sorted(heard) == sorted(fill_key(deal(which).exec_id) for which in live)
    paid = sum((fill.commission for fill in fills.values()), D(0)) - sum(one.activity.cash for one in deals.fees(0))
    assert paid == sum(which for which in costs if fill_key(deal(which).exec_id) in fills)
    assert all(fills[one.fill_key] == replace(one, at=now) for one in told if isinstance(one, VenueFill))


# --- the book ---------------------------------------------------------------------------------------------------------


def seen(order_id: int = 5, client: int = 7, status: str = "Submitted", ref: str = "a-1-1", **given: object) -> Seen:
    asked = Ticket("BUY", D(10), "LMT", "DAY", limit=D(90), ref=ref, account="DU1")
    return Seen(order_id, client, 100 + order_id, "SPY", 756733, asked._replace(**given), status)  # type: ignore[arg-type]


@given(st.lists(st.one_of(st.integers(0, 10_000), st.tuples(st.integers(1, 3), st.integers(0, 10_000)))))
def test_an_order_id_is_above_all_that_were_seen_whatever_the_gateway_rolls_back(told: list[object]) -> None:
    book, ours = Book(1), [0]
    for one in told:
        if isinstance(one, tuple):
            client, order_id = one
            book.seen(seen(order_id, client))
            ours += [order_id] if client == 1 else []
        else:
            book.valid(one)  # type: ignore[arg-type]
        taken = book.take_id()
        assert taken > max(ours)
        ours.append(taken)


def test_how_an_order_stands_is_told_once_and_an_end_is_the_last() -> None:
    book = Book(7)
    known = book.seen(seen())
    assert known is not None
    told = []
    for status, filled in (("Submitted", 0), ("Submitted", 4), ("Cancelled", 4), ("Cancelled", 4), ("Submitted", 4)):
        known = book.status(Status(5, 7, 105, status, D(filled)))
        assert known is not None
        told.append(book.hint(known, 0))
    assert [one.event if one else None for one in told] == [
        OrderEvent.ACCEPT, None, OrderEvent.CANCEL, None, None,
    ]  # fmt: skip


def test_what_works_is_each_order_as_it_was_told_last() -> None:
    told = [seen(5), seen(6), seen(5, status="Filled"), seen(7, status="Brand new"), seen(8, status="Cancelled")]
    assert [one.order_id for one in works(told)] == [6, 7]


@pytest.mark.parametrize(
    ("status", "filled", "text", "event"),
    [
        ("Filled", 10, "Filled Size: 10", OrderEvent.FILL),
        ("Cancelled", 0, "Cancelled by Trader", OrderEvent.CANCEL),
        ("Cancelled", 0, "Order expired", OrderEvent.EXPIRE),
        ("Inactive", 0, "", OrderEvent.REJECT),
        ("Inactive", 3, "", OrderEvent.CANCEL),
        ("Brand new", 0, "", None),
    ],
)
def test_a_completed_order_says_how_it_ended(status: str, filled: int, text: str, event: OrderEvent | None) -> None:
    assert ending(Done("a-1-1", 9, "DU1", status, D(filled), text)) is event


# --- tickets ----------------------------------------------------------------------------------------------------------


def test_each_kind_of_order_that_is_taken_becomes_a_ticket_and_comes_back_as_it_was() -> None:
    prices = {
        OrderType.MARKET: {},
        OrderType.LIMIT: {"limit_price": D("90.5")},
        OrderType.STOP: {"stop_price": D("95")},
        OrderType.STOP_LIMIT: {"stop_price": D("95"), "limit_price": D("94")},
        OrderType.TRAILING_STOP: {"trail": Trail(D(2)), "stop_price": D("97")},
    }
    for kind, forces in ORDERS.items():
        for force in TimeInForce:
            asked = ticket(order(type=kind, time_in_force=force, **prices[kind]), "DU1", outside_rth=False)
            if force not in forces:
                assert isinstance(asked, str)
                assert force.value in asked
                continue
            assert isinstance(asked, Ticket)
            back = open_order(Seen(5, 7, 9, "SPY", 1, asked, "Submitted"), D(0))
            assert (back.type, back.time_in_force, back.quantity) == (kind, force, D(10))
            assert (back.limit_price, back.stop_price) == (
                prices[kind].get("limit_price"),
                prices[kind].get("stop_price"),
            )


def test_an_order_works_outside_the_session_only_where_that_is_wanted_and_makes_sense() -> None:
    resting = limit(time_in_force=TimeInForce.GTC)
    assert ticket(resting, "DU1", outside_rth=True).outside_rth  # type: ignore[union-attr]
    assert not ticket(resting, "DU1", outside_rth=False).outside_rth  # type: ignore[union-attr]
    assert not ticket(order(), "DU1", outside_rth=True).outside_rth  # type: ignore[union-attr]
    assert traits(True).stocks.extended == {OrderType.LIMIT: (TimeInForce.DAY, TimeInForce.GTC)}  # type: ignore[union-attr]
    assert traits(False).stocks.extended == {}  # type: ignore[union-attr]


def test_ib_takes_no_crypto_no_parts_of_shares_and_no_second_send() -> None:
    found = traits(False)
    assert found.takes("BTC/USD") is None
    assert found.stocks is not None
    assert found.stocks.fractional == {}
    assert (found.refuses_duplicates, found.absent_is_final) == (False, False)


@given(st.decimals("0.0001", "999999999", places=4))
def test_numbers_go_to_the_gateway_and_come_back_to_the_last_digit(price: Decimal) -> None:
    asked = ticket(limit(price=str(price)), "DU1", outside_rth=False)
    assert isinstance(asked, Ticket)
    written = fields(asked)["lmtPrice"]
    assert written == f"{price:f}"
    assert number(float(written)) == price


def test_a_change_touches_only_what_it_names() -> None:
    stop = Ticket("SELL", D(10), "STP LMT", "GTC", limit=D(94), aux=D(95), ref="a")
    assert changed(stop, Change(stop_price=D(96))) == stop._replace(aux=D(96))
    assert changed(stop, Change(quantity=D(4))) == stop._replace(quantity=D(4))
    trailing = Ticket("SELL", D(10), "TRAIL", "GTC", aux=D(2), ref="a")
    assert changed(trailing, Change(stop_price=D(96))) == trailing._replace(trail_stop=D(96))


def test_orders_of_others_of_kinds_we_do_not_know_are_shown_all_the_same() -> None:
    shown = open_order(seen(type="REL + MKT", tif="GTX"), D(2))
    assert (shown.type, shown.limit_price, shown.filled) == (OrderType.LIMIT, D(90), D(2))
    with pytest.raises(ValueError, match="action 'EXERCISE'"):
        open_order(seen(action="EXERCISE"), D(0))


def test_what_is_no_us_stock_is_never_taken_for_one() -> None:
    assert symbol_of("BRK B", "STK", "USD", "BRK B") == "BRK.B"
    others = [
        symbol_of("SPY", "OPT", "USD", "SPY   261218C00500000"), symbol_of("SAP", "STK", "EUR", "SAP"),
        symbol_of("ES", "FUT", "USD", "ESZ6"),
    ]  # fmt: skip
    assert others == ["SPY_261218C00500000:OPT:USD", "SAP:STK:EUR", "ESZ6:FUT:USD"]
    for symbol in others:
        with pytest.raises(NoContract):
            spec(symbol)


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (201, "Order rejected - reason:Insufficient settled cash", Rejection.BUYING_POWER),
        (201, "Order rejected - reason:The contract is not available for short sale.", Rejection.NOT_SHORTABLE),
        (201, "Order rejected - reason:Potential wash trade", Rejection.WASH_TRADE),
        (201, "Order rejected - reason:a word nobody knows", Rejection.OTHER),
        (110, "The price does not conform to the minimum price variation for this contract.", Rejection.PRICE),
        (99999, "a code nobody knows", Rejection.OTHER),
    ],
)
def test_each_refusal_has_a_kind(code: int, text: str, kind: Rejection) -> None:
    assert rejection(code, text) is kind


@pytest.mark.parametrize(
    ("code", "cut_off", "lost"),
    [(1100, True, False), (2110, True, False), (1101, False, True), (1102, False, True), (2103, None, False),
     (10197, None, False), (4711, None, False)],
)  # fmt: skip
def test_each_notice_has_a_meaning(code: int, cut_off: bool | None, lost: bool) -> None:
    assert meaning(code) == (cut_off, lost)
    assert meaning(2104) is None


def test_farms_that_are_back_end_what_2110_began_and_not_what_1100_did() -> None:
    assert meaning(2104, cut_off=2110) == (False, True)
    assert meaning(2104, cut_off=1100) is None
    assert meaning(2107, cut_off=2110) is None


# --- the clock's verdicts ---------------------------------------------------------------------------------------------


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=EASTERN).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("lost_at", "minutes", "state"),
    [
        ("2026-11-25T23:45:10", 0, LinkState.WAITING_RESET),
        ("2026-11-25T23:44:10", 4, LinkState.WAITING_RESET),
        ("2026-11-25T23:45:10", 16, LinkState.WAITING_2FA),
        ("2026-11-25T12:00:00", 0, LinkState.DOWN),
        ("2026-11-25T12:00:00", 14, LinkState.DOWN),
        ("2026-11-25T12:00:00", 15, LinkState.WAITING_2FA),
        ("2026-11-29T00:59:00", 1, LinkState.DOWN),
        ("2026-11-29T00:59:00", 6, LinkState.WAITING_2FA),
        ("2026-11-29T09:00:00", 4, LinkState.DOWN),
        ("2026-11-29T09:00:00", 5, LinkState.WAITING_2FA),
    ],
)
def test_why_the_gateway_is_away_by_the_clock(lost_at: str, minutes: int, state: LinkState) -> None:
    outages = Outages("23:45", EASTERN)
    outages.lost(at(lost_at))
    verdict = outages.away(at(lost_at) + minutes * MINUTE)
    assert verdict.state is state
    assert ("phone" in verdict.text) == (state is LinkState.WAITING_2FA)


def test_a_restart_just_after_midnight_is_of_its_day_and_of_the_one_before() -> None:
    outages = Outages("00:01", EASTERN)
    assert outages.near_restart(at("2026-11-25T23:59:30"))
    assert outages.near_restart(at("2026-11-26T00:02:59"))
    assert not outages.near_restart(at("2026-11-26T00:03:01"))


def test_a_gateway_that_takes_connections_and_answers_none_is_to_be_restarted() -> None:
    outages = Outages("23:45", EASTERN)
    noon = at("2026-11-25T12:00:00")
    assert outages.away(noon, mute=True).text == ""
    assert "restart the gateway" in outages.away(noon + 3 * MINUTE, mute=True).text
    outages.back()
    assert outages.away(noon + 4 * MINUTE, mute=True).text == ""


def test_a_gateway_that_says_that_it_resets_is_waited_for() -> None:
    assert Outages("23:45", EASTERN).lost(at("2026-11-25T12:00:00"), told=True).state is LinkState.WAITING_RESET


# --- options and the library ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_options", "said"),
    [
        ({"host": ""}, "no host"), ({"port": 0}, "port 0"), ({"client_id": 0}, "client_id 0"),
        ({"restart": "24:00"}, "restart '24:00'"), ({"timezone": "Mars/Olympus"}, "timezone 'Mars/Olympus'"),
        ({"answer": 0.0}, "answer 0.0"), ({"connect": float("nan")}, "connect nan"),
    ],
)  # fmt: skip
def test_an_option_that_makes_no_sense_is_named(given_options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        IbkrTerms(**given_options).checked()  # type: ignore[arg-type]
    assert caught.value.hint


def test_the_library_that_comes_first_on_the_path_is_taken() -> None:
    where = {"ib_insync": "/site", "ib_async": "/overlay"}
    assert first(where, ["", "/overlay", "/site"]) == "ib_async"
    assert first(where, ["", "/site", "/overlay"]) == "ib_insync"
    assert first({"ib_insync": "/site", "ib_async": "/site"}, ["/site"]) == "ib_insync"
    assert first({"ib_async": "/elsewhere"}, ["/site"]) == "ib_async"
