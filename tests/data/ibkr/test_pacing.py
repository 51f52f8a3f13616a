"""IB's pacing, kept by us. Times are seconds here; no clock is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.data.sources.ibkr.pacing import Pacing, Question
from appliance.domain.market import SECOND


def question(symbol: str = "SPY", page: str = "a", small: bool = False) -> Question:
    return Question(symbol, page, small)


MANY_SMALL = [(3.0 * n, question(page=str(n), small=True)) for n in range(60)]
MANY_LONG = [(time, asked._replace(small=False)) for time, asked in MANY_SMALL]


@pytest.mark.parametrize(
    ("before", "then", "at", "wait"),
    [
        ([], question(), 0.0, 0.0),
        ([(0.0, question())], question(), 1.0, 14.5),
        ([(0.0, question())], question(), 15.5, 0.0),
        ([(0.0, question())], question(page="b"), 1.0, 0.0),
        ([(0.1 * n, question(page=str(n))) for n in range(5)], question(page="z"), 0.5, 2.0),
        ([(0.1 * n, question(page=str(n))) for n in range(5)], question("IBM"), 0.5, 0.0),
        (MANY_SMALL, question(page="z", small=True), 200.0, 401.0),
        (MANY_SMALL, question(page="z"), 200.0, 0.0),
        (MANY_LONG, question(page="z", small=True), 200.0, 0.0),
    ],
)  # fmt: skip
def test_each_limit_holds_back_as_long_as_it_must(
    before: list[tuple[float, Question]], then: Question, at: float, wait: float
) -> None:
    pacing = Pacing()
    for time, asked in before:
        pacing.asked(asked, int(time * SECOND))
    assert pacing.wait(then, int(at * SECOND)) == pytest.approx(wait * SECOND, abs=2)


@given(
    st.lists(
        st.tuples(st.integers(0, 5 * SECOND), st.sampled_from("ab"), st.sampled_from("xyz"), st.booleans()),
        max_size=150,
    )
)
def test_who_waits_as_told_never_breaks_a_limit(steps: list[tuple[int, str, str, bool]]) -> None:
    pacing, now, sent = Pacing(), 0, list[tuple[int, Question]]()
    for gap, symbol, page, small in steps:
        asking = Question(symbol, page, small)
        now += gap
        now += pacing.wait(asking, now)
        assert pacing.wait(asking, now) == 0
        pacing.asked(asking, now)
        sent.append((now, asking))
    for number, (time, asked) in enumerate(sent):
        earlier = sent[:number]
        assert not any(other == asked and time - at < 15 * SECOND for at, other in earlier)
        assert sum(other.symbol == asked.symbol and time - at < 2 * SECOND for at, other in earlier) <= 4
        assert not asked.small or sum(other.small and time - at < 600 * SECOND for at, other in earlier) <= 59
