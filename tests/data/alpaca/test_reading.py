"""What needs no socket: times, timeframes, spans, statuses and limits as Alpaca writes them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.data.calendars import always_open
from appliance.data.sources.alpaca import AlpacaOptions
from appliance.data.sources.alpaca.conversation import Conversation, Revisions
from appliance.data.sources.alpaca.parsing import ACTIONS, Odd, Reader, number
from appliance.data.sources.alpaca.refusals import CODES, Limits, refusal, stream_refusal
from appliance.data.sources.alpaca.times import Spans, nanoseconds, rfc3339, wire_timeframe
from appliance.data.sources.base import Kind, Linked, Oddity
from appliance.domain.market import MINUTE, SECOND, Quote
from appliance.errors import SourceBusy, SourceDown, SourceError, SourceNonsense, SourceRefused
from tests.standins.alpaca.data_stream import ERRORS

OPTIONS = AlpacaOptions(key="PK1234567890", secret="never-shown")
LAST = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * SECOND


@given(st.integers(0, LAST))
def test_a_time_is_written_and_read_to_the_nanosecond(time: int) -> None:
    assert nanoseconds(rfc3339(time)) == time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2021-02-22T15:51:44Z", "2021-02-22T15:51:44.000000000Z"),
        ("2021-02-22T15:51:44.2Z", "2021-02-22T15:51:44.200000000Z"),
        ("2021-02-22T10:51:44.208-05:00", "2021-02-22T15:51:44.208000000Z"),
        ("2021-02-22T21:21:44+05:30", "2021-02-22T15:51:44.000000000Z"),
    ],
)
def test_offsets_and_short_fractions_are_understood(text: str, time: str) -> None:
    assert rfc3339(nanoseconds(text)) == time


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2021-02-22", "2021-02-30T00:00:00Z", "2021-02-22T15:51:44", 5, None, "9999999999"]
)
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        nanoseconds(text)


@pytest.mark.parametrize(
    ("timeframe", "wire"),
    [("1m", "1Min"), ("30m", "30Min"), ("1d", "1Day"), ("1w", "1Week"), ("1mo", "1Month"), ("12mo", "12Month")],
)
def test_timeframes_have_their_names(timeframe: str, wire: str) -> None:
    assert wire_timeframe(timeframe, "stocks") == wire


def test_crypto_also_has_hours() -> None:
    assert wire_timeframe("4h", "crypto") == "4Hour"


@pytest.mark.parametrize("value", [None, "1.0", True, [], {}])
def test_what_is_no_number_is_odd(value: object) -> None:
    with pytest.raises(Odd, match="p is "):
        number({"p": value}, "p")


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), None])
def test_a_split_without_sense_is_odd(rate: object) -> None:
    row = {"symbol": "X", "new_rate": rate, "old_rate": 1, "ex_date": "2024-01-02"}
    with pytest.raises(Odd):
        ACTIONS["forward_splits"][1](row)


@pytest.mark.parametrize(("code", "halted"), [("2", True), ("3", False), ("H", True), ("Q", True), ("T", False)])
def test_status_codes_of_both_tapes_are_known(code: str, halted: bool) -> None:
    status = Reader("alpaca", lots=True).status("SPY", {"sc": code, "t": "2024-01-02T15:00:00Z"}, None)
    assert status is not None
    assert status.halted is halted


def test_what_only_informs_repeats_what_is_known_and_else_says_nothing() -> None:
    reader = Reader("alpaca", lots=True)
    row = {"sc": "5", "t": "2024-01-02T15:00:00Z"}
    assert reader.status("SPY", row, None) is None
    repeated = reader.status("SPY", row, True)
    assert repeated is not None
    assert repeated.halted


def test_every_error_of_the_stream_is_known_by_its_name() -> None:
    assert {code: known.name for code, known in CODES.items()} == ERRORS
    for code, name in ERRORS.items():
        error = stream_refusal({"T": "error", "code": code, "msg": name}, OPTIONS)
        assert isinstance(error, SourceError)
        assert OPTIONS.secret not in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, SourceRefused), (401, SourceRefused), (403, SourceRefused), (404, SourceRefused), (408, SourceDown),
        (409, SourceNonsense), (418, SourceNonsense), (422, SourceRefused), (429, SourceBusy), (500, SourceDown),
        (504, SourceDown), (599, SourceDown),
    ],
)  # fmt: skip
def test_every_status_is_one_of_our_errors(status: int, kind: type[SourceError]) -> None:
    for body in ('{"message": "so"}', "<html>", "", "[]", "null"):
        assert type(refusal(status, body, {}, OPTIONS, "SPY", 0)) is kind


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, 0),
        ({"Retry-After": "5"}, 5),
        ({"Retry-After": "soon"}, 0),
        ({"Date": "Tue, 14 Nov 2023 22:13:20 GMT", "Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30),
        ({"Date": "Tue, 14 Nov 2023 22:13:20 GMT", "X-RateLimit-Reset": "1700000040"}, 40),
        ({"Date": "Tue, 14 Nov 2023 22:13:20 GMT", "X-RateLimit-Reset": "1700000040", "Retry-After": "3"}, 3),
        ({"X-RateLimit-Reset": "never"}, 0),
    ],
)
def test_how_long_to_wait_is_read_from_the_headers(headers: dict[str, str], wait: int) -> None:
    assert Limits.of(headers, 5_000 * SECOND).wait == wait * SECOND


def test_a_symbol_that_is_not_in_the_subscription_is_lacking() -> None:
    talk = Conversation(OPTIONS, ["SPY", "AAPL"], [Kind.QUOTES], Revisions())
    assert list(talk.take({"T": "subscription", "quotes": ["SPY"]}, 1)) == [
        Linked(("SPY",), {"AAPL": "quotes: not in the subscription"})
    ]


def test_what_comes_before_the_subscription_is_kept_for_after_it() -> None:
    talk = Conversation(OPTIONS, ["SPY"], [Kind.QUOTES], Revisions())
    quote = {"T": "q", "S": "SPY", "bp": 1, "bs": 1, "ap": 2, "as": 1, "t": "2026-01-02T15:00:00Z"}
    assert list(talk.take(quote, 1)) == []
    linked, held = talk.take({"T": "subscription", "quotes": ["SPY"]}, 2)
    assert isinstance(linked, Linked)
    assert isinstance(held, Quote)
    assert held.received == 1


FIELDS = ("T", "S", "t", "o", "h", "l", "c", "v", "bp", "bs", "ap", "as", "p", "s", "sc", "u", "d", "code", "quotes")
SCALARS = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6)
)
TYPES = st.sampled_from(["b", "u", "q", "t", "s", "l", "c", "x", "subscription", "success", "?"])


@given(VALUES, TYPES)
def test_no_message_at_all_breaks_the_conversation(message: object, kind: str) -> None:
    talk = Conversation(OPTIONS, ["SPY"], [Kind.QUOTES], Revisions())
    list(talk.take({"T": "subscription", "quotes": ["SPY"]}, 1))
    for one in (message, {**message, "T": kind} if isinstance(message, dict) else message):
        assert all(told is not None for told in talk.take(one, 1))


def test_what_was_left_out_is_shown_by_its_beginning() -> None:
    talk = Conversation(OPTIONS, ["SPY"], [Kind.QUOTES], Revisions())
    list(talk.take({"T": "subscription", "quotes": ["SPY"]}, 1))
    (odd,) = talk.take({"T": "q", "S": "SPY", "x" * 500: 1}, 1)
    assert isinstance(odd, Oddity)
    assert "is not a time" in odd.text or "bp is None" in odd.text
    assert len(odd.text) < 200


def test_revisions_of_old_bars_are_forgotten_one_by_one() -> None:
    revisions = Revisions()
    assert [revisions.next("SPY", n * MINUTE) for n in range(20)] == [1] * 20
    assert revisions.next("SPY", 19 * MINUTE) == 2
    assert revisions.next("SPY", 0) == 1


def test_importing_the_source_loads_neither_the_sdk_nor_pandas() -> None:
    code = (
        "import sys, appliance.data.sources.alpaca as source\n"
        "source.live(source.AlpacaOptions(key='k', secret='s'))\n"
        "print([name for name in ('alpaca', 'pandas', 'requests', 'msgpack', 'websockets') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_minute_bar_of_the_stream_covers_its_minute() -> None:
    assert Spans("1m", always_open()).of(5 * MINUTE) == (5 * MINUTE, 6 * MINUTE)
