"""The shipped gateway that notes when the bytes of an order go to its broker's socket.

``python -m tests.bench.gateway_process STATE``: one line ``id ns`` an order (ns UTC), in ``sent`` of the run directory.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import Any

from appliance.clients.ibkr import load
from appliance.runs import read_spec
from appliance.shell.paths import StatePaths
from tests.ambiguity import gateway

SENT = "sent"
_ID = re.compile(rb"drill-\d+-\d+")


def noting(write: Callable[[bytes], None], send: Callable[..., Any]) -> Callable[..., Any]:
    """``send(self, data)`` that first tells ``write`` of an order in the data."""

    def noted(self: Any, data: Any) -> Any:
        found = _ID.search(data) if isinstance(data, bytes | bytearray) else None
        if found is not None:
            write(b"%s %d\n" % (found[0], time.time_ns()))
        return send(self, data)

    return noted


def main(state: str) -> int:
    """Run the gateway of the box in ``state``."""
    paths = StatePaths(Path(state))
    with (paths.run / SENT).open("ab", buffering=0) as file:
        spec = read_spec(paths)
        if spec.broker is not None and spec.broker.venue == "ibkr":
            connection = import_module(f"{load().__name__}.connection").Connection
            connection.sendMsg = noting(file.write, connection.sendMsg)
        HTTPConnection.send = noting(file.write, HTTPConnection.send)  # type: ignore[method-assign]
        return gateway.main(state)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
