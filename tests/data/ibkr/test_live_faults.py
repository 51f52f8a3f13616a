"""Each way in which a gateway fails while live data come from it, and what the source says of it."""

from __future__ import annotations

import socket
import time

import pytest

from appliance.data.sources.base import Kind, Linked, Oddity, Wire
from appliance.data.sources.ibkr import IbkrOptions
from appliance.domain.market import Bar, Quote
from appliance.errors import SourceBusy, SourceDown, SourceNonsense
from tests.data.ibkr.conftest import LiveOf
from tests.data.source_contract import Listening
from tests.standins.ibkr import IbkrStandIn
from tests.standins.ibkr.peer import frame

ALL = [Kind.BARS, Kind.QUOTES, Kind.TRADES, Kind.STATUSES]
EPOCH = 1_381_152_600
BAR = (EPOCH, 100.0, 101.0, 99.5, 100.5, 1200, 100.2, 31)


def test_a_half_open_connection_is_found_by_the_heartbeat(gateway: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(gateway, beat=0.2), ["SPY"], ALL) as listening:
        listening.linked()
        begun = time.monotonic()
        gateway.faults.half_open = True
        error = listening.ended()
    assert isinstance(error, SourceDown)
    assert "no answer" in str(error)
    assert time.monotonic() - begun < 5.0
    gateway.faults.clear()
    gateway.log.until("closed")  # the socket was dropped, although the gateway did not answer


def test_with_the_usual_options_silence_is_found_within_ten_seconds() -> None:
    assert IbkrOptions().beat * 2 <= 10.0  # the wait for the next heartbeat, and for its answer


def test_a_gateway_that_takes_the_connection_and_never_answers_is_down_in_time(
    one: IbkrStandIn, stream: LiveOf
) -> None:
    one.faults.refuse = True
    begun = time.monotonic()
    with Listening(stream(one, connect=0.4), ["SPY"], ALL) as listening:
        error = listening.ended()
    assert isinstance(error, SourceDown)
    assert "does not answer" in str(error)
    assert time.monotonic() - begun < 3.0
    one.faults.clear()
    one.log.until("closed")


def test_a_gateway_that_wakes_up_by_half_is_down_in_time(one: IbkrStandIn, stream: LiveOf) -> None:
    """It greets us and does not let us in."""
    one.faults.silent = frozenset({"71"})
    with Listening(stream(one, connect=0.3), ["SPY"], ALL) as listening:
        error = listening.ended(5.0)
    assert isinstance(error, SourceDown)
    assert "does not answer within 0.3 s" in str(error)


@pytest.mark.parametrize("unanswered", ["9", "49"])
def test_questions_that_are_not_answered_end_the_connection(one: IbkrStandIn, stream: LiveOf, unanswered: str) -> None:
    one.faults.silent = frozenset({unanswered})
    with Listening(stream(one, answer=0.3), ["SPY"], ALL) as listening:
        error = listening.ended(5.0)
    assert isinstance(error, SourceDown)
    assert "no answer within 0.3 s" in str(error)


def test_a_gateway_that_is_not_there_is_down_at_once(one: IbkrStandIn, stream: LiveOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Listening(stream(one, port=port), ["SPY"], ALL) as listening:
        error = listening.ended()
    assert isinstance(error, SourceDown)
    assert f"127.0.0.1:{port}" in str(error)
    assert "is the gateway running?" in str(error)


def test_what_speaks_another_protocol_is_no_gateway(one: IbkrStandIn, stream: LiveOf) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Listening(stream(one, port=server.getsockname()[1], connect=0.4), ["SPY"], ALL) as listening,
    ):
        peer, _ = server.accept()
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        error = listening.ended()
        peer.close()
    assert isinstance(error, SourceNonsense)
    assert "HTTP/1.1 400" in str(error)


def test_a_reset_connection_ends_at_once(gateway: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(gateway, beat=60.0), ["SPY"], ALL) as listening:
        listening.linked()
        begun = time.monotonic()
        gateway.hang_up()
        error = listening.ended()
    assert isinstance(error, SourceDown)
    assert time.monotonic() - begun < 1.0


def test_a_client_id_that_is_taken_gives_way_to_the_next(gateway: IbkrStandIn, stream: LiveOf) -> None:
    gateway.session.taken = {17}
    begun = time.monotonic()
    with Listening(stream(gateway, connect=4.0), ["SPY"], ALL) as listening:
        assert listening.linked().symbols == ("SPY",)
        assert time.monotonic() - begun < 3.0, "326 is not waited out"
    assert [entry.fields[2] for entry in gateway.log.of("received", "71")] == ["17", "19"]


def test_when_all_client_ids_are_taken_the_source_is_busy_and_says_so(one: IbkrStandIn, stream: LiveOf) -> None:
    one.session.taken = set(range(17, 25))
    with Listening(stream(one), ["SPY"], ALL) as listening:
        error = listening.ended()
    assert isinstance(error, SourceBusy)
    assert error.wait > 0
    assert "client_id" in str(error)


def test_after_lost_data_all_is_subscribed_again_and_linked_again(gateway: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(gateway), ["SPY", "IBM"], ALL) as listening:
        listening.linked()
        gateway.lose()
        gateway.restore(data_lost=True)
        told = listening.until(lambda told: sum(isinstance(one, Linked) for one in told) >= 2)
        assert gateway.push_bars("SPY", BAR) == 1
        listening.until(lambda told: any(isinstance(one, Bar) for one in told))
    again = [entry.fields for entry in gateway.log.of("received", "50")]
    assert len(again) == 4
    assert len({fields[2] for fields in again}) == 4, "each request has an id of its own"
    assert len(gateway.log.of("received", "1")) == 4
    assert next(one.text for one in told if isinstance(one, Oddity)).endswith("(code 1100)")
    assert len(gateway.log.of("connected")) == 1, "the socket was kept"


def test_what_ib_was_too_busy_for_is_asked_for_again(one: IbkrStandIn, stream: LiveOf) -> None:
    one.market.refused["IBM"] = (420, "Invalid Real-time Query:Historical data request pacing violation")
    with Listening(stream(one, retry=0.2), ["SPY", "IBM"], ALL) as listening:
        assert list(listening.linked().lacking) == ["IBM"]
        del one.market.refused["IBM"]
        told = listening.until(lambda told: any(isinstance(one, Linked) and not one.lacking for one in told))
        assert [one.anew for one in told if isinstance(one, Linked)][-1] == ("IBM",), "SPY was heard all the time"
        assert one.push_bars("IBM", BAR) == 1
        assert one.push_bars("SPY", BAR) == 1
        listening.until(lambda told: {one.symbol for one in told if isinstance(one, Bar)} == {"IBM", "SPY"})
    asked = [entry.fields[4] for entry in one.log.of("received", "50")]
    assert asked.count("SPY") == 1, "only what was refused is asked for again"


def test_after_maintained_data_nothing_is_subscribed_again(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one), ["SPY"], ALL) as listening:
        listening.linked()
        one.lose()
        one.restore(data_lost=False)
        assert one.push_bars("SPY", BAR) == 1
        listening.until(lambda told: any(isinstance(one, Bar) for one in told))
    assert len(one.log.of("received", "50")) == 1
    assert listening.of(Linked) == [Linked(("SPY",))] * 2, "what happened meanwhile was not told, of any symbol"


@pytest.mark.parametrize(
    ("breaks", "mends"),
    [
        (
            (1100, "Connectivity between IBKR and Trader Workstation has been lost."),
            (1102, "restored - data maintained"),
        ),
        ((2103, "Market data farm connection is broken:usfarm"), (2104, "Market data farm connection is OK:usfarm")),
        ((2110, "Connectivity between Trader Workstation and server is broken."), (2104, "connection is OK:usfarm")),
    ],
)
def test_a_gateway_that_is_cut_off_is_no_sign_of_life_however_it_answers(
    one: IbkrStandIn, stream: LiveOf, breaks: tuple[int, str], mends: tuple[int, str]
) -> None:
    with Listening(stream(one, beat=0.05), ["SPY"], ALL) as listening:
        listening.until(lambda told: any(isinstance(one, Wire) for one in told))
        one.push_error(*breaks)
        listening.until(lambda told: any(isinstance(one, Oddity) and str(breaks[0]) in one.text for one in told))
        quiet = len(listening.of(Wire))
        answered = len(one.log.of("sent", "49"))
        one.log.until("sent", "49", answered + 4)
        assert len(listening.of(Wire)) <= quiet
        one.push_error(*mends)
        listening.until(lambda told: sum(isinstance(one, Wire) for one in told) > quiet)


def test_a_reset_port_ends_the_connection(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one), ["SPY"], ALL) as listening:
        listening.linked()
        one.push_error(1300, "TWS socket port has been reset and this connection is being dropped.")
        error = listening.ended()
    assert isinstance(error, SourceDown)
    assert "1300" in str(error)


def test_a_mute_gateway_still_answers_heartbeats_and_tells_no_data(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one, beat=0.05), ["SPY"], ALL) as listening:
        listening.linked()
        one.faults.mute = True
        assert one.push_bars("SPY", BAR) == 0
        seen = len(listening.of(Wire))
        listening.until(lambda told: sum(isinstance(one, Wire) for one in told) >= seen + 3)
    assert listening.of(Bar, Quote) == []


def test_a_slow_gateway_is_waited_for(one: IbkrStandIn, stream: LiveOf) -> None:
    one.faults.slow = 0.1
    with Listening(stream(one), ["SPY"], ALL) as listening:
        assert listening.linked().symbols == ("SPY",)


@pytest.mark.parametrize(
    "broken",
    [
        frame(["50", "3", "7"]),
        frame(["50", "3", "7", "x", "1", "1", "1", "1", "1", "1", "1"]),
        frame(["99999", "1"]),
        frame(["not a number"]),
        frame([""]),
    ],
)
def test_a_malformed_message_is_said_and_the_next_is_read(gateway: IbkrStandIn, stream: LiveOf, broken: bytes) -> None:
    with Listening(stream(gateway), ["SPY"], ALL) as listening:
        listening.linked()
        gateway.push_raw(broken)
        gateway.push_bars("SPY", BAR)
        listening.until(lambda told: any(isinstance(one, Bar) for one in told))
    assert [one for one in listening.of(Oddity) if "cannot be read" in one.text]


def test_a_frame_that_never_ends_is_found_by_the_heartbeat(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one, beat=0.2), ["SPY"], ALL) as listening:
        listening.linked()
        one.push_raw(b"\x7f\xff\xff\xff")
        error = listening.ended()
    assert isinstance(error, SourceDown)


def test_order_repetition_and_holes_are_told_as_they_come(one: IbkrStandIn, stream: LiveOf) -> None:
    """Who listens puts them right: the source neither sorts nor fills."""
    bars = [(EPOCH + 5 * number, *BAR[1:]) for number in range(4)]
    with Listening(stream(one), ["SPY"], ALL) as listening:
        listening.linked()
        one.faults.gap, one.faults.twice, one.faults.backwards = 1, True, True
        one.push_bars("SPY", *bars)
        listening.until(lambda told: sum(isinstance(one, Bar) for one in told) >= 6)
    starts = [(bar.start // 10**9 - EPOCH) // 5 for bar in listening.of(Bar)]
    assert starts == [3, 3, 2, 2, 1, 1]


def test_leaving_says_goodbye_so_that_the_id_is_free_again(one: IbkrStandIn, stream: LiveOf) -> None:
    for times in (1, 2):
        with Listening(stream(one), ["SPY"], ALL) as listening:
            listening.linked()
        one.log.until("closed", count=times)
    assert {entry.fields[2] for entry in one.log.of("received", "71")} == {"17"}


def test_nothing_of_the_account_is_asked(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one), ["SPY"], ALL) as listening:
        listening.linked()
    asked = {entry.fields[0] for entry in one.log.of("received")}
    assert {kind for kind in asked if kind.isdigit()} == {"71", "9", "1", "50", "49"}
