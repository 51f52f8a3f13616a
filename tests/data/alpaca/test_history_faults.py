from __future__ import annotations

import socket
import time
from datetime import date
from importlib import import_module
from itertools import chain, count

import pytest

from appliance.data.options import midnight
from appliance.data.sources.alpaca import AlpacaHistory, AlpacaOptions
from appliance.domain.market import DAY, HOUR, MINUTE, SECOND
from appliance.errors import WAIT_MAX, SourceBusy, SourceDown, SourceError, SourceNonsense, SourceRefused, UsageError
from tests.data.alpaca.conftest import HistoryOf, Options
from tests.standins.alpaca import AlpacaStandIn, Market, minutes
from tests.standins.alpaca.server import SECRET
from tests.standins.http import HttpServer, Reply, as_json

OPEN = midnight(date(2013, 10, 7)) + 9 * HOUR + 30 * MINUTE
END = OPEN + 100 * MINUTE


@pytest.fixture(autouse=True)
def some_bars(market: Market) -> None:
    market.add("bars", "SPY", minutes(OPEN, 100))


def ask(source: AlpacaHistory, symbol: str = "SPY") -> int:
    """How many bars are told."""
    return len(list(chain.from_iterable(source.bars([symbol], "1m", OPEN, END))))


def error_of(source: AlpacaHistory, symbol: str = "SPY") -> SourceError:
    """What it raises instead; its text never holds the secret."""
    with pytest.raises(SourceError) as caught:
        ask(source, symbol)
    assert SECRET not in str(caught.value) + repr(caught.value)
    return caught.value


def test_wrong_keys_are_refused_with_where_to_set_them(server: AlpacaStandIn, past: HistoryOf) -> None:
    error = error_of(past(key="PKWRONG000000000000", secret=SECRET))
    assert isinstance(error, SourceRefused)
    assert error.text == "alpaca: refuses the key PKWR… (HTTP 401: unauthorized)"
    assert "as the source's credential" in error.hint
    assert len(server.log.of("request")) == 1


def test_a_feed_the_plan_does_not_have_is_refused_with_another_one(market: Market, past: HistoryOf) -> None:
    now = time.time_ns()
    with pytest.raises(SourceRefused, match="querying recent SIP data") as caught:
        list(past(feed="sip").bars(["SPY"], "1m", now - HOUR, now))
    assert "set feed to iex or delayed_sip" in caught.value.hint


@pytest.mark.parametrize("symbol", ["spy", "TOOLONGONE", "BTC/USD"])
def test_an_unknown_symbol_is_refused_by_name(past: HistoryOf, symbol: str) -> None:
    error = error_of(past(), symbol)
    assert isinstance(error, SourceRefused)
    assert f"refuses {symbol} (HTTP 422: invalid symbol: {symbol})" in str(error)


def test_too_many_requests_say_how_long_to_wait(server: AlpacaStandIn, past: HistoryOf) -> None:
    server.faults.busy = True
    error = error_of(past())
    assert isinstance(error, SourceBusy)
    assert SECOND <= error.wait <= 62 * SECOND
    assert len(server.log.of("request")) == 1, "who asks decides when to ask again"


def test_retry_after_goes_before_the_window(server: AlpacaStandIn, past: HistoryOf) -> None:
    server.faults.retry_after = 7
    server.faults.busy = True
    assert error_of(past()).wait == 8 * SECOND


def test_the_rate_limit_of_every_reply_is_known(server: AlpacaStandIn, past: HistoryOf) -> None:
    source = past()
    assert (source.remaining, source.resets) == (None, None)
    ask(source)
    ask(source)
    assert source.remaining in (198, 199)
    assert source.resets is not None
    assert 0 <= source.resets - time.time_ns() <= 61 * SECOND


def test_the_two_hundred_and_first_request_of_a_minute_is_refused(past: HistoryOf, market: Market) -> None:
    at = [1_000 * 60 * SECOND]
    with AlpacaStandIn(market, requests=3, clock=lambda: at[0]) as strict:
        source = past(strict)
        asked = [strict.log.of("reply") for _ in range(3) if ask(source) >= 0]
        assert len(asked) == 3
        assert source.remaining == 0
        assert isinstance(error_of(source), SourceBusy)
        at[0] += 60 * SECOND
        assert ask(source) == 0  # its market has not begun yet


def test_a_reset_is_measured_by_the_clock_that_told_it(market: Market, past: HistoryOf) -> None:
    behind = DAY
    with AlpacaStandIn(market, clock=lambda: time.time_ns() - behind) as late:
        source = past(late)
        ask(source)
        assert source.resets is not None
        assert -2 * SECOND <= source.resets - time.time_ns() <= 61 * SECOND


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failure_on_their_side_is_not_asked_again(server: AlpacaStandIn, past: HistoryOf, status: int) -> None:
    server.faults.retry_after = 3
    server.faults.broken = status
    error = error_of(past())
    assert isinstance(error, SourceDown)
    assert f"HTTP {status}: '<html>" in str(error)
    assert error.wait == 3 * SECOND
    assert len(server.log.of("request")) == 1


@pytest.mark.parametrize(
    ("fault", "value", "text"),
    [
        ("html", True, "with what is no JSON: b'<html>"),
        ("damaged", "json", 'with what is no JSON: b\'{"bars":{"SPY":[{"t":"2013-10-07T13:30:00Z"'),
        ("damaged", "gzip", "with "),
        ("garbled", True, "a row without sense: t: 'yesterday' is not a time"),
    ],
)
def test_what_is_no_market_data_is_shown_by_its_first_bytes(
    server: AlpacaStandIn, past: HistoryOf, fault: str, value: object, text: str
) -> None:
    setattr(server.faults, fault, value)
    error = error_of(past())
    assert isinstance(error, SourceNonsense)
    assert text in str(error)


@pytest.mark.parametrize(("fault", "value"), [("reset", True), ("damaged", "short")])
def test_a_server_that_hangs_up_is_down(server: AlpacaStandIn, past: HistoryOf, fault: str, value: object) -> None:
    setattr(server.faults, fault, value)
    error = error_of(past())
    assert isinstance(error, SourceDown)
    assert "hung up" in str(error)


@pytest.mark.parametrize("fault", ["mute", "half_open"])
def test_a_server_that_does_not_answer_is_down_in_time(server: AlpacaStandIn, past: HistoryOf, fault: str) -> None:
    setattr(server.faults, fault, True)
    began = time.monotonic()
    assert isinstance(error_of(past(answer=0.3)), SourceDown)
    assert time.monotonic() - began < 2


def test_a_reply_that_drips_is_given_up_at_its_deadline(server: AlpacaStandIn, past: HistoryOf) -> None:
    server.faults.drip = 0.05
    began = time.monotonic()
    error = error_of(past(deadline=0.4))
    assert isinstance(error, SourceDown)
    assert "no whole reply within 0.4 s" in str(error)
    assert time.monotonic() - began < 2


def test_nobody_at_the_address_is_down(past: HistoryOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert isinstance(error_of(past(rest_url=f"http://127.0.0.1:{port}")), SourceDown)


def test_what_came_before_a_mistake_is_not_lost(market: Market, past: HistoryOf) -> None:
    with AlpacaStandIn(market, page_max=40) as small:
        pages = past(small).bars(["SPY"], "1m", OPEN, END)
        first = next(pages)
        small.faults.broken = 502
        with pytest.raises(SourceDown):
            next(pages)
        small.faults.clear()
        rest = list(chain.from_iterable(past(small).bars(["SPY"], "1m", first[-1].end, END)))
    assert [bar.start for bar in (*first, *rest)] == [OPEN + n * MINUTE for n in range(100)]


def test_it_answers_again_after_every_fault(server: AlpacaStandIn, past: HistoryOf) -> None:
    source = past()
    for fault, value in [("broken", 503), ("damaged", "gzip"), ("reset", True), ("mute", True), ("html", True)]:
        setattr(server.faults, fault, value)
        error_of(source)
        server.faults.clear()
        assert ask(source) == 100


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"feed": "opra"}, "feed 'opra'"), ({"market": "bonds"}, "market 'bonds'"), ({"key": ""}, "no key"),
        ({"secret": ""}, "no secret"), ({"secret": "hidden\n"}, "secret holds a space or a line end"),
        ({"rest_url": "data.example"}, "rest_url"), ({"stream_url": "http://x"}, "stream_url"),
        ({"page": 0}, "page 0"), ({"answer": 0.0}, "answer 0"),
    ],
)  # fmt: skip
def test_options_without_sense_are_named(options: Options, change: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=f"alpaca: {text}") as caught:
        options(**change).checked()
    assert "hidden" not in str(caught.value)


def test_keys_are_shown_nowhere() -> None:
    shown = repr(AlpacaOptions(key="PK1234567890", secret=SECRET))
    assert SECRET not in shown
    assert "PK1234567890" not in shown


@pytest.mark.parametrize(
    "body",
    [
        b'{"bars": ' + b"[" * 100_000,
        b'{"bars": {"SPY": [{"t": "2013-10-07T13:30:00Z", "o": ' + b"9" * 5000 + b"}]}}",
        b'{"bars": {"SPY": [{"t": "2013-10-07T13:30:00Z", "o": ' + b"9" * 400 + b"}]}}",
    ],
)
def test_what_python_cannot_read_is_nonsense_too(past: HistoryOf, body: bytes) -> None:
    with HttpServer(lambda _: Reply(body)) as other:
        assert isinstance(error_of(past(rest_url=other.url)), SourceNonsense)


@pytest.mark.parametrize("after", ["Mon, 01 Jan 99999999999 00:00:00 GMT", "9" * 5000, "9" * 15])
def test_a_wait_that_no_calendar_has_is_a_day_at_most(past: HistoryOf, after: str) -> None:
    with HttpServer(lambda _: Reply(b"", 429, {"Retry-After": after, "X-RateLimit-Reset": after})) as other:
        error = error_of(past(rest_url=other.url))
    assert isinstance(error, SourceBusy)
    assert error.wait <= WAIT_MAX


def test_an_answer_without_end_ends(past: HistoryOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("appliance.data.sources.alpaca.history"), "PAGES", 5)
    pages = count()
    with HttpServer(lambda _: as_json({"bars": {}, "next_page_token": f"p{next(pages)}"})) as other:
        error = error_of(past(rest_url=other.url))
    assert isinstance(error, SourceNonsense)
    assert "never ends its answer to SPY: 5 pages came" in error.text
