"""A REST source as settings describe it, against a server on a real socket whose own log is read."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.core.breaker import CircuitBreaker
from appliance.core.rate_limit import Rate, TokenBucket
from appliance.data.polite import Polite
from appliance.data.sources.base import Kind, Oddity, Wire
from appliance.data.sources.fetching import Bounds
from appliance.data.sources.mapping import BarFields, QuoteFields, Reader, Times
from appliance.data.sources.moments import written
from appliance.data.sources.rest import RestSource
from appliance.data.sources.rest_options import Ask, Paging, RestOptions
from appliance.domain.market import MINUTE, SECOND, Bar, Quote
from appliance.errors import DataError, SourceBusy, SourceDown, SourceNonsense, SourceRefused, UsageError
from tests.data.source_contract import Listening, bars_of
from tests.standins.http import LOGIN, HttpServer, Reply, Request, as_json

START = 1_700_000_040 * SECOND
NOW = START + 10_000 * MINUTE
KEY = "k3y-that-nobody-may-see"
FIELDS = BarFields("t", "o", "h", "l", "c", "v")
BARS = 25


def iso(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def row(minute: int, **changed: Any) -> dict[str, Any]:
    made = {"t": iso(START + minute * MINUTE), "o": 10, "h": "12.5", "l": 9.5, "c": 11, "v": 100 + minute}
    return {**made, **changed}


def served(request: Request) -> Reply:
    """Bars by symbol, in pages of ``limit``; the token is the number of the next row."""
    if not request.path.startswith("/v1/bars/") or request.headers.get("x-key") != KEY:
        return as_json({"message": f"no such key {request.headers.get('x-key')}"}, status=401)
    symbol = request.path.rpartition("/")[2]
    if symbol == "NONE":
        return as_json({"message": "unknown symbol"}, status=404)
    begin, limit = int(request.query.get("page_token", 0)), int(request.query["limit"])
    inside = [row(minute) for minute in range(BARS) if request.query["from"] <= row(minute)["t"] <= request.query["to"]]
    rows, more = inside[begin : begin + limit], begin + limit < len(inside)
    return as_json({"data": {"bars": rows}, "next": str(begin + limit) if more else None})


def options(server: HttpServer, **changed: Any) -> RestOptions:
    made = RestOptions(
        name="mine",
        url=f"{server.url}/v1/bars/{{symbol}}",
        query={"from": "{start}", "to": "{end}", "limit": "{limit}", "tf": "{timeframe}", "page_token": "{page}"},
        headers={"X-Key": "{key}"},
        rows="data.bars",
        bars=FIELDS,
        timeframes={"1m": "1Min"},
        limit=10,
        paging=Paging("token", "next"),
        bounds=Bounds(connect=5, read=10, whole=20, largest=1 << 20),
        rate=1000.0,
        burst=100,
        key=KEY,
    )
    return replace(made, **changed)


def source(server: HttpServer, odd: list[Oddity] | None = None, **changed: Any) -> RestSource:
    return RestSource(options(server, **changed), (odd if odd is not None else []).append, lambda: NOW)


def asked(one: RestSource, *symbols: str) -> list[Bar]:
    return bars_of(one, symbols or ["AAA"], "1m", START, START + 60 * MINUTE)


def answered(rows: list[Any], odd: list[Oddity] | None = None, **changed: Any) -> list[Bar]:
    with HttpServer(lambda request: as_json({"data": {"bars": rows}})) as server:
        return asked(source(server, odd, **changed))


# --- history ----------------------------------------------------------------------------------------------------------


def test_history_comes_whole_page_by_page_and_the_server_is_asked_as_described() -> None:
    with HttpServer(served) as server:
        found = asked(source(server), "AAA", "BRK/B")
    assert [(bar.symbol, bar.start) for bar in found] == [
        (symbol, START + minute * MINUTE) for symbol in ("AAA", "BRK/B") for minute in range(BARS)
    ]
    assert found[3] == Bar(
        "AAA", "1m", START + 3 * MINUTE, START + 4 * MINUTE, 10.0, 12.5, 9.5, 11.0, 103.0, "mine", NOW
    )
    assert [request.query.get("page_token") for request in server.log] == [None, "10", "20"] * 2
    assert server.log[0].query == {"from": iso(START), "to": iso(START + 60 * MINUTE), "limit": "10", "tf": "1Min"}
    assert server.log[3].path == "/v1/bars/BRK%2FB"


def test_a_bar_that_is_still_forming_is_left_out() -> None:
    with HttpServer(served) as server:
        one = RestSource(options(server), clock=lambda: START + 3 * MINUTE + 30 * SECOND)
        assert [bar.end for bar in asked(one)] == [START + minute * MINUTE for minute in (1, 2, 3)]


def test_paging_by_time_goes_on_after_the_last_bar() -> None:
    with HttpServer(served) as server:
        query = {"from": "{start}", "to": "{end}", "limit": "{limit}"}
        found = asked(source(server, query=query, paging=Paging("time")))
    assert len(found) == BARS
    assert [request.query["from"] for request in server.log] == [iso(START + n * MINUTE) for n in (0, 10, 20)]


@pytest.mark.parametrize("paging", [Paging("token", "next"), Paging("time")])
def test_a_server_that_sends_the_same_page_for_ever_is_stopped(paging: Paging) -> None:
    page = as_json({"data": {"bars": [row(minute) for minute in range(-10, 0)]}, "next": "again"})
    with HttpServer(lambda request: page) as server, pytest.raises(SourceNonsense, match="same page of AAA again"):
        asked(source(server, paging=paging))
    assert len(server.log) <= 2


def test_several_symbols_are_asked_for_at_once_where_the_server_takes_them() -> None:
    def both(request: Request) -> Reply:
        return as_json({"bars": {name: [row(0)] for name in request.query["symbols"].split(",") if name != "QUIET"}})

    with HttpServer(both) as server:
        changed = {"url": f"{server.url}/bars", "query": {"symbols": "{symbols}"}, "rows": "bars.{symbol}"}
        found = asked(source(server, paging=Paging(), symbols={"AAA": "aaa.us"}, **changed), "AAA", "BBB", "QUIET")
    assert [bar.symbol for bar in found] == ["AAA", "BBB"]
    assert [request.query["symbols"] for request in server.log] == ["aaa.us,BBB,QUIET"]


def test_rows_may_name_their_symbol_and_one_that_nobody_asked_for_is_left_out() -> None:
    odd: list[Oddity] = []
    rows = [row(0, s="aaa.us"), row(0, s="ZZZ")]
    found = answered(rows, odd, bars=replace(FIELDS, symbol="s"), symbols={"AAA": "aaa.us"})
    assert [bar.symbol for bar in found] == ["AAA"]
    assert "a row of 'ZZZ', which was not asked for" in odd[0].text


def test_rows_may_be_lists_columns_or_an_object_by_time() -> None:
    lists = [[START // SECOND, 10, 12.5, 9.5, 11, 100]]
    columns = {name: [value] for name, value in zip("tohlcv", lists[0], strict=True)}
    keyed = {"2023-11-14 17:14:00": {"1. open": "10", "2. high": "12.5", "3. low": "9.5", "4. close": "11", "5. volume": "100"}}  # fmt: skip # noqa: E501
    by_number = BarFields("0", "1", "2", "3", "4", "5")
    by_name = BarFields("@key", "1. open", "2. high", "3. low", "4. close", "5. volume")
    new_york = Times("%Y-%m-%d %H:%M:%S", "America/New_York")
    wanted = [(START, START + MINUTE, 10.0, 12.5, 9.5, 11.0, 100.0)]
    for rows, changed in (
        (lists, {"bars": by_number, "times": Times("s")}),
        (columns, {"shape": "columns", "times": Times("s")}),
        (keyed, {"shape": "keyed", "bars": by_name, "times": new_york}),
    ):
        found = answered(rows, **changed)  # type: ignore[arg-type]
        assert [(b.start, b.end, b.open, b.high, b.low, b.close, b.volume) for b in found] == wanted


def test_a_day_in_new_york_has_23_hours_when_clocks_go_forward() -> None:
    rows = [row(0, t=date) for date in ("2024-03-09", "2024-03-10", "2024-03-11")]
    changed: dict[str, Any] = {"times": Times("date", "America/New_York"), "timeframes": {"1d": "day"}}
    with HttpServer(lambda request: as_json({"data": {"bars": rows}})) as server:
        one = RestSource(options(server, **changed), clock=lambda: 1_720_000_000 * SECOND)
        found = [bar for page in one.bars(["AAA"], "1d", START, 1_720_000_000 * SECOND) for bar in page]
    assert [(bar.end - bar.start) // (3600 * SECOND) for bar in found] == [24, 23, 24]


def test_rows_in_no_order_are_put_in_order_and_a_row_that_comes_twice_is_told_once() -> None:
    odd: list[Oddity] = []
    found = answered([row(3), row(1), row(2), row(1), row(0), row(2, c=12)], odd)
    assert [(bar.start, bar.close) for bar in found] == [
        (START + minute * MINUTE, close) for minute, close in ((0, 11), (1, 11), (2, 12), (3, 11))
    ]
    assert [one.text.partition(" that end")[0] for one in odd] == ["mine: two different bars of AAA"]


def test_pages_that_overlap_give_each_bar_once() -> None:
    pages = {"": ([row(0), row(1), row(2)], "b"), "b": ([row(2), row(3)], "c"), "c": ([row(3, c=12), row(4)], None)}

    def overlapping(request: Request) -> Reply:
        rows, following = pages[request.query.get("page_token", "")]
        return as_json({"data": {"bars": rows}, "next": following})

    odd: list[Oddity] = []
    with HttpServer(overlapping) as server:
        found = asked(source(server, odd))
    assert [(bar.start, bar.close) for bar in found] == [(START + minute * MINUTE, 11.0) for minute in range(5)]
    assert len(odd) == 1


def test_bars_stamped_with_their_end_cover_the_time_before() -> None:
    found = answered([row(1)], times=Times(stamp="end"))
    assert [(bar.start, bar.end) for bar in found] == [(START, START + MINUTE)]


# --- mistakes in the mapping ------------------------------------------------------------------------------------------


def test_a_field_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(SourceNonsense) as told:
        answered(
            [{"time": 1, "open": 1, "high": 1, "low": 1, "close": 1}], bars=BarFields("time", "opem", "h", "l", "c")
        )
    assert told.value.text == "mine: answers 1m bars of AAA with no field 'opem'"
    assert told.value.hint == "did you mean 'open'? there are time, open, high, low, close"


def test_a_path_to_the_rows_that_leads_nowhere_is_told() -> None:
    page = as_json({"data": {"bars": []}})
    wanted = pytest.raises(SourceNonsense, match=r"no field 'data\.candles' in data")
    with HttpServer(lambda request: page) as server, wanted as told:
        asked(source(server, rows="data.candles"))
    assert told.value.hint == "there are bars"
    with pytest.raises(SourceNonsense, match=r"has no columns of AAA at 'data.bars', but \[\]"):
        answered([], shape="columns")


@pytest.mark.parametrize("bad", [None, "n/a", "", True, [], "NaN", float("nan"), float("inf")])
def test_a_price_that_is_none_is_left_out_and_told_and_never_becomes_a_number(bad: object) -> None:
    odd: list[Oddity] = []
    assert [bar.start for bar in answered([row(0), row(1, c=bad), row(2)], odd)] == [START, START + 2 * MINUTE]
    assert [one.text.partition(":")[0] for one in odd] == ["mine"]
    assert "a bar of AAA left out, c is" in odd[0].text


@pytest.mark.parametrize(("time", "form"), [("soon", "iso"), (1.0, "iso"), ("2023-13-01", "date"), ("x", "s"), (1e30, "s"), (START, "s"), (None, "ms")])  # fmt: skip # noqa: E501
def test_when_no_time_can_be_read_the_mapping_is_wrong_and_that_is_told(time: object, form: str) -> None:
    with pytest.raises(SourceNonsense, match="without a time that can be read; t: ") as told:
        answered([row(0, t=time)] * 3, times=Times(form))
    assert told.value.hint == "check times.form and bars.time"


def test_a_row_without_a_time_among_others_is_left_out_and_told() -> None:
    odd: list[Oddity] = []
    assert len(answered([row(0, t="soon"), row(1)], odd)) == 1
    assert "left out, t: 'soon' is no time of form iso" in odd[0].text


@pytest.mark.parametrize(
    ("changed", "text", "hint"),
    [
        ({"url": "ftp://x/{symbol}"}, "url is 'ftp://x/{symbol}'", "it begins with http:// or https://"),
        ({"query": {"q": "{symbl}"}}, "placeholder {symbl}, which nothing fills", "did you mean 'symbol'?"),
        ({"shape": "row"}, "shape is 'row'", "did you mean 'rows'?"),
        ({"times": Times("unix")}, "times.form is 'unix'", "it must be one of iso, date, s, ms, us, ns"),
        ({"times": Times(zone="New York")}, "times.zone is 'New York'", "America/New_York"),
        ({"times": Times(stamp="begin")}, "times.stamp is 'begin'", "start, end"),
        ({"timeframes": {"1min": "x"}}, "timeframes has '1min'", ""),
        ({"timeframes": {}}, "timeframes is empty", "1Min"),
        ({"paging": Paging("token")}, "paging by token needs the path", "paging.next"),
        ({"paging": Paging("time"), "query": {}}, "paging by time needs {start}", "{start}"),
        ({"errors": {"Note": "buzy"}}, "errors is 'buzy'", "did you mean 'busy'?"),
        ({"query": {"s": "{symbols}"}, "paging": Paging()}, "nothing tells whose a row is", "bars.symbol"),
        ({"headers": {"A": "{basic}"}}, "its secret is used, but not given", "credential"),
        ({"rate": 0.0}, "rate 0, burst 100", "above 0 requests a second"),
        ({"limit": 0}, "limit 0", "limit and largest are 1 or more"),
    ],
)
def test_options_without_sense_are_refused_by_name(changed: dict[str, Any], text: str, hint: str) -> None:
    with HttpServer(served) as server, pytest.raises(UsageError) as told:
        source(server, **changed)
    assert text in told.value.text
    assert told.value.text.startswith("source mine: ")
    assert hint in told.value.hint


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (([], "1m", START, NOW), "was asked for no symbol"),
        ((["AAA"], "5m", START, NOW), "has no bars of '5m'"),
        ((["AAA"], "1m", NOW, START), "is not before end"),
        ((["AAA"], "1m", NOW + MINUTE, NOW + 2 * MINUTE), "the range begins in the future"),
    ],
)
def test_a_question_without_sense_is_not_sent(question: Any, text: str) -> None:
    with HttpServer(served) as server, pytest.raises(DataError, match=text):
        list(source(server).bars(*question))
    assert server.log == []


# --- a server in trouble ----------------------------------------------------------------------------------------------

SLOW, DRIBBLING = as_json({}, after=5), Reply(b" " * 99, dribble=0.1)
IMPATIENT = Bounds(connect=5, read=0.4, whole=1.0, largest=1 << 20)
FAULTS: list[tuple[Reply, type[Exception], str]] = [
    (Reply(LOGIN, headers={"Content-Type": "text/html"}), SourceNonsense, "with a web page titled 'Sign in'"),
    (as_json({}, status=302, headers={"Location": "/login"}), SourceNonsense, "a redirection to /login"),
    (Reply(b"oops"), SourceNonsense, "with what is no JSON: b'oops'"),
    (Reply(b""), SourceNonsense, "with nothing"),
    (as_json({"data": {"bars": []}}, zipped=True, cut=9), SourceNonsense, "a truncated archive"),
    (Reply(b"no gzip", headers={"Content-Encoding": "gzip"}), SourceNonsense, "a damaged archive"),
    (Reply(b" " * 99_999, endless=True), SourceNonsense, "more than 1048576 bytes"),
    (Reply(b" " * (2 << 20), zipped=True), SourceNonsense, "more than 1048576 bytes"),
    (as_json({"data": {"bars": []}}, hang_up=5), SourceDown, "hung up over 1m bars of AAA"),
    (as_json([], hang_up=0), SourceDown, "hung up"),
    (DRIBBLING, SourceDown, "no whole answer to 1m bars of AAA within 1 s .* bytes came"),
    (SLOW, SourceDown, "no answer to 1m bars of AAA within 0.4 s"),
    (as_json({"message": "later"}, status=503), SourceDown, "fails on its side .HTTP 503.*later"),
    (as_json({"message": KEY}, status=403), SourceRefused, r"refuses our key .*\*\*\*"),
    (as_json({"message": "which?"}, status=404), SourceRefused, "refuses 1m bars of AAA"),
    (as_json({"message": "slowly"}, status=429), SourceBusy, "too many requests"),
    (Reply(b"", status=204), SourceNonsense, "HTTP 204"),
]


@pytest.mark.parametrize(("fault", "kind", "text"), FAULTS, ids=[text[:30] for _, _, text in FAULTS])
def test_what_goes_wrong_is_told_by_name_once_and_without_the_key(
    fault: Reply, kind: type[Exception], text: str
) -> None:
    changed = {"bounds": IMPATIENT} if fault in (SLOW, DRIBBLING) else {}
    with HttpServer(served, [fault]) as server, pytest.raises(kind, match=text) as told:
        asked(source(server, **changed))
    assert type(told.value) is kind
    assert len(server.log) == 1
    assert KEY not in f"{told.value} {told.value!r} {told.value.__cause__}"


def test_a_server_that_is_not_there_is_down() -> None:
    with HttpServer(served) as server:
        gone = source(server)
    with pytest.raises(SourceDown, match="cannot be reached"):
        asked(gone)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "Mon, 01 Jan 99999999999 00:00:00 GMT"}, 0),
        ({"Retry-After": "9" * 5000, "X-RateLimit-Reset": "9" * 5000}, 0),
        ({"Retry-After": "9" * 15}, 86_400),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"X-RateLimit-Reset": "1800000030", "Date": "Fri, 15 Jan 2027 08:00:00 GMT"}, 30),
        ({"RateLimit-Reset": "12"}, 12),
        ({}, 0),
    ],
)
def test_the_wait_a_busy_server_wants_is_told_whichever_way_it_says_it(headers: dict[str, str], seconds: int) -> None:
    with HttpServer(served, [as_json({}, status=429, headers=headers)]) as server, pytest.raises(SourceBusy) as told:
        asked(source(server))
    assert told.value.wait in range(seconds * SECOND, (seconds + 1) * SECOND) or "Date" in headers


def test_what_the_reply_says_of_its_limit_is_kept_for_who_asks_politely() -> None:
    headers = {"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "20"}
    with HttpServer(served, [as_json({"data": {"bars": []}}, headers=headers)]) as server:
        one = source(server)
        asked(one)
        assert (one.remaining, one.resets) == (3, NOW + 20 * SECOND)
        asked(one)
        assert (one.remaining, one.resets) == (None, None)


def test_a_refusal_inside_an_answer_is_told_as_what_it_is() -> None:
    note = as_json({"Note": f"5 calls a minute for {KEY}"})
    with HttpServer(served, [note]) as server, pytest.raises(SourceBusy, match=r"Note: '5 calls a minute for \*\*\*'"):
        asked(source(server, errors={"Note": "busy"}))


def test_asked_politely_every_bar_comes_once_whatever_goes_wrong_between_pages() -> None:
    naps: list[float] = []
    with HttpServer(served) as server:
        polite = Polite(
            source(server), TokenBucket(Rate(1000, burst=100)), CircuitBreaker(), lambda: round(sum(naps) * SECOND),
            naps.append, random=Random(3), wall=lambda: NOW,
        )  # fmt: skip
        pages = polite.bars(["AAA"], "1m", START, START + 60 * MINUTE)
        found = [*next(pages)]
        server.faults += [as_json({}, status=429, headers={"Retry-After": "9"}), Reply(LOGIN)]
        found += [bar for page in pages for bar in page]
    assert [bar.start for bar in found] == [START + minute * MINUTE for minute in range(BARS)]
    assert naps[0] == 9
    assert [request.query.get("page_token") for request in server.log] == [None, "10", None, None, "10"]


def test_the_credential_is_sent_and_shown_nowhere() -> None:
    with HttpServer(served) as server:
        one = options(server, secret="s3cret/+", headers={"X-Key": "{key}", "Authorization": "Basic {basic}"})
        asked(RestSource(one, clock=lambda: NOW))
    assert server.log[0].headers["x-key"] == KEY
    assert server.log[0].headers["authorization"].startswith("Basic ")
    masked = one.secrets.masked(f"{one!r} {one.secrets!r} {server.log[0].headers} key=s3cret%2F%2B")
    assert not any(text in f"{one!r} {one.secrets!r}" + masked for text in (KEY, "s3cret"))
    assert server.log[0].headers["authorization"].split()[1] not in masked


# --- live -------------------------------------------------------------------------------------------------------------


def test_polling_tells_new_bars_once_revised_ones_again_and_quotes_that_changed() -> None:
    clock = [START + 2 * MINUTE + SECOND]
    close = [11.0]
    bid = [10.0]

    def live(request: Request) -> Reply:
        if request.path == "/quote":
            return as_json({"bid": bid[0], "ask": bid[0] + 1})
        if "NONE" in request.path:
            return as_json({"message": "unknown symbol"}, status=404)
        return as_json({"data": {"bars": [row(minute, c=close[0]) for minute in range(4)]}})

    with HttpServer(live) as server:
        quote = Ask(f"{server.url}/quote", QuoteFields("bid", "ask"), {"s": "{symbol}"})
        one = RestSource(options(server, poll=0.02, quote=quote), clock=lambda: clock[0])
        with Listening(one, ["AAA", "NONE"], [Kind.BARS, Kind.QUOTES]) as heard:
            linked = heard.linked()
            assert linked.symbols == ("AAA",)
            assert "HTTP 404" in linked.lacking["NONE"]
            heard.until(lambda told: sum(isinstance(each, Wire) for each in told) >= 3)
            assert [bar.start for bar in heard.of(Bar)] == [START, START + MINUTE]  # type: ignore[union-attr]
            clock[0] += MINUTE
            heard.until(lambda told: sum(isinstance(each, Bar) for each in told) >= 3)
            close[0], bid[0] = 11.5, 10.25
            heard.until(lambda told: any(isinstance(each, Bar) and each.revision for each in told))
            heard.until(lambda told: sum(isinstance(each, Quote) for each in told) >= 2)
        bars, quotes = heard.of(Bar), heard.of(Quote)
    assert [(bar.start, bar.revision) for bar in bars][:3] == [(START + n * MINUTE, 0) for n in range(3)]  # type: ignore[union-attr]
    assert {(bar.close, bar.revision) for bar in bars} == {(11.0, 0), (11.5, 1)}  # type: ignore[union-attr]
    assert [quote.bid for quote in quotes] == [10.0, 10.25]  # type: ignore[union-attr]


def test_polling_ends_with_the_error_of_the_server_and_within_a_second_of_stop() -> None:
    with HttpServer(served) as server:
        one = source(server, poll=0.02)
        with Listening(one, ["AAA"], [Kind.BARS]) as heard:
            heard.linked()
            server.faults.append(Reply(LOGIN))
            assert isinstance(heard.ended(), SourceNonsense)
        server.faults.append(as_json({}, after=30))
        slow = source(server, poll=0.02, bounds=Bounds(read=20))
        with Listening(slow, ["AAA"], [Kind.BARS]):
            pass


def test_polling_asks_no_more_often_than_the_rate_allows() -> None:
    with HttpServer(served) as server:
        one = source(server, poll=0.001, rate=20.0, burst=1)
        began = time.monotonic()
        with Listening(one, ["AAA"], [Kind.BARS]) as heard:
            heard.until(lambda told: sum(isinstance(each, Wire) for each in told) >= 5)
        took = time.monotonic() - began
        assert 5 <= len([request for request in server.log if "page_token" not in request.query]) <= 2 + took * 20


def test_a_source_without_poll_is_not_live() -> None:
    with HttpServer(served) as server:
        one = source(server)
        assert one.traits.live == ()
        with Listening(one, ["AAA"], [Kind.BARS]) as heard, pytest.raises(DataError, match="mine is not live"):
            heard.linked()


# --- there and back ---------------------------------------------------------------------------------------------------

PRICE = st.floats(0.0001, 1e6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(PRICE, PRICE, PRICE, PRICE, st.floats(0, 1e12)), max_size=30), st.sampled_from(["s", "ms", "us", "ns", "iso"]), st.booleans())  # fmt: skip # noqa: E501
def test_what_a_server_wrote_down_is_what_is_read(rows: list[tuple[float, ...]], form: str, as_text: bool) -> None:
    reader = Reader("mine", Times(form))
    for minute, numbers in enumerate(rows):
        start = START + minute * MINUTE
        time: Any = written(start, form)
        time = time if as_text or form == "iso" else int(time)
        sent = [time, *(repr(value) if as_text else value for value in numbers)]
        read = reader.bar(sent, BarFields("0", "1", "2", "3", "4", "5"), "AAA", "1m", NOW)
        assert read == Bar("AAA", "1m", start, start + MINUTE, *numbers, "mine", NOW)  # type: ignore[misc]
