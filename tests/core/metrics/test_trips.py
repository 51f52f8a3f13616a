"""Round trips against single shares traded one by one, and their sums against backtesting.py."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from backtesting._stats import compute_stats
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.metrics.trips import RoundTrip, RoundTrips, Tally
from appliance.core.portfolio import Portfolio
from appliance.domain import wire
from appliance.domain.market import HOUR, MINUTE
from appliance.domain.trading import Fill, Side

D = Decimal
TRADES = st.lists(
    st.tuples(
        st.sampled_from(("QQQ", "SPY")), st.sampled_from(Side), st.integers(1, 6).map(D),
        st.integers(1, 10_000).map(lambda cents: D(cents) / 100), st.integers(0, 100).map(lambda cents: D(cents) / 100),
    ),
    max_size=40,
)  # fmt: skip


def fills_of(trades: list[tuple[str, Side, Decimal, Decimal, Decimal]]) -> list[Fill]:
    return [Fill(str(n), "o", "s", symbol, *rest, n) for n, (symbol, *rest) in enumerate(trades)]


def booked(fills: list[Fill]) -> tuple[RoundTrips, list[RoundTrip]]:
    trips = RoundTrips()
    found = [trips.fill(fill) for fill in fills]
    return trips, [trip for trip in found if trip is not None]


def one_by_one(fills: list[Fill]) -> list[tuple[str, Side, Decimal, Decimal, int, int]]:
    """(symbol, side, shares, profit, begin, end) of the same trips, each share and its commission traded alone."""
    found = []
    runs: dict[str, list[tuple[int, Decimal, Decimal, int]]] = {}
    for fill in fills:
        run = runs.setdefault(fill.symbol, [])
        for _ in range(int(fill.quantity)):
            run.append((fill.side.sign, fill.price, fill.commission / fill.quantity, fill.time))
            if sum(sign for sign, *_ in run) == 0:
                profit = -sum(sign * price + fee for sign, price, fee, _ in run)
                side = Side.BUY if run[0][0] > 0 else Side.SELL
                found.append((fill.symbol, side, D(len(run)) / 2, profit, run[0][3], fill.time))
                run.clear()
    return found


@settings(max_examples=200)
@given(TRADES)
def test_trips_agree_with_shares_traded_one_by_one(trades: list[tuple[str, Side, Decimal, Decimal, Decimal]]) -> None:
    fills = fills_of(trades)
    _, trips = booked(fills)
    expected = one_by_one(fills)
    assert [(t.symbol, t.side, t.quantity, t.opened, t.closed) for t in trips] == [(*e[:3], *e[4:]) for e in expected]
    for trip, (*_, profit, _, _) in zip(trips, expected, strict=True):
        assert abs(trip.profit - profit) < D("1e-7")


@settings(max_examples=150)
@given(TRADES)
def test_trips_of_a_strategy_that_ends_flat_are_its_whole_profit(
    trades: list[tuple[str, Side, Decimal, Decimal, Decimal]],
) -> None:
    fills = fills_of(trades)
    portfolio = Portfolio.opened("s", D(0))
    for fill in fills:
        portfolio = portfolio.booked(fill)
    for symbol, shares in portfolio.positions.items():
        side = Side.SELL if shares > 0 else Side.BUY
        fills.append(Fill("end", "o", "s", symbol, side, abs(shares), D(50), D(1), len(fills)))
        portfolio = portfolio.booked(fills[-1])
    under_way, trips = booked(fills)
    assert under_way.under_way == {}
    assert sum(trip.profit for trip in trips) == portfolio.realised - portfolio.fees == portfolio.cash
    assert sum(trip.fees for trip in trips) == portfolio.fees
    tally = Tally()
    for trip in trips:
        tally.add(trip)
    assert tally.won + tally.lost == portfolio.cash
    assert tally.expectancy is None or abs(tally.expectancy * tally.trips - portfolio.cash) < D("1e-18")


@given(TRADES, st.data())
def test_open_trips_and_sums_go_on_to_the_same_bytes_after_a_restart(
    trades: list[tuple[str, Side, Decimal, Decimal, Decimal]], data: st.DataObject
) -> None:
    fills = fills_of(trades)
    at = data.draw(st.integers(0, len(fills)))
    states = []
    for restarts in (False, True):
        trips, tally = RoundTrips(), Tally()
        for n, fill in enumerate(fills):
            if restarts and n == at:
                trips = wire.unpack(wire.pack(trips), RoundTrips)
                tally = wire.unpack(wire.pack(tally), Tally)
            if (trip := trips.fill(fill)) is not None:
                tally.add(trip)
        states.append((wire.pack(trips), wire.pack(tally)))
    assert states[0] == states[1]


def fill(side: Side, shares: int, price: str, fee: str = "0", time: int = 0, symbol: str = "SPY") -> Fill:
    return Fill("k", "o", "s", symbol, side, D(shares), D(price), D(fee), time)


def test_a_fill_across_zero_closes_a_trip_and_begins_the_next() -> None:
    fills = [fill(Side.BUY, 10, "5", "1", 1), fill(Side.SELL, 30, "6", "3", 2), fill(Side.BUY, 20, "7", "2", 5)]
    trips, closed = booked(fills)
    assert closed == [
        RoundTrip("SPY", Side.BUY, D(10), D(5), D(6), D(8), D(2), 1, 2),
        RoundTrip("SPY", Side.SELL, D(20), D(6), D(7), D(-24), D(4), 2, 5),
    ]
    assert trips.under_way == {}


def test_a_trip_lasts_through_additions_and_part_exits() -> None:
    fills = [
        fill(Side.SELL, 2, "10", time=1), fill(Side.SELL, 2, "12", time=2), fill(Side.BUY, 3, "9", time=3),
        fill(Side.SELL, 1, "13", time=4), fill(Side.BUY, 1, "50", time=5, symbol="QQQ"), fill(Side.BUY, 2, "8", time=6),
    ]  # fmt: skip
    trips, closed = booked(fills)
    assert closed == [RoundTrip("SPY", Side.SELL, D(5), D("11.4"), D("8.6"), D(14), D(0), 1, 6)]
    assert list(trips.under_way) == ["QQQ"]


def tally_of(profits: list[str]) -> Tally:
    tally = Tally()
    for n, profit in enumerate(profits):
        tally.add(RoundTrip("SPY", Side.BUY, D(1), D(1), D(1), D(profit), D(0), n * HOUR, (n + 1) * HOUR + n * MINUTE))
    return tally


def statistics_of(profits: list[float]) -> pd.Series:
    """What backtesting.py says of trades that each put in 1 USD: then its returns are our money."""
    days = len(profits) + 1
    index = pd.date_range("2026-01-05", periods=days)
    trades = [
        SimpleNamespace(
            size=1, entry_bar=n, exit_bar=n + 1, entry_price=1.0, exit_price=1 + profit, sl=None, tp=None, pl=profit,
            pl_pct=profit, _commissions=0, entry_time=index[n], exit_time=index[n + 1], tag=None,
        )
        for n, profit in enumerate(profits)
    ]  # fmt: skip
    ohlc = pd.DataFrame({"Close": np.linspace(100, 101, days)}, index=index)
    return compute_stats(trades, 1_000 + np.cumsum([0.0, *profits]), ohlc, None)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-9_000, 9_000).map(lambda points: points / 10_000), min_size=2, max_size=20))
@pytest.mark.filterwarnings("ignore")  # theirs about newer pandas
def test_win_rate_profit_factor_and_quality_agree_with_backtesting_py(profits: list[float]) -> None:
    with np.errstate(all="ignore"):
        theirs = statistics_of(profits)
    ours = tally_of([repr(profit) for profit in profits])
    assert ours.trips == theirs["# Trades"]
    assert ours.win_rate is not None
    assert ours.win_rate * 100 == pytest.approx(theirs["Win Rate [%]"])
    assert ours.expectancy is not None
    assert float(ours.expectancy) * 100 == pytest.approx(theirs["Expectancy [%]"], abs=1e-9)
    for name, value in (("Profit Factor", ours.profit_factor), ("SQN", ours.quality)):
        if value is None:
            assert np.isnan(theirs[name]) or len({*profits}) == 1, name
        else:
            assert value == pytest.approx(theirs[name], rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize(
    ("profits", "figures"),
    [
        ([], {"win_rate": None, "average_win": None, "average_loss": None, "payoff": None, "profit_factor": None,
              "expectancy": None, "quality": None, "average_holding": None, "best": None}),
        (["3"], {"win_rate": 1, "average_win": 3, "average_loss": None, "payoff": None, "profit_factor": None,
                 "expectancy": 3, "quality": None, "average_holding": HOUR, "wins_in_a_row": 1}),
        (["-3"], {"win_rate": 0, "average_win": None, "average_loss": -3, "payoff": None, "profit_factor": 0}),
        (["2", "2"], {"quality": None, "best": 2, "worst": 2, "average_holding": HOUR + 30_000_000_000}),
        (["0", "4", "-1", "-1", "0", "-1"], {"win_rate": 1 / 6, "payoff": 4, "profit_factor": 4 / 3, "wins": 1,
            "losses": 3, "losses_in_a_row": 2, "best": 4, "worst": -1, "longest": HOUR + 5 * MINUTE}),
    ],
)  # fmt: skip
def test_sums_of_few_trips_are_as_the_table_says(profits: list[str], figures: dict[str, float | None]) -> None:
    tally = tally_of(profits)
    assert {name: getattr(tally, name) for name in figures} == figures
