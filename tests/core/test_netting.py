"""From a wished position to orders."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from appliance.core.netting import legs
from appliance.domain.trading import Side

D = Decimal
SHARES = st.integers(-300, 300).map(Decimal)
BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("target", "held", "way", "expected"),
    [
        (100, 0, 0, [(BUY, 100, False)]),
        (-100, 0, 0, [(SELL, 100, False)]),
        (100, 100, 0, []),
        (100, 40, 60, []),
        (150, 100, 0, [(BUY, 50, False)]),
        (150, 40, 60, [(BUY, 50, False)]),
        (60, 100, 0, [(SELL, 40, True)]),
        (0, 100, 0, [(SELL, 100, True)]),
        (0, -100, 0, [(BUY, 100, True)]),
        (-50, 100, 0, [(SELL, 100, True), (SELL, 50, False)]),
        (50, -100, 0, [(BUY, 100, True), (BUY, 50, False)]),
        (0, 0, 100, None),  # an entry is on its way: wait, then get out
        (50, 0, 100, None),
        (-50, 0, 100, None),
        (50, 100, -100, None),  # an exit is on its way: no order against it
        (80, 100, -40, None),
        (0, 100, -100, []),
        (-50, 100, -100, [(SELL, 50, False)]),
    ],
)
def test_the_legs_from_what_is_held_and_on_its_way_to_the_target(
    target: int, held: int, way: int, expected: list[tuple[Side, int, bool]] | None
) -> None:
    found = legs(D(target), D(held), D(way))
    assert (found if found is None else [astuple(leg) for leg in found]) == expected


@given(SHARES, SHARES, SHARES)
def test_the_legs_reach_the_target_and_an_exit_never_exceeds_what_is_held(
    target: Decimal, held: Decimal, way: Decimal
) -> None:
    found = legs(target, held, way)
    if found is None:
        assert way, "there is nothing to wait for"
        return
    assert held + way + sum(leg.quantity * leg.side.sign for leg in found) == target
    for leg in found:
        assert leg.quantity > 0
        assert not (way and leg.side.sign * way < 0), "two of our orders would oppose each other"
        if leg.exit:
            assert leg.quantity <= abs(held)
            assert leg.side.sign * held < 0


@given(SHARES, SHARES)
def test_nothing_is_deferred_when_nothing_is_on_its_way(target: Decimal, held: Decimal) -> None:
    assert legs(target, held, D(0)) is not None
