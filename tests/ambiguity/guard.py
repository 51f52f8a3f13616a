"""The shipped guard with no limits, to which a drill says its intents: ``python -m tests.ambiguity.guard STATE``.

It takes them from a socket in the state directory, as a guard takes a host's from its stream.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance import processes
from appliance.core.guard import GuardCore
from appliance.core.streams import Writers
from appliance.core.turn import Turn
from appliance.domain import wire
from appliance.runs import read_spec
from appliance.shell import logs
from appliance.shell.paths import StatePaths

SOCKET = "intents.sock"
DATAGRAM_MAX = 65_536


class Intents:
    """The engine's hook: a datagram is one intent, or one cancel, as it is on the wire."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def fds(self) -> Sequence[tuple[int, Callable[[], None]]]:
        """The socket wakes the loop; `poll` reads it."""
        return ((self._socket.fileno(), lambda: None),)

    def poll(self, turn: Turn) -> None:
        """Everything that has come."""
        while True:
            try:
                data = self._socket.recv(DATAGRAM_MAX)
            except BlockingIOError:
                return
            turn.accept(wire.decode(data, wire.LOCAL_MAX))

    def next_deadline(self) -> int | None:
        """Nothing is due."""
        return None


def main(state: str) -> int:
    """Run the guard of the box in ``state``."""
    paths = StatePaths(Path(state))
    logs.setup("guard", "info")
    core_of = processes.core_of
    processes.core_of = lambda process, *rest: _limitless if process == "guard" else core_of(process, *rest)
    processes._hooks = lambda *_: ((Intents(paths.run / SOCKET),), None)  # type: ignore[assignment]
    return processes.engine_of("guard", paths, read_spec(paths)).run()


def _limitless(writers: Writers) -> GuardCore:
    return GuardCore("guard", writers, ())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
