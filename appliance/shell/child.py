"""One child of the supervisor: its process, notify socket, log and state."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
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

LOG_BYTES_MAX = 4 << 20
"""A log beyond this size (bytes) becomes ``.1``, and what was ``.1`` goes."""

_TAIL_BYTES = 16_384
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
    """A process that may die and come back under the same name. Times are the supervisor's ticks, ns."""

    def __init__(self, spec: Spec, log: Path) -> None:
        self.spec = spec
        self.state = ChildState.STARTING
        self.restarts = 0
        self.quick_deaths = 0
        self.changed = True
        self.was_ready = False
        self.pidfd: int | None = None
        self.ready_at = self.heard_at = self.abort_at = self.start_at = 0
        self.socket = None if spec.socket is not None else _notify_socket()
        self._log = log
        self._log_from = 0
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
        self.heard_at = now
        try:
            self._rotate_log()
            with self._log.open("ab") as log:
                self._log_from = log.tell()
                self._process = subprocess.Popen(
                    self.spec.argv,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    process_group=0,  # a terminal's Ctrl-C is for the supervisor, who keeps the stop order
                    preexec_fn=_dies_with(os.getpid()),
                )
        except OSError as error:
            raise EnvironmentFault(
                f"{self.spec.name}: cannot be started: {error}", hint=f"check {self.spec.argv[0]} and {self._log}"
            ) from error
        self._started = time.time_ns()
        with contextlib.suppress(AttributeError, OSError):  # no pidfd: next_look makes the supervisor look often
            self.pidfd = os.pidfd_open(self._process.pid)
        self.become(ChildState.STARTING)

    def ended(self) -> int | None:
        """The exit code (negative: the signal) once the process has ended."""
        return self._process.poll() if self._process is not None else None

    def bury(self) -> bool:
        """Forget the dead process; whether it had been ready."""
        came_up, self._process = bool(self.ready_at), None
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
        """Whether it has been ready and is silent beyond its watchdog."""
        return self._watched and now - self.heard_at > self.spec.watchdog

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
        return self.heard_at + self.spec.watchdog + 1 if self._watched else None

    def last_lines(self, count: int = 10) -> list[str]:
        """The last lines this start of it wrote."""
        try:
            with self._log.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(min(self._log_from, end), end - _TAIL_BYTES))
                return log.read().decode(errors="replace").splitlines()[-count:]
        except OSError:
            return []

    def bound_log(self) -> None:
        """Keep a running child's log bounded: copy it aside and cut it (being open for appending, it goes on at 0)."""
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > LOG_BYTES_MAX:
                shutil.copyfile(self._log, self._aside())
                os.truncate(self._log, 0)
                self._log_from = 0

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
        """Close the notify socket."""
        if self.socket is not None:
            self.socket.close()

    @property
    def _watched(self) -> bool:
        return bool(self.spec.watchdog) and self.state is ChildState.READY

    def _environment(self) -> dict[str, str]:
        own = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")  # those we were given ourselves
        env = {key: value for key, value in os.environ.items() if key not in own} | self.spec.env
        if self.socket is not None:
            env["NOTIFY_SOCKET"] = "@" + self.socket.getsockname()[1:].decode()
            if self.spec.watchdog:
                env["WATCHDOG_USEC"] = str(self.spec.watchdog // _NS_PER_US)
        return env

    def _rotate_log(self) -> None:
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES_MAX:
            self._log.replace(self._aside())

    def _aside(self) -> Path:
        return self._log.with_name(self._log.name + ".1")


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
