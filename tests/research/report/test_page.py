"""The report of a result: every figure is that of the result, whatever names it has; it stays small."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from html import unescape

from msgspec.structs import replace

from appliance.core.books.entries import EntryKind
from appliance.domain.market import DAY, MINUTE
from appliance.research.analysis import METRICS, Drawdown, PerformanceAnalyzer
from appliance.research.formats import figure
from appliance.research.report.books import cost_steps
from appliance.research.report.charts import MARKS_MAX, PATHS_MAX, equity, moves, prices
from appliance.research.report.page import report
from appliance.research.results.tape import Tape
from tests.research.accounts import NOON, bar, booked, fill, marks, result, trade

EVIL = "<b>A&B</b>"
SMALL = 2_000_000
"""Bytes a report may have."""


def figures_of(page: str, mark: str) -> list[tuple[str, str, str]]:
    """Name, value and text of every figure that carries ``data-mark``."""
    found = re.findall(rf'data-{mark}="([^"]*)" data-value="([^"]*)"[^>]*>([^<]*)<', page)
    return [(name, unescape(value), unescape(text)) for name, value, text in found]


def test_every_figure_shown_is_that_of_the_result() -> None:
    made = result(metrics={row.name: 0.25 for row in METRICS} | {"sharpe": None})
    shown = figures_of(report(made).decode(), "metric")
    units = {row.name: row.unit for row in METRICS}
    assert {name for name, _, _ in shown} >= set(units)
    for name, value, text in shown:
        assert value == repr(made.metrics.get(name))
        assert text == figure(made.metrics.get(name), units[name]) if name in units else text == "–"


def test_names_from_outside_are_escaped_everywhere() -> None:
    tape = Tape(NOON, NOON + 10 * MINUTE)
    tape.note([bar(day, symbol=EVIL) for day in range(3)], ())
    made = result(
        name=EVIL, tape=tape, benchmark=EVIL, entries=[fill(symbol=EVIL)], trades=(trade(1, EVIL, strategy=EVIL),)
    )
    page = report(made).decode()
    assert EVIL not in page
    assert page.count("&lt;b&gt;A&amp;B&lt;/b&gt;") > 5


def test_the_same_result_gives_the_same_page() -> None:
    assert report(result()) == report(result())


def test_a_result_without_anything_still_has_a_page() -> None:
    made = result(entries=[], trades=(), marks=(), tape=Tape(NOON, NOON), findings=())
    page = report(made).decode()
    assert "Nothing was found that speaks against this result" in page
    assert "There are too few marks to draw" in page
    assert "No trade was closed" in page


def test_what_prices_brought_less_costs_is_what_is_left() -> None:
    entries = [
        fill(fee="1"),
        fill(-10, "103", fee="1"),
        booked(EntryKind.DIVIDEND, "5"),
        booked(EntryKind.BORROW, "-2"),
    ]
    steps = cost_steps(result(entries=entries, summary={"end_equity": "1031"}))
    assert steps == [
        ("prices", Decimal(30)), ("dividends", Decimal(5)), ("borrowed shares", Decimal(-2)), ("fees", Decimal(-2)),
        ("left", Decimal(31)),
    ]  # fmt: skip


def test_symbols_are_told_with_those_that_made_most_first() -> None:
    trades = (trade(5), trade(-2), trade(7, "QQQ"))
    page = report(result(entries=[fill(), fill(symbol="QQQ", fee="3")], trades=trades)).decode()
    assert re.findall(r'data-symbol="(\w+)" data-figure="realised" data-value="([^"]*)"', page) == [
        ("QQQ", "7.0"), ("SPY", "3.0"),
    ]  # fmt: skip
    assert re.findall(r'data-figure="fees" data-value="([^"]*)"', page) == ["3.0", "1.0"]


def test_the_deepest_drawdowns_are_told_and_the_last_may_not_be_over() -> None:
    deep = Drawdown(NOON + 2 * DAY, NOON + 4 * DAY, None, -0.25)
    page = report(result(drawdowns=[Drawdown(NOON, NOON + DAY, NOON + 2 * DAY, -0.1), deep])).decode()
    assert page.index("−25.00 %") < page.index("−10.00 %")
    assert "7 d so far" in page


def test_the_drawdown_drawn_is_as_deep_as_the_figure() -> None:
    whole = marks(1000, 1100, 990, 1200, 1150)
    lower = [replace(mark, lowest=mark.equity - 40) for mark in whole]
    chart = equity(result(marks=lower))[1]
    figures = PerformanceAnalyzer(lower, opening=1000.0).figures()
    assert min(chart["series"][0]["values"]) == round(100 * figures["max_drawdown"], 3)


def test_the_benchmark_begins_with_the_same_money() -> None:
    chart = equity(result())[0]
    mine, held = (one["values"] for one in chart["series"])
    assert mine[0] == held[0] == 1000
    assert held[-1] == 1090


def test_a_fill_that_enlarges_a_position_opens_and_one_that_reduces_it_closes() -> None:
    found = moves([fill(10), fill(-4), fill(-16), fill(-5), fill(15)])["SPY"]
    assert [(one.sign, one.opens) for one in found] == [(1, True), (-1, False), (-1, True), (-1, True), (1, False)]


def test_a_long_run_of_many_symbols_keeps_its_page_small() -> None:
    count, symbols = 20_000, [f"S{at}" for at in range(30)]
    tape = Tape(NOON, NOON + count * MINUTE)
    for symbol in symbols:
        tape.note([bar(day, 100 + day % 17, symbol=symbol) for day in range(2_000)], ())
    entries = [fill(10 if at % 2 else -10, symbol=symbols[at % 30 // 3], day=at // 30) for at in range(40_000)]
    made = result(
        tape=tape, entries=entries, trades=[trade(at % 7 - 3, symbols[at % 30], at // 30) for at in range(20_000)],
        marks=marks(*(1000 + at % 37 for at in range(count)), every=MINUTE),
    )  # fmt: skip
    page = report(made)
    assert len(page) < SMALL
    drawn = prices(made)
    assert len(drawn) == PATHS_MAX
    assert all(len(chart["marks"]) <= MARKS_MAX for chart in drawn)
    data = re.search(r'id="charts-data">(.*?)</script>', page.decode())
    assert data is not None
    assert len(json.loads(data[1])) == PATHS_MAX + 2
