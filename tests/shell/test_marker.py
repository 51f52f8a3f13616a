"""The mark of the hook a host is in: it outlives the process, is never half written, and costs next to nothing."""

import os
import signal
import subprocess
import sys
import timeit
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import EnvironmentFault
from appliance.shell.marker import NAMES_MAX, Marker, read

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=24)
DIES = """
import os, sys
from pathlib import Path
from appliance.shell.marker import Marker
marker = Marker(Path(sys.argv[1]))
marker.enter("trend", "bar")
os.kill(os.getpid(), 9)
"""


class Spied:
    """The bytes of a mark, and what a reader would have found after every single one that was stored."""

    def __init__(self, marker: Marker, path: Path) -> None:
        self._bytes = marker._bytes
        self._path = path
        self.seen: list[tuple[str, str] | None] = []

    def __setitem__(self, at: int | slice, value: int | bytes) -> None:
        self._bytes[at] = value  # type: ignore[index, assignment]
        self.seen.append(read(self._path))

    def __getitem__(self, at: int) -> int:
        return self._bytes[at]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "host@trend.hook"


def test_a_mark_says_where_we_are_until_we_leave(path):
    marker = Marker(path)
    assert read(path) is None
    marker.enter("trend", "bar")
    assert read(path) == ("trend", "bar")
    marker.mark("dip", "fill")
    assert read(path) == ("dip", "fill")
    marker.mark("", "")
    assert read(path) is None
    marker.enter("trend", "bar")
    marker.leave()
    assert read(path) is None


def test_a_mark_outlives_kill_9_and_is_gone_when_the_next_process_has_begun(path):
    ended = subprocess.run([sys.executable, "-c", DIES, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert read(path) == ("trend", "bar")
    Marker(path)
    assert read(path) is None


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, NAMES) | st.none(), max_size=12))
def test_whenever_the_process_dies_a_reader_finds_the_old_mark_the_new_one_or_none(path, moves):
    marker, before = Marker(path), None
    spied = Spied(marker, path)
    marker._bytes = spied  # type: ignore[assignment]
    for move in moves:
        spied.seen.clear()
        marker.mark(*(move or ("", "")))
        assert set(spied.seen) <= {before, move, None}
        before = read(path)
        assert before == move


def test_to_enter_and_leave_a_hook_costs_less_than_a_microsecond(path):
    marker = Marker(path)

    def both():
        marker.mark("trend", "bar")
        marker.mark("", "")

    assert min(timeit.repeat(both, number=10_000, repeat=9)) / 10_000 < 2e-6  # two calls


def test_more_names_than_there_is_room_for_go_unmarked(path):
    marker = Marker(path)
    for n in range(NAMES_MAX + 1):
        marker.enter("trend", f"hook-{n}")
    assert read(path) is None
    marker.enter("trend", "hook-7")
    assert read(path) == ("trend", "hook-7")
    for n in range(NAMES_MAX + 1):
        marker.enter(f"strategy-{n}", "hook-7")
    assert read(path) is None


@pytest.mark.parametrize("content", [b"", b"\1\1short", bytes(20_000), b"\1" + bytes(20_000)])
def test_what_is_no_mark_reads_as_none(path, content):
    path.write_bytes(content)
    assert read(path) is None


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(EnvironmentFault, match=r"nowhere/x\.hook: No such file"):
        Marker(tmp_path / "nowhere" / "x.hook")
    assert not os.listdir(tmp_path)
