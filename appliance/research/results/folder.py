"""A folder of results: it appears whole, by rename, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from appliance.errors import EnvironmentFault, UsageError

MARK = "result.json"
"""The file by which a folder of ours is known."""


class Out:
    """Where a result will appear. Made before a run, so that what is wrong with the place is told before it.

    The place may be free, empty, or hold a former result of the same ``names``, which is replaced. Raises UsageError
    for anything else that is there, EnvironmentFault when nothing can be written beside it.
    """

    def __init__(self, path: Path, names: frozenset[str], option: str = "--out") -> None:
        self.path = Path(os.path.abspath(path))
        self._hint = f"name another folder: {option}"
        self._names = names
        self._check()
        with self._told():
            os.rmdir(self._beside())

    def write(self, files: Mapping[str, bytes]) -> None:
        """Let the folder appear with these files, and wait until they are on the disk."""
        with self._told():
            beside = self._beside()
            try:
                new = beside / "new"
                new.mkdir()
                for name, content in files.items():
                    _write(new / name, content)
                _sync(new)
                self._check()  # a run takes time: somebody may have put something there meanwhile
                self._place(new, beside / "old")
            finally:
                shutil.rmtree(beside, ignore_errors=True)

    def _place(self, new: Path, old: Path) -> None:
        """Two renames where a former result gives way: whatever interrupts them, one of both stands there whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            os.rename(self.path, old)
        try:
            os.rename(new, self.path)
        except BaseException:
            if old.exists() and not self.path.exists():
                os.rename(old, self.path)
            raise
        _sync(self.path.parent)

    def _beside(self) -> Path:
        """A new folder on the same disk, in the nearest place that exists."""
        place = next(one for one in self.path.parents if one.is_dir())
        return Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", suffix=".part", dir=place))

    def _check(self) -> None:
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise UsageError(f"{self.path} is a file, not a folder", hint=self._hint)
        there = {entry.name for entry in self.path.iterdir()}
        if there and MARK not in there:
            raise UsageError(f"{self.path} is there already and holds no result", hint=self._hint)
        if strange := sorted(there - self._names):
            raise UsageError(
                f"{self.path} holds a result, and also {strange[0]}, which would be lost",
                hint=f"move it away, or {self._hint}",
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            text = f"{self.path}: the result cannot be written: {error.strerror or error}"
            raise EnvironmentFault(text, hint=self._hint) from None


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replaced(path: Path, content: bytes) -> None:
    """Let one file appear, whole, in place of a former one. Raises EnvironmentFault."""
    part = path.with_name(f".{path.name}.part")
    try:
        _write(part, content)
        part.replace(path)
        _sync(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise EnvironmentFault(f"{path}: {error.strerror or error}", hint="is the disk full?") from None


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
