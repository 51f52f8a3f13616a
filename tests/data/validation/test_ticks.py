from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.core.feed import conflated
from appliance.data.validation.limits import ValidationLimits
from appliance.data.validation.verdicts import Outcome
from appliance.domain.market import HOUR, MINUTE, SECOND, PriceBand, Quote, Split, TradingStatus
from tests.data.validation.scenes import OPEN, bar, names, quote, told, trade, validator

NAN, INF = float("nan"), float("inf")
FLOATS = st.one_of(st.floats(), st.sampled_from([0.0, 99.0, 100.0, 101.0]))


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"bid": NAN}, "not_finite"),
        ({"ask": INF}, "not_finite"),
        ({"bid": -1.0}, "not_positive"),
        ({"bid": 0.0, "ask": 0.0}, "not_positive"),
        ({"bid": 0.0}, "one_sided"),
        ({"ask": 0.0}, "one_sided"),
        ({"bid": 100.02}, "crossed"),
        ({"ask": 200.0}, "absurd_spread"),
    ],
)
def test_a_quote_that_cannot_be_traded_on_is_set_aside(changed: dict[str, float], rule: str) -> None:
    verdict = told(validator(), quote(**changed))
    assert (names(verdict), verdict.event) == ([rule], None)


@given(FLOATS, FLOATS)
def test_no_quote_that_cannot_be_passes_whatever_its_numbers_are(bid: float, ask: float) -> None:
    passed = told(validator(), quote(bid=bid, ask=ask)).event
    if passed is not None:
        assert 0 < bid <= ask < INF
        assert math.isfinite(bid)
    else:
        assert not (0 < bid <= ask <= bid * 1.2 and ask < INF)


@pytest.mark.parametrize("wild", [quote(bid=0.0), quote(bid=0.01), quote(bid=NAN), quote(ask=INF), quote(ask=NAN)])
def test_a_quote_that_would_be_set_aside_leaves_no_extremes_in_the_one_it_is_conflated_with(wild: Quote) -> None:
    good = quote(OPEN + SECOND)
    before = conflated(conflated(None, wild), quote(OPEN + 1, 99.0, 100.02))
    passed = told(validator(), conflated(before, good)).event
    assert isinstance(passed, Quote)
    assert (passed.bid, passed.ask) == (100.0, 100.01)
    assert 99.0 <= passed.low <= 100.0
    assert 100.01 <= passed.high <= 100.02


def test_a_locked_quote_passes() -> None:
    assert not told(validator(), quote(bid=100.0, ask=100.0)).findings


def test_crossed_sides_are_never_swapped() -> None:
    assert told(validator(), quote(bid=100.05, ask=100.0)).event is None


def test_a_wide_quote_passes_and_is_told() -> None:
    verdict = told(validator(), quote(ask=107.0))
    assert (names(verdict), verdict.outcome) == (["wide_spread"], Outcome.FLAGGED)


@pytest.mark.parametrize("size", [NAN, INF, -5.0])
def test_sizes_that_cannot_be_become_unknown_and_the_prices_stay(size: float) -> None:
    verdict = told(validator(), quote(bid_size=size))
    assert (names(verdict), verdict.outcome) == (["size_unknown"], Outcome.REPAIRED)
    assert verdict.event == quote(bid_size=0.0)


def test_an_older_quote_does_not_replace_a_newer_one() -> None:
    judge = validator()
    told(judge, quote(OPEN + SECOND))
    assert names(told(judge, quote(OPEN))) == ["quote_goes_back"]
    assert not told(judge, quote(OPEN + SECOND)).findings, "two of one time are in order"


def test_a_trade_that_is_reported_late_passes_and_is_told() -> None:
    judge = validator()
    told(judge, trade(OPEN + SECOND))
    verdict = told(judge, trade(OPEN))
    assert (names(verdict), verdict.event) == (["trade_goes_back"], trade(OPEN))


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"price": NAN}, "not_finite"),
        ({"price": 0.0}, "not_positive"),
        ({"price": -3.0}, "not_positive"),
        ({"size": -1.0}, "negative_volume"),
        ({"size": NAN}, "not_finite"),
    ],
)
def test_a_trade_that_cannot_be_is_set_aside(changed: dict[str, float], rule: str) -> None:
    verdict = told(validator(), trade(**changed))
    assert (names(verdict), verdict.event) == ([rule], None)


def test_a_trade_far_from_the_last_price_is_set_aside() -> None:
    judge = validator()
    told(judge, trade())
    assert names(told(judge, trade(OPEN + SECOND, 98.0))) == ["off_market"]
    assert not told(judge, trade(OPEN + 2 * SECOND)).findings


def test_trades_that_agree_with_each_other_are_the_new_price() -> None:
    judge = validator()
    told(judge, trade())
    heard = [names(told(judge, trade(OPEN + at * SECOND, 95.0 + at / 100))) for at in range(1, 5)]
    assert heard == [["off_market"], ["off_market"], ["level_confirmed"], []]


def test_one_trade_reported_in_pieces_confirms_nothing() -> None:
    judge = validator()
    told(judge, trade())
    assert {tuple(names(told(judge, trade(OPEN + SECOND, 95.0)))) for _ in range(9)} == {("off_market",)}


def test_odd_trades_among_good_ones_never_add_up() -> None:
    judge = validator()
    for at in range(0, 40, 2):
        assert not told(judge, trade(OPEN + at * SECOND)).findings
        assert names(told(judge, trade(OPEN + (at + 1) * SECOND, 98.0))) == ["off_market"]


def test_after_a_silence_the_price_may_be_further_away() -> None:
    judge = validator()
    told(judge, trade())
    assert names(told(judge, trade(OPEN + MINUTE, 93.0))) == ["off_market"]
    assert not told(judge, trade(OPEN + 16 * HOUR, 93.0)).findings


def test_a_price_of_cents_may_move_by_its_steps() -> None:
    judge = validator()
    told(judge, trade(price=1.50))
    assert not told(judge, trade(OPEN + SECOND, 1.53)).findings, "2 %, and three steps of a cent"


def test_a_quote_far_from_the_last_trade_is_set_aside() -> None:
    judge = validator()
    told(judge, trade())
    assert names(told(judge, quote(OPEN + SECOND, 70.0, 70.1))) == ["far_from_last"]
    assert names(told(judge, quote(OPEN + SECOND, 10.0, 10.5))) == ["far_from_last"]


def test_the_close_of_a_bar_is_a_price_to_measure_trades_against() -> None:
    judge = validator()
    told(judge, trade())
    told(judge, bar(OPEN, 100.0))
    told(judge, bar(OPEN + MINUTE, 103.0))
    assert not told(judge, trade(OPEN + 2 * MINUTE, 103.0)).findings


def test_a_tick_of_tomorrow_is_set_aside() -> None:
    assert names(validator().check(trade(OPEN + HOUR), OPEN)) == ["from_the_future"]
    assert names(validator().check(quote(OPEN + HOUR), OPEN)) == ["from_the_future"]


def test_a_trade_outside_the_band_of_the_exchange_is_told() -> None:
    judge = validator()
    assert not judge.check(PriceBand("SPY", OPEN, 99.5, 100.5), OPEN).findings
    assert not told(judge, trade()).findings
    assert names(told(judge, trade(OPEN + SECOND, 100.6))) == ["outside_band"]


@pytest.mark.parametrize(("low", "high"), [(NAN, 1.0), (2.0, 1.0), (0.0, 1.0), (1.0, INF)])
def test_a_band_that_cannot_be_is_set_aside_and_does_not_hold(low: float, high: float) -> None:
    judge = validator()
    assert names(judge.check(PriceBand("SPY", OPEN, low, high), OPEN)) == ["bad_band"]
    assert not told(judge, trade()).findings


def test_in_session_a_mute_symbol_is_stale_and_a_halted_one_is_not() -> None:
    judge = validator()
    told(judge, quote())
    now = OPEN + 61 * SECOND
    assert [(one.rule, one.symbol) for one in judge.silent(now)] == [("stale", "SPY")]
    assert judge.silent(OPEN + 60 * SECOND) == ()
    judge.check(TradingStatus("SPY", OPEN, True), OPEN)
    assert judge.silent(now) == ()
    judge.check(TradingStatus("SPY", OPEN, False), OPEN)
    assert len(judge.silent(now)) == 1


def test_outside_the_session_nothing_is_stale_and_the_next_one_counts_from_its_open() -> None:
    judge = validator()
    told(judge, quote())
    assert judge.silent(OPEN + 8 * HOUR) == ()
    tomorrow = OPEN + 24 * HOUR
    assert judge.silent(tomorrow + 60 * SECOND) == ()
    assert [one.amount for one in judge.silent(tomorrow + 61 * SECOND)] == [61]


def test_a_bar_that_does_not_come_is_missed() -> None:
    judge = validator()
    told(judge, bar())
    due = OPEN + 2 * MINUTE
    assert judge.silent(due + 30 * SECOND) == ()
    assert [one.rule for one in judge.silent(due + 31 * SECOND)] == ["bar_missing"]
    assert judge.silent(OPEN + 8 * HOUR) == ()


def heard(count: int, late: float, source: str = "a") -> list[Quote]:
    times = [OPEN + at * SECOND for at in range(count)]
    return [replace(quote(time), source=source, received=time + round(late * SECOND)) for time in times]


@pytest.mark.parametrize(
    ("late", "rules"),
    [(0.05, []), (-0.2, []), (0.3, ["clock_skew"]), (-0.3, ["clock_skew"]), (-1.27, ["clock_skew_inhibits"])],
)
def test_a_clock_that_is_off_is_told_once_and_not_for_each_quote(late: float, rules: list[str]) -> None:
    judge = validator()
    found = [name for one in heard(500, late) for name in names(told(judge, one))]
    assert found == rules
    assert judge.clocks.skews == {"a": round(late * SECOND)}
    assert judge.clocks.worst() == (rules[0] if rules else "")


def test_one_late_quote_in_ten_moves_no_clock() -> None:
    judge = validator()
    mixed = [
        one if at % 10 else replace(one, received=one.time + 9 * SECOND) for at, one in enumerate(heard(300, 0.02))
    ]
    assert [name for one in mixed for name in names(told(judge, one))] == []


def test_a_clock_that_comes_right_again_is_told_again_when_it_goes_wrong() -> None:
    judge = validator()
    for late, rules in ((-2.0, ["clock_skew_inhibits"]), (0.0, []), (-2.0, ["clock_skew_inhibits"])):
        found = [name for one in heard(100, late) for name in names(judge.check(one, one.received)) if "clock" in name]
        assert found == rules


def test_each_source_has_its_own_clock() -> None:
    judge = validator()
    for good, bad in zip(heard(100, 0.0, "good"), heard(100, 1.5, "bad"), strict=True):
        told(judge, good)
        told(judge, bad)
    assert judge.clocks.skews == {"good": 0, "bad": 1_500_000_000}
    assert judge.clocks.worst() == "clock_skew_inhibits"


def test_a_band_of_yesterday_says_nothing_today() -> None:
    judge = validator()
    judge.check(PriceBand("SPY", OPEN, 99.5, 100.5), OPEN)
    assert not told(judge, trade(OPEN + 7 * HOUR, 100.6)).findings
    assert not told(judge, trade(OPEN + 7 * HOUR, 100.7)).findings


@pytest.mark.parametrize("known_first", [True, False])
def test_a_known_split_explains_the_first_tick_after_it(known_first: bool) -> None:
    split = Split("SPY", OPEN + 10 * HOUR, 7, 1)
    judge = validator(splits={"SPY": [split]} if known_first else None)
    told(judge, trade())
    judge.split(split)
    assert not told(judge, trade(OPEN + 20 * HOUR, 100 / 7)).findings
    assert not told(judge, quote(OPEN + 20 * HOUR, 14.28, 14.29)).findings
    assert names(told(judge, trade(OPEN + 20 * HOUR, 100 / 49))) == ["off_market"], "it happens once"


def test_data_that_are_late_on_purpose_make_no_clock_wrong_and_no_symbol_stale() -> None:
    judge = validator(ValidationLimits(delay_seconds=900))
    assert [name for one in heard(200, 900.1) for name in names(told(judge, one))] == []
    assert judge.silent(OPEN + 199 * SECOND + 960 * SECOND) == ()
    assert [one.rule for one in judge.silent(OPEN + 199 * SECOND + 961 * SECOND)] == ["stale"]


def test_findings_tell_how_late_and_how_far() -> None:
    judge = validator()
    told(judge, trade(OPEN + 3 * SECOND))
    told(judge, quote(OPEN + 3 * SECOND))
    late = [told(judge, one).findings[0] for one in (trade(OPEN + SECOND), quote(OPEN + SECOND))]
    assert [(one.rule, one.amount) for one in late] == [("trade_goes_back", 2.0), ("quote_goes_back", 2.0)]
    early = judge.check(trade(OPEN + HOUR), OPEN).findings[0]
    assert (early.amount, early.text) == (3600.0, "3600.0 s from now")
    far = told(judge, quote(OPEN + 4 * SECOND, 50.0, 50.2)).findings[0]
    assert far.text == "50.1, the last price was 100.005"
    assert round(far.amount, 4) == round(100.005 / 50.0, 4)
    wide = told(judge, quote(OPEN + 4 * SECOND, 97.0, 103.0)).findings[0]
    assert (wide.amount, "6.0 % of the middle" in wide.text) == (0.06, True)


def test_a_wide_quote_far_away_is_set_aside() -> None:
    judge = validator()
    told(judge, trade())
    assert names(told(judge, quote(OPEN, 50.0, 54.0))) == ["wide_spread", "far_from_last"]


def test_a_price_below_a_dollar_moves_by_hundredths_of_a_cent() -> None:
    judge = validator()
    told(judge, trade(price=0.50))
    assert names(told(judge, trade(OPEN + SECOND, 0.51))) == ["off_market"]
    assert not told(judge, trade(OPEN + SECOND, 0.5052)).findings
