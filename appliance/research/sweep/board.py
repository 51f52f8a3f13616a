"""All outcomes of a sweep, ranked: the best single one, and the one whose neighbours are good too."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from msgspec import Struct

from appliance.errors import UsageError
from appliance.research.metrics.deflated import deflated_sharpe
from appliance.research.statistics.plateau import plateau
from appliance.research.sweep.axes import Axis, Combination
from appliance.research.sweep.conditions import Condition
from appliance.research.sweep.figures import FIGURES, PERIODS
from appliance.research.sweep.store import Outcome

NEAR = 0.1
"""Drawn values within this part of an axis's width are neighbours."""
APART = 10.0
"""How far from each other values lie that have no order."""


class Aim(Struct, frozen=True):
    """What is looked for: a figure, as large as can be (or as small), where every condition on the results holds."""

    objective: str = "sharpe"
    minimize: bool = False
    where: tuple[str, ...] = ()

    def checked(self) -> Aim:
        """This aim. Raises UsageError for a figure that there is not, with the nearest names."""
        if self.objective not in FIGURES:
            near = get_close_matches(self.objective, FIGURES, n=3, cutoff=0.4)
            guess = f"did you mean {', '.join(near)}? " if near else ""
            raise UsageError(
                f"--objective {self.objective!r} is no figure of a run", hint=f"{guess}all are: {', '.join(FIGURES)}"
            )
        for text in self.where:
            Condition(text).check_names(FIGURES, "figure")
        return self


class Ranked(Struct, frozen=True):
    """One combination: its ``objective`` (None where it has none, or a condition does not hold: then not ``fit``), the
    mean and the worst objective among it and its ``neighbours``, and its place by either (from 1; 0: none)."""

    outcome: Outcome
    objective: float | None
    fit: bool
    plateau: float | None
    worst: float | None
    neighbours: int
    place: int = 0
    plateau_place: int = 0


class Board(Struct, frozen=True):
    """All of them in the order of the combinations. ``best`` has the best objective, ``steady`` the best plateau;
    ``deflated`` is how likely the true Sharpe ratio of ``best`` is above what chance gives the best of so many."""

    aim: Aim
    axes: tuple[Axis, ...]
    rows: tuple[Ranked, ...]
    best: Ranked | None
    steady: Ranked | None
    deflated: float | None

    @property
    def failed(self) -> int:
        """Combinations whose strategy raised."""
        return sum(bool(row.outcome.error) for row in self.rows)

    def top(self, count: int) -> tuple[Ranked, ...]:
        """The first by plateau."""
        placed = [row for row in self.rows if row.plateau_place]
        return tuple(sorted(placed, key=lambda row: row.plateau_place)[:count])

    def csv(self) -> bytes:
        """``results.csv``: a row a combination, in their order. What is not defined is empty."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        names = [axis.name for axis in self.axes]
        rows.writerow(["number", *names, "fit", "place", "plateau", "worst", "plateau_place", *FIGURES, "error"])
        for row in self.rows:
            done, figures = row.outcome, row.outcome.figures or {}
            rows.writerow([
                done.number, *(done.params[name] for name in names), int(row.fit), row.place or "", _cell(row.plateau),
                _cell(row.worst), row.plateau_place or "", *(_cell(figures.get(name)) for name in FIGURES), done.error,
            ])  # fmt: skip
        return text.getvalue().encode()


def board(aim: Aim, axes: tuple[Axis, ...], outcomes: Sequence[Outcome]) -> Board:
    """Rank ``outcomes``, which come in the order of their numbers."""
    conditions = [Condition(text) for text in aim.where]
    objectives = [_objective(aim, conditions, one) for one in outcomes]
    scores = plateau(coordinates(axes, [one.params for one in outcomes]), objectives, radius=1.0, minimize=aim.minimize)
    means, worsts = ([_known(value) for value in column] for column in (scores.mean.tolist(), scores.worst.tolist()))
    places, plateaus = _places(objectives, aim.minimize), _places(means, aim.minimize)
    rows = tuple(
        Ranked(one, objective, objective is not None, mean, worst, neighbours - 1, place, steady)
        for one, objective, mean, worst, neighbours, place, steady in zip(
            outcomes, objectives, means, worsts, scores.neighbours.tolist(), places, plateaus, strict=True
        )
    )
    best = next((row for row in rows if row.place == 1), None)
    steady = next((row for row in rows if row.plateau_place == 1), None)
    return Board(aim, axes, rows, best, steady, _deflated(best, outcomes))


def coordinates(axes: Sequence[Axis], combinations: Sequence[Combination]) -> list[list[float]]:
    """Where each combination lies, so that neighbours are at most 1 apart on every axis: a step of a grid, ``NEAR`` of
    a range that was drawn from; values without an order are all apart."""
    return [[_place(axis, combination[axis.name]) for axis in axes] for combination in combinations]


def _place(axis: Axis, value: str) -> float:
    if axis.values:
        at = axis.values.index(value)
        return float(at) if ordered(axis) else at * APART
    width = float(axis.high - axis.low) or 1.0
    return (float(value) - float(axis.low)) / width / NEAR


def ordered(axis: Axis) -> bool:
    """Whether its values are numbers that go up."""
    try:
        numbers = [float(value) for value in axis.values]
    except ValueError:
        return False
    return numbers == sorted(numbers)


def _objective(aim: Aim, conditions: Sequence[Condition], outcome: Outcome) -> float | None:
    figures = outcome.figures
    if figures is None or not all(condition.holds(figures) for condition in conditions):
        return None
    return _known(figures.get(aim.objective))


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _places(values: Sequence[float | None], minimize: bool) -> list[int]:
    """The place of each, from 1 for the best; of equals the first is better. 0 where there is no value."""
    sign = 1 if minimize else -1
    known = sorted((sign * value, at) for at, value in enumerate(values) if value is not None)
    places = [0] * len(values)
    for place, (_, at) in enumerate(known, start=1):
        places[at] = place
    return places


def _deflated(best: Ranked | None, outcomes: Sequence[Outcome]) -> float | None:
    """Sharpe ratios are those of a year in the figures, and of a day in the formula."""
    figures = best.outcome.figures if best is not None else None
    known = [ratio for one in outcomes if one.figures is not None and (ratio := _daily(one.figures)) is not None]
    sharpe = _daily(figures) if figures is not None else None
    if figures is None or sharpe is None or len(known) < 2:
        return None
    mean = math.fsum(known) / len(known)
    variance = math.fsum((ratio - mean) ** 2 for ratio in known) / (len(known) - 1)
    skew, excess = figures.get("skew") or 0.0, figures.get("kurtosis") or 0.0
    return deflated_sharpe(sharpe, int(figures.get("days") or 0), skew, 3.0 + excess, len(outcomes), variance)


def _daily(figures: Mapping[str, float | None]) -> float | None:
    sharpe, periods = figures.get("sharpe"), figures.get(PERIODS)
    return None if sharpe is None or not periods else sharpe / math.sqrt(periods)


def _cell(value: float | None) -> str:
    return "" if value is None else repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
