"""How threads wake the loop of their process."""

from __future__ import annotations

import socket
from contextlib import suppress


class Bell:
    """Wakes a loop that waits on a file descriptor; rung from any thread."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)

    def fileno(self) -> int:
        """What to wait on."""
        return self._near.fileno()

    def ring(self) -> None:
        """Wake the loop. A bell that rings already is enough."""
        with suppress(OSError):
            self._far.send(b"!")

    def hush(self) -> None:
        """The loop is awake."""
        with suppress(BlockingIOError):
            while self._near.recv(4096):
                pass

    def close(self) -> None:
        """Give the descriptors back."""
        self._near.close()
        self._far.close()
