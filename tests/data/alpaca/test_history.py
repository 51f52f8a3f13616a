from __future__ import annotations

import csv
import gzip
import time
from datetime import date
from decimal import Decimal

import pytest

from appliance.data.calendars import always_open
from appliance.data.options import midnight
from appliance.data.sources.alpaca import history
from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, Dividend, Quote, Sessions, Split, Trade
from appliance.errors import DataError
from tests.data.alpaca.conftest import HistoryOf, Options
from tests.data.real import needs_real_data, real
from tests.data.source_contract import bars_of, ticks_of
from tests.standins.alpaca import AlpacaStandIn, Market, minutes
from tests.standins.alpaca.market import bar, quote, trade

MONDAY = midnight(date(2013, 10, 7))
OPEN, CLOSE = MONDAY + 9 * HOUR + 30 * MINUTE, MONDAY + 16 * HOUR
PAGE = 250


@pytest.fixture
def server(market: Market):  # type: ignore[no-untyped-def]
    with AlpacaStandIn(market, page_max=PAGE) as stand_in:
        yield stand_in


def test_bars_are_told_by_their_end_page_by_page(market: Market, server: AlpacaStandIn, past: HistoryOf) -> None:
    market.add("bars", "SPY", minutes(OPEN, 390))
    market.add("bars", "AAPL", minutes(OPEN, 390, seed=2))
    found = bars_of(past(), ["SPY", "AAPL"], "1m", OPEN, CLOSE)
    assert len(found) == 780
    assert (found[0].symbol, found[0].start, found[0].end) == ("AAPL", OPEN, OPEN + MINUTE)
    assert found[-1].end == CLOSE
    requests = server.log.of("request", "/v2/stocks/bars")
    assert [request.facts["query"].get("page_token") is None for request in requests] == [True, False, False, False]
    assert requests[0].facts["query"] | {"page_token": ""} == {
        "symbols": "SPY,AAPL", "timeframe": "1Min", "adjustment": "raw", "feed": "iex", "limit": "10000", "sort": "asc",
        "start": "2013-10-07T13:30:00.000000000Z", "end": "2013-10-07T19:59:59.999999999Z", "page_token": "",
    }  # fmt: skip


def test_a_page_is_yielded_before_the_next_one_is_asked_for(
    market: Market, server: AlpacaStandIn, past: HistoryOf
) -> None:
    market.add("bars", "SPY", minutes(OPEN, 390))
    pages = past().bars(["SPY"], "1m", OPEN, CLOSE)
    assert len(next(pages)) == PAGE
    assert len(server.log.of("request")) == 1
    assert len(next(pages)) == 390 - PAGE


def test_only_bars_that_lie_inside_the_question_are_told(market: Market, past: HistoryOf) -> None:
    market.add("bars", "SPY", minutes(OPEN, 10))
    found = bars_of(past(), ["SPY"], "1m", OPEN + MINUTE + 1, OPEN + 5 * MINUTE + 1)
    assert [bar.start for bar in found] == [OPEN + n * MINUTE for n in (2, 3, 4)]


def test_a_bar_that_is_still_forming_is_left_out(market: Market, past: HistoryOf) -> None:
    this_minute = time.time_ns() // MINUTE * MINUTE
    market.add("bars", "SPY", minutes(this_minute - 2 * MINUTE, 3))
    found = bars_of(past(), ["SPY"], "1m", this_minute - 3 * MINUTE, this_minute + DAY)
    assert all(bar.end <= time.time_ns() for bar in found)
    assert len(found) in (2, 3)


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [("2013-10-07", "13:30", "20:00"), ("2013-11-29", "14:30", "18:00"), ("2013-11-04", "14:30", "21:00")],
)
def test_a_daily_bar_covers_its_session(market: Market, past: HistoryOf, day: str, opens: str, closes: str) -> None:
    stamp = midnight(date.fromisoformat(day))
    market.add("bars", "SPY", [bar(stamp, 1, 2, 1, 2, 5)], "1Day")
    (found,) = bars_of(past(), ["SPY"], "1d", stamp, stamp + 2 * DAY)
    assert (_clock(found.start), _clock(found.end)) == (opens, closes)


def test_weeks_and_months_go_from_their_first_open_to_their_last_close(market: Market, past: HistoryOf) -> None:
    market.add("bars", "SPY", [bar(midnight(date(2013, 11, 25)), 1, 2, 1, 2, 5)], "1Week")
    market.add("bars", "SPY", [bar(midnight(date(2013, 11, 1)), 1, 2, 1, 2, 5)], "1Month")
    begin, end = midnight(date(2013, 11, 1)), midnight(date(2013, 12, 1))
    (week,) = bars_of(past(), ["SPY"], "1w", begin, end)
    (month,) = bars_of(past(), ["SPY"], "1mo", begin, end)
    friday = midnight(date(2013, 11, 29)) + 13 * HOUR  # an early close
    assert (week.start, week.end) == (midnight(date(2013, 11, 25)) + 9 * HOUR + 30 * MINUTE, friday)
    assert (month.start, month.end) == (begin + 9 * HOUR + 30 * MINUTE, friday)


def test_a_day_of_which_only_a_part_was_asked_for_is_not_told(market: Market, past: HistoryOf) -> None:
    market.add("bars", "SPY", [bar(MONDAY, 1, 2, 1, 2, 5)], "1Day")
    assert bars_of(past(), ["SPY"], "1d", OPEN, CLOSE) != []
    assert bars_of(past(), ["SPY"], "1d", OPEN + 1, CLOSE) == []
    assert bars_of(past(), ["SPY"], "1d", OPEN, CLOSE - 1) == []


def test_a_daily_bar_of_a_day_without_session_stays_whole(market: Market, past: HistoryOf) -> None:
    sunday = MONDAY - DAY
    market.add("bars", "SPY", [bar(sunday, 1, 2, 1, 2, 5)], "1Day")
    (found,) = bars_of(past(), ["SPY"], "1d", sunday, MONDAY + DAY)
    assert (found.start, found.end) == (sunday, MONDAY)


@pytest.mark.parametrize("timeframe", ["1h", "45m", "7m"])
def test_bars_that_do_not_begin_with_the_session_are_refused(past: HistoryOf, timeframe: str) -> None:
    with pytest.raises(DataError, match=f"{timeframe} begin on the clock"):
        bars_of(past(), ["SPY"], timeframe, OPEN, CLOSE)


@pytest.mark.parametrize("timeframe", ["30s", "2d", "5mo", "week"])
def test_a_timeframe_that_alpaca_does_not_have_is_named(past: HistoryOf, timeframe: str) -> None:
    with pytest.raises(DataError, match=timeframe):
        bars_of(past(), ["SPY"], timeframe, OPEN, CLOSE)


def test_every_timeframe_it_is_said_to_have_is_had(market: Market, past: HistoryOf, options: Options) -> None:
    for source in (past(), history(options(market="crypto"), always_open())):
        symbol = "BTC/USD" if source.traits.actions is False else "SPY"
        assert [bars_of(source, [symbol], one, OPEN, CLOSE) for one in source.traits.timeframes] == [
            [] for _ in source.traits.timeframes
        ]


def test_crypto_hours_and_months_are_whole(market: Market, server: AlpacaStandIn, options: Options) -> None:
    first = midnight(date(2024, 2, 1)) - 5 * HOUR
    market.add("bars", "BTC/USD", [bar(first, 1, 2, 1, 2, 0.25)], "1Hour")
    market.add("bars", "BTC/USD", [bar(first, 1, 2, 1, 2, 0.25)], "1Month")
    source = history(options(market="crypto"), always_open())
    (hour,) = bars_of(source, ["BTC/USD"], "1h", first, first + DAY)
    (month,) = bars_of(source, ["BTC/USD"], "1mo", first, first + 40 * DAY)
    assert (hour.end - hour.start, month.end - month.start, hour.volume) == (HOUR, 29 * DAY, 0.25)
    request = server.log.of("request", "/v1beta3/crypto/us/bars")[0].facts["query"]
    assert not {"feed", "adjustment"} & set(request)


def test_quotes_and_trades_keep_every_nanosecond(market: Market, past: HistoryOf) -> None:
    odd = OPEN + 123_456_789
    market.add("quotes", "SPY", [quote(OPEN + n, 169.1, 169.2) for n in range(2 * PAGE)])
    market.add("trades", "SPY", [trade(odd, 169.15, 40)])
    assert [tick.time for tick in ticks_of(past(), "quotes", "SPY", OPEN, CLOSE)] == list(range(OPEN, OPEN + 2 * PAGE))
    (found,) = ticks_of(past(), "trades", "SPY", OPEN, CLOSE)
    assert isinstance(found, Trade)
    assert (found.time, found.price, found.size) == (odd, 169.15, 40)


def test_sizes_of_quotes_are_shares_before_and_after_the_round_lots_went(market: Market, past: HistoryOf) -> None:
    change = midnight(date(2025, 11, 3))
    market.add("quotes", "SPY", [quote(change - 1, 1, 2, 3, 4), quote(change, 1, 2, 300, 400)])
    sizes = [
        (tick.bid_size, tick.ask_size)
        for tick in ticks_of(past(), "quotes", "SPY", change - SECOND, change + SECOND)
        if isinstance(tick, Quote)
    ]
    assert sizes == [(300.0, 400.0), (300.0, 400.0)]


def test_splits_and_dividends_are_told_at_the_midnight_of_their_ex_date(market: Market, past: HistoryOf) -> None:
    day, paid = "2014-06-09", "2014-07-15"
    market.act("forward_splits", symbol="AAPL", new_rate=7, old_rate=1, ex_date=day, process_date=day)
    market.act("reverse_splits", symbol="AIG", new_rate=1, old_rate=20, ex_date=day, process_date=day)
    market.act("forward_splits", symbol="TR", new_rate=1.03, old_rate=1, ex_date=day, process_date=day)
    market.act("stock_dividends", symbol="XYZ", rate=0.05, ex_date=day, process_date=day)
    market.act("cash_dividends", symbol="AAPL", rate=0.47, ex_date="2014-06-10", process_date=paid)
    market.act("cash_dividends", symbol="AAPL", rate=9.99, ex_date="2014-06-12", process_date=paid)
    begin = midnight(date(2014, 6, 9))
    assert past().actions(["AAPL", "AIG", "TR", "XYZ"], begin, begin + 3 * DAY) == (
        Split("AAPL", begin, 7, 1),
        Dividend("AAPL", begin + DAY, Decimal("0.47")),
        Split("AIG", begin, 1, 20),
        Split("TR", begin, 103, 100),
        Split("XYZ", begin, 21, 20),
    )


@needs_real_data
def test_recorded_minutes_come_through_as_they_were_recorded(
    market: Market, server: AlpacaStandIn, past: HistoryOf
) -> None:
    with gzip.open(real("equity_1min_bars"), "rt") as lines:
        rows = [row for row in csv.DictReader(lines) if row["symbol"] in ("SPY", "AIG")]
    for row in rows:
        prices = (float(row[name]) for name in ("open", "high", "low", "close", "volume"))
        market.add("bars", row["symbol"], [bar(int(row["ts"]), *prices)])
    server.data.page_max = 5_000
    first, last = min(int(row["ts"]) for row in rows), max(int(row["ts"]) for row in rows)
    found = bars_of(past(), ["SPY", "AIG"], "1m", first, last + MINUTE)
    assert len(rows) > 5_000
    assert {(one.symbol, one.end): (one.open, one.high, one.low, one.close, one.volume) for one in found} == {
        (row["symbol"], int(row["ts"]) + MINUTE): tuple(
            float(row[name]) for name in ("open", "high", "low", "close", "volume")
        )
        for row in rows
    }


def test_crypto_has_no_actions_and_asks_for_none(server: AlpacaStandIn, options: Options) -> None:
    source = history(options(market="crypto"), always_open())
    assert source.actions(["BTC/USD"], OPEN, CLOSE) == ()
    assert server.log.of("request") == []


def test_the_delayed_feed_ends_before_the_last_fifteen_minutes(
    market: Market, server: AlpacaStandIn, past: HistoryOf
) -> None:
    now = time.time_ns() // MINUTE * MINUTE
    market.add("bars", "SPY", minutes(now - 30 * MINUTE, 30))
    found = bars_of(past(feed="delayed_sip"), ["SPY"], "1m", now - HOUR, now)
    assert found[-1].end <= time.time_ns() - 15 * MINUTE
    assert server.log.of("request")[0].facts["query"]["feed"] == "sip"


def test_more_symbols_than_fit_into_an_address_are_asked_for_in_turn(
    market: Market, server: AlpacaStandIn, past: HistoryOf
) -> None:
    symbols = [f"A{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(150)]
    for symbol in symbols:
        market.add("bars", symbol, minutes(OPEN, 2))
    assert {bar.symbol for bar in bars_of(past(), symbols, "1m", OPEN, CLOSE)} == set(symbols)
    assert [len(one.facts["query"]["symbols"].split(",")) for one in server.log.of("request")] == [100, 50]


@pytest.mark.parametrize(
    ("symbols", "start", "end", "text"),
    [
        ([], OPEN, CLOSE, "no symbol"),
        ([""], OPEN, CLOSE, "no symbol"),
        (["SPY"], CLOSE, OPEN, "is not before end"),
        (["SPY"], 2**62, 2**62 + DAY, "SPY: the range begins in the future"),
    ],
)
def test_a_question_that_makes_no_sense_is_not_asked(
    server: AlpacaStandIn, past: HistoryOf, symbols: list[str], start: int, end: int, text: str
) -> None:
    with pytest.raises(DataError, match=text):
        bars_of(past(), symbols, "1m", start, end)
    assert server.log.of("request") == []


def test_ten_thousand_bars_in_four_pages_are_asked_for_page_by_page_over_a_slow_line(
    sessions: Sessions, options: Options
) -> None:
    market = Market()
    market.add("bars", "SPY", minutes(OPEN, 10_000))
    with AlpacaStandIn(market, page_max=2_500) as slow:
        slow.faults.latency = 0.2
        source = history(options(slow), sessions)
        found = bars_of(source, ["SPY"], "1m", OPEN, OPEN + 10_000 * MINUTE)
    assert len(found) == 10_000
    assert [entry.facts["status"] for entry in slow.log.of("reply")] == [200] * 4


def _clock(when: int) -> str:
    return f"{when % DAY // HOUR:02d}:{when % HOUR // MINUTE:02d}"
