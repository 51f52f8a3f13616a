"""The author's own indicators: ``self.sma(...)`` and its sisters."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from appliance.errors import StrategyError
from appliance.strategy import Strategy, param
from appliance.strategy import indicators as package
from appliance.strategy.indicators import VWAP, Indicator, Pair, SessionVWAP
from appliance.strategy.makers import Indicators

MAKERS = {name: value for name, value in vars(Indicators).items() if not name.startswith("_")}


class Kept(Indicators):
    """Keeps what it is asked to follow."""

    def __init__(self) -> None:
        self.followed: list[Indicator] = []

    def _follow(self, indicator: Any) -> Any:
        self.followed.append(indicator)
        return indicator


def given(name: str) -> tuple[Any, ...]:
    """What a maker must be given."""
    needed = inspect.signature(MAKERS[name]).parameters.values()
    chosen = {"symbol": "SPY", "other": "QQQ", "period": 7, "size": 0.5}
    return tuple(chosen[one.name] for one in needed if one.name in chosen and one.default is one.empty)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("timeframe", ["", "15m"])
def test_a_maker_follows_what_it_makes_on_the_bars_it_is_told(name: str, timeframe: str) -> None:
    author = Kept()
    made = getattr(author, name)(*given(name), timeframe=timeframe)
    assert author.followed == [made]
    assert (made.symbol, made.timeframe) == ("SPY", timeframe)
    assert made.label.endswith(", 15m)") == bool(timeframe)
    assert made.symbols == (("SPY", "QQQ") if isinstance(made, Pair) else ("SPY",))


@pytest.mark.parametrize("name", MAKERS)
def test_a_maker_has_the_parameters_and_defaults_of_what_it_makes(name: str) -> None:
    author = Kept()
    made = type(getattr(author, name)(*given(name)))
    theirs, ours = (dict(inspect.signature(one).parameters) for one in (made, MAKERS[name]))
    ours.pop("self")
    if name == "vwap":
        ours.pop("period")  # without one: since the session opened
    if name == "zscore":
        ours.pop("other")  # with one: of the ratio
    assert [(one.name, one.kind) for one in theirs.values()] == [(one.name, one.kind) for one in ours.values()]
    assert all(ours[one.name].default in (one.default, one.empty) for one in theirs.values())


def test_every_indicator_has_a_maker() -> None:
    author = Kept()
    made = {type(getattr(author, name)(*given(name))) for name in MAKERS}
    made |= {type(author.vwap("SPY", 5)), type(author.zscore("SPY", 5, other="QQQ"))}
    public = {getattr(package, name) for name in package.__all__}
    assert made == {one for one in public if isinstance(one, type) and issubclass(one, Indicator)} - {Indicator, Pair}


def test_vwap_is_of_the_session_unless_a_period_is_given() -> None:
    author = Kept()
    assert type(author.vwap("SPY")) is SessionVWAP
    assert type(author.vwap("SPY", 20)) is VWAP


@pytest.mark.parametrize("name", MAKERS)
def test_the_name_of_a_maker_cannot_be_taken(name: str) -> None:
    with pytest.raises(StrategyError, match="belongs to the appliance"):
        type("Mine", (Strategy,), {"symbol": param("SPY"), "__annotations__": {"symbol": str}, name: lambda self: None})
