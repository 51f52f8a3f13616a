from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from appliance.data.options import FileOptions
from appliance.data.validate import check
from appliance.domain.market import MINUTE
from appliance.errors import DataError
from tests.data.test_files import ALL, BARS, MONDAY, WEEK, bar, write

NEXT = MONDAY + MINUTE
QUOTES = "ts,symbol,bid,bid_size,ask,ask_size"
QUOTE_BARS = "ts,symbol,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close"
QUARANTINE = FileOptions(session="all", bad_rows="quarantine", timeframe="1m")

BAD = {
    "a price that is NaN": (BARS, f"{NEXT},SPY,10,11,nan,10,5", "low = 'nan': NaN"),
    "an infinite price": (BARS, f"{NEXT},SPY,10,inf,9,10,5", "high = 'inf': infinite"),
    "a price of zero": (BARS, f"{NEXT},SPY,10,11,0,10,5", "low = '0': zero price"),
    "a negative price": (BARS, f"{NEXT},SPY,10,11,-9,10,5", "low = '-9': negative price"),
    "low above high": (BARS, f"{NEXT},SPY,10,9,11,10,5", "low = '11': low above high 9"),
    "an open outside": (BARS, f"{NEXT},SPY,12,11,9,10,5", "open = '12': outside low 9 .. high 11"),
    "a close outside": (BARS, f"{NEXT},SPY,10,11,9,8,5", "close = '8': outside low 9 .. high 11"),
    "negative volume": (BARS, f"{NEXT},SPY,10,11,9,10,-5", "volume = '-5': negative size"),
    "volume that is NaN": (BARS, f"{NEXT},SPY,10,11,9,10,nan", "volume = 'nan': NaN"),
    "a word for a price": (BARS, f"{NEXT},SPY,ten,11,9,10,5", "open = 'ten': not a number"),
    "an empty field": (BARS, f"{NEXT},SPY,10,11,9,,5", "close = '': empty field"),
    "an empty volume": (BARS, f"{NEXT},SPY,10,11,9,10,", "volume = '': empty field"),
    "an empty symbol": (BARS, f"{NEXT},,10,11,9,10,5", "symbol = '': empty field"),
    "an empty time": (BARS, ",SPY,10,11,9,10,5", "ts = '': empty field"),
    "a written date": (BARS, "2013-10-07,SPY,10,11,9,10,5", "ts = '2013-10-07': not a whole number"),
    "time in seconds": (BARS, "1381152600,SPY,10,11,9,10,5", "ts = '1381152600': not in nanoseconds"),
    "time beyond all bounds": (BARS, f"{10**19},SPY,10,11,9,10,5", "not in nanoseconds"),
    "time going back": (BARS, f"{MONDAY - MINUTE},SPY,10,11,9,10,5", "time goes back within SPY"),
    "time standing still": (BARS, f"{MONDAY},SPY,10,11,9,10,5", "time stands still within SPY"),
    "too few fields": (BARS, f"{NEXT},SPY,10,11", "4 fields; the header has 7 columns"),
    "too many fields": (BARS, f"{NEXT},SPY,10,11,9,10,1,000", "8 fields; the header has 7 columns"),
    "a crossed quote": (QUOTES, f"{NEXT},SPY,12,1,11,1", "bid = '12': crossed: above ask 11"),
    "a quote of nothing": (QUOTES, f"{NEXT},SPY,,0,,0", "bid = '': empty field"),
    "a negative bid": (QUOTES, f"{NEXT},SPY,-1,1,11,1", "bid = '-1': negative price"),
    "a quote back in time": (QUOTES, f"{MONDAY - 1},SPY,9,1,11,1", "time goes back"),
    "a crossed quote bar": (QUOTE_BARS, f"{NEXT},SPY,5,5,5,5,4,6,4,6", "bid_open = '5': crossed: above ask_open 4"),
    "a bid low above its high": (QUOTE_BARS, f"{NEXT},SPY,1,1,2,1,4,6,4,6", "bid_low = '2': low above bid_high 1"),
    "half a bid": (QUOTE_BARS, f"{NEXT},SPY,1,,1,1,4,6,4,6", "bid_high = '': empty field"),
    "no bid, bad ask": (QUOTE_BARS, f"{NEXT},SPY,,,,,4,3,4,6", "ask_low = '4': low above ask_high 3"),
    "an infinite ask": (QUOTE_BARS, f"{NEXT},SPY,1,1,1,1,4,inf,4,6", "ask_high = 'inf': infinite"),
    "a trade at zero": ("ts,symbol,price,size", f"{NEXT},SPY,0,1", "price = '0': zero price"),
    "a trade of less than nothing": ("ts,symbol,price,size", f"{NEXT},SPY,10,-1", "size = '-1': negative size"),
}
GOOD = {
    BARS: bar(MONDAY),
    QUOTES: f"{MONDAY},SPY,10,1,11,1",
    QUOTE_BARS: f"{MONDAY},SPY,1,1,1,1,4,6,4,6",
    "ts,symbol,price,size": f"{MONDAY},SPY,10,1",
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_is_refused_and_file_row_column_and_rule_are_named(tmp_path: Path, what: str) -> None:
    header, row, text = BAD[what]
    path = write(tmp_path, [header, GOOD[header], row])
    with pytest.raises(DataError) as caught:
        check([path], ALL)
    assert "1 bad row:\n  prices.csv row 3: " in caught.value.text
    assert text in caught.value.text
    assert "--bad-rows quarantine" in caught.value.hint
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_is_quarantined_with_its_reason_and_the_rest_is_used(tmp_path: Path, what: str) -> None:
    header, row, text = BAD[what]
    report = check([write(tmp_path, [header, GOOD[header], row])], QUARANTINE)
    assert (report.events, report.bad) == (1, 1)
    assert report.quarantined[0].row == 3
    assert text in str(report.quarantined[0])


def test_ten_bad_rows_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    rows = [f"{MONDAY + n * MINUTE},SPY,10,11,nan,10,5" for n in range(25)]
    with pytest.raises(DataError) as caught:
        check([write(tmp_path, [BARS, *rows])], ALL)
    assert caught.value.text.startswith("25 bad rows:")
    assert caught.value.text.count("row ") == 10
    assert caught.value.text.endswith("and 15 more")


def test_a_row_number_is_the_line_an_editor_shows(tmp_path: Path) -> None:
    path = write(tmp_path, [BARS, "", bar(MONDAY), "", f"{NEXT},SPY,10,11,nan,10,5"])
    with pytest.raises(DataError, match=r"row 5: low"):
        check([path], ALL)


def test_time_may_step_back_between_symbols_but_not_within_one(tmp_path: Path) -> None:
    rows = [bar(NEXT), bar(NEXT + MINUTE), bar(MONDAY, "BAC"), bar(NEXT, "BAC")]
    assert check([write(tmp_path, [BARS, *rows])], ALL).events == 4
    with pytest.raises(DataError, match=r"row 6: ts .* time goes back within SPY"):
        check([write(tmp_path, [BARS, *rows, bar(MONDAY)])], ALL)


def test_rows_of_other_symbols_are_not_judged(tmp_path: Path) -> None:
    path = write(tmp_path, [BARS, bar(MONDAY), bar(NEXT), f"{NEXT},BAC,nan,nan,nan,nan,nan"])
    assert check([path], FileOptions(session="all", symbols=("SPY",))).symbols == ("SPY",)


HEADERS = {
    "ts,symbol,open,high,low,close,volme": ("missing column volume for trade bars", "did you mean 'volme'"),
    "timestamp,symbol,price,size": ("missing column ts for tick trades", "tick trades: ts,symbol,price,size"),
    "a,b,c": ("missing columns ts, symbol", "columns by kind"),
    "ts,symbol,price,price,size": ("column 'price' twice", "rename"),
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_that_cannot_be_used_says_what_is_missing(tmp_path: Path, header: str) -> None:
    text, hint = HEADERS[header]
    with pytest.raises(DataError) as caught:
        check([write(tmp_path, [header, bar(MONDAY)])], ALL)
    assert text in caught.value.text
    assert hint in caught.value.hint


def test_a_file_that_is_not_there_names_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, [BARS, bar(MONDAY)], "spy_minutes.csv")
    with pytest.raises(DataError, match=r"spy_minute.csv: no such file\n.*did you mean 'spy_minutes.csv'"):
        check([str(tmp_path / "spy_minute.csv")], ALL)


def broken(content: bytes) -> bytes:
    return gzip.compress(content)[:-12]


CONTENTS = {
    "nothing at all": ("prices.csv", b"", "the file is empty"),
    "only a header": ("prices.csv", BARS.encode(), "a header, but no rows"),
    "gzip cut short": ("prices.csv.gz", broken(f"{BARS}\n{bar(MONDAY)}\n".encode() * 50), "gzip data is damaged"),
    "not gzip": ("prices.csv.gz", b"no gzip here", "gzip data is damaged"),
    "not text": ("prices.csv", b"\xff\xfe\x00\x01" * 9, "not a CSV text in UTF-8"),
}


@pytest.mark.parametrize("what", CONTENTS)
def test_a_file_that_cannot_be_read_is_a_data_error(tmp_path: Path, what: str) -> None:
    name, content, text = CONTENTS[what]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=text):
        check([str(path)], ALL)


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder, not a file"):
        check([str(tmp_path)], ALL)


LEFT_NOTHING = {
    "symbol": (FileOptions(session="all", symbols=("SPU",)), "no symbol SPU", "did you mean 'SPY'? there are BAC, SPY"),
    "dates": (FileOptions(session="all", start="2020-01-01"), "no rows are left .* symbols: BAC, SPY", "session all"),
    "hours": (FileOptions(sessions=WEEK, bar_stamp="start"), "4 outside the sessions.*: BAC, SPY", "session all"),
}


@pytest.mark.parametrize("what", LEFT_NOTHING)
def test_no_rows_left_says_why_and_which_symbols_there_are(tmp_path: Path, what: str) -> None:
    options, text, hint = LEFT_NOTHING[what]
    early = MONDAY - 60 * MINUTE
    rows = [bar(early), bar(early + MINUTE), bar(early, "BAC"), bar(early + MINUTE, "BAC")]
    with pytest.raises(DataError, match=text) as caught:
        check([write(tmp_path, [BARS, *rows])], options)
    assert hint in caught.value.hint


def test_data_beyond_the_table_of_sessions_is_refused_not_dropped(tmp_path: Path) -> None:
    late = MONDAY + 30 * 24 * 60 * MINUTE
    path = write(tmp_path, [BARS, bar(MONDAY), bar(NEXT), bar(late)])
    with pytest.raises(DataError, match="sessions only from 2013-10-07 to 2013-10-11"):
        check([path], FileOptions(sessions=WEEK, bar_stamp="start"))


@pytest.mark.parametrize(
    ("minutes", "missing"),
    [([0, 1, 2], 0), ([0, 1, 4], 2), ([388, 389, 1440], 0), ([388, 389, 1441], 1), ([387, 388, 2882], 1 + 390 + 2)],
)
def test_gaps_are_counted_in_session_time_and_never_refused(tmp_path: Path, minutes: list[int], missing: int) -> None:
    path = write(tmp_path, [BARS, *(bar(MONDAY + minute * MINUTE) for minute in minutes)])
    report = check([path], FileOptions(sessions=WEEK, bar_stamp="start"))
    assert report.missing == missing
    assert sum(gap.missing for gap in report.gaps) == missing
