"""What is made of single ticks, notices and stamps, without a socket."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from appliance.data.sources.base import Kind, Linked, Oddity, Wire
from appliance.data.sources.ibkr.contracts import spec
from appliance.data.sources.ibkr.desk import Desk, Prices, Tick
from appliance.data.sources.ibkr.options import IbkrOptions
from appliance.data.sources.ibkr.ranges import SIZES, Spans, pages, size_of
from appliance.data.sources.ibkr.refusals import Sign, Way, finds_nothing, refusal
from appliance.domain.market import SECOND, Bar, Quote, Sessions, TradingStatus, timeframe_ns
from appliance.errors import DataError, SourceBusy, SourceDown, SourceError, SourceRefused

ALL = list(Kind)
UNSET = 1.7976931348623157e308


def desk(**options: object) -> Desk:
    made = Desk(IbkrOptions(**options), ["SPY", "IBM"], ALL, {})  # type: ignore[arg-type]
    made.link()
    return made


def test_what_comes_before_the_link_is_told_after_it() -> None:
    made = Desk(IbkrOptions(), ["SPY"], ALL, {})
    assert made.ticks("SPY", [Tick(1, 100.0, 3), Tick(2, 100.1, 4)], 7) == []
    assert made.alive() == []
    linked, quote, wire = made.link()
    assert linked == Linked(("SPY",))
    assert isinstance(quote, Quote)
    assert wire == Wire()
    assert made.link() == [Linked(("SPY",))]


@pytest.mark.parametrize(
    ("ticks", "told"),
    [
        ([Tick(1, 100.0, 3)], None),
        ([Tick(1, 100.0, 3), Tick(2, 100.1, 4)], (100.0, 100.1, 3.0, 4.0)),
        ([Tick(1, 100.0, 3), Tick(2, 100.1, 4), Tick(0, 100.0, 9)], (100.0, 100.1, 9.0, 4.0)),
        ([Tick(1, 100.0, 3), Tick(2, -1.0, 0)], None),
        ([Tick(1, 100.0, 3), Tick(2, UNSET, 4)], None),
        ([Tick(1, 100.0, 3), Tick(2, float("nan"), 4)], None),
        ([Tick(1, float("inf"), 3), Tick(2, 100.1, 4)], None),
        ([Tick(66, 100.0, 3), Tick(67, 100.1, 4)], None),
        ([Tick(9, 99.0, 0), Tick(37, 98.0, 0)], None),
    ],
)
def test_a_quote_needs_both_sides_with_prices_and_sizes(
    ticks: list[Tick], told: tuple[float, float, float, float] | None
) -> None:
    quotes = [one for one in desk().ticks("SPY", ticks, 7) if isinstance(one, Quote)]
    assert [(one.bid, one.ask, one.bid_size, one.ask_size) for one in quotes] == ([told] if told else [])


def test_ticks_that_change_nothing_make_no_quote() -> None:
    made = desk()
    assert made.ticks("SPY", [Tick(1, 100.0, 3), Tick(2, 100.1, 4)], 7)
    assert made.ticks("SPY", [Tick(1, 100.0, 3), Tick(9, 99.0, 0)], 8) == []


def test_a_halt_that_is_not_known_changes_nothing() -> None:
    made = desk()
    assert [one.halted for one in made.ticks("SPY", [Tick(49, 1.0, 0)], 7) if isinstance(one, TradingStatus)] == [True]
    assert made.ticks("SPY", [Tick(49, -1.0, 0)], 8) == []
    assert [one.halted for one in made.ticks("SPY", [Tick(49, 0.0, 0)], 9) if isinstance(one, TradingStatus)] == [False]


@pytest.mark.parametrize("price", [UNSET, float("nan"), float("inf")])
def test_a_bar_without_its_prices_is_left_out_and_said(price: float) -> None:
    (told,) = desk().bar("SPY", 1_381_152_600, Prices(100.0, price, 99.0, 100.0), 5, 7)
    assert isinstance(told, Oddity)


def test_after_lost_data_old_prices_are_no_longer_known() -> None:
    made = desk()
    made.ticks("SPY", [Tick(1, 100.0, 3), Tick(2, 100.1, 4)], 7)
    made.notice(-1, 1101, "restored - data lost")
    assert made.again
    made.closed()
    assert made.ticks("SPY", [Tick(1, 100.0, 3)], 8) == []


def test_a_refused_symbol_is_told_of_no_more() -> None:
    made = desk()
    made.opened(5, "SPY", "bars")
    made.opened(6, "SPY", "ticks")
    (linked,) = made.notice(5, 354, "not subscribed")
    assert isinstance(linked, Linked)
    assert (linked.symbols, linked.anew) == (("IBM",), ())
    assert made.forget("SPY") == [(6, "ticks")]
    assert made.bar("SPY", 1_381_152_600, Prices(1, 1, 1, 1), 5, 7) == []
    assert made.notice(6, 300, "Can't find EId") == []


def test_notices_that_carry_the_id_of_a_request_refuse_nothing() -> None:
    made = desk()
    made.opened(5, "SPY", "bars")
    made.notice(5, 2107, "HMDS data farm connection is inactive")
    assert made.served == ("SPY", "IBM")


def test_delay_is_no_refusal_where_it_was_asked_for() -> None:
    made = desk(delayed=True)
    made.opened(5, "SPY", "ticks")
    assert made.notice(5, 10167, "Displaying delayed market data") == []
    assert made.served == ("SPY", "IBM")


def test_bars_of_the_middle_have_no_volume() -> None:
    (bar,) = desk(show="MIDPOINT").bar("SPY", 1_381_152_600, Prices(1, 1, 1, 1), -1, 7)
    assert isinstance(bar, Bar)
    assert bar.volume == 0.0


@pytest.mark.parametrize(
    ("notices", "is_open"),
    [
        ([], True),
        ([(1100, "lost")], False),
        ([(1100, "lost"), (1102, "maintained")], True),
        ([(1100, "lost"), (1101, "data lost")], True),
        ([(2103, "broken:usfarm")], False),
        ([(2103, "broken:usfarm"), (2104, "OK:usopt")], False),
        ([(2103, "broken:usfarm"), (2104, "OK:usfarm")], True),
        ([(2105, "HMDS data farm connection is broken:ushmds")], True),
        ([(2103, "broken:usfarm"), (1102, "All data farms are connected: usfarm; ushmds.")], True),
        ([(9999, "news to us")], True),
    ],
)
def test_the_way_is_open_as_long_as_the_notices_say(notices: list[tuple[int, str]], is_open: bool) -> None:
    way = Way()
    for code, text in notices:
        way.take(code, text)
    assert way.open is is_open
    assert way.take(4242, "") is Sign.WORD


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (162, "HMDS query: pacing violation", SourceBusy),
        (162, "API historical data query cancelled", SourceDown),
        (420, "Invalid Real-time Query:Historical data request pacing violation", SourceBusy),
        (420, "Invalid Real-time Query:No market data permissions for ISLAND STK", SourceRefused),
        (354, "not subscribed", SourceRefused),
        (326, "client id is already in use", SourceBusy),
        (123456, "never heard of", SourceDown),
    ],
)
def test_every_code_is_one_of_our_errors(code: int, text: str, kind: type[SourceError]) -> None:
    error = refusal("ibkr", "SPY", code, text)
    assert type(error) is kind
    assert error.source == "ibkr"
    assert f"SPY: {text} (code {code})" in str(error)


def test_no_data_is_told_from_what_failed() -> None:
    assert finds_nothing(162, "HMDS query returned no data: SPY@SMART Trades")
    assert not finds_nothing(162, "Historical data request pacing violation")
    assert not finds_nothing(200, "no data")


@pytest.mark.parametrize(("symbol", "wire"), [("SPY", "SPY"), ("BRK.B", "BRK B"), ("F", "F")])
def test_a_stock_is_named_as_ib_writes_it(symbol: str, wire: str) -> None:
    assert spec(symbol) == (wire, "STK", "SMART", "USD")


@pytest.mark.parametrize("symbol", ["", "spy", "BTC/USD", "SPY ", "A.B.C", "TOOLONGNAME"])
def test_other_symbols_are_said_to_be_none_of_ours(symbol: str) -> None:
    with pytest.raises(DataError, match="Interactive Brokers has no"):
        spec(symbol)


@pytest.mark.parametrize("timeframe", list(SIZES))
def test_pages_cover_a_range_once_and_stay_in_the_sessions(sessions: Sessions, timeframe: str) -> None:
    start = int(datetime(2013, 11, 20, 15, 1, tzinfo=UTC).timestamp()) * SECOND
    end = int(datetime(2013, 12, 9, 16, 2, tzinfo=UTC).timestamp()) * SECOND
    found = list(pages(size_of(timeframe), sessions, start, end))
    assert found[0].start == start
    assert found[-1].end == end
    assert all(page.start < page.end for page in found)
    assert all(one.end <= next.start for one, next in pairwise(found))
    covered = sum(page.end - page.start for page in found) if SIZES[timeframe].seconds else None
    inside = [session for session in sessions if session.open < end and start < session.close]
    open_time = sum(min(end, session.close) - max(start, session.open) for session in inside)
    assert covered in (None, open_time)
    longest = SIZES[timeframe].seconds * SECOND
    assert not longest or all(page.end - page.start <= longest for page in found)


def test_a_stamp_becomes_the_span_that_the_bar_covers(sessions: Sessions) -> None:
    half = Spans("30m", sessions)
    stamp = datetime(2013, 11, 29, 17, 30, tzinfo=UTC)
    start = int(stamp.timestamp()) * SECOND
    assert half.of(stamp) == (start, start + timeframe_ns("30m"))
    days = Spans("1d", sessions)
    opened, closed = days.of(date(2013, 11, 29))
    assert closed - opened == 3.5 * 3600 * SECOND
    midnight, end = days.of(date(2013, 11, 28))  # Thanksgiving
    assert end - midnight == 24 * 3600 * SECOND
    for nonsense in ("20131129", None, datetime(2013, 11, 29)):
        with pytest.raises(ValueError, match="time"):
            days.of(nonsense)
