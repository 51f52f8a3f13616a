"""Files of strategies that change under a running box: told once, when their writer has finished."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.domain.messages import Event, local
from appliance.domain.operations import Command, CommandResult, Verb
from appliance.runs import StrategySpec
from appliance.watching import ANSWER_WITHIN, ASK_EVERY, LOOK_EVERY, SECOND, FileWatch, Reloader

OLD, NEW = "shares = 1\n", "shares = 2\n"


class Desk:
    """An owner's file, and what the reloader says of it to the bus and to him; ``clock`` is in ns."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mine.py"
        self.file.write_text(OLD)
        self.clock = 1
        self.stamp = 0
        self.sent: list[Command] = []
        self.said: list[str] = []
        strategy = StrategySpec("mine", str(self.file), host="group", source=OLD)
        self.reloader = Reloader(
            FileWatch((strategy,), lambda file: (self.stamp, 0) if self.file.exists() else None),
            self._publish, self.said.append, lambda: self.clock, lambda: 1_000 * SECOND, self._mint,
        )  # fmt: skip

    def _publish(self, event: Event) -> None:
        assert event.topic == "command"
        self.sent.append(event.body)

    def _mint(self) -> str:
        return f"cli-{self.clock}"

    def write(self, text: str) -> None:
        self.file.write_text(text)
        self.stamp += 1

    def pass_time(self, looks: int = 1) -> None:
        for _ in range(looks):
            self.clock += LOOK_EVERY
            self.reloader.tend()

    def answer(self, done: bool, text: str) -> None:
        self.reloader.heard(local(CommandResult(self.sent[-1].id, done, text, "host@group")))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_change_that_has_been_left_alone_for_a_look_is_sent_to_its_host(desk: Desk) -> None:
    desk.pass_time(3)
    desk.write(NEW)
    desk.pass_time()
    assert desk.sent == []
    desk.pass_time()
    assert desk.sent == [
        Command(
            f"cli-{desk.clock}", Verb.RELOAD_STRATEGY, "cli", 1_000 * SECOND + ANSWER_WITHIN, "host@group",
            strategy="mine", source=NEW,
        )
    ]  # fmt: skip


def test_a_file_that_is_still_being_written_waits_until_it_rests(desk: Desk) -> None:
    for part in ("shares", "shares =", "shares = 2", NEW):
        desk.write(part)
        desk.pass_time()
    assert desk.sent == []
    desk.pass_time()
    assert [command.source for command in desk.sent] == [NEW]


@pytest.mark.parametrize(("done", "word"), [(True, "reloaded"), (False, "refused")])
def test_the_answer_is_told_in_a_line_and_nothing_is_asked_again(desk: Desk, done: bool, word: str) -> None:
    desk.write(NEW)
    desk.pass_time(2)
    desk.answer(done, "so it is")
    desk.pass_time(30)
    assert desk.said == [f"{word} mine: so it is"]
    assert len(desk.sent) == 1


def test_what_does_not_compile_is_told_once_and_not_sent(desk: Desk) -> None:
    desk.write("def (\n")
    desk.pass_time(10)
    assert desk.sent == []
    (line,) = desk.said
    assert f"refused mine: {desk.file}:1: does not compile" in line
    assert "the old version goes on" in line
    desk.write(NEW)
    desk.pass_time(2)
    assert [command.source for command in desk.sent] == [NEW]


@pytest.mark.parametrize("text", [OLD, NEW])
def test_a_file_that_says_what_was_said_already_is_not_sent_again(desk: Desk, text: str) -> None:
    desk.write(text)
    desk.pass_time(2)
    before = list(desk.sent)
    desk.write(text)
    desk.pass_time(ASK_EVERY // LOOK_EVERY)
    desk.stamp += 1
    desk.pass_time(3)
    assert {command.id for command in desk.sent} == {command.id for command in before}


def test_a_host_that_does_not_answer_is_asked_again_with_the_same_id_and_then_given_up(desk: Desk) -> None:
    desk.write(NEW)
    desk.pass_time(2)
    desk.pass_time(60)
    assert len({command.id for command in desk.sent}) == 1
    assert len(desk.sent) == ANSWER_WITHIN // ASK_EVERY
    assert desk.said == ["refused mine: host@group did not answer within 15 s; see its log"]


def test_a_newer_change_takes_the_place_of_one_that_has_no_answer_yet(desk: Desk) -> None:
    desk.write(NEW)
    desk.pass_time(2)
    old = desk.sent[-1]
    desk.write("shares = 3\n")
    desk.pass_time(3)
    desk.reloader.heard(local(CommandResult(old.id, True, "late", "host@group")))
    assert desk.said == []
    assert desk.sent[-1].source == "shares = 3\n"


def test_a_file_that_is_gone_is_nothing_until_it_is_there_again(desk: Desk) -> None:
    desk.file.unlink()
    desk.pass_time(5)
    assert desk.sent == []
    desk.write(NEW)
    desk.pass_time(2)
    assert [command.source for command in desk.sent] == [NEW]


def test_answers_to_others_are_not_ours(desk: Desk) -> None:
    desk.reloader.heard(local(CommandResult("cli-other", True, "halted", "gateway")))
    assert desk.said == []
