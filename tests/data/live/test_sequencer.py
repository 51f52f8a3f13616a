"""One sequence of bars: duplicates, revisions, holes asked and marked, bounded waiting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.data.live.sequencer import HELD_MAX, OLDEST, PATIENCE, Question, Sequenced, Sequencer
from appliance.domain.market import HOUR, MINUTE, SECOND, AlwaysOpen, Bar, Session, Sessions

BEGIN = 1_700_000_040 * SECOND
ALWAYS = AlwaysOpen()


def bar(number: int, close: float = 100.0, source: str = "a") -> Bar:
    start = BEGIN + number * MINUTE
    return Bar("SPY", "1m", start, start + MINUTE, 100.0, 101.0, 99.0, close, 10.0, source)


def question(first: int, after: int) -> Question:
    return Question("SPY", "1m", BEGIN + first * MINUTE, BEGIN + after * MINUTE)


def always(held_max: int = HELD_MAX) -> Sequencer:
    return Sequencer(lambda symbol: ALWAYS, held_max=held_max)


def test_other_content_of_the_same_source_is_a_counted_revision() -> None:
    line = always()
    line.bar(bar(0), 0)
    assert line.bar(bar(0), 0) == Sequenced()
    assert line.bar(bar(0, 100.5), 0).revisions == [replace(bar(0, 100.5), revision=1)]
    assert line.bar(bar(0, 100.7), 0).revisions == [replace(bar(0, 100.7), revision=2)]


def test_another_source_does_not_correct_a_bar_it_saw_differently() -> None:
    line = always()
    line.bar(bar(0), 0)
    assert line.bar(bar(0, 100.5, "b"), 0) == Sequenced()
    assert line.counts["differing"] == 1


def test_a_hole_is_asked_once_and_filled_by_history() -> None:
    line = always()
    line.bar(bar(0), 0)
    assert line.bar(bar(3), 0) == Sequenced(questions=[question(1, 3)])
    assert line.bar(bar(4), 0) == Sequenced()
    assert line.answered(question(1, 3), [bar(2), bar(1)], 0).bars == [bar(1), bar(2), bar(3), bar(4)]


def test_history_that_says_nothing_was_traded_ends_the_hole() -> None:
    line = always()
    line.bar(bar(0), 0)
    line.bar(bar(3), 0)
    assert line.answered(question(1, 3), [], 0) == Sequenced(bars=[bar(3)])
    assert line.counts["holes"] == 0


def test_a_hole_nobody_answers_is_marked_after_the_patience_and_heals_as_a_revision() -> None:
    line = always()
    line.bar(bar(0), 0)
    line.bar(bar(2), 7)
    assert line.deadline() == 7 + PATIENCE
    assert line.tick(6 + PATIENCE) == Sequenced()
    assert line.tick(7 + PATIENCE) == Sequenced(bars=[bar(2)], holes=[question(1, 2)])
    late = line.answered(question(1, 2), [bar(1)], 8 + PATIENCE)
    assert late == Sequenced(revisions=[replace(bar(1), revision=1)])


def test_no_more_bars_wait_than_allowed() -> None:
    line = always(held_max=3)
    line.bar(bar(0), 0)
    for number in (2, 3, 4):
        assert line.bar(bar(number), 0).bars == []
    done = line.bar(bar(5), 0)
    assert (done.bars, done.holes) == ([bar(2), bar(3), bar(4), bar(5)], [question(1, 2)])
    assert line.waiting() == 0


def test_a_restart_asks_for_what_it_missed() -> None:
    line = Sequencer(lambda symbol: ALWAYS, {("SPY", "1m"): bar(0).end})
    assert line.begin(BEGIN + 4 * MINUTE).questions == [question(1, 4)]
    assert line.bar(bar(4), 0).bars == []
    assert line.answered(question(1, 4), [bar(1), bar(2), bar(3)], 0).bars == [bar(n) for n in (1, 2, 3, 4)]


def test_what_history_did_not_have_yet_when_we_began_is_asked_for_again() -> None:
    line = Sequencer(lambda symbol: ALWAYS, {("SPY", "1m"): bar(0).end})
    (first,) = line.begin(BEGIN + 4 * MINUTE + SECOND).questions
    assert line.answered(first, [bar(1), bar(2)], 0).bars == [bar(1), bar(2)]
    assert line.bar(bar(4), 0) == Sequenced(questions=[question(3, 4)])
    assert line.answered(question(3, 4), [bar(3)], 0).bars == [bar(3), bar(4)]


def test_an_answer_without_anything_says_nothing_of_what_was_traded_until_now() -> None:
    line = Sequencer(lambda symbol: ALWAYS, {("SPY", "1m"): bar(0).end})
    (first,) = line.begin(BEGIN + 2 * MINUTE).questions
    assert line.answered(first, [], 0) == Sequenced()
    assert line.bar(bar(2), 0).questions == [question(1, 2)]


def test_no_line_begins_with_a_bar_of_long_ago() -> None:
    line = always()
    assert line.bar(bar(0), bar(0).end + OLDEST + 1) == Sequenced()
    assert line.bar(bar(0), bar(0).end + OLDEST).bars == [bar(0)]


def test_nobody_revises_a_bar_of_long_ago_that_was_never_told() -> None:
    line = always()
    line.bar(bar(20_000), 0)
    assert line.bar(replace(bar(0), revision=1), 0) == Sequenced()
    assert line.bar(replace(bar(19_990), revision=1), 0).revisions == [replace(bar(19_990), revision=1)]


def test_the_night_is_no_hole() -> None:
    first = Session("2023-11-14", BEGIN, BEGIN + HOUR)
    second = Session("2023-11-15", BEGIN + 20 * HOUR, BEGIN + 21 * HOUR)
    line = Sequencer(lambda symbol: Sessions([first, second]))
    line.bar(bar(59), 0)
    assert line.bar(bar(1200), 0).bars == [bar(1200)]


@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=12))
def test_any_order_and_any_repetition_come_out_in_order_and_once(order: list[int], again: list[int]) -> None:
    line = Sequencer(lambda symbol: ALWAYS, {("SPY", "1m"): BEGIN})
    out: list[Bar] = []
    for number in [*order[:6], *again, *order[6:], *again]:
        out += line.bar(bar(number), 0).bars
    assert out == [bar(number) for number in range(12)]
