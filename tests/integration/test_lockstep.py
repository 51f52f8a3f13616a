"""Recorded data through the real processes: the same orders as the backtest, whatever happens on the way."""

from __future__ import annotations

import signal
import time
from decimal import Decimal
from pathlib import Path

import pytest

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.making import runner_factory
from appliance.runs import StrategySpec
from appliance.world.backtest import Backtest
from tests.integration.running import STRATEGIES, Box, appliance, orders_of, random_walk, until

SMA = ("--strategy", str(STRATEGIES / "sma_cross.py"))
MAX = ("--speed", "max")
KEYS = {
    "bars", "bars_outside_session", "signals", "intents", "orders", "fills", "denied", "duplicates_dropped",
    "gaps_healed", "position", "cash", "equity", "seconds", "latency_ms",
}  # fmt: skip


def test_the_processes_write_the_orders_of_the_backtest(box: Box, walk: tuple[str, ...], expected: bytes) -> None:
    done = box.finish(*walk, *SMA, *MAX)
    assert done.code == 0, done
    assert box.orders.read_bytes() == expected
    assert set(done.json) == KEYS
    assert done.json["bars"] == 300
    assert done.json["fills"] == sum(len(row["fills"]) for row in orders_of(box.orders))
    assert set(done.json["latency_ms"]) == {"p50", "p99", "max"}
    assert done.err == ""


@pytest.mark.parametrize("strategy", ["sma_cross.py", "bollinger.py"])
def test_a_recorded_day_gives_the_orders_of_the_backtest(box: Box, real_data: Path, strategy: str) -> None:
    day = ("--bar-stamp", "start", "--symbols", "SPY", "--start", "2013-10-07", "--end", "2013-10-07")
    data = ("--data", real_data / "equity_1min_bars.csv.gz", *day)
    done = box.finish(*data, "--strategy", STRATEGIES / strategy, *MAX)
    assert done.code == 0, done
    wanted = box.folder / "backtest.jsonl"
    assert appliance("backtest", STRATEGIES / strategy, *data, "--orders-out", wanted).code == 0
    assert done.json["bars"] == 390
    assert wanted.read_bytes().count(b"\n") >= 5
    assert box.orders.read_bytes() == wanted.read_bytes()


EVERY_WAY = Path(__file__).with_name("every_way.py")


def test_brackets_trailing_stops_resting_orders_and_cancels_give_the_orders_of_the_backtest(
    box: Box, walk: tuple[str, ...]
) -> None:
    done = box.finish(*walk, "--strategy", EVERY_WAY, *MAX)
    assert done.code == 0, done
    wanted = box.folder / "backtest.jsonl"
    there = appliance("backtest", EVERY_WAY, *walk, "--orders-out", wanted)
    assert there.code == 0, there
    rows = orders_of(box.orders)
    assert box.orders.read_bytes() == wanted.read_bytes()
    assert {"market", "limit", "stop", "trailing_stop"} == {row["type"] for row in rows}
    assert {"filled", "canceled"} <= {row["status"] for row in rows}
    assert done.json["orders"] > len([row for row in rows if row["status"] != "denied"])  # those that protect


def test_two_strategies_in_processes_of_their_own_decide_as_they_do_side_by_side(box: Box) -> None:
    data = random_walk(box.folder / "two.csv", 150, ("AIG", "SPY"))
    other = box.folder / "dip.py"
    other.write_text((STRATEGIES / "bollinger.py").read_text().replace('"SPY"', '"AIG"'))
    done = box.finish("--data", data, "--session", "all", "--symbols", "AIG,SPY", *SMA, "--strategy", other, *MAX)
    assert done.code == 0, done
    rows = orders_of(box.orders, ids=False)
    assert {row["symbol"] for row in rows} == {"AIG", "SPY"}
    assert rows == _side_by_side(data, other, STRATEGIES / "sma_cross.py", box.folder / "backtest.jsonl")


def _side_by_side(data: Path, *strategies: Path) -> list[dict[str, object]]:
    *files, out = strategies
    specs = [StrategySpec(path.stem, str(path)) for path in sorted(files, key=lambda path: path.stem)]
    run = Backtest(
        "both", [runner_factory(spec) for spec in specs], rules(LimitValues()), Decimal(100_000), MarketModel()
    )
    run.run(FileSource([str(data)], FileOptions(session="all", symbols=("AIG", "SPY"))).batch(10_000).events)
    out.write_bytes(run.record.jsonl())
    return orders_of(out, ids=False)


def test_ctrl_c_in_the_middle_ends_all_within_five_seconds_and_the_next_start_goes_on(
    box: Box, walk: tuple[str, ...], expected: bytes
) -> None:
    box.up(*walk, *SMA, *MAX, "--until-done").ready()
    _some_bars(box)
    began = time.monotonic()
    done = box.interrupt()
    assert time.monotonic() - began < 5
    assert done.code == 130
    assert 0 < done.json["bars"] < 300
    assert box.left() == []
    assert box.finish(*walk, *SMA, *MAX).code == 0
    assert box.orders.read_bytes() == expected


def test_a_killed_supervisor_takes_its_children_along_and_the_next_one_goes_on(
    box: Box, walk: tuple[str, ...], expected: bytes
) -> None:
    box.up(*walk, *SMA, *MAX, "--until-done").ready()
    _some_bars(box)
    box.note_processes()
    assert box.process is not None
    box.process.kill()
    assert box.end().code == -signal.SIGKILL
    until(lambda: not box.left(), 2, "the children die with the supervisor")
    assert box.status()["state"] == "stopped"
    assert box.finish(*walk, *SMA, *MAX).code == 0
    assert box.orders.read_bytes() == expected


def _some_bars(box: Box) -> None:
    """Wait until the run is well on its way: the feed's journal grows with every bar."""
    feed = box.state / "journal" / "feed.db-wal"
    until(lambda: feed.exists() and feed.stat().st_size > 150_000, 20, "the feed has journalled some bars")


def test_other_options_on_the_same_state_directory_are_refused_and_named(box: Box, walk: tuple[str, ...]) -> None:
    box.up(*walk, *SMA, *MAX).ready().interrupt()
    done = box.finish(*walk, *SMA, *MAX, "--cash", "5000")
    assert done.code == 1
    assert "cash was Decimal('100000'), now Decimal('5000')" in done.err
    assert "another --state" in done.err


@pytest.mark.parametrize("changed", ["bars.csv", "mine.py"])
def test_a_file_that_has_changed_since_the_run_began_is_refused_and_named(box: Box, changed: str) -> None:
    random_walk(box.folder / "bars.csv", 100)
    (box.folder / "mine.py").write_text((STRATEGIES / "sma_cross.py").read_text())
    options = ("--data", box.folder / "bars.csv", "--session", "all", "--strategy", box.folder / "mine.py", *MAX)
    box.up(*options).ready().interrupt()
    (box.folder / changed).write_text((box.folder / changed).read_text().replace("100.0", "100.01") + "\n")
    done = box.finish(*options)
    assert done.code == 1
    assert f"{changed} has changed" in done.err
    assert "another --state" in done.err


def test_at_a_speed_the_clock_paces_the_data(box: Box, walk: tuple[str, ...]) -> None:
    began = time.monotonic()
    data = random_walk(box.folder / "few.csv", 6)
    done = box.finish("--data", data, "--session", "all", *SMA, "--speed", "100")
    assert done.code == 0, done
    assert done.json["bars"] == 6
    assert time.monotonic() - began > 5 * 60 / 100
