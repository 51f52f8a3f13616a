from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.data.validation.bars import WARM
from appliance.data.validation.rules import RULES
from appliance.data.validation.verdicts import Outcome
from appliance.domain.market import DAY, MINUTE, Bar, Session, Sessions, Split
from tests.data.validation.scenes import LENGTH, NEXT_OPEN, OPEN, WEEK, bar, calm, names, told, validator

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"open": NAN}, "not_finite"),
        ({"high": INF}, "not_finite"),
        ({"low": -INF}, "not_finite"),
        ({"close": NAN}, "not_finite"),
        ({"volume": NAN}, "not_finite"),
        ({"volume": INF}, "not_finite"),
        ({"low": 0.0}, "not_positive"),
        ({"close": -1.0, "low": -1.0}, "not_positive"),
        ({"volume": -1.0}, "negative_volume"),
        ({"low": 101.0, "open": 101.0, "close": 101.0}, "low_above_high"),
        ({"open": 101.0}, "open_outside"),
        ({"close": 99.0}, "close_outside"),
        ({"end": OPEN}, "bad_span"),
        ({"end": OPEN + 2 * MINUTE}, "bad_span"),
    ],
)
def test_a_bar_that_cannot_be_is_set_aside_and_the_rule_is_named(changed: dict[str, float], rule: str) -> None:
    verdict = told(validator(), replace(bar(), **changed))
    assert names(verdict) == [rule]
    assert verdict.outcome is Outcome.QUARANTINED
    assert verdict.event is None


FLOATS = st.one_of(st.floats(), st.sampled_from([0.0, 0.01, 99.98, 100.0, 100.02]))


@given(FLOATS, FLOATS, FLOATS, FLOATS, FLOATS)
def test_no_bar_that_cannot_be_passes_whatever_its_numbers_are(
    o: float, h: float, low: float, c: float, v: float
) -> None:
    verdict = told(validator(), bar(open=o, high=h, low=low, close=c, volume=v))
    passed = verdict.event
    if passed is not None:
        assert isinstance(passed, Bar)
        assert all(map(math.isfinite, (passed.open, passed.high, passed.low, passed.close, passed.volume)))
        assert 0 < passed.low <= min(passed.open, passed.close)
        assert max(passed.open, passed.close) <= passed.high
        assert passed.volume >= 0
    else:
        assert verdict.outcome is Outcome.QUARANTINED


def test_a_calm_day_is_passed_without_a_word() -> None:
    judge = validator()
    assert calm(judge, 390) == OPEN + LENGTH


def test_the_same_bar_told_twice_is_told_on_once() -> None:
    judge = validator()
    told(judge, bar())
    assert names(told(judge, bar())) == ["duplicate"]
    assert told(judge, bar(source="other", received=1)).event is None, "who told it makes no other bar of it"


def test_a_bar_with_other_content_is_a_revision_and_each_one_is_counted() -> None:
    judge = validator()
    told(judge, bar())
    first, second = told(judge, bar(close=100.01)), told(judge, bar(close=99.99))
    assert (names(first), first.outcome) == (["revision"], Outcome.PASSED)
    assert [one.event.revision for one in (first, second) if isinstance(one.event, Bar)] == [1, 2]
    assert names(told(judge, bar(close=99.99))) == ["duplicate"]


def test_an_older_bar_can_be_revised_while_newer_ones_come() -> None:
    judge = validator()
    calm(judge, 10)
    verdict = told(judge, bar(OPEN + 3 * MINUTE, 100.0, volume=1100))
    assert names(verdict) == ["revision"]
    assert not told(judge, bar(OPEN + 10 * MINUTE)).findings


@pytest.mark.parametrize("changed", [{"close": NAN}, {"low": 0.01}, {"high": 999.0}])
def test_a_revision_that_cannot_be_is_set_aside(changed: dict[str, float]) -> None:
    judge = validator()
    calm(judge, 10)
    assert told(judge, bar(OPEN + 9 * MINUTE, **changed)).outcome is Outcome.QUARANTINED


def test_a_bar_that_was_set_aside_can_be_corrected_by_a_revision() -> None:
    judge = validator()
    start = calm(judge, 10)
    assert told(judge, bar(start, low=0.01)).event is None
    corrected = told(judge, bar(start))
    assert names(corrected) == ["revision"]
    assert corrected.event is not None


def test_a_bar_from_before_the_last_one_that_nobody_told_is_set_aside() -> None:
    judge = validator()
    calm(judge, 10, start=OPEN + 60 * MINUTE)
    assert names(told(judge, bar(OPEN))) == ["bar_goes_back"]


def test_a_bar_that_ends_long_after_now_is_set_aside() -> None:
    verdict = validator().check(bar(), OPEN + MINUTE - 61_000_000_000)
    assert names(verdict) == ["from_the_future"]


def test_missing_bars_are_marked_and_not_filled() -> None:
    judge = validator()
    start = calm(judge, 10)
    verdict = told(judge, bar(start + 3 * MINUTE))
    assert (names(verdict), verdict.findings[0].amount) == (["gap"], 3)
    assert verdict.event == bar(start + 3 * MINUTE)


def test_the_night_is_no_gap_and_its_edges_are() -> None:
    judge = validator()
    for at in range(390):
        told(judge, bar(OPEN + at * MINUTE))
    assert not told(judge, bar(NEXT_OPEN)).findings
    late = told(judge, bar(NEXT_OPEN + DAY + MINUTE))
    assert late.findings[0].amount == 389 + 1, "the rest of Tuesday and the first minute of Wednesday"


def test_a_bar_that_was_set_aside_is_no_gap() -> None:
    judge = validator()
    start = calm(judge, 10)
    told(judge, bar(start, close=NAN))
    assert not told(judge, bar(start + MINUTE)).findings


@pytest.mark.parametrize("changed", [{"high": 100.0 - 1e-9}, {"low": 100.0 + 1e-9}, {"high": 99.999, "low": 99.9}])
def test_float_noise_is_repaired_and_says_so(changed: dict[str, float]) -> None:
    verdict = told(validator(), bar(**changed))
    assert (names(verdict), verdict.outcome) == (["float_noise"], Outcome.REPAIRED)
    mended = verdict.event
    assert isinstance(mended, Bar)
    assert mended.low <= mended.open <= mended.high
    assert (mended.open, mended.close) == (100.0, 100.0), "prices that were told stay as they are"


def test_more_than_half_a_tick_is_no_noise() -> None:
    assert names(told(validator(), bar(high=99.99, low=99.9))) == ["open_outside"]


def test_a_low_that_no_market_makes_is_set_aside_whatever_came_before() -> None:
    assert names(told(validator(), bar(low=0.01))) == ["spike"]


def test_a_move_beyond_the_usual_is_flagged_and_passes() -> None:
    judge = validator()
    verdict = told(judge, bar(calm(judge), 103.0))
    assert (names(verdict), verdict.outcome) == (["jump"], Outcome.FLAGGED)
    assert verdict.event is not None


def test_a_wick_beyond_the_usual_is_flagged_and_passes() -> None:
    judge = validator()
    assert names(told(judge, bar(calm(judge), high=103.0))) == ["long_wick"]


def test_a_jump_that_the_next_bar_takes_back_is_named_by_it() -> None:
    judge = validator()
    start = calm(judge)
    told(judge, bar(start, 103.0))
    back = told(judge, bar(start + MINUTE, 100.0))
    assert names(back) == ["jump_reverted"]
    assert back.findings[0].time == start + MINUTE, "the bar that is doubtful, not the one that says so"


def test_a_jump_that_stays_is_the_new_measure() -> None:
    judge = validator()
    start = calm(judge)
    told(judge, bar(start, 103.0))
    assert not told(judge, bar(start + MINUTE, 103.01)).findings


def test_before_enough_bars_only_what_is_wild_is_a_jump() -> None:
    judge = validator()
    start = calm(judge, WARM - 5)
    assert not told(judge, bar(start, 140.0)).findings
    assert names(told(judge, bar(start + MINUTE, 300.0))) == ["jump"]


def test_an_impossible_move_is_set_aside_until_the_next_bar_confirms_it() -> None:
    judge = validator()
    start = calm(judge)
    refused, confirmed = told(judge, bar(start, 15.0)), told(judge, bar(start + MINUTE, 15.1))
    assert names(refused) == ["impossible_jump"]
    assert (names(confirmed), confirmed.outcome) == (["level_confirmed"], Outcome.FLAGGED)
    assert not told(judge, bar(start + 2 * MINUTE, 15.1)).findings


def test_an_impossible_move_that_goes_away_leaves_no_trace() -> None:
    judge = validator()
    start = calm(judge)
    told(judge, bar(start, 15.0))
    assert not told(judge, bar(start + MINUTE, 100.0)).findings
    assert names(told(judge, bar(start + 2 * MINUTE, 15.0))) == ["impossible_jump"]


def test_an_impossible_bar_that_is_corrected_confirms_nothing() -> None:
    judge = validator()
    start = calm(judge)
    told(judge, bar(start, 15.0))
    assert names(told(judge, bar(start, 100.0))) == ["revision"]
    assert names(told(judge, bar(start + MINUTE, 15.1))) == ["impossible_jump"]


def test_what_is_set_aside_never_becomes_the_measure() -> None:
    judge = validator()
    start = calm(judge)
    for at in range(5):
        assert told(judge, bar(start + at * MINUTE, low=0.01, close=80.0)).event is None
    assert not told(judge, bar(start + 5 * MINUTE)).findings


def days(count: int, price: float = 100.0) -> tuple[list[Bar], Sessions]:
    sessions = [Session(f"day {at}", OPEN + at * DAY, OPEN + at * DAY + LENGTH) for at in range(count)]
    made = [
        Bar("SPY", "1d", one.open, one.close, price, price + 1, price - 1, price + at % 2, 1000.0)
        for at, one in enumerate(sessions)
    ]
    return made, Sessions(sessions)


def split_scene(new: int, old: int, splits: dict[str, list[Split]] | None) -> list[list[str]]:
    """Forty days, then ten at the price after a split: what was found from then on."""
    made, sessions = days(50)
    judge = validator(splits=splits, sessions=sessions)
    ratio = old / new
    scaled = [
        replace(one, open=one.open * ratio, high=one.high * ratio, low=one.low * ratio, close=one.close * ratio)
        for one in made[40:]
    ]
    for one in made[:40]:
        assert not told(judge, one).findings
    return [names(told(judge, one)) for one in scaled]


@pytest.mark.parametrize(("new", "old"), [(7, 1), (4, 1), (2, 1), (1, 20), (1, 8), (10, 1)])
def test_a_split_nobody_told_of_is_flagged_once_and_the_prices_after_it_pass(new: int, old: int) -> None:
    assert split_scene(new, old, None) == [["looks_like_a_split"], *[[]] * 9]


@pytest.mark.parametrize(("new", "old"), [(7, 1), (4, 1), (2, 1), (1, 20), (1, 8), (5, 4), (21, 20)])
def test_a_split_that_is_known_explains_the_jump(new: int, old: int) -> None:
    known = Split("SPY", OPEN + 40 * DAY - 9 * 3600 * 10**9, new, old)
    assert split_scene(new, old, {"SPY": [known]}) == [[]] * 10


def test_a_known_split_that_does_not_happen_shows_as_a_jump() -> None:
    known = Split("SPY", OPEN + 40 * DAY, 2, 1)
    assert split_scene(1, 1, {"SPY": [known]})[0] == ["looks_like_a_split"], "back by 1:2, which nobody told of"


def test_within_a_session_nothing_is_a_split() -> None:
    judge = validator()
    verdict = told(judge, bar(calm(judge), 100 / 7))
    assert names(verdict) == ["impossible_jump"]


def test_a_doubled_open_alone_is_no_split() -> None:
    made, sessions = days(40)
    judge = validator(sessions=sessions)
    for one in made[:39]:
        told(judge, one)
    assert names(told(judge, replace(made[39], open=200.0, high=200.0))) == ["jump"]


def test_a_bar_without_volume_passes_and_is_told() -> None:
    verdict = told(validator(), bar(volume=0.0))
    assert (names(verdict), verdict.outcome) == (["zero_volume"], Outcome.FLAGGED)
    assert verdict.event is not None


def test_a_volume_far_above_the_usual_is_told() -> None:
    judge = validator()
    assert names(told(judge, bar(calm(judge), volume=200_000.0))) == ["absurd_volume"]


def test_after_months_of_nothing_the_old_price_is_no_measure() -> None:
    made, sessions = days(200)
    judge = validator(sessions=sessions)
    for one in made[:40]:
        told(judge, one)
    late = replace(made[199], open=700.0, high=701.0, low=699.0, close=700.0)
    assert names(told(judge, late)) == ["gap"]


def test_symbols_and_timeframes_are_judged_apart() -> None:
    judge = validator()
    start = calm(judge)
    assert not told(judge, bar(start, 9.0, symbol="BNO")).findings
    assert not told(judge, bar(start, 100.0)).findings
    assert not told(judge, replace(bar(start, 100.0), timeframe="5m", end=start + 5 * MINUTE)).findings


def test_outside_the_table_of_sessions_nothing_is_missing() -> None:
    judge = validator(sessions=Sessions(()))
    told(judge, bar())
    assert not told(judge, bar(OPEN + 50 * MINUTE)).findings


def test_every_finding_comes_from_the_table_of_rules() -> None:
    judge = validator()
    start = calm(judge)
    found = told(judge, bar(start, 103.0, volume=0.0)).findings
    assert [(one.rule, one.outcome) for one in found] == [(n, RULES[n].outcome) for n in ("jump", "zero_volume")]
    assert WEEK.at(start) is not None


def test_a_split_that_becomes_known_later_explains_the_jump_too() -> None:
    made, sessions = days(42)
    judge = validator(sessions=sessions)
    for one in made[:40]:
        told(judge, one)
    judge.split(Split("SPY", OPEN + 40 * DAY - 1, 4, 1))
    judge.split(Split("SPY", OPEN + 40 * DAY - 1, 4, 1))
    quarter = [replace(one, open=25.0, high=25.3, low=24.8, close=25.0) for one in made[40:]]
    assert [names(told(judge, one)) for one in quarter] == [[], []]


def test_a_night_explains_a_few_percent_and_no_crash() -> None:
    for price, rules in ((106.0, []), (85.0, ["jump"])):
        judge = validator()
        calm(judge, 390)
        assert names(told(judge, bar(NEXT_OPEN, price))) == rules


def swinging(move: float) -> tuple[list[str], float]:
    """Minutes that go up and down by 0.2 %, and then one that moves further: what was found, and by how much."""
    judge = validator()
    for at in range(100):
        told(judge, bar(OPEN + at * MINUTE, 100.2 if at % 2 else 100.0))
    verdict = told(judge, bar(OPEN + 100 * MINUTE, 100.2 * (1 + move)))
    return names(verdict), verdict.findings[0].amount if verdict.findings else 0.0


def test_the_usual_deviation_is_the_mean_move_times_the_root_of_half_pi() -> None:
    sigma = 0.002 * math.sqrt(math.pi / 2)
    assert swinging(11.5 * sigma)[0] == []
    rules, amount = swinging(13 * sigma)
    assert rules == ["jump"]
    assert amount == pytest.approx(math.log(1 + 13 * sigma) / sigma, rel=0.02)


def test_one_wild_bar_hardly_changes_what_is_usual() -> None:
    judge = validator()
    start = calm(judge)
    told(judge, bar(start, 150.0))
    assert names(told(judge, bar(start + MINUTE, 153.0))) == ["jump"]


def test_a_jump_that_half_comes_back_was_a_jump() -> None:
    judge = validator()
    start = calm(judge)
    told(judge, bar(start, 110.0))
    assert names(told(judge, bar(start + MINUTE, 105.0))) == ["jump"]


def test_findings_tell_the_figure_that_was_judged() -> None:
    judge = validator()
    start = calm(judge)
    jump = told(judge, bar(start, 110.0)).findings[0]
    back = told(judge, bar(start + MINUTE, 100.0)).findings[0]
    spike = told(judge, bar(start + 2 * MINUTE, low=1.0)).findings[0]
    wild = told(judge, bar(start + 3 * MINUTE, 1000.0)).findings[0]
    assert jump.text.startswith("9.99 % from 100.01, 95 usual")
    assert [round(one.amount, 2) for one in (back, spike, wild)] == [1.1, 100.0, 10.0]
    assert (spike.time, spike.symbol, "low 1," in spike.text) == (start + 3 * MINUTE, "SPY", True)


def test_after_a_split_the_usual_volume_is_that_of_the_new_shares() -> None:
    for volume, rules in ((150_000.0, []), (6_000_000.0, ["absurd_volume"])):
        made, sessions = days(41)
        judge = validator(splits={"SPY": [Split("SPY", OPEN + 40 * DAY - 1, 50, 1)]}, sessions=sessions)
        for one in made[:40]:
            told(judge, one)
        last = replace(made[40], open=2.0, high=2.02, low=1.98, close=2.0, volume=volume)
        assert names(told(judge, last)) == rules


def test_on_a_cheap_stock_half_a_cent_is_no_noise() -> None:
    assert names(told(validator(), bar(price=1.0, high=0.996, low=0.9))) == ["open_outside"]


def test_a_split_over_a_long_closed_market_alone_is_guessed() -> None:
    judge = validator()
    calm(judge, 390)
    assert names(told(judge, bar(NEXT_OPEN, 50.0))) == ["looks_like_a_split"]
    judge = validator()
    start = calm(judge, 100)
    assert names(told(judge, bar(start + 60 * MINUTE, 50.0))) == ["gap", "jump"]


@given(st.lists(st.tuples(FLOATS, FLOATS, FLOATS, FLOATS, FLOATS), max_size=6))
def test_no_numbers_whatever_stop_the_judge(rows: list[tuple[float, float, float, float, float]]) -> None:
    judge = validator()
    start = calm(judge, 3)
    for at, (opened, high, low, close, volume) in enumerate(rows):
        verdict = told(judge, bar(start + at * MINUTE, open=opened, high=high, low=low, close=close, volume=volume))
        assert (verdict.event is None) == (verdict.outcome is Outcome.QUARANTINED)


@given(st.lists(st.floats(min_value=0, exclude_min=True, allow_infinity=False), min_size=1, max_size=8))
def test_no_way_from_price_to_price_stops_the_judge(prices: list[float]) -> None:
    judge = validator()
    for at, price in enumerate(prices):
        flat = bar(OPEN + at * MINUTE, open=price, high=price, low=price, close=price)
        assert told(judge, flat).event in (flat, None)


@pytest.mark.parametrize("price", [5e-324, 1e-300, 1.7e308])
def test_prices_at_the_ends_of_what_a_float_holds_are_set_aside(price: float) -> None:
    judge = validator()
    assert names(told(judge, bar(calm(judge), open=price, high=price, low=price, close=price))) == ["impossible_jump"]


def test_a_timeframe_that_is_none_is_set_aside() -> None:
    verdict = told(validator(), replace(bar(), timeframe="fortnight"))
    assert (names(verdict), verdict.event) == (["bad_span"], None)


@pytest.mark.parametrize("start", [10**28, -(10**28)])
def test_a_span_beyond_all_calendars_is_set_aside_like_any_other(start: int) -> None:
    assert names(told(validator(), replace(bar(), start=start, end=start - 1))) == ["bad_span"]
