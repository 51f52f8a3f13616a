"""What an author writes as a number: exact, towards zero, and never more than can be meant."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.netting import legs
from appliance.domain.trading import OrderType, Side, TimeInForce, Trail
from appliance.errors import StrategyError
from appliance.strategy import amounts
from appliance.strategy.amounts import GRAIN, MOST

D = Decimal
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "shares"),
    [
        (5, "5"), (-5, "-5"), (0, "0"), (7.0, "7"), (-0.0, "0"), ("0.5", "0.5"), ("1e3", "1000"), (D("1.5"), "1.5"),
        (numpy.int64(4), "4"), (numpy.uint8(4), "4"), (numpy.float64(4), "4"), (numpy.float32(4), "4"),
        (Fraction(8, 2), "4"), ("0.000000001", "1E-9"), (10**12, "1000000000000"),
    ],
)  # fmt: skip
def test_shares_are_exact(value: Any, shares: str) -> None:
    assert str(amounts.shares("call", value)) == shares


@pytest.mark.parametrize(
    "value",
    [
        0.5, NAN, INF, -INF, "nan", "sNaN", "inf", "", "x", " ", True, numpy.True_, None, [1], b"5", object(), 1j,
        numpy.float64("nan"), numpy.array([1, 2]), Fraction(1, 2), D("NaN"), D("sNaN"), D("-Infinity"),
        10**13, -(10**13), 10**5000, 1e300, "1e1000000", "-1e1000000", "1e-1000000", "0.0000000001",
        "1.00000000000000000000000001", "\ud800",
    ],
    ids=lambda value: f"{value!r:.20}" if not isinstance(value, int) or abs(value) < 10**20 else "huge",
)  # fmt: skip
def test_what_is_no_number_of_shares_is_refused_in_words_that_can_be_sent(value: Any) -> None:
    with pytest.raises(StrategyError) as refused:
        amounts.shares("target('SPY')", value)
    assert refused.value.text.startswith("target('SPY'): quantity=")
    assert refused.value.text.encode()
    assert len(refused.value.text) < 300


@given(st.decimals(allow_nan=True, allow_infinity=True) | st.integers() | st.floats() | st.text(max_size=8))
def test_whatever_is_taken_can_be_netted(value: Any) -> None:
    """Arithmetic of the host never fails on what an author was allowed to write."""
    try:
        shares = amounts.shares("call", value)
    except StrategyError:
        return
    for held in (D(0), D("123.456"), -MOST):
        for leg in legs(shares, held, D(0)) or ():
            assert leg.quantity > 0
            assert leg.quantity == leg.quantity.quantize(GRAIN)


@pytest.mark.parametrize(
    "value", [0, -1, NAN, INF, "nan", "1e1000000", "1e-1000000", 10**13, True, None, [1], "\ud800"]
)
def test_what_is_no_price_is_refused(value: Any) -> None:
    with pytest.raises(StrategyError, match=r"limit=.* is not a price"):
        amounts.price("call", "limit", value)


@pytest.mark.parametrize(
    ("value", "price"),
    [
        (99.5, "99.5"), (0.1 + 0.2, "0.3"), (100 * 1.1, "110"), (60_000.1 * 1.1, "66000.11"), (7, "7"),
        ("0.01", "0.01"), (145.015173352, "145.015173352"), (40.30415670412, "40.30415670412"),
        (D("40.30415670412"), "40.30415670412"), (numpy.float64(1 / 3), "0.333333333333"),
    ],
)  # fmt: skip
def test_a_price_has_the_decimals_of_an_adjusted_one_and_no_noise(value: Any, price: str) -> None:
    assert amounts.price("call", "limit", value) == D(price)


@pytest.mark.parametrize(
    ("value", "trail"), [(1.5, Trail(D("1.5"))), ("2%", Trail(D(2), True)), ("99.9%", Trail(D("99.9"), True))]
)
def test_a_distance_is_usd_or_percent(value: Any, trail: Trail) -> None:
    assert amounts.trail("call", "trailing", value) == trail


@pytest.mark.parametrize("value", [0, -1, "0%", "100%", "-1%", "%", "x%", NAN, INF, "1e1000000", True, "nan%"])
def test_what_is_no_distance_is_refused(value: Any) -> None:
    with pytest.raises(StrategyError, match=r"trailing=.* is not a distance"):
        amounts.trail("call", "trailing", value)


@pytest.mark.parametrize(
    ("value", "unit", "at", "shares"),
    [
        (0.5, "1000", 3.0, "166"), (-0.5, "1000", 3.0, "-166"), (1, "0.29", 0.1, "2"), (1, "0.30", 0.1, "3"),
        (0, "1000", 3.0, "0"), (-0.0001, "1000", 3.0, "0"), (1, "0", 3.0, "0"),
        (numpy.float64(0.5), "1000", 3.0, "166"),
        ("0.1", "12345678901234567.89", 1.0, None), (D("0.5"), "99.99", 10.0, "4"),
    ],
)  # fmt: skip
def test_a_size_is_whole_shares_towards_zero(value: Any, unit: str, at: float, shares: str | None) -> None:
    if shares is None:
        with pytest.raises(StrategyError, match="shares"):
            amounts.sized("call", "weight", value, D(unit), at)
    else:
        assert str(amounts.sized("call", "weight", value, D(unit), at)) == shares


@given(st.integers(-100, 100), st.decimals(0, 10**9, places=2), st.floats(0.01, 1e6))
def test_a_size_never_costs_more_than_was_meant(percent: int, equity: Decimal, at: float) -> None:
    shares = amounts.sized("call", "weight", D(percent) / 100, equity, at)
    assert shares == shares.to_integral_value()
    assert abs(shares) * D(repr(at)) <= abs(D(percent) / 100 * equity)
    assert shares * percent >= 0


@pytest.mark.parametrize(
    ("value", "at"),
    [(NAN, 1.0), (INF, 1.0), ("x", 1.0), (1, NAN), (1, INF), (1, 0.0), (1, -5.0), (1e17, 1.0), (1, 1e-30)],
)
def test_a_size_of_nothing_sensible_is_refused(value: Any, at: float) -> None:
    with pytest.raises(StrategyError):
        amounts.sized("call", "notional", value, D(1_000_000), at)


@pytest.mark.parametrize(
    ("given_", "kind"),
    [
        ((None, None, None), OrderType.MARKET), ((1, None, None), OrderType.LIMIT), ((None, 1, None), OrderType.STOP),
        ((1, 1, None), OrderType.STOP_LIMIT), ((None, None, "1%"), OrderType.TRAILING_STOP),
    ],
)  # fmt: skip
def test_what_is_given_says_which_order_it_is(given_: Any, kind: OrderType) -> None:
    assert amounts.terms("call", *given_, "gtc").type is kind
    assert amounts.terms("call", *given_, "gtc").time_in_force is TimeInForce.GTC


@pytest.mark.parametrize("given_", [(1, None, 1), (None, 1, 1), (1, 1, 1)])
def test_a_trailing_stop_takes_no_price(given_: Any) -> None:
    with pytest.raises(StrategyError, match="neither limit nor stop"):
        amounts.terms("call", *given_, "day")


@pytest.mark.parametrize("value", ["BUY", "", None, 1, "long"])
def test_a_side_is_buy_or_sell(value: Any) -> None:
    assert amounts.side("call", "sell") is Side.SELL
    with pytest.raises(StrategyError, match='write "buy" or "sell"'):
        amounts.side("call", value)
    with pytest.raises(StrategyError, match="one of day, gtc, ioc, fok"):
        amounts.terms("call", None, None, None, value)
