"""What trading costs in the simulated market: commissions, slippage, impact, latency, financing, and sizing."""

from __future__ import annotations

from decimal import Decimal
from math import log, sqrt
from typing import Any

import msgspec
import pytest

from appliance.core.metrics.latency import Histogram
from appliance.core.models import PRESETS, MarketModel
from appliance.core.models.commission import FREE, IB_EXACT, Alpaca, AnyCommission, Commission, MakerTaker, Percent
from appliance.core.models.fills import Fills
from appliance.core.models.financing import Financing, borrow_fee, margin_interest
from appliance.core.models.impact import Almgren, AnyImpact, Linear, SquareRoot
from appliance.core.models.latency import Delay, Drawn
from appliance.core.models.sizing import Sizer, Sizing
from appliance.core.models.slippage import (
    AnySlippage,
    Conditions,
    Fixed,
    NoSlippage,
    Proportional,
    Spread,
    Ticks,
    Volatility,
    VolumeShare,
)
from appliance.domain import messages
from appliance.domain.market import Quote
from appliance.domain.trading import OrderType, Side
from tests.core.market.test_fill_rules import bar, filled, market, quotes, wished
from tests.core.market.test_market import reported
from tests.playbook import BEGIN, SECOND

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
MINUTE = 60 * SECOND


# --- commissions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("commission", "side", "makes", "shares", "notional", "fee"),
    [
        (Commission(), BUY, False, 697, "99930.55", "3.49"),  # 3.485 rounds half up
        (IB_EXACT, BUY, False, 697, "99930.55", "3.485"),
        (Percent(D("0.2")), SELL, False, 10, "1234.5", "2.46900"),
        (Percent(D("0.2"), D(5)), SELL, False, 10, "1234.5", "5"),
        (Percent(D("0.2"), to_cent=True), SELL, False, 10, "1234.5", "2.47"),
        (MakerTaker(D("0.02"), D("0.05")), BUY, True, 1, "10000", "2"),
        (MakerTaker(D("0.02"), D("0.05")), BUY, False, 1, "10000", "5"),
        (Alpaca(), BUY, False, 1000, "50000", "0.05"),  # CAT alone: 0.046, up
        (Alpaca(), SELL, False, 1000, "50000", "1.61"),  # CAT 0.05, SEC 1.39, TAF 0.166 up to 0.17
        (Alpaca(D(0)), SELL, False, 100_000, "50000", "12.90"),  # CAT 4.60, no SEC, TAF 16.60 but at most 8.30
        (FREE, SELL, False, 1000, "50000", "0.00"),
    ],
)
def test_what_each_schedule_charges(
    commission: AnyCommission, side: Side, makes: bool, shares: int, notional: str, fee: str
) -> None:
    assert commission.charge(D(shares), D(notional), side, makes) == D(fee)


def test_a_limit_that_rested_makes_and_one_that_crosses_takes() -> None:
    model = MarketModel(MakerTaker(D(1), D(2)))
    with market(model) as play:
        play >> wished(type=OrderType.LIMIT, limit_price=D(98)) << reported("accept")
        play >> bar(1, 100, 101, 97, 99) << (lambda said: said.commission == D(98))
        play >> wished(1, id="b", type=OrderType.LIMIT, limit_price=D(100)) << reported("accept")
        play >> bar(2, 99, 101, 97, 99) << (lambda said: said.commission == D(198))


# --- slippage and impact --------------------------------------------------------------------------

HERE = Conditions(spread=0.04, high=102.0, low=98.0, volume=10_000.0, length=MINUTE)
SIGMA = log(102 / 98) / (2 * sqrt(log(2)))
"""Parkinson's volatility of that minute."""


@pytest.mark.parametrize(
    ("slippage", "expected"),
    [
        (NoSlippage(), 0.0),
        (Fixed(0.03), 0.03),
        (Ticks(2), 0.02),
        (Ticks(2, 0.05), 0.1),
        (Proportional(0.05), 0.05),
        (Spread(50), 0.02),
        (VolumeShare(2.5, 0.1), 100 * 0.1 * 0.01**2),  # 100 shares of 10,000
        (VolumeShare(0.5, 0.1), 100 * 0.1 * 0.005**2),
        (Volatility(0.1), 100 * 0.1 * SIGMA),
    ],
)
def test_what_each_slippage_adds(slippage: AnySlippage, expected: float) -> None:
    assert slippage.of(100.0, 100.0, HERE) == pytest.approx(expected, rel=1e-12)


def test_a_spread_that_nobody_quotes_is_assumed() -> None:
    assert Spread(50, assumed_percent=0.1).of(100.0, 1.0, Conditions()) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("impact", "expected"),
    [
        (SquareRoot(1.0), 100 * SIGMA * sqrt(0.01)),
        (Linear(0.314), 100 * 0.314 * SIGMA * sqrt(390) * 0.01 / 390),
        (Almgren(0.142, 0.314), 100 * SIGMA * sqrt(390) * (0.142 * 0.01**0.6 + 0.157 * 0.01 / 390)),
    ],
)
def test_what_each_impact_adds(impact: AnyImpact, expected: float) -> None:
    assert impact.of(100.0, 100.0, HERE) == pytest.approx(expected, rel=1e-12)


def test_the_square_root_law_is_the_same_by_the_minute_and_by_the_day() -> None:
    daily = SIGMA * sqrt(390)  # what 390 minutes of this volatility make
    by_the_day = 100 * daily * sqrt(100 / (390 * HERE.volume))
    assert SquareRoot().of(100.0, 100.0, HERE) == pytest.approx(by_the_day, rel=1e-12)


@pytest.mark.parametrize("impact", [SquareRoot(), Linear(), Almgren()])
def test_without_a_bar_there_is_no_impact_and_a_bar_without_volume_is_all_taken(impact: AnyImpact) -> None:
    assert impact.of(100.0, 100.0, Conditions(spread=1.0)) == 0.0
    empty = Conditions(high=102.0, low=98.0, volume=0.0, length=MINUTE)
    assert impact.of(100.0, 100.0, empty) == impact.of(100.0, 1e12, HERE)


def slipping(usd: float, **rules: Any) -> MarketModel:
    return MarketModel(FREE, Fills(**rules), slippage=Fixed(usd))


@pytest.mark.parametrize(
    ("kind", "side", "prices", "usd", "price"),
    [
        (OrderType.MARKET, BUY, {}, 0.5, "100.5"),
        (OrderType.MARKET, SELL, {}, 0.5, "99.5"),
        (OrderType.MARKET, BUY, {}, 50, "104.0"),  # not beyond the bar
        (OrderType.MARKET, SELL, {}, 50, "97.0"),
        (OrderType.STOP, SELL, {"stop_price": D(98)}, 0.25, "97.75"),
        (OrderType.STOP, SELL, {"stop_price": D(98)}, 5, "97.0"),
        (OrderType.LIMIT, BUY, {"limit_price": D(98)}, 0.25, "98.0"),  # a limit that rested keeps its price
        (OrderType.LIMIT, BUY, {"limit_price": D(102)}, 0.25, "100.25"),  # met at a better open
        (OrderType.LIMIT, BUY, {"limit_price": D("100.1")}, 0.25, "100.1"),  # and never beyond the limit
    ],
)
def test_slippage_is_paid_and_ends_at_the_limit_and_at_the_range_of_the_bar(
    kind: OrderType, side: Side, prices: dict[str, Any], usd: float, price: str
) -> None:
    with market(slipping(usd)) as play:
        play >> wished(type=kind, side=side, **prices) << reported("accept")
        play >> bar(1, 100, 104, 97, 101) << (lambda said: said.price == D(price))


def test_without_a_bound_slippage_goes_beyond_the_bar_but_not_to_nothing() -> None:
    for side, usd, price in ((BUY, 50, "150.0"), (SELL, 500, "0.000001")):
        with market(slipping(usd, bound="none")) as play:
            play >> wished(side=side) << reported("accept") >> bar(1, 100, 104, 97, 101)
            play << (lambda said, price=price: said.price == D(price))


def test_an_order_for_the_ask_of_a_quote_bar_slips_to_its_highest_ask_and_a_single_quote_has_no_range() -> None:
    with market(slipping(5)) as play:
        play >> wished() << reported("accept") >> quotes(1, (99,) * 4, (100, 103, 100, 101)) << filled("103.0", BEGIN)
    with market(slipping(5)) as play:
        play >> wished() << reported("accept")
        play >> messages.Ticks(1, (Quote("SPY", BEGIN + 1, 99.0, 100.0),)) << filled("105.0", BEGIN + 1)


# --- latency --------------------------------------------------------------------------------------


def test_an_order_is_met_no_earlier_than_it_arrives() -> None:
    model = MarketModel(FREE, latency=Delay(90_000))
    with market(model) as play:
        play >> wished() << reported("accept") >> bar(1, 100, 104, 97, 101)
        play >> bar(2, 100, 104, 97, 102) << filled("102.0", BEGIN + 2 * MINUTE)  # under way: its close


def test_an_order_on_its_way_does_not_fill_at_once() -> None:
    model = MarketModel(FREE, Fills("at_once"), latency=Delay(1))
    with market(model) as play:
        play >> bar(0, 9, 12, 8, 10) >> wished() << reported("accept")
        play >> bar(1, 11, 12, 8, 10) << filled("10.0", BEGIN + MINUTE)


def test_latencies_are_drawn_from_the_recorded_ones_as_often_and_always_the_same() -> None:
    histogram = Histogram()
    for latency in [2_000_000] * 700 + [50_000_000] * 300:
        histogram.add(latency)
    drawn = Drawn(histogram.values())
    found = [drawn.of(f"trend-1-{n}") for n in range(5_000)]
    assert set(found) == {value for value, _ in histogram.values()}
    assert found == [drawn.of(f"trend-1-{n}") for n in range(5_000)]
    assert found != [Drawn(histogram.values(), seed=2).of(f"trend-1-{n}") for n in range(5_000)]
    assert sum(latency > 10_000_000 for latency in found) / 5_000 == pytest.approx(0.3, abs=0.03)


# --- financing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("worth", "days", "fee"),
    [("100000", 1, "0.69"), ("-100000", 1, "0.69"), ("100000", 3, "2.08"), ("100000", 0, "0.00"), ("0", 9, "0.00")],
)
def test_the_fee_for_borrowed_shares_by_days_over_360(worth: str, days: int, fee: str) -> None:
    assert borrow_fee(D(worth), days, Financing(borrow_percent=D("0.25"))) == D(fee)


@pytest.mark.parametrize(("cash", "days", "interest"), [("-10000", 1, "1.81"), ("-10000", 30, "54.17"), ("1", 30, "0")])
def test_interest_is_owed_on_what_is_owed(cash: str, days: int, interest: str) -> None:
    assert margin_interest(D(cash), days, Financing(margin_percent=D("6.5"))) == D(interest)


def test_interest_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        margin_interest(D(-1), -1, Financing())


# --- sizing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizing", "commission", "weight", "equity", "price", "shares"),
    [
        (Sizing(), IB_EXACT, "1", "100000", "145.17", 688),
        (Sizing(), IB_EXACT, "-0.5", "100000", "145.17", -344),
        # LEAN: q x price <= (equity - fee(q)) x p x 0.9975; the bars of its published answers.
        (Sizing(D("0.25"), "equity"), IB_EXACT, "1", "100000", "144.780104", 688),
        (Sizing(D("0.25"), "equity"), FREE, "1", "100000", "144.775", 689),
        (Sizing(D("0.25"), "equity"), IB_EXACT, "-1", "100000", "144.780104", -688),
        (Sizing(commission="order"), Percent(D("0.2")), "1", "10000", "100", 99),  # 99.8 with the commission
        (Sizing(commission="order"), Percent(D("0.2")), "1", "10020", "100", 100),  # to the last cent
        (Sizing(commission="order"), Commission(D(0), D(50), D(100)), "1", "10049.99", "100", 99),
        (Sizing(commission="order"), Commission(D(0), D(50), D(100)), "1", "10050", "100", 100),
        (Sizing(commission="order"), IB_EXACT, "1", "10", "100", 0),
        (Sizing(commission="order"), Percent(D("0.2")), "1", "0", "100", 0),
    ],
)
def test_how_many_shares_a_weight_is(
    sizing: Sizing, commission: AnyCommission, weight: str, equity: str, price: str, shares: int
) -> None:
    assert Sizer(sizing, commission).shares(D(weight), D(equity), D(price)) == shares


def test_one_share_more_could_not_be_paid_for() -> None:
    for commission in (Commission(), IB_EXACT, Percent(D("0.2")), Alpaca()):
        for cents in range(100, 50_000, 377):
            price, sizer = D(cents) / 100, Sizer(Sizing(commission="order"), commission)
            most = sizer.shares(D(1), D(10_000), price)
            spent = [q * price + commission.charge(q, q * price, BUY, False) for q in (most, most + 1)]
            assert spent[0] <= 10_000 < spent[1]


# --- models as data -------------------------------------------------------------------------------

ODD = MarketModel(
    MakerTaker(D("0.01"), D("0.02")), Fills("at_once", bound="none"), Sizing(D(1), "order"), VolumeShare(5, 0.2),
    Almgren(), D(10), Drawn(((1, 2), (3, 4)), 9), Financing(D(3)),
)  # fmt: skip


@pytest.mark.parametrize("model", [*PRESETS.values(), ODD])
def test_a_model_is_the_same_after_it_was_written_down(model: MarketModel) -> None:
    assert msgspec.json.decode(msgspec.json.encode(model), type=MarketModel) == model
