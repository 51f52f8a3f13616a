"""The playbook itself: it must not pass a conversation that went another way."""

from __future__ import annotations

import pytest

from appliance.core.base import Core
from appliance.core.streams import Writers
from appliance.domain.messages import Event, EventType, Now
from appliance.domain.operations import Inhibit, Spot, Wakeup
from tests.playbook import Playbook, PlaybookError


class Echo(Core):
    """Says back what it hears."""

    def __init__(self) -> None:
        super().__init__("echo", Writers(()))
        self.on(EventType.INHIBIT, self._say)

    def _say(self, event: Event, now: Now) -> None:
        self.send("view/echo", event.body, now)


A, B = Inhibit("a", True), Inhibit("b", True)


def test_a_conversation_as_expected_passes() -> None:
    with Playbook(Echo()) as play:
        play >> A << A
        play.later(1) >> B << Inhibit
        play >> B << "view/echo" >> A << (lambda said: said.code == "a")
        play >> A >> B << ...


@pytest.mark.parametrize("expected", [B, Wakeup, Spot, "view/other", lambda said: said.code == "b"])
def test_a_mismatch_tells_the_conversation(expected: object) -> None:
    play = Playbook(Echo())
    play >> A << A
    with pytest.raises(PlaybookError, match=r">> Inhibit\(code='a'(.|\n)*-  << Inhibit(.|\n)*\+  << "):
        play >> A << expected


def test_silence_is_not_an_answer() -> None:
    with pytest.raises(PlaybookError, match="nothing more was said"):
        Playbook(Echo()) >> A << A << A


def test_unread_outputs_at_the_end_fail() -> None:
    with pytest.raises(PlaybookError, match="Unfinished playbook"), Playbook(Echo()) as play:
        play >> A


def test_an_error_of_the_test_itself_is_not_hidden_by_unread_outputs() -> None:
    def stumble() -> None:
        with Playbook(Echo()) as play:
            play >> A
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
