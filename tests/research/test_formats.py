"""Figures as people read them: a true minus, no -0.00, a dash for what is not defined."""

from __future__ import annotations

from decimal import Decimal

import pytest

from appliance.domain.market import DAY, HOUR, MINUTE, SECOND
from appliance.research.formats import figure, money, number, percent, signed, span


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "fraction", "–"),
        (0.1234, "fraction", "12.34 %"),
        (-0.00001, "fraction", "0.00 %"),
        (-1234.5, "USD", "−1,234.50 USD"),
        (Decimal("0.005"), "USD", "0.00 USD"),
        (1.2345, "ratio", "1.23"),
        (12_345, "count", "12,345"),
        (2.5, "count", "2.50"),
        (3.0, "days", "3 d"),
        (3.25, "days", "3.2 d"),
        (90 * SECOND, "ns", "1 min"),
        (7.5, "bps", "7.50 bp"),
        (7.5, "what nobody knows", "7.50"),
    ],
)
def test_a_figure_is_told_by_its_unit(value: object, unit: str, text: str) -> None:
    assert figure(value, unit) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0, "0 s"),
        (500_000_000, "0.5 s"),
        (MINUTE, "1 min"),
        (HOUR + MINUTE, "1 h 1 min"),
        (DAY, "1 d"),
        (DAY + 3 * HOUR + 59 * MINUTE, "1 d 3 h"),
        (1500 * DAY, "1,500 d"),
    ],
)
def test_a_length_of_time_has_its_two_largest_units(length: int, text: str) -> None:
    assert span(length) == text


def test_numbers_are_grouped_and_signed() -> None:
    assert (number(-1234567.891), number(-0.001), number(0)) == ("−1,234,567.89", "0.00", "0.00")
    assert (percent(-0.5, 0), money(Decimal("1e3"))) == ("−50 %", "1,000.00 USD")
    assert [signed(value) for value in (1, -1, 0)] == ["up", "down", "flat"]
