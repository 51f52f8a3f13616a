from __future__ import annotations

import csv
import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from appliance.data.store import HistoryStore
from appliance.domain.market import DAY, Bar
from tests.commands.conftest import MINUTE, ROOT, START, Appliance, bars
from tests.data.real import needs_real_data, real


def calm(count: int, start: int = START, symbol: str = "SPY") -> list[str]:
    return [f"{start + at * MINUTE},{symbol},100,100.1,99.9,{100 + at % 2 / 10},1000" for at in range(count)]


def held(state: Path, symbol: str = "SPY", timeframe: str = "1m") -> list[Bar]:
    store = HistoryStore(state / "data" / "history.db", read_only=True)
    found = [bar for page in store.bars(symbol, timeframe, 0, 2**62) for bar in page]
    store.close()
    return found


def lacking(state: Path, start: int, end: int) -> tuple[tuple[int, int], ...]:
    store = HistoryStore(state / "data" / "history.db", read_only=True)
    found = store.lacking("SPY", "1m", start, end)
    store.close()
    return found


def test_bars_are_kept_as_the_file_has_them(appliance: Appliance, tmp_path: Path) -> None:
    file = bars(tmp_path / "a.csv", *calm(390))
    said = appliance("data", "import", file, "--bar-stamp", "start", "--state", tmp_path)
    assert (said.code, "390 1m bars are new or changed, 0 were known" in said.out) == (0, True)
    found = held(tmp_path)
    assert len(found) == 390
    assert found[1] == Bar("SPY", "1m", START + MINUTE, START + 2 * MINUTE, 100, 100.1, 99.9, 100.1, 1000, "import")


def test_a_file_taken_twice_changes_nothing(appliance: Appliance, tmp_path: Path) -> None:
    file = bars(tmp_path / "a.csv", *calm(60))
    appliance("data", "import", file, "--state", tmp_path)
    before = held(tmp_path)
    said = appliance("data", "import", file, "--state", tmp_path, "--json")
    assert (said.code, said.json["stored"], said.json["known"]) == (0, 0, 60)
    assert held(tmp_path) == before


def test_a_file_that_has_nothing_of_the_days_asked_for_is_no_success(appliance: Appliance, tmp_path: Path) -> None:
    file = bars(tmp_path / "a.csv", *calm(60))
    said = appliance("data", "import", file, "--state", tmp_path, "--start", "2031-01-01")
    assert (said.code, "nothing is of the days and symbols that were asked for: see --start" in said.err) == (1, True)


def test_a_corrected_file_of_the_same_source_replaces_what_it_corrects(appliance: Appliance, tmp_path: Path) -> None:
    rows = calm(60)
    appliance("data", "import", bars(tmp_path / "a.csv", *rows), "--state", tmp_path, "--source-name", "vendor")
    rows[30] = f"{START + 30 * MINUTE},SPY,100,100.1,99.9,99.95,777"
    said = appliance("data", "import", bars(tmp_path / "a.csv", *rows), "--state", tmp_path, "--source-name", "vendor")
    assert "1 1m bars are new or changed, 59 were known" in said.out
    assert (held(tmp_path)[30].volume, held(tmp_path)[30].source) == (777, "vendor")


def test_what_is_set_aside_is_told_and_not_kept(appliance: Appliance, tmp_path: Path) -> None:
    rows = calm(60)
    rows[20] = f"{START + 20 * MINUTE},SPY,100,100.1,0.01,100,1000"
    rows[30] = f"{START + 30 * MINUTE},SPY,100,nan,99.9,100,1000"
    rows[40] = "yesterday,SPY,100,101,99,100,1000"
    said = appliance("data", "import", bars(tmp_path / "a.csv", *rows), "--state", tmp_path)
    assert said.code == 1
    for word in (
        "57 1m bars are new",
        "3 set aside",
        "spike: SPY low 0.01",
        "not_finite: SPY high nan",
        "a.csv row 42",
    ):
        assert word in said.out
    assert len(held(tmp_path)) == 57


def test_all_takes_what_is_doubtful_and_never_what_cannot_be(appliance: Appliance, tmp_path: Path) -> None:
    rows = calm(60)
    rows[20] = f"{START + 20 * MINUTE},SPY,100,100.1,0.01,100,1000"
    rows[30] = f"{START + 30 * MINUTE},SPY,100,nan,99.9,100,1000"
    said = appliance("data", "import", bars(tmp_path / "a.csv", *rows), "--all", "--state", tmp_path, "--json")
    assert (said.code, said.json["stored"], said.json["files"][0]["set_aside"]) == (1, 59, {"not_finite": 1})
    assert min(bar.low for bar in held(tmp_path)) == 0.01


def test_of_a_truncated_gzip_nothing_is_kept_and_the_good_rows_are_counted(
    appliance: Appliance, tmp_path: Path
) -> None:
    file = truncated(tmp_path, calm(390))
    said = appliance("data", "import", file, "--state", tmp_path)
    assert said.code == 3
    assert "the gzip data is damaged" in said.err
    assert f"({good_rows(file)} good rows before it)" in said.err
    assert "--partial" in said.err
    assert held(tmp_path) == []


def test_partial_takes_the_good_rows_of_a_truncated_gzip(appliance: Appliance, tmp_path: Path) -> None:
    file = truncated(tmp_path, calm(390))
    said = appliance("data", "import", file, "--partial", "--state", tmp_path)
    assert (said.code, "only up to its damage" in said.out) == (1, True)
    assert 0 < len(held(tmp_path)) == good_rows(file) < 390


def truncated(folder: Path, rows: list[str]) -> Path:
    whole = gzip.compress(bars(folder / "whole.csv", *rows).read_bytes())
    file = folder / "cut.csv.gz"
    file.write_bytes(whole[: len(whole) * 2 // 3])
    return file


def good_rows(file: Path) -> int:
    """Whole lines that gzip itself gives, without the header."""
    done = subprocess.run(["gzip", "-dc", file], capture_output=True, check=False)
    return done.stdout.count(b"\n") - 1


def test_one_damaged_file_keeps_all_of_them_out(appliance: Appliance, tmp_path: Path) -> None:
    good = bars(tmp_path / "good.csv", *calm(60, symbol="QQQ"))
    said = appliance("data", "import", good, truncated(tmp_path, calm(390)), "--state", tmp_path)
    assert (said.code, "nothing is imported" in said.err) == (3, True)
    assert held(tmp_path, "QQQ") == []


def test_stretches_without_a_hole_are_covered_and_holes_are_not(appliance: Appliance, tmp_path: Path) -> None:
    rows = [*calm(390)[:100], *calm(390)[110:], *calm(390, START + 3 * DAY)]
    appliance("data", "import", bars(tmp_path / "a.csv", *rows), "--bar-stamp", "start", "--state", tmp_path)
    end = START + 3 * DAY + 390 * MINUTE
    assert lacking(tmp_path, START, end) == ((START + 100 * MINUTE, START + 110 * MINUTE),)
    assert lacking(tmp_path, START - MINUTE, START + MINUTE) == ((START - MINUTE, START),)


def test_a_few_bars_between_two_holes_are_not_worth_a_question_of_their_own(
    appliance: Appliance, tmp_path: Path
) -> None:
    rows = [row for at, row in enumerate(calm(390)) if at not in (100, 110)]
    appliance("data", "import", bars(tmp_path / "a.csv", *rows), "--bar-stamp", "start", "--state", tmp_path)
    assert lacking(tmp_path, START, START + 390 * MINUTE) == ((START + 100 * MINUTE, START + 111 * MINUTE),)
    assert len(held(tmp_path)) == 388


def test_a_split_that_the_factors_tell_of_is_no_jump_and_is_known_to_an_export(
    appliance: Appliance, tmp_path: Path
) -> None:
    after = [f"{START + 3 * DAY + at * MINUTE},SPY,10,10.1,9.9,10,1000" for at in range(60)]
    file = bars(tmp_path / "a.csv", *calm(390), *after)
    factors = bars(
        tmp_path / "factors.csv", "SPY,2013-10-04,1,0.1,100", "SPY,2050-12-31,1,1,0",
        header="symbol,through_date,price_factor,split_factor,reference_price",
    )  # fmt: skip
    arguments = ("data", "import", file, "--bar-stamp", "start", "--factors", factors, "--state", tmp_path)
    assert appliance(*arguments).code == 0
    out = tmp_path / "out.csv"
    assert appliance("data", "export", "SPY", "--adjusted", "split", "--out", out, "--state", tmp_path).code == 0
    rows = [line.split(",") for line in out.read_text().splitlines()[1:]]
    assert {row[2] for row in rows} == {"10.0"}
    assert {row[8] for row in rows} == {"import:split"}


@needs_real_data
def test_recorded_minutes_are_imported_and_exported_as_they_were(appliance: Appliance, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    choice = ("--symbols", "AAPL", "--bar-stamp", "start", "--factors", real("equity_factors"), "--all")
    said = appliance("data", "import", real("equity_1min_bars"), *choice, "--state", tmp_path)
    assert (said.code, "set aside" in said.out) == (0, False), said.out
    assert appliance("data", "export", "AAPL", "--out", out, "--state", tmp_path).code == 0
    with gzip.open(real("equity_1min_bars"), "rt") as file:
        recorded = [row for row in csv.reader(file) if row[1] == "AAPL"]
    with out.open() as file:
        exported = list(csv.reader(file))[1:]
    assert [[float(cell) for cell in row[2:7]] for row in exported] == [
        [float(cell) for cell in row[2:7]] for row in recorded
    ]
    assert [int(row[7]) for row in exported] == [int(row[0]) for row in recorded]


@needs_real_data
def test_the_six_years_that_qqq_was_traded_by_another_name_are_one_gap(appliance: Appliance, tmp_path: Path) -> None:
    arguments = ("--symbols", "QQQ", "--bar-stamp", "end", "--timeframe", "1d", "--state", tmp_path)
    assert appliance("data", "import", real("equity_daily"), *arguments).code == 0
    (gap,) = appliance("data", "gaps", "QQQ", "--state", tmp_path, "--json").json["gaps"]
    assert (gap["days"][0], gap["days"][-1], gap["bars"]) == ("2004-12-01", "2011-03-22", len(gap["days"]))
    (row,) = appliance("data", "ls", "--symbols", "QQQ", "--state", tmp_path, "--json").json["holdings"]
    assert (row["lacking_days"], row["bars"]) == (gap["bars"], 3_964)


def test_columns_of_other_meaning_than_ours_change_no_bar(appliance: Appliance, tmp_path: Path) -> None:
    header = "ts,symbol,open,high,low,close,volume,start,source,received,revision"
    strange = ("soon,,yesterday,first", "1,,0,-1", f"{START + 90 * DAY},,12,1.5", f"{START - DAY},,,9999999999")
    rows = [f"{calm(9)[at + 1]},{cells}" for at, cells in enumerate(strange)]
    file = bars(tmp_path / "a.csv", *rows, header=header)
    assert appliance("data", "import", file, "--timeframe", "1m", "--state", tmp_path).code == 0
    found = held(tmp_path)
    assert [(bar.start, bar.end) for bar in found] == [
        (START + at * MINUTE, START + (at + 1) * MINUTE) for at in range(4)
    ]
    assert {(bar.source, bar.received, bar.revision) for bar in found} == {("import", 0, 0)}


def test_days_of_a_market_that_never_closes_are_those_of_the_clock(appliance: Appliance, tmp_path: Path) -> None:
    midnight = START - START % DAY
    rows = [f"{midnight + at * DAY},BTC/USD,100,101,99,100,1" for at in range(30)]
    arguments = ("--bar-stamp", "start", "--timeframe", "1d", "--state", tmp_path)
    assert appliance("data", "import", bars(tmp_path / "a.csv", *rows), *arguments).code == 0
    found = held(tmp_path, "BTC/USD", "1d")
    assert [(bar.start, bar.end) for bar in found] == [
        (midnight + at * DAY, midnight + (at + 1) * DAY) for at in range(30)
    ]


def test_hours_of_the_settings_say_what_is_missing(appliance: Appliance, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[data]\nhours = "extended"\n[data.calendars]\nQQQ = "regular"\n')
    for symbol in ("SPY", "QQQ"):
        file = bars(tmp_path / f"{symbol}.csv", *calm(390, symbol=symbol), *calm(390, START + 3 * DAY, symbol))
        appliance("data", "import", file, "--bar-stamp", "start", "--settings", settings, "--state", tmp_path)
    told = appliance("data", "gaps", "--settings", settings, "--state", tmp_path, "--json").json
    assert [(gap["symbol"], gap["bars"]) for gap in told["gaps"]] == [("SPY", 240 + 330)]
    assert appliance("data", "gaps", "--session", "regular", "--state", tmp_path).code == 0


def test_symbols_of_several_files_choose(appliance: Appliance, tmp_path: Path) -> None:
    one = bars(tmp_path / "one.csv", *calm(30), *calm(30, symbol="IBM"))
    other = bars(tmp_path / "other.csv", *calm(30, symbol="QQQ"))
    said = appliance("data", "import", one, other, "--symbols", "SPY,QQQ", "--state", tmp_path)
    assert said.code == 0
    assert [len(held(tmp_path, name)) for name in ("SPY", "QQQ", "IBM")] == [30, 30, 0]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--symbols", "SPX"], 3, ("no symbol SPX", "there are SPY")),
        (["--timeframe", "7m"], 2, ("timeframe '7m'",)),
        (["--start", "yesterday"], 2, ("is not a date",)),
        (["--timeframe", "1w"], 3, ("bars of 1w begin and end with sessions", "a column start")),
        (["--source-name", "a b"], 2, ("--source-name 'a b'", "letters, digits")),
    ],
)
def test_what_cannot_be_is_said_in_words(
    appliance: Appliance, tmp_path: Path, arguments: list[str], code: int, words: tuple[str, ...]
) -> None:
    said = appliance("data", "import", bars(tmp_path / "a.csv", *calm(5)), *arguments, "--state", tmp_path)
    assert said.code == code
    for word in words:
        assert word in said.err


def test_quotes_are_refused_before_anything_is_read(appliance: Appliance, tmp_path: Path) -> None:
    quotes = bars(tmp_path / "q.csv", f"{START},SPY,100,100.1", header="ts,symbol,bid,ask")
    said = appliance("data", "import", quotes, "--state", tmp_path)
    assert (said.code, "tick quotes, and the history store takes bars" in said.err) == (3, True)


def test_a_bar_that_has_not_ended_is_set_aside(appliance: Appliance, tmp_path: Path) -> None:
    future = [f"{4_000_000_000_000_000_000 + at * MINUTE},SPY,100,100.1,99.9,100,1" for at in range(3)]
    said = appliance("data", "import", bars(tmp_path / "a.csv", *future), "--state", tmp_path, "--all", "--json")
    assert (said.code, said.json["files"][0]["set_aside"]) == (1, {"from_the_future": 3})


def test_interrupted_it_says_what_is_kept_and_ends_with_130(
    appliance: Appliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, pages = HistoryStore.add, []

    def stopped(store: HistoryStore, told: Iterable[Bar]) -> int:
        if pages:
            raise KeyboardInterrupt
        pages.append(list(told))
        return add(store, pages[0])

    monkeypatch.setattr(HistoryStore, "add", stopped)
    file = bars(tmp_path / "a.csv", *(row for day in range(40) for row in calm(390, START + day * DAY)))
    said = appliance("data", "import", file, "--session", "always", "--state", tmp_path)
    assert (said.code, "10,000 1m bars are new" in said.out, "run it again" in said.err) == (130, True, True)
    assert held(tmp_path) == pages[0]


def test_bars_that_are_not_kept_for_long_are_imported_with_a_warning(appliance: Appliance, tmp_path: Path) -> None:
    rows = [f"{START + at * 10**9},SPY,100,100.1,99.9,100,1000" for at in range(30)]
    said = appliance("data", "import", bars(tmp_path / "a.csv", *rows), "--state", tmp_path)
    assert (said.code, "1s bars are kept for 30 days" in said.err) == (0, True)


def test_killed_while_it_imports_and_run_again_it_ends_as_without(appliance: Appliance, tmp_path: Path) -> None:
    file = bars(tmp_path / "a.csv", *(row for day in range(60) for row in calm(390, START + day * DAY)))
    arguments = ("data", "import", str(file), "--bar-stamp", "start", "--session", "always", "--state")
    appliance(*arguments, tmp_path / "whole")
    command = [sys.executable, "-m", "appliance", *arguments, str(tmp_path / "killed")]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None and not held_any(tmp_path / "killed"):
        os.sched_yield()
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert held_any(tmp_path / "killed")
    said = appliance(*arguments, tmp_path / "killed", "--json")
    assert said.json["stored"] + said.json["known"] == 60 * 390
    assert said.json["known"] > 0
    assert held(tmp_path / "killed") == held(tmp_path / "whole")


def held_any(state: Path) -> bool:
    store = HistoryStore(state / "data" / "history.db", read_only=True)
    found = bool(store.holdings())
    store.close()
    return found
