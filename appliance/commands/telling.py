"""What a backtest tells at its end: one JSON object for a program, a table for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from appliance.data.options import new_york_date
from appliance.data.sources.files import FileReport
from appliance.research.formats import figure, money
from appliance.research.results.evidence import Finding
from appliance.research.results.folder import Out
from appliance.research.results.measuring import kinds, summary, timing
from appliance.research.results.running import Plan, Ran

MAIN = (
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "win_rate",
    "profit_factor",
    "exposure",
)
"""Figures of the analysis that are told at once; all others are in the result."""
RATIOS = frozenset({"sharpe", "sortino", "profit_factor"})
SHOWN = 3
"""Findings told at once."""


def told(ran: Ran, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The main figures: those that repeat, some of the analysis, and how long it took."""
    return summary(ran) | {name: metrics.get(name) for name in MAIN} | timing(ran)


def readable(plan: Plan, ran: Ran, metrics: Mapping[str, Any], findings: Sequence[Finding], place: Out | None) -> str:
    """The run as a table: what it made, what it did, how fast it was, and what to doubt."""
    lines = [
        f"{plan.strategy.name}: {', '.join(ran.data.symbols)}, "
        f"{new_york_date(ran.data.first)} to {new_york_date(ran.data.last)}",
        *(f"  {name:<14}{text}" for name, text in _rows(summary(ran), metrics, timing(ran), ran)),
        *_doubts(findings),
    ]
    return "\n".join(lines if place is None else [*lines, f"  {'result':<14}{place.path}"])


def _rows(
    figures: Mapping[str, Any], metrics: Mapping[str, Any], times: Mapping[str, Any], ran: Ran
) -> Iterable[tuple[str, str]]:
    held = ", ".join(f"{symbol} {quantity}" for symbol, quantity in figures["position"].items() if quantity != "0")

    def of(name: str) -> str:
        return figure(metrics.get(name), "ratio" if name in RATIOS else "fraction")

    yield "equity", f"{_money(figures['equity'])}, {of('total_return')}; cash {_money(figures['cash'])}"
    yield "a year", f"{of('cagr')}, volatility {of('volatility')}"
    yield "drawdown", f"{of('max_drawdown')} at most"
    yield "sharpe", f"{of('sharpe')}, sortino {of('sortino')}"
    yield "trades", f"{figures['trades']:,}, {of('win_rate')} won, profit factor {of('profit_factor')}"
    yield "fees", _money(figures["fees"])
    yield "position", held or "none"
    yield "bars", f"{figures['bars']:,} ({figures['bars_outside_session']:,} outside the sessions left out)"
    if not figures["bars"] and not figures["signals"]:
        yield "", f"on_bar hears trade bars, and there are only {', '.join(kinds(ran.data))}"
    yield (
        "orders",
        (
            f"{figures['orders']:,} for {figures['intents']:,} intents"
            f"{' and their brackets' if figures['orders'] > figures['intents'] else ''} "
            f"({figures['denied']:,} denied), {figures['fills']:,} fills, {figures['signals']:,} signals"
        ),
    )
    yield from _left_out(ran.data)
    yield (
        "took",
        (f"{times['seconds']} s, {times['bars_per_second']:,} bars/s, {times['realtime_factor']:,.0f} x real time"),
    )


def _money(plain: str) -> str:
    """To the cent: adjusted prices have more places, which the result keeps."""
    return money(Decimal(plain))


def _left_out(data: FileReport) -> Iterable[tuple[str, str]]:
    if data.missing:
        yield "gaps", f"{data.missing:,} bars missing; {'; '.join(str(gap) for gap in data.gaps)}"
    if data.bad:
        yield "bad rows", f"{data.bad:,} left out; the first: {data.quarantined[0]}"
    if data.unadjusted:
        yield "factors", f"none for {', '.join(data.unadjusted)}: prices as they were"


def _doubts(findings: Sequence[Finding]) -> Iterable[str]:
    for one in findings[:SHOWN]:
        yield f"  {one.level:<14}{one.title}: {one.reason}"
    if len(findings) > SHOWN:
        yield f"  {'':<14}and {len(findings) - SHOWN} more to doubt, in the report"
