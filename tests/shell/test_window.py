"""A window onto what runs: it hears, commands, and says helpfully who does not answer. Over a real Mosquitto."""

import threading
import time

import pytest

from appliance.domain import wire
from appliance.domain.messages import EventType, local
from appliance.domain.operations import CommandResult, Heartbeat, ProcessState, Progress, Verb
from appliance.errors import BusError, EnvironmentFault, RefusedError
from appliance.shell import mosquitto
from appliance.shell.bus import EventBus
from appliance.shell.paths import StatePaths
from appliance.shell.supervisor import Supervisor
from appliance.shell.window import Window, box_of

BOX = "desk"


@pytest.fixture
def paths(short_dir):
    made = StatePaths(short_dir / "s", env={})
    made.prepare()
    mosquitto.write_config(made, ("guard", "gateway", "cli"), f"appliance/1/{BOX}/")
    return made


@pytest.fixture
def running(paths, broker):
    """Its Mosquitto, with the configuration, users and rights of a real one."""
    broker.kill()
    supervisor = Supervisor(paths)
    supervisor.start(mosquitto.spec(paths))
    assert supervisor.until_ready(10), supervisor.failed
    yield supervisor
    supervisor.close()


class Process(threading.Thread):
    """A guard that beats, and answers every command from the ``deaf``-th time it hears it on."""

    def __init__(self, paths, deaf=0, state=ProcessState.READY, done=True):
        super().__init__(daemon=True)
        self.bus = EventBus("guard", BOX, paths.mqtt_socket, paths.credential("guard").read_text().strip())
        self.bus.receive, self.bus.connected = self._receive, self._beat
        self.heard, self.deaf, self.state, self.done, self.over = [], deaf, state, done, threading.Event()

    def run(self):
        while not self.over.is_set():
            self.bus.tick()
            self.bus.read()
            self.bus.write()
            self.over.wait(0.005)
        self.bus.close()

    def _beat(self):
        beat = Heartbeat("guard", self.state, 77, "i", "b", 1, Progress("guard", {}, {}))
        self._say(local(beat, 1, "heartbeat/guard"))

    def _receive(self, event):
        if event.type is EventType.COMMAND:
            self.heard.append(event.body)
            if len(self.heard) > self.deaf and self.deaf >= 0:
                self._say(local(CommandResult(event.body.id, self.done, "as you say", "guard"), 1, "result"))

    def _say(self, event):
        self.bus.publish(event, wire.encode(event))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def test_the_box_is_read_from_the_state_directory(paths):
    assert box_of(paths) == BOX


def test_a_directory_in_which_nothing_was_started_says_so(tmp_path):
    with pytest.raises(EnvironmentFault, match="no appliance was started here") as raised:
        Window(StatePaths(tmp_path / "nothing"))
    assert "--state" in raised.value.hint


def test_without_mosquitto_it_says_that_it_cannot_be_reached(paths):
    with pytest.raises(BusError, match=r"Mosquitto of .* cannot be reached") as raised:
        Window(paths).connect(seconds=0.2)
    assert "appliance up" in raised.value.hint


def test_a_command_is_answered_and_heartbeats_are_kept(paths, running):
    with Process(paths) as guard, Window(paths) as window:
        result = window.command(Verb.SNAPSHOT, target="guard", reason="why not")
        assert (result.done, result.text, result.process) == (True, "as you say", "guard")
        assert window.until(lambda: "guard" in window.beats, 5)
    sent = guard.heard[0]
    assert (sent.verb, sent.target, sent.by, sent.reason) == (Verb.SNAPSHOT, "guard", "cli", "why not")


def test_a_command_that_was_lost_is_said_again_under_the_same_id(paths, running):
    with Process(paths, deaf=1) as guard, Window(paths) as window:
        assert window.command(Verb.STOP, target="guard").done
    assert len({command.id for command in guard.heard}) == 1
    assert len(guard.heard) == 2


def test_a_no_can_be_made_an_error_with_the_words_of_the_process(paths, running):
    with Process(paths, done=False), Window(paths) as window:
        result = window.command(Verb.RESUME)
        with pytest.raises(RefusedError, match="guard: as you say"):
            window.done(result)


@pytest.mark.parametrize(
    ("state", "target", "words"),
    [
        (ProcessState.READY, "guard", r"guard \(pid 77\) is ready, but did not answer within 0.5 s"),
        (ProcessState.STOPPED, "guard", "guard is stopped"),
        (ProcessState.READY, "host@trend", "host@trend has not been heard; there is guard"),
    ],
)
def test_a_process_that_does_not_answer_is_named_with_its_state(paths, running, state, target, words):
    with Process(paths, deaf=-1, state=state), Window(paths) as window:
        assert window.until(lambda: "guard" in window.beats, 5)
        with pytest.raises(EnvironmentFault, match=words) as raised:
            window.command(Verb.SNAPSHOT, target=target, seconds=0.5)
    assert "appliance status" in raised.value.hint


def test_when_mosquitto_goes_the_command_says_so_and_a_halt_names_the_way_without(paths, running):
    with Window(paths) as window:
        running.close()
        with pytest.raises(BusError, match="Mosquitto is away") as raised:
            window.command(Verb.HALT, seconds=0.3)
    assert "latch files" in raised.value.hint


def test_two_windows_of_one_user_do_not_evict_each_other(paths, running):
    with Process(paths), Window(paths) as one, Window(paths) as two:
        for window in (one, two, one):
            assert window.command(Verb.SNAPSHOT, target="guard").done


def test_a_window_that_chose_its_topics_hears_them_and_the_answers_only(paths, running):
    with Process(paths) as guard, Window(paths, hears=("view/latch",)) as window:
        assert window.command(Verb.SNAPSHOT, target="guard").done
        found = window.collect(0.2)
        names = {name for name, _ in window._bus._filters}
    assert names == {"heartbeat/+", "result", "view/latch"}
    assert guard.heard
    assert all(event.type in (EventType.HEARTBEAT, EventType.RESULT) for event in found)


def test_collecting_ends_when_it_is_enough(paths, running):
    with Process(paths), Window(paths) as window:
        before = time.monotonic()
        found = window.collect(30, lambda events: any(event.type is EventType.HEARTBEAT for event in events))
        assert found[-1].body.process == "guard"
        assert time.monotonic() - before < 20
