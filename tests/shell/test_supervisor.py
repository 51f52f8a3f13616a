"""Real children: they come up, hang, die and end as the supervisor says."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from appliance.domain.market import SECOND
from appliance.errors import EnvironmentFault
from appliance.shell import output
from appliance.shell.child import START_SILENCE, ChildState, Spec
from appliance.shell.notify import Notifier, watchdog_interval
from appliance.shell.paths import StatePaths
from appliance.shell.supervisor import BACKOFF_FIRST, BACKOFF_MAX, HEALTHY_AFTER, Supervisor

MS = 1_000_000

_TELL = """
import os, signal, socket, sys, time
address = os.environ["NOTIFY_SOCKET"].replace("@", chr(0), 1)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
tell = lambda text: notify.sendto(text.encode(), address)
"""
READY = _TELL + "tell('READY=1'); signal.pause()"
DEAF = _TELL + "signal.signal(signal.SIGTERM, signal.SIG_IGN); tell('READY=1')\nwhile True: signal.pause()"
HANGS = _TELL + "tell('READY=1'); time.sleep(60)"
PINGS = _TELL + "tell('READY=1')\nwhile True:\n    tell('WATCHDOG=1'); time.sleep(0.02)"
TALKS = "import sys; print('first', file=sys.stderr); sys.exit('settings.toml: wrong')"


def _script(name, code, *args, **more):
    return Spec(name, (sys.executable, "-S", "-c", code, *args), **more)


def _exits(code):
    return f"import sys; print('bad', file=sys.stderr); sys.exit({code})"


@pytest.fixture
def near():
    """A directory with a path short enough for sockets, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@pytest.fixture
def paths(tmp_path, near):
    paths = StatePaths(tmp_path / "state", {"XDG_RUNTIME_DIR": str(near)})
    paths.prepare()
    return paths


@pytest.fixture
def supervisor(paths):
    supervisor = Supervisor(paths)
    yield supervisor
    supervisor.close()


def _until(supervisor, done, seconds=8.0):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, {child.spec.name: child.state for child in supervisor}
        supervisor.poll(0.05)


def _told(paths):
    return json.loads(paths.processes.read_text())


def test_a_child_is_ready_when_it_says_so_and_the_file_names_its_pid(paths, supervisor):
    supervisor.start(_script("guard", READY))
    assert _told(paths)["processes"][0]["state"] == "starting"
    assert supervisor.until_ready(8)
    child = supervisor.child("guard")
    assert _told(paths)["supervisor"] == os.getpid()
    row = _told(paths)["processes"][0]
    assert abs(row.pop("started") - time.time_ns()) < 10 * SECOND
    assert row == {"name": "guard", "pid": child.pid, "state": "ready", "restarts": 0}


def test_kill_9_is_answered_every_time_and_never_counts(paths, supervisor):
    supervisor.start(_script("feed", READY))
    for kill in range(1, 6):
        assert supervisor.until_ready(8)
        killed = supervisor.child("feed").pid
        os.kill(killed, signal.SIGKILL)
        _until(supervisor, lambda killed=killed: supervisor.child("feed").pid not in (None, killed))
        assert supervisor.child("feed").quick_deaths == 0
        assert _told(paths)["processes"][0]["restarts"] == kill


def test_kill_9_before_ready_does_not_count_either(supervisor):
    supervisor.start(_script("feed", "import signal; signal.pause()"))
    for kill in range(1, 5):
        os.kill(supervisor.child("feed").pid, signal.SIGKILL)
        _until(supervisor, lambda kill=kill: supervisor.child("feed").restarts == kill, 1)
    assert supervisor.child("feed").quick_deaths == 0


def test_a_child_that_fails_before_it_is_ready_waits_longer_each_time_but_not_the_first(paths):
    now, waits = [0], []
    supervisor = Supervisor(paths, lambda: now[0])
    supervisor.start(_script("feed", _exits(1)))
    child = supervisor.child("feed")
    for restarts in (1, 2, 3):  # the first was at once: the clock has not moved
        _until(supervisor, lambda: child.state is ChildState.WAITING)
        waits.append(child.start_at - now[0])
        now[0] = child.start_at - 1
        supervisor.poll()
        assert child.restarts == restarts
        now[0] = child.start_at
        supervisor.poll()
        assert child.restarts == restarts + 1
    assert waits == [BACKOFF_FIRST, 2 * BACKOFF_FIRST, 4 * BACKOFF_FIRST]
    supervisor.close()


def test_backoff_is_bounded_and_forgiven_after_ten_seconds_of_health(paths):
    now = [0]
    supervisor = Supervisor(paths, lambda: now[0])
    supervisor.start(_script("feed", READY))
    child = supervisor.child("feed")
    child.quick_deaths = 40
    supervisor._schedule(child, quick=True)
    assert child.start_at == BACKOFF_MAX
    child.become(ChildState.STARTING)
    now[0] = 1
    child.become_ready(now[0])
    now[0] += HEALTHY_AFTER - 1
    supervisor.poll()
    assert child.quick_deaths == 41
    now[0] += 1
    supervisor.poll()
    assert child.quick_deaths == 0
    child.signal(signal.SIGKILL)
    child._process.wait()
    supervisor.close()


@pytest.mark.parametrize("code", [2, 3, 4])
def test_settings_data_and_strategy_errors_end_the_restarts_and_keep_the_reason(paths, supervisor, code):
    supervisor.start(_script("host@trend", _exits(code)))
    assert not supervisor.until_ready(8)
    assert supervisor.failed == {"host@trend": (code, ["bad"])}
    supervisor.poll(0.2)
    assert (supervisor.child("host@trend").restarts, _told(paths)["processes"][0]["state"]) == (0, "failed")


def test_last_lines_are_those_of_this_start_not_of_an_older_one(paths, supervisor):
    paths.log("feed").write_text("from last week\n")
    supervisor.start(_script("feed", TALKS, fatal=(1,)))
    assert not supervisor.until_ready(8)
    assert supervisor.failed["feed"] == (1, ["first", "settings.toml: wrong"])


def test_a_child_that_must_start_and_does_not_is_failed_but_restarted_once_it_was_up(supervisor, tmp_path):
    once = tmp_path / "once"
    code = _TELL + f"import pathlib; p = pathlib.Path({str(once)!r})\nif p.exists(): sys.exit(9)\n" + READY
    supervisor.start(_script("a", code, must_start=True))
    assert supervisor.until_ready(8)
    once.touch()
    os.kill(supervisor.child("a").pid, signal.SIGTERM)
    _until(supervisor, lambda: supervisor.child("a").restarts >= 2)
    assert not supervisor.failed
    supervisor.start(_script("b", _exits(9), must_start=True))
    _until(supervisor, lambda: "b" in supervisor.failed)
    assert supervisor.failed["b"][0] == 9


def test_a_silent_child_is_aborted_and_started_again(paths, supervisor):
    code = "import faulthandler; faulthandler.enable()\n" + HANGS
    supervisor.start(_script("guard", code, watchdog=200 * MS))
    assert supervisor.until_ready(8)
    _until(supervisor, lambda: supervisor.child("guard").restarts == 1)
    assert "Fatal Python error: Aborted" in paths.log("guard").read_text()


def test_a_stopped_child_that_does_not_even_abort_is_killed(supervisor, monkeypatch):
    monkeypatch.setattr("appliance.shell.supervisor.ABORT_GRACE", 100 * MS)
    supervisor.start(_script("guard", PINGS, watchdog=200 * MS))
    assert supervisor.until_ready(8)
    os.kill(supervisor.child("guard").pid, signal.SIGSTOP)
    _until(supervisor, lambda: supervisor.child("guard").restarts == 1)


def test_a_child_that_pings_lives_on_beyond_its_watchdog(supervisor):
    supervisor.start(_script("guard", PINGS, watchdog=500 * MS))
    assert supervisor.until_ready(8)
    end = time.monotonic() + 1
    _until(supervisor, lambda: time.monotonic() > end)
    assert (supervisor.child("guard").restarts, supervisor.ready()) == (0, True)


def test_the_word_of_a_stranger_does_not_count(supervisor):
    supervisor.start(_script("guard", "import signal; signal.pause()"))
    child = supervisor.child("guard")
    Notifier({"NOTIFY_SOCKET": "@" + child.socket.getsockname()[1:].decode()}).ready()
    supervisor.poll(0.1)
    assert child.state is ChildState.STARTING


def test_the_last_started_stops_first_and_hosts_stop_side_by_side(supervisor, tmp_path):
    order = tmp_path / "order"
    tells = _TELL + (
        "def end(*_):\n    open(sys.argv[1], 'a').write(sys.argv[2] + ' ')\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); tell('READY=1'); signal.pause()"
    )
    for name in ("gateway", "guard", "host@a", "host@b", "feed"):
        supervisor.start(_script(name, tells, str(order), name))
    assert supervisor.until_ready(10)
    supervisor.stop()
    ended = order.read_text().split()
    assert (ended[0], sorted(ended[1:3]), ended[3:]) == ("feed", ["host@a", "host@b"], ["guard", "gateway"])
    assert {child.state for child in supervisor} == {ChildState.STOPPED}


def test_children_deaf_to_sigterm_are_killed_within_the_deadline(supervisor):
    for name in ("gateway", "guard", "feed"):
        supervisor.start(_script(name, DEAF))
    assert supervisor.until_ready(10)
    pids = [child.pid for child in supervisor]
    at = time.monotonic()
    supervisor.stop(within=600 * MS)
    assert time.monotonic() - at < 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_waiting_child_is_not_started_by_stopping(paths, supervisor):
    supervisor.start(_script("feed", _exits(1)))
    _until(supervisor, lambda: supervisor.child("feed").quick_deaths >= 2)
    supervisor.stop()
    assert [(row["state"], row["pid"]) for row in _told(paths)["processes"]] == [("stopped", None)]


_PARENT = """
import signal, sys
from pathlib import Path
from appliance.shell.paths import StatePaths
from appliance.shell.supervisor import Spec, Supervisor
supervisor = Supervisor(StatePaths(Path(sys.argv[1])))
supervisor.start(Spec("feed", (sys.executable, "-S", "-c", sys.argv[2])))
print(supervisor.until_ready(8), supervisor.child("feed").pid, flush=True)
signal.pause()
"""


def test_children_die_with_a_supervisor_that_is_killed(paths):
    command = [sys.executable, "-c", _PARENT, str(paths.root), DEAF]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        ready, pid = parent.stdout.readline().split()
        assert ready == "True"
        child = psutil.Process(int(pid))
        parent.kill()
    gone, _ = psutil.wait_procs([child], timeout=5)
    assert gone == [child] or child.status() == psutil.STATUS_ZOMBIE


def test_a_program_without_sd_notify_is_ready_when_its_socket_accepts(supervisor, tmp_path):
    path = tmp_path / "x.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    code = (
        "import os, signal, socket, sys; assert 'NOTIFY_SOCKET' not in os.environ; os.unlink(sys.argv[1])\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); signal.pause()"
    )
    supervisor.start(_script("mosquitto", code, str(path), socket=path))
    assert not supervisor.ready()
    assert supervisor.until_ready(8)


def test_children_get_the_watchdog_and_our_own_notify_socket_is_not_passed_on(supervisor, monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", "/somebody/elses")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    out = tmp_path / "env.json"
    code = _TELL + "import json; json.dump(dict(os.environ), open(sys.argv[1], 'w')); tell('READY=1'); signal.pause()"
    supervisor.start(_script("guard", code, str(out), watchdog=3 * SECOND, env={"APPLIANCE_X": "1"}))
    assert supervisor.until_ready(8)
    env = json.loads(out.read_text())
    assert env["NOTIFY_SOCKET"].startswith("@")
    assert "WATCHDOG_PID" not in env
    assert (watchdog_interval(env), env["APPLIANCE_X"]) == (3 * SECOND, "1")


def test_a_long_log_is_put_aside_at_start_and_while_running_and_no_byte_of_a_slow_one_is_lost(
    paths, supervisor, monkeypatch
):
    monkeypatch.setattr(output, "LOG_BYTES_MAX", 1000)
    log, aside = paths.log("feed"), paths.log("feed").with_name("feed.log.1")
    log.write_bytes(b"o" * 1001)
    code = _TELL + "os.write(2, b'n' * 900); signal.signal(10, lambda *_: os.write(1, b'z' * 200)); "
    supervisor.start(_script("feed", code + "tell('READY=1')\nwhile True: signal.pause()"))
    assert supervisor.until_ready(8)
    assert aside.read_bytes() == b"o" * 1001
    _until(supervisor, lambda: log.read_bytes() == b"n" * 900)
    os.kill(supervisor.child("feed").pid, signal.SIGUSR1)
    _until(supervisor, lambda: log.read_bytes() == b"z" * 200)
    assert aside.read_bytes() == b"n" * 900


def test_a_child_that_prints_a_million_lines_goes_on_and_its_log_is_bounded(paths, supervisor):
    code = _TELL + "[os.write(1 + n % 2, b'a line that nobody asked for\\n') for n in range(10**6)]; " + READY
    supervisor.start(_script("host@loud", code))
    assert supervisor.until_ready(30)
    kept = sum(path.stat().st_size for path in paths.log("host@loud").parent.iterdir())
    assert 0 < kept < 2 * output.LOG_BYTES_MAX


# --- how it died ----------------------------------------------------------------------------------------------------

DIES = (
    _TELL
    + "import pathlib; told = pathlib.Path(sys.argv[1])\n"
    + (
        "with told.open('a') as file: print(repr(os.environ['APPLIANCE_LAST_DEATH']), file=file)\n"
        "if len(told.read_text().splitlines()) > 1: tell('READY=1'); signal.pause()\n"
    )
)
DEATHS = {
    "an exit": ("os._exit(3)", 0, "exit code 3"),
    "no memory": ("os._exit(12)", 0, "out of memory"),
    "a crash": ("import ctypes; ctypes.string_at(0)", 0, "SIGSEGV"),
    "silence after it was ready": ("tell('READY=1'); time.sleep(60)", 0, "watchdog"),
    "silence after its first word": ("tell('STATUS=starting'); time.sleep(60)", 0, "watchdog"),
    "kill -9 from outside": ("tell('READY=1'); signal.pause()", signal.SIGKILL, ""),
    "SIGTERM from outside": ("tell('READY=1'); signal.pause()", signal.SIGTERM, ""),
}


@pytest.mark.parametrize("death", DEATHS)
def test_the_next_start_is_told_why_the_last_one_died_if_by_a_cause_of_its_own(
    supervisor, tmp_path, monkeypatch, death
):
    monkeypatch.setenv("APPLIANCE_LAST_DEATH", "of somebody else")
    code, number, cause = DEATHS[death]
    told = tmp_path / "told"
    watchdog = 0 if number else 300 * MS
    supervisor.start(_script("host@bad", DIES + code, str(told), watchdog=watchdog, fatal=()))
    if number:
        assert supervisor.until_ready(8)
        os.kill(supervisor.child("host@bad").pid, number)
    _until(supervisor, lambda: supervisor.child("host@bad").restarts == 1 and supervisor.ready())
    assert [eval(line) for line in told.read_text().splitlines()][:2] == ["", cause]


def test_before_its_first_word_a_child_has_time_to_load_and_not_for_ever(paths):
    now = [1]
    supervisor = Supervisor(paths, lambda: now[0])
    supervisor.start(_script("guard", "import signal; signal.pause()", watchdog=SECOND))
    child = supervisor.child("guard")
    now[0] += START_SILENCE
    supervisor.poll()
    assert not child.abort_at
    now[0] += 1
    supervisor.poll()
    assert child.abort_at == now[0]
    child._process.wait()
    supervisor.close()


def test_a_child_without_fatal_codes_is_started_again_within_seconds_whatever_it_ends_with(supervisor, tmp_path):
    code = "import sys, pathlib; p = pathlib.Path(sys.argv[1]); p.write_text(p.read_text() + '.')\nsys.exit(4)"
    count = tmp_path / "count"
    count.write_text("")
    supervisor.start(_script("host@bad", code, str(count), fatal=()))
    _until(supervisor, lambda: len(count.read_text()) > 3, 5)
    assert not supervisor.failed


def test_a_program_that_does_not_exist_is_named(supervisor):
    with pytest.raises(EnvironmentFault, match=r"feed: cannot be started: .*no-such-program"):
        supervisor.start(Spec("feed", ("/no-such-program",)))


def test_a_supervisor_that_started_nothing_leaves_the_list_of_another_alone(paths):
    paths.processes.write_text("another's")
    refused = Supervisor(paths)
    refused.stop()
    refused.close()
    assert paths.processes.read_text() == "another's"


def test_two_children_of_one_name_are_refused(supervisor):
    supervisor.start(_script("feed", READY))
    with pytest.raises(ValueError, match="feed is started already"):
        supervisor.start(_script("feed", READY))


@contextmanager
def _listener(address):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(5)
        yield listener


@pytest.mark.parametrize("abstract", [True, False])
def test_notify_speaks_to_paths_and_abstract_sockets(tmp_path, abstract):
    name = f"@notify-{os.getpid()}" if abstract else str(tmp_path / "n.sock")
    with _listener("\0" + name[1:] if abstract else name) as listener:
        notifier = Notifier({"NOTIFY_SOCKET": name})
        sent = [notifier.ready("caught\nup"), notifier.alive(), notifier.status("x"), notifier.stopping()]
        assert sent == [True] * 4
        heard = [listener.recv(200) for _ in sent]
    assert heard == [b"READY=1\nSTATUS=caught up", b"WATCHDOG=1", b"STATUS=x", b"STOPPING=1"]
    assert notifier.alive() is False
    notifier.close()


def test_notify_is_silent_where_nobody_listens():
    assert Notifier({}).ready() is False


@pytest.mark.parametrize(
    ("env", "limit"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "12000000"}, 12 * SECOND),
        ({"WATCHDOG_USEC": "12000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "12000000", "WATCHDOG_PID": str(os.getpid())}, 12 * SECOND),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_limit_is_ours_or_none(env, limit):
    assert watchdog_interval(env) == limit


def test_an_unwritable_state_directory_is_named_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=r"file/state: cannot be created: Not a directory\n.*--state DIR"):
        StatePaths(tmp_path / "file" / "state").prepare()


def test_another_session_finds_the_same_volatile_directory(tmp_path, near, paths):
    elsewhere = StatePaths(tmp_path / "state", {})
    assert elsewhere.latch_files == paths.latch_files
    elsewhere.prepare()
    assert elsewhere.volatile.parent == near
    assert elsewhere.volatile.stat().st_mode & 0o777 == 0o700


def test_a_volatile_directory_others_can_enter_is_refused(paths):
    paths.volatile.chmod(0o755)
    with pytest.raises(EnvironmentFault, match="only we can enter"):
        paths.prepare()
