"""`appliance replay`: a journal lived again says the same, byte for byte; what differs is found and shown."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.core.ports import Commit, Input
from appliance.core.streams import Writers
from appliance.domain import topics, wire
from appliance.domain.messages import Ask, Event, Now, local
from appliance.domain.operations import Spot
from appliance.processes import core_of
from appliance.runs import read_spec, write_spec
from appliance.shell.journal import Journal
from appliance.shell.locks import Lock
from appliance.shell.paths import StatePaths
from tests.commands.box import HOST, PROCESSES, Box
from tests.commands.conftest import SMA, Appliance, bars, prices

WRITERS = ("feed", "gateway", "guard", HOST)
"""The processes that say something in these runs."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of a run in which every process was killed, and the guard's epoch was raised under way."""
    folder = tmp_path_factory.mktemp("run")
    data = bars(folder / "bars.csv", *prices(240))
    box = Box(StatePaths(folder / "state", env={}), data, SMA, fast="2", slow="6")
    random = Random(7)
    for process in random.sample(PROCESSES, len(PROCESSES)):
        box.run(random.randrange(100, 250))
        box.kill(process)
    box.run(30)
    # Somebody has seen what the guard has not said: that was a power cut, so its epoch is raised.
    box.turns["guard"].accept(local(Ask("window", "guard/decisions", Spot(1, 10**6)), topic="ask/guard"))
    box.run(100)
    box.kill("guard")
    return box.run().close().paths.root


@pytest.fixture
def state(lived: Path, tmp_path: Path) -> StatePaths:
    """A copy of it, to be tampered with."""
    shutil.copytree(lived, tmp_path / "state", symlinks=True)
    return StatePaths(tmp_path / "state", env={})


def change(state: StatePaths, process: str, *statements: str) -> None:
    with sqlite3.connect(state.journal(process)) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def rows(state: Path, process: str, select: str) -> list[Any]:
    connection = sqlite3.connect(StatePaths(state, env={}).journal(process))
    found = connection.execute(select).fetchall()
    connection.close()
    return found


def test_the_run_is_worth_replaying(lived: Path) -> None:
    for process in PROCESSES:
        assert len(rows(lived, process, "SELECT n FROM input WHERE position = 'start'")) >= 2
    assert len(rows(lived, HOST, "SELECT n FROM output")) > 30
    epochs = rows(lived, "guard", "SELECT DISTINCT epoch FROM output ORDER BY epoch")
    assert epochs == [(1,), (2,)]


@pytest.mark.parametrize("process", [*PROCESSES, "paper"])
def test_every_process_says_the_same_again(appliance: Appliance, lived: Path, process: str) -> None:
    said = appliance("replay", process, "--state", lived, "--json")
    assert (said.code, said.json["difference"]) == (0, None)
    assert said.json["identical"]
    outputs = rows(lived, process, "SELECT n FROM output")
    assert said.json["compared"] == len(outputs)
    assert bool(outputs) == (process in WRITERS)


@pytest.mark.parametrize("seed", range(10))
def test_from_any_position_it_compares_what_follows(appliance: Appliance, lived: Path, seed: int) -> None:
    random = Random(seed)
    process = random.choice(WRITERS)
    n, stream, epoch, seq = random.choice(rows(lived, process, "SELECT n, stream, epoch, seq FROM output"))
    after = len(rows(lived, process, f"SELECT n FROM output WHERE n >= {n}"))
    for position in (f"{stream}:{epoch}:{seq}", n):
        said = appliance("replay", process, "--state", lived, "--from", position, "--json").json
        assert (said["identical"], said["from"], said["compared"]) == (True, n, after)
        assert said["start"] <= n


def test_it_begins_at_the_last_start_before_the_position(appliance: Appliance, lived: Path) -> None:
    starts = [n for (n,) in rows(lived, "guard", "SELECT n FROM input WHERE position = 'start' ORDER BY n")]
    told = [appliance("replay", "guard", "--state", lived, "--from", n, "--json").json for n in starts]
    assert [one["start"] for one in told] == starts
    inputs = [one["inputs"] for one in told]
    assert inputs == sorted(inputs, reverse=True)
    assert len(set(inputs)) == len(inputs)


def test_a_position_may_be_an_input(appliance: Appliance, lived: Path) -> None:
    n, position = rows(lived, "guard", "SELECT n, position FROM input WHERE position LIKE 'host/%' ORDER BY n")[3]
    assert appliance("replay", "guard", "--state", lived, "--from", position, "--json").json["from"] == n


def test_the_result_is_readable(appliance: Appliance, lived: Path) -> None:
    said = appliance("replay", HOST, "--state", lived)
    assert said.code == 0
    assert said.out.startswith(f"{HOST}: from row 1 (start at 1): ")
    assert said.out.endswith("outputs compared: identical\n")


# --- what differs ----------------------------------------------------------------------------------------------------


def test_an_output_that_was_changed_is_found_and_both_are_shown(appliance: Appliance, state: StatePaths) -> None:
    n, stream, epoch, seq = rows(
        state.root, "guard", "SELECT n, stream, epoch, seq FROM output ORDER BY n LIMIT 1 OFFSET 5"
    )[0]
    change(
        state, "guard",
        "UPDATE output SET payload = CAST(replace(CAST(payload AS TEXT), '\"approved\"', '\"denied\"') AS BLOB) "
        f"WHERE n = {n}",
    )  # fmt: skip
    said = appliance("replay", "guard", "--state", state.root, "--json")
    difference = said.json["difference"]
    assert (said.code, difference["n"], difference["position"]) == (1, n, f"{stream}:{epoch}:{seq}")
    assert (difference["recorded"]["type"], difference["replayed"]["type"]) == ("denied", "approved")
    assert said.json["compared"] == 6
    told = appliance("replay", "guard", "--state", state.root)
    assert told.code == 1
    assert f"then row {n}, {stream}:{epoch}:{seq}: is not what was said" in told.out
    later = appliance("replay", "guard", "--state", state.root, "--from", n + 1)
    assert later.code == 0  # compared from there on


Change = Callable[[StatePaths], None]


def _another_limit(state: StatePaths) -> None:
    spec = read_spec(state)
    write_spec(state, replace(spec, limits=replace(spec.limits, max_order_shares=spec.cash / 10**4)))


def _an_output_too_many(state: StatePaths) -> None:
    change(state, "guard", "INSERT INTO output SELECT n + 10000, stream, epoch, seq + 1000, payload, previous, hash "
                           "FROM output ORDER BY n DESC LIMIT 1")  # fmt: skip


def _an_output_taken_out(state: StatePaths) -> None:
    change(state, "guard", "DELETE FROM output WHERE n = (SELECT n FROM output ORDER BY n LIMIT 1 OFFSET 8)")


def _an_input_taken_out(state: StatePaths) -> None:
    change(state, "guard", "DELETE FROM input WHERE n = (SELECT n FROM input WHERE position LIKE 'host/%' LIMIT 1)")


def _another_state(state: StatePaths) -> None:
    """What the guard knew at its last start is not what its inputs amount to."""
    with sqlite3.connect(state.journal("guard")) as connection:
        n, row = connection.execute("SELECT n, state FROM checkpoint ORDER BY n DESC LIMIT 1").fetchone()
        assert b'"since":0' in row
        connection.execute("UPDATE checkpoint SET state = ? WHERE n = ?", (row.replace(b'"since":0', b'"since":7'), n))
    connection.close()


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (_another_limit, "is not what was said"),
        (_an_output_too_many, "was said, but the replay does not say it"),
        (_an_output_taken_out, "is said by the replay, but was not"),
        (_an_input_taken_out, "was said, but the replay does not say it"),
        (_another_state, "the state differs in"),
    ],
)
def test_what_the_journal_does_not_explain_gives_code_1(
    appliance: Appliance, state: StatePaths, tamper: Change, words: str
) -> None:
    tamper(state)
    said = appliance("replay", "guard", "--state", state.root)
    assert said.code == 1
    assert words in said.out


def test_a_core_that_raises_now_is_a_difference_at_that_row(
    appliance: Appliance, state: StatePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(self: object, event: Event, now: Now) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("appliance.core.guard.GuardCore._intent", raising)
    said = appliance("replay", "guard", "--state", state.root, "--json")
    assert said.code == 1
    assert said.json["difference"]["position"].startswith("host/trend/intents:1:1")
    assert said.json["difference"]["text"] == "the core raised ZeroDivisionError: oh"


# --- what retention took ---------------------------------------------------------------------------------------------


def test_outputs_that_were_pruned_are_reproduced_and_counted_but_not_compared(
    appliance: Appliance, state: StatePaths
) -> None:
    journal = Journal(state.journal(HOST), HOST, Lock(state.lock(HOST)))
    before = len(rows(state.root, HOST, "SELECT n FROM output"))
    journal.prune("host/trend/intents", Spot(1, 10))
    journal.close()
    said = appliance("replay", HOST, "--state", state.root, "--json").json
    assert (said["identical"], said["forgotten"], said["compared"]) == (True, 10, before - 10)


def test_a_start_that_was_pruned_is_said_with_the_earliest_that_is_kept(
    appliance: Appliance, state: StatePaths
) -> None:
    second = rows(state.root, "guard", "SELECT n FROM input WHERE position = 'start' ORDER BY n")[1][0]
    change(state, "guard", f"DELETE FROM input WHERE n < {second}", f"DELETE FROM checkpoint WHERE n < {second - 1}")
    said = appliance("replay", "guard", "--state", state.root, "--from", 2)
    assert said.code == 1
    assert f"the earliest is --from {second}" in said.err
    assert appliance("replay", "guard", "--state", state.root).code == 0


def test_an_input_whose_publisher_has_forgotten_it_is_named(appliance: Appliance, state: StatePaths) -> None:
    change(state, HOST, "DELETE FROM output WHERE stream = 'host/trend/intents' AND seq = 3")
    said = appliance("replay", "guard", "--state", state.root)
    assert said.code == 1
    assert f"host/trend/intents:1:3 was an input, and {HOST}'s journal no longer holds it" in said.err


# --- marks -----------------------------------------------------------------------------------------------------------


def test_what_follows_from_a_message_that_was_set_aside_is_reproduced(appliance: Appliance, state: StatePaths) -> None:
    now = Now(2 * 10**18, "data", 2 * 10**18)
    payload = rows(state.root, "guard", "SELECT payload FROM output ORDER BY n DESC LIMIT 1")[0][0]
    journal = Journal(state.journal("gateway"), "gateway", Lock(state.lock("gateway")))
    saved = journal.load()
    core = core_of("gateway", read_spec(state))(Writers(topics.streams_written_by("gateway"), saved.heads))
    core.restore(saved.rows)
    said = [event for event in core.poisoned(wire.decode(payload), now) if event.stream]
    assert said
    outputs = [(event, wire.encode(event)) for event in said]
    journal.commit(Commit(inputs=[Input(now, "poison", payload)], outputs=outputs))
    journal.close()
    told = appliance("replay", "gateway", "--state", state.root, "--from", outputs[0][0].position, "--json").json
    assert (told["identical"], told["compared"]) == (True, len(outputs))


# --- what cannot be asked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("process", "position", "code", "words"),
    [
        ("gaurd", "1", 2, "no journal of 'gaurd'\n  hint: did you mean guard?"),
        ("guard", "guard/decisions:1:9999", 2, "is not in this journal"),
        ("guard", "0", 2, "give a row from 1 to"),
        ("guard", "yesterday", 2, "'appliance journal tail' shows them"),
    ],
)
def test_a_wrong_question_is_answered_helpfully(
    appliance: Appliance, lived: Path, process: str, position: str, code: int, words: str
) -> None:
    said = appliance("replay", process, "--state", lived, "--from", position)
    assert said.code == code
    assert words in said.err


def test_a_state_directory_without_journals_says_so(appliance: Appliance, tmp_path: Path) -> None:
    said = appliance("replay", "guard", "--state", tmp_path / "nothing", "--json")
    assert said.code == 2
    assert json.loads(said.out)["error"]["hint"] == "name the state directory with --state DIR"
