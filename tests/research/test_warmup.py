"""Warm-up: recursive indicators are named with how far they are off, and only decisions fail a strategy."""

from __future__ import annotations

from typing import Any

from appliance.research.decisions import decide
from appliance.research.scenes import minutes
from appliance.research.subject import Subject
from appliance.research.verdict import Verdict
from appliance.research.warmup import declared, warm_up
from appliance.strategy.runner import StrategyRunner
from tests.research.sources import written

SCENE = minutes(("SPY",), 1_200, seed=1)
CROSS = "self.target(bar.symbol, quantity=100 if bar.close > self.line.value else 0)"


def verdict(subject: Any, events: int = 1_200) -> Verdict:
    """The verdict on the first so many bars."""
    scene = SCENE.up_to(events)
    return warm_up(subject, scene, decide(subject, scene), declared(subject, scene))


class Forever(Subject, frozen=True):
    """A strategy whose average begins with the data and never forgets: its saved value is off by what it has heard."""

    def __call__(self, code: Any = None) -> StrategyRunner:
        runner = super().__call__()
        save = runner.snapshot
        heard = 0
        bar = runner.bar

        def counted(*given: Any) -> Any:
            nonlocal heard
            heard += 1
            return bar(*given)

        def snapshot() -> dict[str, Any]:
            data = save()
            if heard < 800:  # one that has not heard it all
                for _, saved in data["indicators"]:
                    saved["value"] = saved["value"] and saved["value"] * 1.01
            return data

        runner.bar, runner.snapshot = counted, snapshot  # type: ignore[method-assign]
        return runner


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
    subject = written("self.target(bar.symbol, quantity=round(self.line.value * 1000) if self.line.ready else 0)",
                      "self.line = self.ema(self.symbol, 20)")  # fmt: skip
    found = verdict(Forever(subject.name, subject.file, subject.source))
    assert found.verdict == "fail"
    assert "where the data begins decides; after 20 bars ema(SPY, 20) is off by" in found.text
    assert "with 320 bars of it SPY" in found.text


def test_too_little_data_is_said_to_be_too_little() -> None:
    assert verdict(written(CROSS, "self.line = self.ema(self.symbol, 100)"), 120).verdict == "skipped"


def test_the_declared_warm_up_is_that_of_the_slowest_indicator() -> None:
    subject = written("pass", "self.a, self.b = self.sma(self.symbol, 5), self.rsi(self.symbol, 40)")
    assert declared(subject, SCENE) == 41
    assert declared(written("pass"), SCENE) == 0
