"""Look-ahead is found by running, also where no rule of syntax can see it."""

from __future__ import annotations

from appliance.domain.market import Bar
from appliance.research.decisions import Decision, decide, difference
from appliance.research.lookahead import look_ahead
from appliance.research.scenes import Scene, days, minutes
from tests.research.sources import written

HONEST = """\
last = self.state.get("last", bar.close)
self.state["last"] = bar.close
self.target(bar.symbol, quantity=100 if bar.close > last else 0)"""
LEAKY = """\
later = [close for end, close in CLOSES if end > bar.end][:1]
self.target(bar.symbol, quantity=100 if later and later[0] > bar.close else 0)"""


def leaky(scene: Scene) -> list[Decision]:
    """What a strategy decides to which its source of data has given the whole of it."""
    closes = tuple((bar.end, bar.close) for bar in scene.events if isinstance(bar, Bar))
    return decide(written(LEAKY, top=f"CLOSES = {closes}").on(scene), scene)


def test_a_source_that_leaks_the_next_bar_is_found_and_the_decisions_told() -> None:
    scene = minutes(("SPY",), 200, seed=1)
    found = look_ahead(leaky, scene, leaky(scene))
    assert found.verdict == "fail"
    assert "depends on what comes later; at the bar that ends 2020-01-06" in found.text
    assert "with all the data SPY" in found.text


def test_a_leak_of_data_that_is_there_in_every_cut_is_found_by_other_data() -> None:
    scene = minutes(("SPY",), 200, seed=1)
    whole = leaky(scene)

    def never_cut(cut: Scene) -> list[Decision]:
        return whole if len(cut.events) < len(scene.events) else leaky(cut)

    found = look_ahead(never_cut, scene, whole)
    assert found.verdict == "fail"
    assert "with other data after it" in found.text


def test_what_only_remembers_passes() -> None:
    scene = minutes(("SPY",), 200, seed=1)
    whole = decide(written(HONEST).on(scene), scene)
    found = look_ahead(lambda cut: decide(written(HONEST).on(cut), cut), scene, whole)
    assert len(whole) == 200
    assert found.verdict == "pass"


def test_another_future_is_the_same_past_and_still_a_market() -> None:
    scene = days(("SPY", "QQQ"), 50, seed=3)
    time = scene.times[20]
    other = scene.changed_after(time)
    assert other.until(time) == scene.until(time)
    changed = [(ours, theirs) for ours, theirs in zip(scene.events, other.events, strict=True) if ours != theirs]
    assert len(changed) == 58
    for _, bar in changed:
        assert isinstance(bar, Bar)
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high


def test_the_first_difference_is_the_one_that_is_told() -> None:
    one, two, three = Decision(1, "bar", "[]"), Decision(2, "bar", "[]"), Decision(3, "bar", "[]")
    assert difference([one, two], [one, two]) is None
    assert difference([one, two], [one, three], until=1) is None
    found = difference([one, two, three], [one, three])
    assert found is not None
    assert (found.time, found.one, found.other) == (2, two, None)
