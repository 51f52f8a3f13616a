"""Small runs whose figures can be worked out on paper."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pytest

from appliance.core.books.entries import Entry, EntryKind, Mark
from appliance.domain.trading import Side
from appliance.errors import DataError, UsageError
from appliance.research.analysis import METRICS, PerformanceAnalyzer
from appliance.research.metrics.drawdowns import Drawdown
from tests.research.metrics.series import CASH, DAY, HOUR, NEW_YORK, close_of, dates, fill, mark, marks, trade

D = Decimal


def figures(*args: object, **more: object) -> dict[str, float | None]:
    return PerformanceAnalyzer(*args, **more).figures()  # type: ignore[arg-type]


def new_york(day: int, hour: int, minute: int = 0) -> int:
    return int(datetime(2020, 3, day, hour, minute, tzinfo=NEW_YORK).timestamp()) * 10**9


# --- days ----------------------------------------------------------------------------------------------------------


def test_a_day_ends_with_its_last_mark_by_the_date_of_new_york() -> None:
    # 20:00 New York is the next day in UTC, before and after the clock changes on 2020-03-08
    times = [new_york(6, 16), new_york(6, 20), new_york(9, 10), new_york(9, 20)]
    made = [mark(time, worth) for time, worth in zip(times, (101.0, 102.0, 103.0, 110.16), strict=True)]
    found = figures(made, opening=100.0)
    assert found["days"] == 2
    assert (found["worst_day"], found["best_day"]) == pytest.approx((0.02, 0.08))


def test_a_market_that_never_closes_has_utc_days_and_a_mark_at_midnight_belongs_to_the_day_before() -> None:
    made = [mark(DAY, 101.0), mark(2 * DAY, 102.01), mark(2 * DAY + 1, 103.0301)]
    found = figures(made, opening=100.0, always_open=True)
    assert found["days"] == 3
    assert (found["best_day"], found["worst_day"]) == pytest.approx((0.01, 0.01))
    assert figures(marks([0.01, -0.01]), always_open=True, opening=CASH)["volatility"] == pytest.approx(
        np.std([0.01, -0.01], ddof=1) * math.sqrt(365)
    )


def test_cash_that_is_added_is_no_profit() -> None:
    times = [close_of(day) for day in dates(2)]
    made = [mark(times[0], 110.0), mark(times[1], 315.0)]
    found = figures(made, opening=100.0, flows=[(times[0] + HOUR, 100.0), (times[0] + 2 * HOUR, 90.0)])
    assert found["total_return"] == pytest.approx(1.1 * 315 / 300 - 1)
    assert (found["profit"], found["best_day"], found["worst_day"]) == pytest.approx((25.0, 0.1, 0.05))


def test_the_opening_is_what_the_first_entry_found() -> None:
    entry = fill(close_of(dates(1)[0]) - HOUR, 100, 50.0, fee=10.0, cash=CASH)
    found = figures([mark(close_of(dates(1)[0]), CASH + 490.0)], (), [entry])
    assert (found["total_return"], found["profit"], found["days"]) == pytest.approx((0.0049, 490.0, 1))


def test_growth_of_a_year_is_by_252_days_or_by_the_calendar() -> None:
    made = marks([0.1 / 21] * 21)
    found = figures(made, opening=CASH, opened=made[0].time - DAY)
    growth = (1 + 0.1 / 21) ** 21
    years = (made[-1].time - made[0].time + DAY) / (365.25 * DAY)
    assert found["cagr"] == pytest.approx(growth**12 - 1)
    assert found["cagr_calendar"] == pytest.approx(growth ** (1 / years) - 1)


# --- drawdowns -----------------------------------------------------------------------------------------------------


def test_drawdowns_begin_at_the_last_peak_and_end_where_it_is_reached() -> None:
    made = [mark(at * DAY, worth) for at, worth in enumerate((100, 120, 120, 90, 96, 120, 130, 117), 1)]
    analysis = PerformanceAnalyzer(made, opening=100.0, opened=0)
    first, second = (
        Drawdown(3 * DAY, 4 * DAY, 6 * DAY, -0.25),
        Drawdown(7 * DAY, 8 * DAY, None, pytest.approx(-0.1)),
    )
    assert analysis.drawdowns == [first, second]
    found = analysis.figures()
    assert (found["max_drawdown"], found["average_drawdown"], found["drawdown"]) == pytest.approx((-0.25, -0.175, -0.1))
    assert (found["max_drawdown_time"], found["drawdown_time"], found["max_recovery_time"]) == (3 * DAY, DAY, 2 * DAY)
    assert (found["drawdowns"], found["under_water"]) == (2, 3 / 8)
    assert found["recovery_factor"] == pytest.approx(0.17 / 0.25)


def test_the_lowest_equity_between_marks_counts() -> None:
    made = [mark(DAY, 100.0), mark(2 * DAY, 104.0, lowest=80.0, highest=104.0), mark(3 * DAY, 104.0)]
    analysis = PerformanceAnalyzer(made, opening=100.0, opened=0)
    assert analysis.figures()["max_drawdown"] == pytest.approx(-0.2)
    assert analysis.drawdowns == [Drawdown(DAY, 2 * DAY, 2 * DAY, pytest.approx(-0.2))]
    assert analysis.figures()["under_water"] == 0


def test_the_ulcer_index_is_the_root_of_the_mean_square_of_the_depths() -> None:
    made = [mark(at * DAY, worth) for at, worth in enumerate((100.0, 90.0, 80.0, 100.0), 1)]
    found = figures(made, opening=100.0, always_open=True)
    assert found["ulcer_index"] == pytest.approx(math.sqrt((0.01 + 0.04) / 4))
    assert found["ulcer_performance"] == pytest.approx(0.0)


# --- trades --------------------------------------------------------------------------------------------------------

FIVE = [trade(300), trade(-100), trade(-50, side=Side.SELL), trade(0), trade(150, held=3 * HOUR)]


def test_trades_are_counted_in_money_net_of_fees() -> None:
    found = figures(marks([0.0]), FIVE)
    expected = {
        "trades": 5, "long_trades": 4, "win_rate": 0.4, "average_win": 225.0, "average_loss": -75.0, "payoff": 3.0,
        "profit_factor": 3.0, "expectancy": 60.0, "expectancy_r": 0.8, "kelly": 0.2, "best_trade": 300.0,
        "worst_trade": -100.0, "net_of_best_trade": 0.0, "wins_in_a_row": 1, "losses_in_a_row": 2,
        "average_holding": 7 * HOUR // 5, "longest_holding": 3 * HOUR, "best_trade_return": 0.06,
        "worst_trade_return": -0.02, "average_trade_return": 0.012,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    spread = math.sqrt(sum((value - 60) ** 2 for value in (300, -100, -50, 0, 150)) / 4)
    assert found["quality"] == pytest.approx(math.sqrt(5) * 60 / spread)


def test_excursions_and_efficiencies_of_watched_trades() -> None:
    # before fees: 99 of a way from -100 to 200, and -49 of one from -50 to 50
    found = figures(marks([0.0]), [trade(98, best=200, worst=-100), trade(-50, best=50, worst=-50)])
    assert (found["average_mfe"], found["average_mae"]) == (125.0, -75.0)
    assert found["entry_efficiency"] == pytest.approx((200 / 300 + 50 / 100) / 2)
    assert found["exit_efficiency"] == pytest.approx((199 / 300 + 1 / 100) / 2)
    assert found["trade_efficiency"] == pytest.approx((99 / 300 - 49 / 100) / 2)


def test_one_trade_that_nobody_watched_leaves_excursions_undefined() -> None:
    found = figures(marks([0.0]), [trade(98, best=200, worst=-100), trade(-50)])
    names = ("average_mae", "average_mfe", "entry_efficiency", "exit_efficiency", "trade_efficiency")
    assert all(found[name] is None for name in names)


def test_the_account_by_symbol_and_by_strategy() -> None:
    trades = [trade(10, symbol="QQQ"), trade(-4, symbol="SPY"), trade(6, symbol="QQQ", strategy="rsi")]
    paid = Entry(1, EntryKind.DIVIDEND, "SPY", D(0), D("0.5"), D(0), D(50), D(1050), strategy="sma")
    analysis = PerformanceAnalyzer(marks([0.0]), trades, [fill(0, 10, 50.0, symbol="SPY"), paid])
    qqq, spy = analysis.by_symbol
    assert (qqq.name, qqq.trades, qqq.realised, qqq.win_rate, qqq.fills) == ("QQQ", 2, 16.0, 1.0, 0)
    assert (spy.name, spy.realised, spy.fills, spy.traded, spy.fees, spy.other) == ("SPY", -4.0, 1, 500.0, 1.0, 50.0)
    assert [(one.name, one.trades) for one in analysis.by_strategy] == [("rsi", 1), ("sma", 2)]


# --- exposure and costs --------------------------------------------------------------------------------------------


def test_exposure_and_leverage_of_the_marks() -> None:
    made = [mark(1, 100.0), mark(2, 100.0, long=80.0, short=-40.0), mark(3, 50.0, short=-75.0), mark(4, 100.0, long=50)]
    found = figures(made)
    expected = {
        "exposure": 0.75, "gross": 50.0, "leverage": 0.5, "max_leverage": 1.5, "max_net_leverage": 1.5,
        "average_leverage": (0 + 1.2 + 1.5 + 0.5) / 4,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_marks_of_sessions_that_end_flat_still_tell_what_was_held_in_them() -> None:
    made = [Mark(1, 100.0, 90.0, 100.0, 100.0, held=0.5, leverage=1.5), Mark(2, 100.0, 100.0, 100.0, 100.0, held=0.0)]
    found = figures(made)
    assert (found["exposure"], found["max_leverage"], found["leverage"]) == (0.25, 1.5, 0.0)


FILLS = [
    fill(close_of(dates(1)[0]) - HOUR, 100, 50.10, fee=2.0, decided=50.00, order_id="a"),
    fill(close_of(dates(2)[1]) - HOUR, -100, 51.00, fee=3.0, decided=51.20, order_id="b"),
    fill(close_of(dates(2)[1]) - 1, 10, 40.00, fee=1.0, order_id="c"),
]


def test_costs_are_measured_against_the_price_when_it_was_decided() -> None:
    found = figures([mark(close_of(day), CASH) for day in dates(2)], (), FILLS)
    expected = {
        "fills": 3, "traded": 10_510.0, "fees": 6.0, "fees_bps": 60_000 / 10_510, "slippage": 30.0,
        "slippage_bps": 300_000 / 10_110, "shortfall": 35.0, "shortfall_bps": 350_000 / 10_110,
        "turnover": 10_510 / 2 / CASH * 252 / 2,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_dividends_borrow_fees_and_interest_are_told_apart() -> None:
    kinds = {EntryKind.DIVIDEND: "12.50", EntryKind.BORROW: "-3.25", EntryKind.INTEREST: "-0.75"}
    booked = [Entry(1, kind, "SPY", D(0), D(0), D(0), D(amount), D(1_000)) for kind, amount in kinds.items()]
    found = figures(marks([0.0]), (), booked)
    assert (found["dividends"], found["borrow"], found["interest"]) == (12.5, -3.25, -0.75)


def test_capacity_is_where_the_largest_fill_takes_a_fortieth_of_its_bar() -> None:
    made = [mark(close_of(day), CASH) for day in dates(2)]
    assert figures(made, (), FILLS, shares={0: 0.001, 1: 0.0002, 2: 1e-5})["capacity"] == pytest.approx(CASH * 25)
    assert figures(made, (), FILLS, shares={0: 0.001, 1: None, 2: 1e-5})["capacity"] is None


def test_live_fills_are_compared_order_by_order() -> None:
    live = [fill(1, 60, 50.20, order_id="a"), fill(2, 40, 50.20, order_id="a"), fill(3, -90, 51.0, order_id="b")]
    found = figures(marks([0.0]), (), FILLS, live=live)
    assert found["mismatches"] == 2  # b filled another quantity, c is missing
    assert found["parity_bps"] == pytest.approx((50.20 - 50.10) / 50.10 * 10_000)


# --- benchmark and curves ------------------------------------------------------------------------------------------


def test_a_benchmark_that_begins_later_counts_from_its_first_price() -> None:
    made = marks([0.01, 0.02, -0.01])
    times = [one.time for one in made]
    found = figures(made, opening=CASH, benchmark=([times[0] + HOUR, times[1], times[2]], [50.0, 51.0, 51.0]))
    assert found["benchmark_return"] == pytest.approx(0.02)
    assert found["excess_return"] == pytest.approx(1.02 * 0.99 - 1.02)


def test_an_account_that_is_its_benchmark_has_beta_one_and_no_tracking_error() -> None:
    made = marks([0.01, 0.02, -0.01, 0.03])
    prices = ([made[0].time - 1, *(one.time for one in made)], [CASH, *(one.equity for one in made)])
    found = figures(made, opening=CASH, opened=made[0].time - 1, benchmark=prices)
    assert (found["beta"], found["alpha"], found["correlation"]) == pytest.approx((1.0, 0.0, 1.0), abs=1e-9)
    assert found["tracking_error"] is None
    assert found["information_ratio"] is None


def test_months_years_and_what_rolls() -> None:
    days = dates(60, date(2019, 12, 2))
    made = [mark(close_of(day), CASH * 1.01 ** (at + 1)) for at, day in enumerate(days)]
    curves = PerformanceAnalyzer(made, opening=CASH).curves()
    assert list(curves.months) == [(2019, 12), (2020, 1), (2020, 2)]
    assert curves.months[2019, 12] == pytest.approx(1.01**22 - 1)
    assert curves.years == pytest.approx({2019: 1.01**22 - 1, 2020: 1.01**38 - 1})
    assert (curves.window, len(curves.rolling_times), len(curves.returns)) == (21, 40, 60)
    assert curves.rolling_times[0] == close_of(days[20])
    assert curves.rolling_sharpe == [None] * 40  # no variance
    rolled = PerformanceAnalyzer(marks([0.01, -0.01, 0.02]), opening=CASH).curves(window=2)
    assert rolled.rolling_sharpe[1] == pytest.approx(0.005 / np.std([-0.01, 0.02], ddof=1) * math.sqrt(252))


# --- the table -----------------------------------------------------------------------------------------------------


def test_every_figure_is_explained_once_and_in_order() -> None:
    names = [row.name for row in METRICS]
    assert list(figures([])) == names
    assert len(set(names)) == len(names) >= 53
    assert {row.unit for row in METRICS} == {"fraction", "USD", "ratio", "count", "days", "ns", "bps"}
    assert all(row.what.endswith(".") and row.label and row.group for row in METRICS)


def test_marks_out_of_order_and_options_out_of_range_are_refused() -> None:
    with pytest.raises(DataError, match="mark 1: its time 5 is not later"):
        PerformanceAnalyzer([mark(5, 1.0), mark(5, 1.0)])
    for option, value in (("periods", 0), ("risk_free", math.nan), ("trials", 0)):
        with pytest.raises(UsageError, match=f"{option} {value} is out of range"):
            PerformanceAnalyzer([], **{option: value})
    with pytest.raises(UsageError, match="convention 'zipline' is unknown"):
        PerformanceAnalyzer([]).figures("zipline")
