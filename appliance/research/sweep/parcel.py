"""A sweep for another machine: its data and its strategy's text go along, so that nothing has to be there but us."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from threading import Lock

from msgspec import Struct
from msgspec.structs import replace

from appliance.research.sweep.axes import Combination
from appliance.research.sweep.store import Outcome
from appliance.research.sweep.trial import Subject, trial


class Parcel(Struct, frozen=True):
    """What every run needs, and the bytes of the files it names: by their place among the data, the factors last."""

    subject: Subject
    files: tuple[tuple[str, bytes], ...]
    factors: tuple[str, bytes] | None = None


def packed(subject: Subject) -> Parcel:
    """A subject with its files."""
    plan = subject.plan
    factors = _read(plan.files.factors) if plan.files.factors else None
    return Parcel(subject, tuple(_read(path) for path in plan.data), factors)


def trial_of(parcel: Parcel, number: int, combination: Combination) -> Outcome:
    """Run one combination of a parcel; its files are laid down once a process, and are gone when that ends. One at a
    time: the threads of a worker share the data."""
    key = parcel.subject.key
    with _turn:
        if key not in _unpacked:
            _unpacked.clear()
            _unpacked[key] = _laid_down(parcel)
        return trial(_unpacked[key], number, combination)


_turn = Lock()
_unpacked: dict[str, Subject] = {}
"""The subject this process works on, with its files where they lie here."""


def _laid_down(parcel: Parcel) -> Subject:
    folder = Path(tempfile.mkdtemp(prefix="appliance-sweep-"))
    atexit.register(shutil.rmtree, folder, True)
    data = tuple(_written(folder / str(at), *named) for at, named in enumerate(parcel.files))
    factors = _written(folder / "factors", *parcel.factors) if parcel.factors is not None else ""
    plan = parcel.subject.plan
    return replace(parcel.subject, plan=replace(plan, data=data, files=replace(plan.files, factors=factors)))


def _read(path: str) -> tuple[str, bytes]:
    return Path(path).name, Path(path).read_bytes()


def _written(folder: Path, name: str, content: bytes) -> str:
    folder.mkdir()
    (folder / name).write_bytes(content)
    return str(folder / name)
