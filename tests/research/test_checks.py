"""The checks against self-deception: each planted fault is found, and what is shipped passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.research.checks import CHECKS, FULL, QUICK, Report, check, checked
from appliance.research.verdict import Verdict
from tests.research.sources import STRATEGIES, of_file, planted, written

SHIPPED = sorted(STRATEGIES.glob("*.py"))


def only_failure(report: Report) -> Verdict:
    """The one check that failed."""
    assert len(report.failures) == 1, report.failures
    return report.failures[0]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_strategy_passes_every_check(path: Path) -> None:
    report = check(of_file(path), FULL)
    assert report.failures == []
    assert {one.check: one.verdict for one in report.verdicts}["state"] == "pass"


def test_look_ahead_through_a_shifted_array_is_found() -> None:
    found = only_failure(check(planted("look_ahead")))
    assert found.check == "imports"
    assert "look_ahead.py:19: rises = np.roll(closes, -1) > closes" in found.text
    assert "compare slices instead: x[1:] with x[:-1]" in found.text


def test_the_wall_clock_is_found() -> None:
    found = only_failure(check(planted("wall_clock")))
    assert found.check == "imports"
    assert "wall_clock.py:3: from datetime import datetime" in found.text
    assert "use self.now" in found.text


def test_unseeded_random_is_found() -> None:
    found = only_failure(check(planted("unseeded_random")))
    assert found.check == "imports"
    assert "np.random.default_rng()" in found.text
    assert "use self.rng: it is seeded and saved" in found.text


@pytest.mark.parametrize(
    ("name", "by"), [("state_not_saved", "state"), ("state_of_the_module", "state"), ("state_of_the_class", "imports")]
)
def test_state_that_is_not_saved_is_found(name: str, by: str) -> None:
    found = only_failure(check(planted(name), QUICK))
    assert found.check == by
    assert "self.state" in found.text + found.hint


def test_what_is_lost_at_a_restart_is_told_with_the_bar_and_both_decisions() -> None:
    found = only_failure(check(planted("state_not_saved"), QUICK))
    assert "at the bar that ends 2020-01-06 14:40:00 UTC" in found.text
    assert "without a restart SPY 0 (bar 10); restarted after every bar nothing" in found.text


def test_an_order_that_a_set_decides_is_found_by_two_hash_seeds() -> None:
    found = only_failure(check(planted("set_order"), QUICK))
    assert found.check == "determinism"
    assert "hash seed" in found.text
    assert "sorted(...)" in found.hint


def test_a_loop_without_an_end_is_found_without_hanging_who_checks() -> None:
    from msgspec.structs import replace

    found = only_failure(check(planted("endless_loop"), replace(QUICK, seconds=2.0)))
    assert found.check == "run"
    assert "no answer within 2 s" in found.text


def test_what_raises_is_told_with_its_line_and_the_rest_is_not_tried() -> None:
    report = check(planted("raises"), QUICK)
    found = only_failure(report)
    assert (found.check, report.loads) == ("run", True)
    assert "ZeroDivisionError" in found.text
    assert "raises.py:12" in found.text
    assert [one.verdict for one in report.verdicts[2:]] == ["skipped"] * 5


def test_an_edge_of_a_range_that_does_not_work_is_named() -> None:
    found = only_failure(check(planted("bad_edge"), FULL))
    assert found.check == "parameters"
    assert "divisor = 0 is allowed (a whole number from 0 to 100), but at 2020-01-06 14:31:00 UTC" in found.text


def test_before_going_live_only_the_parameters_in_use_are_tried() -> None:
    assert checked(planted("bad_edge")) == []
    assert [one.check for one in checked(planted("bad_edge", divisor="0"))] == ["run"]


def test_what_does_not_load_says_so_and_nothing_else_is_tried() -> None:
    report = check(written("self.target(bar.symbol, quantity=1", top="import this is wrong"), QUICK)
    assert not report.loads
    assert [one.verdict for one in report.verdicts] == ["fail", *["skipped"] * 6]
    assert "does not compile" in report.failures[0].text


def test_a_strategy_that_never_decides_is_not_said_to_have_passed() -> None:
    report = check(written("pass"), QUICK)
    verdicts = {one.check: one.verdict for one in report.verdicts}
    assert (verdicts["run"], verdicts["look-ahead"], verdicts["determinism"]) == ("skipped",) * 3
    assert report.failures == []


def test_a_strategy_of_days_is_tried_on_days_where_minutes_decide_nothing() -> None:
    lines = "if bar.timeframe == '1d':\n    self.target(bar.symbol, quantity=round(bar.close))"
    run = next(one for one in check(written(lines), QUICK).verdicts if one.check == "run")
    assert "daily bars" in run.text
    assert run.verdict == "pass"


def test_a_slow_indicator_gets_enough_bars() -> None:
    lines = "if self.slow.ready:\n    self.target(bar.symbol, quantity=1 if bar.close > self.slow.value else 0)"
    report = check(written(lines, "self.slow = self.sma(self.symbol, 500)"), QUICK)
    assert report.failures == []
    assert "3,000 events" in next(one.text for one in report.verdicts if one.check == "run")


def test_the_checks_are_told_one_by_one_and_reported_in_their_order() -> None:
    told: list[str] = []
    report = check(of_file(SHIPPED[0]), QUICK, say=told.append)
    assert [one.check for one in report.verdicts] == list(CHECKS)
    assert sorted(told) == sorted(CHECKS)
