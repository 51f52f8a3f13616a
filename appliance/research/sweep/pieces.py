"""Pieces that the reports of searches share: tiles, findings, names of figures."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.research.analysis import METRICS
from appliance.research.report.html import Html, Piece, section, tag
from appliance.research.results.evidence import Finding

LABELS = {row.name: row.label for row in METRICS}
"""What figures are called."""
SHOWN = ("total_return", "cagr", "sharpe", "max_drawdown", "trades", "win_rate", "profit_factor", "fees")
"""Figures a table of runs has."""


def tile(name: str, value: Piece, more: Piece) -> Html:
    """A main figure."""
    return tag("div", tag("div", name, class_="name"), tag("div", value, class_="value"),
               tag("div", more, class_="more"), class_="tile")  # fmt: skip


def listed(found: Sequence[Finding]) -> Html:
    """What to doubt."""
    if not found:
        return section("findings", "Findings", "Nothing was found that speaks against it. That is not a promise.")
    rows = [tag("li", tag("span", one.level.capitalize(), class_="level"),
                tag("div", tag("b", one.title), one.reason, " ", tag("span", one.advice, class_="advice")),
                class_=f"finding {one.level}") for one in found]  # fmt: skip
    return section("findings", "Findings", "What to doubt, the gravest first.", tag("ul", *rows, class_="findings"))
