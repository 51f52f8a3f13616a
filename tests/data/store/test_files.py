from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.data.store import HistoryStore
from appliance.errors import EnvironmentFault
from tests.data.store.storing import BEGIN, SPLIT, bars

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def filled(path: Path, count: int = 3_000) -> None:
    store = HistoryStore(path)
    store.add(bars(count))
    store.add_actions([SPLIT])
    store.close()


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 400)


def truncated(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size // 2)


def scribbled(path: Path) -> None:
    filled(path)
    with path.open("r+b") as file:
        for page in range(3, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(bytes(range(256)) * 4)


@pytest.mark.parametrize("damage", [garbage, truncated, scribbled])
def test_a_damaged_file_is_put_aside_begun_anew_and_said(path, damage):
    damage(path)
    before = path.read_bytes()
    store = HistoryStore(path)
    assert "history.db.broken-1" in store.replaced
    assert path.with_name("history.db.broken-1").read_bytes() == before
    assert store.holdings() == ()
    assert store.add(bars(3)) == 3
    store.close()
    damage(path)
    store = HistoryStore(path)
    assert "history.db.broken-2" in store.replaced
    store.close()


def test_damage_that_is_met_while_it_is_open_costs_no_bar_that_is_told_then(path):
    filled(path, 30_000)
    store = HistoryStore(path)
    with path.open("r+b") as file:  # the card forgets
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    for _ in range(3):  # some of it may still be in memory
        store.add(bars(20_000, symbol="QQQ"))
        list(store.bars("SPY", "1m", 0, 2**62))
    assert "broken-1" in store.replaced
    assert store.add(bars(5, symbol="IWM")) == 5
    assert [len(page) for page in store.bars("IWM", "1m", 0, 2**62)] == [5]
    store.close()


@pytest.mark.parametrize("moved", [False, True])
def test_what_is_written_after_the_file_was_taken_away_is_in_the_file_that_is_there(path, moved):
    store = HistoryStore(path)
    store.add(bars(2))
    if moved:
        path.rename(path.with_name("aside"))
    else:
        path.unlink()
    store.add(bars(3))
    reader = HistoryStore(path, read_only=True)
    (page,) = reader.bars("SPY", "1m", 0, 2**62)
    assert list(page) == list(bars(3))
    store.close()


def test_a_reader_of_a_damaged_file_is_told_and_leaves_it(path):
    truncated(path)
    before = path.read_bytes()
    with pytest.raises(EnvironmentFault, match=r"history\.db: is damaged"):
        HistoryStore(path, read_only=True)
    assert path.read_bytes() == before


def test_a_reader_of_an_absent_file_sees_an_empty_store_until_there_is_one(path):
    reader = HistoryStore(path, read_only=True)
    assert (reader.holdings(), list(reader.bars("SPY", "1m", 0, 2**62)), reader.size) == ((), [], 0)
    assert reader.lacking("SPY", "1m", 3, 4) == ((3, 4),)
    assert not path.exists()
    filled(path, 10)
    assert reader.holdings()[0].bars == 10
    assert reader.actions(["AAPL"], 0, 2**62) == (SPLIT,)
    with pytest.raises(EnvironmentFault, match="read only"):
        reader.add(bars(1))
    reader.close()


def test_readers_see_what_is_committed_while_one_writes(path):
    writer, reader = HistoryStore(path), HistoryStore(path, read_only=True)
    for number in range(5):
        writer.add(bars(10, first=10 * number))
        assert reader.holdings()[0].bars == 10 * (number + 1)
    writer.close()
    reader.close()


def test_two_writers_take_turns(path):
    one, two = HistoryStore(path), HistoryStore(path)
    one.add(bars(10))
    two.add(bars(10, symbol="QQQ"))
    two.add(bars(12))
    assert [(line.symbol, line.bars) for line in one.holdings()] == [("QQQ", 10), ("SPY", 12)]
    one.close()
    two.close()


def test_a_database_of_another_kind_or_build_is_left_alone(path):
    filled(path, 1)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    with pytest.raises(EnvironmentFault, match="another build"):
        HistoryStore(path)
    connection.execute("PRAGMA application_id = 7")
    with pytest.raises(EnvironmentFault, match="no history store"):
        HistoryStore(path)
    connection.close()


def test_a_directory_that_is_a_file_is_an_environment_fault(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(EnvironmentFault, match=r"data/history\.db"):
        HistoryStore(tmp_path / "data" / "history.db")


KILLED = """
import os, signal, sys
from pathlib import Path
from appliance.data.store import HistoryStore
from tests.data.store.storing import bars
store = HistoryStore(Path(sys.argv[1]))
store.add(bars(1_000))
store._file._connection.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), int(sys.argv[2]))
store.add(bars(50_000, first=500, revision=1))
print("not killed")
"""


@pytest.mark.parametrize("steps", [100, 60_000, 700_000])
def test_a_kill_in_the_middle_of_add_leaves_all_of_it_or_nothing(path, steps):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(steps)], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, ""), done.stderr
    store = HistoryStore(path)
    found = [one for page in store.bars("SPY", "1m", 0, 2**62) for one in page]
    assert store.replaced == ""
    assert found == bars(1_000)
    assert store.holdings()[0].bars == 1_000
    store.close()


FULL = """
import resource, signal, sys
from pathlib import Path
from appliance.data.store import HistoryStore
from appliance.errors import EnvironmentFault
from tests.data.store.storing import bars
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = HistoryStore(Path(sys.argv[1]))
store.add(bars(100))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
try:
    store.add(bars(50_000, symbol="QQQ"))
except EnvironmentFault as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(store.add(bars(101)), store.add(bars(7, symbol="QQQ")), repr(store.replaced))
"""


def test_a_full_disk_is_told_and_what_was_there_stays(path):
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    told, hint, after = done.stdout.splitlines()
    assert "history.db: cannot be used" in told
    assert "free space" in hint
    assert after == "1 7 ''"
    store = HistoryStore(path)
    assert [(one.symbol, one.bars) for one in store.holdings()] == [("QQQ", 7), ("SPY", 101)]
    assert store.holdings()[1].first == BEGIN
    store.close()
