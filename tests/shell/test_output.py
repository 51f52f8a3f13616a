"""What children print stays within bounds, whatever they print."""

import os
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.shell import output
from appliance.shell.output import BoundedLog, Copier

SECOND = 1_000_000_000


class Hand:
    """A clock that is told the time."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Hand()


@pytest.fixture
def log(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(output, "LOG_BYTES_MAX", 10_000)
    monkeypatch.setattr(output, "BURST_BYTES", 5_000)
    monkeypatch.setattr(output, "BYTES_A_SECOND", 1_000)
    monkeypatch.setattr(output, "_RESUME_BYTES", 500)
    log = BoundedLog(tmp_path / "host.log", clock)
    log.begin()
    yield log
    log.close()


def _kept(tmp_path):
    return sum(path.stat().st_size for path in tmp_path.iterdir())


def test_what_comes_too_fast_is_dropped_and_the_number_of_bytes_is_told_when_it_is_over(log, tmp_path, clock):
    log.write(b"a" * 6_000)
    log.write(b"b" * 6_000)
    assert (tmp_path / "host.log").read_bytes() == b"a" * 5_000
    clock.now += SECOND
    log.write(b"the end\n")
    text = (tmp_path / "host.log").read_text()
    assert "… 7000 bytes dropped" in text
    assert text.endswith("the end\n")


def test_during_a_flood_no_scraps_are_kept(log, tmp_path, clock):
    log.write(b"a" * 6_000)
    for _ in range(4):
        clock.now += SECOND // 10
        log.write(b"scrap")
    assert b"scrap" not in (tmp_path / "host.log").read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 5 * SECOND)), max_size=30))
def test_never_is_there_more_than_twice_the_bound_nor_more_than_the_rate_allows(log, tmp_path, clock, writes):
    for size, wait in writes:
        clock.now += wait
        log.write(b"x" * size)
        assert _kept(tmp_path) <= 2 * 10_000


def test_over_a_long_flood_the_card_is_spared(log, tmp_path, clock):
    written = 0
    log._keep, keep = (lambda data: (spent.append(len(data)), keep(data))), log._keep
    spent = []
    for _ in range(1_000):
        clock.now += SECOND // 10
        log.write(b"x" * 5_000)
    written = sum(spent)
    assert written <= 5_000 + 100 * 1_000 + 500
    assert written >= 50_000


def test_a_full_log_is_put_aside_and_last_lines_are_those_of_this_start(log, tmp_path, clock):
    for n in range(12):
        log.write(f"{n:04} ".encode() * 200)
        clock.now += SECOND
    assert (tmp_path / "host.log.1").stat().st_size == 10_000
    log.begin()
    log.write(b"one\ntwo\n")
    assert log.last_lines(10) == ["one", "two"]
    assert log.last_lines(1) == ["two"]


def test_a_disk_that_refuses_stops_nobody(tmp_path, log, clock):
    (tmp_path / "host.log.1").mkdir()
    (tmp_path / "host.log.1" / "in the way").touch()
    for _ in range(9):
        log.write(b"x" * 2_000)
        clock.now += 2 * SECOND
    assert (tmp_path / "host.log").stat().st_size == 10_000


@pytest.fixture
def copier():
    copier = Copier()
    yield copier
    copier.close()


def _until(done):
    deadline = time.monotonic() + 5
    while not done():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_a_writer_never_waits_and_all_it_said_is_there_when_it_is_dead(tmp_path, copier, monkeypatch):
    monkeypatch.setattr(output, "LOG_BYTES_MAX", 300_000)
    log = BoundedLog(tmp_path / "host.log")
    log.begin()
    ours, theirs = copier.open(log)
    os.set_blocking(theirs, True)
    began = time.monotonic()
    for _ in range(40):
        os.write(theirs, b"x" * 100_000)  # more than a pipe holds
    os.write(theirs, b"")
    assert time.monotonic() - began < 5
    os.close(theirs)
    copier.finish(ours)
    copier.finish(ours)
    assert _kept(tmp_path) <= 2 * 300_000
    log.close()


def test_the_last_words_are_copied_before_the_pipe_is_closed(tmp_path, copier):
    log = BoundedLog(tmp_path / "host.log")
    log.begin()
    for n in range(50):
        ours, theirs = copier.open(log)
        os.write(theirs, f"words {n}\n".encode())
        os.close(theirs)
        copier.finish(ours)
        assert log.last_lines(1) == [f"words {n}"]
    log.close()


def test_what_was_printed_before_is_in_the_log_once_it_has_caught_up(tmp_path, copier):
    log = BoundedLog(tmp_path / "host.log")
    log.begin()
    ours, theirs = copier.open(log)
    for n in range(200):
        os.write(theirs, f"words {n}\n".encode())
        copier.catch_up(ours)
        assert log.last_lines(1) == [f"words {n}"]
    os.close(theirs)
    copier.finish(ours)
    copier.catch_up(ours)  # gone: nothing to copy
    log.close()


def test_a_child_of_a_child_that_keeps_the_pipe_does_not_hold_up_the_end(tmp_path, copier):
    log = BoundedLog(tmp_path / "host.log")
    log.begin()
    ours, theirs = copier.open(log)
    os.write(theirs, b"here\n")
    copier.finish(ours)
    assert log.last_lines(1) == ["here"]
    with pytest.raises(BrokenPipeError):
        os.write(theirs, b"there\n")
    os.close(theirs)
    log.close()


def test_a_thread_that_fails_leaves_nobody_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda *_: None)
    copier, log = Copier(), BoundedLog(tmp_path / "host.log")
    log.begin()
    monkeypatch.setattr(log, "write", lambda data: 1 / 0)
    _, theirs = copier.open(log)
    os.write(theirs, b"x")
    _until(lambda: not copier._thread.is_alive())
    with pytest.raises(BrokenPipeError):
        os.write(theirs, b"x")
    os.close(theirs)
    with pytest.raises(OSError, match="nobody copies"):
        copier.open(log)
    copier.close()
    log.close()
