"""Parquet files are read as the CSV files they could be; damaged gzip files give what they have, where wanted."""

from __future__ import annotations

import gzip
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.domain.market import MINUTE, Bar
from appliance.errors import DataError, UsageError
from tests.data.real import needs_real_data, real
from tests.data.test_files import ALL, BARS, MONDAY, bar, everything, write

pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
parquet = pytest.importorskip("pyarrow.parquet")
csv = pytest.importorskip("pyarrow.csv")


def saved(folder: Path, columns: dict[str, Any], rows_of_a_group: int = 100) -> str:
    path = folder / "prices.parquet"
    parquet.write_table(pyarrow.table(columns), path, row_group_size=rows_of_a_group)
    return str(path)


def minutes(count: int, **changed: Any) -> dict[str, Any]:
    stamps = [MONDAY + minute * MINUTE for minute in range(count)]
    prices = [10 + minute / 7 for minute in range(count)]
    made = {
        "ts": stamps, "symbol": ["SPY"] * count, "open": prices, "high": [price + 1 for price in prices],
        "low": [price - 1 for price in prices], "close": prices, "volume": [100.0] * count,
    }  # fmt: skip
    return {**made, **changed}


def read(path: str, options: FileOptions = ALL) -> list[Any]:
    return everything(FileSource([path], options))


def as_parquet(source: str, folder: Path) -> str:
    path = folder / "prices.parquet"
    parquet.write_table(csv.read_csv(source), path, row_group_size=5_000)
    return str(path)


@needs_real_data
@pytest.mark.parametrize("name", ["equity_1min_bars", "equity_1min_quotebars", "crypto_quotes_btcusdt_perp"])
def test_recorded_data_gives_the_same_events_from_parquet_as_from_csv(tmp_path: Path, name: str) -> None:
    options = replace(ALL, bad_rows="quarantine")
    found = read(as_parquet(real(name), tmp_path), options)
    assert len(found) > 20_000
    assert found == read(real(name), options)


def test_every_float_is_read_as_it_was_written(tmp_path: Path) -> None:
    prices = [0.1 + 0.2, 1e-7, 123456789.123456789, 1e15 + 0.3, 5e-324, 1.7976931348623157e308]
    columns = minutes(len(prices), open=prices, high=prices, low=prices, close=prices)
    assert [one.open for one in read(saved(tmp_path, columns))] == prices


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_times_of_any_unit_are_nanoseconds_utc(tmp_path: Path, unit: str, zone: str | None) -> None:
    columns = minutes(3)
    stamps = pyarrow.array(columns["ts"]).cast(pyarrow.timestamp("ns", zone)).cast(pyarrow.timestamp(unit, zone))
    found = read(saved(tmp_path, {**columns, "ts": stamps}))
    assert [one.start for one in found if isinstance(one, Bar)] == columns["ts"]


def test_names_stored_once_and_flags_are_read_as_what_they_mean(tmp_path: Path) -> None:
    columns = minutes(3)
    columns["symbol"] = pyarrow.array(["SPY"] * 3).dictionary_encode()
    columns["suspicious"] = [False, False, True]
    assert [one.start for one in read(saved(tmp_path, columns))] == [MONDAY, MONDAY + MINUTE]


def test_symbols_with_commas_and_quotes_in_them_stay_whole(tmp_path: Path) -> None:
    names = ["A,B"] * 2 + ['C"D'] * 2
    columns = minutes(4, symbol=names)
    assert {one.symbol for one in read(saved(tmp_path, columns))} == {"A,B", 'C"D'}


@pytest.mark.parametrize(("value", "rule"), [(None, "empty field"), (float("nan"), "NaN"), (-1.0, "negative price")])
def test_a_bad_row_is_told_with_its_number_in_any_group(tmp_path: Path, value: float | None, rule: str) -> None:
    columns = minutes(300)
    columns["close"] = [*columns["close"]]
    columns["close"][250] = value
    with pytest.raises(DataError, match=rf"prices\.parquet row 252: close = .*{rule}"):
        read(saved(tmp_path, columns))


def test_a_missing_column_is_named_as_for_csv(tmp_path: Path) -> None:
    columns = minutes(3)
    columns["cloze"] = columns.pop("close")
    with pytest.raises(DataError, match="missing column close for trade bars") as told:
        read(saved(tmp_path, columns))
    assert "did you mean 'cloze'" in told.value.hint


def test_a_column_of_lists_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column notes holds list<.*>, not one value a row"):
        read(saved(tmp_path, minutes(2, notes=[["a"], ["b"]])))


def test_a_truncated_file_is_told_as_damaged(tmp_path: Path) -> None:
    path = Path(saved(tmp_path, minutes(300)))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"prices\.parquet: the Parquet data is damaged"):
        read(str(path))
    path.write_text("no parquet")
    with pytest.raises(DataError, match=r"prices\.parquet: the Parquet data is damaged"):
        read(str(path))


def test_a_damaged_group_is_told_with_the_rows_before_it(tmp_path: Path) -> None:
    path = Path(saved(tmp_path, minutes(200_000), 50_000))
    content = bytearray(path.read_bytes())
    middle = len(content) * 3 // 4
    content[middle : middle + 2000] = b"\xff" * 2000
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged after \d+ rows"):
        read(str(path))


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, minutes(3))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="pyarrow, which reads it, is not installed") as told:
        read(path)
    assert "extra parquet" in told.value.hint


def test_who_watches_is_told_of_the_whole_file(tmp_path: Path) -> None:
    path = saved(tmp_path, minutes(200_000), 50_000)
    told: list[int] = []
    FileSource([path], ALL, told=told.append)
    assert sum(told) == Path(path).stat().st_size
    assert len(told) > 5


# --- damaged gzip files -----------------------------------------------------------------------------------------------


def cut(folder: Path, missing: int) -> tuple[str, int]:
    """A gzip file without its end, and how many whole rows can be unpacked from it."""
    rows = [bar(MONDAY + minute * MINUTE, price=10 + minute % 97 / 8) for minute in range(5000)]
    path = Path(write(folder, [BARS, *rows], "p.csv.gz"))
    content = path.read_bytes()[:-missing]
    path.write_bytes(content)
    return str(path), zlib.decompressobj(31).decompress(content).count(b"\n") - 1


@pytest.mark.parametrize("missing", [4, 12, 3000])
def test_a_truncated_gzip_file_is_told_with_its_name_and_how_many_rows_were_good(tmp_path: Path, missing: int) -> None:
    path, rows = cut(tmp_path, missing)
    with pytest.raises(DataError) as told:
        read(path)
    assert f"{path}: the gzip data is damaged after {rows:,} good rows" in told.value.text
    assert "--bad-rows quarantine" in told.value.hint


@pytest.mark.parametrize("missing", [4, 12, 3000])
def test_its_good_rows_are_there_for_who_wants_them_and_half_a_row_is_none(tmp_path: Path, missing: int) -> None:
    path, rows = cut(tmp_path, missing)
    source = FileSource([path], replace(ALL, bad_rows="quarantine"))
    assert len(everything(source)) == rows
    assert source.report.bad == 1
    assert source.report.quarantined[-1].row == rows + 2
    assert "the gzip data ends" in source.report.quarantined[-1].rule


def test_a_checksum_that_is_wrong_is_damage_too(tmp_path: Path) -> None:
    content = bytearray(gzip.compress("\n".join([BARS, bar(MONDAY), bar(MONDAY + MINUTE), ""]).encode()))
    content[-6] ^= 1
    path = tmp_path / "p.csv.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged after 2 good rows: CRC check failed"):
        read(str(path))
