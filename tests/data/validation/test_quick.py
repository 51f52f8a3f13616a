"""The quick test lets most events pass with a few comparisons; it must say what the whole table of rules would."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.data.validation.bars import BarJudge
from appliance.data.validation.limits import DEFAULTS, ValidationLimits
from appliance.data.validation.ticks import TickJudge
from appliance.domain.market import MINUTE, SECOND, Bar, PriceBand, Split
from tests.data.validation.scenes import OPEN, WEEK, bar, quote, trade

ODD = [
    float("nan"),
    float("inf"),
    0.0,
    -1.0,
    0.01,
    14.3,
    50.0,
    98.0,
    99.0,
    99.5,
    100.5,
    101.0,
    102.0,
    150.0,
    320.0,
    700.0,
]
NEAR = st.floats(99.9, 100.1)
PRICE = st.one_of(NEAR, NEAR, NEAR, NEAR, NEAR, NEAR, st.sampled_from(ODD))
SIZE = st.sampled_from([1000.0, 900.0, 1100.0, 0.0, 150_000.0, float("nan"), -1.0, float("inf")])
CALM = [bar(OPEN + at * MINUTE, 100.0 + at % 2 / 100) for at in range(30)]
SPLITS = [Split("SPY", OPEN + 40 * MINUTE, 7, 1)]
STRANGE = ValidationLimits(jump_ratio=5.0, impossible_ratio=5.0, jump_sigmas=1000, sigma_floor=0.1)


@st.composite
def bars(draw: st.DrawFn) -> list[Bar]:
    """Calm minutes, then some that step, skip, stand still, or are odd."""
    made, start = list(CALM), OPEN + 30 * MINUTE
    for _ in range(draw(st.integers(1, 15))):
        opened, close = draw(PRICE), draw(PRICE)
        wick = draw(st.sampled_from([0.0, 0.0, 0.01, 0.01, 0.5, 5.0, 300.0]))
        high, low = max(opened, close) + wick, min(opened, close) - draw(st.sampled_from([0.0, 0.01, wick / 4]))
        end = start + draw(st.sampled_from([MINUTE, MINUTE, MINUTE, MINUTE, 2 * MINUTE, 0, SECOND]))
        made.append(Bar("SPY", "1m", start, end, opened, high, low, close, draw(SIZE)))
        start += MINUTE * draw(st.sampled_from([1, 1, 1, 1, 1, 0, -1, 3]))
    return made


@pytest.mark.parametrize("limits", [DEFAULTS, STRANGE])
@settings(max_examples=300)
@given(told=bars(), early=st.sampled_from([0, 0, 0, 59 * SECOND, 61 * SECOND]))
def test_a_bar_gets_the_same_verdict_by_the_quick_test_and_by_all_rules(
    limits: ValidationLimits, told: Sequence[Bar], early: int
) -> None:
    quick, whole = (BarJudge("1m", WEEK, limits, SPLITS) for _ in range(2))
    for one in told:
        expected, now = repr(whole._closely(one, one.end - early)), one.end - early
        assert repr(quick.check(one, now)) == expected


TIMES = st.lists(st.sampled_from([0, 1, 1, 1, SECOND, MINUTE, -1, 90 * MINUTE]), min_size=1, max_size=20)


@settings(max_examples=300)
@given(st.data(), TIMES, st.sampled_from([0, 0, 59 * SECOND, 61 * SECOND]))
def test_ticks_get_the_same_verdict_by_the_quick_test_and_by_all_rules(
    data: st.DataObject, steps: list[int], early: int
) -> None:
    quick, whole = TickJudge(DEFAULTS, SPLITS), TickJudge(DEFAULTS, SPLITS)
    time = OPEN
    for step in steps:
        time += step
        if data.draw(st.booleans()):
            bid = data.draw(PRICE)
            ask = data.draw(st.one_of(st.just(bid), PRICE))
            sizes = data.draw(SIZE), data.draw(SIZE)
            told = replace(quote(time, bid, ask), bid_size=sizes[0], ask_size=sizes[1])
            pair = quick.quote(told, time - early), whole._quote_closely(told, time - early)
        elif data.draw(st.integers(0, 9)) == 0:
            band = PriceBand("SPY", time, 99.95, 100.05)
            pair = quick.band(band), whole.band(band)
        else:
            tick = replace(trade(time, data.draw(PRICE)), size=data.draw(SIZE))
            pair = quick.trade(tick, time - early), whole._trade_closely(tick, time - early)
        assert repr(pair[0]) == repr(pair[1])
        assert (quick.quoted, quick.traded) == (whole.quoted, whole.traded)
