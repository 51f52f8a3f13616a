"""What children print, kept within bounds: a pipe from each, one thread that copies, and files that cannot grow.

A child that prints without end fills neither the disk nor its neighbours' time: what comes too fast is read and
dropped. The thread is apart from the supervisor's loop, so that no child waits for a terminal somebody has stopped.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable
from pathlib import Path

LOG_BYTES_MAX = 4 << 20
"""A log that would grow beyond this size (bytes) becomes ``.1``, and what was ``.1`` goes."""
BURST_BYTES = 1 << 20
"""So much (bytes) is kept however fast it comes …"""
BYTES_A_SECOND = 8 << 10
"""… and from then on so much a second: a flood that lasts all day must not wear out the card."""
_RESUME_BYTES = 4 << 10
"""After a flood nothing is kept until so much is allowed again: whole lines, not a letter here and there."""
_READ_BYTES = 64 << 10
_DRAIN_READS = 32
_TAIL_BYTES = 16_384
_SECOND = 1_000_000_000


class BoundedLog:
    """One child's log. ``ticks`` is a clock, ns. Nothing here raises: a full disk must not stop what still trades."""

    def __init__(self, path: Path, ticks: Callable[[], int] = time.monotonic_ns) -> None:
        self._path = path
        self._ticks = ticks
        self._fd = -1
        self._size = self._from = self._dropped = 0
        self._allowance = BURST_BYTES
        self._refilled = ticks()

    def begin(self) -> None:
        """Open for another start of the child: what it writes from here on are its last lines. Raises OSError."""
        self._open()
        if self._size > LOG_BYTES_MAX:
            self._put_aside()
        self._from = self._size

    def write(self, data: bytes) -> None:
        """Keep as much of ``data`` as the rate allows; the rest is counted, and told when it is over."""
        self._refill()
        if self._dropped and self._allowance >= _RESUME_BYTES:
            note = (
                f"\n… {self._dropped} bytes dropped: beyond {BURST_BYTES} at once, {BYTES_A_SECOND} a second are kept"
            )
            self._dropped = 0
            self._keep(note.encode() + b"\n")
        kept = data[: self._allowance] if not self._dropped else b""
        self._dropped += len(data) - len(kept)
        self._keep(kept)

    def last_lines(self, count: int) -> list[str]:
        """The last lines since ``begin``."""
        try:
            with self._path.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(min(self._from, end), end - _TAIL_BYTES))
                return log.read().decode(errors="replace").splitlines()[-count:]
        except OSError:
            return []

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _refill(self) -> None:
        now = self._ticks()
        gained = (now - self._refilled) * BYTES_A_SECOND // _SECOND
        if gained:
            self._refilled = now
            self._allowance = min(BURST_BYTES, self._allowance + gained)

    def _keep(self, data: bytes) -> None:
        self._allowance -= len(data)
        with contextlib.suppress(OSError):
            if self._fd < 0:
                self._open()
            if self._size + len(data) > LOG_BYTES_MAX:
                self._put_aside()
            self._size += os.write(self._fd, data)

    def _put_aside(self) -> None:
        self._path.replace(self._path.with_name(self._path.name + ".1"))
        self._open()
        self._from = 0

    def _open(self) -> None:
        self.close()
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size


class Copier:
    """Copies from the pipes of many children to their logs, in a thread of its own."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._logs: dict[int, BoundedLog] = {}
        self._closed = False
        self._end, self._ender = os.pipe2(os.O_CLOEXEC)
        self._selector.register(self._end, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)

    def open(self, log: BoundedLog) -> tuple[int, int]:
        """A new pipe into ``log``: our end, which names it, and the child's. Raises OSError, also when it is closed."""
        if self._closed:
            raise OSError("nobody copies what children print any more")
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(ours, False)
        with self._lock:
            self._logs[ours] = log
            self._selector.register(ours, selectors.EVENT_READ)
            if not self._thread.is_alive():
                self._thread.start()
        return ours, theirs

    def catch_up(self, ours: int) -> None:
        """Copy what is in a pipe now: what was printed before this call is in the log after it."""
        with self._lock:
            reads = 0
            while ours in self._logs and reads < _DRAIN_READS and self._copy(ours):  # it may print on and on
                reads += 1

    def finish(self, ours: int) -> None:
        """The child is dead: copy what is still in its pipe, and close our end."""
        self.catch_up(ours)
        with self._lock:
            if ours in self._logs:
                self._forget(ours)

    def close(self) -> None:
        """End the thread and close every pipe."""
        if self._thread.is_alive():
            os.write(self._ender, b"x")
            self._thread.join()
        else:
            self._close_all()

    def _run(self) -> None:
        try:
            while True:
                ready = [key.fd for key, _ in self._selector.select()]
                if self._end in ready:
                    return
                with self._lock:
                    for fd in ready:
                        if fd in self._logs and not self._copy(fd):
                            self._selector.unregister(fd)  # nobody has its other end any more; ``finish`` closes ours
        finally:
            self._close_all()  # whoever still prints gets an error, and does not wait for ever

    def _copy(self, fd: int) -> bool:
        """Copy what is there, once; whether more may come."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return True
        self._logs[fd].write(data)
        return bool(data)

    def _forget(self, fd: int) -> None:
        del self._logs[fd]
        with contextlib.suppress(KeyError):
            self._selector.unregister(fd)
        os.close(fd)

    def _close_all(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for fd in list(self._logs):
                self._forget(fd)
            for fd in (self._end, self._ender):
                os.close(fd)
            self._selector.close()
