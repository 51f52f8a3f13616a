"""What speaks against the best of many: one small function a doubt, the gravest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from appliance.research.results.evidence import Finding
from appliance.research.sweep.axes import Axis
from appliance.research.sweep.board import Board, Ranked, ordered

SURE = 0.95
"""A deflated Sharpe ratio from here on is no longer likely to be chance."""
LONELY = 0.5
"""A best whose neighbours have on average lost that part of its objective stands alone."""
TRADES_MIN = 30
FIT_MIN = 0.5


def doubts(board: Board) -> tuple[Finding, ...]:
    """All that were found, the gravest first."""
    found = [finding for doubt in DOUBTS for finding in doubt(board)]
    return tuple(sorted(found, key=lambda one: LEVELS.index(one.level)))


LEVELS = ("serious", "warning", "note")


def _nothing_fits(board: Board) -> Iterator[Finding]:
    if board.best is None:
        yield Finding(
            "nothing_fits", "serious", "No combination counts.",
            f"None has a {board.aim.objective} and fulfils all conditions.",
            "Look at the conditions, and at the errors in results.csv.",
        )  # fmt: skip


def _chance(board: Board) -> Iterator[Finding]:
    if board.deflated is not None and board.deflated < SURE:
        yield Finding(
            "chance", "serious" if board.deflated < SURE / 2 else "warning", "The best may be luck.",
            f"One of {len(board.rows):,} trials shows a high Sharpe ratio by chance; that the best is more than that "
            f"is {100 * board.deflated:.0f} % likely.",
            "Try fewer combinations, take more data, or walk forward before you believe it.",
        )  # fmt: skip


def _edge(board: Board) -> Iterator[Finding]:
    for axis in board.axes:
        if board.steady is not None and _at_edge(axis, board.steady):
            value = board.steady.outcome.params[axis.name]
            yield Finding(
                "edge", "warning", f"{axis.name} is at the edge of its range.", f"The best plateau has {value}.",
                "Let it go further: better ones may lie beyond.",
            )  # fmt: skip


def _at_edge(axis: Axis, row: Ranked) -> bool:
    value = row.outcome.params[axis.name]
    return len(axis.values) > 2 and ordered(axis) and value in (axis.values[0], axis.values[-1])


def _lonely(board: Board) -> Iterator[Finding]:
    best = board.best
    if best is None or best.objective is None or best.plateau is None or not best.neighbours:
        return
    if best.objective and abs(best.objective - best.plateau) > LONELY * abs(best.objective):
        yield Finding(
            "lonely", "warning", "The best single combination stands alone.",
            f"It has {best.objective:.3g}, it and its neighbours {best.plateau:.3g} on average.",
            "Take the best plateau instead.",
        )  # fmt: skip


def _few_trades(board: Board) -> Iterator[Finding]:
    steady = board.steady
    trades = steady.outcome.figures.get("trades") if steady is not None and steady.outcome.figures else None
    if trades is not None and trades < TRADES_MIN:
        yield Finding(
            "few_trades", "warning", "The best plateau rests on few trades.",
            f"Its combination made {trades:.0f}; figures of fewer than {TRADES_MIN} say little.",
            f"Ask for more: --where 'trades >= {TRADES_MIN}'.",
        )  # fmt: skip


def _failed(board: Board) -> Iterator[Finding]:
    if board.failed:
        first = next(row.outcome for row in board.rows if row.outcome.error)
        yield Finding(
            "failed", "warning", f"{board.failed:,} of {len(board.rows):,} combinations raised.",
            f"The first: {first.error}", "Leave them out with --constraint, or mend the strategy.",
        )  # fmt: skip


def _few_fit(board: Board) -> Iterator[Finding]:
    fit = sum(row.fit for row in board.rows)
    if board.aim.where and 0 < fit < FIT_MIN * len(board.rows):
        yield Finding(
            "few_fit", "note", "Few combinations fulfil the conditions.", f"{fit:,} of {len(board.rows):,} do.",
            "The others count as the worst there is in a plateau.",
        )  # fmt: skip


DOUBTS: tuple[Callable[[Board], Iterator[Finding]], ...] = (
    _nothing_fits, _chance, _edge, _lonely, _few_trades, _failed, _few_fit,
)  # fmt: skip
