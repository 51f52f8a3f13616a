"""One owner at a time: an exclusive flock with the owner's pid inside, gone with the process that held it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from appliance.errors import EnvironmentFault


class Lock:
    """An exclusive lock on ``path``. The kernel drops it when its holder dies, so a stale file means nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd is not None

    def acquire(self) -> None:
        """Take the lock at once. Raises EnvironmentFault that names the holder's pid, or why the file is unusable."""
        if self._fd is not None:
            return
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EnvironmentFault(
                f"{self.path}: the lock cannot be opened: {error.strerror}",
                hint="check the owner and permissions of the state directory, or choose another with --state DIR",
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            os.close(fd)
            raise self._in_use() from None
        except OSError as error:
            os.close(fd)
            raise EnvironmentFault(
                f"{self.path}: the lock cannot be taken: {error.strerror}", hint="free disk space and check the disk"
            ) from error
        self._fd = fd

    def release(self) -> None:
        """Let go; the file stays, because removing it would let two processes lock two files of one name."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _in_use(self) -> EnvironmentFault:
        pid = written_pid(self.path)
        who = f"process {pid}" if pid else "another process"
        stop = f"stop it first (kill {pid}, or Ctrl-C in its terminal)" if pid else "stop it first"
        return EnvironmentFault(
            f"{self.path}: in use by {who}", hint=f"{stop}, or choose another state directory with --state DIR"
        )


def written_pid(path: Path) -> int | None:
    """The pid a lock file names, held or not; None when it names none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def holder(path: Path) -> int | None:
    """The pid that holds the lock now; None when it is free (a holder that has not written its pid yet is 0)."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return written_pid(path) or 0
    finally:
        os.close(fd)
    return None
