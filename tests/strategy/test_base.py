"""What a class body may hold: mistakes that would stay silent are refused when the class is made."""

from __future__ import annotations

import pytest

from appliance.errors import StrategyError
from appliance.strategy import Strategy, param


def no_arguments(self): ...


def bar_hook(self, bar): ...


async def async_hook(self, bar): ...


def yielding_hook(self, bar):
    yield bar


def with_default(self, bar, more=1): ...


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("on_bars", bar_hook, "is not a hook.*did you mean 'on_bar'"),
        ("on_zzz", bar_hook, "is not a hook"),
        ("on_bar", no_arguments, "wrong arguments"),
        ("on_start", bar_hook, "wrong arguments"),
        ("on_bar", async_hook, "never run"),
        ("on_bar", yielding_hook, "never run"),
        ("on_bar", 5, "plain method"),
        ("on_bar", staticmethod(bar_hook), "plain method"),
        ("target", bar_hook, "belongs to the appliance"),
        ("position", 0, "belongs to the appliance"),
        ("state", {}, "belongs to the appliance"),
        ("now", 0, "belongs to the appliance"),
        ("__init__", no_arguments, "belongs to the appliance"),
        ("_context", None, "belongs to the appliance"),
    ],
)
def test_a_class_that_would_fail_silently_is_refused(name, value, words):
    with pytest.raises(StrategyError, match=words):
        type("Broken", (Strategy,), {name: value})


def test_the_hint_says_how_to_write_the_hook():
    with pytest.raises(StrategyError) as caught:
        type("Broken", (Strategy,), {"on_bar": no_arguments})
    assert "def on_bar(self, bar):" in caught.value.hint


def test_helpers_other_arguments_with_defaults_and_no_hooks_at_all_are_fine():
    assert type("Fine", (Strategy,), {"on_bar": with_default, "helper": bar_hook}).params == {}
    assert type("Empty", (Strategy,), {}).params == {}


def test_a_parameter_may_not_take_the_name_of_a_verb():
    with pytest.raises(StrategyError, match="belongs to the appliance"):
        type("Broken", (Strategy,), {"target": param(1), "__annotations__": {"target": int}})
