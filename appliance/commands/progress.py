"""How far a long run is, and how long it will take: on standard error, from two seconds on, for a person."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

PATIENCE = 2.0
"""Seconds a person waits without being told."""
EVERY, EVERY_LINE = 0.2, 5.0
"""Seconds between two looks of the bar, and between two lines where there is no terminal."""
WIDTH = 30


class Progress:
    """A bar of ``total`` steps called ``label``, for a ``with``. Drawn on a terminal; where there is none, a line now
    and then if ``asked``. ``clock`` gives seconds."""

    def __init__(
        self,
        label: str,
        total: int,
        asked: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label, self._total = label, max(1, total)
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._shown = asked or self._terminal
        self._clock = clock
        self._done = 0
        self._drawn = False
        self._began = clock()
        self._next = self._began + PATIENCE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._drawn and self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def advance(self, steps: int) -> None:
        """``steps`` more are done."""
        self._done += steps
        if not self._shown or (now := self._clock()) < self._next:
            return
        self._next = now + (EVERY if self._terminal else EVERY_LINE)
        self._drawn = True
        self._stream.write(f"\r\x1b[K{self.line(now)}" if self._terminal else f"{self.line(now)}\n")
        self._stream.flush()

    def line(self, now: float) -> str:
        """The bar as it stands."""
        part = min(1.0, self._done / self._total)
        filled = int(part * WIDTH)
        left = (now - self._began) * (1 - part) / part if part else 0.0
        bar = "#" * filled + "-" * (WIDTH - filled)
        return f"{self._label}  [{bar}]  {100 * part:3.0f} %  {told(left)} left"


def told(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
