"""Saves: a bar changes one small row, and what is read is what was written."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.base import Core
from appliance.core.saving import Saves
from appliance.strategy.bars import CHUNK, BarWindow
from tests.core.make import bar, writers
from tests.playbook import BEGIN, SECOND


def fresh() -> tuple[Core, Saves]:
    core = Core("host@trend", writers("host@trend"))
    return core, Saves(core)


def snapshot(*windows: BarWindow, **more: Any) -> dict[str, Any]:
    return {"state": {}, "windows": {f"SPY/{n}": window.snapshot() for n, window in enumerate(windows)}, **more}


def filled(window: BarWindow, count: int, begin: int = 0) -> BarWindow:
    for number in range(begin, begin + count):
        window.append(bar(float(number), BEGIN + number * 60 * SECOND))
    return window


def test_a_bar_writes_the_small_row_and_one_chunk() -> None:
    core, saves = fresh()
    window = filled(BarWindow(100 * CHUNK), 90 * CHUNK + 3)
    saves.keep("trend", snapshot(window))
    core.changes()
    saves.keep("trend", snapshot(filled(window, 1, 90 * CHUNK + 3)))
    changed = core.changes()
    assert sorted(changed) == ["chunk/trend/SPY/0/90", "strategy/trend"]
    assert sum(len(row or b"") for row in changed.values()) < 2_500


def test_nothing_changed_writes_nothing_also_after_a_restart() -> None:
    core, saves = fresh()
    window = filled(BarWindow(50), 40)
    saves.keep("trend", snapshot(window))
    other, again = fresh()
    other.restore(core.snapshot())
    one = BarWindow(50)
    one.restore(again.load("trend")["windows"]["SPY/0"])
    again.keep("trend", snapshot(one))
    assert other.changes() == {}


@given(counts=st.lists(st.integers(0, 3 * CHUNK), min_size=1, max_size=6), limit=st.integers(1, 3 * CHUNK))
@settings(max_examples=60, deadline=None)
def test_what_is_loaded_is_what_was_kept_and_chunks_that_fell_out_are_gone(counts: list[int], limit: int) -> None:
    core, saves = fresh()
    window, total = BarWindow(limit), 0
    for count in counts:
        filled(window, count, total)
        total += count
        kept = snapshot(window)
        saves.keep("trend", kept)
        other, again = fresh()
        other.restore(core.snapshot())
        assert again.load("trend") == kept
        rows = [key for key in core.snapshot() if key.startswith("chunk/")]
        assert rows == [f"chunk/trend/SPY/0/{number}" for number in kept["windows"]["SPY/0"]["chunks"]]


def test_a_window_that_a_new_version_does_not_have_leaves_no_rows() -> None:
    core, saves = fresh()
    saves.keep("trend", snapshot(filled(BarWindow(50), 40), filled(BarWindow(20), 20)))
    saves.keep("trend", snapshot(filled(BarWindow(50), 40)))
    assert not [key for key in core.snapshot() if "SPY/1" in key]
    saves.keep("trend", {"state": {}})
    assert sorted(core.snapshot()) == ["strategy/trend"]


def test_a_dropped_save_leaves_nothing() -> None:
    core, saves = fresh()
    saves.keep("trend", snapshot(filled(BarWindow(50), 40)))
    saves.drop("trend")
    assert core.snapshot() == {}
    assert "trend" not in saves
    assert saves.load("trend") == {}
