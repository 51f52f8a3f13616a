"""Files of any size are read in constant memory, and give the very events they would have given in memory."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.commands.options import sessions_cache, sessions_for
from appliance.data.factors import Adjuster, Factor
from appliance.data.layout import BARS, recognise
from appliance.data.options import FileOptions
from appliance.data.parsing import Table
from appliance.data.reading import Reader
from appliance.data.rows import Rows, Scratch, packed, stamps_of
from appliance.data.rules import Findings
from appliance.data.sources.files import FileSource
from appliance.domain.market import MINUTE
from appliance.errors import DataError, EnvironmentFault
from tests.data import big
from tests.data.real import needs_real_data, real

ROOT = Path(__file__).parents[2]


def events(source: FileSource, limit: int = 1_000) -> list[Any]:
    found: list[Any] = []
    while True:
        offer = source.batch(limit)
        found.append((offer.position, offer.events, offer.outside, offer.done))
        if offer.done:
            return found


def everything(paths: list[str], budget: int, **options: Any) -> tuple[Any, Any, list[Any]]:
    source = FileSource(paths, FileOptions(**options), budget)
    told = events(source)
    later = []
    for position in (0, 1, source.report.events // 3, source.report.events - 1, source.report.events):
        source.seek(position)
        later.append(source.batch(7))
    return source.report, told, later


# --- the same, wherever the rows lie -----------------------------------------------------------------------------


@needs_real_data
@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("equity_1min_bars", "equity_1min_quotebars"), {"bar_stamp": "start"}),
        (("equity_daily",), {"bar_stamp": "start", "factors": real("equity_factors")}),
        (("equity_daily",), {"bar_stamp": "start", "factors": real("equity_factors"), "prices": "raw"}),
        (("equity_hourly",), {"bar_stamp": "start", "symbols": ("SPY", "AAPL"), "start": "2010-01-04"}),
        (("equity_tick_quotes_ibm",), {"start": "2013-10-07", "end": "2013-10-07", "bad_rows": "quarantine"}),
    ],
)
def test_a_source_that_keeps_its_rows_in_a_file_gives_the_same_events_report_and_seeks(
    names: tuple[str, ...], options: dict[str, Any]
) -> None:
    paths = [real(name) for name in names]
    sessions = sessions_for(sessions_cache())
    assert everything(paths, 0, sessions=sessions, **options) == everything(
        paths, 1 << 40, sessions=sessions, **options
    )


@pytest.mark.parametrize("by_time", [False, True])
@pytest.mark.parametrize("name", ["bars.csv", "bars.csv.gz"])
def test_symbols_may_follow_one_another_or_be_mixed_and_the_file_may_be_packed(
    tmp_path: Path, by_time: bool, name: str
) -> None:
    path = str(big.write(tmp_path / name, 5, 9_000, by_time))
    options = {"bar_stamp": "start", "session": "all"}
    plain = str(big.write(tmp_path / "plain.csv", 5, 9_000))
    expected = everything([plain], 1 << 40, **options)
    for budget in (0, 300_000):
        found = everything([path], budget, **options)
        assert found[1:] == expected[1:]
        assert (found[0].events, found[0].symbols) == (45_000, ("S00", "S01", "S02", "S03", "S04"))


def test_factors_adjust_rows_that_lie_in_a_file(tmp_path: Path) -> None:
    path = str(big.write(tmp_path / "bars.csv", 2, 30_000))
    factors = tmp_path / "factors.csv"
    factors.write_text(
        "symbol,through_date,price_factor,split_factor\nS00,2015-01-05,0.9712345,0.5\nS00,2015-01-12,0.99,1\n"
    )
    options = {"bar_stamp": "start", "session": "all", "factors": str(factors)}
    found = everything([path], 0, **options)
    assert found == everything([path], 1 << 40, **options)
    raw = FileSource([path], FileOptions(bar_stamp="start", session="all")).batch(2).events
    first = found[1][0][1][0]
    assert first.close == float(Decimal(repr(raw[0].close)) * Decimal("0.9712345") * Decimal("0.5"))
    assert first.volume == raw[0].volume / 0.5


def test_prices_are_adjusted_as_decimals_and_a_bar_that_ends_at_midnight_is_of_the_day_before() -> None:
    factor = Factor(1_000, Decimal("0.9711"), 2.0)
    known = np.array([999, 1_000, 1_001], dtype=np.int64)
    numbers = np.full((3, 5), 10.1)
    adjusted = Adjuster([factor], BARS)(known, numbers)
    exact = float(Decimal("10.1") * Decimal("0.9711"))
    assert adjusted.tolist() == [[exact] * 4 + [10.1 / 2]] * 2 + [[10.1] * 5]
    assert numbers.tolist() == [[10.1] * 5] * 3


# --- text into numbers -------------------------------------------------------------------------------------------

fields = st.one_of(
    st.floats(0, 1e7, allow_nan=False).map(repr),
    st.decimals(0, 10**6, places=4).map(str),
    st.integers(0, 10**16).map(str),
    st.sampled_from(
        ["", ".", "1.", ".5", "-1", "1e3", "nan", "inf", " 7", "7 ", "1_0", "0x1", "1.2.3", "12-3", "0007"]
    ),
)


@settings(max_examples=300, deadline=None)
@given(column=st.lists(fields, min_size=1, max_size=8), before=st.sampled_from(["", "9", "SPY"]))
def test_a_column_of_text_gives_the_very_floats_that_python_reads(column: list[str], before: str) -> None:
    text = "".join(f"{before},{field},x\n" for field in column).encode()
    table = Table.of(text, 3)
    assert table is not None
    try:
        expected = [float(field) for field in column]
    except ValueError:
        assert table.numbers(1) is None
        return
    found = table.numbers(1)
    assert found is not None
    assert [repr(one) for one in found.tolist()] == [repr(one) for one in expected]


@given(column=st.lists(st.sampled_from(["1", "19", "7" * 18, "1" * 19, "a", "", "1" * 20, "1.0", "-1"]), min_size=1))
def test_stamps_are_digits_alone_or_left_to_python(column: list[str]) -> None:
    table = Table.of("".join(f"{field}\n" for field in column).encode(), 1)
    assert table is not None
    found = table.stamps(0)
    if all(field.isdigit() and len(field) < 20 for field in column):
        assert found is not None
        assert found.tolist() == [int(field) for field in column]
    else:
        assert found is None


HEADERS = {
    "bars": "ts,symbol,open,high,low,close,volume",
    "flagged": "ts,symbol,open,high,low,close,volume,suspicious",
    "quotes": "ts,symbol,bid,ask,bid_size,ask_size",
    "bare quotes": "symbol,ask,bid,ts",
    "trades": "ts,symbol,price,size",
}
cells = st.sampled_from(["1.00", "1.00", "1.00", "1.00", "1.01", "0.99", "1", "0", "", "-1", "nan", '"1.00"', "x"])
names = st.sampled_from(["SPY", "SPY", "SPY", "BAC", "A_LONG_NAME", "", "É"])
ends = st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n", "\r"])


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, str]:
    header = HEADERS[draw(st.sampled_from(sorted(HEADERS)))]
    columns = header.split(",")
    clean = draw(st.booleans())
    now, text = 1_381_152_600_000_000_000, header + "\n"
    for _ in range(draw(st.integers(0, 12))):
        now += draw(st.sampled_from([MINUTE, MINUTE, MINUTE, 0, -MINUTE] if not clean else [MINUTE]))
        row = {name: "1.00" if clean else draw(cells) for name in columns}
        row |= {"ts": str(now), "symbol": draw(names), "suspicious": draw(st.sampled_from(["0", "1", ""]))}
        text += ",".join(row[name] for name in columns) + draw(ends)
    return header, text


@settings(max_examples=400, deadline=None)
@given(drawn=texts(), wanted=st.sampled_from([(), ("SPY",), ("BAC", "SPY")]), block=st.sampled_from([40, 100, 1 << 20]))
def test_blocks_find_the_very_rows_and_faults_that_reading_one_by_one_finds(
    drawn: tuple[str, str], wanted: tuple[str, ...], block: int
) -> None:
    def read(at_once: bool) -> tuple[Any, ...]:
        findings = Findings(1_000)
        header, text = drawn
        reader = Reader("f.csv", recognise("f.csv", header.split(",")), wanted, findings, Scratch())
        if not at_once:
            reader._at_once = lambda text: False  # type: ignore[method-assign]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("appliance.data.reading.BLOCK", block)
            reader.read(io.BytesIO(text.partition("\n")[2].encode()), 1, lambda: None)
        series = {
            symbol: one and (one.rows.read(0, 1_000).tobytes(), one.rows.count, one.last, one.smallest, one.sides)
            for symbol, one in sorted(reader.table.items())
        }
        return series, reader.rows, reader.suspicious, reader.silent, reader.bad, findings.verdicts

    assert read(at_once=True) == read(at_once=False)


def test_a_bad_row_far_down_a_large_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = big.write(tmp_path / "bars.csv", 1, 40_000)
    lines = path.read_text().splitlines(keepends=True)
    lines[33_332] = lines[33_332].replace(",S00,", ",S00,-")
    path.write_text("".join(lines))
    with pytest.raises(DataError, match=r"row 33333: open = '-"):
        FileSource([str(path)], FileOptions(session="all"))


# --- where the rows are kept -------------------------------------------------------------------------------------


@given(sizes=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40)), max_size=30), budget=st.integers(0, 4_000))
def test_rows_come_back_as_they_were_from_memory_and_file(sizes: list[tuple[int, int]], budget: int) -> None:
    scratch = Scratch(budget)
    kept: list[Rows] = [scratch.rows(3) for _ in range(3)]
    expected: list[list[float]] = [[], [], []]
    for which, size in sizes:
        count = len(expected[which])
        stamps = np.arange(count, count + size, dtype=np.int64)
        kept[which].append(packed(stamps, np.stack((stamps * 0.5, stamps * 2.0), axis=1)))
        expected[which] += stamps.tolist()
    for rows, stamps in zip(kept, expected, strict=True):
        for begin in range(0, len(stamps) + 1, 17):
            found = rows.read(begin, begin + 25)
            assert stamps_of(found).tolist() == stamps[begin : begin + 25]
            assert found[:, 1].tolist() == [0.5 * stamp for stamp in stamps[begin : begin + 25]]


def test_a_full_disk_is_told_with_the_folder_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/dev/full/nowhere")
    monkeypatch.setattr("tempfile.tempdir", "/dev/full/nowhere")
    path = big.write(tmp_path / "bars.csv", 1, 100)
    with pytest.raises(EnvironmentFault, match="rows cannot be kept") as caught:
        FileSource([str(path)], FileOptions(session="all"), budget=0)
    assert "TMPDIR" in caught.value.hint


READS = """
import sys
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
source = FileSource([sys.argv[1]], FileOptions(bar_stamp="start", session="all"), budget=1_000_000)
print("read", flush=True)
count = 0
while sys.argv[2:]:
    offer = source.batch(4_096)
    count += len(offer.events)
    if offer.done:
        break
else:
    sys.stdin.read()
print(count, [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


def test_nothing_is_left_behind_even_when_the_process_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    path = str(big.write(tmp_path / "bars.csv", 2, 40_000))
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [sys.executable, "-c", READS, path], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "read\n"
    open_files = [os.readlink(link) for link in Path(f"/proc/{child.pid}/fd").iterdir()]
    assert any(str(folder) in name for name in open_files)
    assert list(folder.iterdir()) == []
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A twentieth of ten years of one-minute bars of twenty symbols, and a fortieth."""
    peaks = []
    for count in (24_500, 49_000):
        path = str(big.write(tmp_path / f"{count}.csv", 20, count))
        done = subprocess.run(
            [sys.executable, "-c", READS, path, "play"], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        played, peak = done.stdout.split()[1:]
        assert int(played) == 20 * count
        peaks.append(int(peak) / 1_000)
    assert peaks[1] < 110
    assert peaks[1] - peaks[0] < 8


def test_reading_tells_how_far_it_is(tmp_path: Path) -> None:
    path = big.write(tmp_path / "bars.csv.gz", 2, 20_000)
    read: list[int] = []
    FileSource([str(path)], FileOptions(session="all"), told=read.append)
    assert len(read) > 1
    assert sum(read) == path.stat().st_size


def test_windows_of_a_merge_hold_all_events_of_their_last_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.data.merging.WINDOW", 3)
    stamp = 1_381_152_600_000_000_000
    rows = [f"{stamp + 100 * (number // 40)},{name},1.00,5\n" for name in ("A", "B") for number in range(100)]
    path = tmp_path / "ticks.csv"
    path.write_text("ts,symbol,price,size\n" + "".join(rows))
    source = FileSource([str(path)], FileOptions(session="all"))
    assert [len(source.batch(1).events) for _ in range(3)] == [80, 80, 40]
    assert source.position == source.report.events == 200
