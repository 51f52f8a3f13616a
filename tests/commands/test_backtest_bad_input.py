"""What cannot be right is told with its row or option and the next step, and nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import MINUTE, SMA, START, Appliance, bars, prices, strategy

GOOD = prices(60)
AFTER = START + 60 * MINUTE


def row(ts: int, cells: str) -> str:
    return f"{ts},SPY,{cells}"


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([*GOOD, row(START + 3 * MINUTE, "1,2,1,1,5")], "bars.csv row 62: ts = '1380893580000000000': time goes back"),
        ([*GOOD[:10], GOOD[9], *GOOD[10:]], "bars.csv row 12: ts = '1380893940000000000': time stands still"),
        ([*GOOD, row(AFTER, "nan,2,1,1,5")], "bars.csv row 62: open = 'nan': NaN"),
        ([*GOOD, row(AFTER, "1,inf,1,1,5")], "bars.csv row 62: high = 'inf': infinite"),
        ([*GOOD, row(AFTER, "1,2,1,1,nan")], "bars.csv row 62: volume = 'nan': NaN"),
        ([*GOOD, row(AFTER, "1,2,0,1,5")], "bars.csv row 62: low = '0': zero price"),
        ([*GOOD, row(AFTER, "1,2,-1,1,5")], "bars.csv row 62: low = '-1': negative price"),
        ([*GOOD, row(AFTER, "1,2,1,1,-5")], "bars.csv row 62: volume = '-5': negative size"),
        ([*GOOD, row(AFTER, "1,2,1,,5")], "bars.csv row 62: close = '': empty field"),
        ([*GOOD, row(AFTER, "1,2,3,1,5")], "bars.csv row 62"),
        ([*GOOD, row(AFTER // 1_000_000_000, "1,2,1,1,5")], "not in nanoseconds"),
    ],
    ids=[
        "time goes backwards", "a time twice", "NaN", "infinite", "NaN volume", "zero", "negative", "negative volume",
        "empty field", "low above high", "seconds",
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_right_is_named(appliance: Appliance, tmp_path: Path, rows: list[str], words: str) -> None:
    file = bars(tmp_path / "bars.csv", *rows)
    out, orders = tmp_path / "out", tmp_path / "orders.jsonl"
    said = appliance(
        "backtest", SMA, "--data", file, "--bar-stamp", "start", "--out", out, "--orders-out", orders, "--json"
    )
    assert said.code == 3
    assert words in said.err
    assert "--bad-rows quarantine" in said.err
    assert said.json["error"]["code"] == "DATA"
    assert left(tmp_path) == {"bars.csv"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "bars.csv: the file is empty"),
        ("\n\n", "bars.csv: the file is empty"),
        ("ts,symbol,open,high,low,close,volume\n", "bars.csv: a header, but no rows"),
    ],
    ids=["nothing", "blank lines", "only a header"],
)
def test_a_file_without_rows_is_told(appliance: Appliance, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "bars.csv").write_text(text)
    said = appliance("backtest", SMA, "--data", tmp_path / "bars.csv", "--out", tmp_path / "out")
    assert said.code == 3
    assert words in said.err
    assert "hint: " in said.err
    assert left(tmp_path) == {"bars.csv"}


def test_one_bar_tells_no_timeframe_until_it_is_named(appliance: Appliance, tmp_path: Path) -> None:
    given = ("backtest", SMA, "--data", bars(tmp_path / "bars.csv", GOOD[0]), "--bar-stamp", "start")
    said = appliance(*given, "--out", tmp_path / "out")
    assert said.code == 3
    assert "one bar tells no timeframe" in said.err
    assert "--timeframe" in said.err
    assert left(tmp_path) == {"bars.csv"}
    said = appliance(*given, "--timeframe", "1m", "--out", tmp_path / "out", "--json")
    assert (said.code, said.json["bars"], said.json["sharpe"], said.json["end_equity"]) == (0, 1, None, "100000")


@pytest.mark.parametrize(
    ("timeframe", "code", "words"),
    [
        ("5m", 2, "timeframe '5m' does not fit bars.csv: two of its bars are 1m apart"),
        ("30s", 2, "it must be 1m"),
        ("1d", 2, "timeframe '1d' does not fit"),
        ("3x", 2, "it must be one of 1s, 5s"),
    ],
)
def test_a_timeframe_that_does_not_fit_the_file_is_told_with_the_one_that_does(
    appliance: Appliance, tmp_path: Path, timeframe: str, code: int, words: str
) -> None:
    file = bars(tmp_path / "bars.csv", *GOOD)
    said = appliance("backtest", SMA, "--data", file, "--timeframe", timeframe, "--out", tmp_path / "out")
    assert said.code == code
    assert words in said.err
    assert left(tmp_path) == {"bars.csv"}


def test_bars_at_an_odd_distance_ask_for_a_timeframe(appliance: Appliance, tmp_path: Path) -> None:
    rows = [f"{START + 7 * at * MINUTE},SPY,1,2,1,1,5" for at in range(9)]
    given = ("backtest", SMA, "--data", bars(tmp_path / "bars.csv", *rows), "--bar-stamp", "start")
    said = appliance(*given)
    assert said.code == 3
    assert "two bars are 7m apart or more" in said.err
    assert appliance(*given, "--timeframe", "5m").code == 0
    assert "name a shorter one" in appliance(*given, "--timeframe", "15m").err


def test_bars_longer_than_the_strategy_wants_are_told(appliance: Appliance, tmp_path: Path) -> None:
    mine = strategy(tmp_path / "mine.py", "pass", start='self.sma(self.symbol, 3, timeframe="1m")')
    rows = [f"{START + 60 * at * MINUTE},SPY,1,2,1,1,5" for at in range(6)]
    file = bars(tmp_path / "bars.csv", *rows)
    said = appliance("backtest", mine, "--data", file, "--bar-stamp", "start", "--out", tmp_path / "out")
    assert said.code in (3, 4)
    assert "cannot be built from 1h bars" in said.err
    assert "hint: " in said.err
    assert left(tmp_path) - {"__pycache__"} == {"bars.csv", "mine.py"}


def test_a_strategy_that_raises_leaves_no_result(appliance: Appliance, data: Path, tmp_path: Path) -> None:
    mine = strategy(tmp_path / "mine.py", "1 / 0")
    said = appliance("backtest", mine, "--data", data, "--out", tmp_path / "out")
    assert said.code == 4
    assert "ZeroDivisionError" in said.err
    assert left(tmp_path) - {"__pycache__"} == {"bars.csv", "mine.py"}


def test_without_a_strategy_it_says_what_to_give(appliance: Appliance) -> None:
    said = appliance("backtest")
    assert said.code == 2
    assert "missing argument 'STRATEGY'" in said.err
    assert "--repeat" in said.err


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_a_file_without_commas_is_told_what_separates_it(appliance: Appliance, tmp_path: Path, mark: str) -> None:
    file = bars(tmp_path / "bars.csv", *GOOD)
    file.write_text(file.read_text().replace(",", mark))
    said = appliance("backtest", SMA, "--data", file)
    assert said.code == 3
    assert "its columns are separated by" in said.err
    assert "by commas" in said.err


def test_a_folder_is_told_as_one(appliance: Appliance, tmp_path: Path) -> None:
    said = appliance("backtest", SMA, "--data", tmp_path)
    assert said.code == 3
    assert "a folder, not a file" in said.err


def test_a_bar_that_two_files_have_is_told_and_files_that_follow_each_other_are_one(
    appliance: Appliance, tmp_path: Path
) -> None:
    first, second = bars(tmp_path / "first.csv", *GOOD[:30]), bars(tmp_path / "second.csv", *GOOD[29:])
    said = appliance("backtest", SMA, "--data", first, "--data", second, "--bar-stamp", "start")
    assert said.code == 3
    assert f"second.csv: the bar of SPY that ends at {START + 30 * MINUTE} is in another file too" in said.err
    second = bars(tmp_path / "second.csv", *GOOD[30:])
    said = appliance("backtest", SMA, "--data", first, "--data", second, "--bar-stamp", "start", "--json")
    assert said.json["bars"] == 60


def test_data_without_trade_bars_say_why_nothing_happened(appliance: Appliance, tmp_path: Path) -> None:
    rows = (f"{START + minute * MINUTE},SPY,10.00,5" for minute in range(60))
    file = tmp_path / "ticks.csv"
    file.write_text("\n".join(("ts,symbol,price,size", *rows)) + "\n")
    out = tmp_path / "out"
    said = appliance("backtest", SMA, "--data", file, "--out", out)
    assert said.code == 0
    assert "on_bar hears trade bars, and there are only tick trades" in said.out
    assert json.loads((out / "result.json").read_text())["findings"][0]["code"] == "unheard"
