"""The report of a walk-forward: equity outside of training, what was chosen when, and what to doubt."""

from __future__ import annotations

from collections.abc import Iterator

from appliance import __version__
from appliance.research.formats import NONE, figure, number, percent
from appliance.research.report.charts import Chart, line
from appliance.research.report.html import Html, Piece, join, page, section, table, tag
from appliance.research.report.metrics import UNITS
from appliance.research.report.performance import figure as drawing
from appliance.research.report.series import seconds, thinned
from appliance.research.results.evidence import Finding
from appliance.research.sweep.forward import Forward, Step
from appliance.research.sweep.pieces import LABELS, SHOWN, listed, tile

EFFICIENT = 0.5
"""Below it a walk-forward says that what training finds does not last (Pardo)."""
TESTS_MIN = 4


def report(name: str, varied: str, found: Forward) -> bytes:
    """The whole page: one file that needs nothing else, the same bytes for the same walk."""
    chart = _chart(found)
    title = f"{name}: walk-forward"
    searched = f"{varied}; {'smallest' if found.aim.minimize else 'largest'} {found.aim.objective}"
    top = tag("header", tag("h1", title), tag("p", searched, class_="sub"), tag("div", *_tiles(found), class_="tiles"),
              class_="top")  # fmt: skip
    parts = (listed(tuple(doubts(found))), _equity(chart), _windows(found), _figures(found))
    body = join(top, tag("main", *parts), tag("footer", f"appliance {__version__}."))
    return page(title, body, [chart] if chart else [])


def doubts(found: Forward) -> Iterator[Finding]:
    """What speaks against it, the gravest first."""
    if found.efficiency is None or found.efficiency < EFFICIENT:
        told = "Training did not gain." if found.efficiency is None else f"Efficiency is {found.efficiency:.2f}."
        yield Finding("inefficient", "serious", "What training finds does not last.", told,
                      "Do not trade it so: fewer parameters, or another idea.")  # fmt: skip
    if found.gained < EFFICIENT:
        yield Finding("mostly_lost", "warning", "Most tests lost.", f"{100 * found.gained:.0f} % gained.",
                      "Look at the windows: is it one market phase that pays for all?")  # fmt: skip
    if len(found.steps) < TESTS_MIN:
        yield Finding("few_tests", "warning", "There are few tests.", f"{len(found.steps)} windows were tested.",
                      "Take more data, or a shorter --test.")  # fmt: skip
    if any(step.params is None for step in found.steps):
        yield Finding("nothing_chosen", "note", "In some windows nothing was chosen.",
                      "No combination fulfilled the conditions in training, and nothing was traded.",
                      "Loosen --where.")  # fmt: skip


def told(found: Forward, value: float | None) -> str:
    """A value of the objective as people read it."""
    return figure(value, UNITS.get(found.aim.objective, "count"))


def _tiles(found: Forward) -> Iterator[Html]:
    yield tile("Efficiency", NONE if found.efficiency is None else number(found.efficiency), "outside over training")
    yield tile("Tests that gained", percent(found.gained, 0), f"of {len(found.steps)}")
    for name in ("cagr", "sharpe", "max_drawdown"):
        yield tile(LABELS[name], figure(found.figures.get(name), UNITS[name]), "outside of training")


def _chart(found: Forward) -> Chart | None:
    if len(found.marks) < 2:
        return None
    kept = thinned([mark.equity for mark in found.marks])
    shown = [found.marks[at] for at in kept]
    values = [round(mark.equity, 2) for mark in shown]
    return {"id": "chart-equity", "height": 280, "times": seconds([mark.time for mark in shown]), "places": 2,
            "series": [line("equity", "one", values)]}  # fmt: skip


def _equity(chart: Chart | None) -> Html:
    if chart is None:
        return section("equity", "Equity", "Nothing was tested.")
    values = chart["series"][0]["values"]
    spoken = f"From {number(values[0])} to {number(values[-1])} USD."
    lead = "Of all tests one after the other: each with parameters that were chosen before it began."
    return section("equity", "Equity", lead, drawing(chart, "Equity, USD", told=spoken))


def _windows(found: Forward) -> Html:
    aim = LABELS.get(found.aim.objective, found.aim.objective)
    head = ("training", "test", "chosen", f"{aim}, training", f"{aim}, test", "a year, training", "a year, test",
            "trades", "equity")  # fmt: skip
    return section("windows", "Windows", "What was chosen, and what it was worth afterwards.",
                   table(head, [_row(found, step) for step in found.steps]))  # fmt: skip


def _row(found: Forward, step: Step) -> list[Piece]:
    one = step.window
    chosen = ", ".join(f"{name} {value}" for name, value in (step.params or {}).items())
    return [
        f"{one.train_start} to {one.train_end}", f"{one.test_start} to {one.test_end}", chosen or NONE,
        told(found, step.inside), told(found, step.outside), figure(step.inside_cagr, UNITS["cagr"]),
        figure(step.outside_cagr, UNITS["cagr"]), f"{step.trades:,}", number(step.end),
    ]  # fmt: skip


def _figures(found: Forward) -> Html:
    rows = [(LABELS[name], figure(found.figures.get(name), UNITS[name])) for name in SHOWN]
    return section("figures", "Figures", "Of all tests as of one run.", table(("", ""), rows))
