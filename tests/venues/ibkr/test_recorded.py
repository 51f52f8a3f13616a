"""What a real gateway has sent, re-typed, through the library's own decoder to the life of an order in the gateway.

The facts are those of a paper account in April 2025 (server version 173) and of March 2023 (164): an order for 100 AAPL
at the market by client 100. The reference of the order is ours; theirs had none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from appliance.clients.ibkr import load
from appliance.core.gateway import GatewayCore
from appliance.domain.messages import VenueFill, VenueLink, VenueReport
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import Order, Side
from appliance.domain.venue import Rejection
from appliance.venues.base import Condition, Heard
from appliance.venues.ibkr.book import Book, ending, works
from appliance.venues.ibkr.deals import Deals
from appliance.venues.ibkr.listening import Listening
from appliance.venues.ibkr.receiver import Receiver, Told
from appliance.venues.ibkr.tickets import open_order, traits
from appliance.venues.ibkr.told import Deal, Done, Seen
from appliance.venues.ibkr.verdicts import Wish
from tests.core.make import approved, intent, snapshot, writers
from tests.playbook import Playbook

D = Decimal
REF = "trend-1-1"
UNSET = "1.7976931348623157E308"
NOW = 1_744_745_911 * 10**9
Fields = Sequence[str]


def filled_in(length: int, known: dict[int, str]) -> list[str]:
    """Fields by their index; the others are empty."""
    return [known.get(index, "") for index in range(length)]


def told_order(status: str, server: int = 173, ref: str = REF, cost: str = "") -> list[str]:
    """openOrder, as recorded: 136 fields, 131 of the older server."""
    zeros = dict.fromkeys(
        (22, 26, 27, 28, 40, 43, 50, 51, 52, 55, 56, 58, 59, 61, 64, 69, 70, 72, 73, 79, 80, 81, 86, 89, 90, 92, 93,
         109, 110, 111, 119, 123, 125, 126, 127, 130), "0",
    )  # fmt: skip
    unset = dict.fromkeys((*range(95, 104), *range(113, 119)), UNSET)
    facts = {
        0: "5", 1: "5", 2: "265598", 3: "AAPL", 4: "STK", 6: "0", 7: "?", 9: "SMART", 10: "USD", 11: "AAPL", 12: "NMS",
        13: "BUY", 14: "100", 15: "MKT", 16: "0.0", 17: "0.0", 18: "DAY", 20: "DU1234567", 23: ref, 24: "100",
        25: "600745656", 30: "600745656.0/DU1234567/100", 42: "-1", 49: "2147483647", 54: "3", 62: "None", 68: "?",
        82: "2147483647", 83: "2147483647", 88: "IB", 94: status, 104: cost, 107: "USD" if cost else "", 112: "None",
        124: "1", 132: "100", 133: "0.02",
    }  # fmt: skip
    return filled_in(136 if server >= 170 else 131, {**zeros, **unset, **facts})


def told_status(status: str, filled: str = "0", average: str = "0") -> list[str]:
    left = str(100 - int(filled))
    return ["3", "5", status, filled, left, average, "600745656", "0", average, "100", "", "0"]


def told_execution(shares: str = "100", exec_id: str = "0000e0d5.67fe667b.01.01", total: str = "100") -> list[str]:
    return [
        "11", "-1", "5", "265598", "AAPL", "STK", "", "0.0", "", "", "IEX", "USD", "AAPL", "NMS", exec_id,
        "20250415  19:38:31", "DU1234567", "IEX", "BOT", shares, "201.94", "600745656", "100", "0", total, "201.94",
        REF, "", "", "", "2",
    ]  # fmt: skip


def told_cost(cost: str = "1.0", exec_id: str = "0000e0d5.67fe667b.01.01") -> list[str]:
    return ["59", "1", exec_id, cost, "USD", UNSET, UNSET, ""]


def told_completed(server: int = 173, status: str = "Filled") -> list[str]:
    """completedOrder, as recorded: its quantity is 0, and what filled has a field of its own."""
    zeros = dict.fromkeys((6, 13, 16, 17, 21, 24, 25, 26, 37, 46, 47, 50, 52, 55, 56, 57, 59, 60, 64, 65, 66, 73, 74,
                           76, 78, 79, 80, 83, 85, 89, 91, 92), "0")  # fmt: skip
    facts = {
        0: "101", 1: "265598", 2: "AAPL", 3: "STK", 5: "0", 6: "?", 8: "SMART", 9: "USD", 10: "AAPL", 11: "NMS",
        12: "BUY", 14: "MKT", 15: "0.0", 16: "0.0", 17: "DAY", 19: "DU1234567", 20: "", 22: REF, 23: "1824933227",
        39: "-1", 45: "2147483647", 49: "3", 53: "None", 58: "", 67: "2147483647", 68: "2147483647", 72: "IB",
        77: status, 81: UNSET, 82: UNSET, 84: "1", 87: "100", 88: "2147483647",
        90: "Not an insider or substantial shareholder", 93: "9223372036854775807",
        94: "20230306 12:28:30 America/Los_Angeles", 95: "Filled Size: 100",
    }  # fmt: skip
    return filled_in(101 if server >= 170 else 96, {**zeros, **facts})


class Tape:
    """Plays messages to the library's decoder; ``heard`` is what a broker would tell, ``told`` what was decoded."""

    def __init__(self, server: int = 173) -> None:
        library = load()
        self.heard: list[Heard] = []
        self.told: list[Told] = []
        self.unread: list[str] = []
        self.book, self.deals = Book(100), Deals()
        self.listening = Listening(self.book, self.deals, self.heard.append, lambda: NOW, 1.0)
        receiver = Receiver(self._take, lambda *_: None, lambda *_: None, self.book.valid, "Europe/London")
        self.client = library.Client(receiver)
        self.client.decoder.serverVersion = server
        self.client.decoder.logger = self

    def exception(self, text: str) -> None:
        self.unread.append(text)

    def _take(self, one: Told) -> None:
        self.told.append(one)
        self.listening.told(one)

    def play(self, *messages: Fields) -> Tape:
        for fields in messages:
            self.client.decoder.interpret(list(fields))
        assert self.unread == [], "each recorded message can be read"
        return self


def playing(scenario: Callable[[], Tape | None]) -> Tape:
    """Run in an event loop, as the libraries need it."""

    async def inside() -> Tape:
        tape = scenario()
        assert tape is not None
        return tape

    return asyncio.run(inside())


def lived(heard: Sequence[Heard]) -> tuple[list[str], Order, GatewayCore]:
    """What the gateway's core makes of it: the states that the order went through, and how it stands."""
    core = GatewayCore("gateway", writers("gateway"), traits(outside_rth=False))
    play = Playbook(core)
    play >> VenueLink(True) >> snapshot(1) << ...
    play >> approved(intent(id=REF, symbol="AAPL", quantity=D(100))) << ...
    states = []
    for one in heard:
        if not isinstance(one, Condition):
            play >> one  # type: ignore[operator]
            states += [told.status.value for told in play.heard(Order) if told.id == REF]
    return states, core.ledger.orders[REF], core


def market_order() -> list[Fields]:
    """The recorded sequence: the execution comes before the status, and no Submitted at all."""
    return [
        told_order("PreSubmitted"), told_status("PreSubmitted"), told_execution(), told_order("Filled"),
        told_status("Filled", "100", "201.94"), told_order("Filled", cost="1.0"), told_cost(),
    ]  # fmt: skip


def test_the_recorded_market_order_is_accepted_and_filled_once() -> None:
    tape = playing(lambda: Tape().play(*market_order()))
    accepted, fill, filled = tape.heard
    assert isinstance(accepted, VenueReport)
    assert (accepted.event, accepted.order_id, accepted.venue_id) == (OrderEvent.ACCEPT, REF, "600745656")
    assert isinstance(fill, VenueFill)
    assert fill == VenueFill(
        "0000e0d5.67fe667b.01", REF, "AAPL", Side.BUY, D(100), D("201.94"), D("1"), 1_744_742_311 * 10**9, NOW
    )
    assert isinstance(filled, VenueReport)
    assert (filled.event, filled.filled) == (OrderEvent.FILL, D(100))
    states, order, core = lived(tape.heard)
    assert states == ["accepted", "filled"]
    assert (order.status, order.average_price, order.venue_id) == (OrderStatus.FILLED, D("201.94"), "600745656")
    assert core.ledger.account[""].cash == D(100_000) - 100 * D("201.94") - 1
    assert core.ledger.blocked == {}


@pytest.mark.parametrize("server", [164, 173, 176])
def test_the_recorded_open_order_is_read_at_each_version(server: int) -> None:
    tape = playing(lambda: Tape(server).play(told_order("PreSubmitted", server)))
    (seen,) = tape.told
    assert isinstance(seen, Seen)
    assert (seen.order_id, seen.client, seen.perm_id, seen.con_id) == (5, 100, 600745656, 265598)
    assert (seen.ticket.ref, seen.ticket.limit, seen.ticket.trail_stop) == (REF, None, None)
    shown = open_order(works([seen])[0], D(0))
    assert (shown.symbol, shown.side, shown.quantity, shown.venue_id) == ("AAPL", Side.BUY, D(100), "600745656")


@pytest.mark.parametrize("server", [164, 173, 176])
def test_the_recorded_completed_order_says_how_it_ended_and_how_much_of_it(server: int) -> None:
    tape = playing(lambda: Tape(server).play(told_completed(server)))
    assert tape.told == [Done(REF, 1824933227, "DU1234567", "Filled", D(100), "Filled Size: 100")]
    assert ending(tape.told[0]) is OrderEvent.FILL


def test_an_execution_with_a_zone_and_one_without_are_at_their_time() -> None:
    with_zone = told_execution()
    with_zone[15] = "20250415 19:38:31 US/Eastern"
    tape = playing(lambda: Tape().play(told_execution(), with_zone))
    times = [one.time // 10**9 for one in tape.told if isinstance(one, Deal)]
    assert times == [1_744_742_311, 1_744_760_311]


def test_the_recorded_cancel_ends_an_order_once() -> None:
    messages = [
        told_order("PreSubmitted"), told_status("PreSubmitted"), told_order("Submitted"), told_status("Submitted"),
        told_status("Cancelled"), ["4", "2", "5", "202", "Order Canceled - reason:", ""],
    ]  # fmt: skip
    tape = playing(lambda: Tape().play(*messages))
    assert [one.event for one in tape.heard if isinstance(one, VenueReport)] == [OrderEvent.ACCEPT, OrderEvent.CANCEL]
    states, _, core = lived(tape.heard)
    assert states == ["accepted", "canceled"]
    assert core.ledger.blocked == {}


def test_a_partial_fill_and_the_cancel_of_the_rest_book_what_was_filled() -> None:
    messages = [
        told_order("Submitted"), told_status("Submitted"), told_execution("40", total="40"),
        told_status("Submitted", "40", "201.94"), told_status("Cancelled", "40", "201.94"),
        told_cost("0.4"), ["4", "2", "5", "202", "Order Canceled - reason:", ""],
    ]  # fmt: skip
    states, order, core = lived(playing(lambda: Tape().play(*messages)).heard)
    assert states == ["accepted", "partially_filled", "canceled"]
    assert (order.filled, core.ledger.position("AAPL")) == (D(40), D(40))
    assert core.ledger.account[""].cash == D(100_000) - 40 * D("201.94") - D("0.4")


def test_the_rejection_of_an_order_that_works_is_told_before_it_is_inactive() -> None:
    refusal = "Order rejected - reason:The contract is not available for short sale."
    messages = [
        told_order("Submitted"), told_status("Submitted"),
        ["4", "2", "5", "201", refusal, ""], told_order("Inactive"), told_status("Inactive"),
    ]  # fmt: skip
    tape = playing(lambda: Tape().play(*messages))
    states, order, _ = lived(tape.heard)
    assert states == ["accepted", "rejected"]
    assert tape.heard[-1].code == Rejection.NOT_SHORTABLE.value  # type: ignore[union-attr]
    assert order.text == refusal


def test_the_rejection_of_an_order_just_sent_is_its_answer() -> None:
    def scenario() -> Tape:
        tape = Tape()
        known = tape.book.seen(Seen(5, 100, 0, "AAPL", 265598, _asked(tape), ""))
        assert known is not None
        with tape.listening.wishing(Wish.SUBMIT, known) as wished:
            text = "Order rejected - reason:YOUR EQUITY WITH LOAN VALUE MUST EXCEED THE INITIAL MARGIN"
            tape.play(["4", "2", "5", "201", text, ""], told_order("Inactive"), told_status("Inactive"))
            report = wished.answer.result()
        assert isinstance(report, VenueReport)
        assert (report.event, report.code) == (OrderEvent.REJECT, Rejection.BUYING_POWER.value)
        assert tape.heard == [], "the answer is all there is to tell"
        return tape

    playing(scenario)


@pytest.mark.parametrize(
    ("why", "event"),
    [("", OrderEvent.CANCEL), ("The contract is not available for short sale.", OrderEvent.REJECT)],
)
def test_an_order_that_is_cancelled_before_it_worked_is_refused_where_a_reason_is_given(
    why: str, event: OrderEvent
) -> None:
    def scenario() -> Tape:
        tape = Tape()
        known = tape.book.seen(Seen(5, 100, 0, "AAPL", 265598, _asked(tape), ""))
        assert known is not None
        with tape.listening.wishing(Wish.SUBMIT, known) as wished:
            tape.play(told_status("Cancelled"), ["4", "2", "5", "202", f"Order Canceled - reason:{why}", ""])
            report = wished.answer.result()
        assert isinstance(report, VenueReport)
        assert report.event is event
        assert tape.heard == []
        return tape

    playing(scenario)


def _asked(tape: Tape) -> object:
    tape.play(told_order("PendingSubmit"))
    seen = tape.told[-1]
    assert isinstance(seen, Seen)
    return seen.ticket


def test_the_same_messages_twice_change_nothing() -> None:
    once = playing(lambda: Tape().play(*market_order()))
    twice = playing(lambda: Tape().play(*market_order(), *market_order()))
    assert once.heard == twice.heard


def test_a_status_without_its_execution_is_asked_about_and_not_believed() -> None:
    messages = [told_order("Submitted"), told_status("Submitted"), told_status("Filled", "100", "201.94")]
    states, order, _ = lived(playing(lambda: Tape().play(*messages)).heard)
    assert states == ["accepted"], "fills come from executions only"
    assert order.filled == 0
