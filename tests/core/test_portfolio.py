"""One account per strategy: to the cent its own, and together the whole account."""

from __future__ import annotations

import decimal
import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.core.activities import activity_of, divided
from appliance.core.portfolio import Holding, Portfolio, Valuation, differences
from appliance.domain import wire
from appliance.domain.market import CorporateAction, Dividend, Split
from appliance.domain.trading import Activity, ActivityKind, Fill, Part, Position, Side

D = Decimal
STRATEGIES = ("mean", "pairs", "trend")
SYMBOLS = ("QQQ", "SPY", "TLT")
ALLOTMENT = D(100_000)
PRICES = st.integers(1, 1_000_000).map(lambda ten_thousandths: D(ten_thousandths) / 10_000)
SHARES = st.one_of(st.integers(1, 1_000).map(D), st.integers(1, 10_000_000).map(lambda n: D(n) / 1_000_000))
FILLS = st.lists(
    st.builds(
        lambda *parts: Fill("k", "o", *parts, 0),
        st.sampled_from(STRATEGIES), st.sampled_from(SYMBOLS), st.sampled_from(Side), SHARES, PRICES,
        st.integers(0, 500).map(lambda cents: D(cents) / 100),
    ),
    max_size=40,
)  # fmt: skip
MARKS = st.fixed_dictionaries({symbol: st.floats(0.01, 10_000) for symbol in SYMBOLS})


def fill(side: Side, shares: str, price: str, fee: str = "1", symbol: str = "SPY", strategy: str = "trend") -> Fill:
    return Fill("k", "o", strategy, symbol, side, D(shares), D(price), D(fee), 0)


def booked(fills: list[Fill]) -> dict[str, Portfolio]:
    portfolios = {name: Portfolio.opened(name, ALLOTMENT) for name in STRATEGIES}
    for one in fills:
        portfolios[one.strategy] = portfolios[one.strategy].booked(one)
    return portfolios


def account(fills: list[Fill]) -> tuple[dict[str, Decimal], Decimal]:
    """Shares by symbol and change of cash, as the venue counts them: it knows no strategies."""
    shares: dict[str, Decimal] = {}
    cash = D(0)
    for one in fills:
        shares[one.symbol] = shares.get(one.symbol, D(0)) + one.signed
        cash -= one.signed * one.price + one.commission
    return {symbol: held for symbol, held in shares.items() if held}, cash


@settings(max_examples=150)
@given(FILLS, MARKS)
def test_equity_is_allotment_plus_profit_less_fees_without_any_rounding(
    fills: list[Fill], marks: dict[str, float]
) -> None:
    portfolios = booked(fills)
    with decimal.localcontext(prec=60):
        for name, portfolio in portfolios.items():
            value = portfolio.valued(marks)
            assert value is not None
            assert value.equity == ALLOTMENT + portfolio.realised + value.unrealised - portfolio.fees
            own = [one for one in fills if one.strategy == name]
            cash = ALLOTMENT - sum(one.signed * one.price + one.commission for one in own)
            assert portfolio.cash == cash
            assert value.equity == cash + sum(
                (one.signed * D(repr(marks[one.symbol])) for one in own),
                D(0),
            )
            assert (value.equity, value.unrealised) == (portfolio.equity(marks), portfolio.unrealised(marks))


@settings(max_examples=150)
@given(FILLS)
def test_strategies_together_are_the_account(fills: list[Fill]) -> None:
    portfolios = booked(fills).values()
    shares, cash = account(fills)
    for symbol in SYMBOLS:
        assert sum(portfolio.shares(symbol) for portfolio in portfolios) == shares.get(symbol, 0)
    assert sum(portfolio.flow for portfolio in portfolios) == cash
    assert differences(portfolios, shares, cash, D("1e-12")) == []


@settings(max_examples=100)
@given(FILLS)
def test_holdings_and_realised_profit_agree_with_positions_at_average_cost(fills: list[Fill]) -> None:
    positions: dict[tuple[str, str], Position] = {}
    realised = dict.fromkeys(STRATEGIES, D(0))
    for one in fills:
        key = (one.strategy, one.symbol)
        before = positions.get(key, Position(one.symbol))
        if before.quantity * one.signed < 0:
            closed = min(abs(one.signed), abs(before.quantity)) * (1 if before.quantity > 0 else -1)
            realised[one.strategy] += closed * (one.price - before.average_price)
        positions[key] = before.after(one)
    for name, portfolio in booked(fills).items():
        held = {symbol: positions[(name, symbol)] for symbol in SYMBOLS if (name, symbol) in positions}
        assert portfolio.positions == {symbol: one.quantity for symbol, one in held.items() if one.quantity}
        assert abs(portfolio.realised - realised[name]) < D("1e-7")
        for symbol, holding in portfolio.holdings.items():
            assert abs(holding.cost - held[symbol].average_price * holding.quantity) < D("1e-7")


@given(FILLS)
def test_a_portfolio_comes_back_from_its_row_as_it_was(fills: list[Fill]) -> None:
    for portfolio in booked(fills).values():
        assert wire.unpack(wire.pack(portfolio), Portfolio) == portfolio


@pytest.mark.parametrize(
    ("fills", "held", "average", "realised", "cash"),
    [
        ([("buy", "10", "5"), ("buy", "10", "7")], "20", "6", "0", "-122"),
        ([("buy", "10", "5"), ("sell", "4", "9")], "6", "5", "16", "-16"),
        ([("buy", "10", "5"), ("sell", "10", "9")], "0", "0", "40", "38"),
        ([("buy", "10", "5"), ("sell", "15", "9")], "-5", "9", "40", "83"),
        ([("sell", "10", "5"), ("sell", "10", "7")], "-20", "6", "0", "118"),
        ([("sell", "10", "5"), ("buy", "30", "7")], "20", "7", "-20", "-162"),
        ([("buy", "3", "10"), ("buy", "4", "11"), ("sell", "5", "10")], "2", "10.5714285715", "-2.857142857", "-27"),
    ],
)
def test_profit_is_realised_at_average_cost(
    fills: list[tuple[str, str, str]], held: str, average: str, realised: str, cash: str
) -> None:
    portfolio = booked([fill(Side(side), shares, price) for side, shares, price in fills])["trend"]
    assert portfolio.shares("SPY") == D(held)
    assert round(portfolio.holdings.get("SPY", Holding()).average_price, 10) == D(average)
    assert (portfolio.realised, portfolio.flow, portfolio.fees) == (D(realised), D(cash), D(len(fills)))


def test_a_flat_symbol_leaves_no_row_behind() -> None:
    fills = [fill(Side.BUY, "3", "10"), fill(Side.SELL, "1", "11"), fill(Side.SELL, "2", "12")]
    assert booked(fills)["trend"].holdings == {}


def test_long_and_short_exposure_are_kept_apart() -> None:
    fills = [fill(Side.BUY, "10", "100"), fill(Side.SELL, "5", "50", symbol="TLT")]
    value = booked(fills)["trend"].valued({"SPY": 110.0, "TLT": 40.0})
    assert value == Valuation(ALLOTMENT + 100 + 50 - 2, D(150), D(1100), D(-200))
    assert (value.gross, value.net) == (1300, 900)


@pytest.mark.parametrize("price", [None, math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_without_a_usable_price_there_is_no_value(price: float | None) -> None:
    portfolio = booked([fill(Side.BUY, "10", "100")])["trend"]
    prices = {} if price is None else {"SPY": price}
    assert portfolio.valued(prices) is portfolio.equity(prices) is portfolio.unrealised(prices) is None
    assert Portfolio.opened("trend", D(5)).equity(prices) == 5


def test_a_fill_of_another_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="belongs to 'mean', this portfolio to 'trend'"):
        Portfolio.opened("trend", D(1)).booked(fill(Side.BUY, "1", "1", strategy="mean"))


def test_another_allotment_comes_as_cash_and_is_no_profit() -> None:
    before = booked([fill(Side.BUY, "10", "100")])["trend"]
    after = before.allotted(D(150_000))
    assert (after.cash - before.cash, after.flow, after.realised) == (50_000, before.flow, before.realised)


OPPOSED = [
    fill(Side.BUY, "50", "100"),
    fill(Side.SELL, "20", "101", strategy="mean"),
    fill(Side.BUY, "3", "7", "0", "QQQ"),
]


@pytest.mark.parametrize(
    ("injected", "found"),
    [
        ({"SPY": D(35)}, ["SPY: the account holds +35 shares, the strategies +30 (mean -20, trend +50): +5 are of no"]),
        ({"SPY": None}, ["SPY: the account holds +0 shares, the strategies +30"]),
        ({"TLT": D(-1)}, ["TLT: the account holds -1 shares, the strategies +0 (none): -1 are of no strategy"]),
        (
            {"cash": D("0.01")},
            ["cash: the account changed by -3002.99 USD, the strategies by -3003.00 (mean +2019.00,"],
        ),
        ({"cash": D("NaN")}, ["cash: the account changed by +NaN USD"]),
        ({"cash": D("0.009")}, []),
        ({"SPY": D(29), "QQQ": D(4), "cash": D(-7)}, ["QQQ: ", "SPY: ", "cash: "]),
    ],
)
def test_an_injected_difference_is_found_and_named(injected: dict[str, Decimal | None], found: list[str]) -> None:
    shares, cash = account(OPPOSED)
    cash += injected.pop("cash", D(0)) or 0
    positions = {symbol: held for symbol, held in {**shares, **injected}.items() if held is not None}
    lines = differences(booked(OPPOSED).values(), positions, cash)
    assert len(lines) == len(found)
    assert all(line.startswith(begins) for line, begins in zip(lines, found, strict=True)), lines


@given(FILLS.filter(len), st.data())
def test_a_fill_that_one_side_missed_is_always_found(fills: list[Fill], data: st.DataObject) -> None:
    missed = data.draw(st.integers(0, len(fills) - 1))
    shares, cash = account(fills)
    lines = differences(booked(fills[:missed] + fills[missed + 1 :]).values(), shares, cash)
    assert any(line.startswith(f"{fills[missed].symbol}: ") for line in lines)


def test_the_portfolio_of_a_fill_is_new_and_the_old_one_stays() -> None:
    before = Portfolio.opened("trend", D(1000))
    after = before.booked(fill(Side.BUY, "1", "10"))
    assert before == Portfolio.opened("trend", D(1000)) != after
    assert replace(after, holdings={}).cash == 989


ACTIONS = st.one_of(
    st.builds(Split, st.just("SPY"), st.just(0), st.integers(1, 9), st.integers(1, 9), PRICES),
    st.builds(Dividend, st.just("SPY"), st.just(0), st.integers(1, 500).map(lambda cents: D(cents) / 100)),
)


@given(FILLS, st.lists(ACTIONS, max_size=4), FILLS, MARKS)
def test_splits_dividends_and_interest_leave_equity_exact_and_the_strategies_with_the_whole_account(
    before: list[Fill], actions: list[CorporateAction], after: list[Fill], marks: dict[str, float]
) -> None:
    whole = [replace(one, quantity=one.quantity.to_integral_value() + 1) for one in [*before, *after]]
    portfolios = booked(whole[: len(before)])
    shares, cash = account(whole[: len(before)])
    for action in actions:
        held = {name: portfolio.shares("SPY") for name, portfolio in portfolios.items()}
        activity = activity_of(action, shares.get("SPY", D(0)))
        for part in divided(activity, held):
            portfolios[part.strategy] = portfolios[part.strategy].changed(activity, part)
        shares["SPY"], cash = activity.position, cash + activity.cash
    interest = Activity("i", ActivityKind.INTEREST, "", 0, D(-7))
    portfolios["trend"] = portfolios["trend"].changed(interest, Part("trend", D(0), D(-7)))
    for one in whole[len(before) :]:
        portfolios[one.strategy] = portfolios[one.strategy].booked(one)
        shares[one.symbol] = shares.get(one.symbol, D(0)) + one.signed
        cash -= one.signed * one.price + one.commission
    assert differences(portfolios.values(), shares, cash - 7, D("1e-12")) == []
    for portfolio in portfolios.values():
        value = portfolio.valued(marks)
        assert value is not None
        profit = portfolio.realised + value.unrealised - portfolio.fees + portfolio.dividends + portfolio.interest
        assert abs(value.equity - ALLOTMENT - profit) < D("1e-12")
