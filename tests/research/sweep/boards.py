"""Hand-made outcomes of a sweep, and what is ranked of them."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.research.sweep.axes import axes, drawn, grid
from appliance.research.sweep.board import Aim, Board, board
from appliance.research.sweep.store import Outcome

Figures = dict[str, float | None]


def outcomes(grids: Sequence[str], figures: Sequence[Figures | str | float | None]) -> list[Outcome]:
    """One outcome a combination: its figures, its Sharpe ratio alone (with 252 days), or what it raised."""
    made = []
    for number, (params, one) in enumerate(zip(grid(axes(grids)), figures, strict=True)):
        if isinstance(one, str):
            made.append(Outcome(number, params, None, one))
        else:
            whole: Figures = one if isinstance(one, dict) else {"sharpe": one, "periods": 252.0, "days": 252.0}
            made.append(Outcome(number, params, whole))
    return made


def ranked(
    grids: Sequence[str],
    figures: Sequence[Figures | str | float | None],
    aim: Aim = Aim(),  # noqa: B008 - frozen
) -> Board:
    """The same, ranked."""
    return board(aim, axes(grids), outcomes(grids, figures))


def of_draws(text: str, values: int, seed: int = 1) -> Board:
    """``values`` of a range that is drawn from; the Sharpe ratio is the value."""
    given = axes([text])
    made = [
        Outcome(number, params, {"sharpe": float(params[given[0].name]), "periods": 252.0, "days": 252.0})
        for number, params in enumerate(drawn(given, values, seed))
    ]
    return board(Aim(), given, made)
