"""A real Mosquitto of our own for each test that asks for one, and waiting with a deadline instead of sleeping."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

SEARCHED = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


class Broker:
    """Mosquitto on a unix socket, open to all unless configured otherwise before a start."""

    def __init__(self, directory):
        self.path = directory / "mqtt.sock"
        self._conf = directory / "mosquitto.conf"
        self._process = None
        self.configure("allow_anonymous true")

    def configure(self, *lines):
        fixed = f"listener 0 {self.path}", "persistence false", "log_dest none", "user root"
        self._conf.write_text("\n".join([*fixed, *lines, ""]))

    def start(self):
        binary = shutil.which("mosquitto", path=SEARCHED)
        self._process = subprocess.Popen([binary, "-c", str(self._conf)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline, "mosquitto does not start"
        return self

    def _answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.path)) == 0

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self):
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture
def short_dir():
    """A directory whose name leaves room for a socket: unix socket paths end at 108 characters."""
    with tempfile.TemporaryDirectory(prefix="bus-") as name:
        yield Path(name)


@pytest.fixture
def broker(short_dir):
    if shutil.which("mosquitto", path=SEARCHED) is None:
        pytest.skip("mosquitto is not installed: sudo apt install mosquitto")
    made = Broker(short_dir)
    yield made.start()
    made.kill()


@pytest.fixture
def until():
    """``until(condition, step, seconds)``: call ``step`` until the condition holds; fail when time is over."""

    def wait(condition, step, seconds=10.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            step()

    return wait
