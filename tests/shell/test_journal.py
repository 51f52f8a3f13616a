import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.ports import Commit, DeadLetter, Input, Saved
from appliance.domain import wire
from appliance.domain.messages import Event, EventType, Now
from appliance.domain.operations import Head, Spot, Wakeup
from appliance.errors import EnvironmentFault, JournalError
from appliance.shell import audit
from appliance.shell.journal import Journal
from appliance.shell.locks import Lock

ROOT = Path(__file__).parents[2]
STREAM = "guard/decisions"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "guard.db"


@pytest.fixture
def journal(path):
    made = Journal(path, "guard")
    made.load()
    yield made
    made.close()


def output(seq, epoch=1, stream=STREAM):
    event = Event(EventType.WAKEUP, Wakeup(), stream, epoch, seq, ts=seq)
    return event, wire.encode(event)


def turn(n, sync=False, rows=None, outputs=None, **more):
    """What a turn commits that handled message ``n`` of feed/bars and decided once."""
    made = [output(n)] if outputs is None else outputs
    last = made[-1][0].spot if made else Spot()
    return Commit(
        sync=sync,
        cursors={"feed/bars": Spot(1, n)},
        rows={f"seen/{n}": b"1"} if rows is None else rows,
        outputs=made,
        inputs=[Input(Now(n * 10, "boot", n), f"feed/bars:1:{n}")],
        heads={STREAM: Head(last, last.epoch)},
        **more,
    )


def reopened(journal):
    journal.close()
    again = Journal(journal.path, journal.process)
    return again, again.load()


def edited(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    report = audit.verify(connection)
    connection.close()
    return report


# --- what is committed is there again ----------------------------------------------------------------------------


def test_a_new_journal_is_empty_and_has_a_checkpoint_to_replay_from(path, journal):
    assert journal.load() == Saved()
    journal.snapshot_to(path.with_name("copy.db"))
    assert audit.checkpoint(audit.opened(path.with_name("copy.db")), 0) == audit.Checkpoint(0, Saved())


def test_everything_in_a_commit_is_there_after_reopening(journal):
    journal.commit(turn(1, rows={"a/1": b"one", "a/2": b"two"}, counters={"gaps_healed": 3}, boot="b1"))
    journal.commit(turn(2, rows={"a/1": None, "a/2": b"zwei"}, sync=True))
    again, saved = reopened(journal)
    assert saved == Saved(
        boot="b1",
        cursors={"feed/bars": Spot(1, 2)},
        rows={"a/2": b"zwei"},
        heads={STREAM: Head(Spot(1, 2), 1)},
        counters={"gaps_healed": 3},
    )
    assert again.read(STREAM, Spot(), 10) == [output(1)[1], output(2)[1]]
    again.close()


def test_the_market_time_of_the_last_commit_is_kept(journal):
    journal.commit(turn(1, time=77))
    journal.commit(Commit(heads={STREAM: Head(Spot(1, 1), 2)}))  # knows no time
    assert journal.load().time == 77


def test_a_start_leaves_a_checkpoint_of_the_state_before_it(path, journal):
    journal.commit(turn(1))
    journal.commit(turn(2, rows={"seen/2": b"1"}, checkpoint={"seen/1": b"1"}))
    journal.snapshot_to(path.with_name("copy.db"))
    found = audit.checkpoint(audit.opened(path.with_name("copy.db")), 99)
    assert (found.n, found.saved.rows) == (2, {"seen/1": b"1"})
    assert (found.saved.cursors, found.saved.heads[STREAM].last) == ({"feed/bars": Spot(1, 1)}, Spot(1, 1))


def test_messages_are_read_in_order_across_epochs_and_strictly_beyond_the_position(journal):
    journal.commit(Commit(outputs=[output(1), output(2), output(3, epoch=2), output(4, epoch=2)]))
    assert journal.read(STREAM, Spot(1, 2), 10) == [output(3, epoch=2)[1], output(4, epoch=2)[1]]
    assert journal.read(STREAM, Spot(1, 99), 10) == [output(3, epoch=2)[1], output(4, epoch=2)[1]]
    assert journal.read(STREAM, Spot(), 3) == [output(1)[1], output(2)[1], output(3, epoch=2)[1]]
    assert journal.read("guard/other", Spot(), 3) == []


def test_a_position_written_twice_is_refused_and_nothing_of_that_commit_stays(journal):
    journal.commit(turn(1))
    with pytest.raises(JournalError, match="UNIQUE"):
        journal.commit(turn(1, rows={"seen/again": b"1"}))
    again, saved = reopened(journal)
    assert list(saved.rows) == ["seen/1"]
    assert again.verify().ok
    again.close()


@pytest.mark.parametrize(("sync", "wanted"), [(True, 2), (False, 1)])
def test_a_commit_is_synced_exactly_when_it_asks_for_it(journal, sync, wanted):
    journal.commit(turn(1, sync=not sync))
    journal.commit(turn(2, sync=sync))
    assert journal._connection.execute("PRAGMA synchronous").fetchone()[0] == wanted


def test_dead_letters_and_markers_survive_reopening(journal):
    letter = DeadLetter("feed/bars:1:7", b"payload", "Traceback ...", 5)
    journal.commit(Commit(dead_letters=[letter]))
    journal.mark("strategy/trend", "feed/bars:1:7", 5)
    journal.mark("strategy/other", "feed/bars:1:8", 6)
    journal.unmark("strategy/other")
    again, _ = reopened(journal)
    assert again.dead_letters() == [letter]
    assert again.markers() == {"strategy/trend": "feed/bars:1:7"}
    again.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abcde"), st.none() | st.binary(max_size=9), max_size=4), max_size=12))
def test_state_rows_are_what_a_dict_would_be_after_the_same_changes(tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("rows") / "guard.db"
    journal = Journal(path, "guard", checkpoint_every=3)
    journal.load()
    wanted = {}
    for n, rows in enumerate(changes, 1):
        journal.commit(turn(n, rows=rows))
        wanted.update(rows)
        wanted = {key: value for key, value in wanted.items() if value is not None}
    assert journal.load().rows == wanted
    assert journal.verify().ok
    journal.close()


# --- the chain ---------------------------------------------------------------------------------------------------


def test_inputs_and_outputs_are_one_chain_in_written_order(journal):
    for n in range(1, 4):
        journal.commit(turn(n))
    assert [(line.n, line.kind, line.position) for line in journal.tail(3)] == [
        (4, "out", f"{STREAM}:1:2"),
        (5, "in", "feed/bars:1:3"),
        (6, "out", f"{STREAM}:1:3"),
    ]
    assert journal.verify() == audit.Report(rows=6, first=1, last=6, pruned=0, faults=())


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE output SET payload = x'00' WHERE n = 4", "row 4 .*content is not what was written"),
        ("UPDATE input SET time = time + 1 WHERE n = 3", "row 3 .*content is not what was written"),
        ("DELETE FROM output WHERE n = 4", "row 5 .*1 rows before it are missing"),
        ("DELETE FROM output WHERE n = 10", "ends at row 9, its head says 10"),
        ("UPDATE chain SET hash = x'00'", "row 10: its hash"),
        ("UPDATE input SET previous = x'00' WHERE n = 3", "row 3 .*does not follow from row 2"),
    ],
)
def test_a_changed_or_missing_row_breaks_the_chain_and_is_named(journal, statement, fault):
    for n in range(1, 6):
        journal.commit(turn(n))
    journal.close()
    report = edited(journal.path, statement)
    assert not report.ok
    assert any(re.search(fault, text) for text in report.faults), report.faults


def test_the_chain_goes_on_after_reopening_and_after_pruning(journal):
    for n in range(1, 21):
        journal.commit(turn(n))
    journal.prune(STREAM, Spot(1, 12))
    again, _ = reopened(journal)
    again.commit(turn(21))
    report = again.verify()
    assert report.ok
    assert (report.rows, report.pruned, report.last) == (42 - 12, 12, 42)
    again.close()
    assert not edited(journal.path, "DELETE FROM output WHERE n = 30").ok  # beyond the prune point


# --- retention ---------------------------------------------------------------------------------------------------


def test_pruning_forgets_up_to_the_position_and_says_where_the_floor_is(journal):
    for n in range(1, 11):
        journal.commit(turn(n))
    assert journal.floor(STREAM) == Spot()
    journal.prune(STREAM, Spot(1, 4))
    assert journal.floor(STREAM) == Spot(1, 4)
    assert journal.read(STREAM, Spot(), 1) == [output(5)[1]]
    journal.prune(STREAM, Spot(1, 2))
    assert journal.floor(STREAM) == Spot(1, 4)
    journal.prune("guard/nothing", Spot(1, 2))
    assert journal.floor("guard/nothing") == Spot()


def test_an_old_epoch_is_not_pruned_beyond_the_number_asked_for(journal):
    journal.commit(Commit(outputs=[output(n, epoch=1 if n < 90 else 2) for n in range(1, 101)]))
    journal.prune(STREAM, Spot(2, 50))  # the consumer is in epoch 2, the last 50 are to be kept
    assert journal.floor(STREAM) == Spot(1, 50)


def test_a_checkpoint_is_the_state_at_its_row_and_inputs_go_only_up_to_one(path):
    journal = Journal(path, "guard", checkpoint_every=4)
    journal.load()
    for n in range(1, 21):
        journal.commit(turn(n))
    journal.snapshot_to(path.with_name("copy.db"))
    copy = audit.opened(path.with_name("copy.db"))
    found = audit.checkpoint(copy, 20)
    assert found.n == 16
    assert sorted(found.saved.rows) == sorted(f"seen/{n}" for n in range(1, 9))
    assert found.saved.cursors == {"feed/bars": Spot(1, 8)}
    assert next(audit.inputs(copy, found.n)) == (17, Input(Now(90, "boot", 9), "feed/bars:1:9"))

    journal.retain(inputs=6)
    journal.snapshot_to(path.with_name("later.db"))
    later = audit.opened(path.with_name("later.db"))
    assert [n for n, _ in audit.inputs(later)] == list(range(25, 41, 2))  # row 24 is the checkpoint after input 12
    assert audit.checkpoint(later, 20) is None
    assert audit.verify(later).ok
    assert journal.load().rows.keys() == {f"seen/{n}" for n in range(1, 21)}
    journal.close()


def test_only_the_last_dead_letters_are_kept(journal):
    journal.commit(Commit(dead_letters=[DeadLetter(str(n), b"", "", n) for n in range(10)]))
    journal.retain(letters=3)
    assert [letter.position for letter in journal.dead_letters()] == ["7", "8", "9"]


# --- what goes wrong ---------------------------------------------------------------------------------------------


def test_a_second_owner_is_refused(path, journal):
    with pytest.raises(EnvironmentFault, match="in use by"):
        Journal(path, "guard")


def test_the_lock_is_free_after_closing_and_after_a_failed_opening(path, tmp_path):
    path.write_bytes(b"this is no database" * 100)
    lock = Lock(tmp_path / "guard.lock")
    with pytest.raises(JournalError):
        Journal(path, "guard", lock)
    assert not lock.held


@pytest.mark.parametrize("damage", ["header", "page"])
def test_a_damaged_file_is_refused_by_name_and_left_as_it_is(path, journal, damage):
    for n in range(1, 400):
        journal.commit(turn(n))
    journal.close()
    content = bytearray(path.read_bytes())
    at = 0 if damage == "header" else len(content) // 2048 // 2 * 2048
    content[at : at + 1024] = b"\xff" * 1024
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"guard\.db: is damaged") as caught:
        Journal(path, "guard")
    assert "left untouched" in caught.value.hint
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("statement", "process", "text"),
    [
        ("UPDATE meta SET value = '99' WHERE key = 'schema'", "guard", "newer build"),
        ("DROP TABLE meta", "guard", "no journal"),
        ("SELECT 1", "gateway", "journal of guard, not of gateway"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(path, journal, statement, process, text):
    journal.close()
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(JournalError, match=text):
        Journal(path, process)


def test_after_a_failed_write_everything_is_refused(journal):
    journal.commit(turn(1))
    with pytest.raises(JournalError):
        journal.commit(turn(1))
    for refused in (lambda: journal.commit(turn(2)), lambda: journal.read(STREAM, Spot(), 1), journal.readable):
        with pytest.raises(JournalError, match="no longer written after a failure"):
            refused()


def test_a_number_sqlite_cannot_hold_is_a_journal_error_too(journal):
    with pytest.raises(JournalError, match="too large"):
        journal.commit(Commit(inputs=[Input(Now(1 << 70, "b", 1), "x")]))


def test_a_full_disk_is_a_journal_error_and_the_file_is_intact_afterwards(path, journal):
    journal.close()
    code = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_journal import turn
from appliance.errors import JournalError
from appliance.shell.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(Path({str(path)!r}), "guard")
journal.load()
for n in range(1, 11):
    journal.commit(turn(n))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    for n in range(11, 2000):
        journal.commit(turn(n, rows={{f"big/{{n}}": bytes(3000)}}))
except JournalError as error:
    print(n, type(error.__cause__).__name__, error.exit_code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    failed_at, cause, exit_code = done.stdout.split()
    assert (cause, exit_code) == ("OperationalError", "5")
    again = Journal(path, "guard")
    saved = again.load()
    assert saved.cursors["feed/bars"] == Spot(1, int(failed_at) - 1)
    assert again.verify().ok
    again.commit(turn(int(failed_at)))
    again.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_we_may_not_write_is_an_environment_fault(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(EnvironmentFault, match="cannot be opened"):
        Journal(tmp_path / "guard.db", "guard")
    tmp_path.chmod(0o700)


def test_a_killed_process_loses_nothing_it_committed(path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_journal import turn
from appliance.shell.journal import Journal
journal = Journal(Path({str(path)!r}), "guard")
journal.load()
for n in range(1, 200):
    journal.commit(turn(n))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=60)
    assert done.returncode == -9, done.stderr
    journal = Journal(path, "guard")
    assert journal.load().cursors["feed/bars"] == Spot(1, 199)
    assert journal.verify().ok
    journal.close()


def test_a_copy_is_complete_and_a_copy_that_fails_harms_nothing(path, journal):
    journal.commit(turn(1))
    copy = path.with_name("copy.db")
    journal.snapshot_to(copy)
    with pytest.raises(EnvironmentFault, match="is there already"):
        journal.snapshot_to(copy)
    with pytest.raises(EnvironmentFault, match="no copy"):
        journal.snapshot_to(path.parent / "nowhere" / "copy.db")
    journal.commit(turn(2))
    assert [line.position for line in audit.lines(audit.opened(copy))] == ["feed/bars:1:1", f"{STREAM}:1:1"]
    assert journal.verify().last == 4


def test_reading_what_is_no_journal_is_refused(tmp_path):
    with pytest.raises(JournalError, match="cannot be read as a journal"):
        audit.opened(tmp_path / "nothing.db")
