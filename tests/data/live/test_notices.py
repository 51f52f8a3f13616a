"""The owner is told once, then with a count, and when it is over: whatever happens however often."""

from __future__ import annotations

from appliance.data.live.notices import CODES_MAX, MINUTE, OVERFLOW, Notices
from appliance.domain.market import SECOND
from appliance.domain.operations import Notice, Severity


def told(found: list[Notice]) -> list[tuple[str, bool]]:
    return [(one.code, one.holds) for one in found]


def test_what_happens_a_thousand_times_a_minute_is_told_twice_with_its_count_and_lifted_when_it_is_over() -> None:
    notices = Notices()
    said: list[Notice] = []
    for step in range(1000):
        now = step * 61 * SECOND // 1000
        said += notices.happened("odd/SPY", "nonsense", now) + notices.tick(now)
    assert told(said) == [("odd/SPY", True), ("odd/SPY", True)]
    assert f"{len(range(1, 985))} times" in said[1].text
    (over,) = notices.tick(now + MINUTE)
    assert (over.code, over.holds) == ("odd/SPY", False)
    assert "1000 times in all" in over.text
    assert notices.tick(now + 2 * MINUTE) == []


def test_what_is_known_to_be_over_is_lifted_at_once_and_only_if_it_was_told() -> None:
    notices = Notices()
    assert notices.over("a", "fine again") == []
    notices.happened("a", "broken", 0)
    assert told(notices.over("a", "fine again")) == [("a", False)]
    assert notices.counts == {}


def test_what_lasts_is_told_when_it_begins_and_ends_and_a_new_reason_at_most_once_a_minute() -> None:
    notices = Notices()
    said = [notices.hold("silent", text, second * SECOND) for second, text in enumerate(["", "a", "a", "b", "", ""])]
    assert [told(one) for one in said] == [[], [("silent", True)], [], [], [("silent", False)], []]
    notices.hold("silent", "a", 0)
    assert notices.hold("silent", "b", MINUTE) == [Notice("silent", Severity.WARNING, "b")]


def test_codes_without_end_end_in_one() -> None:
    notices = Notices()
    said = [one for number in range(CODES_MAX + 50) for one in notices.happened(f"odd/{number}", "nonsense", 0)]
    assert told(said[-1:]) == [(OVERFLOW, True)]
    assert len(notices.counts) == CODES_MAX + 1
    assert notices.counts[OVERFLOW] == 50
