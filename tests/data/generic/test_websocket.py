"""A WebSocket source as settings describe it, against a server on a real socket whose own log is read."""

from __future__ import annotations

import gzip
import json
import math
import time
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.data.sources.base import Kind, Linked, Oddity, Wire
from appliance.data.sources.mapping import QuoteFields, StatusFields, Times
from appliance.data.sources.websocket import WebSocketSource
from appliance.data.sources.websocket_options import Beat, Echo, Message, WebSocketOptions
from appliance.domain.market import MINUTE, SECOND, Bar, Quote, Trade, TradingStatus
from appliance.errors import WAIT_MAX, SourceBusy, SourceDown, SourceError, SourceNonsense, SourceRefused, UsageError
from tests.data.source_contract import Listening
from tests.standins.binance import binance
from tests.standins.http import HttpServer, Reply
from tests.standins.websocket import WebSocketServer
from tests.standins.websocket import Wire as Cable

START = 1_700_000_040 * SECOND
NOW = START + 10 * MINUTE
MS = 1_000_000
KEY = "k3y-that-nobody-may-see"
QUOTE = {"T": "q", "S": "AAA", "b": 10, "a": 10.5, "t": START // MS}
HELD = Quote("AAA", START, 10.0, 10.5, source="mine", received=NOW)


def ordinary(said: Any) -> list[Any]:
    """Takes the key, and subscriptions to all but NONE; answers pings in text."""
    if said == "ping":
        return ["pong"]
    if "auth" in said:
        return [{"T": "success"} if said["auth"] == KEY else {"T": "error", "msg": f"no such key: {said['auth']}"}]
    if said.get("only") == "NONE":
        return [{"T": "error", "msg": "unknown symbol NONE"}]
    return [QUOTE, {"T": "subscribed"}]


def options(url: str, **changed: Any) -> WebSocketOptions:
    made = WebSocketOptions(
        name="mine",
        url=url,
        hello={"auth": "{key}"},
        accepted={"T": "success"},
        subscribe={"quotes": {"want": "{symbols}"}, "statuses": {"halts": ["h.{symbol}"]}},
        subscribed={"T": "subscribed"},
        errors={"msg": "refused"},
        messages=(
            Message({"T": "q"}, QuoteFields("b", "a", time="t", symbol="S")),
            Message({"T": "h"}, StatusFields("c", ("open",), reason="r", time="t", symbol="S")),
        ),
        answer=10.0,
        key=KEY,
    )
    return replace(made, **changed)


def listening(
    url: str, symbols: tuple[str, ...] = ("AAA",), kinds: tuple[Kind, ...] = (Kind.QUOTES,), **changed: Any
) -> Listening:
    return Listening(WebSocketSource(options(url, **changed), lambda: NOW), symbols, kinds)


def heard_of(said: list[Any], count: int, **changed: Any) -> list[Any]:
    """What a source tells after it is linked, when the server says so."""
    with WebSocketServer(lambda message: [{"T": "subscribed"}] if "auth" not in message else [{"T": "success"}]) as one:  # noqa: SIM117
        with listening(one.url, **changed) as heard:
            heard.linked()
            one.send(*said)
            return heard.until(lambda told: len(told) > count)[1:]


# --- one connection ---------------------------------------------------------------------------------------------------


def test_it_says_hello_subscribes_and_tells_what_comes_after_linked() -> None:
    with WebSocketServer(ordinary) as server, listening(server.url, ("AAA", "BBB"), tuple(Kind)) as heard:
        assert heard.linked() == Linked(("AAA", "BBB"), {})
        told = heard.until(lambda told: len(told) >= 3)
        assert told[1:] == [HELD, HELD]  # what came before the acknowledgement is not lost
        server.send({**QUOTE, "S": "BBB", "b": "10.25"})
        assert heard.until(lambda told: len(told) >= 4)[3] == replace(HELD, symbol="BBB", bid=10.25)
    assert server.log == [{"auth": KEY}, {"want": ["AAA", "BBB"]}, {"halts": ["h.AAA", "h.BBB"]}]


def test_a_redirection_is_not_followed_with_our_secrets() -> None:
    with WebSocketServer(ordinary) as server, HttpServer(lambda _: Reply(b"", 302, {"Location": server.url})) as other:
        source = WebSocketSource(options(other.url.replace("http", "ws"), headers={"X-Key": "{key}"}))
        with Listening(source, ["AAA"], [Kind.QUOTES]) as heard:
            error = heard.ended()
    assert isinstance(error, SourceNonsense)
    assert "a redirection (HTTP 302), which is not followed" in error.text
    assert server.came == []


def test_a_symbol_that_is_refused_is_lacking_and_the_others_go_on() -> None:
    template = {"quotes": {"only": "{symbol}"}, "statuses": {"halts": ["h.{symbol}"]}}
    with WebSocketServer(ordinary) as server:
        with listening(server.url, ("AAA", "NONE"), subscribe=template) as heard:
            linked = heard.linked()
        assert linked.symbols == ("AAA",)
        assert "unknown symbol NONE" in linked.lacking["NONE"]
        with listening(server.url, ("NONE",), subscribe=template) as heard:
            assert isinstance(heard.ended(), SourceRefused)


def test_halts_are_told_and_an_unknown_code_is_taken_for_one() -> None:
    said = [{"T": "h", "S": "AAA", "c": code, "r": "news", "t": START // MS} for code in ("open", "stop", "")]
    told = heard_of(said, 3, kinds=(Kind.STATUSES,))
    assert [(one.halted, one.code) for one in told] == [(False, "open"), (True, "stop"), (True, "")]
    assert told[1] == TradingStatus("AAA", START, True, "stop", "news", "mine")


@pytest.mark.parametrize(
    ("packing", "pack"), [("gzip", gzip.compress), ("deflate", lambda data: zlib.compress(data)[2:-4])]
)
def test_packed_messages_are_unpacked_and_damaged_ones_left_out(packing: str, pack: Any) -> None:
    good = pack(json.dumps(QUOTE).encode())
    told = heard_of([good, good[:-9], b"\x1f\x8bnone", good], 4, packing=packing)
    assert [type(one) for one in told] == [Quote, Oddity, Oddity, Quote]


def test_several_events_may_be_in_one_message() -> None:
    message = Message({"ch": "q"}, QuoteFields("1", "2", time="0"), rows="data")
    told = heard_of(
        [{"ch": "q", "data": [[START // MS, 10, 10.5], [START // MS, 10.25, 10.5]]}, [{**QUOTE}, {**QUOTE}]], 3,
        messages=(message, *options("ws://x").messages),
    )  # fmt: skip
    assert told[:2] == [HELD, replace(HELD, bid=10.25)]


def test_a_message_that_makes_no_sense_is_told_as_odd_and_the_next_one_is_taken() -> None:
    said: list[Any] = ["{", {**QUOTE, "b": None}, {"T": "q", "S": "AAA"}, {**QUOTE, "S": "ZZZ"}, {**QUOTE, "t": "x"}, 7]
    told = heard_of([*said, QUOTE], 7)
    assert [type(one) for one in told] == [Oddity] * 6 + [Quote]
    texts = [one.text for one in told[:6]]
    assert texts[0] == "mine: a message that is no JSON: '{'"
    assert texts[1].startswith("mine: left out, b is None, no number: {'T': 'q'")
    assert texts[2].startswith("mine: no field 't'; did you mean 'T'? there are T, S in ")
    assert texts[3].startswith("mine: the symbol 'ZZZ', which was not asked for")
    assert texts[4].startswith("mine: left out, t: 'x' is no number of units since the epoch")


def test_what_comes_twice_late_or_after_a_gap_is_told_as_it_comes_for_others_to_judge() -> None:
    minutes = [0, 1, 1, 5, 3]
    told = heard_of([{**QUOTE, "t": START // MS + minute * 60_000} for minute in minutes], len(minutes))
    assert [one.time for one in told] == [START + minute * MINUTE for minute in minutes]


def test_an_unknown_message_is_told_once_however_often_it_comes() -> None:
    told = heard_of([{"hi": n} for n in range(50)] + [QUOTE], 2)
    assert [type(one) for one in told] == [Oddity, Quote]


def test_nothing_but_nonsense_ends_the_connection() -> None:
    with WebSocketServer(ordinary) as server, listening(server.url) as heard:
        heard.linked()
        server.send(*["<html>"] * 100)
        error = heard.ended()
    assert isinstance(error, SourceNonsense)
    assert "100 messages in a row" in error.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("TSbatchqr"), inner, max_size=6),
    max_leaves=12,
)


def test_whatever_is_sent_the_connection_goes_on() -> None:
    with WebSocketServer(ordinary) as server, listening(server.url, kinds=(Kind.QUOTES, Kind.STATUSES)) as heard:
        heard.linked()
        sent = 2

        @settings(max_examples=150, deadline=None)
        @given(
            st.lists(
                JSON
                | st.fixed_dictionaries(
                    {
                        "T": st.sampled_from("qh"),
                        "S": st.just("AAA"),
                        "b": JSON,
                        "a": JSON,
                        "t": JSON,
                        "c": JSON,
                        "r": JSON,
                    }
                ),
                max_size=10,
            )
        )
        def throw(messages: list[Any]) -> None:
            nonlocal sent
            sent += 1
            server.send(*[json.dumps(message) for message in messages], {**QUOTE, "b": sent})
            heard.until(lambda told: any(isinstance(one, Quote) and one.bid == sent for one in told[-50:]))

        throw()
        for quote in heard.of(Quote):
            assert isinstance(quote, Quote)
            assert math.isfinite(quote.bid + quote.ask)


# --- signs of life ----------------------------------------------------------------------------------------------------


def test_pings_in_json_are_answered_and_pongs_told_as_signs_of_life() -> None:
    echo = Echo({"ping": "*"}, {"pong": "{value}"})
    with WebSocketServer(ordinary) as server, listening(server.url, echoes=(echo,), beat=Beat(0.05, 5)) as heard:
        heard.linked()
        server.send({"ping": 17})
        server.until(lambda log: {"pong": 17} in log)
        heard.until(lambda told: sum(isinstance(one, Wire) for one in told) >= 3)


def test_a_heartbeat_in_text_is_sent_as_described() -> None:
    with WebSocketServer(ordinary) as server, listening(server.url, beat=Beat(0.05, 5, "ping")) as heard:
        heard.linked()
        server.until(lambda log: log.count("ping") >= 2)


def test_a_half_open_connection_is_found() -> None:
    with WebSocketServer(ordinary) as server, Cable(server.port) as cable:
        with listening(f"ws://127.0.0.1:{cable.port}", beat=Beat(0.2, 0.3)) as heard:
            heard.linked()
            began = time.monotonic()
            cable.cut.set()
            error = heard.ended()
        assert isinstance(error, SourceDown)
        assert "no sign of life" in error.text
        assert time.monotonic() - began < 8  # 0.5 s and what a busy machine takes
    assert Beat().every + Beat().within <= 10  # what the usual one promises


def test_a_mute_server_that_answers_pings_stays_connected_for_others_to_judge() -> None:
    with WebSocketServer(ordinary) as server, listening(server.url, beat=Beat(0.05, 0.5)) as heard:
        heard.until(lambda told: sum(isinstance(one, Wire) for one in told) >= 5)
        assert heard.error is None


# --- a server in trouble ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (401, SourceRefused, "refuses our key"),
        (429, SourceBusy, "fewer connections"),
        (503, SourceDown, "fails on its side"),
        (404, SourceNonsense, "answers with HTTP 404, no WebSocket"),
        (200, SourceNonsense, "Sign in"),
    ],
)
def test_a_refused_connection_is_told_by_name(status: int, kind: type[SourceError], text: str) -> None:
    with WebSocketServer(ordinary, refuse=status) as server:
        server.retry_after = "9"
        with listening(f"{server.url}/?token={{key}}") as heard:
            error = heard.ended()
    assert type(error) is kind
    assert text in error.text
    assert error.wait == (9 * SECOND if kind is SourceBusy else 0)
    assert len(server.came) == 1
    assert KEY in server.came[0]["path"]
    assert KEY not in f"{error} {error!r}"


@pytest.mark.parametrize(("after", "wait"), [("9" * 15, WAIT_MAX), ("9" * 5000, 0), ("-1", 0), ("soon", 0)])
def test_no_server_is_left_alone_for_longer_than_a_day(after: str, wait: int) -> None:
    with WebSocketServer(ordinary, refuse=429) as server:
        server.retry_after = after
        with listening(server.url) as heard:
            error = heard.ended()
    assert isinstance(error, SourceBusy)
    assert error.wait == wait


def test_a_wrong_key_is_refused_without_showing_it() -> None:
    with WebSocketServer(ordinary) as server, listening(server.url, key="wr0ng-k3y") as heard:
        error = heard.ended()
    assert isinstance(error, SourceRefused)
    assert "no such key: ***" in error.text
    assert "wr0ng-k3y" not in f"{error} {error!r}"


def test_a_server_that_does_not_answer_the_hello_is_down() -> None:
    with WebSocketServer(lambda said: []) as server, listening(server.url, answer=0.3) as heard:
        error = heard.ended()
    assert isinstance(error, SourceDown)
    assert "did not answer its hello within 0.3 s" in error.text


@pytest.mark.parametrize(("code", "kind"), [(1000, SourceDown), (1011, SourceDown), (1013, SourceBusy)])
def test_hanging_up_ends_the_run_with_the_code_and_reason(code: int, kind: type[SourceError]) -> None:
    with WebSocketServer(ordinary) as server, listening(server.url) as heard:
        heard.linked()
        server.hang_up(code, "see you")
        error = heard.ended()
    assert type(error) is kind
    assert f"code {code}: see you" in error.text


def test_a_connection_that_breaks_off_is_down() -> None:
    with WebSocketServer(ordinary) as server, listening(server.url) as heard:
        heard.linked()
        server.break_off()
        assert "hung up (without a word)" in heard.ended().text


def test_a_message_without_an_end_is_not_taken_in() -> None:
    with WebSocketServer(ordinary) as server, listening(server.url, largest=1000) as heard:
        heard.linked()
        server.send("x" * 5000)
        error = heard.ended()
    assert isinstance(error, SourceNonsense)
    assert "more than 1000 bytes" in error.text


def test_nobody_there_is_down() -> None:
    with WebSocketServer(ordinary) as server:
        url = server.url
    with listening(url) as heard:
        assert "cannot be reached" in heard.ended().text


def test_stop_ends_the_run_while_it_waits_for_an_answer_too() -> None:
    with WebSocketServer(lambda said: []) as server, listening(server.url, answer=60.0):
        server.until(lambda log: log)


# --- mistakes in the description --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "text", "hint"),
    [
        ({"url": "https://x"}, "url is 'https://x'", "it begins with ws:// or wss://"),
        ({"url": "wss://me:pw@x"}, "url is 'wss://…'", "without a password"),
        ({"hello": {"a": ["{kee}"]}}, "placeholder {kee}", "did you mean 'key'?"),
        ({"subscribe": {"quots": {}}}, "subscribe is 'quots'", "did you mean 'quotes'?"),
        ({"subscribe": {"quotes": {}}}, "messages has statuses, but subscribe has none", "leave them out of messages"),
        ({"messages": ()}, "subscribe has quotes, but messages has none", "say in messages what quotes are"),
        ({"subscribe": {}, "messages": ()}, "subscribe is empty", "bars or quotes"),
        ({"packing": "zip"}, "packing is 'zip'", "none, gzip, deflate"),
        ({"times": Times("millis")}, "times.form is 'millis'", "iso, date, s, ms, us, ns"),
        ({"key": ""}, "its key is used, but not given", "credential"),
        ({"beat": Beat(0)}, "above 0", ""),
        ({"errors": {"e": "fatal"}}, "errors is 'fatal'", "busy, refused, down"),
    ],
)
def test_options_without_sense_are_refused_by_name(changed: dict[str, Any], text: str, hint: str) -> None:
    with pytest.raises(UsageError) as told:
        WebSocketSource(replace(options("wss://example.test"), **changed))
    assert text in told.value.text
    assert hint in told.value.hint
    assert "pw" not in told.value.text


# --- a ready example --------------------------------------------------------------------------------------------------


def as_binance(said: Any) -> list[Any]:
    return [{"result": None, "id": said["id"]}]


def kline(minute: int, closed: bool) -> dict[str, Any]:
    start = START // MS + minute * 60_000
    numbers = {"o": "10.0", "h": "12.5", "l": "9.5", "c": "11.0", "v": "3.25", "n": 7}
    return {"e": "kline", "E": start + 60_005, "s": "BTCUSDT", "k": {"t": start, "T": start + 59_999, "s": "BTCUSDT", "i": "1m", "x": closed, **numbers}}  # fmt: skip # noqa: E501


def test_streams_as_binance_has_them_are_understood_from_their_description() -> None:
    book = {"u": 400900217, "s": "BTCUSDT", "b": "25.35190000", "B": "31.21", "a": "25.36520000", "A": "40.66"}
    trade = {"e": "aggTrade", "E": START // MS, "s": "BTCUSDT", "a": 26129, "p": "25.36", "q": "4.5", "T": START // MS}
    with WebSocketServer(as_binance) as server:
        source = WebSocketSource(binance(server.url), lambda: NOW)
        with Listening(source, ["BTC/USDT", "ETH/USDT"], [Kind.BARS, Kind.QUOTES, Kind.TRADES]) as heard:
            assert heard.linked() == Linked(("BTC/USDT", "ETH/USDT"), {})
            server.send(book, trade, kline(0, False), kline(0, True))
            told = heard.until(lambda told: any(isinstance(one, Bar) for one in told))
    assert told[1:] == [
        Quote("BTC/USDT", NOW, 25.3519, 25.3652, 31.21, 40.66, source="binance", received=NOW),
        Trade("BTC/USDT", START, 25.36, 4.5, "binance", NOW),
        Wire(),
        Bar("BTC/USDT", "1m", START, START + MINUTE, 10.0, 12.5, 9.5, 11.0, 3.25, "binance", NOW),
    ]
    assert [message["params"] for message in server.log] == [
        [f"{symbol}@{stream}" for symbol in ("btcusdt", "ethusdt")] for stream in ("kline_1m", "bookTicker", "aggTrade")
    ]
    assert [message["id"] for message in server.log] == [1, 2, 3]
