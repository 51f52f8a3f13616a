"""``python -m appliance.research.child TASK``: work in a process of its own; JSON in, JSON out (see ``apart``)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from appliance.research.checks import checked
from appliance.research.decisions import Decision, decide
from appliance.research.scenes import Scene
from appliance.research.subject import Subject


def _decide(subject: Subject, scene: Scene) -> list[Decision]:
    return decide(subject.on(scene), scene)


TASKS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "decide": (tuple[Subject, Scene], _decide),
    "check": (tuple[Subject], checked),
}
"""What is read for each task, and what is done with it."""


def main() -> None:
    """Read, work, write; standard output is kept for the answer, whatever the strategy prints."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    kind, work = TASKS[sys.argv[1]]
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=kind)
    out.write(msgspec.json.encode(work(*given)))
    out.flush()


if __name__ == "__main__":
    main()
