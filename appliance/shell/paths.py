"""The layout of a state directory: where each process keeps its journal, lock, log, sockets and credentials."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from appliance.errors import EnvironmentFault

SOCKET_PATH_MAX = 100
"""Longest unix socket path we use, in bytes: the kernel's limit is 108, some libraries add to it."""
_SOCKET_NAME_MAX = len("/mqtt.sock")


class StatePaths:
    """Names inside one state directory. Making the object touches nothing; ``prepare`` creates what is missing."""

    def __init__(self, root: Path, env: Mapping[str, str] = os.environ) -> None:
        self.root = Path(os.path.abspath(root))
        self._env = env
        self.run = self.root / "run"
        self.credentials = self.root / "credentials"
        self.history = self.root / "data" / "history.db"
        self.past = self.run / "past.msgpack"
        self.settings = self.root / "settings.toml"
        self.live_money = self.root / "live-money.json"
        self.processes = self.run / "processes.json"
        self.mosquitto_conf = self.run / "mosquitto.conf"
        self.mosquitto_passwords = self.run / "mosquitto.passwd"
        self.mosquitto_acl = self.run / "mosquitto.acl"

    def journal(self, process: str) -> Path:
        """A process's journal."""
        return self.root / "journal" / f"{process}.db"

    def lock(self, process: str) -> Path:
        """A process's lock."""
        return self.root / "lock" / f"{process}.lock"

    def log(self, process: str) -> Path:
        """A process's standard error."""
        return self.root / "log" / f"{process}.log"

    def credential(self, process: str) -> Path:
        """A process's MQTT password."""
        return self.credentials / f"mqtt-{process}"

    def cache(self, sources: str) -> Path:
        """What sources of this digest told of the past; may be removed at any time."""
        return self.root / "data" / f"cache-{sources}.db"

    def marker(self, process: str) -> Path:
        """Which strategy's hook a host is in; in memory, for it is written thousands of times a second."""
        return self.volatile / f"{process}.hook"

    @property
    def mqtt_socket(self) -> Path:
        """Mosquitto's socket: in the run directory, or in the volatile one where that path would be too long."""
        return self._socket("mqtt.sock")

    @property
    def latch_files(self) -> tuple[Path, Path]:
        """Where a halt is written: on disk, to survive a reboot, and in memory, to work when the disk does not."""
        return self.root / "latch" / "halt", self.volatile / "halt"

    @cached_property
    def volatile(self) -> Path:
        """A private directory in memory with a short name. The first process to prepare the state directory chooses
        and leaves a link, since another session may see another XDG_RUNTIME_DIR and must still find the same one."""
        link = self.run / "volatile"
        try:
            chosen = Path(os.readlink(link))
        except OSError:
            return self._candidate()
        return chosen if chosen.is_dir() else self._candidate()

    def prepare(self) -> None:
        """Create every directory, private to this user. Raises EnvironmentFault naming a path that cannot be used."""
        for directory in (
            self.root, self.run, self.credentials, self.history.parent,
            *(self.root / name for name in ("journal", "lock", "log", "latch")),
        ):  # fmt: skip
            _make(directory)
        _check_writable(self.root)
        _check_writable(self.run)
        _make_private(self.volatile)
        link = self.run / "volatile"
        if not link.is_symlink() or os.readlink(link) != str(self.volatile):
            link.unlink(missing_ok=True)
            link.symlink_to(self.volatile)

    def _socket(self, name: str) -> Path:
        near = self.run / name
        return near if len(os.fsencode(near)) <= SOCKET_PATH_MAX else self.volatile / name

    def _candidate(self) -> Path:
        name = f"appliance-{sha256(os.fsencode(self.root)).hexdigest()[:12]}"
        for base in (self._env.get("XDG_RUNTIME_DIR", ""), "/dev/shm"):
            path = Path(base) / name
            if (
                base
                and os.access(base, os.W_OK | os.X_OK)
                and len(os.fsencode(path)) <= SOCKET_PATH_MAX - _SOCKET_NAME_MAX
            ):
                return path
        return Path(tempfile.gettempdir()) / name


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(directory, "cannot be created", error) from error


def _check_writable(directory: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(b"probe")
            probe.flush()
    except OSError as error:
        raise _unusable(directory, "is not writable", error) from error


def _make_private(directory: Path) -> None:
    """Others can write where this one is made, so what is already there must be ours and closed to them."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise _unusable(directory, "cannot be created", error) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise EnvironmentFault(
            f"{directory}: is not a directory that only we can enter (owner {found.st_uid}, mode {found.st_mode:o})",
            hint=f"look at it, then remove it: rm -r {directory}",
        )


def _unusable(path: Path, what: str, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        f"{path}: {what}: {error.strerror or error}",
        hint="check its owner, permissions and free space, or choose another state directory with --state DIR",
    )
