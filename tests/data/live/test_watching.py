"""Silence that sessions and halts explain is none; quotes that disagree for long are told, and told when they agree."""

from __future__ import annotations

from appliance.data.live.agreement import Agreement
from appliance.data.live.staleness import Freshness, Staleness
from appliance.data.sources.base import Kind
from appliance.domain.market import HOUR, SECOND, Quote, Session, Sessions, TradingStatus

OPEN = 1_700_000_000 * SECOND
DAY = Sessions([Session("2023-11-14", OPEN, OPEN + HOUR)])


def watch() -> Staleness:
    return Staleness(lambda symbol: DAY, {Kind.QUOTES: 10 * SECOND}, OPEN - HOUR)


def at(seconds: int, staleness: Staleness) -> Freshness:
    return staleness.of("SPY", Kind.QUOTES, OPEN + seconds * SECOND)


def test_silence_counts_from_the_open_and_ends_with_the_session() -> None:
    found = [at(seconds, watch()) for seconds in (-1, 0, 9, 10, 19, 20, 3599, 3600)]
    fresh, late, stale, closed = Freshness.FRESH, Freshness.LATE, Freshness.STALE, Freshness.CLOSED
    assert found == [closed, fresh, fresh, late, late, stale, stale, closed]


def test_data_end_silence_and_other_channels_do_not() -> None:
    staleness = watch()
    staleness.heard("SPY", Kind.BARS, OPEN + 25 * SECOND)
    assert at(25, staleness) is Freshness.STALE
    staleness.heard("SPY", Kind.QUOTES, OPEN + 25 * SECOND)
    assert at(34, staleness) is Freshness.FRESH


def test_a_halt_explains_silence_which_counts_anew_from_its_end() -> None:
    staleness = watch()
    staleness.status(TradingStatus("SPY", OPEN, True), OPEN)
    assert at(600, staleness) is Freshness.HALTED
    assert not staleness.telling("SPY", OPEN + 600 * SECOND)
    staleness.status(TradingStatus("SPY", OPEN, False), OPEN + 600 * SECOND)
    assert [at(609, staleness), at(610, staleness)] == [Freshness.FRESH, Freshness.LATE]


def compared(agreement: Agreement, second: int, apart: float) -> list[bool]:
    """Quotes of two sources, ``apart`` USD from each other: whether the notices that follow hold."""
    told = agreement.quote(Quote("SPY", second, 100.0, 100.02, source="a"), second * SECOND)
    told += agreement.quote(Quote("SPY", second, 100.0 + apart, 100.02 + apart, source="b"), second * SECOND)
    return [notice.holds for notice in told]


def test_disagreement_is_told_once_after_its_patience_and_again_when_it_ends() -> None:
    agreement = Agreement()
    assert compared(agreement, 0, 0.4) == []
    assert [compared(agreement, second, 1.0) for second in range(1, 9)] == [[], [], [], [], [], [True], [], []]
    assert compared(agreement, 9, 0.0)[-1:] == [False]


def test_a_short_disagreement_is_not_told() -> None:
    agreement = Agreement()
    assert not any(compared(agreement, second, 1.0) for second in range(4))
    assert not any(compared(agreement, second, 0.0) for second in range(4, 20))


def test_a_source_that_is_gone_disagrees_with_nobody_and_begins_anew_when_it_is_back() -> None:
    agreement = Agreement()
    for second in range(7):
        compared(agreement, second, 1.0)
    (over,) = agreement.gone("b")
    assert (over.code, over.holds) == ("quotes_disagree/SPY/a/b", False)
    assert agreement.gone("b") == []
    assert [compared(agreement, second, 1.0) for second in range(8, 15)] == [[], [], [], [], [], [True], []]
