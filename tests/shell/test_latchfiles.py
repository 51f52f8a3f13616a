"""Latch files say halt without Mosquitto, without the guard, and when in doubt."""

from __future__ import annotations

import os

import pytest

from appliance.domain.messages import EventType
from appliance.domain.operations import LatchFile, LatchState
from appliance.shell import latchfiles
from appliance.shell.clock import MachineClock


@pytest.fixture
def files(tmp_path):
    made = (tmp_path / "disk", tmp_path / "memory")
    latchfiles.prepare(made)
    return made


def test_prepared_files_ask_for_nothing(files):
    assert latchfiles.read(files) == LatchFile(LatchState.ACTIVE)


def test_a_halt_written_to_one_file_is_a_halt(files):
    assert latchfiles.write(files[1:], LatchState.HALTED, "odd fills") == []
    assert latchfiles.read(files) == LatchFile(LatchState.HALTED, "odd fills")


def test_writing_in_place_needs_no_new_space(files):
    before = [(os.stat(file).st_size, os.stat(file).st_ino) for file in files]
    latchfiles.write(files, LatchState.HALTED, "x" * 1000)
    assert [(os.stat(file).st_size, os.stat(file).st_ino) for file in files] == before


def test_the_most_severe_file_counts(files):
    latchfiles.write(files[:1], LatchState.REDUCING, "less")
    latchfiles.write(files[1:], LatchState.HALTED, "more")
    assert latchfiles.read(files) == LatchFile(LatchState.HALTED, "more")


@pytest.mark.parametrize("content", [b"stop please", b"\xff\xfe\x00", b"HALTED"])
def test_a_file_nobody_understands_asks_for_a_halt(files, content):
    files[0].write_bytes(content)
    assert latchfiles.read(files).state is LatchState.HALTED


def test_a_file_that_cannot_be_written_is_told_and_the_other_still_halts(files, tmp_path):
    errors = latchfiles.write((tmp_path / "no" / "such" / "place", files[1]), LatchState.HALTED, "")
    assert [type(error) for error in errors] == [FileNotFoundError]
    assert latchfiles.read(files).state is LatchState.HALTED


def test_cleared_files_ask_for_nothing_again(files):
    latchfiles.write(files, LatchState.HALTED, "why")
    latchfiles.clear(files)
    assert latchfiles.read(files) == LatchFile(LatchState.ACTIVE)


class Heard:
    """As much of a turn as the hook needs: it takes messages."""

    def __init__(self):
        self.events = []

    def accept(self, event):
        self.events.append(event)


def test_the_gateway_is_told_once_per_change_and_not_more_often_than_every_50_ms(files):
    ticks = [0]
    hook, turn = latchfiles.LatchFiles(files, MachineClock(ticks=lambda: ticks[0])), Heard()
    for at in (0, latchfiles.EVERY, 2 * latchfiles.EVERY):
        ticks[0] = at
        hook.poll(turn)
    latchfiles.write(files, LatchState.HALTED, "now")
    hook.poll(turn)
    assert turn.events == []  # not looked yet: the next look is due in 50 ms
    ticks[0] = hook.next_deadline()
    hook.poll(turn)
    ticks[0] = hook.next_deadline()
    hook.poll(turn)
    assert [(event.type, event.body) for event in turn.events] == [
        (EventType.LATCH_FILE, LatchFile(LatchState.HALTED, "now"))
    ]
