"""Why a process died: by a cause of its own, or from outside."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from appliance.shell.deaths import LAST_DEATH, OUT_OF_MEMORY_CODE, cause_of, last_death, oom_kills

STACK = [
    "Fatal Python error: Aborted",
    "",
    "Current thread 0x00007f5c (most recent call first):",
    '  File "strategies/mine.py", line 19 in misbehave',
    '  File "strategies/mine.py", line 16 in on_bar',
]


@pytest.mark.parametrize(
    ("code", "known", "cause"),
    [
        (3, {}, "exit code 3"),
        (0, {}, "exit code 0"),
        (OUT_OF_MEMORY_CODE, {}, "out of memory"),
        (-signal.SIGKILL, {"oom": True}, "out of memory"),
        (-signal.SIGSEGV, {}, "SIGSEGV"),
        (-signal.SIGABRT, {}, "SIGABRT"),
        (-signal.SIGBUS, {"oom": True}, "SIGBUS"),
        (-signal.SIGABRT, {"hung": True}, "watchdog"),
        (-signal.SIGKILL, {"hung": True}, "watchdog"),
        (-signal.SIGABRT, {"hung": True, "lines": STACK}, "watchdog in mine.py:19 (misbehave)"),
        (-signal.SIGSEGV, {"lines": STACK}, "SIGSEGV in mine.py:19 (misbehave)"),
        (3, {"lines": STACK}, "exit code 3"),
        (-signal.SIGKILL, {}, ""),
        (-signal.SIGTERM, {}, ""),
        (-signal.SIGINT, {}, ""),
        (-signal.SIGKILL, {"lines": STACK}, ""),
        (-40, {}, ""),
    ],
)
def test_a_death_of_its_own_has_a_cause_and_one_from_outside_has_none(code, known, cause):
    assert cause_of(code, **known) == cause


def test_the_next_start_reads_the_cause_from_its_environment():
    assert last_death({LAST_DEATH: "watchdog"}) == "watchdog"
    assert last_death({}) == ""


def test_the_kernel_tells_how_often_it_has_killed_for_want_of_memory(monkeypatch, tmp_path):
    assert oom_kills() >= 0
    monkeypatch.setattr("appliance.shell.deaths._VMSTAT", str(tmp_path / "vmstat"))
    assert oom_kills() == 0
    (tmp_path / "vmstat").write_text("oom_kills_not 9\noom_kill 3\n")
    assert oom_kills() == 3


HOARD = """
import sys
from appliance.shell.memory import address_space, end_out_of_memory, limit_memory
before = address_space()
limit_memory(32 << 20)
limit_memory(64 << 20)  # there is no way back
held = []
try:
    while True:
        held.append(bytearray(1 << 20))
except MemoryError:
    pass
print(len(held), flush=True)
held = held[:-1]
end_out_of_memory()
"""


def test_a_process_that_allocates_beyond_its_limit_gets_a_memory_error_and_ends_with_a_code_of_its_own():
    ended = subprocess.run([sys.executable, "-c", HOARD], capture_output=True, text=True, check=False)
    assert 20 <= int(ended.stdout) <= 33
    assert (ended.returncode, ended.stderr) == (OUT_OF_MEMORY_CODE, "out of memory\n")


def test_a_crash_leaves_no_core_and_without_a_limit_memory_is_as_it_was():
    code = (
        "import os, resource; from appliance.shell.memory import limit_memory; limit_memory(0)\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_AS)[0], flush=True)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert said.stdout.split() == ["0", str(resource.getrlimit(resource.RLIMIT_AS)[0])]
