"""Pictures that need no script: the months as a map of heat, returns as bars, and where the money went."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from appliance.research.formats import NONE, number, percent, signed
from appliance.research.report.html import Html, Piece, join, tag

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
BINS_MAX = 41
WIDTH, HEIGHT = 560, 260


def heat_map(months: Mapping[tuple[int, int], float], years: Mapping[int, float]) -> Html:
    """Returns (fractions) of each month and year: blue gained, orange lost, the stronger the more."""
    scale = max((abs(value) for value in months.values()), default=0.0)
    head = tag("tr", tag("th", "year", scope="col"), *(tag("th", name, scope="col") for name in (*MONTHS, "whole")))
    rows = (_year(year, months, years.get(year), scale) for year in sorted({year for year, _ in months}, reverse=True))
    body = tag("table", tag("thead", head), tag("tbody", *rows), class_="heat", aria_label="Monthly returns in percent")
    return tag("div", body, class_="scroll")


def _year(year: int, months: Mapping[tuple[int, int], float], whole: float | None, scale: float) -> Html:
    cells = [_heat(months.get((year, month)), scale, f"{MONTHS[month - 1]} {year}") for month in range(1, 13)]
    told = tag("td", NONE if whole is None else _percent(whole), class_=f"year {signed(whole or 0.0)}")
    return tag("tr", tag("th", str(year), scope="row"), *cells, told)


def _heat(value: float | None, scale: float, title: str) -> Html:
    if value is None:
        return tag("td", "")
    strength = f"--a:{0.06 + 0.5 * abs(value) / scale if scale else 0:.2f}"
    kind = {"up": "plus", "down": "minus"}.get(signed(value))
    return tag("td", _percent(value), class_=kind, style=strength, title=f"{title}: {percent(value)}")


def _percent(value: float) -> str:
    return number(100 * value, 1 if abs(value) < 1 else 0)


def histogram(values: Sequence[float]) -> Html:
    """How often returns (fractions) lay where, and their mean: bars of one width."""
    low, step, counts = bins(values)
    tallest, wide = max(counts), WIDTH / len(counts)
    drawn = [
        _bar(low + at * step, step, count, at * wide, wide, count / tallest) for at, count in enumerate(counts) if count
    ]
    mean = sum(values) / len(values)
    middle = (mean - low) / (step * len(counts)) * WIDTH
    line = tag("line", x1=f"{middle:.1f}", x2=f"{middle:.1f}", y1="0", y2=f"{HEIGHT - 24}", class_="middle")
    told = f"{len(values)} daily returns from {percent(min(values))} to {percent(max(values))}, mean {percent(mean, 3)}"
    foot = tag("line", x1="0", x2=str(WIDTH), y1=f"{HEIGHT - 24}", y2=f"{HEIGHT - 24}", class_="axis")
    return tag(
        "svg", tag("title", told), *drawn, line, foot, *_labels(low, step * len(counts)),
        class_="bars", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=told,
    )  # fmt: skip


def bins(values: Sequence[float]) -> tuple[float, float, list[int]]:
    """The left end, the width and the counts of bars: as many as the square root of the values says, odd, and 0 lies on
    an edge, so that no bar holds gains and losses both."""
    lowest, highest = min(0.0, min(values)), max(0.0, max(values))
    wanted = min(BINS_MAX, max(8, math.isqrt(len(values)) * 2))
    step = (highest - lowest) / wanted or 0.001
    first, last = math.floor(lowest / step), math.ceil(highest / step)
    counts = [0] * max(1, last - first)
    for value in values:
        counts[min(len(counts) - 1, max(0, math.floor(value / step) - first))] += 1
    return first * step, step, counts


def _bar(left: float, step: float, count: int, x: float, wide: float, part: float) -> Html:
    height = max(1.0, (HEIGHT - 34) * part)
    told = tag("title", f"{percent(left)} to {percent(left + step)}: {count}")
    return tag(
        "rect", told, x=f"{x + 0.5:.1f}", y=f"{HEIGHT - 24 - height:.1f}", width=f"{max(0.5, wide - 1):.1f}",
        height=f"{height:.1f}", class_="plus" if left + step / 2 > 0 else "minus",
    )  # fmt: skip


def _labels(low: float, width: float) -> list[Html]:
    ends = (("start", 0.0), ("middle", 0.25), ("middle", 0.5), ("middle", 0.75), ("end", 1.0))
    return [
        tag("text", percent(low + part * width), x=f"{part * WIDTH:.0f}", y=f"{HEIGHT - 8}", text_anchor=anchor)
        for anchor, part in ends
    ]


def flow(steps: Sequence[tuple[Piece, float, Piece]]) -> Html:
    """Amounts (USD) that add up to the last one, as bars that begin where the one before ended; each with its name and
    its text."""
    ends, at = [], 0.0
    for _, amount, _ in steps[:-1]:
        ends.append((min(at, at + amount), max(at, at + amount)))
        at += amount
    last = steps[-1][1]
    ends.append((min(0.0, last), max(0.0, last)))
    low, high = min(begin for begin, _ in ends), max(end for _, end in ends)
    whole = (high - low) or 1.0
    rows = []
    for (name, amount, text), (begin, end) in zip(steps, ends, strict=True):
        where = f"--x:{100 * (begin - low) / whole:.2f}%;--w:{100 * (end - begin) / whole:.2f}%"
        colour = f"--c:var(--{'one' if amount >= 0 else 'two'})"
        bar = tag("div", tag("div", "", class_="bar", style=f"{where};{colour}"))
        rows.append(join(tag("div", name), bar, tag("div", text, class_="value")))
    return tag("div", *rows, class_="flow")
