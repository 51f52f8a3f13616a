from __future__ import annotations

import random
from pathlib import Path

import pytest

from appliance.data.lacking import gaps, lacking_days, questions
from appliance.data.store import HistoryStore
from appliance.domain.market import DAY, TIMEFRAMES, AlwaysOpen, Bar, Session, Sessions
from tests.commands.conftest import MINUTE, START, Appliance

WEEKEND = 3 * DAY
DAYS = Sessions(
    [
        Session("2013-10-04", START, START + 390 * MINUTE),
        Session("2013-10-07", START + WEEKEND, START + WEEKEND + 210 * MINUTE),
    ]
)
"""A Friday, and a Monday that ends early."""
LAST = START + WEEKEND + 210 * MINUTE


def bar(start: int, timeframe: str = "1m", symbol: str = "SPY", end: int = 0) -> Bar:
    return Bar(symbol, timeframe, start, end or start + TIMEFRAMES[timeframe], 100, 101, 99, 100, 1000, "alpaca")


@pytest.fixture
def store(tmp_path: Path) -> HistoryStore:
    return HistoryStore(tmp_path / "data" / "history.db")


def found(store: HistoryStore, timeframe: str = "1m", sessions: Sessions = DAYS) -> list[tuple[int, int, int]]:
    return [(gap.start, gap.end, gap.bars) for gap in gaps(store, sessions, "SPY", timeframe, START, LAST)]


def test_an_empty_store_lacks_every_bar_of_every_session(store: HistoryStore) -> None:
    assert found(store) == [(START, LAST, 600)]
    assert lacking_days(gaps(store, DAYS, "SPY", "1m", START, LAST)) == 2


def test_bars_that_are_there_lack_nothing_also_where_no_source_was_asked(store: HistoryStore) -> None:
    store.add([bar(START + at * MINUTE) for at in range(390)])
    store.add([bar(START + WEEKEND + at * MINUTE) for at in range(210)])
    assert found(store) == []


def test_what_a_source_was_asked_for_and_did_not_have_was_not_traded(store: HistoryStore) -> None:
    store.add([bar(START + at * MINUTE) for at in range(390) if at not in range(100, 110)])
    store.cover("SPY", "1m", START + 100 * MINUTE, START + 105 * MINUTE)
    assert found(store) == [
        (START + 105 * MINUTE, START + 110 * MINUTE, 5),
        (START + WEEKEND, LAST, 210),
    ]


def test_a_gap_ends_where_a_bar_is(store: HistoryStore) -> None:
    store.add([bar(START + 389 * MINUTE)])
    assert found(store) == [(START, START + 389 * MINUTE, 389), (START + WEEKEND, LAST, 210)]


def test_bars_of_other_hours_fill_no_gap_of_a_session(store: HistoryStore) -> None:
    store.add([bar(START - MINUTE), bar(START + 390 * MINUTE)])
    assert found(store) == [(START, START + 390 * MINUTE, 390), (START + WEEKEND, LAST, 210)]


def test_the_last_bar_of_a_session_may_be_short(store: HistoryStore) -> None:
    hour = 60 * MINUTE
    day = [bar(START + at * hour, "1h", end=min(START + (at + 1) * hour, START + 390 * MINUTE)) for at in range(7)]
    store.add([*day[:6], *(bar(START + WEEKEND + at * hour, "1h") for at in range(3))])
    assert found(store, "1h") == [
        (START + 6 * hour, START + 390 * MINUTE, 1),
        (START + WEEKEND + 3 * hour, LAST, 1),
    ]


def test_days_are_missing_whole(store: HistoryStore) -> None:
    store.add([bar(START, "1d", end=START + 390 * MINUTE)])
    assert found(store, "1d") == [(START + WEEKEND, LAST, 1)]
    store.cover("SPY", "1d", START + WEEKEND, LAST)
    assert found(store, "1d") == []


def test_a_market_that_never_closes_lacks_the_night(store: HistoryStore) -> None:
    store.add([bar(START), bar(LAST - MINUTE)])
    assert found(store, sessions=AlwaysOpen()) == [(START + MINUTE, LAST - MINUTE, (LAST - START) // MINUTE - 2)]


def test_gaps_that_are_near_are_asked_for_together(store: HistoryStore) -> None:
    store.add([bar(START + at * MINUTE) for at in range(390) if at not in (10, 12, 40, 73)])
    store.cover("SPY", "1m", START + WEEKEND, LAST)
    asked = [(start - START, end - START) for start, end in questions(gaps(store, DAYS, "SPY", "1m", START, LAST))]
    assert asked == [(10 * MINUTE, 41 * MINUTE), (73 * MINUTE, 74 * MINUTE)]


def test_weeks_and_months_are_not_looked_for(store: HistoryStore) -> None:
    assert list(gaps(store, DAYS, "SPY", "1w", START, LAST)) == []


def test_a_bar_that_was_asked_for_in_part_is_lacking_whole(store: HistoryStore) -> None:
    store.cover("SPY", "1m", START, START + 100 * MINUTE + MINUTE // 2)
    store.cover("SPY", "1m", START + 102 * MINUTE + 1, LAST)
    assert found(store) == [(START + 100 * MINUTE, START + 103 * MINUTE, 3)]


@pytest.mark.parametrize("seed", range(5))
def test_gaps_are_exactly_the_bars_that_are_neither_there_nor_covered(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    store = HistoryStore(tmp_path / "data" / "history.db")
    due = [start for session in DAYS for start in range(session.open, session.close, MINUTE)]
    there = set(chance.sample(due, chance.randint(0, len(due))))
    denied: set[int] = set()
    store.add([bar(start) for start in due if start in there])
    for _ in range(chance.randint(0, 20)):
        first, last = sorted(chance.choices(due, k=2))
        store.cover("SPY", "1m", first, last)
        denied |= {start for start in due if first <= start < last}
    expected = [start for start in due if start not in there and start not in denied]
    told = [start for first, last, _ in found(store) for start in due if first <= start < last]
    store.close()
    assert told == expected
    assert sum(count for _, _, count in found(HistoryStore(tmp_path / "data" / "history.db"))) == len(expected)


# --- the commands ---------------------------------------------------------------------------------------------------


def test_gaps_are_told_and_end_with_1(appliance: Appliance, store: HistoryStore, tmp_path: Path) -> None:
    store.add([bar(START + at * MINUTE) for at in range(390) if at not in range(100, 115)])
    store.close()
    said = appliance("data", "gaps", "--state", tmp_path)
    assert said.code == 1
    assert "SPY 1m: 15 bars lacking in 1 gap on 1 day" in said.out
    assert "2013-10-04 15:10:00 to 2013-10-04 15:25:00 UTC" in said.out
    told = appliance(
        "data", "gaps", "SPY", "--start", "2013-10-04", "--end", "2013-10-07", "--state", tmp_path, "--json"
    )
    assert (told.json["bars"], len(told.json["gaps"])) == (15 + 390, 2)


def test_where_nothing_is_lacking_gaps_ends_with_0(appliance: Appliance, store: HistoryStore, tmp_path: Path) -> None:
    store.add([bar(START + at * MINUTE) for at in range(390)])
    store.close()
    said = appliance("data", "gaps", "SPY", "--timeframe", "1m", "--state", tmp_path)
    assert (said.code, said.out) == (0, "nothing is lacking\n")


def test_the_future_lacks_nothing(appliance: Appliance, store: HistoryStore, tmp_path: Path) -> None:
    store.add([bar(START)])
    store.close()
    said = appliance("data", "gaps", "--start", "2200-01-01", "--end", "2200-12-31", "--state", tmp_path)
    assert (said.code, said.out) == (0, "nothing is lacking\n")


def test_a_symbol_that_is_not_held_is_named_with_the_nearest(
    appliance: Appliance, store: HistoryStore, tmp_path: Path
) -> None:
    store.add([bar(START)])
    store.close()
    for command in (("gaps", "SPX"), ("ls", "--symbols", "SPX")):
        said = appliance("data", *command, "--state", tmp_path)
        assert (said.code, "no bars of SPX" in said.err, "did you mean 'SPY'?" in said.err) == (3, True, True)


def test_ls_tells_what_is_held_and_what_days_lack(appliance: Appliance, store: HistoryStore, tmp_path: Path) -> None:
    store.add([bar(START + at * MINUTE) for at in range(390) if at not in range(100, 115)])
    store.add([bar(START, "1d", "QQQ", START + 390 * MINUTE)])
    store.close()
    said = appliance("data", "ls", "--state", tmp_path)
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[1] == ["QQQ", "1d", "2013-10-04", "2013-10-04", "1", "0"]
    assert lines[2] == ["SPY", "1m", "2013-10-04", "2013-10-04", "375", "1"]
    told = appliance("data", "ls", "--symbols", "SPY", "--state", tmp_path, "--json").json
    assert told["bytes"] > 0
    assert told["holdings"] == [
        {
            "symbol": "SPY",
            "timeframe": "1m",
            "first": START,
            "last": START + 390 * MINUTE,
            "bars": 375,
            "lacking_days": 1,
        }
    ]


def test_ls_of_a_directory_without_a_store_says_how_to_fill_it_and_makes_none(
    appliance: Appliance, tmp_path: Path
) -> None:
    said = appliance("data", "ls", "--state", tmp_path / "new")
    assert (said.code, "holds nothing yet" in said.out) == (0, True)
    assert not (tmp_path / "new").exists()


def test_a_shell_is_offered_the_symbols_that_are_held(store: HistoryStore, tmp_path: Path) -> None:
    from click.shell_completion import ShellComplete

    from appliance.commands.data import data

    store.add([bar(START), bar(START, symbol="SPXL"), bar(START, symbol="QQQ")])
    store.close()
    offered = ShellComplete(data, {}, "data", "_").get_completions(["gaps", "--state", str(tmp_path)], "SP")
    assert [one.value for one in offered] == ["SPXL", "SPY"]
