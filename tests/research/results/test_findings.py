"""Each finding is made at its threshold and not on the other side of it, and the gravest is told first."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from appliance.core.books.entries import EntryKind
from appliance.domain.market import DAY, HOUR, MINUTE
from appliance.research.results import findings
from appliance.research.results.evidence import LEVELS, Evidence, Leap, Setting, monthly_profit
from appliance.research.results.findings import JUDGES, judge
from tests.research.accounts import booked, fill, marks, trade

WON = marks(1000, 1100)
MANY = [trade(1, day=day) for day in range(30)]
HALF_YEAR = marks(1000, 1010, 1011, 1012, 1013, 1014, every=31 * DAY)


def evidence(**given: Any) -> Evidence:
    return Evidence(cash=1000.0, **given)


CASES: list[tuple[str, dict[str, Any], str | None]] = [
    ("look_ahead", {"checked": "pass"}, None),
    ("look_ahead", {"checked": ""}, "warning"),
    ("look_ahead", {"checked": "skipped"}, "warning"),
    ("look_ahead", {"checked": "fail"}, "serious"),
    ("few_trades", {"trades": MANY}, None),
    ("few_trades", {"trades": MANY[:29]}, "warning"),
    ("few_trades", {"trades": MANY[:10]}, "warning"),
    ("few_trades", {"trades": MANY[:9]}, "serious"),
    ("few_trades", {}, "serious"),
    ("unheard", {"kinds": ["quote bars"]}, "serious"),
    ("unheard", {"kinds": ["trade bars"], "bars": 1}, None),
    ("unheard", {"kinds": ["quote bars"], "intents": 1}, None),
    ("leaps", {"leaps": [Leap("SPY", DAY, 1.16, 23.2)]}, "warning"),
    ("leaps", {}, None),
    ("many_parameters", {"settings": [Setting("a", 1)]}, None),
    ("many_parameters", {"settings": [Setting("a", 1), Setting("b", 1), Setting("c", 1)], "trades": MANY}, None),
    ("many_parameters", {"settings": [Setting("a", 1), Setting("b", 1)], "trades": MANY[:19]}, "warning"),
    ("short_history", {"marks": marks(1, 1, every=365 * DAY)}, None),
    ("short_history", {"marks": marks(1, 1, every=365 * DAY - 1)}, "warning"),
    ("unproven", {"marks": WON, "skill": 0.95}, None),
    ("unproven", {"marks": WON, "skill": 0.949}, "warning"),
    ("unproven", {"marks": marks(1000, 990), "skill": 0.1}, None),
    ("parameter_edge", {"settings": [Setting("fast", 3, 2, 9)]}, None),
    ("parameter_edge", {"settings": [Setting("fast", 2, 2, 9)]}, "warning"),
    ("parameter_edge", {"settings": [Setting("fast", 9, 2, 9)]}, "warning"),
    ("one_trade", {"marks": WON, "trades": [trade(50), trade(50)]}, None),
    ("one_trade", {"marks": WON, "trades": [trade(51), trade(49)]}, "warning"),
    ("one_trade", {"marks": WON, "trades": [trade(100), trade(0)]}, "serious"),
    ("one_trade", {"marks": marks(1000, 990), "trades": [trade(5), trade(-15)]}, None),
    ("one_symbol", {"trades": [trade(9), trade(1, "QQQ")]}, None),
    ("one_symbol", {"trades": [trade(9), trade(0, "QQQ")]}, "warning"),
    ("one_symbol", {"trades": [trade(9), trade(-1)]}, None),
    ("one_month", {"marks": HALF_YEAR}, None),
    ("one_month", {"marks": marks(1000, 1010, 1010, 1009, 1009, 1009, every=31 * DAY)}, "warning"),
    ("one_month", {"marks": marks(1000, 1010, 1010, 1009, 1009, every=31 * DAY)}, None),
    ("beaten", {"marks": WON, "benchmark": 0.1}, None),
    ("beaten", {"marks": WON, "benchmark": 0.11}, "note"),
    ("unrecovered", {"marks": marks(1000, 1000, 1000, 1000, 951)}, None),
    ("unrecovered", {"marks": marks(1000, 1000, 1000, 1000, 950)}, "warning"),
    ("unrecovered", {"marks": marks(1000, 1000, 1000, 1000, 1000, 1000, 950)}, None),
    ("still_open", {"held": {"SPY": Decimal(0)}}, None),
    ("still_open", {"marks": WON, "held": {"SPY": Decimal(10)}, "unrealised": 50.0}, "note"),
    ("still_open", {"marks": WON, "held": {"SPY": Decimal(10)}, "unrealised": 50.1}, "warning"),
    ("costs_double", {"marks": WON, "entries": [fill(fee="50")]}, None),
    ("costs_double", {"marks": WON, "entries": [fill(fee="51")]}, "warning"),
    ("costs_double", {"marks": WON, "entries": [fill(fee="100")]}, "serious"),
    ("costs_double", {"marks": WON, "entries": [fill(fee="50"), booked(EntryKind.BORROW, "-50")]}, "serious"),
    ("costs_double", {"marks": marks(1000, 990), "entries": [fill(fee="11")]}, "warning"),
    ("costs_double", {"marks": marks(1000, 990), "entries": [fill(fee="10")]}, None),
    ("no_costs", {"entries": [fill(fee="1")]}, None),
    ("no_costs", {"entries": [fill(fee="0")]}, "warning"),
    ("no_costs", {}, None),
    ("thin_volume", {"shares": [0.025]}, None),
    ("thin_volume", {"shares": [0.001, 0.026]}, "warning"),
    ("thin_volume", {"shares": [0.11]}, "serious"),
    ("thin_volume", {"shares": [0.001, None]}, "serious"),
    ("stale_orders", {"waits": [HOUR], "bar_length": MINUTE}, None),
    ("stale_orders", {"waits": [HOUR + 1], "bar_length": MINUTE}, "note"),
    ("stale_orders", {"waits": [2 * HOUR], "bar_length": HOUR}, None),
    ("stale_orders", {"waits": [DAY], "bar_length": DAY}, None),
    ("denied", {"intents": 10}, None),
    ("denied", {"intents": 10, "denied": 1}, "note"),
    ("denied", {"intents": 10, "denied": 2}, "warning"),
    ("gaps", {"bars": 100}, None),
    ("gaps", {"bars": 99, "missing": 1}, "note"),
    ("gaps", {"bars": 98, "missing": 1}, "warning"),
    ("bad_rows", {"bad": 1}, "note"),
    ("bad_rows", {}, None),
]  # fmt: skip


@pytest.mark.parametrize(("code", "given", "level"), CASES)
def test_a_finding_is_made_at_its_threshold_and_not_before(code: str, given: dict[str, Any], level: str | None) -> None:
    found = getattr(findings, code)(evidence(**given))
    assert (found.level if found else None) == level
    assert found is None or (found.code, bool(found.reason), bool(found.advice)) == (code, True, True)


def test_every_judge_has_a_case_on_either_side_of_its_threshold() -> None:
    made = {code for code, _, level in CASES if level}
    spared = {code for code, _, level in CASES if not level}
    assert {judge.__name__ for judge in JUDGES} == made == spared


def test_the_gravest_finding_is_told_first() -> None:
    found = judge(evidence(trades=MANY[:5], bad=1, entries=[fill(fee="0")], marks=WON, shares=[0.2]))
    ranks = [LEVELS.index(one.level) for one in found]
    assert ranks == sorted(ranks)
    assert {one.level for one in found} == set(LEVELS)


def test_a_run_without_anything_is_judged_without_an_error() -> None:
    assert {one.code for one in judge(Evidence(cash=0.0))} == {"look_ahead", "few_trades"}


def test_costs_doubled_are_told_in_money() -> None:
    found = findings.costs_double(evidence(marks=WON, entries=[fill(fee="60"), fill(-10, fee="40")]))
    assert found is not None
    assert "costs are 100.00 USD, 50.0 % of the 200.00 USD before them" in found.reason
    assert "each further cent a share is 0.20 USD" in found.reason
    assert found.reason.endswith("with costs doubled, 0.00 USD is left")


def test_the_profit_of_months_adds_up_to_that_of_the_run() -> None:
    by_month = monthly_profit(evidence(marks=HALF_YEAR))
    assert list(by_month)[:2] == ["2013-10", "2013-11"]
    assert sum(by_month.values()) == 14.0
