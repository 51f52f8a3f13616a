"""Timers over half days and changes of the clocks, and that each comes once, in order, whatever restarts."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, Session, Sessions
from appliance.errors import StrategyError
from appliance.strategy.schedule import SESSION_EVENTS, TIMERS_MAX, Due, Schedule

NEW_YORK = ZoneInfo("America/New_York")
HALF_DAY = "2013-11-29"


def at(text: str) -> int:
    """A New York time as ns UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * SECOND


def local(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, NEW_YORK).strftime("%m-%d %H:%M:%S")


def taken(schedule: Schedule, begin: int, end: int) -> list[Due]:
    schedule.begin(begin)
    found = []
    while (due := schedule.take(end)) is not None:
        found.append(due)
    return found


def day(schedule: Schedule, date: str) -> list[Due]:
    return taken(schedule, at(f"{date}T00:00"), at(f"{date}T23:59"))


def times(found: list[Due]) -> list[str]:
    return [local(due.time)[6:-3] for due in found]


# --- when ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "interval", "first", "last", "count"),
    [
        ("2013-10-07", "5m", "09:30", "15:55", 78),
        ("2013-10-07", "1h", "09:30", "15:30", 7),
        ("2013-10-07", "23h", "09:30", "09:30", 1),
        (HALF_DAY, "5m", "09:30", "12:55", 42),
        (HALF_DAY, "1h", "09:30", "12:30", 4),
        ("2013-03-11", "7m", "09:30", "15:55", 56),
    ],
)
def test_a_timer_runs_from_the_open_while_the_session_is_open(
    new_york: Sessions, date: str, interval: str, first: str, last: str, count: int
) -> None:
    schedule = Schedule(new_york)
    schedule.every(interval)
    found = day(schedule, date)
    assert (times(found)[0], times(found)[-1], len(found)) == (first, last, count)
    assert {due.calls for due in found} == {(("on_timer", interval),)}


@pytest.mark.parametrize("date", ["2013-10-12", "2013-12-25", "2013-03-29"])
def test_nothing_is_due_on_a_day_without_a_session(new_york: Sessions, date: str) -> None:
    schedule = Schedule(new_york)
    schedule.every("1m")
    schedule.at("12:00")
    schedule.tell_sessions()
    assert day(schedule, date) == []


WALLS = {
    "15:55": ("15:55", None),
    "09:30": ("09:30", "09:30"),
    "13:00": ("13:00", "13:00"),
    "13:01": ("13:01", None),
    "16:00": ("16:00", None),
    "open": ("09:30", "09:30"),
    "open+30m": ("10:00", "10:00"),
    "open+4h": ("13:30", None),
    "close-5m": ("15:55", "12:55"),
    "close-4h": ("12:00", None),
    "close": ("16:00", "13:00"),
}


@pytest.mark.parametrize("text", WALLS)
@pytest.mark.parametrize("date", ["2013-10-07", "2013-03-08", "2013-03-11", "2013-11-01", "2013-11-04", HALF_DAY])
def test_a_time_of_day_is_local_and_passed_over_where_the_session_is_shorter(
    new_york: Sessions, text: str, date: str
) -> None:
    schedule = Schedule(new_york)
    schedule.at(text)
    expected = WALLS[text][date == HALF_DAY]
    assert times(day(schedule, date)) == ([expected] if expected else [])


def test_every_local_time_of_three_years_is_what_a_time_zone_database_says(new_york: Sessions) -> None:
    schedule = Schedule(new_york)
    schedule.at("11:22:33")
    found = taken(schedule, at("2012-01-01T00:00"), at("2015-01-01T00:00"))
    assert [due.time for due in found] == [at(f"{session.date}T11:22:33") for session in new_york]


def test_a_session_tells_its_open_its_last_minutes_and_its_close_around_the_timers(new_york: Sessions) -> None:
    schedule = Schedule(new_york, before_close=10 * MINUTE)
    schedule.tell_sessions()
    schedule.at("open", "first")
    schedule.at("close", "last")
    schedule.at("12:50")
    found = [(local(due.time)[6:-3], due.calls) for due in day(schedule, HALF_DAY)]
    assert found == [
        ("09:30", (("on_session", "open"), ("on_timer", "first"))),
        ("12:50", (("on_session", "before_close"), ("on_timer", "12:50"))),
        ("13:00", (("on_timer", "last"), ("on_session", "close"))),
    ]
    assert [name for _, calls in found for hook, name in calls if hook == "on_session"] == list(SESSION_EVENTS)


def test_a_market_that_never_closes_has_utc_days() -> None:
    schedule, midnight = Schedule(), 20_000 * DAY
    schedule.every("8h")
    schedule.at("15:55")
    schedule.tell_sessions()
    found = [
        (due.time - midnight, [name for _, name in due.calls]) for due in taken(schedule, midnight, midnight + DAY)
    ]
    assert found == [
        (8 * HOUR, ["8h"]),
        (15 * HOUR + 55 * MINUTE, ["15:55"]),
        (16 * HOUR, ["8h"]),
        (DAY - 5 * MINUTE, ["before_close"]),
        (DAY, ["close", "open", "8h"]),
    ]


# --- once, in order ------------------------------------------------------------------------------------------------

rules = st.lists(
    st.sampled_from(["5m", "1h", "7m", "45m"]) | st.sampled_from(list(WALLS)), min_size=1, max_size=4, unique=True
)


def made(table: Sessions | None, asked: list[str]) -> Schedule:
    schedule = Schedule(table)
    schedule.tell_sessions()
    for text in asked:
        (schedule.at if text in WALLS else schedule.every)(text)
    return schedule


def expected_times(table: Sessions, asked: list[str], begin: int, end: int) -> list[int]:
    """Second by minute: what the rules say, found by looking at every minute of every session."""
    found = []
    for session in table:
        if session.close < begin or session.open > end:
            continue
        for time in range(session.open, session.close + 1, MINUTE):
            if begin < time <= end and any(
                _says(text, session, time) for text in [*asked, "open", "close-5m", "close"]
            ):
                found.append(time)
    return found


def _says(text: str, session: Session, time: int) -> bool:
    lengths = {"5m": 5, "7m": 7, "45m": 45, "1h": 60}
    if text in lengths:
        return time < session.close and (time - session.open) % (lengths[text] * MINUTE) == 0
    if text[0].isdigit():
        return local(time)[6:-3] == text
    back = {"close": 0, "close-5m": 5, "close-4h": 240}
    on = {"open": 0, "open+30m": 30, "open+4h": 240}
    return time == (session.open + on[text] * MINUTE if text in on else session.close - back[text] * MINUTE)


@settings(max_examples=50, deadline=None)
@given(
    asked=rules,
    begin=st.integers(0, 4 * DAY),
    steps=st.lists(st.integers(0, DAY), min_size=1, max_size=8),
    cuts=st.lists(st.booleans(), min_size=8, max_size=8),
    first=st.sampled_from(["2013-03-08", "2013-11-26"]),
)
def test_each_time_comes_once_and_in_order_whatever_restarts(
    new_york: Sessions, asked: list[str], begin: int, steps: list[int], cuts: list[bool], first: str
) -> None:
    now = begin = at(f"{first}T00:00") + begin
    schedule, found = made(new_york, asked), []
    schedule.begin(begin)
    for step, cut in zip(steps, cuts, strict=False):
        now += step
        while (due := schedule.take(now)) is not None:
            found.append(due.time)
            assert due.calls
            if cut:
                saved = json.dumps(schedule.snapshot())
                schedule = made(new_york, asked)
                schedule.restore(json.loads(saved))
    assert all(a < b for a, b in pairwise(found))
    assert found == expected_times(new_york, asked, begin, now)


@settings(max_examples=50, deadline=None)
@given(asked=rules, time=st.integers(at("2012-01-01T00:00"), at("2015-06-01T00:00")), closed=st.booleans())
def test_the_next_time_is_later_has_calls_and_lies_in_a_session(
    new_york: Sessions, asked: list[str], time: int, closed: bool
) -> None:
    table = new_york if closed else None
    schedule = made(table, asked)
    due = schedule.next_after(time)
    if due is None:
        assert closed
        assert time >= list(new_york)[-1].close
        return
    assert due > time
    assert schedule.calls_at(due)
    assert schedule.calls_at(due - 1) == () or due - 1 == time
    if table is not None:
        assert table.at(due) is not None or table.at(due - 1) is not None


def test_a_deadline_is_when_something_can_be_taken(new_york: Sessions) -> None:
    schedule = Schedule(new_york)
    assert schedule.deadline() is None
    assert schedule.take(at("2014-01-01T00:00")) is None
    schedule.every("1h")
    schedule.begin(at("2013-10-07T09:30"))
    assert schedule.deadline() == at("2013-10-07T10:30")
    assert schedule.take(at("2013-10-07T10:29")) is None
    assert schedule.take(at("2013-10-07T10:30")) == Due(at("2013-10-07T10:30"), (("on_timer", "1h"),))
    schedule.at("10:45")
    assert schedule.deadline() == at("2013-10-07T10:45"), "a timer made later counts from now on"


def test_what_was_due_while_the_box_was_off_can_be_forgotten(new_york: Sessions) -> None:
    schedule = Schedule(new_york)
    schedule.every("1m")
    schedule.begin(at("2013-10-07T09:30"))
    schedule.begin(at("2013-10-08T12:00"))
    assert schedule.deadline() == at("2013-10-08T12:01")


def test_nothing_is_due_beyond_the_table_of_sessions(new_york: Sessions) -> None:
    schedule = Schedule(new_york)
    schedule.every("1m")
    assert schedule.next_after(at("2014-12-31T15:59")) is None


# --- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "9:30", "24:00", "15:60", "15.55", "3pm", "noon", "close+5m", "open-5m", "close-5", "open+", "close - 5m",
     "open+2d", "close-24h", 930],
)  # fmt: skip
@pytest.mark.parametrize("closed", [True, False])
def test_a_time_that_is_none_is_refused_with_examples(new_york: Sessions, text: str, closed: bool) -> None:
    with pytest.raises(StrategyError) as caught:
        Schedule(new_york if closed else None).at(text)
    assert f"at({text!r})" in str(caught.value)
    assert "15:55" in caught.value.hint or "5m" in caught.value.hint


@pytest.mark.parametrize("text", ["08:00", "16:01", "open+7h", "close-23h"])
def test_a_time_that_would_never_come_is_refused(new_york: Sessions, text: str) -> None:
    with pytest.raises(StrategyError, match="no session contains it"):
        Schedule(new_york).at(text)


@pytest.mark.parametrize("interval", ["1d", "1w", "5", "five", "0s", 5])
def test_an_interval_that_is_none_is_refused_with_examples(interval: str) -> None:
    says = "below a day" if interval in ("1d", "1w") else "whole number"
    with pytest.raises(StrategyError, match=says) as caught:
        Schedule().every(interval)
    assert "1m" in caught.value.hint or "5m" in caught.value.hint


def test_the_same_timer_twice_is_one_and_another_of_its_name_is_refused() -> None:
    schedule = Schedule()
    assert schedule.every("5m") == schedule.every("5m") == "5m"
    assert schedule.at("15:55", "flat") == "flat"
    with pytest.raises(StrategyError, match="another timer is called 'flat'"):
        schedule.every("5m", "flat")
    assert taken(schedule, 0, 5 * MINUTE) == [Due(5 * MINUTE, (("on_timer", "5m"),))]


def test_a_strategy_has_a_bounded_number_of_timers() -> None:
    schedule = Schedule()
    for seconds in range(1, TIMERS_MAX + 1):
        schedule.every(f"{seconds}s")
    with pytest.raises(StrategyError, match=f"at most {TIMERS_MAX}"):
        schedule.every("1h")
