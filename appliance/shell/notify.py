"""Tell whoever started us how we are: the sd_notify protocol, spoken to systemd or to our own supervisor alike."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

_NS_PER_US = 1_000


class Notifier:
    """Sends state lines to NOTIFY_SOCKET (a path, or ``@name`` for an abstract socket); silent where there is none."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        name = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def send(self, *lines: str) -> bool:
        """Send lines such as ``READY=1``; whether they left. Never raises: a deaf supervisor must not stop trading."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        return True

    def ready(self, status: str = "ready") -> bool:
        """READY=1, once the process is reconciled and serves."""
        return self.send("READY=1", f"STATUS={_one_line(status)}")

    def alive(self) -> bool:
        """WATCHDOG=1, after a turn of real work."""
        return self.send("WATCHDOG=1")

    def stopping(self) -> bool:
        """STOPPING=1, when the process begins to end."""
        return self.send("STOPPING=1")

    def status(self, text: str) -> bool:
        """STATUS=text, one line for people."""
        return self.send(f"STATUS={_one_line(text)}")

    def close(self) -> None:
        """Close the socket; later sends do nothing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def watchdog_interval(env: Mapping[str, str] = os.environ) -> int | None:
    """The watchdog's limit in ns: ping at least twice within it. None when nobody watches this process."""
    watched = env.get("WATCHDOG_PID", "")
    if watched and watched != str(os.getpid()):
        return None
    limit = env.get("WATCHDOG_USEC", "")
    return int(limit) * _NS_PER_US if limit.isdecimal() and int(limit) > 0 else None


def _one_line(text: str) -> str:
    return " ".join(text.split())
