"""One run from its plan: the plan survives JSON, time is told honestly, and the tape hears what happened."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from appliance.data.options import FileOptions
from appliance.errors import StrategyError
from appliance.research.results.running import Plan, market_seconds, run
from appliance.research.results.tape import Tape
from appliance.runs import StrategySpec
from tests.commands.conftest import SMA, bars, prices, strategy

OPTIONS = FileOptions(bar_stamp="start", symbols=("SPY",), session="all")


def plan_of(file: Path, source: str = SMA, **params: str) -> Plan:
    return Plan(StrategySpec("mine", source, params=params), (str(file),), OPTIONS, Decimal(100_000))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(bars(tmp_path / "bars.csv", *prices(60)), fast="2", slow="6")


def test_a_plan_is_the_same_after_json(plan: Plan) -> None:
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_everything_that_happens_is_told_and_taped(plan: Plan) -> None:
    source, steps = plan.source(None), list[int]()
    tape = Tape(source.report.first, source.report.last)
    ran = run(plan, source, None, tape, steps.append)
    assert sum(steps) == ran.backtest.bars == 60
    assert len(tape.paths["SPY"]) == 60
    assert set(tape.shares) == set(range(len(ran.backtest.book.entries))) != set()
    assert ran.market_seconds == 3_600
    assert ran.realtime_factor == pytest.approx(3_600 / ran.seconds)


def test_listening_changes_nothing(plan: Plan) -> None:
    source = plan.source(None)
    tape = Tape(source.report.first, source.report.last)
    heard = run(plan, source, None, tape, lambda steps: None)
    alone = run(plan, plan.source(None), None, None, lambda steps: None)
    assert heard.backtest.record.jsonl() == alone.backtest.record.jsonl() != b""
    assert heard.backtest.book.marks == alone.backtest.book.marks


def test_nights_and_a_second_symbol_make_no_run_faster(tmp_path: Path) -> None:
    night = 3_600 * 10**9 * 17
    rows = [*prices(10), *prices(10, start=int(prices(10)[-1].split(",")[0]) + night)]
    both = [row for row in rows for row in (row, row.replace("SPY", "QQQ"))]
    one, two = (bars(tmp_path / name, *what) for name, what in (("one.csv", rows), ("two.csv", both)))
    alone = plan_of(one).source(None).report
    together = msgspec.structs.replace(plan_of(two), files=msgspec.structs.replace(OPTIONS, symbols=("SPY", "QQQ")))
    assert market_seconds(alone) == market_seconds(together.source(None).report) == 20 * 60


def test_what_a_strategy_raises_is_told_with_its_line(tmp_path: Path) -> None:
    file = bars(tmp_path / "bars.csv", *prices(9))
    mine = strategy(tmp_path / "mine.py", "1 / 0")
    plan = plan_of(file, str(mine))
    with pytest.raises(StrategyError, match=r"mine\.py:11: 1 / 0\n    ZeroDivisionError"):
        run(plan, plan.source(None), None, None, lambda steps: None)
