"""Each rule at limit - 1, limit, limit + 1, NaN and missing. What is not known is a no."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from appliance.core.limits import LimitValues, Rule, rules
from appliance.core.limits.base import Case, Price
from appliance.core.limits.collar import PriceCollar
from appliance.core.limits.notional import MaxNotional
from appliance.core.limits.position import MaxPosition
from appliance.core.limits.size import MaxOrderSize
from appliance.core.limits.solvency import SufficientCash
from appliance.core.limits.staleness import StalePrice
from appliance.core.limits.wellformed import WellFormed
from appliance.domain.messages import Now
from appliance.domain.trading import ID_LENGTH_MAX, OrderType, Side, Trail
from tests.core.make import intent
from tests.playbook import BEGIN, SECOND

D = Decimal
NAN = Decimal("NaN")
MISSING = None
HUNDRED = Price(100.0, BEGIN)


def case(
    price: Price | None = HUNDRED, position: Any = 0, buying: Any = 0, selling: Any = 0, cash: Any = 1_000_000,
    reserved: Any = 0, later: int = 0, **wanted: Any,
) -> Case:  # fmt: skip
    """One intent (BUY 100 SPY unless told otherwise) in its surroundings."""
    now = Now(BEGIN + later, "boot-1", BEGIN + later)
    money = None if cash is None else D(cash)
    return Case(intent(**wanted), now, price, D(position), D(buying), D(selling), money, D(reserved), False)


@pytest.mark.parametrize(
    ("trail", "cash", "refused"),
    [(Trail(D(50), True), 14_999, True), (Trail(D(50), True), 15_000, False), (Trail(D(5)), 10_499, True)],
)
def test_a_stop_that_trails_to_buy_may_cost_what_it_begins_at(trail: Trail, cash: int, refused: bool) -> None:
    assert no(SufficientCash(), cash=cash, type=OrderType.TRAILING_STOP, trail=trail) is refused


def no(rule: Rule, **given: Any) -> bool:
    refusal = rule.check(case(**given))
    if refusal is None:
        return False
    assert refusal.code == rule.code
    assert refusal.text
    return True


@pytest.mark.parametrize(("quantity", "refused"), [(99, False), (100, False), (101, True), (NAN, True)])
def test_an_order_larger_than_allowed_is_refused(quantity: Any, refused: bool) -> None:
    assert no(MaxOrderSize(D(100)), quantity=D(quantity)) is refused


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"position": -1}, False), ({"position": 0}, False), ({"position": 1}, True), ({"buying": 1}, True),
        ({"selling": 50}, False), ({"position": -50, "buying": 51}, True), ({"quantity": NAN}, True),
        ({"position": NAN}, True), ({"buying": NAN}, True), ({"side": Side.SELL}, False),
        ({"side": Side.SELL, "position": -1}, True), ({"side": Side.SELL, "selling": 1}, True),
    ],
)  # fmt: skip
def test_the_worst_position_counts_what_is_on_its_way(given: dict[str, Any], refused: bool) -> None:
    assert no(MaxPosition(D(100)), **given) is refused


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"price": Price(99.99, BEGIN)}, False), ({"price": HUNDRED}, False), ({"price": Price(100.01, BEGIN)}, True),
        ({"price": MISSING}, True), ({"price": Price(float("nan"), BEGIN)}, True),
        ({"price": Price(float("inf"), BEGIN)}, True), ({"limit_price": D("100.00")}, False),
        ({"limit_price": D("100.01")}, True), ({"limit_price": NAN}, True), ({"quantity": NAN}, True),
        ({"price": MISSING, "limit_price": D(100)}, False),
    ],
)  # fmt: skip
def test_an_order_worth_more_than_allowed_is_refused(given: dict[str, Any], refused: bool) -> None:
    assert no(MaxNotional(D(10_000)), **given) is refused


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({}, False), ({"limit_price": D("104.99")}, False), ({"limit_price": D(105)}, False),
        ({"limit_price": D("105.01")}, True), ({"limit_price": D(95)}, False), ({"limit_price": D("94.99")}, True),
        ({"stop_price": D("105.01")}, True), ({"limit_price": D(100), "stop_price": D(106)}, True),
        ({"limit_price": NAN}, True), ({"stop_price": NAN}, True), ({"price": MISSING}, True),
        ({"price": MISSING, "limit_price": D(100)}, True),
        ({"price": Price(float("nan"), BEGIN), "limit_price": D(100)}, True),
    ],
)  # fmt: skip
def test_the_price_collar(given: dict[str, Any], refused: bool) -> None:
    assert no(PriceCollar(D(5)), **given) is refused


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"later": SECOND - 1}, False),
        ({"later": SECOND}, False),
        ({"later": SECOND + 1}, True),
        ({"price": MISSING}, True),
    ],
)
def test_a_stale_price(given: dict[str, Any], refused: bool) -> None:
    assert no(StalePrice(SECOND), **given) is refused


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"cash": "10000.01"}, False), ({"cash": 10_000}, False), ({"cash": "9999.99"}, True),
        ({"cash": MISSING}, True),
        ({"cash": NAN}, True), ({"cash": 10_000, "reserved": "0.01"}, True), ({"reserved": NAN}, True),
        ({"price": MISSING}, True), ({"price": Price(float("nan"), BEGIN)}, True), ({"limit_price": NAN}, True),
        ({"price": MISSING, "limit_price": D(1)}, False), ({"side": Side.SELL, "cash": 9_999}, True),
        ({"price": Price(-1.0, BEGIN)}, True),
    ],
)  # fmt: skip
def test_an_order_beyond_the_cash_is_refused(given: dict[str, Any], refused: bool) -> None:
    assert no(SufficientCash(), **given) is refused


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({}, False), ({"quantity": D("0.5")}, False), ({"quantity": D(0)}, True), ({"quantity": D(-1)}, True),
        ({"quantity": NAN}, True), ({"quantity": D("sNaN")}, True), ({"quantity": D("Infinity")}, True),
        ({"type": OrderType.LIMIT}, True), ({"type": OrderType.LIMIT, "limit_price": D(1)}, False),
        ({"type": OrderType.LIMIT, "limit_price": D(0)}, True), ({"type": OrderType.LIMIT, "limit_price": NAN}, True),
        ({"type": OrderType.STOP, "limit_price": D(1)}, True), ({"type": OrderType.STOP, "stop_price": D(1)}, False),
        ({"type": OrderType.STOP_LIMIT, "stop_price": D(1)}, True), ({"limit_price": NAN}, True),
        ({"type": OrderType.STOP_LIMIT, "stop_price": D(1), "limit_price": D(1)}, False), ({"stop_price": NAN}, True),
        ({"stop": D(0)}, True), ({"stop": NAN}, True), ({"stop": D(90)}, False), ({"id": ""}, True),
        ({"id": "x" * ID_LENGTH_MAX}, False), ({"id": "x" * (ID_LENGTH_MAX + 1)}, True),
    ],
)  # fmt: skip
def test_what_makes_no_sense_whatever_the_limits_are(given: dict[str, Any], refused: bool) -> None:
    assert no(WellFormed(), **given) is refused


def test_without_limits_only_malformed_orders_and_missing_cash_are_refused() -> None:
    assert [rule.code for rule in rules(LimitValues())] == ["MALFORMED", "INSUFFICIENT_CASH"]


def test_every_limit_brings_its_rule_and_only_the_wellformed_binds_reductions() -> None:
    found = rules(LimitValues(D(1), D(1), D(1), D(1), 1))
    codes = {"MALFORMED", "MAX_ORDER_SIZE", "STALE_PRICE", "PRICE_COLLAR", "MAX_NOTIONAL", "MAX_POSITION"}
    assert {rule.code for rule in found} == codes | {"INSUFFICIENT_CASH"}
    assert [rule.code for rule in found if rule.binds_reductions] == ["MALFORMED"]
