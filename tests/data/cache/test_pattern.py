"""The pattern that the bench of the cache replays is what the strategies of the project ask for."""

from __future__ import annotations

from itertools import pairwise

import pytest

from appliance.domain.market import DAY
from tests.bench import cache, cache_pattern


@pytest.fixture(scope="module")
def pattern():
    return cache_pattern.read()


def test_the_pattern_is_of_the_ten_strategies_as_they_are(pattern):
    ten = cache_pattern.strategies()
    assert len(ten) == 10
    asked = {(one.why, one.symbol) for one in pattern if one.why in {strategy.name for strategy in ten}}
    assert asked == {(one.name, symbol) for one in ten for symbol in one.symbols}
    assert [one.why for one in pattern if not one.symbol] == ["start", "box restarted", "box restarted"]
    assert all(one.now <= two.now for one, two in pairwise(pattern))


def test_most_of_what_they_ask_for_is_there(pattern, sessions, tmp_path):
    source = cache.Past(sessions)
    replay = cache.Replay(tmp_path / "cache.db", sessions, source)
    until = pattern[0].now + DAY // 6
    for request in pattern:
        if request.now < until and request.end - request.start < 40 * DAY:
            replay.ask(request)
    replay.close()
    stats = replay.total()
    assert stats.requests > 1_000
    assert stats.hit_rate > 0.8
    assert stats.calls < stats.requests / 2
