from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest

from appliance.data.options import FileOptions
from appliance.data.validation.reading import EVERY, events, recorded
from appliance.data.validation.verdicts import Finding
from appliance.domain.market import DAY, MINUTE, SECOND, Bar, Heard, Quote, Trade
from appliance.errors import DataError
from tests.data.validation.scenes import LENGTH, NEXT_OPEN, OPEN, WEEK

BARS = "ts,symbol,open,high,low,close,volume"


def read(path: Path, *rows: str, header: str = BARS, timeframe: str = "", **options: object) -> list[Heard | Finding]:
    path.write_text("\n".join([header, *rows]) + "\n")
    chosen = FileOptions(session="all", sessions=WEEK, **options)
    return list(events(recorded(str(path), timeframe), chosen))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def test_bars_are_stamped_with_their_end_whichever_end_the_file_has(file: Path) -> None:
    row = f"{OPEN},SPY,1,4,0.5,3,9"
    for stamp, start in (("start", OPEN), ("end", OPEN - MINUTE)):
        heard = read(file, row, timeframe="1m", bar_stamp=stamp)
        assert heard == [Bar("SPY", "1m", start, start + MINUTE, 1, 4, 0.5, 3, 9)]


@pytest.mark.parametrize(
    ("stamp", "ts"),
    [("end", OPEN + LENGTH), ("end", OPEN + 60 * MINUTE), ("start", OPEN), ("start", OPEN - OPEN % DAY)],
)
def test_a_daily_bar_is_that_of_its_session(file: Path, stamp: str, ts: int) -> None:
    (heard,) = read(file, f"{ts},SPY,1,4,0.5,3,9", timeframe="1d", bar_stamp=stamp)
    assert isinstance(heard, Bar)
    assert (heard.start, heard.end) == (OPEN, OPEN + LENGTH)


def test_a_daily_bar_without_a_session_is_a_day_long(file: Path) -> None:
    (heard,) = read(file, f"{OPEN - 2 * DAY},SPY,1,4,0.5,3,9", timeframe="1d")
    assert isinstance(heard, Bar)
    assert (heard.start, heard.end) == (OPEN - 3 * DAY, OPEN - 2 * DAY)


def test_numbers_that_cannot_be_read_are_nan_and_left_to_the_judge(file: Path) -> None:
    (heard,) = read(file, f"{OPEN},SPY,1,much,,3,9", timeframe="1m")
    assert isinstance(heard, Bar)
    assert (heard.open, math.isnan(heard.high), math.isnan(heard.low), heard.close) == (1, True, True, 3)


@pytest.mark.parametrize(
    "row", ["soon,SPY,1,1,1,1,1", "1381152600,SPY,1,1,1,1,1", f"{OPEN},SPY,1,1,1", f"{OPEN},,1,1,1,1,1"]
)
def test_a_row_that_is_no_event_is_a_finding_with_its_line(file: Path, row: str) -> None:
    good, found = read(file, f"{OPEN},SPY,1,1,1,1,1", row, timeframe="1m")
    assert isinstance(good, Bar)
    assert isinstance(found, Finding)
    assert (found.rule, "rows.csv row 3" in found.text) == ("unreadable", True)


def test_a_side_that_a_row_does_not_tell_is_as_it_was(file: Path) -> None:
    rows = [f"{OPEN},SPY,,10.2", f"{OPEN},IBM,5,6", f"{OPEN},SPY,10.1,", f"{OPEN},SPY,nothing,"]
    heard = read(file, *rows, header="ts,symbol,bid,ask")
    assert all(isinstance(one, Quote) for one in heard)
    sides = [(one.bid, one.ask) for one in heard if isinstance(one, Quote)]
    assert sides[:3] == [(0.0, 10.2), (5, 6), (10.1, 10.2)]
    assert math.isnan(sides[3][0])


def test_where_the_exchanges_time_is_told_the_other_is_that_of_receipt(file: Path) -> None:
    heard = read(file, f"{OPEN},{OPEN + SECOND},BTC,5,2", header="ts,exch_ts,symbol,price,size")
    assert heard == [Trade("BTC", OPEN + SECOND, 5.0, 2.0, received=OPEN)]
    assert read(file, f"{OPEN},BTC,5,2", header="ts,symbol,price,size") == [Trade("BTC", OPEN, 5.0, 2.0)]


def test_a_quote_bar_is_the_quote_at_its_end(file: Path) -> None:
    names = [f"{side}_{part}" for side in ("bid", "ask") for part in ("open", "high", "low", "close")]
    heard = read(
        file, f"{OPEN},SPY,1,1,1,9.9,2,2,2,10", header=f"ts,symbol,{','.join(names)}", timeframe="1m", bar_stamp="start"
    )
    assert heard == [Quote("SPY", OPEN + MINUTE, 9.9, 10.0)]


@pytest.mark.parametrize(
    ("step", "timeframe"), [(SECOND, "1s"), (MINUTE, "1m"), (60 * MINUTE, "1h"), (DAY, "1d"), (DAY - 60 * MINUTE, "1d")]
)
def test_the_commonest_distance_tells_the_timeframe(file: Path, step: int, timeframe: str) -> None:
    rows = [f"{OPEN + at * step},SPY,1,1,1,1,1" for at in (0, 1, 2, 3, 7, 8, 8, 6)]
    read(file, *rows)
    assert recorded(str(file)).timeframe == timeframe


def test_symbols_and_dates_are_chosen(file: Path) -> None:
    rows = [f"{time},{name},1,1,1,1,1" for name in ("A", "B") for time in (OPEN, NEXT_OPEN)]
    heard = read(file, *rows, timeframe="1m", symbols=("B",), start="2013-10-08", end="2013-10-08")
    assert [(one.symbol, one.end) for one in heard if isinstance(one, Bar)] == [("B", NEXT_OPEN)]
    with pytest.raises(DataError, match="no symbol C"):
        read(file, *rows, timeframe="1m", symbols=("C",))


def test_packed_files_are_read_and_truncated_ones_named(tmp_path: Path) -> None:
    text = "\n".join([BARS, *(f"{OPEN + at * MINUTE},SPY,1,1,1,1,1" for at in range(EVERY * 2))])
    packed = gzip.compress(text.encode())
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(packed)
    said: list[int] = []
    chosen = FileOptions(session="all")
    assert sum(1 for _ in events(recorded(str(path)), chosen, said.append)) == 2 * EVERY
    assert said == [EVERY, EVERY]
    path.write_bytes(packed[:-20])
    with pytest.raises(DataError, match="gzip data is damaged"):
        list(events(recorded(str(path), "1m"), chosen))
