"""Raw bars adjusted for splits and dividends: by hand, and by what must hold whatever happened."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.data.adjustment import WAYS, adjusted
from appliance.domain.market import DAY, Bar, Dividend, Split


def _bar(day: int, close: float) -> Bar:
    return Bar("A", "1d", day * DAY, day * DAY + DAY // 2, close, close, close, close, 100.0, "alpaca", 7, 1)


def _closes(bars):
    return [round(bar.close, 9) for bar in bars]


BARS = tuple(_bar(day, close) for day, close in enumerate([100.0, 100.0, 49.0, 50.0]))
SPLIT = Split("A", 2 * DAY, 2, 1)
DIVIDEND = Dividend("A", 1 * DAY, Decimal("10"))
NOW = 19 * DAY


@pytest.mark.parametrize(
    ("way", "closes"),
    [("raw", [100, 100, 49, 50]), ("split", [50, 50, 49, 50]), ("all", [45, 50, 49, 50])],
)
def test_each_way_scales_what_it_says(way, closes):
    found = adjusted(BARS, [DIVIDEND, SPLIT], way, NOW)
    assert _closes(found) == closes
    assert [bar.volume for bar in found] == ([100] * 4 if way == "raw" else [200, 200, 100, 100])


def test_what_is_adjusted_still_says_who_told_it():
    assert {(bar.source, bar.received, bar.revision) for bar in adjusted(BARS, [SPLIT, DIVIDEND], "all", NOW)} == {
        ("alpaca", 7, 1)
    }


def test_actions_after_until_and_dividends_before_the_first_bar_change_nothing():
    late = [Split("A", 20 * DAY, 3, 1), Dividend("A", 20 * DAY, Decimal(1)), Dividend("A", 0, Decimal(1))]
    assert adjusted(BARS, late, "all", NOW) == BARS


@given(
    st.lists(st.integers(1_000, 100_000), min_size=2, max_size=20),
    st.lists(st.tuples(st.integers(1, 19), st.integers(1, 900)), max_size=5, unique_by=lambda one: one[0]),
)
def test_returns_with_dividends_are_those_of_who_reinvests_them(cents, paid):
    bars = tuple(_bar(day, cent / 100) for day, cent in enumerate(cents))
    dividends = [Dividend("A", day * DAY, Decimal(amount) / 100) for day, amount in paid if day < len(bars)]
    found = adjusted(bars, dividends, "all", NOW)
    amounts = {one.time // DAY: float(one.amount) for one in dividends}
    for day in range(1, len(bars)):
        before, paid_now = bars[day - 1].close, amounts.get(day, 0.0)
        expected = bars[day].close / (before - paid_now) if before != paid_now else None
        if expected is not None and found[day - 1].close:
            assert found[day].close / found[day - 1].close == pytest.approx(expected)


def test_there_are_these_ways():
    assert WAYS == ("raw", "split", "all")
