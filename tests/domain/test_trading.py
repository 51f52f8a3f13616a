"""Positions as sums of fills, at average cost."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.trading import Fill, Position, Side

D = Decimal
SHARES = st.integers(1, 1_000).map(Decimal)
PRICES = st.integers(1, 100_000).map(lambda cents: Decimal(cents) / 100)
TRADES = st.lists(st.tuples(st.sampled_from(Side), SHARES, PRICES), max_size=30)


def booked(trades: list[tuple[Side, Decimal, Decimal]]) -> Position:
    position = Position("SPY")
    for n, (side, quantity, price) in enumerate(trades):
        position = position.after(Fill(str(n), "o", "s", "SPY", side, quantity, price, D(0), n))
    return position


class Naive:
    """The same, as lots: the average of what is open; closing takes from all lots alike."""

    def __init__(self) -> None:
        self.quantity = D(0)
        self.cost = D(0)

    def trade(self, change: Decimal, price: Decimal) -> None:
        closes = min(abs(change), abs(self.quantity)) if change * self.quantity < 0 else D(0)
        if closes:
            self.cost -= self.cost * closes / abs(self.quantity)
        opens = abs(change) - closes
        self.cost += opens * price
        self.quantity += change


@given(TRADES)
def test_quantity_and_average_agree_with_a_naive_ledger(trades: list[tuple[Side, Decimal, Decimal]]) -> None:
    naive = Naive()
    for side, quantity, price in trades:
        naive.trade(quantity * side.sign, price)
    position = booked(trades)
    assert position.quantity == naive.quantity
    if position.quantity:
        assert abs(position.average_price - naive.cost / abs(naive.quantity)) < D("1e-18") * 1_000
    else:
        assert position == Position("SPY")


@pytest.mark.parametrize(
    ("trades", "quantity", "average"),
    [
        ([(Side.BUY, D(10), D(5)), (Side.BUY, D(10), D(7))], 20, 6),
        ([(Side.BUY, D(10), D(5)), (Side.SELL, D(4), D(9))], 6, 5),
        ([(Side.BUY, D(10), D(5)), (Side.SELL, D(10), D(9))], 0, 0),
        ([(Side.BUY, D(10), D(5)), (Side.SELL, D(15), D(9))], -5, 9),
        ([(Side.SELL, D(10), D(5)), (Side.SELL, D(10), D(7))], -20, 6),
        ([(Side.SELL, D(10), D(5)), (Side.BUY, D(30), D(7))], 20, 7),
    ],
)
def test_average_price_follows_increases_only(
    trades: list[tuple[Side, Decimal, Decimal]], quantity: int, average: int
) -> None:
    assert booked(trades) == Position("SPY", D(quantity), D(average))


def test_sides_are_opposite_and_signed() -> None:
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert Side.BUY.opposite is Side.SELL
    assert Side.SELL.opposite is Side.BUY
