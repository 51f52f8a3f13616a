"""What strategies save: only what changed is written, and what is read is what was kept."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.base import Core
from appliance.core.saving import CHUNK, Saves
from tests.core.make import writers


class Keeper(Core):
    """The least core that saves."""

    def __init__(self) -> None:
        super().__init__("host@trend", writers("host@trend"))
        self.saves = Saves(self)


def again(keeper: Keeper) -> Keeper:
    """The same after a restart."""
    other = Keeper()
    other.restore(keeper.snapshot())
    return other


def snapshot(bars: int, limit: int) -> dict[str, Any]:
    """A strategy that keeps the last ``limit`` bars in whole chunks, and as many values of an indicator."""
    first = max(0, bars - limit)
    rows = [[at, float(at)] for at in range(bars)]
    chunks = {str(at): rows[at * CHUNK : (at + 1) * CHUNK] for at in range(first // CHUNK, -(-bars // CHUNK))}
    low, high = -(-first // CHUNK), bars // CHUNK
    window = {
        "taken": bars, "head": list(range(first, low * CHUNK)), "tail": list(range(high * CHUNK, bars)),
        "chunks": {str(at): list(range(at * CHUNK, (at + 1) * CHUNK)) for at in range(low, high)},
    }  # fmt: skip
    indicators = [["sma(SPY, 100)", {"value": 1.0, "window": window}], ["ema(SPY, 3)", {"value": 2.0}]]
    return {"state": {"bars": bars}, "windows": {"SPY/": {"count": bars, "chunks": chunks}}, "indicators": indicators}


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=12))
def test_what_is_loaded_is_what_was_kept_also_after_restarts(steps: list[tuple[int, bool]]) -> None:
    keeper, bars = Keeper(), 0
    for more, restarted in steps:
        bars += more
        keeper.saves.keep("trend", snapshot(bars, 100))
        keeper = again(keeper) if restarted else keeper
        assert keeper.saves.load("trend") == snapshot(bars, 100)


@settings(max_examples=40, deadline=None)
@given(stops=st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_the_rows_depend_on_the_last_snapshot_alone(stops: list[int]) -> None:
    keeper, once, bars = Keeper(), Keeper(), 0
    for more in stops:
        bars += more
        keeper.saves.keep("trend", snapshot(bars, 100))
    once.saves.keep("trend", snapshot(bars, 100))
    assert keeper.snapshot() == once.snapshot()


def test_a_new_bar_writes_one_row_and_with_every_sixteenth_the_chunks_that_are_full_or_gone() -> None:
    keeper, written = Keeper(), []
    keeper.saves.keep("trend", snapshot(1_000, 400))
    keeper.changes()
    for bars in range(1_001, 1_001 + 4 * CHUNK):
        keeper.saves.keep("trend", snapshot(bars, 400))
        written.append(len(keeper.changes()))
    assert min(written) == 1
    assert sum(written) == 4 * CHUNK + 4 * 2 * 2
    assert len(keeper.snapshot()) <= 1 + 2 * (400 // CHUNK)


def test_windows_that_are_no_longer_made_leave_nothing_behind() -> None:
    keeper = Keeper()
    keeper.saves.keep("trend", snapshot(500, 400))
    keeper = again(keeper)
    keeper.saves.keep("trend", {"state": {}})
    assert list(keeper.snapshot()) == ["strategy/trend"]


def test_one_strategy_does_not_touch_the_chunks_of_another() -> None:
    keeper = Keeper()
    for name in ("trend", "tren"):
        keeper.saves.keep(name, snapshot(300, 100))
    keeper.saves.keep("tren", {"state": {}})
    assert keeper.saves.load("trend") == snapshot(300, 100)
