from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from appliance.data.validation.gaps import missing
from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, AlwaysOpen, Bar, Session, Sessions
from tests.data.validation.filling import FILLED, forward_filled
from tests.data.validation.scenes import LENGTH, NEXT_OPEN, OPEN, WEEK, bar


def day(number: int) -> Bar:
    session = list(WEEK)[number]
    return Bar("SPY", "1d", session.open, session.close, 1.0, 1.0, 1.0, 1.0, 5.0)


@pytest.mark.parametrize(
    ("timeframe", "last", "start", "lost"),
    [
        ("1m", OPEN, OPEN, 0),
        ("1m", OPEN, OPEN + MINUTE, 1),
        ("1m", OPEN + LENGTH, NEXT_OPEN, 0),
        ("1m", OPEN + LENGTH - 2 * MINUTE, NEXT_OPEN + 3 * MINUTE, 5),
        ("1m", OPEN + LENGTH, NEXT_OPEN + DAY, 390),
        ("1m", OPEN + LENGTH + HOUR, NEXT_OPEN - HOUR, 0),
        ("1h", OPEN, NEXT_OPEN, 7),
        ("15m", OPEN, NEXT_OPEN, 26),
    ],
)
def test_what_is_missing_is_counted_in_session_alone(timeframe: str, last: int, start: int, lost: int) -> None:
    assert missing(WEEK, timeframe, last, start, start + MINUTE) == lost


def test_days_are_counted_by_sessions_not_by_hours() -> None:
    assert missing(WEEK, "1d", day(0).end, day(1).start, day(1).end) == 0
    assert missing(WEEK, "1d", day(0).end, day(4).start, day(4).end) == 3


def test_a_day_that_is_stamped_after_an_early_close_is_that_day() -> None:
    early = Sessions([Session("a", OPEN, OPEN + LENGTH), Session("b", NEXT_OPEN, NEXT_OPEN + 210 * MINUTE)])
    assert missing(early, "1d", OPEN + LENGTH, NEXT_OPEN, NEXT_OPEN + LENGTH) == 0
    later = Session("c", NEXT_OPEN + 3 * DAY, NEXT_OPEN + 3 * DAY + 210 * MINUTE)
    missed = Session("m", NEXT_OPEN + DAY, NEXT_OPEN + DAY + LENGTH)
    longer = Sessions([*early, missed, later])
    assert missing(longer, "1d", NEXT_OPEN + LENGTH, later.open, later.open + LENGTH) == 1


def test_from_before_the_table_of_sessions_nothing_is_known_to_be_missing() -> None:
    assert missing(WEEK, "1d", OPEN - DAY, day(3).start, day(3).end) == 0


def test_a_part_of_a_day_is_not_filled_as_a_day() -> None:
    half = replace(day(0), end=OPEN + HOUR)
    assert forward_filled([half, day(1)], WEEK, "1d") == (half, day(1))


def at(year: int, month: int, number: int) -> int:
    return int(datetime(year, month, number, 21, tzinfo=UTC).timestamp()) * SECOND


def test_weeks_and_months_are_counted_by_the_calendar() -> None:
    assert missing(WEEK, "1w", at(2013, 10, 4), 0, at(2013, 10, 11)) == 0
    assert missing(WEEK, "1w", at(2013, 10, 4), 0, at(2013, 10, 25)) == 2
    assert missing(WEEK, "1mo", at(2013, 1, 31), 0, at(2013, 2, 28)) == 0
    assert missing(WEEK, "1mo", at(2013, 1, 31), 0, at(2014, 1, 31)) == 11


def test_a_market_that_never_closes_misses_each_minute() -> None:
    assert missing(AlwaysOpen(), "1m", OPEN, OPEN + 3 * DAY, OPEN + 3 * DAY + MINUTE) == 3 * 1440


def test_beyond_the_table_of_sessions_nothing_is_known_to_be_missing() -> None:
    after = list(WEEK)[-1].close
    assert missing(WEEK, "1m", after, after + 9 * DAY, after + 9 * DAY + MINUTE) == 0


def test_filling_asked_for_repeats_the_close_marks_it_and_crosses_no_night() -> None:
    last = OPEN + LENGTH - 2 * MINUTE
    bars = [bar(last - MINUTE, 100.0), bar(NEXT_OPEN + MINUTE, 105.0)]
    filled = forward_filled(bars, WEEK, "1m")
    assert [one.start for one in filled] == [last - MINUTE, last, last + MINUTE, NEXT_OPEN, NEXT_OPEN + MINUTE]
    assert (filled[0], filled[-1]) == (bars[0], bars[1])
    for one in filled[1:-1]:
        assert (one.source, one.volume, {one.open, one.high, one.low, one.close}) == (FILLED, 0.0, {100.0})


def test_filled_bars_are_as_long_as_the_session_lets_them_be() -> None:
    hour = replace(bar(OPEN), timeframe="1h", end=OPEN + HOUR)
    later = replace(hour, start=NEXT_OPEN, end=NEXT_OPEN + HOUR)
    filled = forward_filled([hour, later], WEEK, "1h")
    assert len(filled) == 8
    assert (filled[-2].start, filled[-2].end) == (OPEN + 6 * HOUR, OPEN + LENGTH)


def test_days_are_filled_whole() -> None:
    filled = forward_filled([day(0), day(3)], WEEK, "1d")
    assert [(one.start, one.end) for one in filled] == [(day(at).start, day(at).end) for at in range(4)]


def test_after_filling_nothing_is_missing_and_filling_again_changes_nothing() -> None:
    once = forward_filled([bar(OPEN), bar(OPEN + 77 * MINUTE), bar(NEXT_OPEN + 5 * MINUTE)], WEEK, "1m")
    assert forward_filled(once, WEEK, "1m") == once
    assert len(once) == 396


def test_weeks_are_not_filled() -> None:
    week = [replace(bar(OPEN), timeframe="1w"), replace(bar(NEXT_OPEN), timeframe="1w")]
    with pytest.raises(ValueError, match="fill days"):
        forward_filled(week, WEEK, "1w")
