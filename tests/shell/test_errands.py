import pytest

from appliance.domain.operations import Command, Verb
from appliance.shell.errands import Errands
from appliance.shell.journal import Journal

FUTURE = 1 << 62


@pytest.fixture
def stops():
    return []


@pytest.fixture
def errands(tmp_path, stops):
    journal = Journal(tmp_path / "guard.db", "guard")
    yield Errands("guard", journal, tmp_path, stops.append)
    journal.close()


@pytest.mark.parametrize(
    ("verb", "target", "ours"),
    [
        (Verb.STOP, "guard", True),
        (Verb.SNAPSHOT, "guard", True),
        (Verb.STOP, "gateway", False),
        (Verb.STOP, "", False),
        (Verb.HALT, "guard", False),
    ],
)
def test_only_stop_and_snapshot_of_this_very_process_are_ours(errands, verb, target, ours):
    assert errands.are_ours(Command("c", verb, "me", FUTURE, target=target)) is ours


def test_a_command_that_comes_twice_is_done_once_and_answered_twice(errands, stops):
    command = Command("c", Verb.STOP, "me", FUTURE, target="guard")
    first, second = errands.run(command), errands.run(command)
    assert (first.topic, first.body) == ("result", second.body)
    assert first.body.done
    assert stops == ["stopped by me"]


def test_an_expired_command_does_nothing(errands, stops):
    result = errands.run(Command("c", Verb.STOP, "me", 1, target="guard")).body
    assert (result.done, stops) == (False, [])
    assert "expired" in result.text


def test_a_snapshot_that_cannot_be_made_is_answered_with_the_reason(errands, tmp_path):
    (tmp_path / "guard-c.db").write_text("in the way")
    result = errands.run(Command("c", Verb.SNAPSHOT, "me", FUTURE, target="guard")).body
    assert not result.done
    assert "is there already" in result.text
    assert (tmp_path / "guard-c.db").read_text() == "in the way"
