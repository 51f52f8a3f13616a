"""A walk-forward: what is traded was chosen before, and nothing of a test is known in training."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.data.options import FileOptions, midnight, new_york_date
from appliance.errors import RefusedError
from appliance.research.results.running import Plan
from appliance.research.sweep.axes import axes
from appliance.research.sweep.board import Aim
from appliance.research.sweep.forward import BEST, PLATEAU, Forward, Walk
from appliance.research.sweep.forward_page import doubts
from appliance.research.sweep.job import Varied
from appliance.research.sweep.windows import Window, span, windows
from appliance.runs import StrategySpec

HOLD = '''
from appliance.strategy import Strategy, param


class Hold(Strategy):
    """Holds so many shares, whatever happens."""

    symbols = ("UPS",)
    shares: int = param(1)

    def on_bar(self, bar):
        self.target("UPS", quantity=self.shares)
'''
DAYS = 400
FIRST = date(2019, 1, 1)


def daily(path: Path, prices: Sequence[float]) -> Path:
    """Daily bars that end at 16:00 in New York, one each day of the year."""
    rows = ["ts,symbol,open,high,low,close,volume"]
    before = prices[0]
    for at, price in enumerate(prices):
        end = midnight(date.fromordinal(FIRST.toordinal() + at)) + 16 * 3_600_000_000_000
        rows.append(f"{end},UPS,{before},{max(before, price)},{min(before, price)},{price},1000")
        before = price
    path.write_text("\n".join(rows) + "\n")
    return path


def walk(tmp_path: Path, prices: Sequence[float], aim: Aim, choose: str = BEST, **more: object) -> Walk:
    (tmp_path / "hold.py").write_text(HOLD)
    data = daily(tmp_path / "days.csv", prices)
    plan = Plan(
        StrategySpec("hold", str(tmp_path / "hold.py")), (str(data),),
        FileOptions(symbols=("UPS",), session="all", timeframe="1d"), Decimal(100_000),
    )  # fmt: skip
    found = windows(FIRST, date.fromordinal(FIRST.toordinal() + DAYS - 1), span("", "100d"), span("", "50d"), False)
    return Walk(plan, Varied(axes(["shares=0,10,20"])), aim, choose, more.get("windows", found), None)  # type: ignore[arg-type]


def walked(one: Walk, folder: Path) -> Forward:
    folder.mkdir(exist_ok=True)
    return one.walk(folder, 1, None, lambda count: None)


UP_THEN_DOWN = [100 + at for at in range(190)] + [290 - at for at in range(210)]
RETURN = Aim("total_return")


def test_each_test_trades_what_was_best_in_the_training_before_it(tmp_path: Path) -> None:
    found = walked(walk(tmp_path, UP_THEN_DOWN, RETURN), tmp_path / "out")
    assert [step.params for step in found.steps] == [
        {"shares": "20"}, {"shares": "20"}, {"shares": "20"}, {"shares": "0"}, {"shares": "0"}, {"shares": "0"},
    ]  # fmt: skip
    gains = [step.end - step.begin for step in found.steps]
    assert gains[0] > 0
    assert gains[1] > 0
    assert gains[2] < 0  # the turn, which no training had seen
    assert gains[3:] == [0, 0, 0]
    assert found.gained == pytest.approx(2 / 6)


def test_each_test_begins_with_what_the_one_before_was_worth(tmp_path: Path) -> None:
    found = walked(walk(tmp_path, UP_THEN_DOWN, RETURN), tmp_path / "out")
    assert found.steps[0].begin == 100_000
    assert [step.begin for step in found.steps[1:]] == [round(step.end, 2) for step in found.steps[:-1]]
    times = [mark.time for mark in found.marks]
    assert times == sorted(set(times))
    assert found.marks[-1].equity == found.steps[-1].end
    assert found.figures["total_return"] == pytest.approx(found.steps[-1].end / 100_000 - 1)
    assert new_york_date(times[0]) == found.steps[0].window.test_start.isoformat()


def test_what_comes_after_a_training_does_not_change_what_it_chooses(tmp_path: Path) -> None:
    found = walked(walk(tmp_path, UP_THEN_DOWN, RETURN), tmp_path / "out")
    (tmp_path / "other").mkdir()
    other = [*UP_THEN_DOWN[:150], *(1_000.0 - at for at in range(250))]
    again = walked(walk(tmp_path / "other", other, RETURN), tmp_path / "other" / "out")
    assert [step.params for step in again.steps[:2]] == [step.params for step in found.steps[:2]]
    assert again.steps[0] == found.steps[0]
    assert again.steps[1].outside != found.steps[1].outside


def test_efficiency_is_the_mean_year_outside_over_the_mean_year_in_training(tmp_path: Path) -> None:
    found = walked(walk(tmp_path, UP_THEN_DOWN, RETURN, PLATEAU), tmp_path / "out")
    inside = [step.inside_cagr for step in found.steps if step.inside_cagr is not None]
    outside = [step.outside_cagr for step in found.steps if step.outside_cagr is not None]
    assert found.efficiency == pytest.approx((sum(outside) / len(outside)) / (sum(inside) / len(inside)))
    assert "inefficient" in {one.code for one in doubts(replace(found, efficiency=0.49))}
    assert "inefficient" not in {one.code for one in doubts(replace(found, efficiency=0.5))}
    assert "inefficient" in {one.code for one in doubts(replace(found, efficiency=None))}


def test_where_nothing_fits_nothing_is_traded(tmp_path: Path) -> None:
    found = walked(walk(tmp_path, UP_THEN_DOWN, Aim("total_return", where=("total_return > 0.001",))), tmp_path / "out")
    assert [step.params for step in found.steps[-3:]] == [None, None, None]
    assert found.steps[-1].end == found.steps[-4].end == pytest.approx(found.marks[-1].equity)
    assert "nothing_chosen" in {one.code for one in doubts(found)}


def test_a_walk_goes_on_where_it_was_ended_and_refuses_another_one(tmp_path: Path) -> None:
    one = walk(tmp_path, UP_THEN_DOWN, RETURN)
    heard: list[int] = []

    def told(count: int) -> None:
        heard.append(count)
        if sum(heard) == 5:
            raise KeyboardInterrupt

    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt):
        one.walk(tmp_path / "out", 1, None, told)
    heard.clear()
    heard.append(-1_000)  # from now on it is let go on
    found = one.walk(tmp_path / "out", 1, None, told)
    assert heard[:4] == [-1_000, 3, 2, 1]  # a whole window was there, and two of the second
    assert found == walked(walk(tmp_path, UP_THEN_DOWN, RETURN), tmp_path / "undisturbed")
    daily(tmp_path / "days.csv", [1.0 + at for at in range(DAYS)])
    with pytest.raises(RefusedError, match="other bytes"):
        one.walk(tmp_path / "out", 1, None, told)


def test_the_table_of_windows_says_what_was_chosen(tmp_path: Path) -> None:
    found = walked(walk(tmp_path, UP_THEN_DOWN, RETURN), tmp_path / "out")
    rows = list(csv.DictReader(io.StringIO(found.windows_csv().decode())))
    assert [row["shares"] for row in rows] == ["20", "20", "20", "0", "0", "0"]
    assert rows[0]["test_start"] == "2019-04-11"
    assert float(rows[0]["outside_total_return"]) == found.steps[0].outside


def test_an_account_that_is_ruined_is_traded_no_more(tmp_path: Path) -> None:
    one = walk(tmp_path, UP_THEN_DOWN, RETURN)
    ruined = Walk(
        replace(one.plan, cash=Decimal(0)), one.varied, RETURN, BEST,
        [Window(FIRST, FIRST, FIRST, FIRST)], None,
    )  # fmt: skip
    assert ruined.total == 3
    assert walked(ruined, tmp_path / "ruined").steps == ()
