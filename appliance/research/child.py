"""``python -m appliance.research.child``: one run in a process of its own; subject and scene in, decisions out."""

from __future__ import annotations

import os
import sys

import msgspec

from appliance.research.decisions import decide
from appliance.research.scenes import Scene
from appliance.research.subject import Subject


def main() -> None:
    """Read, run, write; standard output is kept for the answer, whatever the strategy prints."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    subject, scene = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[Subject, Scene])
    out.write(msgspec.json.encode(decide(subject.on(scene), scene)))
    out.flush()


if __name__ == "__main__":
    main()
