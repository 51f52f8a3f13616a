from __future__ import annotations

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.data.cache.columns import packed, unpacked
from appliance.domain.market import Bar

whole = st.integers(-(2**63), 2**63 - 1)
price = st.one_of(st.sampled_from([100.0, 0.0, -0.0]), st.floats())
made = st.builds(
    Bar, st.just("SPY"), st.just("1m"), whole, whole, price, price, price, price, price,
    st.sampled_from(["", "alpaca", "ibkr"]), st.one_of(st.just(7), whole), st.one_of(st.just(0), whole),
)  # fmt: skip


@given(st.lists(made, max_size=30))
def test_bars_come_back_bit_by_bit(bars):
    again = unpacked("SPY", "1m", packed(bars))
    assert [pickle.dumps(tuple(map(repr, _fields(bar)))) for bar in again] == [
        pickle.dumps(tuple(map(repr, _fields(bar)))) for bar in bars
    ]


def _fields(bar: Bar) -> list[object]:
    return [getattr(bar, name) for name in bar.__struct_fields__]


def test_what_is_the_same_in_all_bars_is_kept_once():
    bars = [Bar("SPY", "1m", n, n + 1, n + 0.5, 2.0, 1.0, 1.5, 9.0, "alpaca", 77) for n in range(1_000)]
    assert len(packed(bars)) < 3 * 8 * 1_000 + 200
    assert unpacked("SPY", "1m", packed(bars)) == tuple(bars)
    assert math.isclose(unpacked("QQQ", "5m", packed(bars))[3].open, 3.5)


def test_prices_that_come_again_and_again_take_a_byte_each():
    bars = [
        Bar("SPY", "1m", 3 * n, 3 * n + 3, *(100 + n % k / 100 for k in (91, 92, 93, 94, 255))) for n in range(2_000)
    ]
    assert len(packed(bars)) < (2 * 8 + 5) * 2_000 + 5 * 8 * 256
    again = unpacked("SPY", "1m", packed(bars))
    assert again == tuple(bars)
    assert again[0].close is again[94].close
    assert again[0].end is again[1].start


@pytest.mark.parametrize("data", [b"", b"abc", packed([])[:-1], packed([Bar("A", "1m", 1, 2, 1, 1, 1, 1, 1)])[:40]])
def test_bytes_of_another_form_are_refused(data):
    with pytest.raises(ValueError, match=r"truncated|array|Expected"):
        unpacked("A", "1m", data)
