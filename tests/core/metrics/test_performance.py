"""All of it together: what is said of a strategy, undefined where it must be, the same after a restart."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from appliance.core.metrics.costs import Costs, Exposure, Turnover
from appliance.core.metrics.performance import Performance
from appliance.domain import wire
from appliance.domain.market import DAY, HOUR, SECOND
from appliance.domain.performance import Figures, rounded
from appliance.domain.trading import Fill, Moment, Side

D = Decimal
BOOT = "boot-1"


def at(ticks: int, boot: str = BOOT) -> Moment:
    return Moment(ticks, boot, ticks)


def fill(side: Side, shares: str, price: str, fee: str = "1", symbol: str = "SPY", time: int = 0) -> Fill:
    return Fill("k", "o", "s", symbol, side, D(shares), D(price), D(fee), time)


FILLED = st.builds(
    lambda side, shares, price, symbol, decided: (
        "fill", fill(side, str(shares), f"{price / 100:.2f}", symbol=symbol),
        D(price + 3) / 100 if decided else None, at(5) if decided else None, at(5 + price),
    ),
    st.sampled_from(Side), st.integers(1, 9), st.integers(1, 10_000), st.sampled_from(("QQQ", "SPY")), st.booleans(),
)  # fmt: skip
EQUITIES = st.one_of(st.floats(500.0, 2_000.0), st.floats())
HAPPENS = st.lists(
    st.one_of(
        FILLED,
        st.tuples(st.just("mark"), EQUITIES, st.integers(1, 10**6), st.floats(0, 5_000)),
        st.tuples(st.just("day"), EQUITIES, st.integers(1, 10**6)),
        st.tuples(st.just("flow"), st.floats(-400.0, 400.0)),
        st.tuples(st.just("ordered"), st.just(at(3)), st.integers(3, 10**9).map(at)),
    ),
    max_size=30,
)


def play(happens: list[tuple[Any, ...]], restart: int | None = None) -> Performance:
    performance = Performance.opened(D(1_000), 0)
    for n, (what, *values) in enumerate(happens):
        if n == restart:
            performance = wire.unpack(wire.pack(performance), Performance)
        getattr(performance, what)(*values)
    return performance


@settings(max_examples=150, deadline=None)
@given(HAPPENS, st.data())
def test_a_restart_anywhere_goes_on_to_the_same_bits(happens: list[tuple[Any, ...]], data: st.DataObject) -> None:
    through = play(happens)
    restarted = play(happens, data.draw(st.integers(0, len(happens))))
    assert wire.pack(through) == wire.pack(restarted)
    assert through.summary() == restarted.summary()


@settings(max_examples=200, deadline=None)
@given(HAPPENS)
def test_no_figure_is_ever_infinite_or_no_number(happens: list[tuple[Any, ...]]) -> None:
    figures = play(happens).summary()
    for name, value in asdict(figures).items():
        assert not isinstance(value, float) or math.isfinite(value), name
        assert not isinstance(value, Decimal) or value.is_finite(), name
    assert wire.unpack(wire.pack(figures), Figures) == figures


def test_before_anything_happens_nothing_is_claimed() -> None:
    assert Performance.opened(D(1_000), 0).summary() == Figures()
    assert Performance.opened(D(0), 0).summary() == Figures()


@pytest.mark.parametrize("equity", [math.nan, math.inf, -math.inf, D("NaN"), D("Infinity")])
def test_equity_that_is_no_number_changes_nothing(equity: Decimal | float) -> None:
    performance = Performance.opened(D(1_000), 0)
    performance.mark(equity, 1)
    performance.mark(D(1_000), 1, equity)
    performance.day(equity, 2)
    assert performance == Performance.opened(D(1_000), 0)


def test_a_moment_is_marked_once() -> None:
    performance = Performance.opened(D(1_000), 10)
    for equity, time in [(500, 9), (500, 10), (900, 11), (100, 11), (950, 12), (100, 11)]:
        performance.mark(D(equity), time, D(equity))
    figures = performance.summary()
    assert figures.total_return == pytest.approx(-0.05)
    assert (figures.max_drawdown, figures.drawdown_time) == (pytest.approx(-0.1), 2)
    assert (figures.exposure, figures.leverage) == (1, 1)


def test_a_day_that_closes_below_every_mark_is_the_drawdown() -> None:
    performance = Performance.opened(D(1_000), 0)
    performance.mark(D(990), HOUR)
    performance.day(D(900), DAY)
    assert performance.summary().max_drawdown == pytest.approx(-0.1)


TRADED = [
    (fill(Side.BUY, "10", "100.05", "1", time=SECOND), D("100"), at(SECOND), at(3 * SECOND)),
    (fill(Side.SELL, "10", "109.90", "1", time=DAY), D("110"), at(DAY), at(DAY + 1_000)),
    (fill(Side.SELL, "5", "50", "0.5", "TLT", time=DAY), None, None, at(DAY)),
    (fill(Side.BUY, "5", "51", "0.5", "TLT", time=3 * DAY), D("51.02"), at(3 * DAY, "boot-0"), at(3 * DAY)),
]


def test_a_small_history_has_the_figures_one_reckons_by_hand() -> None:
    performance = Performance.opened(D(10_000), 0)
    trips = [performance.fill(*one) for one in TRADED]
    performance.ordered(at(5), at(1_005))
    performance.ordered(at(5, "boot-0"), at(1_005))
    for day, (equity, gross) in enumerate([(10_050, 1_000), (10_097, 0), (10_090.5, 0), (10_090.5, 250)], 1):
        performance.mark(equity, day * DAY - 1, gross)
        performance.day(equity, day * DAY)
    assert [trip and trip.profit for trip in trips] == [None, D("96.5"), None, D(-6)]
    said = rounded(performance.summary())
    expected = Figures(
        total_return=0.00905, drawdown=-0.000644, max_drawdown=-0.000644, drawdown_time=2 * DAY,
        max_drawdown_time=2 * DAY, under_water=0.5, days=4, cagr=said.cagr, cagr_calendar=said.cagr_calendar,
        volatility=said.volatility, downside_deviation=said.downside_deviation, sharpe=said.sharpe,
        sortino=said.sortino, calmar=said.calmar, best_day=0.005, worst_day=-0.000644, trips=2, win_rate=0.5,
        average_win=D("96.5"), average_loss=D(-6), payoff=16.083333, profit_factor=16.083333, expectancy=D("45.25"),
        quality=said.quality, best_trip=D("96.5"), worst_trip=D(-6), wins_in_a_row=1, losses_in_a_row=1,
        average_holding=(DAY - SECOND + 2 * DAY) // 2, longest_holding=2 * DAY, fills=4, traded=D("2604.5"),
        turnover=round(2604.5 / 2 / ((10_050 + 10_097 + 2 * 10_090.5) / 4) * 252 / 4, 6), fees=D(3),
        slippage=D("1.4"), slippage_bps=round(1.4 / 2354.5 * 1e4, 6), exposure=0.5, gross=250.0,
        leverage=round(250 / 10_090.5, 6), max_leverage=round(1_000 / 10_050, 6), order_latency_p50=1_000,
        order_latency_p99=1_000, fill_latency_p50=said.fill_latency_p50, fill_latency_p99=2 * SECOND,
    )  # fmt: skip
    assert asdict(said) == asdict(expected)


@pytest.mark.parametrize(
    ("side", "price", "slippage", "bps"),
    [("buy", "101", "10", 99.00990099), ("buy", "99", "-10", -101.01010101), ("sell", "99", "10", 101.01010101),
     ("sell", "101", "-10", -99.00990099), ("buy", "100", "0", 0)],
)  # fmt: skip
def test_slippage_is_positive_where_it_costs(side: str, price: str, slippage: str, bps: float) -> None:
    costs = Costs()
    costs.fill(fill(Side(side), "10", price), D(100))
    costs.fill(fill(Side(side), "10", "500"), None)
    assert costs.slippage == D(slippage)
    assert costs.slippage_bps == pytest.approx(bps)


COSTS = st.lists(FILLED, max_size=8).map(lambda filled: play_costs([(one[1], one[2]) for one in filled]))


def play_costs(filled: list[tuple[Fill, Decimal | None]]) -> Costs:
    costs = Costs()
    for one, decision_price in filled:
        costs.fill(one, decision_price)
    return costs


@given(COSTS, COSTS, COSTS)
def test_costs_add_up_in_whatever_order(a: Costs, b: Costs, c: Costs) -> None:
    assert a.merged(b).merged(c) == c.merged(a.merged(b)) == b.merged(c).merged(a)
    assert a.merged(Costs()) == a


def test_without_equity_there_is_neither_leverage_nor_turnover() -> None:
    exposure, turnover = Exposure(), Turnover()
    assert (exposure.share, turnover.annual(D(100), 252)) == (None, None)
    exposure.mark(0.0, 10.0)
    turnover.close(-5.0)
    assert (exposure.share, exposure.leverage, exposure.largest) == (1, None, None)
    assert turnover.annual(D(100), 252) is None


def test_money_added_changes_neither_return_nor_drawdown() -> None:
    plain, funded = Performance.opened(D(1_000), 0), Performance.opened(D(1_000), 0)
    for day, growth in enumerate([1.1, 1.0, 1.2], 1):
        plain.mark(1_000 * growth, day)
        plain.day(1_000 * growth, day)
        funded.mark((1_000 if day == 1 else 2_000) * growth, day)
        funded.day((1_000 if day == 1 else 2_000) * growth, day)
        if day == 1:
            funded.flow(D(1_100))
    for name in ("total_return", "max_drawdown", "sharpe", "cagr", "best_day"):
        assert getattr(funded.summary(), name) == pytest.approx(getattr(plain.summary(), name)), name


@pytest.mark.parametrize(
    ("exact", "shown"),
    [(D("100000.00"), "100000"), (D("1") / 3, "0.333333"), (D("-0.00000001"), "0"), (D("2.50"), "2.5")],
)
def test_money_is_shown_without_digits_nobody_reads(exact: Decimal, shown: str) -> None:
    assert str(rounded(Figures(traded=exact)).traded) == shown
