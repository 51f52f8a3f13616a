"""A state directory has one owner, and everyone else is told who."""

import subprocess
import sys

import pytest

from appliance.errors import EnvironmentFault
from appliance.shell.locks import Lock, holder

_HOLD = """
import sys
from pathlib import Path
from appliance.shell.locks import Lock
Lock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, tmp_path / "guard.lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_held_by_another_process_is_refused_and_its_pid_named(tmp_path, other):
    with pytest.raises(EnvironmentFault, match=rf"in use by process {other.pid}\n.*--state DIR") as caught:
        Lock(tmp_path / "guard.lock").acquire()
    assert caught.value.exit_code == 5
    assert holder(tmp_path / "guard.lock") == other.pid


def test_kill_9_of_the_holder_frees_the_lock_though_the_file_still_names_it(tmp_path, other):
    other.kill()
    other.wait()
    assert (tmp_path / "guard.lock").read_text() == f"{other.pid}\n"
    assert holder(tmp_path / "guard.lock") is None
    with Lock(tmp_path / "guard.lock") as lock:
        assert lock.held


def test_a_released_lock_can_be_taken_again_and_taking_it_twice_is_harmless(tmp_path):
    first, second = Lock(tmp_path / "a.lock"), Lock(tmp_path / "a.lock")
    first.acquire()
    first.acquire()
    with pytest.raises(EnvironmentFault, match="in use"):
        second.acquire()
    first.release()
    second.acquire()
    assert (first.held, second.held) == (False, True)


def test_a_lock_in_a_missing_directory_names_the_path(tmp_path):
    with pytest.raises(EnvironmentFault, match=r"nowhere/a\.lock: the lock cannot be opened"):
        Lock(tmp_path / "nowhere" / "a.lock").acquire()


def test_a_lock_that_was_never_taken_has_no_holder(tmp_path):
    assert holder(tmp_path / "a.lock") is None
