"""Where a walk-forward learns and where it is judged."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.research.sweep.windows import Span, Window, span, windows

D = date.fromisoformat


@pytest.mark.parametrize(
    ("text", "day", "after"),
    [
        ("90d", "2020-01-01", "2020-03-31"),
        ("2w", "2020-01-01", "2020-01-15"),
        ("1mo", "2020-01-31", "2020-02-29"),
        ("6mo", "2019-08-31", "2020-02-29"),
        ("2y", "2020-02-29", "2022-02-28"),
    ],
)
def test_months_and_years_are_those_of_the_calendar(text: str, day: str, after: str) -> None:
    assert span("--train", text).after(D(day)) == D(after)


@pytest.mark.parametrize("text", ["", "2", "y", "0d", "2 y", "-1d", "1.5y", "2h"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--train"):
        span("--train", text)


def test_tests_follow_each_other_and_the_last_is_cut() -> None:
    found = windows(D("2010-01-01"), D("2012-08-31"), span("", "2y"), span("", "6mo"), anchored=False)
    assert found == (
        Window(D("2010-01-01"), D("2011-12-31"), D("2012-01-01"), D("2012-06-30")),
        Window(D("2010-07-01"), D("2012-06-30"), D("2012-07-01"), D("2012-08-31")),
    )


def test_anchored_training_begins_on_the_first_day_and_grows() -> None:
    found = windows(D("2010-01-01"), D("2012-08-31"), span("", "2y"), span("", "6mo"), anchored=True)
    assert [one.train_start for one in found] == [D("2010-01-01")] * 2
    assert found[1].train_end == D("2012-06-30")


def test_data_too_short_for_one_test_is_refused() -> None:
    with pytest.raises(UsageError, match="2010-01-01 to 2011-12-31"):
        windows(D("2010-01-01"), D("2011-12-31"), span("", "2y"), span("", "6mo"), anchored=False)


@given(
    st.dates(D("1990-01-01"), D("2030-01-01")), st.integers(1, 3_000), st.integers(1, 500), st.integers(1, 200),
    st.booleans(),
)  # fmt: skip
def test_every_day_after_the_first_training_is_tested_once_and_never_learnt_from_before(
    first: date, days: int, train: int, test: int, anchored: bool
) -> None:
    last = first + timedelta(days=train + days)
    found = windows(first, last, Span(days=train), Span(days=test), anchored)
    tested = [
        one.test_start + timedelta(days=n) for one in found for n in range((one.test_end - one.test_start).days + 1)
    ]
    assert tested == [first + timedelta(days=train + n) for n in range(days + 1)]
    assert all(one.train_end < one.test_start for one in found)
