from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from appliance.data import calendars
from appliance.data.calendars import (
    CalendarOptions,
    Extended,
    always_open,
    cached_sessions,
    calendar_of,
    compile_sessions,
    hours,
    load_sessions,
)
from appliance.data.options import NEW_YORK
from appliance.domain.market import DAY, HOUR, SECOND, AlwaysOpen, Sessions
from appliance.errors import DataError, UsageError


@pytest.mark.parametrize(
    ("date", "hours"), [("2013-10-07", 6.5), ("2013-11-29", 3.5), ("1998-01-02", 6.5), ("2027-11-26", 3.5)]
)
def test_a_session_has_its_exchange_hours(sessions: Sessions, date: str, hours: float) -> None:
    found = next(session for session in sessions if session.date == date)
    assert (found.close - found.open) / HOUR == hours


@pytest.mark.parametrize("date", ["2001-09-11", "2013-10-12", "2013-12-25", "2025-01-09"])
def test_a_day_the_exchange_was_closed_is_not_in_the_table(sessions: Sessions, date: str) -> None:
    assert all(session.date != date for session in sessions)


def test_the_table_reaches_two_years_ahead_and_back_to_1998(sessions: Sessions) -> None:
    dates = [session.date for session in sessions]
    assert dates[0] == "1998-01-02"
    assert dates[-1] >= "2028-01-05"
    assert dates == sorted(dates)


def test_a_cached_table_is_read_without_the_calendar_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_sessions(tmp_path / "table.json", "2013-10-07", start_date="2013-01-01")
    monkeypatch.setattr(calendars, "compile_sessions", None)
    again = load_sessions(tmp_path / "table.json", "2013-12-31", start_date="2013-06-01")
    assert list(again) == list(first)
    assert cached_sessions(tmp_path / "table.json", "2013-12-31", start_date="2013-06-01") is not None
    assert cached_sessions(tmp_path / "table.json", "2014-01-01", start_date="2013-06-01") is None


@pytest.mark.parametrize(
    ("today", "start", "damage"),
    [("2015-01-01", "2013-01-01", ""), ("2013-10-07", "2012-01-01", ""), ("2013-10-07", "2013-01-01", "{")],
)
def test_a_cache_that_does_not_do_is_replaced(tmp_path: Path, today: str, start: str, damage: str) -> None:
    path = tmp_path / "table.json"
    load_sessions(path, "2013-10-07", start_date="2013-01-01")
    path.write_text(damage or path.read_text())
    before = path.read_text()
    table = load_sessions(path, today, start_date=start)
    assert next(iter(table)).date[:4] == start[:4]
    assert path.read_text() != before


def test_a_cache_that_cannot_be_written_still_gives_a_table(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert len(load_sessions(tmp_path / "file" / "table.json", "2013-10-07", start_date="2013-01-01")) > 500


@pytest.mark.parametrize("arguments", [("2013-01-01", "2013-02-01", "MOON"), ("new year", "2013-02-01", "XNYS")])
def test_an_unknown_exchange_or_date_is_a_data_error(arguments: tuple[str, str, str]) -> None:
    with pytest.raises(DataError, match=r"MOON|new year"):
        compile_sessions(*arguments)


def test_a_market_that_never_closes_contains_everything() -> None:
    table = always_open()
    assert table.contains(5, 400 * DAY)
    session = table.at(3 * DAY + 5)
    assert (session.date, session.open, session.close) == ("1970-01-04", 3 * DAY, 4 * DAY)
    assert table.next_open(3 * DAY) == 4 * DAY


def clock(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, NEW_YORK).strftime("%H:%M")


@pytest.mark.parametrize(
    ("date", "regular", "extended"),
    [
        ("2013-10-07", "09:30 16:00", "04:00 20:00"),
        ("2013-03-08", "09:30 16:00", "04:00 20:00"),  # the last session of winter time
        ("2013-03-11", "09:30 16:00", "04:00 20:00"),  # the first of summer time
        ("2013-11-01", "09:30 16:00", "04:00 20:00"),
        ("2013-11-04", "09:30 16:00", "04:00 20:00"),
        ("2013-11-29", "09:30 13:00", "04:00 17:00"),  # half days: trading after hours ends early, too
        ("2024-07-03", "09:30 13:00", "04:00 17:00"),
        ("2013-12-24", "09:30 13:00", "04:00 17:00"),
    ],
)
def test_extended_hours_are_new_york_s_in_summer_in_winter_and_on_half_days(
    sessions: Sessions, date: str, regular: str, extended: str
) -> None:
    for which, expected in (("regular", regular), ("extended", extended)):
        found = next(session for session in hours(sessions, which) if session.date == date)
        assert f"{clock(found.open)} {clock(found.close)}" == expected


def test_an_open_moves_by_an_hour_of_utc_where_clocks_change(sessions: Sessions) -> None:
    opens = {session.date: session.open % DAY // 60 / SECOND for session in hours(sessions, "extended")}
    assert (opens["2013-03-08"], opens["2013-03-11"]) == (9 * 60, 8 * 60)
    assert (opens["2013-11-01"], opens["2013-11-04"]) == (8 * 60, 9 * 60)


def test_extended_sessions_have_the_same_dates_and_never_overlap(sessions: Sessions) -> None:
    longest = hours(sessions, "extended", Extended(480, 480))
    assert [one.date for one in longest] == [one.date for one in sessions]
    assert all(before.close <= after.open for before, after in pairwise(longest))
    assert hours(sessions, "regular") is sessions
    assert hours(sessions, "extended", Extended(0, 0)).at(next(iter(sessions)).open - 1) is None


def test_each_symbol_has_the_hours_of_the_settings_and_pairs_never_close(sessions: Sessions) -> None:
    of = calendar_of(CalendarOptions("regular", {"TSLA": "extended", "BTC-USD": "always"}), sessions)
    session = next(session for session in sessions if session.date == "2013-10-07")
    early, saturday = session.open - HOUR, session.open + 5 * DAY
    assert [of(symbol).at(early) is not None for symbol in ("SPY", "TSLA", "BTC-USD", "ETH/USD")] == [0, 1, 1, 1]
    assert [of(symbol).at(saturday) is not None for symbol in ("SPY", "TSLA", "BTC-USD", "ETH/USD")] == [0, 0, 1, 1]
    assert of("SPY") is sessions
    assert of("TSLA") is of("TSLA")
    assert isinstance(calendar_of(CalendarOptions("extended"), AlwaysOpen())("SPY"), AlwaysOpen)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (CalendarOptions("night"), "hours: 'night'"),
        (CalendarOptions(symbols={"SPY": "all"}), "hours of SPY: 'all'"),
        (CalendarOptions(extended=Extended(before=600)), "before 600"),
        (CalendarOptions(extended=Extended(after=-1)), "after -1"),
    ],
)
def test_hours_that_make_no_sense_are_refused_with_what_is_allowed(
    sessions: Sessions, options: CalendarOptions, says: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        calendar_of(options, sessions)
    assert caught.value.hint
    with pytest.raises(UsageError, match="hours 'lunch'"):
        hours(sessions, "lunch")


@pytest.mark.parametrize(
    ("modules", "without"),
    [
        ("data.validate, appliance.data.calendars, appliance.data.history", "pandas"),
        ("data.feeds, appliance.data.sources.simulated, appliance.data.sources.random_walk", "numpy"),
        ("processes, appliance.commands.run, appliance.commands.up", "numpy"),
    ],
)
def test_recorded_data_do_without_pandas_and_a_simulated_market_without_numpy(modules: str, without: str) -> None:
    code = f"import sys, appliance.{modules}; print([n for n in ('pandas', {without!r}) if n in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
