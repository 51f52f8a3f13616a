"""The recorded data are bad in ways that nobody made up; each gets the verdict it should, and the rest passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import pytest

from appliance.data.calendars import always_open
from appliance.data.factors import actions_of, load_factors
from appliance.data.load import text_rows
from appliance.data.options import FileOptions, new_york_date
from appliance.data.validation.reading import events, recorded
from appliance.data.validation.validator import DataValidator
from appliance.data.validation.verdicts import Finding, Outcome
from appliance.domain.market import Bar, Quote, Sessions, Split, Trade
from tests.data.real import needs_real_data, real

pytestmark = needs_real_data
Judge = tuple[int, list[Finding], DataValidator]


def judged(
    name: str, sessions: Sessions, stamp: str = "start", splits: Any = None, symbols: Iterable[str] = ()
) -> Judge:
    """All of a file: how many events, what was found, and the validator afterwards."""
    options = FileOptions(bar_stamp=stamp, session="all", sessions=sessions, symbols=tuple(symbols))
    judge = DataValidator(lambda symbol: sessions, splits=splits)
    found: list[Finding] = []
    count = 0
    for event in events(recorded(real(name)), options):
        assert not isinstance(event, Finding), event
        assert isinstance(event, Bar | Quote | Trade)
        count += 1
        now = event.end if isinstance(event, Bar) else event.received or event.time
        found += judge.check(event, now).findings
    return count, found, judge


def on(found: list[Finding], symbol: str, date: str) -> list[str]:
    return [one.rule for one in found if one.symbol == symbol and new_york_date(one.time - 1) == date]


def rules(found: Iterable[Finding]) -> dict[str, int]:
    return dict(Counter(one.rule for one in found))


@lru_cache(maxsize=1)
def _daily(sessions: Sessions) -> Judge:
    return judged("equity_daily", sessions, "end")


@pytest.fixture
def daily(sessions: Sessions) -> Judge:
    return _daily(sessions)


def known_splits(sessions: Sessions) -> dict[str, list[Split]]:
    factors = load_factors(real("equity_factors"))
    return {
        symbol: [one for one in actions_of(symbol, rows, sessions) if isinstance(one, Split)]
        for symbol, rows in factors.items()
    }


def test_the_erroneous_print_of_google_is_set_aside_and_its_neighbours_pass(daily: Judge) -> None:
    _, found, _ = daily
    assert on(found, "GOOG", "2008-09-30") == ["spike"]
    assert on(found, "GOOG", "2008-09-29") == on(found, "GOOG", "2008-10-01") == []
    print = next(one for one in found if one.symbol == "GOOG" and "0.01" in one.text)
    assert print.outcome is Outcome.QUARANTINED


SPLITS = [
    ("AAPL", "2000-06-21", "2:1"),
    ("AAPL", "2005-02-28", "2:1"),
    ("AAPL", "2014-06-09", "7:1"),
    ("AAPL", "2020-08-31", "4:1"),
    ("AIG", "2009-07-01", "1:20"),
    ("USO", "2020-04-29", "1:8"),
    ("BNO", "2013-08-29", "2:1"),
]


@pytest.mark.parametrize(("symbol", "date", "ratio"), SPLITS)
def test_a_split_without_factors_is_named_and_nothing_after_it_is_odd(
    daily: Judge, sessions: Sessions, symbol: str, date: str, ratio: str
) -> None:
    mine = [one for one in daily[1] if one.symbol == symbol and new_york_date(one.time - 1) == date]
    assert [one.rule for one in mine] == ["looks_like_a_split"]
    assert f"near {ratio}," in mine[0].text
    after = [one for one in sessions if one.date > date][:30]
    later = {rule for session in after for rule in on(daily[1], symbol, session.date)}
    assert later <= {"zero_volume"}


def test_with_factors_no_split_is_odd_and_a_crash_still_is(sessions: Sessions) -> None:
    _, found, _ = judged("equity_daily", sessions, "end", known_splits(sessions))
    for symbol, date, _ in SPLITS:
        assert on(found, symbol, date) == []
    left = [(one.symbol, new_york_date(one.time - 1)) for one in found if one.rule == "looks_like_a_split"]
    assert left == [("AAPL", "2000-09-29"), ("GOOG", "2014-04-03")], "a profit warning, and shares of a new class"


def test_the_six_years_without_qqq_are_one_gap_and_the_bars_after_it_pass(daily: Judge) -> None:
    _, found, _ = daily
    gaps = [one for one in found if one.symbol == "QQQ" and one.rule == "gap"]
    assert [(new_york_date(one.time - 1), one.amount) for one in gaps] == [("2011-03-23", 1588)]
    assert not [one for one in found if one.symbol == "QQQ" and new_york_date(one.time - 1) > "2011-03-23"]


def test_days_without_volume_pass_and_are_told(daily: Judge) -> None:
    silent = [one for one in daily[1] if one.rule == "zero_volume"]
    assert (len(silent), {one.symbol for one in silent}) == (26, {"BNO"})
    assert {one.outcome for one in silent} == {Outcome.FLAGGED}


def test_of_all_daily_bars_those_that_no_market_made_are_set_aside_and_few_others_are_told(daily: Judge) -> None:
    count, found, _ = daily
    assert count == 55_887
    aside = {(one.symbol, new_york_date(one.time - 1)) for one in found if one.outcome is Outcome.QUARANTINED}
    assert aside == {
        ("AAPL", "2009-09-21"),  # low 10.59, open 184.44
        ("AAPL", "2010-08-31"),  # low 25.30, open 241.88
        ("AAPL", "2011-01-03"),  # low 32.65, open 325.90: a decimal point
        ("AIG", "2009-05-05"),  # high 20.98, open 1.63
        ("GOOG", "2007-12-18"),  # low 67.50, open 675.15: a decimal point
        ("GOOG", "2008-09-30"),  # low 0.01
    }
    assert rules(found) == {
        "spike": 6, "gap": 2, "zero_volume": 26, "looks_like_a_split": 15, "jump": 12, "long_wick": 35,
    }  # fmt: skip
    moves = [one for one in found if one.rule in ("jump", "long_wick")]
    assert len(moves) / count < 0.001


@pytest.mark.parametrize(
    ("name", "always", "count", "aside", "flagged"),
    [
        ("equity_1min_bars", False, 21_258, {"impossible_jump": 1}, {"jump": 3, "jump_reverted": 2, "long_wick": 8}),
        ("equity_hourly", False, 204_105, {"spike": 4}, {"jump": 5, "long_wick": 196}),
        ("equity_1sec_bars", False, 126_689, {}, {"jump": 4, "long_wick": 1}),
        ("crypto_1min_bars", True, 28_182, {}, {"jump": 9, "long_wick": 10}),
        ("crypto_1min_bars_btcperp_2022-01", True, 45_031, {}, {"jump": 2, "long_wick": 10}),
        ("crypto_daily_btcusd", True, 1_318, {"spike": 1}, {"jump": 1, "long_wick": 3}),
    ],
)
def test_real_bars_pass(
    sessions: Sessions, name: str, always: bool, count: int, aside: dict[str, int], flagged: dict[str, int]
) -> None:
    heard, found, _ = judged(name, always_open() if always else sessions)
    assert heard == count
    assert rules(one for one in found if one.outcome is Outcome.QUARANTINED) == aside
    moves = rules(one for one in found if one.rule in ("jump", "jump_reverted", "long_wick"))
    assert moves == flagged
    assert sum(moves.values()) / count < 0.004


def test_the_first_minute_after_a_split_that_still_holds_the_old_price_is_set_aside(sessions: Sessions) -> None:
    _, found, _ = judged("equity_1min_bars", sessions, symbols=["AAPL"])
    wild = [one for one in found if one.rule in ("impossible_jump", "looks_like_a_split")]
    assert [one.rule for one in wild] == ["impossible_jump", "looks_like_a_split"]
    assert "open 645.57, close 92.42" in wild[0].text
    assert "near 7:1" in wild[1].text


@pytest.mark.parametrize("name", ["crypto_quotes_btcusdt_perp", "crypto_trades_btcusdt_perp"])
def test_the_recorders_clock_was_1270_ms_behind_and_that_forbids_trading(name: str) -> None:
    _, found, judge = judged(name, always_open())
    assert rules(found) == {"clock_skew_inhibits": 1}
    assert [round(skew / 1e9, 2) for skew in judge.clocks.skews.values()] == [-1.27]
    assert judge.clocks.worst() == "clock_skew_inhibits"


def suspicious() -> set[tuple[int, float]]:
    """Time and price of the trades that the recorder marked."""
    with text_rows(real("equity_tick_trades")) as rows:
        header = next(rows)
        mark, stamp, price = (header.index(name) for name in ("suspicious", "ts", "price"))
        return {(int(row[stamp]), float(row[price])) for row in rows if row[mark] == "1"}


def test_the_ten_suspicious_trades_are_set_aside_and_of_two_million_others_only_their_like(sessions: Sessions) -> None:
    marked = suspicious()
    assert len(marked) == 10
    judge = DataValidator(lambda symbol: sessions)
    aside: list[tuple[int, float]] = []
    count = 0
    options = FileOptions(session="all", sessions=sessions)
    for event in events(recorded(real("equity_tick_trades")), options):
        assert isinstance(event, Trade)
        count += 1
        if judge.check(event, event.time).event is None:
            aside.append((event.time, event.price))
    assert count == 2_013_855
    assert marked <= set(aside)
    assert len(aside) == 37
    assert {price for _, price in aside} == {167.51, 165.59}, "blocks reported late, at the close of the day before"
