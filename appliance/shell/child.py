"""One child of the supervisor: its process, notify socket, log and state."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

from msgspec import Struct, field

from appliance.errors import EnvironmentFault
from appliance.shell.deaths import LAST_DEATH, cause_of, oom_kills
from appliance.shell.output import BoundedLog, Copier

START_SILENCE = 30_000_000_000
"""How long (ns) a watched child may take to its first word: Python has to load, on a slow card."""
_STACK_LINES = 200
_CREDENTIALS = struct.Struct("3i")
_NS_PER_US = 1_000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ChildState(Enum):
    """Where a child is in its life, as its supervisor sees it."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"  # dead, to be started again
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"  # dead, not to be started again


class Spec(Struct, frozen=True):
    """What to run. ``watchdog`` is the longest silence allowed (ns; 0: not watched).

    A program that does not speak sd_notify names its ``socket`` instead: it is ready when that accepts a connection.
    An exit code in ``fatal`` ends the restarts, and with ``must_start`` any exit before it was ready once.
    """

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    watchdog: int = 0
    socket: Path | None = None
    fatal: tuple[int, ...] = (2, 3, 4)
    must_start: bool = False


class Child:
    """A process that may die and come back under the same name. Times are the supervisor's ticks, ns.

    ``last_death`` is why it died last by a cause of its own, or ""; its next start is told."""

    def __init__(self, spec: Spec, log: Path, copier: Copier) -> None:
        self.spec = spec
        self.state = ChildState.STARTING
        self.restarts = 0
        self.quick_deaths = 0
        self.changed = True
        self.was_ready = False
        self.pidfd: int | None = None
        self.ready_at = self.heard_at = self.abort_at = self.start_at = 0
        self.socket = None if spec.socket is not None else _notify_socket()
        self.last_death = ""
        self.has_spoken = False
        self._log_path = log
        self._log = BoundedLog(log)
        self._copier = copier
        self._output = -1
        self._oom_kills = 0
        self._started = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether a process is there that has not been buried."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """The process's id while it is there."""
        return self._process.pid if self._process is not None else None

    def become(self, state: ChildState) -> None:
        """Change state; the supervisor writes it down."""
        self.state, self.changed = state, True

    def become_ready(self, now: int) -> None:
        """It is up."""
        self.ready_at, self.was_ready = now, True
        self.become(ChildState.READY)

    def spawn(self, now: int) -> None:
        """Start the process. Raises EnvironmentFault when the program cannot be executed."""
        self.ready_at = self.abort_at = 0
        self.heard_at, self.has_spoken, self._oom_kills = now, False, oom_kills()
        try:
            self._log.begin()
            self._process = self._popen()
        except OSError as error:
            self._finish_output()
            raise EnvironmentFault(
                f"{self.spec.name}: cannot be started: {error}", hint=f"check {self.spec.argv[0]} and {self._log_path}"
            ) from error
        self._started = time.time_ns()
        with contextlib.suppress(AttributeError, OSError):  # no pidfd: next_look makes the supervisor look often
            self.pidfd = os.pidfd_open(self._process.pid)
        self.become(ChildState.STARTING)

    def _popen(self) -> subprocess.Popen[bytes]:
        self._output, theirs = self._copier.open(self._log)
        try:
            return subprocess.Popen(
                self.spec.argv,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                process_group=0,  # a terminal's Ctrl-C is for the supervisor, who keeps the stop order
                preexec_fn=_dies_with(os.getpid()),
            )
        finally:
            os.close(theirs)

    def ended(self) -> int | None:
        """The exit code (negative: the signal) once the process has ended."""
        return self._process.poll() if self._process is not None else None

    def bury(self, code: int) -> bool:
        """Forget the dead process, but not why it died; whether it had been ready."""
        came_up, self._process = bool(self.ready_at), None
        self._finish_output()
        oom = oom_kills() > self._oom_kills
        self.last_death = cause_of(code, hung=bool(self.abort_at), oom=oom, lines=self.last_lines(_STACK_LINES))
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None
        return came_up

    def terminate(self) -> None:
        """Ask it to end; a child that waits to be started is simply not started again."""
        if self.alive:
            self.become(ChildState.STOPPING)
            self.signal(signal.SIGTERM)
        elif self.state is ChildState.WAITING:
            self.become(ChildState.STOPPED)

    def signal(self, number: int) -> None:
        """Send a signal, if the process is still there."""
        if self._process is not None:
            self._process.send_signal(number)

    def hear(self, now: int) -> None:
        """It has said a word: it is alive, and whom the kernel has killed until now was another."""
        self.heard_at, self.has_spoken, self._oom_kills = now, True, oom_kills()

    def messages(self) -> Iterator[list[str]]:
        """What the process itself (nobody else who knows the socket) has told since the last call, line by line."""
        while self.socket is not None:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
            except BlockingIOError:
                return
            sender = next(
                (_CREDENTIALS.unpack(raw)[0] for _, kind, raw in ancillary if kind == socket.SCM_CREDENTIALS), 0
            )
            if sender == self.pid:
                yield data.decode(errors="replace").splitlines()

    def accepts(self) -> bool:
        """Whether the socket of a program without sd_notify accepts a connection."""
        if self.spec.socket is None:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            return probe.connect_ex(os.fspath(self.spec.socket)) == 0

    def hangs(self, now: int) -> bool:
        """Whether it is silent beyond its watchdog, or has not said a word for too long since it was started."""
        return self._watched and now - self.heard_at > self._patience

    def next_look(self, now: int, probe: int, grace: int) -> int | None:
        """When (ticks) the supervisor has to look again without being woken by a descriptor."""
        if self.state is ChildState.WAITING:
            return self.start_at
        if not self.alive:
            return None
        if self.pidfd is None or (self.spec.socket is not None and self.state is ChildState.STARTING):
            return now + probe
        if self.abort_at:
            return self.abort_at + grace
        return self.heard_at + self._patience + 1 if self._watched else None

    def catch_up(self) -> None:
        """Have all it has printed until now in its log."""
        self._copier.catch_up(self._output)

    def last_lines(self, count: int = 10) -> list[str]:
        """The last lines this start of it wrote."""
        return self._log.last_lines(count)

    def row(self) -> dict[str, object]:
        """The child as ``processes.json`` tells it; ``started`` is ns UTC."""
        return {
            "name": self.spec.name,
            "pid": self.pid,
            "started": self._started,
            "state": self.state.value,
            "restarts": self.restarts,
        }

    def close(self) -> None:
        """Close the notify socket and the log."""
        if self.socket is not None:
            self.socket.close()
        self._finish_output()
        self._log.close()

    @property
    def _watched(self) -> bool:
        return bool(self.spec.watchdog) and self.state in (ChildState.STARTING, ChildState.READY)

    @property
    def _patience(self) -> int:
        return self.spec.watchdog if self.has_spoken else max(START_SILENCE, self.spec.watchdog)

    def _finish_output(self) -> None:
        if self._output >= 0:
            self._copier.finish(self._output)
            self._output = -1

    def _environment(self) -> dict[str, str]:
        own = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", LAST_DEATH)  # those we were given ourselves
        env = {key: value for key, value in os.environ.items() if key not in own} | self.spec.env
        env[LAST_DEATH] = self.last_death
        if self.socket is not None:
            env["NOTIFY_SOCKET"] = "@" + self.socket.getsockname()[1:].decode()
            if self.spec.watchdog:
                env["WATCHDOG_USEC"] = str(self.spec.watchdog // _NS_PER_US)
        return env


def _notify_socket() -> socket.socket:
    """A datagram socket with an abstract name the kernel chose: no path to be too long, stale or in the way. Senders
    are told apart by the pid the kernel vouches for."""
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    notify.setblocking(False)
    notify.bind("")
    return notify


def _dies_with(parent: int) -> Callable[[], None]:
    """What a child does before exec: ask the kernel to kill it when the supervisor dies, in whatever way.

    The kernel means the thread that started the child, so children are started from the main thread."""

    def prepare() -> None:
        if hasattr(_libc, "prctl"):
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return prepare
