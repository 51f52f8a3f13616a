"""Asking no more often than allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.rate_limit import FEW, WINDOW_MAX, Rate, TokenBucket

SECOND = 1_000_000_000


def bucket(per_second: float = 2, burst: int = 4, reserve: int = 0) -> TokenBucket:
    return TokenBucket(Rate(per_second, burst, reserve))


def test_a_burst_passes_at_once_and_then_one_by_one() -> None:
    one = bucket()
    assert [one.take(0) for _ in range(4)] == [0, 0, 0, 0]
    assert one.take(0) == SECOND // 2
    assert one.take(SECOND // 2) == 0
    assert one.take(SECOND // 2) == SECOND // 2


def test_what_is_not_urgent_leaves_the_reserve_alone() -> None:
    one = bucket(burst=4, reserve=3)
    assert [one.take(0), one.take(0)] == [0, SECOND // 2]
    assert [one.take(0, urgent=True) for _ in range(3)] == [0, 0, 0]
    assert one.take(0, urgent=True) > 0


def test_no_limit_is_believed_to_be_of_more_than_a_day() -> None:
    tokens = bucket()
    tokens.observe(0, 0, 10**30)
    assert tokens.take(0) == WINDOW_MAX
    assert tokens.take(WINDOW_MAX) == 0


def test_who_was_told_to_wait_waits_unless_it_is_urgent() -> None:
    one = bucket()
    one.shut(5 * SECOND)
    assert one.take(SECOND) == 4 * SECOND
    assert one.take(SECOND, urgent=True) == 0
    assert one.take(5 * SECOND) == 0


@pytest.mark.parametrize(("remaining", "first_wait"), [(FEW, SECOND // 2), (FEW - 1, SECOND), (0, 10 * SECOND)])
def test_with_few_requests_left_it_asks_half_as_often_and_with_none_not_at_all(remaining: int, first_wait: int) -> None:
    one = bucket()
    for _ in range(4):
        one.take(0)
    one.observe(0, remaining, 10 * SECOND)
    assert one.take(0) == first_wait
    assert one.take(10 * SECOND) == 0


def test_more_than_can_ever_be_there_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="5 tokens at once from a bucket that holds 4"):
        bucket().take(0, 5)
    with pytest.raises(ValueError, match="reserve below burst"):
        Rate(1, 1, 1)


@given(st.lists(st.integers(0, 3 * SECOND), max_size=200), st.floats(0.5, 50), st.integers(1, 20))
def test_never_more_in_any_span_than_burst_and_rate_allow(steps: list[int], per_second: float, burst: int) -> None:
    one, now, granted = bucket(per_second, burst), 0, []
    for step in steps:
        now += step
        wait = one.take(now)
        if wait == 0:
            granted.append(now)
        else:
            assert one.take(now + wait + 1) == 0, "who waits as long as told gets through"
            now += wait + 1
            granted.append(now)
    for first in range(len(granted)):
        for last in range(first, len(granted)):
            span = (granted[last] - granted[first]) / SECOND
            assert last - first + 1 <= burst + span * per_second + 1e-6
