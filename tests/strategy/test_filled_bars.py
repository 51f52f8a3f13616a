"""Missing bars, filled for a strategy that asks for it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.market import DAY, HOUR, MINUTE, WEEK, Bar, Session, Sessions
from appliance.errors import StrategyError
from appliance.strategy.bars import BarWindow
from tests.data.validation.filling import forward_filled

OPEN = 1_000 * WEEK
DAYS = tuple(Session(str(n), OPEN + n * DAY, OPEN + n * DAY + 6 * HOUR) for n in range(2))
TABLE = Sessions(DAYS)


def _minutes(kept: list[bool]) -> list[Bar]:
    """Minutes around the end of one session and the beginning of the next."""
    first, second = DAYS
    starts = [first.close - n * MINUTE for n in range(20, 0, -1)] + [second.open + n * MINUTE for n in range(20)]
    return [
        Bar("SPY", "1m", start, start + MINUTE, n + 1.0, n + 2.0, n + 0.5, n + 1.5, 10.0)
        for n, (start, keep) in enumerate(zip(starts, kept, strict=True))
        if keep
    ]


@settings(max_examples=60, deadline=None)
@given(kept=st.lists(st.booleans(), min_size=40, max_size=40), count=st.integers(1, 50))
def test_filled_bars_are_the_last_of_those_that_the_calendar_has(kept: list[bool], count: int) -> None:
    bars = _minutes(kept)
    window = BarWindow(50)
    for one in bars:
        window.append(one)
    expected = forward_filled(bars, TABLE, "1m")[-count:]
    found = window.filled(count, TABLE)
    assert found.end.tolist() == [one.end for one in expected]
    assert found.close.tolist() == [one.close for one in expected]
    assert found.high.tolist() == [one.high for one in expected]
    assert found.volume.tolist() == [one.volume for one in expected]


def test_a_restored_window_still_knows_what_is_missing() -> None:
    window, other = BarWindow(50), BarWindow(50)
    for one in _minutes([True, False] * 20):
        window.append(one)
    other.restore(json.loads(json.dumps(window.snapshot())))
    assert other.filled(40, TABLE).end.tolist() == window.filled(40, TABLE).end.tolist()
    assert len(other.filled(40, TABLE)) == 39


def test_weeks_are_not_filled() -> None:
    window = BarWindow(5)
    for n in range(2):
        window.append(Bar("SPY", "1w", OPEN + 2 * n * WEEK, OPEN + (2 * n + 1) * WEEK, 1.0, 1.0, 1.0, 1.0, 1.0))
    with pytest.raises(StrategyError, match="bars of 1w are not filled"):
        window.filled(2, TABLE)
