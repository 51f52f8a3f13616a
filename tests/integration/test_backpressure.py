"""A host that stands still: nobody else's memory grows, nothing durable is lost, and it catches up.

Ten seconds here; APPLIANCE_TEST_STALL_SECONDS=60 for the long form.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.integration.conftest import LIVE
from tests.integration.running import Box, until

STALL_S = int(os.environ.get("APPLIANCE_TEST_STALL_SECONDS", "8"))
GROWTH_MAX = 6 << 20
"""Bytes: what caches and allocators may take, far below what a queue without bound would."""
OTHERS = ("mosquitto", "monitor", "gateway", "guard", "feed")


def _memory(box: Box) -> dict[str, int]:
    return {name: psutil.Process(box.pid(name)).memory_info().rss for name in OTHERS}


def _cursor(box: Box, reader: str) -> int:
    """The number of the last bar that a process has handled."""
    return max(box.handled(reader, "feed/bars", 50), default=0)


def test_a_host_that_stands_still_harms_nobody_and_catches_up(boxes: Callable[..., Box], strategies: Path) -> None:
    box = boxes("stall", LIVE | {"APPLIANCE_WATCHDOG__SECONDS": str(STALL_S * 3)})
    box.up("--strategy", strategies / "flip.py").ready()
    until(lambda: _cursor(box, "host@flip") > 5, why="the host hears bars")
    before, old = _memory(box), box.hit("host@flip", signal.SIGSTOP)
    stood = _cursor(box, "guard")
    until(lambda: _cursor(box, "guard") > stood + 3 * STALL_S, STALL_S * 4, "the others go on")
    grown = {name: after - before[name] for name, after in _memory(box).items()}
    box.hit("host@flip", signal.SIGCONT)
    head = _cursor(box, "guard")
    until(lambda: _cursor(box, "host@flip") >= head, 20, "the host has caught up")
    assert box.pid("host@flip") == old
    assert max(grown.values()) < GROWTH_MAX, grown
    assert _heard_all(box, stood, head)


def _heard_all(box: Box, first: int, last: int) -> bool:
    """Whether the host's journal names every bar between the two, in order, each once."""
    heard = box.handled("host@flip", "feed/bars", 5_000)
    return heard == sorted(set(heard)) and set(range(first, last + 1)) <= set(heard)


def test_a_process_that_stands_still_beyond_the_watchdog_is_killed_and_started_again(
    boxes: Callable[..., Box], strategies: Path
) -> None:
    box = boxes("watchdog", LIVE | {"APPLIANCE_WATCHDOG__SECONDS": "3"})
    box.up("--strategy", strategies / "flip.py").ready()
    old = box.hit("host@flip", signal.SIGSTOP)
    until(lambda: box.rows()["host@flip"]["pid"] not in (None, old), 12, "a new host")
    until(lambda: box.status()["state"] == "ready", 10, "all ready again")
    assert box.rows()["host@flip"]["restarts"] == 1
