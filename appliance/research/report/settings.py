"""What the run was made of: parameters, market model, limits, data, hashes and versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from appliance.research.formats import NONE
from appliance.research.report.html import Html, Piece, heading, join, section, table, tag
from appliance.research.results.result import BacktestResult


def settings(result: BacktestResult) -> Html:
    """All of it; the same settings and inputs give the same bytes."""
    plan, made_from = result.plan, result.inputs
    strategy = {"file": plan.strategy.file, "class": plan.strategy.class_name or NONE, "source": made_from.strategy}
    lead = "The same settings and inputs give the same bytes: appliance backtest --repeat result.json proves it."
    return section(
        "settings", "Settings and inputs", lead,
        _group("Strategy", join(_listed(strategy), _parameters(result)), opened=True),
        _group("Market model and account", _listed({"cash": f"{plan.cash:f} USD"} | flat(plan.model))),
        _group("Limits of the guard", _listed(flat(plan.limits))),
        _group("Data", join(_listed(flat(plan.files) | _held(result)), _files(result))),
        _group("Versions and hashes", _listed(made_from.versions | {
            "code": made_from.code, "settings": made_from.settings, "sessions": made_from.sessions or NONE})),
    )  # fmt: skip


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """A Struct's fields as texts; those of one inside another are named ``outer.inner``."""
    found: dict[str, str] = {}
    for name, one in msgspec.to_builtins(value).items():
        if isinstance(one, Mapping):
            found |= flat(one, f"{prefix}{name}.")
        else:
            found[prefix + name] = _text(one)
    return found


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or NONE
    return NONE if value is None or value == "" else str(value)


def _group(title: str, content: Piece, opened: bool = False) -> Html:
    return tag("details", tag("summary", title), content, open="" if opened else None)


def _listed(pairs: Mapping[str, str]) -> Html:
    return tag(
        "dl", *(join(tag("dt", name.replace("_", " ")), tag("dd", _value(text))) for name, text in pairs.items())
    )


def _value(text: str) -> Html:
    hashed = len(text) >= 12 and set(text) <= set("0123456789abcdef")
    return tag("span", text, class_="mono" if hashed else None)


def _parameters(result: BacktestResult) -> Piece:
    if not result.parameters:
        return ""
    rows: Iterable[list[Piece]] = (
        [one.name, tag("td", one.value), tag("td", one.allowed, class_="text"), tag("td", one.help, class_="text")]
        for one in result.parameters
    )
    head = ("parameter", "value", heading("allowed"), heading("what it is"))
    return join(tag("h3", "Parameters"), table(head, rows))


def _held(result: BacktestResult) -> dict[str, str]:
    data = result.data
    return {
        "events": f"{data['events']:,}", "bars missing": f"{data['missing']:,}", "bad rows": f"{data['bad_rows']:,}",
        "without factors": _text(data["unadjusted"]), "benchmark": data["benchmark"],
    }  # fmt: skip


def _files(result: BacktestResult) -> Html:
    hashes = result.inputs.data.items()
    rows = ([name, tag("td", tag("span", digest, class_="mono"), class_="text")] for name, digest in hashes)
    return table(("file", heading("SHA-256")), rows)
