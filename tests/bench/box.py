"""A box in a temporary state directory, as the benches start it, and what a set of figures amounts to."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from appliance.errors import EnvironmentFault
from appliance.launch import Launch
from appliance.shell.paths import StatePaths

READY_WITHIN = 30.0
ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def state_directory() -> Iterator[StatePaths]:
    """A new state directory, gone afterwards; in TMPDIR, so that the file system measured can be chosen."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield StatePaths(Path(folder))


@contextlib.contextmanager
def running(launch: Launch) -> Iterator[Launch]:
    """Everything started and ready, and our own window closed: a box under systemd has none. Raises ApplianceError."""
    try:
        launch.start()
        if not launch.supervisor.until_ready(READY_WITHIN):
            raise EnvironmentFault(f"the box is not ready within {READY_WITHIN:.0f} s: {launch.supervisor.failed}")
        if launch.bus is not None:
            launch.bus.close()
        yield launch
    finally:
        launch.stop()


def watch(launch: Launch, seconds: float) -> None:
    """Let ``seconds`` pass. Raises EnvironmentFault when a process of the box dies meanwhile."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        launch.supervisor.poll(min(left, 0.5))
        dead = [child.spec.name for child in launch.supervisor if child.restarts or not child.alive]
        if dead:
            raise EnvironmentFault(f"{', '.join(dead)} died during the measurement")


def tell(text: str) -> None:
    """One line for who waits."""
    print(text, file=sys.stderr, flush=True)


def quantile(samples: Sequence[float], share: float) -> float:
    """The sample below which ``share`` of all lie (nearest rank); 0 without samples."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
