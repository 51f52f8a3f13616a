"""Whatever is asked, whenever and in whatever order: the cache says what the source itself would say."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.data.cache import CacheLimits, DataCache, Terms
from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, AlwaysOpen, Sessions
from appliance.errors import SourceDown
from tests.data.cache.market import MONDAY, Market, Source, sessions_of_days

TERMS = Terms(late=20 * MINUTE, settle=2 * SECOND)
CALENDARS: dict[str, Sessions] = {
    "of days": sessions_of_days(20),
    "over midnight": sessions_of_days(20, opens=22 * HOUR + 30 * MINUTE, length=3 * HOUR + 10 * MINUTE),
    "always open": AlwaysOpen(),
}
OPENS = {
    "of days": MONDAY + 14 * HOUR + 30 * MINUTE, "over midnight": MONDAY + 22 * HOUR + 30 * MINUTE,
    "always open": MONDAY + 23 * HOUR,
}  # fmt: skip
TIMEFRAMES = ("5m", "5m", "30m", "1h", "1d")
STEP = 5 * MINUTE
GRID = st.tuples(st.sampled_from([0, 0, 1, 1, 2, 5]), st.sampled_from([0, SECOND, 2 * SECOND, 40 * SECOND]))
waits = st.one_of(
    GRID, GRID, GRID, GRID,
    st.tuples(st.just(0), st.integers(0, 40 * MINUTE)),
    st.tuples(st.just(0), st.sampled_from([TERMS.late, 3 * HOUR, 19 * HOUR, DAY, 3 * DAY])),
)  # fmt: skip
"""Steps from the end of a bar, and how long after it; now and then a night."""
begins = st.builds(lambda day, steps: day * DAY + steps * STEP, st.integers(0, 4), st.integers(-2, 26))
"""After the first open."""


def questions(timeframe: str) -> st.SearchStrategy[dict[str, Any]]:
    """Questions about bars of mostly one timeframe: those that meet what is known already."""
    return st.fixed_dictionaries({
        "wait": waits,
        "symbol": st.sampled_from(["SPY", "SPY", "SPY", "QQQ"]),
        "timeframe": st.sampled_from([timeframe, timeframe, timeframe, "5m"]),
        "back": st.one_of(st.integers(1, 3 * HOUR), st.integers(HOUR, 9 * DAY)),
        "length": st.one_of(st.none(), st.none(), st.integers(1, 3 * HOUR), st.integers(1, 3 * DAY)),
        "before": st.sampled_from(["", "", "", "", "", "forget", "restart"]),
        "fails": st.sampled_from([None, None, None, 0, 11, 33]),
    })  # fmt: skip


conversations = st.sampled_from(TIMEFRAMES).flatmap(lambda one: st.lists(questions(one), min_size=2, max_size=25))


class Asker:
    """Asks cache and source the same, at the same time."""

    def __init__(self, path: Path | None, source: Source, sessions: Sessions) -> None:
        self.path, self.source, self.sessions = path, source, sessions
        self.cache = self.made()

    def made(self) -> DataCache:
        limits = CacheLimits(memory_mb=1, disk_mb=1)
        return DataCache(self.path, lambda symbol: self.sessions, self.source.market.clock, limits, TERMS, pytest.fail)

    def ask(self, question: dict[str, Any]) -> tuple[list, list]:
        market = self.source.market
        steps, after = question["wait"]
        market.now = max(market.now, market.now - market.now % STEP + steps * STEP + after)
        if question["before"] == "restart":
            self.cache.close()
            self.cache = self.made()
        if question["before"] == "forget":
            self.cache.clear_memory()
        start = market.now - question["back"]
        end = market.now if question["length"] is None else start + question["length"]
        of = question["symbol"], question["timeframe"], start, end
        self.source.fails_after = question["fails"]
        with suppress(SourceDown):
            self.cache.history(self.source, *of)  # what came before it failed is gone on with
        self.source.fails_after = None
        return list(self.cache.history(self.source, *of)), self.source.truth(*of)


@pytest.mark.parametrize("calendar", CALENDARS)
@given(conversations, st.sampled_from([0, SECOND]), begins, st.booleans())
def test_any_questions_at_any_times_are_answered_as_the_source_would(
    tmp_path_factory, calendar, asked, delay, begin, on_disk
):
    sessions = CALENDARS[calendar]
    source = Source(Market(sessions), delay)
    source.market.now = OPENS[calendar] + begin
    path = tmp_path_factory.mktemp("cache") / "cache.db" if on_disk else None
    asker = Asker(path, source, sessions)
    for question in asked:
        said, truth = asker.ask(question)
        assert said == truth
    asker.cache.close()


@pytest.mark.parametrize("calendar", CALENDARS)
@given(conversations, begins)
def test_corrected_bars_are_seen_and_none_is_ever_missing(calendar, asked, begin):
    sessions = CALENDARS[calendar]
    source = Source(Market(sessions), corrections=TERMS.late)
    source.market.now = OPENS[calendar] + begin
    asker = Asker(None, source, sessions)
    for question in asked:
        said, truth = asker.ask(question)
        assert [bar.end for bar in said] == [bar.end for bar in truth]
        old = source.market.now - 2 * TERMS.late
        assert [bar for bar in said if bar.end <= old] == [bar for bar in truth if bar.end <= old]


@given(conversations, begins)
@settings(max_examples=25)
def test_hours_that_the_sessions_do_not_know_are_seen_once_they_are_settled(asked, begin):
    source = Source(Market(CALENDARS["always open"]))
    source.market.now = OPENS["of days"] + begin
    asker = Asker(None, source, CALENDARS["of days"])
    for question in asked:
        said, truth = asker.ask(question)
        old = source.market.now - 2 * DAY
        assert [bar for bar in said if bar.end <= old] == [bar for bar in truth if bar.end <= old]
        assert {bar.end for bar in said} <= {bar.end for bar in truth}


@given(conversations, begins)
def test_no_question_goes_further_than_somebody_wants_while_the_day_is_young(asked, begin):
    sessions = CALENDARS["of days"]
    source = Source(Market(sessions))
    source.market.now = OPENS["of days"] + begin
    asker = Asker(None, source, sessions)
    latest: dict[tuple[str, str], int] = {}
    for question in asked:
        before = len(source.asked)
        asker.ask(question)
        now = source.market.now
        end = now if question["length"] is None else min(now, now - question["back"] + question["length"])
        key = question["symbol"], question["timeframe"]
        latest[key] = max(latest.get(key, 0), end)
        for symbol, timeframe, _, asked_end in source.asked[before:]:
            assert asked_end <= max(latest[symbol, timeframe], now - TERMS.late)
