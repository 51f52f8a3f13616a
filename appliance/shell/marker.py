"""Which strategy's hook a host is in, in a few bytes of shared memory that outlive the process, not a power cut.

A death counts against a strategy only when it was marked, so the mark is set before each hook and cleared after it.
It has to cost next to nothing: names are written down once, and to enter a hook is to store single bytes, which the
kernel can never show half written.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from appliance.errors import EnvironmentFault

NAMES_MAX = 255
"""So many strategies, and so many hooks, have room; what is beyond goes unmarked, and its deaths uncounted."""
_NAME_BYTES = 32
_STRATEGIES = _NAME_BYTES
_HOOKS = _STRATEGIES + NAMES_MAX * _NAME_BYTES
_SIZE = _HOOKS + NAMES_MAX * _NAME_BYTES
_STRATEGY, _HOOK = 0, 1
"""The two bytes that are stored: the number of the strategy (0: in none) and that of the hook."""


class Marker:
    """The mark of one process, cleared when made. Raises EnvironmentFault when its file cannot be."""

    def __init__(self, path: Path) -> None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, _SIZE)  # a page that is missing when the disk is full would be a SIGBUS
                self._bytes = mmap.mmap(fd, _SIZE)
            finally:
                os.close(fd)
        except OSError as error:
            raise EnvironmentFault(f"{path}: {error.strerror}", hint="check its owner and the free space") from error
        self._bytes[_STRATEGY] = 0
        self._strategies: dict[str, int] = {}
        self._hooks: dict[str, int] = {}

    def enter(self, strategy: str, hook: str) -> None:
        """From here on, what happens happens in ``hook`` of ``strategy``."""
        strategies, hooks, marked = self._strategies, self._hooks, self._bytes
        if strategy not in strategies:
            strategies[strategy] = self._write(_STRATEGIES, len(strategies), strategy)
        if hook not in hooks:
            hooks[hook] = self._write(_HOOKS, len(hooks), hook)
        number = hooks[hook]
        if marked[_HOOK] != number:
            marked[_STRATEGY] = 0  # the new hook is never seen with the old strategy
            marked[_HOOK] = number
        marked[_STRATEGY] = strategies[strategy] if number else 0

    def leave(self) -> None:
        """We are in no strategy's code."""
        self._bytes[_STRATEGY] = 0

    def mark(self, strategy: str, hook: str) -> None:
        """``enter``, or ``leave`` where ``strategy`` is empty: the one call a core is given."""
        if strategy:
            self.enter(strategy, hook)
        else:
            self._bytes[_STRATEGY] = 0

    def close(self) -> None:
        """Let go of the file; the mark stays as it is."""
        self._bytes.close()

    def _write(self, table: int, place: int, name: str) -> int:
        """Write a name down before its number is used; its number, 0 when there is no room."""
        if place >= NAMES_MAX:
            return 0
        text = name.encode()[: _NAME_BYTES - 1]
        at = table + place * _NAME_BYTES
        self._bytes[at : at + _NAME_BYTES] = text.ljust(_NAME_BYTES, b"\0")
        return place + 1


def read(path: Path) -> tuple[str, str] | None:
    """The strategy and hook that the last process of this mark died in; None when in none, or without a file."""
    try:
        kept = path.read_bytes()
    except OSError:
        return None
    if len(kept) < _SIZE or not kept[_STRATEGY] or not kept[_HOOK]:
        return None
    return _name(kept, _STRATEGIES, kept[_STRATEGY]), _name(kept, _HOOKS, kept[_HOOK])


def _name(kept: bytes, table: int, number: int) -> str:
    at = table + (number - 1) * _NAME_BYTES
    return kept[at : at + _NAME_BYTES].rstrip(b"\0").decode(errors="replace")
