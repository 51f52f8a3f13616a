"""Gzipped text that may be damaged: its whole lines up to there are read, and what happened is kept."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import IO, Any

_PIECE = 1 << 18


class Unzipped(io.RawIOBase):
    """The text of a gzip file in whole lines; it ends where the file is damaged, and ``fault`` says how."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.fault = ""
        self._zipped = gzip.GzipFile(fileobj=raw)
        self._lines = memoryview(b"")
        self._rest = b""  # a line whose end has not come
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._lines and not self._ended:
            self._more()
        part = self._lines[: len(buffer)]
        buffer[: len(part)] = part
        self._lines = self._lines[len(part) :]
        return len(part)

    def _more(self) -> None:
        try:
            piece = self._zipped.read1(_PIECE)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            self.fault, self._ended = str(error), True
            return
        self._ended = not piece
        text = self._rest + piece
        end = text.rfind(b"\n") + 1 if piece else len(text)
        self._lines, self._rest = memoryview(text)[:end], text[end:]
