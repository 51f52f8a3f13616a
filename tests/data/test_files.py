from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.data.calendars import always_open
from appliance.data.options import NEW_YORK, FileOptions
from appliance.data.sources.files import FileSource
from appliance.domain.market import (
    MINUTE,
    SECOND,
    Bar,
    MarketEvent,
    Quote,
    QuoteBar,
    Session,
    Sessions,
    Trade,
    known_at,
)
from appliance.errors import DataError, UsageError
from tests.data.real import needs_real_data, real

BARS = "ts,symbol,open,high,low,close,volume"
ALL = FileOptions(session="all", bar_stamp="start")


def at(text: str) -> int:
    """A New York time as ns UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * SECOND


MONDAY = at("2013-10-07T09:30")
WEEK = Sessions(
    [Session(f"2013-10-{day:02}", at(f"2013-10-{day:02}T09:30"), at(f"2013-10-{day:02}T16:00")) for day in range(7, 12)]
)


def write(folder: Path, lines: list[str], name: str = "prices.csv") -> str:
    path = folder / name
    text = "\n".join(lines) + "\n"
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return str(path)


def bar(stamp: int, symbol: str = "SPY", price: float = 10.0) -> str:
    return f"{stamp},{symbol},{price},{price + 1},{price - 1},{price},100"


def everything(source: FileSource, limit: int = 1000) -> list[MarketEvent]:
    events: list[MarketEvent] = []
    while True:
        offer = source.batch(limit)
        events += offer.events
        if offer.done:
            return events


@pytest.mark.parametrize("name", ["prices.csv", "prices.csv.gz"])
def test_a_bar_stamped_with_its_start_is_known_a_minute_later(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, [BARS, bar(MONDAY), bar(MONDAY + MINUTE)], name)
    first = everything(FileSource([path], ALL))[0]
    assert first == Bar("SPY", "1m", MONDAY, MONDAY + MINUTE, 10.0, 11.0, 9.0, 10.0, 100.0)


def test_a_bar_stamped_with_its_end_began_a_minute_before(tmp_path: Path) -> None:
    path = write(tmp_path, [BARS, bar(MONDAY), bar(MONDAY + MINUTE)])
    first = everything(FileSource([path], FileOptions(session="all")))[0]
    assert isinstance(first, Bar)
    assert (first.start, first.end) == (MONDAY - MINUTE, MONDAY)


KINDS = {
    "quote bars without sizes": (
        "symbol,ts,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close",
        [f"SPY,{MONDAY},1,3,1,2,4,6,4,5", f"SPY,{MONDAY + MINUTE},1,3,1,2,4,6,4,5"],
        QuoteBar("SPY", "1m", MONDAY, MONDAY + MINUTE, 1, 3, 1, 2, 4, 6, 4, 5),
    ),
    "quote bars with sizes between": (
        "ts,venue,symbol,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,ask_close,ask_size",
        [f"{MONDAY},x,SPY,1,3,1,2,70,4,6,4,5,80", f"{MONDAY + MINUTE},x,SPY,1,3,1,2,70,4,6,4,5,80"],
        QuoteBar("SPY", "1m", MONDAY, MONDAY + MINUTE, 1, 3, 1, 2, 4, 6, 4, 5, 70, 80),
    ),
    "trades": (
        "ts,symbol,price,size,exchange,suspicious",
        [f"{MONDAY},SPY,10,100,P,1", f"{MONDAY},SPY,11,100,P,0"],
        Trade("SPY", MONDAY, 11.0, 100.0),
    ),
    "quotes": ("ts,symbol,bid,ask", [f"{MONDAY},SPY,10,11"], Quote("SPY", MONDAY, 10.0, 11.0)),
    "a header in capitals": ("TS, Symbol,Price,Size", [f"{MONDAY},SPY,10,1"], Trade("SPY", MONDAY, 10.0, 1.0)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_row_is_recognised_by_its_header(tmp_path: Path, kind: str) -> None:
    header, rows, first = KINDS[kind]
    assert everything(FileSource([write(tmp_path, [header, *rows])], ALL))[0] == first


def test_a_suspicious_tick_is_dropped_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, ["ts,symbol,price,size,suspicious", f"{MONDAY},SPY,10,1,0", f"{MONDAY},SPY,99,1,1"])
    source = FileSource([path], ALL)
    assert len(everything(source)) == 1
    assert source.report.files[0].suspicious == 1


def test_one_sided_quotes_keep_the_other_side_and_never_cross(tmp_path: Path) -> None:
    rows = ["10,5,,0", ",0,12,7", ",,11,1", "13,2,,", ",,14,3", "0,0,,", "13,1,,"]
    lines = [f"{MONDAY + number},SPY,{row}" for number, row in enumerate(rows)]
    source = FileSource([write(tmp_path, ["ts,symbol,bid,bid_size,ask,ask_size", *lines])], ALL)
    told = [(e.bid, e.bid_size, e.ask, e.ask_size) for e in everything(source) if isinstance(e, Quote)]
    assert told == [(10, 5, 12, 7), (10, 5, 11, 1), (13, 2, 14, 3), (13, 1, 14, 3)]
    assert source.report.files[0].silent == 3  # no ask yet, bid above the old ask, bid gone


def test_a_quote_bar_without_a_bid_is_silent_not_bad(tmp_path: Path) -> None:
    header = "ts,symbol,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,ask_close,ask_size"
    rows = [f"{MONDAY + n * MINUTE},SPY,{'1,1,1,1,5' if n else ',,,,0'},4,6,4,5,80" for n in range(3)]
    source = FileSource([write(tmp_path, [header, *rows])], ALL)
    assert (source.report.events, source.report.files[0].silent) == (2, 1)


@pytest.mark.parametrize(
    ("minutes", "kept"), [([-2, -1, 0, 1], [0, 1]), ([388, 389, 390], [388, 389]), ([1439, 1440, 1441], [1440, 1441])]
)
def test_regular_hours_drop_and_count_what_lies_outside(tmp_path: Path, minutes: list[int], kept: list[int]) -> None:
    path = write(tmp_path, [BARS, *(bar(MONDAY + minute * MINUTE) for minute in minutes)])
    source = FileSource([path], FileOptions(bar_stamp="start", sessions=WEEK))
    offer = source.batch(10)
    assert [event.start for event in offer.events if isinstance(event, Bar)] == [MONDAY + m * MINUTE for m in kept]
    assert offer.outside == len(minutes) - len(kept)


def test_ticks_at_the_close_are_outside(tmp_path: Path) -> None:
    close = at("2013-10-07T16:00")
    rows = [f"{stamp},SPY,10,1" for stamp in (MONDAY - 1, MONDAY, close - 1, close)]
    path = write(tmp_path, ["ts,symbol,price,size", *rows])
    offer = FileSource([path], FileOptions(sessions=WEEK)).batch(9)
    assert ([event.time for event in offer.events], offer.outside) == ([MONDAY, close - 1], 2)  # type: ignore[union-attr]


def test_outside_counts_up_with_the_position_and_survives_a_seek(tmp_path: Path) -> None:
    path = write(tmp_path, [BARS, *(bar(MONDAY + minute * MINUTE) for minute in (-1, 0, 1, 390, 1440, 1441, 1830))])
    source = FileSource([path], FileOptions(bar_stamp="start", sessions=WEEK))
    assert [source.step().outside for _ in range(4)] == [1, 1, 2, 3]
    source.seek(2)
    assert source.step().outside == 2


def test_the_first_hour_of_a_day_is_cut_at_the_open(tmp_path: Path) -> None:
    rows = [bar(at(f"2013-10-07T{hour:02}:00")) for hour in (8, 9, 10)]
    source = FileSource([write(tmp_path, [BARS, *rows])], FileOptions(bar_stamp="start", sessions=WEEK))
    spans = [(event.start, event.end) for event in everything(source) if isinstance(event, Bar)]
    assert spans == [(MONDAY, at("2013-10-07T10:00")), (at("2013-10-07T10:00"), at("2013-10-07T11:00"))]


def test_a_day_stamped_at_its_end_runs_from_the_open_to_its_stamp(tmp_path: Path) -> None:
    rows = [bar(at(f"2013-10-{day:02}T16:00")) for day in (7, 8, 12)]
    source = FileSource([write(tmp_path, [BARS, *rows])], FileOptions(sessions=WEEK))
    spans = [(event.start, event.end) for event in everything(source) if isinstance(event, Bar)]
    assert spans == [(at(f"2013-10-{day:02}T09:30"), at(f"2013-10-{day:02}T16:00")) for day in (7, 8)]
    assert source.report.outside == 1


def test_a_day_stamped_at_utc_midnight_is_of_that_date(tmp_path: Path) -> None:
    midnight = at("2013-10-06T20:00")  # New York's evening before is 2013-10-07T00:00Z
    path = write(tmp_path, [BARS, bar(midnight), bar(midnight + 86_400 * SECOND)])
    source = FileSource([path], FileOptions(bar_stamp="start", sessions=WEEK))
    first = source.step().events[0]
    assert isinstance(first, Bar)
    assert (first.start, first.end) == (MONDAY, at("2013-10-07T16:00"))


def test_dates_are_inclusive_new_york_days(tmp_path: Path) -> None:
    stamps = [at(f"2013-10-{day:02}T{time}") for day in (7, 8, 9) for time in ("00:00", "00:01", "23:59")]
    path = write(tmp_path, [BARS, *(bar(stamp) for stamp in stamps)])
    options = FileOptions(bar_stamp="start", session="all", start="2013-10-08", end="2013-10-08")
    events = everything(FileSource([path], options))
    assert [event.start for event in events if isinstance(event, Bar)] == stamps[3:6]


def test_a_market_that_never_closes_has_nothing_outside(tmp_path: Path) -> None:
    path = write(tmp_path, [BARS, *(bar(MONDAY + n * 8 * 3600 * SECOND + n * MINUTE) for n in range(9))])
    with pytest.raises(DataError, match="apart"):
        FileSource([path], FileOptions(sessions=always_open()))
    source = FileSource([path], FileOptions(sessions=always_open(), timeframe="1m"))
    assert (source.report.events, source.report.outside) == (9, 0)


def test_factors_multiply_prices_exactly_and_divide_volume(tmp_path: Path) -> None:
    rows = [bar(at(f"2013-10-0{day}T16:00"), price=167.74) for day in (7, 8, 9)]
    factors = write(
        tmp_path,
        [
            "symbol,through_date,price_factor,split_factor",
            "SPY,2013-10-07,0.8646268,0.5",
            "SPY,2013-10-08,0.9,1",
            "QQQ,2050-12-31,1,1",
        ],
        "factors.csv",
    )
    path = write(tmp_path, [BARS, *rows])
    events = everything(FileSource([path], FileOptions(sessions=WEEK, factors=factors)))
    assert [(e.open, e.volume) for e in events if isinstance(e, Bar)] == [
        (72.516249716, 200.0),
        (150.966, 100.0),
        (167.74, 100.0),
    ]


def test_symbols_without_factors_are_told(tmp_path: Path) -> None:
    factors = write(tmp_path, ["symbol,through_date,price_factor,split_factor", "SPY,2050-12-31,1,1"], "factors.csv")
    path = write(tmp_path, [BARS, bar(MONDAY), bar(MONDAY + MINUTE), bar(MONDAY, "BAC")])
    source = FileSource([path], FileOptions(session="all", factors=factors))
    assert source.report.unadjusted == ("BAC",)


FACTOR_ERRORS = {
    "missing column price_factor.*\n.*did you mean 'pricefactor'": ["symbol,through_date,pricefactor,split_factor"],
    "row 2: price_factor = '0'": ["symbol,through_date,price_factor,split_factor", "SPY,2013-10-07,0,1"],
    "row 2: through_date = 'soon'": ["symbol,through_date,price_factor,split_factor", "SPY,soon,1,1"],
    "row 3: through_date = 2013-10-07: dates of SPY must ascend": [
        "symbol,through_date,price_factor,split_factor",
        *["SPY,2013-10-07,1,1"] * 2,
    ],
    "no factors for SPY\n.*it has BAC": ["symbol,through_date,price_factor,split_factor", "BAC,2013-10-07,1,1"],
}


@pytest.mark.parametrize("text", FACTOR_ERRORS)
def test_a_factors_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    factors = write(tmp_path, FACTOR_ERRORS[text], "factors.csv")
    path = write(tmp_path, [BARS, bar(MONDAY), bar(MONDAY + MINUTE)])
    with pytest.raises(DataError, match=text):
        FileSource([path], FileOptions(session="all", factors=factors))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (FileOptions(session="all", bar_stamp="middle"), "bar_stamp 'middle'\n.*start, end"),
        (FileOptions(session="night"), "session 'night'\n.*regular, all"),
        (FileOptions(session="all", bad_rows="ignore"), "bad_rows 'ignore'\n.*refuse, quarantine"),
        (FileOptions(), "without a table of sessions"),
        (FileOptions(session="all", start="7 October"), "start '7 October' is not a date"),
        (FileOptions(session="all", start="2013-10-08", end="2013-10-07"), "start 2013-10-08 is after end 2013-10-07"),
        (FileOptions(session="all", timeframe="2m"), "timeframe '2m'\n.*1m"),
    ],
)
def test_options_that_make_no_sense_are_a_usage_error(tmp_path: Path, options: FileOptions, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        FileSource([write(tmp_path, [BARS, bar(MONDAY)])], options)


def test_a_file_named_twice_is_a_usage_error(tmp_path: Path) -> None:
    path = write(tmp_path, [BARS, bar(MONDAY), bar(MONDAY + MINUTE)])
    with pytest.raises(UsageError, match="named twice"):
        FileSource([path, f"{tmp_path}/./prices.csv"], ALL)


def test_seeking_beyond_the_data_is_refused(tmp_path: Path) -> None:
    source = FileSource([write(tmp_path, [BARS, bar(MONDAY), bar(MONDAY + MINUTE)])], ALL)
    source.seek(2)
    assert source.batch(5) == source.batch(5)
    assert source.batch(5).done
    with pytest.raises(DataError, match="position 3 is not in the data, which has 2 events"):
        source.seek(3)


STAMPS = st.sets(st.integers(0, 30), min_size=1, max_size=20).map(lambda found: sorted({*found, min(found) + 1}))


@settings(max_examples=60, deadline=None)
@given(
    spy=STAMPS,
    bac=STAMPS,
    ticks=st.lists(st.integers(0, 30), min_size=1, max_size=20),
    limit=st.integers(1, 9),
    data=st.data(),
)
def test_delivery_is_sorted_complete_and_the_same_after_a_seek(
    tmp_path_factory: pytest.TempPathFactory,
    spy: list[int],
    bac: list[int],
    ticks: list[int],
    limit: int,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("delivery")
    rows = {name: [bar(MONDAY + n * MINUTE, name) for n in stamps] for name, stamps in (("SPY", spy), ("BAC", bac))}
    quote = "{},SPY,1,3,1,2,4,6,4,5"
    files = [
        write(folder, [BARS, *rows["SPY"], *rows["BAC"]], "bars.csv"),
        write(
            folder, [KINDS["trades"][0], *(f"{MONDAY + n * MINUTE},BAC,9,1,P,0" for n in sorted(ticks))], "ticks.csv"
        ),
        write(
            folder,
            [
                "ts,symbol,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close",
                *(quote.format(MONDAY + n * MINUTE) for n in spy),
            ],
            "quotes.csv",
        ),
    ]
    source = FileSource(files, FileOptions(session="all", timeframe="1m"))
    told = everything(source, limit)
    rank = [QuoteBar, Quote, Trade, Bar]
    order = [(known_at(event), event.symbol, rank.index(type(event))) for event in told]
    assert order == sorted(order)
    assert len(told) == 2 * len(spy) + len(bac) + len(ticks)
    cut = data.draw(st.integers(0, len(told)))
    source.seek(cut)
    assert source.position == cut
    assert everything(source, limit) == told[cut:]


@settings(max_examples=40, deadline=None)
@given(stamps=st.lists(st.integers(0, 5), min_size=1, max_size=40).map(sorted), limit=st.integers(1, 7))
def test_one_timestamp_is_never_split(tmp_path_factory: pytest.TempPathFactory, stamps: list[int], limit: int) -> None:
    folder = tmp_path_factory.mktemp("whole")
    path = write(folder, ["ts,symbol,price,size", *(f"{MONDAY + stamp},SPY,9,1" for stamp in stamps)])
    source = FileSource([path], ALL)
    last = 0
    while not (offer := source.batch(limit)).done:
        assert known_at(offer.events[0]) > last
        last = known_at(offer.events[-1])
        assert offer.position == source.position
    assert not offer.events or known_at(offer.events[0]) > last
    assert source.position == len(stamps)


REAL = {
    "crypto_1min_bars": ("trade bars", "1m", 28182),
    "crypto_1min_bars_btcperp_2022-01": ("trade bars", "1m", 45031),
    "crypto_1min_quotebars": ("quote bars", "1m", 22288),
    "crypto_1sec_bars_btcusd": ("trade bars", "1s", 11520),
    "crypto_daily_btcusd": ("trade bars", "1d", 1318),
    "crypto_quotes_btcusdt_perp": ("tick quotes", "", 66089),
    "crypto_trades_btcusdt_perp": ("tick trades", "", 21313),
    "equity_1min_bars": ("trade bars", "1m", 21258),
    "equity_1min_quotebars": ("quote bars", "1m", 24142),
    "equity_1sec_bars": ("trade bars", "1s", 126689),
    "equity_1sec_quotebars": ("quote bars", "1s", 204536),
    "equity_daily": ("trade bars", "1d", 55887),
    "equity_hourly": ("trade bars", "1h", 204105),
    "equity_tick_quotes_ibm": ("tick quotes", "", 575589),
    "fx_gold_daily_quotebars": ("quote bars", "1d", 18901),
}


@needs_real_data
@pytest.mark.parametrize("name", [*REAL, pytest.param("equity_tick_trades", marks=pytest.mark.slow)])
def test_a_recorded_file_loads_without_a_bad_row(name: str) -> None:
    kind, timeframe, rows = {**REAL, "equity_tick_trades": ("tick trades", "", 2013855)}[name]
    facts = FileSource([real(name)], ALL).report.files[0]
    assert (facts.kind, facts.timeframe, facts.rows, facts.bad) == (kind, timeframe, rows, 0)
    assert facts.events + facts.silent + facts.suspicious == rows


@needs_real_data
def test_a_week_of_spy_minutes_has_2730_regular_bars(sessions: Sessions) -> None:
    options = FileOptions(bar_stamp="start", symbols=("SPY",), sessions=sessions)
    source = FileSource([real("equity_1min_bars")], options)
    assert len(everything(source)) == 2730
    assert source.report.outside == 3056


@needs_real_data
@pytest.mark.parametrize(
    ("name", "event", "price"),
    [
        ("equity_1min_quotebars", 0, "144.781724170"),
        ("equity_hourly", 0, "145.015173352"),
        ("equity_daily", 2, "143.372382812"),
    ],
)
def test_the_published_fill_prices_are_in_the_adjusted_data(
    sessions: Sessions, name: str, event: int, price: str
) -> None:
    """What LEAN published: ask close of the first minute, close of the first hour, open of 2013-10-09."""
    options = FileOptions(
        bar_stamp="end" if name == "equity_daily" else "start",
        symbols=("SPY",),
        sessions=sessions,
        start="2013-10-07",
        end="2013-10-11",
        factors=real("equity_factors"),
    )
    found = everything(FileSource([real(name)], options))[event]
    figure = found.ask_close if isinstance(found, QuoteBar) else found.close if event == 0 else found.open  # type: ignore[union-attr]
    assert f"{figure:.9f}" == price
