"""The top of the report: what was run, what it made, and what to doubt."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from appliance.data.options import new_york_date
from appliance.research.formats import figure, number
from appliance.research.report.html import Html, Piece, join, section, tag
from appliance.research.report.metrics import shown
from appliance.research.results.evidence import Finding
from appliance.research.results.result import BacktestResult

LEVELS = {"serious": "Serious", "warning": "Warning", "note": "Note"}


def header(result: BacktestResult, anchors: tuple[tuple[str, str], ...]) -> Html:
    """Name, data, key figures, and the way to each part."""
    data = result.data
    dates = f"{new_york_date(data['first'])} to {new_york_date(data['last'])}"
    symbols = ", ".join(data["symbols"][:12]) + (
        f" and {len(data['symbols']) - 12} more" if len(data["symbols"]) > 12 else ""
    )
    given = ", ".join(f"{one.name} {one.value}" for one in result.parameters)
    links = (tag("a", title, href=f"#{anchor}") for anchor, title in anchors)
    return tag(
        "header", tag("h1", result.name), tag("p", f"{symbols}, {dates}", class_="sub"),
        tag("p", given, class_="sub") if given else "", tag("div", *_tiles(result), class_="tiles"),
        tag("nav", *links, aria_label="Parts of this report"), class_="top",
    )  # fmt: skip


def _tiles(result: BacktestResult) -> Iterator[Html]:
    summary = result.summary
    yield _tile("End equity, USD", told(result, "end_equity"), f"from {number(result.plan.cash)}")
    yield _tile("Total return", shown(result, "total_return", coloured=True), join(shown(result, "cagr"), " a year"))
    yield _tile("Sharpe ratio", shown(result, "sharpe"), join("volatility ", shown(result, "volatility")))
    yield _tile("Largest drawdown", shown(result, "max_drawdown"), join("Calmar ", shown(result, "calmar")))
    yield _tile("Trades", told(result, "trades"), join(shown(result, "win_rate"), " won"))
    yield _tile("Fees, USD", told(result, "fees"), f"{summary['fills']:,} fills")


def _tile(name: str, value: Piece, more: Piece) -> Html:
    return tag("div", tag("div", name, class_="name"), tag("div", value, class_="value"),
               tag("div", more, class_="more"), class_="tile")  # fmt: skip


def told(result: BacktestResult, name: str) -> Html:
    """A figure of the summary, marked so that it can be compared with ``result.json``: money there is a text."""
    value = result.summary[name]
    text = number(Decimal(value)) if isinstance(value, str) else figure(value, "count")
    return tag("span", text, data_summary=name, data_value=str(value))


def findings(result: BacktestResult) -> Html:
    """What to doubt, the gravest first."""
    if not result.findings:
        lead = "Nothing was found that speaks against this result. That is not a promise."
        return section("findings", "Findings", lead)
    lead = "What speaks against this result, the gravest first, and what to do about it."
    return section("findings", "Findings", lead, tag("ul", *map(_finding, result.findings), class_="findings"))


def _finding(one: Finding) -> Html:
    told = tag(
        "div",
        tag("b", one.title),
        tag("div", _sentence(one.reason)),
        tag("div", _sentence(one.advice), class_="advice"),
    )
    return tag(
        "li", tag("div", LEVELS[one.level], class_="level"), told, class_=f"finding {one.level}", data_finding=one.code
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
