"""A host's tracker: rows change with fills, not with prices; what is marked is marked whole."""

from __future__ import annotations

from decimal import Decimal

import pytest

from appliance.core.base import Core
from appliance.core.metrics.performance import Performance
from appliance.core.portfolio import Portfolio
from appliance.core.tracking import Tracker
from appliance.domain import wire
from appliance.domain.market import SECOND
from appliance.domain.messages import TYPE_OF, EventType, local
from appliance.domain.topics import PAYLOAD_MAX
from appliance.domain.trading import Fill, Side
from tests.core.make import moment, writers
from tests.playbook import BEGIN

D = Decimal


class Host(Core):
    """The least host that tracks."""

    def __init__(self) -> None:
        super().__init__("host@trend", writers("host@trend"))
        self.tracker = Tracker(self.table("portfolio", Portfolio), self.table("performance", Performance))


def opened(*names: str, allotment: int = 10_000) -> Host:
    host = Host()
    for name in names or ("trend",):
        host.tracker.open(name, D(allotment), BEGIN)
    host.changes()
    return host


def fill(shares: int, price: str = "100", seconds: float = 1, symbol: str = "SPY", strategy: str = "trend") -> Fill:
    side = Side.BUY if shares > 0 else Side.SELL
    return Fill("k", "o", strategy, symbol, side, D(abs(shares)), D(price), D(1), moment(seconds).time)


def price(host: Host, value: float, seconds: float, symbol: str = "SPY") -> None:
    host.tracker.price(symbol, value, moment(seconds).time)


def test_a_fill_changes_the_rows_of_its_strategy_and_a_price_none() -> None:
    host = opened("mean", "trend")
    host.tracker.fill(fill(10), moment(1))
    assert list(host.changes()) == ["portfolio/trend", "performance/trend"]
    for second in range(2, 60):
        price(host, 100.0 + second, second)
    assert host.changes() == {}
    host.tracker.save()
    assert list(host.changes()) == ["performance/mean", "performance/trend"]


def test_after_a_restart_the_portfolio_is_there_and_the_next_bar_marks_it() -> None:
    host = opened()
    host.tracker.fill(fill(10), moment(1))
    price(host, 110.0, 2)
    again = Host()
    again.restore(host.snapshot())
    again.tracker.open("trend", D(10_000), moment(50).time)
    report = again.tracker.report("trend", 5)
    assert (report.cash, report.positions, report.equity, report.unrealised) == (D(8_999), {"SPY": D(10)}, None, None)
    price(again, 120.0, 60)
    price(again, 120.0, 61)
    report = again.tracker.report("trend", 5)
    assert (report.equity, report.unrealised, report.figures.total_return) == (D(10_199), D(200), 0.0199)


def test_the_bars_of_one_moment_count_together() -> None:
    host = opened()
    for symbol, shares in (("QQQ", 50), ("SPY", -50)):
        price(host, 100.0, 0, symbol)
        host.tracker.fill(fill(shares, symbol=symbol), moment(0))
    for second, value in enumerate([200.0, 50.0, 100.0], 1):
        price(host, value, second, "QQQ")
        price(host, value, second, "SPY")
    host.tracker.mark()
    figures = host.tracker.report("trend", 5).figures
    assert figures.max_drawdown == pytest.approx(-2 / 10_000)  # the two commissions, never one leg alone


def test_a_fill_is_not_valued_at_the_prices_of_before_it() -> None:
    host = opened()
    price(host, 100.0, 1)
    host.tracker.fill(fill(50, price="150", seconds=2), moment(2))  # a gap up: 100 was the price without it
    price(host, 150.0, 2)
    price(host, 150.0, 3)
    assert host.tracker.report("trend", 5).figures.max_drawdown == pytest.approx(-1 / 10_000)


def test_a_fill_that_is_the_first_price_is_valued_at_its_own() -> None:
    host = opened()
    host.tracker.fill(fill(10, price="70"), moment(1))
    assert host.tracker.report("trend", 5).equity == D(9_999)
    assert host.tracker.decision_price("SPY") == D(70)
    assert host.tracker.decision_price("QQQ") is None


def test_many_prices_in_a_second_are_one_mark() -> None:
    host = opened()
    for n in range(500):
        price(host, 100.0 + n, 1 + n / 1_000)
    price(host, 100.0, 3)
    assert host.tracker.performance("trend").drawdown.moments == 1


def test_fills_latency_and_slippage_reach_the_report() -> None:
    host = opened()
    price(host, 100.0, 1)
    decision = host.tracker.decision_price("SPY")
    host.tracker.ordered("trend", moment(1), moment(1.5))
    host.tracker.ordered("nobody", moment(1), moment(1.5))
    assert host.tracker.fill(fill(10, price="100.5"), moment(2), decision, moment(1)) is None
    trip = host.tracker.fill(fill(-10, price="103"), moment(4))
    assert trip is not None
    report = host.tracker.report("trend", 77)
    assert (report.name, report.at, report.realised, report.fees) == ("trend", 77, D(25), D(2))
    assert (report.equity, report.positions, trip.profit) == (D(10_023), {}, D(23))
    figures = report.figures
    assert (figures.trips, figures.fills, figures.slippage, figures.slippage_bps) == (1, 2, D(5), 49.751244)
    assert (figures.order_latency_p50, figures.fill_latency_p99) == (SECOND // 2, SECOND)


def test_a_strategy_that_was_never_opened_is_not_tracked() -> None:
    host = opened()
    assert host.tracker.fill(fill(10, strategy="nobody"), moment(1)) is None
    assert host.changes() == {}
    with pytest.raises(KeyError):
        host.tracker.report("nobody", 1)


def test_another_allotment_is_cash_and_no_profit() -> None:
    host = opened()
    price(host, 100.0, 1)
    host.tracker.fill(fill(10), moment(1))
    price(host, 200.0, 2)
    price(host, 200.0, 3)
    host.tracker.open("trend", D(50_000), moment(4).time)
    price(host, 200.0, 5)
    price(host, 200.0, 6)
    report = host.tracker.report("trend", 5)
    assert (report.allotment, report.cash, report.equity) == (D(50_000), D(48_999), D(50_999))
    assert report.figures.total_return == pytest.approx(999 / 10_000)
    assert list(host.changes()) == ["portfolio/trend", "performance/trend"]


def test_a_session_that_closes_gives_each_a_day_once_and_is_saved() -> None:
    host = opened("mean", "trend")
    price(host, 100.0, 1)
    host.tracker.fill(fill(10), moment(1))
    price(host, 90.0, 10)
    host.changes()
    for _ in range(2):
        host.tracker.day(moment(11).time)
    assert list(host.changes()) == ["performance/mean", "performance/trend"]
    assert [host.tracker.report(name, 5).figures.days for name in ("mean", "trend")] == [1, 1]
    assert host.tracker.report("trend", 5).figures.worst_day == pytest.approx(-101 / 10_000)


def test_a_removed_strategy_leaves_nothing() -> None:
    host = opened("mean", "trend")
    host.tracker.close("mean")
    assert host.changes() == {"portfolio/mean": None, "performance/mean": None}
    assert list(host.tracker.portfolios) == ["trend"]


def test_the_report_of_a_strategy_with_fifty_symbols_fits_in_a_message() -> None:
    host = opened()
    for n in range(50):
        host.tracker.fill(fill(n + 1, symbol=f"LONGNAME{n}"), moment(1))
    report = host.tracker.report("trend", 5)
    event = local(report, topic="view/strategy/trend")
    assert TYPE_OF[type(report)] is event.type is EventType.PERFORMANCE
    payload = wire.encode(event)
    assert len(payload) < PAYLOAD_MAX / 16
    assert wire.decode(payload).body == report
