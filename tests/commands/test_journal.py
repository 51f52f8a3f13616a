"""`appliance journal`: a stopped process's file is read under its lock, a running one is asked for a copy."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.core.ports import Commit, DeadLetter, Input
from appliance.core.streams import Writers
from appliance.domain import wire
from appliance.domain.messages import EventType, Now, local
from appliance.domain.operations import Wakeup
from appliance.domain.trading import Denied, Intent, Moment, Side
from appliance.errors import EnvironmentFault
from appliance.shell import mosquitto
from appliance.shell.bus import EventBus
from appliance.shell.errands import Errands
from appliance.shell.journal import Journal
from appliance.shell.locks import Lock
from appliance.shell.paths import StatePaths
from appliance.shell.supervisor import Supervisor
from appliance.shell.window import Window
from tests.commands.conftest import Appliance

TIME = 1_380_893_400_000_000_000
STREAM = "guard/decisions"


def opened(paths: StatePaths) -> Journal:
    return Journal(paths.journal("guard"), "guard", Lock(paths.lock("guard")))


def write(journal: Journal, count: int) -> None:
    """So many wake-ups, and after each a denied intent."""
    journal.load()
    writers = Writers((STREAM,))
    for at in range(1, count + 1):
        now = Now(TIME + at, "b", at)
        intent = Intent(f"i{at}", "s", at, "SPY", Side.BUY, "1", Moment(TIME, "b", 1), 1, "feed/bars:1:1")  # type: ignore[arg-type]
        event = writers.event(STREAM, Denied(intent, "NO", "a reason " * 40), now.time, "")
        inputs = [Input(now, f"feed/bars:1:{at}"), Input(now, "", wire.encode(local(Wakeup(), now.time)))]
        journal.commit(Commit(inputs=inputs, outputs=[(event, wire.encode(event))], heads=writers.heads()))


@pytest.fixture
def paths() -> Iterator[StatePaths]:
    """A state directory with a short name, as sockets need it, and a stopped guard's journal of 30 rows."""
    with tempfile.TemporaryDirectory(prefix="journal-") as name:
        made = StatePaths(Path(name) / "s", env={})
        made.prepare()
        journal = opened(made)
        write(journal, 10)
        journal.close()
        yield made


# --- a stopped process -----------------------------------------------------------------------------------------------


def test_the_tail_shows_the_last_rows_oldest_first(appliance: Appliance, paths: StatePaths) -> None:
    said = appliance("journal", "tail", "guard", "--state", paths.root, "--lines", 4)
    lines = said.out.splitlines()
    assert said.code == 0
    assert [line.split()[:2] for line in lines] == [["27", "out"], ["28", "in"], ["29", "in"], ["30", "out"]]
    assert "2013-10-04 13:30:00.000 feed/bars:1:10" in lines[1]
    assert "(own) wakeup {}" in lines[2]
    assert f"{STREAM}:1:10 denied" in lines[3]
    assert lines[3].endswith("…")


def test_the_tail_as_json_is_one_object_a_line_with_the_whole_message(appliance: Appliance, paths: StatePaths) -> None:
    said = appliance("journal", "tail", "guard", "--state", paths.root, "--lines", 3, "--json")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [list(row) for row in rows] == [["n", "kind", "time", "position", "message"]] * 3
    assert rows[0]["message"] is None
    assert rows[2]["message"]["body"]["code"] == "NO"
    assert rows[0]["time"] == TIME + 10


def test_a_whole_chain_is_verified(appliance: Appliance, paths: StatePaths) -> None:
    assert (
        "guard: 30 rows, 1 to 30; the chain is whole"
        in appliance("journal", "verify", "guard", "--state", paths.root).out
    )
    said = appliance("journal", "verify", "guard", "--state", paths.root, "--json")
    assert said == (0, said.out, "")
    assert said.json == {
        "process": "guard", "ok": True, "rows": 30, "first": 1, "last": 30, "pruned": 0, "dead_letters": 0,
        "faults": [],
    }  # fmt: skip


def test_a_changed_row_is_found_named_and_gives_code_1(appliance: Appliance, paths: StatePaths) -> None:
    with sqlite3.connect(paths.journal("guard")) as connection:
        connection.execute("UPDATE output SET payload = CAST('{}' AS BLOB) WHERE n = 15")
    connection.close()
    said = appliance("journal", "verify", "guard", "--state", paths.root)
    assert said.code == 1
    assert f"BROKEN:\n  row 15 ({STREAM}:1:5): its content is not what was written" in said.out
    assert appliance("journal", "verify", "guard", "--state", paths.root, "--json").json["ok"] is False


def test_messages_that_were_set_aside_are_counted(appliance: Appliance, paths: StatePaths) -> None:
    journal = opened(paths)
    journal.commit(Commit(dead_letters=[DeadLetter("a", b"b", "c", 1)]))
    journal.close()
    assert "1 messages set aside" in appliance("journal", "verify", "guard", "--state", paths.root).out


def test_what_a_killed_process_had_committed_is_there(appliance: Appliance, paths: StatePaths) -> None:
    journal = opened(paths)
    journal.commit(Commit(inputs=[Input(Now(TIME, "b", 1), "feed/bars:1:11")]))
    copy = StatePaths(paths.root / "killed", env={})
    copy.prepare()
    for file in paths.journal("guard").parent.glob("guard.db*"):  # the write-ahead log is still beside it
        shutil.copy(file, copy.journal("guard").parent)
    journal.close()
    said = appliance("journal", "tail", "guard", "--state", copy.root, "--lines", 1)
    assert "31 in" in said.out
    assert "feed/bars:1:11" in said.out


def test_a_process_can_start_again_afterwards(appliance: Appliance, paths: StatePaths) -> None:
    appliance("journal", "tail", "guard", "--state", paths.root)
    journal = opened(paths)
    assert journal.verify().ok
    journal.close()


@pytest.mark.parametrize("command", ["tail", "verify"])
@pytest.mark.parametrize(
    ("process", "words"), [("gaurd", "did you mean guard? there are guard"), ("x/../y", "there are guard")]
)
def test_a_journal_that_is_not_there_is_answered_with_those_that_are(
    appliance: Appliance, paths: StatePaths, command: str, process: str, words: str
) -> None:
    said = appliance("journal", command, process, "--state", paths.root)
    assert said.code == 2
    assert words in said.err
    assert [file.name for file in (paths.root / "lock").iterdir()] == ["guard.lock"]


def test_a_file_that_is_no_journal_ends_it_with_code_5(appliance: Appliance, paths: StatePaths) -> None:
    paths.journal("monitor").write_bytes(b"not a database" * 500)
    said = appliance("journal", "verify", "monitor", "--state", paths.root, "--json")
    assert said.code == 5
    assert said.json["error"]["code"] == "JOURNAL"


# --- a running process -----------------------------------------------------------------------------------------------


class Guard(threading.Thread):
    """A running guard, as far as its journal and its errands go."""

    def __init__(self, paths: StatePaths) -> None:
        super().__init__(daemon=True)
        self.paths = paths
        self.over = threading.Event()
        self.up = threading.Event()

    def run(self) -> None:
        journal = opened(self.paths)
        bus = EventBus("guard", "desk", self.paths.mqtt_socket, mosquitto.password(self.paths, "guard"))
        errands = Errands("guard", journal, self.paths.run, lambda why: None)

        def receive(event: object) -> None:
            if event.type is EventType.COMMAND and errands.are_ours(event.body):  # type: ignore[attr-defined]
                answer = errands.run(event.body)  # type: ignore[attr-defined]
                bus.publish(answer, wire.encode(answer))

        bus.receive = receive
        bus.connected = self.up.set
        while not self.over.is_set():
            bus.tick()
            bus.read()
            bus.write()
            self.over.wait(0.005)
        bus.close()
        journal.close()

    def __enter__(self) -> Guard:
        self.start()
        assert self.up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()


@pytest.fixture
def broker(paths: StatePaths) -> Iterator[Supervisor]:
    """A Mosquitto for it."""
    try:
        mosquitto.find_binary()
    except EnvironmentFault:
        pytest.skip("mosquitto is not installed: sudo apt install mosquitto")
    mosquitto.write_config(paths, ("guard", "cli"), "appliance/1/desk/")
    supervisor = Supervisor(paths)
    supervisor.start(mosquitto.spec(paths))
    assert supervisor.until_ready(10)
    yield supervisor
    supervisor.close()


def test_a_running_process_is_asked_for_a_copy_which_is_removed_again(
    appliance: Appliance, paths: StatePaths, broker: Supervisor
) -> None:
    with Guard(paths):
        tail = appliance("journal", "tail", "guard", "--state", paths.root, "--lines", 1)
        verify = appliance("journal", "verify", "guard", "--state", paths.root, "--json")
    assert (tail.code, verify.code) == (0, 0)
    assert f"{STREAM}:1:10" in tail.out
    assert verify.json["rows"] == 30
    assert not list(paths.run.glob("guard-*.db"))


def test_a_running_process_without_mosquitto_cannot_be_asked_and_its_file_is_left_alone(
    appliance: Appliance, paths: StatePaths, broker: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Window.connect, "__defaults__", (0.3,))
    with Guard(paths):
        broker.close()
        said = appliance("journal", "tail", "guard", "--state", paths.root, "--json")
    assert said.code == 5
    assert "Mosquitto of" in said.err
    assert said.json["error"]["code"] == "BUS"


def test_of_a_box_that_is_up_a_process_that_is_down_for_good_is_read_under_its_lock(
    appliance: Appliance, paths: StatePaths, broker: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.commands.journal.COPY_S", 0.3)
    with Lock(paths.lock("appliance")):
        said = appliance("journal", "verify", "guard", "--state", paths.root)
    assert said.code == 0
    assert "the chain is whole" in said.out


def test_the_paper_brokers_journal_waits_until_the_box_is_stopped(appliance: Appliance, paths: StatePaths) -> None:
    Journal(paths.journal("paper"), "paper", Lock(paths.lock("paper"))).close()
    with Lock(paths.lock("paper")):
        said = appliance("journal", "tail", "paper", "--state", paths.root)
    assert said.code == 2
    assert "paper runs inside gateway" in said.err
    assert appliance("journal", "verify", "paper", "--state", paths.root).code == 0
