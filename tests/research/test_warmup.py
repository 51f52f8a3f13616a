"""Warm-up: recursive indicators are named with how far they are off, and only decisions fail a strategy."""

from __future__ import annotations

from appliance.research.decisions import decide
from appliance.research.scenes import minutes
from appliance.research.subject import Subject
from appliance.research.verdict import Verdict
from appliance.research.warmup import asked_for, ready_after, warm_up
from tests.research.sources import written

SCENE = minutes(("SPY",), 1_200, seed=1)
CROSS = "self.target(bar.symbol, quantity=100 if bar.close > self.line.value else 0)"


def verdict(subject: Subject, events: int = 1_200) -> Verdict:
    """The verdict on the first so many bars."""
    scene = SCENE.up_to(events)
    make = subject.on(scene)
    return warm_up(make, scene, decide(make, scene), ready_after(make, scene))


def test_an_indicator_with_a_window_does_not_depend_on_where_the_data_begins() -> None:
    found = verdict(written(CROSS, "self.line = self.sma(self.symbol, 20)"))
    assert found.verdict == "pass"
    assert found.text == "no indicator depends on where the data begins, once 20 bars are in"


def test_a_recursive_indicator_is_named_with_how_far_it_is_off_and_how_much_history_settles_it() -> None:
    found = verdict(written(CROSS, "self.line = self.ema(self.symbol, 20)"))
    assert found.verdict == "pass"
    assert "ema(SPY, 20) is off by 0.0" in found.text
    assert "the decisions are the same from" in found.text


def test_an_indicator_that_never_settles_fails_when_it_decides() -> None:
    found = verdict(written("self.target(bar.symbol, quantity=100 if self.line.value > 0 else 0)",
                            "self.line = self.obv(self.symbol)"))  # fmt: skip
    assert found.verdict == "fail"
    assert "where the data begins decides, however long the warm-up: after 1 bars obv(SPY) is off by" in found.text
    assert "with 16 bars of it SPY" in found.text


def declaring(warmup: int, start: str = "self.line = self.rsi(self.symbol, 14)", timeframe: str = "") -> Subject:
    """A strategy on an RSI with a ``warmup`` of its own."""
    rsi = "self.target(bar.symbol, quantity=100 if self.line.value > 50 else 0)"
    lines = f"if self.line.ready:\n    {rsi}"
    return written(lines, f"self.warmup = {warmup}\nself.timeframe = {timeframe!r}\n{start}")


def test_a_declared_warm_up_that_is_too_short_is_told_with_one_that_does() -> None:
    found = verdict(declaring(15))
    assert found.verdict == "fail"
    assert "the declared warmup = 15 is too short: after 15 bars rsi(SPY, 14) is off by" in found.text
    assert "write warmup = " in found.hint
    enough = int(found.hint.split("write warmup = ")[1].split(",")[0])
    assert verdict(declaring(enough)).verdict == "pass"


def test_a_declared_warm_up_shorter_than_the_indicators_need_fails() -> None:
    found = verdict(declaring(5, "self.line = self.sma(self.symbol, 20)"))
    assert found.verdict == "fail"
    assert "write warmup = 20" in found.hint


def test_a_warm_up_is_counted_in_bars_of_the_strategy() -> None:
    asked = asked_for(declaring(30, timeframe="5m").on(SCENE), SCENE)
    assert (asked.bars, asked.unit, asked.own(12)) == (30, 5, 3)
    assert asked_for(written("pass").on(SCENE), SCENE).bars == 0


def test_too_little_data_is_said_to_be_too_little() -> None:
    assert verdict(written(CROSS, "self.line = self.ema(self.symbol, 100)"), 120).verdict == "skipped"


def test_the_declared_warm_up_is_that_of_the_slowest_indicator() -> None:
    subject = written("pass", "self.a, self.b = self.sma(self.symbol, 5), self.rsi(self.symbol, 40)")
    assert ready_after(subject.on(SCENE), SCENE) == 41
    assert ready_after(written("pass").on(SCENE), SCENE) == 0
