"""Scripted sources fail at every position: what the feed's core publishes is complete, in order, each bar once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.data.live.selection import LOOK, State
from appliance.domain.market import SECOND
from tests.data.live.stage import BARS_TOLD, COUNT, FAULTS, ROUND, TERMS, Stage, ends


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_position_neither_loses_nor_doubles_a_bar(fault: str) -> None:
    for at in range(COUNT):
        told = BARS_TOLD[: at + 25]
        stage = Stage(fault, at, told=(told,))
        assert ends(stage.run()) == ends(list(told)), (fault, at)
        assert stage.holes == []
        assert [one for one in stage.notices if one.code.startswith("quarantine/")] == [], (fault, at)


@pytest.mark.parametrize("fault", ["mute", "hang_up"])
def test_the_reserve_alone_fills_what_the_first_does_not_tell(fault: str) -> None:
    for at in range(3, COUNT, 29):
        stage = Stage(fault, at, history=False)
        assert ends(stage.run()) == ends(list(BARS_TOLD)), at


def test_a_hang_up_fails_over_at_once_and_returns_after_its_hold() -> None:
    stage = Stage("hang_up", 50, length=1)
    stage.run()
    away = next(one for one in stage.switches if one.old == "first")
    back = next(one for one in stage.switches if one.back)
    assert away.time == BARS_TOLD[50].end + SECOND // 10
    assert TERMS.hold <= back.time - (BARS_TOLD[51].end + SECOND // 10) < TERMS.hold + 2 * ROUND * SECOND
    assert stage.selection.active["SPY"] == "first"


def test_a_mute_source_is_found_at_its_limit_and_given_up() -> None:
    stage = Stage("mute", 50, length=COUNT)
    stage.run()
    away = next(one for one in stage.switches if one.old == "first")
    assert TERMS.mute - LOOK <= away.detect <= TERMS.mute + ROUND * SECOND
    assert "silent" in away.why
    assert stage.selection.active["SPY"] == "second"


def test_a_refused_source_is_left_alone() -> None:
    stage = Stage("refused", 50, length=1)
    stage.open.clear()
    stage.run()
    away = next(one for one in stage.switches if one.old == "first")
    linked_again = [one for one in stage.switches if one.back]
    assert all(one.time - away.time >= TERMS.refused for one in linked_again)
    assert stage.selection.candidates["first"].state in (State.REFUSED, State.LIVE)


@settings(max_examples=40, deadline=None)
@given(fault=st.sampled_from(FAULTS), at=st.integers(0, COUNT), length=st.integers(1, 60), history=st.booleans())
def test_whatever_fails_for_however_long_bars_come_in_order_and_once(
    fault: str, at: int, length: int, history: bool
) -> None:
    published = ends(Stage(fault, at, length, history).run())
    assert published == sorted(set(published))
    if history:
        assert published == ends(list(BARS_TOLD))
