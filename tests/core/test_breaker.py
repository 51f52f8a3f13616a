"""Trying again later, and not at all for a while."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.breaker import Backoff, Circuit, CircuitBreaker, Health, Limits

SECOND = 1_000_000_000


def test_waits_double_up_to_the_longest_and_begin_again_after_a_success() -> None:
    backoff = Backoff(SECOND, 8 * SECOND, Random(1))
    for ceiling in (1, 2, 4, 8, 8, 8):
        assert ceiling * SECOND / 2 <= backoff.next() <= ceiling * SECOND
    backoff.reset()
    assert backoff.next() <= SECOND


def test_the_other_sides_wish_is_the_least() -> None:
    assert Backoff(SECOND, 8 * SECOND, Random(1)).next(at_least=30 * SECOND) == 30 * SECOND


@given(st.integers(0, 2**32), st.integers(0, 10_000))
def test_however_often_it_fails_the_wait_stays_within_its_bounds(seed: int, failures: int) -> None:
    backoff = Backoff(SECOND, 60 * SECOND, Random(seed))
    backoff.failures = failures
    assert SECOND / 2 <= backoff.next() <= 60 * SECOND


def test_the_same_seed_gives_the_same_waits() -> None:
    one, other = Backoff(1000, 10**9, Random(7)), Backoff(1000, 10**9, Random(7))
    assert [one.next() for _ in range(20)] == [other.next() for _ in range(20)]


def test_failures_in_a_row_open_the_circuit_and_a_success_between_them_does_not() -> None:
    breaker = CircuitBreaker(Limits(failures=3, cooldown=5 * SECOND))
    breaker.failed(0, "one")
    breaker.failed(0, "two")
    breaker.succeeded()
    breaker.failed(0, "one")
    breaker.failed(0, "two")
    assert breaker.state(0) is Circuit.CLOSED
    breaker.failed(SECOND, "timed out")
    assert (breaker.state(SECOND), breaker.since, breaker.until) == (Circuit.OPEN, SECOND, 6 * SECOND)
    assert breaker.why == "timed out"
    assert not breaker.allows(6 * SECOND - 1)


def test_after_its_cooldown_one_may_try_and_decides() -> None:
    breaker = CircuitBreaker(Limits(failures=1, cooldown=5 * SECOND, longest=12 * SECOND))
    breaker.failed(0, "down")
    assert [breaker.allows(5 * SECOND), breaker.allows(5 * SECOND)] == [True, False]
    breaker.failed(5 * SECOND, "down")
    assert breaker.until == 15 * SECOND, "twice as long"
    assert breaker.allows(15 * SECOND)
    breaker.failed(15 * SECOND, "down")
    assert breaker.until == 27 * SECOND, "but never longer than the longest"
    assert breaker.since == 0 or breaker.since <= 5 * SECOND
    assert breaker.allows(27 * SECOND)
    breaker.succeeded()
    assert breaker.state(27 * SECOND) is Circuit.CLOSED
    assert [breaker.allows(27 * SECOND), breaker.allows(27 * SECOND)] == [True, True]


def test_who_asks_to_be_left_alone_is_left_alone_at_once() -> None:
    breaker = CircuitBreaker(Limits(failures=3, cooldown=SECOND))
    breaker.failed(0, "429", wait=20 * SECOND)
    assert breaker.state(20 * SECOND - 1) is Circuit.OPEN
    assert breaker.allows(20 * SECOND)


def test_health_falls_with_failures_and_slowness_and_comes_back() -> None:
    health = Health(weight=0.5, slow=SECOND)
    assert health.score == 1.0
    health.failed()
    assert health.score == 0.5
    health.succeeded(0)
    assert health.score == 0.75
    health.succeeded(SECOND)
    assert health.score == pytest.approx(0.625)


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**12))))
def test_a_health_score_is_never_below_0_or_above_1(answers: list[int | None]) -> None:
    health = Health()
    for took in answers:
        if took is None:
            health.failed()
        else:
            health.succeeded(took)
        assert 0 <= health.score <= 1


def test_a_try_that_was_not_made_leaves_the_next_one_to_try() -> None:
    breaker = CircuitBreaker(Limits(failures=1, cooldown=10))
    breaker.failed(0, "down")
    assert breaker.allows(10)
    assert not breaker.allows(10)
    breaker.unasked()
    assert breaker.allows(10)
