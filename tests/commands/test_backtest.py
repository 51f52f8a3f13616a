"""`appliance backtest`: the figures it prints, the orders it writes, and what each mistake is told as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import MINUTE, SMA, START, Appliance, bars, prices, strategy

QUICK = ("--param", "fast=2", "--param", "slow=6", "--bar-stamp", "start")
KEYS = [
    "bars", "bars_outside_session", "signals", "intents", "orders", "fills", "trades", "denied", "position", "cash",
    "equity", "end_equity", "fees", "total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown",
    "win_rate", "profit_factor", "exposure", "seconds", "bars_per_second", "realtime_factor",
]  # fmt: skip


def test_the_recorded_bars_of_spy_are_traded_and_every_intent_is_written(
    appliance: Appliance, real_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "orders.jsonl"
    said = appliance(
        "backtest", SMA, "--data", real_data / "equity_1min_bars.csv.gz", "--bar-stamp", "start", "--symbols", "SPY",
        "--orders-out", out, "--json",
    )  # fmt: skip
    assert said.code == 0
    assert list(said.json) == KEYS
    assert said.json["bars"] == 2730
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == said.json["intents"] > 100
    assert sum(len(row["fills"]) for row in rows) == said.json["fills"]
    assert list(rows[0]) == ["id", "symbol", "side", "quantity", "type", "status", "decided", "fills"]


def test_an_order_is_decided_at_the_end_of_its_bar_and_filled_at_the_next_open(
    appliance: Appliance, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "orders.jsonl"
    said = appliance("backtest", SMA, "--data", data, *QUICK, "--orders-out", out, "--json")
    first = json.loads(out.read_text().splitlines()[0])
    fill = first["fills"][0]
    assert said.code == 0
    assert (first["decided"] - START) % MINUTE == 0
    assert fill["time"] == first["decided"]
    opens = {START + at * MINUTE: row.split(",")[2] for at, row in enumerate(prices(120))}
    assert float(fill["price"]) == float(opens[fill["time"]])
    assert isinstance(fill["price"], str)


def test_money_and_shares_are_plain_strings_and_positions_are_by_symbol(appliance: Appliance, data: Path) -> None:
    figures = appliance("backtest", SMA, "--data", data, *QUICK, "--cash", "50000", "--json").json
    assert figures["fills"] > 5
    assert figures["position"].keys() == {"SPY"}
    assert all(isinstance(figures[name], str) and "E" not in figures[name] for name in ("cash", "equity"))
    assert 40_000 < float(figures["equity"]) < 60_000


def test_the_commission_of_the_settings_is_charged(
    appliance: Appliance, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dear = appliance("backtest", SMA, "--data", data, *QUICK, "--json").json
    monkeypatch.setenv("APPLIANCE_PAPER__COMMISSION", "none")
    free = appliance("backtest", SMA, "--data", data, *QUICK, "--json").json
    assert float(free["cash"]) - float(dear["cash"]) == pytest.approx(dear["fills"])


def test_the_same_run_prints_the_same_orders_and_leaves_nothing_else_behind(
    appliance: Appliance, data: Path, tmp_path: Path
) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for out in files:
        appliance("backtest", SMA, "--data", data, *QUICK, "--orders-out", out)
    assert files[0].read_bytes() == files[1].read_bytes() != b""
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl", "b.jsonl", "bars.csv"}


def test_a_summary_for_people_says_what_was_left_out(appliance: Appliance, tmp_path: Path) -> None:
    early = [f"{START - MINUTE},SPY,1,2,1,1,5"]
    file = bars(tmp_path / "bars.csv", *early, *prices(30), *prices(5, start=START + 40 * MINUTE))
    said = appliance("backtest", SMA, "--data", file, "--bar-stamp", "start")
    assert said.code == 0
    assert "35 (1 outside the sessions left out)" in said.out
    assert "10 bars missing; SPY: 10 missing from 2013-10-04T14:00:00Z" in said.out
    assert said.err == ""


def test_limits_of_a_file_deny_and_without_one_they_do_not(appliance: Appliance, data: Path, tmp_path: Path) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text("[limits]\nmax_order_shares = 50\n")
    free = appliance("backtest", SMA, "--data", data, *QUICK, "--json").json
    bound = appliance("backtest", SMA, "--data", data, *QUICK, "--limits", limits, "--json").json
    assert (free["denied"], bound["fills"]) == (0, 0)
    assert bound["denied"] == bound["intents"] > 0


def test_without_symbols_the_strategys_own_are_taken_from_the_file(appliance: Appliance, tmp_path: Path) -> None:
    rows = [row for pair in zip(prices(40), prices(40, "QQQ"), strict=True) for row in pair]
    file = bars(tmp_path / "two.csv", *rows)
    for symbol in ("SPY", "QQQ"):
        figures = appliance("backtest", SMA, "--data", file, *QUICK, "--param", f"symbol={symbol}", "--json").json
        assert (figures["bars"], list(figures["position"])) == (40, [symbol])


def test_quarantined_rows_are_left_out_and_told(appliance: Appliance, tmp_path: Path) -> None:
    file = bars(tmp_path / "bars.csv", *prices(20), f"{START + 20 * MINUTE},SPY,1,1,2,1,5")
    said = appliance("backtest", SMA, "--data", file, "--bar-stamp", "start", "--bad-rows", "quarantine")
    assert said.code == 0
    assert "1 left out; the first: bars.csv row 22" in said.out


# --- what goes wrong -------------------------------------------------------------------------------------------------

GOOD = prices(10)
LATER = f"{START + 10 * MINUTE}"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([*GOOD, f"{LATER},SPY,nan,2,1,1,5"], ["bars.csv row 12", "open", "nan"]),
        ([*GOOD, f"{LATER},SPY,2,1,3,2,5"], ["bars.csv row 12", "low"]),
        ([*GOOD, GOOD[3]], ["bars.csv row 12", "ts"]),
        (["1,2"], ["bars.csv"]),
    ],
    ids=["a price that is NaN", "low above high", "time goes backwards", "a torn row"],
)
def test_a_bad_row_ends_it_with_code_3_and_is_named(
    appliance: Appliance, tmp_path: Path, rows: list[str], words: list[str]
) -> None:
    said = appliance("backtest", SMA, "--data", bars(tmp_path / "bars.csv", *rows), "--bar-stamp", "start")
    assert said.code == 3
    assert said.err.startswith("error: ")
    assert all(word in said.err for word in words), said.err


def test_a_file_that_is_not_there_ends_it_with_code_3(appliance: Appliance, data: Path) -> None:
    said = appliance("backtest", SMA, "--data", data.with_name("bar.csv"))
    assert said.code == 3
    assert "no such file" in said.err
    assert "bars.csv" in said.err  # the nearest one


def test_a_missing_column_ends_it_with_code_3_and_is_named(appliance: Appliance, tmp_path: Path) -> None:
    file = bars(tmp_path / "bars.csv", "1,SPY,1,1,1,5", header="ts,symbol,open,high,low,volume")
    said = appliance("backtest", SMA, "--data", file)
    assert said.code == 3
    assert "close" in said.err


def test_data_without_the_strategys_symbol_says_what_it_has_and_how_to_choose(
    appliance: Appliance, tmp_path: Path
) -> None:
    said = appliance("backtest", SMA, "--data", bars(tmp_path / "q.csv", *prices(40, "QQQ")), "--bar-stamp", "start")
    assert said.code == 3
    assert "no symbol SPY" in said.err
    assert "there are QQQ" in said.err
    assert "--param symbol=" in said.err


def test_symbols_that_leave_out_what_the_strategy_trades_are_a_mistake(appliance: Appliance, tmp_path: Path) -> None:
    said = appliance("backtest", SMA, "--data", bars(tmp_path / "q.csv", *prices(40, "QQQ")), "--symbols", "QQQ")
    assert said.code == 2
    assert "leaves out what sma_cross trades: SPY" in said.err
    assert "--param symbol=QQQ" in said.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
        ("class Mine(:\n", ":1: class Mine(:"),
        ("x = 1\n", "no strategy in it"),
    ],
    ids=["does not import", "does not compile", "has none"],
)
def test_a_strategy_that_does_not_load_ends_it_with_code_4(
    appliance: Appliance, data: Path, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "mine.py").write_text(text)
    said = appliance("backtest", tmp_path / "mine.py", "--data", data)
    assert said.code == 4
    assert words in said.err
    assert str(tmp_path / "mine.py") in said.err


def test_a_strategy_file_that_is_not_there_ends_it_with_code_4(appliance: Appliance, data: Path) -> None:
    said = appliance("backtest", "nowhere.py", "--data", data)
    assert said.code == 4
    assert "nowhere.py" in said.err


def test_a_strategy_that_raises_in_on_start_ends_it_with_code_4_and_the_line(
    appliance: Appliance, data: Path, tmp_path: Path
) -> None:
    mine = strategy(tmp_path / "mine.py", body="pass", start="self.nothing.of_that_kind()")
    said = appliance("backtest", mine, "--data", data)
    assert said.code == 4
    assert f"{mine}:8: self.nothing.of_that_kind()" in said.err
    assert "on_start raised: AttributeError" in said.err


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ('self.target("QQQ", quantity=1)', "QQQ"),
    ],
    ids=["an error", "an exit", "a wish that cannot be"],
)
def test_a_strategy_that_raises_in_on_bar_ends_it_with_code_4_the_line_and_the_bars_time(
    appliance: Appliance, data: Path, tmp_path: Path, body: str, words: str
) -> None:
    mine = strategy(tmp_path / "mine.py", f"if bar.start == {START + 7 * MINUTE}: {body}")
    out = tmp_path / "orders.jsonl"
    said = appliance("backtest", mine, "--data", data, "--bar-stamp", "start", "--orders-out", out, "--json")
    assert said.code == 4
    assert f"{mine}:11: if bar.start ==" in said.err
    assert words in said.err
    assert "the bar that ends 2013-10-04 13:38:00 UTC" in said.err
    assert said.json["error"]["code"] == "STRATEGY"
    assert not out.exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--param", "fast=0"), "from 2 to 100"),
        (("--param", "fats=5"), "fast"),
    ],
)
def test_a_parameter_that_cannot_be_ends_it_with_code_4_and_what_may_be(
    appliance: Appliance, data: Path, args: tuple[str, ...], words: str
) -> None:
    said = appliance("backtest", SMA, "--data", data, *args)
    assert said.code == 4
    assert words in said.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "no data file"),
        (("--data", "x.csv", "--param", "fast"), "KEY=VALUE"),
        (("--data", "x.csv", "--cash", "-5"), "--cash '-5'"),
        (("--data", "x.csv", "--cash", "nan"), "--cash 'nan'"),
        (("--data", "x.csv", "--cash", "1e400"), "at most a trillion"),
        (("--data", "x.csv", "--check"), "--check without --out"),
        (("--data", "x.csv", "--cash", "5000 EUR"), "'EUR': accounts are in USD only"),
        (("--data", "x.csv", "--currency", "EUR"), "--currency 'EUR': accounts are in USD only"),
        (("--data", "x.csv", "--account", "futures"), "'secured', 'cash', 'margin'"),
        (("--data", "x.csv", "--prices", "split"), "'adjusted', 'raw'"),
        (("--data", "x.csv", "--bar-stamp", "middle"), "'start', 'end'"),
        (("--data", "x.csv", "--start", "yesterday"), "'yesterday' is not a date"),
        (("--data", "x.csv", "--start", "2021-02-01", "--end", "2021-01-01"), "is after end"),
        (("--data", "x.csv", "--limits", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_a_wrong_option_ends_it_with_code_2_and_what_it_may_be(
    appliance: Appliance, args: tuple[str, ...], words: str
) -> None:
    said = appliance("backtest", SMA, *args)
    assert said.code == 2
    assert words in said.err


def test_an_unknown_limit_is_answered_with_the_nearest(appliance: Appliance, data: Path, tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text("max_order_sharse = 5\n")
    said = appliance("backtest", SMA, "--data", data, "--limits", tmp_path / "limits.toml")
    assert said.code == 2
    assert "did you mean max_order_shares?" in said.err


def test_orders_that_cannot_be_written_end_it_with_code_5_before_it_runs(
    appliance: Appliance, data: Path, tmp_path: Path
) -> None:
    said = appliance("backtest", SMA, "--data", data, "--orders-out", tmp_path / "no" / "orders.jsonl")
    assert said.code == 5
    assert "the orders cannot be written: No such file or directory" in said.err
    assert said.out == ""
