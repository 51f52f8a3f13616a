"""Long windows of indicators: saved in chunks, the same bits after a restart, and little to write for a new bar."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.base import Core
from appliance.core.saving import Saves
from appliance.domain.wire import pack, unpack
from appliance.strategy.indicators import Indicator
from appliance.strategy.indicators.windows import LONG, LongWindow, loaded, saved, sliding
from tests.core.make import writers
from tests.strategy.indicator_table import SINGLE, walk

PERIOD = 200
WINDOWED = [name for name, make in SINGLE.items() if isinstance(make(PERIOD).snapshot().get("window"), dict)]


def test_simple_windows_are_saved_in_chunks_and_short_ones_whole() -> None:
    assert {"sma", "wma", "stdev", "roc", "vwap"} <= {name.split("(")[0].lower() for name in WINDOWED}
    assert not any(isinstance(make(LONG - 2).snapshot().get("window"), dict) for make in SINGLE.values())


@settings(max_examples=80, deadline=None)
@given(limit=st.integers(LONG, 150), given=st.lists(st.integers(), max_size=400), cut=st.integers(0, 400))
def test_a_long_window_goes_on_from_what_was_saved(limit: int, given: list[int], cut: int) -> None:
    straight, once = sliding([0] * limit, limit), sliding([0] * limit, limit)
    for value in given[:cut]:
        straight.append(value)
        straight.snapshot()  # type: ignore[attr-defined]
    other = loaded(unpack(pack(saved(straight)), dict[str, Any]), limit)
    for value in given[cut:]:
        straight.append(value)
        other.append(value)
    for value in given:
        once.append(value)
    assert list(other) == list(straight) == list(once)
    assert saved(other) == saved(straight) == saved(once)


def test_pairs_come_back_as_pairs() -> None:
    for limit in (5, LONG):
        kept = sliding([(0, 0)] * limit, limit)
        kept.append((1, 2))
        again = loaded(unpack(pack(saved(kept)), Any), limit)
        assert list(again) == list(kept)
        assert isinstance(again, LongWindow) == (limit == LONG)


def kept_by(indicator: Indicator) -> dict[str, Any]:
    return {"indicators": [[indicator.label, indicator.snapshot()]]}


@pytest.mark.parametrize("name", WINDOWED)
def test_a_new_bar_writes_a_tenth_of_a_long_window(name: str) -> None:
    core = Core("host@trend", writers("host@trend"))
    saves, indicator = Saves(core), SINGLE[name](PERIOD)
    bars = walk(600, seed=3)
    for bar in bars[:500]:
        indicator.update(bar)
    whole = len(pack(kept_by(indicator)))
    saves.keep("s", kept_by(indicator))
    core.changes()
    written = 0
    for bar in bars[500:]:
        indicator.update(bar)
        saves.keep("s", kept_by(indicator))
        written += sum(len(row) for row in core.changes().values() if row)
    assert written < 100 * whole / 4
    again = SINGLE[name](PERIOD)
    again.restore(dict(saves.load("s")["indicators"])[indicator.label])
    assert pack(again.snapshot()) == pack(indicator.snapshot())
