from __future__ import annotations

import pytest
from msgspec.structs import fields

from appliance.data.validation import limits, rules
from appliance.data.validation.limits import ValidationLimits
from appliance.domain.market import SECOND
from appliance.errors import UsageError
from tests.data.validation.scenes import OPEN, bar, calm, names, quote, told, trade, validator


@pytest.mark.parametrize("name", [field.name for field in fields(ValidationLimits)])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1])
def test_a_limit_that_makes_no_sense_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(UsageError) as refused:
        ValidationLimits(**{name: value}).checked()
    assert name in refused.value.text
    assert "it must be from" in refused.value.hint


def test_a_warning_beyond_the_refusal_is_refused() -> None:
    with pytest.raises(UsageError, match=r"wide_spread 0\.5 is above absurd_spread"):
        ValidationLimits(wide_spread=0.5).checked()


def test_a_validator_takes_no_limits_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="jump_sigmas"):
        validator(ValidationLimits(jump_sigmas=float("nan")))


def test_every_limit_is_of_a_rule_and_every_rule_names_limits_that_exist() -> None:
    known = {field.name for field in fields(ValidationLimits)}
    used = {name for rule in rules.RULES.values() for name in rule.limits}
    assert used == known
    assert set(limits._RANGES) == known


def test_the_owner_may_ask_for_more_or_less() -> None:
    strict = validator(ValidationLimits(jump_sigmas=5, trade_jump=0.001, wide_spread=0.001, tick=0.0001))
    assert names(told(strict, bar(calm(strict), 100.6))) == ["jump"]
    assert names(told(strict, trade(OPEN + 3600 * SECOND, 100.0))) == []
    assert names(told(strict, trade(OPEN + 3601 * SECOND, 100.3))) == ["off_market"]
    assert names(told(strict, quote(OPEN + 3602 * SECOND, 100.0, 100.2))) == ["wide_spread"]
    loose = validator(ValidationLimits(jump_sigmas=100))
    assert names(told(loose, bar(calm(loose), 103.0))) == []
