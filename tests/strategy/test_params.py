"""Parameters: what is taken, what is refused, and in which words."""

from __future__ import annotations

from decimal import Decimal

import pytest

from appliance.errors import StrategyError
from appliance.strategy import Strategy, param
from appliance.strategy.params import retune


class Every(Strategy):
    symbol: str = param("SPY")
    fast: int = param(10, low=2, high=100)
    entry: float = param(2.0, low=0.5)
    loss: Decimal = param(Decimal("0.5"), high=Decimal(5))
    short: bool = param(False)
    side: str = param("long", choices=("long", "both"))


def test_defaults_come_in_the_order_they_are_written():
    assert list(Every.configure({}).items()) == [
        ("symbol", "SPY"),
        ("fast", 10),
        ("entry", 2.0),
        ("loss", Decimal("0.5")),
        ("short", False),
        ("side", "long"),
    ]


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("symbol", "AAPL", "AAPL"),
        ("fast", "5", 5),
        ("fast", 2, 2),
        ("fast", "100", 100),
        ("entry", "1.5", 1.5),
        ("entry", 3, 3.0),
        ("entry", Decimal("0.5"), 0.5),
        ("loss", "0.10", Decimal("0.10")),
        ("loss", 0.1, Decimal("0.1")),
        ("short", "yes", True),
        ("short", "OFF", False),
        ("short", True, True),
        ("side", "both", "both"),
    ],
)
def test_a_value_arrives_in_the_declared_type(name, given, taken):
    value = Every.configure({name: given})[name]
    assert value == taken
    assert type(value) is type(taken)


@pytest.mark.parametrize(
    ("name", "given", "allowed"),
    [
        # out of range, one step on either side
        ("fast", "1", "a whole number from 2 to 100"),
        ("fast", 101, "a whole number from 2 to 100"),
        ("entry", 0.49, "a number, at least 0.5"),
        ("loss", "5.01", "a number, at most 5"),
        ("side", "short", "one of long, both"),
        # of another type
        ("fast", "ten", "a whole number"),
        ("fast", "5.5", "a whole number"),
        ("fast", 5.0, "a whole number"),
        ("fast", True, "a whole number"),
        ("symbol", 5, "text"),
        ("symbol", "", "text"),
        ("short", "maybe", "true or false"),
        ("short", 1, "true or false"),
        # no number at all
        ("entry", "nan", "a number"),
        ("entry", float("inf"), "a number"),
        ("loss", "NaN", "a number"),
        ("loss", "-Infinity", "a number"),
        ("loss", True, "a number"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name, given, allowed):
    with pytest.raises(StrategyError) as caught:
        Every.configure({name: given})
    assert f"parameter {name} = {given!r} is not allowed" in caught.value.text
    assert allowed in caught.value.text
    assert caught.value.exit_code == 4


def test_an_unknown_parameter_names_the_nearest_right_one():
    with pytest.raises(StrategyError, match="unknown parameter 'fats'; did you mean 'fast'"):
        Every.configure({"fats": 5})


def test_all_mistakes_are_told_at_once():
    with pytest.raises(StrategyError) as caught:
        Every.configure({"fast": 1, "zzz": 0, "side": "up"})
    assert all(word in caught.value.text for word in ("fast", "zzz", "side"))
    assert "fast: a whole number from 2 to 100" in caught.value.hint


def test_a_subclass_inherits_parameters_and_may_declare_them_anew():
    class Slower(Every):
        fast: int = param(50, low=20, high=200)
        extra: int = param(1)

    assert list(Slower.params) == [*Every.params, "extra"]
    assert Slower.configure({})["fast"] == 50
    assert Every.configure({})["fast"] == 10


@pytest.mark.parametrize(
    ("annotation", "declared", "words"),
    [
        (None, param(10), "a parameter needs a type"),
        (list, param(10), "a parameter needs a type"),
        (int, param(1, low=2), "the default does not fit"),
        (int, param("ten"), "the default does not fit"),
        (float, param(1.0, low="a"), "the default does not fit"),
        (str, param("c", choices=("a", "b")), "the default does not fit"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused_when_the_class_is_made(annotation, declared, words):
    body = {"fast": declared, "__annotations__": {} if annotation is None else {"fast": annotation}}
    with pytest.raises(StrategyError, match=f"Broken.fast: {words}"):
        type("Broken", (Strategy,), body)


def test_a_plain_value_over_an_inherited_parameter_is_refused_because_it_would_be_ignored():
    with pytest.raises(StrategyError, match="would be ignored"):
        type("Faster", (Every,), {"fast": 3})


class Tuned(Strategy):
    symbol: str = param("SPY")
    entry: float = param(2.0, low=0.5, high=6.0, live=True)
    shares: int = param(100, low=1, live=True)
    window: int = param(30, low=5)


NOW = {"symbol": "SPY", "entry": 2.0, "shares": 100, "window": 30}


def test_a_parameter_is_live_only_when_it_says_so():
    assert {name for name, one in Tuned.params.items() if one.live} == {"entry", "shares"}


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({"entry": "1.5"}, {"entry": 1.5}),
        ({"entry": "3", "shares": "7"}, {"entry": 3.0, "shares": 7}),
        ({"entry": "2.0"}, {}),  # as it is
        ({"window": "30", "shares": "1"}, {"shares": 1}),  # what is not live may be named if it stays
        ({}, {}),
    ],
)
def test_live_parameters_are_taken_while_running(changes, taken):
    assert retune("Tuned", Tuned.params, NOW, changes) == taken


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"window": "31"}, "parameter window is not live, so it stays 30 while running: reload to change it"),
        ({"entry": "9"}, "parameter entry = '9' is not allowed; allowed: a number from 0.5 to 6.0"),
        ({"entry": "two"}, "a number from 0.5 to 6.0"),
        ({"entri": "2"}, "unknown parameter 'entri'; did you mean 'entry'?"),
    ],
)
def test_what_cannot_be_changed_while_running_is_refused_with_the_reason(changes, words):
    with pytest.raises(StrategyError) as caught:
        retune("Tuned", Tuned.params, NOW, changes)
    assert words in caught.value.text
    assert "entry: a number from 0.5 to 6.0" in caught.value.hint


def test_one_refusal_lists_every_mistake_of_a_change():
    with pytest.raises(StrategyError) as caught:
        retune("Tuned", Tuned.params, NOW, {"window": "9", "entry": "0", "zzz": "1", "shares": "5"})
    assert all(word in caught.value.text for word in ("window is not live", "entry = '0'", "'zzz'"))
    assert "shares" not in caught.value.text
