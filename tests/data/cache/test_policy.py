from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.data.cache import policy
from appliance.data.cache.policy import Asked, Block, Known, Run, Terms
from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, WEEK, AlwaysOpen, Sessions, timeframe_ns
from tests.data.cache.market import MONDAY, sessions_of_days

SESSIONS = sessions_of_days(12)
OPEN, CLOSE = MONDAY + 14 * HOUR + 30 * MINUTE, MONDAY + 16 * HOUR + 30 * MINUTE
FRIDAY = 4 * DAY
TERMS = Terms(late=20 * MINUTE, settle=2 * SECOND)
TODAY = Block(MONDAY, MONDAY + DAY)


def asked(now: int, end: int | None = None, timeframe: str = "5m", sessions: Sessions = SESSIONS) -> Asked:
    """A question of ``now``, up to now or to ``end``."""
    return Asked(timeframe, sessions, now if end is None else end, now, TERMS)


def known(at: int, until: int | None = None, last: int = 0) -> Known:
    """What is known after a question of ``at``."""
    told = at if until is None else until
    return Known(at, told, min(told, at - TERMS.late), last)


@pytest.mark.parametrize(
    ("timeframe", "length"),
    [("1s", HOUR), ("30s", HOUR), ("1m", DAY), ("5m", DAY), ("15m", 4 * WEEK), ("1h", 4 * WEEK), ("1d", 365 * DAY)],
)
def test_blocks_are_the_same_for_every_question(timeframe, length):
    assert policy.span(timeframe) == length
    found = policy.blocks(timeframe, MONDAY + 5 * length // 2, MONDAY + 9 * length // 2)
    assert found[0].start <= MONDAY + 5 * length // 2 < found[0].end
    assert all(block.end - block.start == length and block.start % length == 0 for block in found)


@given(st.sampled_from(["1s", "1m", "15m", "1d", "1w"]), st.integers(0, 10**18), st.integers(1, 10**16))
def test_every_moment_of_a_question_is_in_one_block(timeframe, start, length):
    size = policy.span(timeframe)
    found = policy.blocks(timeframe, start, start + min(length, 50 * size))
    assert found[0].start <= start
    assert found[-1].end >= start + min(length, 50 * size) > found[-1].start
    assert all(one.end == two.start for one, two in pairwise(found))


@pytest.mark.parametrize(
    ("timeframe", "time", "expected"),
    [
        ("5m", OPEN + 12 * MINUTE, OPEN + 10 * MINUTE),
        ("5m", OPEN + 10 * MINUTE, OPEN + 10 * MINUTE),
        ("5m", OPEN + 10 * MINUTE - 1, OPEN + 5 * MINUTE),
        ("5m", CLOSE + HOUR, CLOSE),
        ("5m", CLOSE, CLOSE),
        ("5m", OPEN + 4 * MINUTE, CLOSE - 3 * DAY),  # of a Monday: nothing since Friday
        ("45m", CLOSE + 1, CLOSE),  # the last one is short
        ("45m", CLOSE - 1, OPEN + 90 * MINUTE),
        ("1h", OPEN + 90 * MINUTE, OPEN + HOUR),  # hours begin with the session
        ("1d", CLOSE - 1, CLOSE - 3 * DAY),
        ("1d", CLOSE, CLOSE),
        ("1mo", CLOSE + FRIDAY + DAY, CLOSE + FRIDAY),
    ],
)
def test_the_last_bar_that_can_be_there_ends_with_the_sessions(timeframe, time, expected):
    assert policy.last_end(timeframe, SESSIONS, time) == expected


@pytest.mark.parametrize("time", [MONDAY - 60 * DAY + 7 * MINUTE, MONDAY + 90 * DAY + 7 * MINUTE])
def test_beyond_the_table_of_sessions_the_clock_alone_counts(time):
    assert policy.last_end("5m", SESSIONS, time) == time - 2 * MINUTE
    assert policy.last_end("1d", Sessions(()), time) == time - 7 * MINUTE


@given(st.sampled_from(["1s", "5m", "1h", "1d"]), st.integers(MONDAY, MONDAY + WEEK))
def test_a_market_that_never_closes_has_bars_by_the_clock(timeframe, time):
    assert policy.last_end(timeframe, AlwaysOpen(), time) == time - time % timeframe_ns(timeframe)


IN = OPEN + 30 * MINUTE
FRESH = [
    ("the bar that forms is not there yet", known(IN), asked(IN + 4 * MINUTE), False),
    ("the last bar was there at once", known(IN, last=IN), asked(IN + 4 * MINUTE), True),
    ("the last bar had time to come", known(IN + 2 * SECOND), asked(IN + 4 * MINUTE), True),
    ("the last bar had not quite time to come", known(IN + 2 * SECOND - 1), asked(IN + 4 * MINUTE), False),
    ("a bar is good until the next one ends", known(IN + 3 * SECOND), asked(IN + 5 * MINUTE - 1), True),
    ("and no longer", known(IN + 3 * SECOND), asked(IN + 5 * MINUTE), False),
    ("nobody asked so far", known(IN + 3 * SECOND, until=IN), asked(IN + 6 * MINUTE, end=IN + 4 * MINUTE), True),
    ("or somebody does now", known(IN + 9 * MINUTE, until=IN), asked(IN + 9 * MINUTE, end=IN + 6 * MINUTE), False),
    ("what was corrected meanwhile", known(IN + 3 * SECOND), asked(IN + TERMS.late, end=IN + MINUTE), False),
    ("what is settled", known(IN + TERMS.late), asked(IN + 3 * HOUR, end=IN), True),
    ("after the close, corrections may come", known(CLOSE + 3 * SECOND), asked(CLOSE + 19 * MINUTE), True),
    ("and are asked for once", known(CLOSE + 3 * SECOND), asked(CLOSE + 20 * MINUTE), False),
    ("at night nothing new is asked", known(CLOSE + 20 * MINUTE), asked(MONDAY + DAY), True),
    ("a closed day is settled by the clock, once", known(CLOSE + 20 * MINUTE), asked(MONDAY + 2 * DAY), False),
    ("and then for ever", known(MONDAY + 2 * DAY, until=MONDAY + DAY + 5 * MINUTE), asked(MONDAY + 999 * DAY), True),
    ("nothing is known", None, asked(IN), False),
    ("a clock that was wrong is not believed", known(MONDAY + 5 * DAY), asked(IN), False),
]


@pytest.mark.parametrize(("what", "told", "question", "fresh"), FRESH, ids=[row[0] for row in FRESH])
def test_what_is_known_is_good_until_something_can_have_changed(what, told, question, fresh):
    assert policy.fresh(told, TODAY, question) is fresh


def test_a_minute_later_nothing_is_asked_before_the_open():
    before = known(OPEN - HOUR)
    assert policy.fresh(before, TODAY, asked(OPEN + 4 * MINUTE))
    assert not policy.fresh(before, TODAY, asked(OPEN + 5 * MINUTE))


QUESTIONS = [
    ("all of a day that is over", None, asked(MONDAY + 3 * DAY), (MONDAY, MONDAY + DAY + 5 * MINUTE)),
    ("of today no more than is wanted", None, asked(CLOSE, end=IN), (MONDAY, IN)),
    ("nor more than there is", None, asked(IN, end=CLOSE), (MONDAY, IN)),
    ("only what is not settled", known(IN), asked(IN + HOUR), (IN - TERMS.late - 5 * MINUTE, IN + HOUR)),
    ("never less than before", known(IN), asked(CLOSE, end=IN - HOUR), (IN - TERMS.late - 5 * MINUTE, IN)),
    ("from its beginning when all is open", known(MONDAY + MINUTE), asked(IN), (MONDAY, IN)),
]


@pytest.mark.parametrize(("what", "told", "question", "expected"), QUESTIONS, ids=[row[0] for row in QUESTIONS])
def test_a_block_is_asked_for_what_may_have_changed(what, told, question, expected):
    assert policy.question(told, TODAY, question) == expected


def test_a_bar_of_days_may_begin_long_before_what_is_settled():
    begin, _ = policy.question(known(CLOSE + 3 * DAY), Block(0, 2**62), asked(CLOSE + 4 * DAY, timeframe="1d"))
    assert begin == CLOSE + 3 * DAY - TERMS.late - 5 * DAY


def test_what_a_source_did_not_get_to_before_it_failed_is_no_longer_known():
    before, question = known(IN), asked(IN + HOUR)
    begin = policy.question(before, TODAY, question)[0]
    run = Run(begin, IN + HOUR, ((TODAY, begin),))
    cut = policy.cut(run, begin + 10 * MINUTE)
    assert policy.learned(before, TODAY, cut, IN + HOUR, 0, question) == Known(
        IN + HOUR, begin + 10 * MINUTE, begin + 10 * MINUTE, 0
    )
    assert policy.cut(run, begin).blocks == ()


def test_questions_that_touch_are_one():
    one, two, three, four = (Block(start, start + 10) for start in (0, 10, 20, 50))
    found = policy.runs([(four, (50, 55)), (one, (3, 11)), (two, (10, 21)), (three, (24, 31))])
    assert found == (Run(3, 21, ((one, 3), (two, 10))), Run(24, 31, ((three, 24),)), Run(50, 55, ((four, 50),)))


def test_what_was_settled_stays_settled_and_a_day_that_is_over_is_final():
    question = asked(IN + 5 * MINUTE)
    run = Run(IN - HOUR, IN + 5 * MINUTE, ((TODAY, IN - HOUR),))
    told = policy.learned(known(IN), TODAY, run, IN + 5 * MINUTE, IN, question)
    assert told == Known(IN + 5 * MINUTE, IN + 5 * MINUTE, IN + 5 * MINUTE - TERMS.late, IN)
    early = policy.learned(told, TODAY, run, IN, IN, question)
    assert early.settled == told.settled
    late = Run(MONDAY, MONDAY + 2 * DAY, ((TODAY, MONDAY),))
    assert policy.is_final(policy.learned(told, TODAY, late, MONDAY + 2 * DAY, IN, question), TODAY, "5m")
    assert not policy.is_final(told, TODAY, "5m")


@pytest.mark.parametrize(
    ("told", "written", "expected"),
    [
        (known(IN), 0, True),
        (known(IN + 14 * MINUTE), IN, False),
        (known(IN + 15 * MINUTE), IN, True),
        (Known(MONDAY + 2 * DAY, MONDAY + DAY + HOUR, MONDAY + DAY + HOUR), MONDAY + 2 * DAY - MINUTE, True),
    ],
)
def test_a_forming_day_is_not_written_to_the_card_each_minute(told, written, expected):
    assert policy.is_worth_writing(told, written, TODAY, "5m") is expected


@pytest.mark.parametrize(
    ("covered", "at", "wanted", "now", "expected"),
    [
        ((0, 100 * DAY), 50 * DAY, (DAY, 60 * DAY), 50 * DAY + 11 * HOUR, True),
        ((0, 100 * DAY), 50 * DAY, (DAY, 60 * DAY), 50 * DAY + 12 * HOUR, False),
        ((0, 100 * DAY), 50 * DAY, (DAY, 43 * DAY), 900 * DAY, True),  # told long after the last ex-date
        ((0, 100 * DAY), 50 * DAY, (DAY, 44 * DAY), 900 * DAY, False),
        ((2 * DAY, 100 * DAY), 50 * DAY, (DAY, 20 * DAY), 50 * DAY, False),
        ((0, 100 * DAY), 50 * DAY, (DAY, 101 * DAY), 50 * DAY, False),
        ((0, 100 * DAY), 50 * DAY, (DAY, 20 * DAY), 40 * DAY, False),  # noted by a clock that was wrong
    ],
)
def test_splits_and_dividends_are_asked_for_again_while_they_may_be_announced(covered, at, wanted, now, expected):
    assert policy.actions_fresh(covered, at, wanted, now, TERMS) is expected
