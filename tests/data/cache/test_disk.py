from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.data.cache import DataCache, Terms
from appliance.data.cache.disk import OFF
from appliance.domain.market import DAY
from tests.data.cache.market import MONDAY, Market, Source, sessions_of_days

ROOT = Path(__file__).resolve().parents[3]
SESSIONS = sessions_of_days(12)
BEGIN, END = MONDAY, MONDAY + 11 * DAY


@pytest.fixture
def source():
    made = Source(Market(SESSIONS))
    made.market.now = MONDAY + 12 * DAY
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


def opened(path: Path, source: Source, told: list[str]) -> DataCache:
    return DataCache(path, lambda symbol: SESSIONS, source.market.clock, terms=Terms(), tell=told.append)


def filled(path: Path, source: Source) -> None:
    cache = opened(path, source, [])
    for timeframe in ("1m", "5m", "1h", "1d"):
        cache.history(source, "SPY", timeframe, BEGIN, END)
    cache.close()
    source.asked.clear()


def answers(cache: DataCache, source: Source) -> int:
    """How many calls it takes to answer right."""
    source.asked.clear()
    for timeframe in ("1m", "5m", "1h", "1d"):
        found = cache.history(source, "SPY", timeframe, BEGIN, END)
        assert list(found) == source.truth("SPY", timeframe, BEGIN, END)
    return len(source.asked)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(20_000))


def another_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize("damage", [truncated, garbage, another_version])
def test_a_damaged_file_is_found_said_removed_and_rebuilt(path, source, damage):
    filled(path, source)
    damage(path)
    told: list[str] = []
    cache = opened(path, source, told)
    assert answers(cache, source) == 4
    cache.close()
    assert len(told) == 1
    assert "was damaged" in told[0]
    assert "was removed" in told[0]
    again = opened(path, source, told)
    assert answers(again, source) == 0
    again.close()
    assert len(told) == 1
    assert sorted(one.name for one in path.parent.iterdir()) == ["cache.db"]


@pytest.mark.parametrize(
    "flaw", ["body = zeroblob(size)", "settled = settled + 1", "last = last + 1", "asked = asked - 1", "mark = x'01'"]
)
def test_a_block_that_the_card_forgot_is_found_by_its_checksum_and_asked_for_again(path, source, flaw):
    filled(path, source)
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE block SET {flaw} WHERE rowid IN (SELECT rowid FROM block LIMIT 2)")
    connection.commit()
    connection.close()
    told: list[str] = []
    cache = opened(path, source, told)
    assert answers(cache, source) == 1
    assert told == ["the data cache forgot 2 damaged blocks of SPY 1m"]
    cache.close()
    assert answers(opened(path, source, told), source) == 0


def test_a_block_of_another_symbol_is_not_taken_for_this_one(path, source):
    filled(path, source)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE line SET symbol = 'QQQ'")
    connection.commit()
    connection.close()
    told: list[str] = []
    cache = opened(path, source, told)
    found = cache.history(source, "QQQ", "5m", BEGIN, END)
    assert list(found) == source.truth("QQQ", "5m", BEGIN, END)
    assert told == ["the data cache forgot 11 damaged blocks of QQQ 5m"]
    cache.close()


def test_damage_while_it_is_open_costs_questions_not_answers(path, source):
    filled(path, source)
    told: list[str] = []
    cache = opened(path, source, told)
    assert answers(cache, source) == 0
    with path.open("r+b") as file:
        file.seek(0)
        file.write(b"\xff" * path.stat().st_size)
    for _ in range(3):
        cache.clear_memory()
        answers(cache, source)
        cache.history(source, "QQQ", "5m", BEGIN, END)
    cache.close()
    again = opened(path, source, told)
    answers(again, source)
    again.clear_memory()
    assert answers(again, source) == 0
    again.close()


def test_a_file_that_cannot_be_written_turns_the_level_off_for_a_while(path, source):
    path.parent.joinpath("locked").write_text("")
    told: list[str] = []
    cache = opened(path.parent / "locked" / "cache.db", source, told)
    assert answers(cache, source) == 4
    assert answers(cache, source) == 0  # from memory
    cache.clear_memory()
    assert answers(cache, source) == 4
    assert len(told) == 1
    assert "goes on in memory for 10 minutes" in told[0]
    path.parent.joinpath("locked").unlink()
    source.market.now += OFF + 1
    cache.clear_memory()
    assert answers(cache, source) == 4
    cache.clear_memory()
    assert answers(cache, source) == 0
    cache.close()


def test_a_writer_that_never_ends_turns_the_level_off(path, source):
    filled(path, source)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    told: list[str] = []
    cache = opened(path, source, told)
    assert answers(cache, source) == 0
    assert list(cache.history(source, "QQQ", "5m", BEGIN, END)) == source.truth("QQQ", "5m", BEGIN, END)
    assert "locked" in told[0]
    other.close()
    cache.close()


def test_two_processes_share_a_file(path, source):
    told: list[str] = []
    one, two = opened(path, source, told), opened(path, source, told)
    assert answers(one, source) == 4
    assert answers(two, source) == 0
    one.close()
    two.close()
    assert told == []


BUSY = """
import os, signal, sys
from pathlib import Path
from appliance.data.cache import DataCache, disk
from appliance.domain.market import DAY
from tests.data.cache.market import MONDAY, Market, Source, sessions_of_days
sessions = sessions_of_days(12)
source = Source(Market(sessions))
source.market.now = MONDAY + 12 * DAY
cache = DataCache(Path(sys.argv[1]), lambda symbol: sessions, source.market.clock)
cache.history(source, "SPY", "1h", MONDAY, MONDAY + 11 * DAY)
cache._disk._file._connection.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), int(sys.argv[2]))
for timeframe in ("1m", "5m", "1d"):
    cache.history(source, "SPY", timeframe, MONDAY, MONDAY + 11 * DAY)
print("not killed")
"""


@pytest.mark.parametrize("steps", [20, 300, 800])
def test_a_kill_while_it_is_written_leaves_a_file_that_is_right(path, source, steps):
    done = subprocess.run(
        [sys.executable, "-c", BUSY, str(path), str(steps)], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, ""), done.stderr
    told: list[str] = []
    cache = opened(path, source, told)
    assert 1 <= answers(cache, source) <= 3
    cache.close()
    assert told == []


FULL = """
import resource, signal, sys
from pathlib import Path
from appliance.data.cache import DataCache
from appliance.domain.market import DAY
from tests.data.cache.market import MONDAY, Market, Source, sessions_of_days
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sessions = sessions_of_days(12)
source = Source(Market(sessions))
source.market.now = MONDAY + 12 * DAY
cache = DataCache(Path(sys.argv[1]), lambda symbol: sessions, source.market.clock, tell=print)
cache.history(source, "SPY", "1h", MONDAY, MONDAY + 11 * DAY)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
found = cache.history(source, "SPY", "1m", MONDAY, MONDAY + 11 * DAY)
print(list(found) == source.truth("SPY", "1m", MONDAY, MONDAY + 11 * DAY))
"""


def test_a_full_disk_turns_the_level_off_and_the_answer_is_right(path):
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    told, right = done.stdout.splitlines()
    assert "goes on in memory" in told
    assert right == "True"
