"""Rows of numbers of many symbols: in memory while they are few, in a file without a name once they are many.

The file lies in ``TMPDIR`` if that is set, else in the cache, and goes with the process however that ends. It is read
in pieces and never mapped, so that memory stays what it is whatever the file's size.
"""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from appliance.errors import EnvironmentFault

Times = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
BUDGET = 64_000_000
"""Bytes of rows that are kept in memory; beyond it all of them go to the file."""
_PIECE = 200
"""Bytes that a piece of rows costs beyond its numbers."""


def packed(stamps: Times, numbers: Floats) -> Floats:
    """Rows of a stamp and its numbers: the bits of the stamp (ns UTC) stand in the first column."""
    rows = np.empty((len(stamps), 1 + numbers.shape[1]))
    rows[:, 1:] = numbers
    rows.view(np.int64)[:, 0] = stamps
    return rows


def stamps_of(rows: Floats) -> Times:
    """The stamps of packed rows."""
    return rows.view(np.int64)[:, 0]


class _Piece(NamedTuple):
    """``size`` rows from row ``begin`` on: in ``rows``, or in the file from byte ``offset`` on."""

    begin: int
    size: int
    rows: Floats | None
    offset: int = 0


class Rows:
    """The rows of one symbol, in order; ``width`` numbers each, the stamp among them."""

    __slots__ = ("_begins", "_pieces", "_scratch", "_waiting", "count", "width")

    def __init__(self, scratch: Scratch, width: int) -> None:
        self.count = 0
        self.width = width
        self._scratch = scratch
        self._pieces: list[_Piece] = []
        self._begins: list[int] = []
        self._waiting = 0  # from which piece on they are in memory

    def append(self, rows: Floats) -> None:
        """Take more rows."""
        self._begins.append(self.count)
        self._pieces.append(_Piece(self.count, len(rows), rows))
        self.count += len(rows)
        self._scratch.grown(rows.nbytes + _PIECE)

    def spill(self, write: Callable[[Floats], int]) -> None:
        """Hand all rows that are in memory to ``write``, which says where in the file they begin."""
        waiting = self._pieces[self._waiting :]
        if not waiting:
            return
        offsets = [write(piece.rows) for piece in waiting if piece.rows is not None]
        first = waiting[0].begin
        self._pieces[self._waiting :] = [_Piece(first, self.count - first, None, offsets[0])]
        self._begins[self._waiting :] = [first]
        self._waiting = len(self._pieces)

    def read(self, begin: int, end: int) -> Floats:
        """The rows from ``begin`` up to, not including, ``end``."""
        found = np.empty((max(0, min(end, self.count) - begin), self.width))
        at = bisect_right(self._begins, begin) - 1
        filled = 0
        while filled < len(found):
            piece = self._pieces[at]
            skip = begin + filled - piece.begin
            part = min(piece.size - skip, len(found) - filled)
            into = found[filled : filled + part]
            if piece.rows is not None:
                into[:] = piece.rows[skip : skip + part]
            else:
                self._scratch.read(into, piece.offset + skip * self.width * 8)
            filled += part
            at += 1
        return found


class Scratch:
    """Where the rows of one source are kept: at most ``budget`` bytes of them in memory."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._held = 0
        self._end = 0
        self._all: list[Rows] = []
        self._file: IO[bytes] | None = None

    @property
    def spilled(self) -> int:
        """Bytes in the file."""
        return self._end

    def rows(self, width: int) -> Rows:
        """A place for the rows of one more symbol."""
        found = Rows(self, width)
        self._all.append(found)
        return found

    def grown(self, size: int) -> None:
        """So many bytes more are in memory. Raises EnvironmentFault when there is no room on the disk for them."""
        self._held += size
        if self._held <= self._budget:
            return
        with _told():
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="appliance-", dir=_folder())  # noqa: SIM115 - it is kept
            for rows in self._all:
                rows.spill(self._write)
            self._file.flush()
        self._held = 0

    def _write(self, rows: Floats) -> int:
        assert self._file is not None
        begin = self._end
        self._file.write(rows.tobytes())
        self._end += rows.nbytes
        return begin

    def read(self, into: Floats, offset: int) -> None:
        """Fill rows from the file."""
        assert self._file is not None
        with _told():
            view = into.data.cast("B")
            done = 0
            while done < len(view):
                got = os.preadv(self._file.fileno(), [view[done:]], offset + done)
                if not got:
                    raise OSError(None, "it has become shorter")
                done += got


class _told:
    """What goes wrong with the file is told with its folder."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: Any) -> None:
        if isinstance(error, OSError):
            raise EnvironmentFault(
                f"{_folder() or tempfile.gettempdir()}: rows cannot be kept there: {error.strerror or error}",
                hint="make room, or name another folder in TMPDIR: large files need about their size unpacked",
            ) from None


def _folder() -> str | None:
    """The cache where TMPDIR does not say otherwise: /tmp is memory on many boxes."""
    if os.environ.get("TMPDIR"):
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "appliance"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(cache) if os.access(cache, os.W_OK) else None
