"""Percentiles from buckets: never below the truth, at most 1/16 above it, whatever is merged with what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.metrics.latency import Histogram
from appliance.domain import wire

DURATIONS = st.lists(st.integers(0, 2**62) | st.integers(0, 5_000), max_size=60)


def histogram(durations: list[int]) -> Histogram:
    found = Histogram()
    for one in durations:
        found.add(one)
    return found


@given(DURATIONS.filter(len), st.integers(1, 100))
def test_a_percentile_is_at_most_a_sixteenth_above_the_truth(durations: list[int], percent: int) -> None:
    truth = sorted(durations)[-(-len(durations) * percent // 100) - 1]
    found = histogram(durations).percentile(percent)
    assert found is not None
    assert truth <= found <= truth + truth // 16
    assert histogram(durations).percentile(100) == max(durations)


@given(DURATIONS, DURATIONS, DURATIONS)
def test_merging_is_counting_all_in_whatever_order(a: list[int], b: list[int], c: list[int]) -> None:
    whole = histogram([*a, *b, *c])
    one, two, three = histogram(a), histogram(b), histogram(c)
    assert one.merged(two).merged(three) == one.merged(two.merged(three)) == three.merged(one).merged(two) == whole
    assert wire.pack(two.merged(one)) == wire.pack(one.merged(two))


@given(DURATIONS)
def test_a_histogram_comes_back_as_it_was_and_stays_small(durations: list[int]) -> None:
    found = histogram(durations)
    assert wire.unpack(wire.pack(found), Histogram) == found
    assert max(found.counts, default=0) < 1_000


@pytest.mark.parametrize(
    ("durations", "median"), [([], None), ([-5], 0), ([0, 0, 9], 0), ([31], 31), ([1_000_000], 1_000_000)]
)
def test_few_durations_have_plain_percentiles(durations: list[int], median: int | None) -> None:
    assert histogram(durations).percentile(50) == median
