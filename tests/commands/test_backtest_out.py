"""`appliance backtest --out` and `--repeat`: a folder that agrees with itself, appears whole, and can be made again."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from decimal import Decimal
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from appliance.core.record import plain
from appliance.research.analysis import METRICS
from appliance.research.formats import figure, money, number
from appliance.research.results.result import NAMES, REPEATED
from tests.commands.conftest import ROOT, SMA, Appliance, bars, prices, strategy

QUICK = ("--param", "fast=2", "--param", "slow=6", "--bar-stamp", "start")
MAIN = (
    "bars", "seconds", "bars_per_second", "realtime_factor", "end_equity", "fees", "orders", "trades", "fills", "cash",
    "equity", "position", "total_return", "sharpe", "max_drawdown",
)  # fmt: skip


@pytest.fixture
def out(appliance: Appliance, data: Path, tmp_path: Path) -> Path:
    """A result of two hours of SPY."""
    said = appliance("backtest", SMA, "--data", data, *QUICK, "--out", tmp_path / "out")
    assert said.code == 0, said.err
    return tmp_path / "out"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def told(out: Path) -> Any:
    return json.loads((out / "result.json").read_text())


def content(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in REPEATED}


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_the_folder_holds_its_files_and_nothing_lies_beside_it(out: Path, tmp_path: Path) -> None:
    assert {path.name for path in out.iterdir()} == NAMES
    assert {path.name for path in tmp_path.iterdir()} == {"out", "bars.csv"}


def test_the_recorded_week_of_spy_prints_its_main_figures_and_they_are_those_of_the_folder(
    appliance: Appliance, real_data: Path, tmp_path: Path
) -> None:
    said = appliance(
        "backtest", SMA, "--data", real_data / "equity_1min_bars.csv.gz", "--bar-stamp", "start", "--symbols", "SPY",
        "--param", "fast=10", "--param", "slow=30", "--cash", "100000", "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert said.code == 0
    figures, kept = said.json, told(tmp_path / "out")
    assert set(MAIN) <= set(figures)
    assert kept["summary"].items() <= figures.items()
    assert (
        kept["metrics"].items() >= {name: figures[name] for name in ("total_return", "sharpe", "max_drawdown")}.items()
    )
    assert figures["bars"] == 2730
    assert figures["realtime_factor"] > 1_000


def test_every_figure_of_the_page_is_that_of_result_json(out: Path) -> None:
    page, kept = (out / "report.html").read_text(), told(out)
    units = {row.name: row.unit for row in METRICS}
    shown = re.findall(r'data-(metric|summary)="(\w+)" data-value="([^"]*)"[^>]*>([^<]*)<', page)
    assert {name for kind, name, *_ in shown if kind == "metric"} >= set(kept["metrics"])
    for kind, name, value, text in shown:
        known = kept["metrics" if kind == "metric" else "summary"].get(name)
        if kind == "metric":
            expected = repr(known), figure(known, units.get(name, ""))
        else:
            expected = str(known), number(Decimal(known)) if isinstance(known, str) else figure(known, "count")
        assert (unescape(value), unescape(text)) == expected, name


def test_every_sum_of_the_page_is_that_of_fills_csv(out: Path) -> None:
    page, kept, fills = (out / "report.html").read_text(), told(out), rows(out / "fills.csv")
    fees = sum(Decimal(row["fee"]) for row in fills)
    traded = sum(Decimal(row["price"]) * Decimal(row["quantity"]) for row in fills)
    shown = dict(re.findall(r'data-symbol="SPY" data-figure="(\w+)" data-value="([^"]*)"', page))
    assert (Decimal(shown["fees"]), Decimal(shown["traded"]), int(shown["fills"])) == (fees, traded, len(fills))
    cost = dict(re.findall(r'data-cost="(\w+)" data-value="([^"]*)"', page))
    assert Decimal(cost["fees"]) == -fees
    assert Decimal(cost["left"]) == Decimal(kept["summary"]["end_equity"]) - Decimal(kept["plan"]["cash"])
    assert sum(Decimal(value) for name, value in cost.items() if name != "left") == Decimal(cost["left"])
    assert f">{money(fees)}<" in page


def test_every_table_of_the_page_is_that_of_result_json_or_trades_csv(out: Path) -> None:
    page, tables, closed = (out / "report.html").read_text(), told(out)["tables"], rows(out / "trades.csv")
    for kind in ("symbol", "strategy"):
        (kept,) = tables["symbols" if kind == "symbol" else "strategies"]
        shown = dict(re.findall(rf'data-{kind}="\w+" data-figure="(\w+)" data-value="([^"]*)"', page))
        assert shown == {name: repr(value) for name, value in kept.items() if name != "name"}
    months = re.findall(r'title="Oct 2013: ([^"]*)"', page)
    assert months == [figure(tables["months"]["2013-10"], "fraction")]
    assert page.count(f">{figure(min(one['depth'] for one in tables['drawdowns']), 'fraction')}<") >= 1
    cells = re.findall(r"<tr><td>SPY</td><td>long</td>(.*?)</tr>", page)
    profits = [Decimal(re.findall(r">([^<>]+)</td>", row)[6].replace(",", "").replace("−", "-")) for row in cells]
    ranked = sorted((Decimal(row["profit"]) for row in closed), reverse=True)
    assert len(ranked) > 3
    assert profits == ranked if len(ranked) <= 20 else profits == [*ranked[:10], *ranked[: -10 - 1 : -1]]


def test_the_books_agree_with_each_other(out: Path) -> None:
    kept, fills, equity = told(out), rows(out / "fills.csv"), rows(out / "equity.csv")
    cash = Decimal(kept["plan"]["cash"]) + sum(Decimal(row["amount"]) for row in fills)
    assert plain(cash) == kept["summary"]["cash"] == plain(Decimal(fills[-1]["cash"]))
    assert float(equity[-1]["equity"]) == pytest.approx(float(kept["summary"]["end_equity"]), abs=1e-6)
    orders = [json.loads(line) for line in (out / "orders.jsonl").read_text().splitlines()]
    assert len(orders) == kept["summary"]["intents"]
    assert sum(len(order["fills"]) for order in orders) == len(fills) == kept["summary"]["fills"] > 5
    assert len(rows(out / "trades.csv")) == kept["summary"]["trades"] > 3


def test_round_trips_win_and_lose_what_the_trades_inside_them_do(out: Path) -> None:
    """First in, first out or by average cost: between no shares and no shares it is the same money."""
    trips, trades = rows(out / "round_trips.csv"), rows(out / "trades.csv")
    assert trips
    for trip in trips:
        inside = [one for one in trades if trip["opened"] <= one["entry_time"] and one["exit_time"] <= trip["closed"]]
        assert sum(Decimal(one["profit"]) for one in inside) == Decimal(trip["profit"])
        assert sum(Decimal(one["quantity"]) for one in inside) == Decimal(trip["quantity"])


def test_the_result_says_what_it_was_made_from(out: Path, data: Path) -> None:
    kept = told(out)
    assert kept["inputs"]["data"] == {str(data): sha256(data.read_bytes()).hexdigest()}
    assert kept["inputs"]["strategy"] == sha256(Path(SMA).read_bytes()).hexdigest()
    assert set(kept["inputs"]["versions"]) >= {"appliance", "python", "numpy"}
    assert kept["parameters"] == {"symbol": "SPY", "fast": "2", "slow": "6"}
    assert {"commission"} <= set(kept["plan"]["model"])
    assert kept["seed"] == {"strategy": "sma_cross"}


# --- again -----------------------------------------------------------------------------------------------------------


def test_the_same_run_gives_the_same_bytes(appliance: Appliance, out: Path, data: Path, tmp_path: Path) -> None:
    appliance("backtest", SMA, "--data", data, *QUICK, "--out", tmp_path / "again")
    assert content(tmp_path / "again") == content(out)


def test_a_repeat_proves_that_it_is_identical_and_leaves_nothing(appliance: Appliance, out: Path) -> None:
    before = content(out)
    said = appliance("backtest", "--repeat", out / "result.json")
    assert (said.code, said.out) == (0, f"identical: {', '.join(REPEATED)}\n")
    assert appliance("backtest", "--repeat", out, "--json").json == {"identical": True, "differs": []}
    assert content(out) == before
    assert {path.name for path in out.parent.iterdir()} == {"out", "bars.csv"}


def test_a_repeat_is_that_of_its_own_settings_not_of_those_now(
    appliance: Appliance, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPLIANCE_PAPER__COMMISSION_PER_SHARE", "7")
    assert appliance("backtest", "--repeat", out / "result.json").code == 0


def test_a_repeat_on_other_data_names_them_and_what_came_of_it(appliance: Appliance, out: Path, data: Path) -> None:
    bars(data, *prices(118))
    said = appliance("backtest", "--repeat", out / "result.json")
    assert said.code == 1
    assert f"data: {data} has other bytes" in said.out
    assert "result.json: bars was 120, is 118" in said.out
    assert "equity.csv: line 120 was" in said.out


def test_a_repeat_of_another_source_names_the_strategy(appliance: Appliance, data: Path, tmp_path: Path) -> None:
    mine = strategy(tmp_path / "mine.py", "self.target(self.symbol, quantity=10)")
    appliance("backtest", mine, "--data", data, "--bar-stamp", "start", "--out", tmp_path / "out")
    strategy(tmp_path / "mine.py", "self.target(self.symbol, quantity=20)")
    said = appliance("backtest", "--repeat", tmp_path / "out", "--json")
    assert said.code == 1
    assert said.json["identical"] is False
    assert said.json["differs"][0] == "strategy: its source is another"
    assert any(line.startswith("orders.jsonl: line 1 was") for line in said.json["differs"])


def test_a_figure_that_somebody_changed_is_told(appliance: Appliance, out: Path) -> None:
    kept = told(out)
    kept["metrics"]["total_return"] = 0.5
    (out / "result.json").write_text(json.dumps(kept))
    said = appliance("backtest", "--repeat", out / "result.json")
    assert said.code == 1
    assert "total_return was 0.5, is" in said.out


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("nowhere.json", None, "No such file"),
        ("torn.json", '{"format": 1', "not a result"),
        ("other.json", "{}", "not a result"),
    ],
)
def test_what_is_no_result_cannot_be_repeated(
    appliance: Appliance, tmp_path: Path, name: str, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    said = appliance("backtest", "--repeat", tmp_path / name)
    assert said.code == 3
    assert words in said.err
    assert name in said.err


def test_data_that_are_gone_are_told_when_it_is_repeated(appliance: Appliance, out: Path, data: Path) -> None:
    data.unlink()
    said = appliance("backtest", "--repeat", out / "result.json")
    assert said.code == 3
    assert "no such file" in said.err


@pytest.mark.parametrize(
    "more", [(SMA,), ("--cash", "5"), ("--commission", "none"), ("--out", "x"), ("--check",), ("--benchmark", "SPY")]
)
def test_a_repeat_takes_nothing_that_the_result_says_already(
    appliance: Appliance, out: Path, more: tuple[str, ...]
) -> None:
    said = appliance("backtest", *more, "--repeat", out / "result.json")
    assert said.code == 2
    assert "--repeat stands alone" in said.err


# --- where it goes, and what it is compared with ---------------------------------------------------------------------


def test_a_former_result_is_replaced_and_anything_else_is_not(
    appliance: Appliance, out: Path, data: Path, tmp_path: Path
) -> None:
    before = content(out)
    assert appliance("backtest", SMA, "--data", data, *QUICK, "--param", "fast=3", "--out", out).code == 0
    assert content(out) != before
    said = appliance("backtest", SMA, "--data", data, *QUICK, "--out", tmp_path)
    assert said.code == 2
    assert "is there already and holds no result" in said.err
    assert data.exists()


def test_the_place_is_looked_at_before_the_data_are_read(appliance: Appliance, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    said = appliance("backtest", SMA, "--data", tmp_path / "nowhere.csv", "--out", tmp_path / "out")
    assert said.code == 2
    assert "is a file, not a folder" in said.err


def test_a_benchmark_of_the_data_is_taken_and_another_is_a_mistake(appliance: Appliance, tmp_path: Path) -> None:
    two = [row for pair in zip(prices(40), prices(40, "QQQ"), strict=True) for row in pair]
    file = bars(tmp_path / "two.csv", *two)
    given = ("backtest", SMA, "--data", file, *QUICK, "--symbols", "SPY,QQQ", "--out", tmp_path / "out")
    assert appliance(*given).code == 0
    assert told(tmp_path / "out")["data"]["benchmark"] == "SPY"
    assert appliance(*given, "--benchmark", "QQQ").code == 0
    assert told(tmp_path / "out")["data"]["benchmark"] == "QQQ"
    said = appliance(*given, "--benchmark", "IWM")
    assert said.code == 2
    assert "--benchmark IWM is not among the data" in said.err


def test_a_checked_strategy_is_not_doubted_for_it(appliance: Appliance, out: Path, data: Path) -> None:
    codes = {one["code"] for one in told(out)["findings"]}
    assert "look_ahead" in codes
    appliance("backtest", SMA, "--data", data, *QUICK, "--check", "--out", out)
    kept = told(out)
    assert kept["checked"] == "pass"
    assert {one["code"] for one in kept["findings"]} == codes - {"look_ahead"}
    assert appliance("backtest", "--repeat", out).code == 0


def test_a_person_is_told_what_it_made_how_fast_and_what_to_doubt(
    appliance: Appliance, data: Path, tmp_path: Path
) -> None:
    said = appliance("backtest", SMA, "--data", data, *QUICK, "--out", tmp_path / "out")
    assert said.err == ""
    assert "x real time" in said.out
    assert "Look-ahead check not run" in said.out
    assert str(tmp_path / "out") in said.out
    assert max(map(len, said.out.splitlines())) < 160


def test_ctrl_c_ends_it_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    slow = strategy(tmp_path / "slow.py", "sum(range(5_000_000))")
    file = bars(tmp_path / "bars.csv", *prices(390))
    command = [sys.executable, "-m", "appliance", "backtest", str(slow), "--data", str(file), "--bar-stamp", "start"]
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "out"), "--progress"], stderr=subprocess.PIPE, env=where, text=True
    ) as run:
        assert run.stderr is not None
        assert run.stderr.readline().startswith("backtest  [")
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "Traceback" not in err
    assert {path.name for path in tmp_path.iterdir() if path.name != "__pycache__"} == {"slow.py", "bars.csv"}
