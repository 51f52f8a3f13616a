from __future__ import annotations

import gc
import logging
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from appliance.data.sources.alpaca import AlpacaLive, AlpacaOptions
from appliance.data.sources.alpaca.refusals import stream_refusal
from appliance.data.sources.base import Kind, Oddity, Told, Wire
from appliance.domain.market import SECOND, Bar, Quote
from appliance.errors import SourceBusy, SourceDown, SourceError, SourceNonsense, SourceRefused
from tests.data.alpaca.conftest import LiveOf
from tests.data.source_contract import Listening
from tests.standins.alpaca import AlpacaStandIn, Market
from tests.standins.alpaca.market import bar, quote
from tests.standins.alpaca.server import SECRET
from tests.standins.http import HttpServer, Reply

SPY = ("SPY",)


def error_of(source: AlpacaLive, symbols: Sequence[str] = SPY) -> SourceError:
    """What ends the connection before it is linked; its text never holds the secret."""
    with Listening(source, symbols, [Kind.QUOTES, Kind.BARS]) as heard:
        error = heard.ended()
    assert SECRET not in str(error) + repr(error)
    return error


def quotes(told: Sequence[Told]) -> list[int]:
    return [one.time for one in told if isinstance(one, Quote)]


def q(time: int) -> dict[str, object]:
    return {"T": "q", "S": "SPY", **quote(time, 1, 2)}


@pytest.fixture
def linked(stream: LiveOf) -> Iterator[Listening]:
    with Listening(stream(), SPY, [Kind.QUOTES, Kind.BARS]) as heard:
        heard.linked()
        yield heard


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (402, SourceRefused, "refuses the key PKST…: auth failed (402"),
        (404, SourceDown, "auth timeout (404"),
        (406, SourceBusy, "connection limit exceeded (406"),
        (408, SourceRefused, "v2 not enabled (408"),
        (409, SourceRefused, "insufficient subscription (409"),
        (411, SourceRefused, "insufficient scope (411"),
        (500, SourceDown, "internal error (500"),
    ],
)
def test_who_is_not_let_in_is_told_why(
    server: AlpacaStandIn, stream: LiveOf, code: int, kind: type[SourceError], text: str
) -> None:
    server.faults.greeting = code
    error = error_of(stream())
    assert type(error) is kind
    assert text in str(error)
    assert len(server.log.of("connected")) == 1, "one call is one connection"


def test_wrong_keys_are_refused_with_where_to_set_them(stream: LiveOf) -> None:
    error = error_of(stream(key="PKWRONG000000000000"))
    assert isinstance(error, SourceRefused)
    assert "refuses the key PKWR…" in error.text
    assert "as the source's credential" in error.hint


@pytest.mark.parametrize(
    ("code", "kind"),
    [(400, SourceNonsense), (410, SourceRefused), (405, SourceRefused), (401, SourceRefused)],
)
def test_a_subscription_that_is_refused_ends_the_connection(
    server: AlpacaStandIn, stream: LiveOf, code: int, kind: type[SourceError]
) -> None:
    server.faults.subscribing = code
    error = error_of(stream())
    assert type(error) is kind
    assert f"({code}: " in str(error)


def test_a_feed_without_trading_status_tells_the_rest_and_says_what_it_lacks(
    server: AlpacaStandIn, stream: LiveOf
) -> None:
    server.faults.without = "statuses"
    with Listening(stream(), SPY, list(Kind)) as heard:
        heard.linked()
        server.push(q(5))
        told = heard.until(quotes)
    assert any(isinstance(one, Oddity) and "no halts and price bands" in one.text for one in told)
    assert "lulds" not in server.log.of("received")[-1].facts["message"]


@pytest.mark.parametrize("where", ["ws", "http"])
def test_a_redirection_is_not_followed_with_our_keys(server: AlpacaStandIn, stream: LiveOf, where: str) -> None:
    there = {"ws": server.stream_url + "/v2/iex", "http": "http://127.0.0.1:1"}[where]
    with HttpServer(lambda _: Reply(b"", 302, {"Location": there})) as other:
        error = error_of(stream(stream_url=other.url.replace("http", "ws")))
    assert isinstance(error, SourceNonsense)
    assert "redirection" in error.text
    assert not server.log.of("connected")


@pytest.mark.parametrize("time", [2**40, -1, -(2**40)])
def test_a_time_that_no_calendar_has_is_odd(server: AlpacaStandIn, stream: LiveOf, time: int) -> None:
    with Listening(stream(), SPY, list(Kind)) as heard:
        heard.linked()
        server.push(q(time * SECOND))
        told = heard.until(lambda told: [one for one in told if isinstance(one, Oddity)])
    (odd,) = [one for one in told if isinstance(one, Oddity)]
    assert "outside 1970 to 2100" in odd.text


def test_a_frame_that_is_too_big_is_told_as_such(server: AlpacaStandIn, linked: Listening) -> None:
    server.push({**q(5), "junk": "x" * 2_000_000})
    error = linked.ended()
    assert isinstance(error, SourceNonsense)
    assert "a frame of more than a million bytes" in error.text


def test_of_what_is_said_without_end_the_beginning_is_told() -> None:
    error = stream_refusal({"code": 999, "msg": "x" * 10**6}, AlpacaOptions(key="k", secret="s"))
    assert len(error.text) < 300


def test_a_limit_below_that_of_the_free_plan_is_refused_by_number(market: Market, stream: LiveOf) -> None:
    with AlpacaStandIn(market, symbols=3) as small:
        error = error_of(stream(small), [f"A{chr(65 + n)}" for n in range(40)])
    assert isinstance(error, SourceRefused)
    assert "symbol limit exceeded: no 30 symbols in quotes, bars" in str(error)


def test_a_second_connection_is_busy_and_the_first_goes_on(
    server: AlpacaStandIn, stream: LiveOf, linked: Listening
) -> None:
    error = error_of(stream())
    assert isinstance(error, SourceBusy)
    assert error.wait >= SECOND
    server.push(q(5))
    assert quotes(linked.until(quotes)) == [5]


def test_a_slot_that_another_program_holds_is_busy_until_it_is_free(server: AlpacaStandIn, stream: LiveOf) -> None:
    server.faults.taken = True
    error = error_of(stream())
    assert isinstance(error, SourceBusy)
    assert error.wait == 10 * SECOND
    server.faults.taken = False
    with Listening(stream(), SPY, [Kind.QUOTES]) as heard:
        heard.linked()


@pytest.mark.parametrize(("code", "kind"), [(407, SourceDown), (406, SourceBusy), (500, SourceDown), (412, SourceDown)])
def test_an_error_in_the_middle_ends_the_connection(
    server: AlpacaStandIn, linked: Listening, code: int, kind: type[SourceError]
) -> None:
    server.raw(_error(code))
    assert type(linked.ended()) is kind


def test_already_authenticated_is_an_oddity_and_no_end(server: AlpacaStandIn, linked: Listening) -> None:
    server.error(403)
    server.push(q(5))
    told = linked.until(quotes)
    assert any(isinstance(one, Oddity) and "already authenticated" in one.text for one in told)


def test_a_handshake_answered_by_429_is_busy(server: AlpacaStandIn, stream: LiveOf) -> None:
    server.faults.retry_after = 4
    server.faults.busy = True
    error = error_of(stream())
    assert isinstance(error, SourceBusy)
    assert error.wait == 4 * SECOND


def test_a_handshake_that_fails_on_their_side_is_down(server: AlpacaStandIn, stream: LiveOf) -> None:
    server.faults.broken = 503
    assert isinstance(error_of(stream()), SourceDown)


def test_an_unknown_endpoint_is_refused(stream: LiveOf, server: AlpacaStandIn) -> None:
    error = error_of(stream(stream_url=f"{server.stream_url}/elsewhere"))
    assert isinstance(error, SourceRefused)
    assert "HTTP 404" in str(error)


def test_a_page_of_html_where_the_stream_should_be_is_nonsense(stream: LiveOf) -> None:
    with answering(b"<html><body>Please log in</body></html>\r\n\r\n") as url:
        assert isinstance(error_of(stream(stream_url=url)), SourceNonsense)


def test_a_handshake_that_is_cut_off_is_down(server: AlpacaStandIn, stream: LiveOf) -> None:
    server.faults.reset = True
    assert isinstance(error_of(stream()), SourceDown)


def test_nobody_at_the_address_is_down(stream: LiveOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert isinstance(error_of(stream(stream_url=f"ws://127.0.0.1:{port}")), SourceDown)


@pytest.mark.parametrize("latency", [0.0, 30.0])
def test_a_server_that_says_nothing_is_down_in_time(server: AlpacaStandIn, stream: LiveOf, latency: float) -> None:
    server.faults.latency = latency
    server.faults.half_open = not latency
    began = time.monotonic()
    assert isinstance(error_of(stream(connect=0.3, answer=0.3)), SourceDown)
    assert time.monotonic() - began < 2.5


def test_a_half_open_connection_is_found_by_its_missing_pong(server: AlpacaStandIn, linked: Listening) -> None:
    began = time.monotonic()
    server.freeze()
    error = linked.ended()
    assert isinstance(error, SourceDown)
    assert "half-open" in str(error)
    assert time.monotonic() - began < 2 * 0.5 + 1
    server.thaw()


def test_with_the_usual_patience_a_half_open_connection_is_found_within_ten_seconds(
    server: AlpacaStandIn, stream: LiveOf
) -> None:
    with Listening(stream(ping=AlpacaOptions().ping), SPY, [Kind.QUOTES]) as heard:
        heard.linked()
        heard.until(lambda told: any(isinstance(one, Wire) for one in told))
        server.freeze()
        began = time.monotonic()
        assert isinstance(heard.ended(), SourceDown)
        took = time.monotonic() - began
        server.thaw()
    assert 4 < took < 10


def test_it_leaves_nothing_behind_when_it_is_stopped_and_nobody_answers(
    server: AlpacaStandIn, stream: LiveOf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)  # what asyncio says of tasks left behind; another test may have asked for more
    with Listening(stream(ping=30.0), SPY, [Kind.QUOTES]) as heard:
        heard.linked()
        server.freeze()
    gc.collect()
    assert heard.error is None
    assert caplog.records == []
    server.thaw()


def test_it_can_be_stopped_while_it_is_not_let_in(server: AlpacaStandIn, stream: LiveOf) -> None:
    server.faults.half_open = True
    with Listening(stream(connect=20.0, answer=20.0), SPY, [Kind.QUOTES]) as heard:
        server.log.until(lambda log: any(entry.what == "connected" for entry in log))
        heard.stop.set()
    assert heard.error is None


def test_a_mute_connection_shows_signs_of_life_and_no_data(server: AlpacaStandIn, linked: Listening) -> None:
    server.faults.mute = True
    assert server.push(q(5)) == 0
    count = len(linked.of(Wire))
    linked.until(lambda told: sum(isinstance(one, Wire) for one in told) >= count + 2)
    assert linked.of(Quote, Bar) == []
    server.faults.mute = False
    server.push(q(6))
    assert quotes(linked.until(quotes)) == [6]


def test_a_connection_that_is_reset_is_down_at_once(server: AlpacaStandIn, linked: Listening) -> None:
    server.hang_up()
    error = linked.ended(1.0)
    assert isinstance(error, SourceDown)
    assert "hung up" in str(error)


@pytest.mark.parametrize(
    "frame",
    [b"\xc1 no msgpack", b"\x91", b"\x2a", "<html>", b"\x92\x2a\x91\x01", b"\x91\x81\xa1T\xa1?", b"\x91\x81\xa1T\xa1q"],
)
def test_a_frame_that_cannot_be_read_is_an_oddity_and_the_next_is_told(
    server: AlpacaStandIn, linked: Listening, frame: bytes | str
) -> None:
    server.raw(frame)
    server.push(q(5))
    assert quotes(linked.until(quotes)) == [5]
    assert linked.of(Oddity) != []


def test_what_can_be_read_of_a_frame_is_told(server: AlpacaStandIn, linked: Listening) -> None:
    server.push(q(5), {"T": "q", "S": "SPY", "bp": "1.0", "t": 6}, {"T": "b", "S": "SPY", "t": 7}, q(8))
    told = linked.until(lambda told: 8 in quotes(told))
    assert quotes(told) == [5, 8]
    texts = [one.text for one in told if isinstance(one, Oddity)]
    assert len(texts) == 2
    assert "bs is None" in texts[0] or "bp is '1.0'" in texts[0]


def test_a_stream_of_which_nothing_can_be_read_is_nonsense(server: AlpacaStandIn, linked: Listening) -> None:
    for _ in range(20):
        server.raw(b"\xc1")
    error = linked.ended()
    assert isinstance(error, SourceNonsense)
    assert "frames that cannot be read: b'\\xc1'" in str(error)


@pytest.mark.parametrize(
    ("fault", "value", "seen"),
    [("backwards", True, [3, 2, 1]), ("twice", True, [1, 1, 2, 2, 3, 3]), ("gap", 2, [3])],
)
def test_order_and_number_are_told_as_they_came(
    server: AlpacaStandIn, linked: Listening, fault: str, value: object, seen: list[int]
) -> None:
    setattr(server.faults, fault, value)
    server.push(q(1), q(2), q(3))
    told = linked.until(lambda told: len(quotes(told)) == len(seen))
    assert quotes(told) == seen


def test_ten_thousand_quotes_come_complete_and_in_order(server: AlpacaStandIn, linked: Listening) -> None:
    for first in range(1, 10_001, 100):
        server.push(*(q(first + n) for n in range(100)))
    told = linked.until(lambda told: any(isinstance(one, Quote) and one.time == 10_000 for one in told[-20:]))
    assert quotes(told) == list(range(1, 10_001))


def test_data_before_the_subscription_is_confirmed_comes_after_linked(server: AlpacaStandIn, stream: LiveOf) -> None:
    server.faults.latency = 0.3
    with Listening(stream(answer=2.0), SPY, [Kind.BARS]) as heard:
        server.log.until(lambda log: any("bars" in (entry.facts.get("message") or ()) for entry in log))
        server.raw(_frame({"T": "b", "S": "SPY", **bar(60 * SECOND, 1, 2, 1, 2, 5)}))
        heard.linked()
        told = heard.until(lambda told: any(isinstance(one, Bar) for one in told))
    assert sum(isinstance(one, Bar) for one in told) == 1


class answering:
    """A server that answers every connection with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"ws://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                client.sendall(self._answer)


def _error(code: int) -> bytes:
    return _frame({"T": "error", "code": code, "msg": "so it is"})


def _frame(*messages: dict[str, object]) -> bytes:
    import msgpack

    stamped = [{**one, "t": msgpack.Timestamp.from_unix_nano(one["t"])} if "t" in one else one for one in messages]
    frame: bytes = msgpack.packb(stamped)
    return frame
