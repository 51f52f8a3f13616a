"""The report of a sweep: where it is good, how sure that is, and what to doubt."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from itertools import combinations

from appliance import __version__
from appliance.research.formats import NONE, figure, number, percent
from appliance.research.report.html import Html, Piece, join, page, section, table, tag
from appliance.research.report.metrics import UNITS
from appliance.research.report.settings import flat
from appliance.research.sweep.axes import Axis
from appliance.research.sweep.board import Board, Ranked, ordered
from appliance.research.sweep.doubts import doubts
from appliance.research.sweep.job import Job, describe
from appliance.research.sweep.pieces import LABELS, SHOWN, listed, tile

TOP = 25
MAPS = 6
"""Heat maps at most: one for each pair of axes."""
VALUES_MAX = 60
"""Values of an axis that fit on a map."""


def report(job: Job, board: Board) -> bytes:
    """The whole page: one file that needs nothing else, the same bytes for the same outcomes."""
    name = f"{job.plan.strategy.name}: sweep"
    parts = (listed(doubts(board)), *_maps(board), _top(board), _settings(job, board))
    body = join(_header(name, job, board), tag("main", *parts), tag("footer", f"appliance {__version__}."))
    return page(name, body, ())


def told(board: Board, value: float | None) -> str:
    """A value of the objective as people read it."""
    return figure(value, UNITS.get(board.aim.objective, "count"))


def _header(name: str, job: Job, board: Board) -> Html:
    return tag(
        "header", tag("h1", name), tag("p", describe(job.varied), class_="sub"),
        tag("div", *_tiles(board), class_="tiles"), class_="top",
    )  # fmt: skip


def _tiles(board: Board) -> Iterator[Html]:
    yield tile("Combinations", f"{len(board.rows):,}", f"{sum(row.fit for row in board.rows):,} fit")
    if board.steady is not None and board.best is not None:
        aim = LABELS.get(board.aim.objective, board.aim.objective)
        yield tile(f"Best plateau, {aim}", told(board, board.steady.plateau), _params(board.steady))
        yield tile(f"Best single, {aim}", told(board, board.best.objective), _params(board.best))
    sure = NONE if board.deflated is None else percent(board.deflated, 1)
    yield tile("Deflated Sharpe", sure, "that the best is not chance")


def _params(row: Ranked) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.outcome.params.items())


def _maps(board: Board) -> Iterator[Html]:
    """A heat map for each pair of axes; other axes are taken together by their median."""
    axes = [axis for axis in board.axes if 1 < len(axis.values) <= VALUES_MAX]
    for down, across in list(combinations(axes, 2))[:MAPS]:
        others = len(board.axes) > 2
        aim = LABELS.get(board.aim.objective, board.aim.objective)
        lead = f"{aim} of each combination{', the median over all other parameters' if others else ''}."
        yield section(
            f"map-{down.name}-{across.name}", f"{down.name} and {across.name}", lead, heat_map(board, down, across)
        )


def heat_map(board: Board, down: Axis, across: Axis) -> Html:
    """The objective by the values of two axes: blue is better than the median, orange worse, the stronger the more."""
    cells = _cells(board, down, across)
    middle = statistics.median(cells.values()) if cells else 0.0
    scale = max((abs(value - middle) for value in cells.values()), default=0.0)
    head = tag("tr", tag("th", f"{down.name} \\ {across.name}", scope="col"),
               *(tag("th", value, scope="col") for value in across.values))  # fmt: skip
    rows = [
        tag("tr", tag("th", one, scope="row"), *(
            _cell(board, cells.get((one, other)), middle, scale, f"{down.name} {one}, {across.name} {other}")
            for other in across.values
        ))
        for one in down.values
    ]  # fmt: skip
    body = tag("table", tag("thead", head), tag("tbody", *rows), class_="heat", aria_label=f"{board.aim.objective} by "
               f"{down.name} and {across.name}")  # fmt: skip
    return tag("div", body, class_="scroll")


def _cells(board: Board, down: Axis, across: Axis) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], list[float]] = {}
    for row in board.rows:
        if row.objective is not None:
            place = row.outcome.params[down.name], row.outcome.params[across.name]
            found.setdefault(place, []).append(row.objective)
    return {place: statistics.median(values) for place, values in found.items()}


def _cell(board: Board, value: float | None, middle: float, scale: float, title: str) -> Html:
    if value is None:
        return tag("td", "", title=f"{title}: {NONE}")
    better = (value < middle) if board.aim.minimize else (value > middle)
    strength = f"--a:{0.04 + 0.55 * abs(value - middle) / scale if scale else 0:.2f}"
    kind = None if value == middle else "plus" if better else "minus"
    return tag("td", _short(value), class_=kind, style=strength, title=f"{title}: {told(board, value)}")


def _short(value: float) -> str:
    size = abs(value)
    return number(value, 0 if size >= 1_000 else 1 if size >= 10 else 2 if size >= 0.1 or not size else 4)


def _top(board: Board) -> Html:
    names = [axis.name for axis in board.axes]
    aim = LABELS.get(board.aim.objective, board.aim.objective)
    head = ["", *names, f"{aim}, plateau", "worst neighbour", "own", "place", *(LABELS[name] for name in SHOWN)]
    rows = [_row(board, row, names) for row in board.top(TOP)]
    lead = (
        "Ranked by plateau: the mean of the objective over a combination and its neighbours, one step along each axis. "
        "A peak that its neighbours do not share is more likely luck."
    )
    return section("top", f"The first {len(rows)}", lead, table(head, rows))


def _row(board: Board, row: Ranked, names: Sequence[str]) -> list[Piece]:
    figures = row.outcome.figures or {}
    return [
        str(row.plateau_place), *(row.outcome.params[name] for name in names), told(board, row.plateau),
        told(board, row.worst), told(board, row.objective), str(row.place or NONE),
        *(figure(figures.get(name), UNITS.get(name, "count")) for name in SHOWN),
    ]  # fmt: skip


def _settings(job: Job, board: Board) -> Html:
    plan = job.plan
    aim = board.aim
    rows = [
        ("strategy", plan.strategy.file),
        ("fixed parameters", ", ".join(f"{name}={value}" for name, value in plan.strategy.params.items()) or NONE),
        ("data", ", ".join(plan.data)),
        ("symbols", ", ".join(plan.files.symbols)),
        ("dates", f"{plan.files.start or 'first'} to {plan.files.end or 'last'}"),
        ("cash", f"{plan.cash} USD"),
        *((f"model: {name.replace('_', ' ')}", text) for name, text in flat(plan.model).items()),
        ("objective", f"{aim.objective}, {'smallest' if aim.minimize else 'largest'}"),
        ("conditions", ", ".join((*job.varied.conditions, *aim.where)) or NONE),
        ("values", "; ".join(f"{axis.name}: {'ordered' if ordered(axis) else 'no order'}" for axis in board.axes)),
        *((f"SHA-256 of {name}", digest) for name, digest in job.inputs.data.items()),
        ("SHA-256 of the strategy", job.inputs.strategy),
    ]
    return section("settings", "Settings", "What was run.", table(("", ""), rows))
