"""What a result was made from: hashes of everything that can change it, and versions of what computed it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from hashlib import file_digest, sha256
from importlib.metadata import version

import msgspec
from msgspec import Struct

from appliance import __version__
from appliance.domain.market import Session, Sessions
from appliance.errors import DataError
from appliance.research.results.running import Plan
from appliance.settings import build_hash

LIBRARIES = ("numpy", "msgspec")


class Inputs(Struct, frozen=True):
    """SHA-256 of the strategy's source, of the settings of the run, of each file of data by its name, and of the
    sessions the run passed through ("": a market that never closes); the appliance's own code; versions."""

    strategy: str
    settings: str
    data: dict[str, str]
    sessions: str
    code: str
    versions: dict[str, str]


def inputs(plan: Plan, source: str, sessions: Sessions | None, first: int, last: int) -> Inputs:
    """The inputs of a run of ``plan`` over data from ``first`` to ``last`` (ns UTC); ``source`` is the strategy's text.
    Raises DataError when a file cannot be read."""
    passed = [one for one in sessions or () if one.close >= first and one.open <= last]
    files = (*plan.data, *((plan.files.factors,) if plan.files.factors else ()))
    return Inputs(
        strategy=sha256(source.encode()).hexdigest(),
        settings=sha256(msgspec.json.encode(plan)).hexdigest(),
        data={name: file_hash(name) for name in files},
        sessions=_sessions_hash(passed),
        code=build_hash(),
        versions={"appliance": __version__, "python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES},
    )


def file_hash(path: str) -> str:
    """The SHA-256 of a file. Raises DataError when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", hint="bring the file back") from None


def _sessions_hash(passed: Sequence[Session]) -> str:
    return sha256(msgspec.json.encode(passed)).hexdigest() if passed else ""


def changed(before: Inputs, after: Inputs) -> list[str]:
    """What differs between the inputs of two runs, a line each; empty when nothing does."""
    found = [f"{words} is another" for name, words in _WORDS if getattr(before, name) != getattr(after, name)]
    for name, digest in before.data.items():
        if after.data.get(name) != digest:
            found.append(f"data: {name} has other bytes")
    for name, old in before.versions.items():
        if (new := after.versions.get(name)) != old:
            found.append(f"version: {name} was {old}, is {new}")
    return found


_WORDS = (
    ("strategy", "strategy: its source"),
    ("settings", "settings: what result.json says of the run"),
    ("sessions", "sessions: the exchange's calendar"),
    ("code", "version: the appliance's code"),
)
