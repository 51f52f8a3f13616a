"""What a backtest says of a run is what the live metrics say of it: two implementations, one array at a time and one
event at a time."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from appliance.core.books.entries import Entry, EntryKind, Mark, Trade
from appliance.core.metrics.performance import Performance
from appliance.core.metrics.trips import RoundTrip
from appliance.domain.trading import Fill, Moment, Side
from appliance.research.analysis import PerformanceAnalyzer
from tests.research.metrics.series import CASH, DAY, close_of, dates

D = Decimal
OPENED = close_of(dates(1)[0]) - DAY
SHARED = (
    "total_return", "drawdown", "max_drawdown", "drawdown_time", "max_drawdown_time", "under_water", "days", "cagr",
    "cagr_calendar", "volatility", "downside_deviation", "sharpe", "sortino", "calmar", "best_day", "worst_day",
    "win_rate", "average_win", "average_loss", "payoff", "profit_factor", "expectancy", "quality", "wins_in_a_row",
    "losses_in_a_row", "average_holding", "longest_holding", "fills", "traded", "turnover", "fees", "slippage",
    "slippage_bps", "exposure", "gross", "leverage", "max_leverage",
)  # fmt: skip
RENAMED = {"trips": "trades", "best_trip": "best_trade", "worst_trip": "worst_trade"}

MOVES = st.lists(
    st.tuples(
        st.floats(-0.08, 0.08).map(lambda value: round(value, 4)),
        st.integers(0, 3),
        st.sampled_from([None, "49.90", "50.00", "50.25"]),
    ),
    min_size=1,
    max_size=40,
)
FLOWS = st.dictionaries(st.integers(1, 39), st.integers(-20_000, 20_000).map(float), max_size=3)


class Both:
    """One account, told to the live metrics as it goes and kept as books."""

    def __init__(self) -> None:
        self.live = Performance.opened(D(str(CASH)), OPENED)
        self.marks: list[Mark] = []
        self.trades: list[Trade] = []
        self.entries: list[Entry] = []
        self.flows: list[tuple[int, float]] = []
        self.cash = D(str(CASH))
        self.worth = CASH

    def flow(self, time: int, amount: float) -> None:
        self.live.flow(amount)
        self.flows.append((time, amount))
        self.worth += amount

    def round_trip(self, time: int, lots: int, decided: str | None) -> None:
        """Buy and sell again, an hour apart, for a price that depends on the lots."""
        leave = D("50") + D(lots - 2) / 4
        self._fill(Side.BUY, D(100 * lots), D("50"), decided, time)
        trip = self._fill(Side.SELL, D(100 * lots), leave, decided, time + 3_600 * 10**9)
        assert trip is not None
        self.trades.append(
            Trade("SPY", "sma", Side.BUY, trip.quantity, trip.opened, trip.entry_price, trip.closed, trip.exit_price,
                  trip.fees, trip.profit)
        )  # fmt: skip

    def _fill(self, side: Side, shares: Decimal, price: Decimal, decided: str | None, time: int) -> RoundTrip | None:
        known = None if decided is None else D(decided)
        signed = shares * side.sign
        amount = -signed * price - 1
        self.cash += amount
        self.entries.append(Entry(time, EntryKind.FILL, "SPY", signed, price, D(1), amount, self.cash, decided=known))
        return self.live.fill(
            Fill("k", "o", "s", "SPY", side, shares, price, D(1), time), known, None, Moment(1, "b", 1)
        )

    def close(self, time: int, change: float, gross: float) -> None:
        self.worth *= 1 + change
        self.live.mark(self.worth, time, gross)
        self.live.day(self.worth, time)
        self.marks.append(Mark(time, self.worth, self.worth, self.worth, self.worth, gross))

    def figures(self) -> dict[str, float | None]:
        return PerformanceAnalyzer(
            self.marks, self.trades, self.entries, opening=CASH, opened=OPENED, flows=self.flows
        ).figures()


def played(moves: list[tuple[float, int, str | None]], flows: dict[int, float]) -> Both:
    account = Both()
    for at, (change, lots, decided) in enumerate(moves):
        close = close_of(dates(len(moves))[at])
        if at in flows:
            account.flow(close - DAY // 4, flows[at])
        if lots:
            account.round_trip(close - DAY // 4, lots, decided)
        account.close(close, change, 1_000.0 * lots)
    return account


@settings(max_examples=150, deadline=None)
@given(MOVES, FLOWS)
def test_both_say_the_same_of_every_run(moves: list[tuple[float, int, str | None]], flows: dict[int, float]) -> None:
    account = played(moves, flows)
    ours, live = account.figures(), asdict(account.live.summary())
    for name in (*SHARED, *RENAMED):
        theirs, mine = live[name], ours[RENAMED.get(name, name)]
        if theirs is None or mine is None:
            assert theirs == mine, name
        else:
            assert mine == pytest.approx(float(theirs), rel=1e-9, abs=1e-11), name


def test_both_leave_the_ratios_undefined_after_ruin() -> None:
    account = Both()
    for at, change in enumerate((0.01, -1.0, 0.5, 0.5)):
        account.close(close_of(dates(4)[at]), change, 0.0)
    ours, live = account.figures(), asdict(account.live.summary())
    assert (ours["days"], ours["max_drawdown"]) == (live["days"], live["max_drawdown"]) == (2, -1.0)
    for name in ("cagr", "sharpe", "sortino", "volatility"):
        assert ours[name] is None
        assert live[name] is None


def test_the_names_shared_with_live_are_all_of_its_equity_trip_and_fill_figures() -> None:
    live = set(asdict(Performance.opened(1, 0).summary()))
    latencies = {f"{what}_latency_p{share}" for what in ("order", "fill") for share in (50, 99)}
    assert live - latencies == {*SHARED, *RENAMED}
    assert np.all([name in PerformanceAnalyzer([]).figures() for name in SHARED])
