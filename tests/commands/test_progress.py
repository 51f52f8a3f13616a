"""How far it is: silent for two seconds and where nobody looks, then a bar that says how long it will take."""

from __future__ import annotations

import io

import pytest

from appliance.commands.progress import Progress, told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def drawn(stream: io.StringIO, asked: bool, *steps: tuple[float, int]) -> str:
    """What is written when so many steps are done after so many seconds."""
    clock = Clock()
    with Progress("backtest", 100, asked, stream, clock) as bar:
        for seconds, count in steps:
            clock.now += seconds
            bar.advance(count)
    return stream.getvalue()


def test_a_short_run_says_nothing() -> None:
    assert drawn(Terminal(), True, (1.9, 99)) == ""


def test_a_long_run_on_a_terminal_is_drawn_with_what_is_left_and_wiped_away() -> None:
    told = drawn(Terminal(), False, (2.0, 25))
    assert f"backtest  [{'#' * 7}{'-' * 23}]   25 %  0:06 left" in told
    assert told.endswith("\r\x1b[K")


def test_the_bar_is_not_drawn_more_often_than_one_can_see() -> None:
    assert drawn(Terminal(), False, (2.0, 1), (0.1, 1), (0.05, 1), (0.1, 1)).count("left") == 2


def test_without_a_terminal_nothing_is_said_unless_asked() -> None:
    assert drawn(io.StringIO(), False, (60.0, 50)) == ""
    lines = drawn(io.StringIO(), True, (60.0, 50), (1.0, 1), (60.0, 10)).splitlines()
    assert [line.split("]")[1].split() for line in lines] == [
        ["50", "%", "1:00", "left"], ["61", "%", "1:17", "left"],
    ]  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), [(7, "0:07"), (750, "12:30"), (3723, "1:02:03"), (0.4, "0:00")])
def test_a_time_is_told_as_on_a_clock(seconds: float, text: str) -> None:
    assert told(seconds) == text


def test_more_steps_than_expected_stay_at_a_hundred() -> None:
    assert "100 %" in drawn(Terminal(), False, (3.0, 250))
