"""Conditions: what holds, what does not, and what is refused before anything runs."""

from __future__ import annotations

import pytest

from appliance.errors import UsageError
from appliance.research.sweep.conditions import Condition, Known, number_or_text


@pytest.mark.parametrize(
    ("text", "values", "holds"),
    [
        ("fast < slow", {"fast": 5.0, "slow": 9.0}, True),
        ("fast < slow", {"fast": 9.0, "slow": 9.0}, False),
        ("fast * 2 <= slow - 1", {"fast": 4.0, "slow": 9.0}, True),
        ("1 < fast < 3", {"fast": 2.0}, True),
        ("1 < fast < 3", {"fast": 3.0}, False),
        ("mode == 'long' or fast > 3", {"mode": "short", "fast": 4.0}, True),
        ("not fast > 3 and mode != 'x'", {"mode": "short", "fast": 3.0}, True),
        ("fast % 2 == 0", {"fast": 6.0}, True),
        ("drawdown > -0.3", {"drawdown": -0.2}, True),
        ("slow / fast > 2", {"fast": 0.0, "slow": 1.0}, False),
        ("sharpe > 1", {"sharpe": None}, False),
        ("not sharpe > 1", {"sharpe": None}, False),
        ("sharpe > 1", {"sharpe": float("nan")}, False),
        ("mode > 1", {"mode": "long"}, False),
    ],
)
def test_a_condition_holds_where_it_is_true_and_nowhere_else(text: str, values: dict[str, Known], holds: bool) -> None:
    assert Condition(text).holds(values) is holds


@pytest.mark.parametrize(
    "text",
    ["", "fast <", "fast", "1 + 2", "__import__('os').system('x') == 0", "fast.real > 1", "fast[0] > 1", "fast is slow",
     "[fast] == slow", "lambda: 1 > 2", "fast ** slow > 1", "x := 1", "fast < slow; slow < 1", "b'x' == fast"],
)  # fmt: skip
def test_what_is_no_comparison_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="condition"):
        Condition(text)


def test_a_name_that_does_not_exist_is_named_with_its_nearest() -> None:
    condition = Condition("fats < slow")
    assert condition.names == ("fats", "slow")
    with pytest.raises(UsageError, match="no parameter 'fats'") as raised:
        condition.check_names(("fast", "slow"), "parameter")
    assert "did you mean fast?" in raised.value.hint
    Condition("fast < slow").check_names(("fast", "slow"), "parameter")


def test_parameters_are_compared_as_numbers_where_they_are_numbers() -> None:
    assert number_or_text("10") == 10.0
    assert number_or_text("long") == "long"
    assert Condition("fast < slow").holds({"fast": number_or_text("9"), "slow": number_or_text("10")})
