"""Latch files: the kill switch that needs neither Mosquitto nor the guard. The gateway reads them every 50 ms.

A file's first word is the state it asks for, the rest of its line says why. They exist from the start (an empty file
asks for nothing), because a full disk must not be able to keep a halt from being written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.core.ports import Clock
from appliance.core.turn import Turn
from appliance.domain.messages import local
from appliance.domain.operations import LatchFile, LatchState, more_severe

EVERY = 50_000_000
SIZE = 256
"""Bytes a latch file is preallocated with."""


def prepare(files: Sequence[Path]) -> None:
    """Create and preallocate the latch files that are missing."""
    for file in files:
        if not file.exists():
            file.write_bytes(b" " * (SIZE - 1) + b"\n")


def write(files: Sequence[Path], state: LatchState, why: str) -> list[OSError]:
    """Ask for ``state`` in every file, in place and synced; the errors of those that could not be written."""
    text = f"{state.value} {why}".encode()[: SIZE - 1].ljust(SIZE - 1) + b"\n"
    errors = []
    for file in files:
        try:
            _overwrite(file, text)
        except OSError as error:
            errors.append(error)
    return errors


def _overwrite(file: Path, text: bytes) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(handle, text, 0)
        os.fsync(handle)
    finally:
        os.close(handle)


def clear(files: Sequence[Path]) -> None:
    """Ask for nothing any more."""
    for file in files:
        _overwrite(file, b" " * (SIZE - 1) + b"\n")


def read(files: Sequence[Path]) -> LatchFile:
    """What the files ask for, the most severe of them. A file that cannot be read or understood asks for a halt."""
    found = LatchFile(LatchState.ACTIVE)
    for file in files:
        told = _read(file)
        if more_severe(told.state, found.state) is not found.state:
            found = told
    return found


def _read(file: Path) -> LatchFile:
    try:
        text = file.read_bytes()[:SIZE].decode(errors="replace").strip()
    except FileNotFoundError:
        return LatchFile(LatchState.ACTIVE)
    except OSError as error:
        return LatchFile(LatchState.HALTED, f"{file} cannot be read: {error}")
    if not text:
        return LatchFile(LatchState.ACTIVE)
    word, _, why = text.partition(" ")
    try:
        return LatchFile(LatchState(word), why)
    except ValueError:
        return LatchFile(LatchState.HALTED, f"{file} says {word!r}, which is none of our words")


class LatchFiles:
    """The gateway's hook: tells its core when the files change what they say."""

    def __init__(self, files: Sequence[Path], clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._due = 0
        self._last = LatchFile(LatchState.ACTIVE)

    def fds(self) -> Sequence[tuple[int, Callable[[], None]]]:
        """Files on a disk cannot be waited for."""
        return ()

    def poll(self, turn: Turn) -> None:
        """Read them every 50 ms."""
        ticks = self._clock.ticks()
        if ticks < self._due:
            return
        self._due = ticks + EVERY
        told = read(self._files)
        if told != self._last:
            self._last = told
            turn.accept(local(told, self._clock.now(None).time, "latch/files"))

    def next_deadline(self) -> int | None:
        """When to look again (machine ticks)."""
        return self._due
