"""Is it the same again? Two runs of one plan, compared byte for byte; what differs is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from appliance.research.results.result import REPEATED, RESULT

SHOWN = 5
"""Figures named when several differ."""
LINE = 120
"""Characters shown of a line that differs."""


def differences(folder: Path, again: Mapping[str, bytes]) -> list[str]:
    """What differs between the files of a result's folder and those of its repeat, a line each."""
    return [line for name in REPEATED for line in _compared(name, folder / name, again[name])]


def _compared(name: str, path: Path, again: bytes) -> Iterator[str]:
    try:
        before = path.read_bytes()
    except OSError as error:
        yield f"{name}: cannot be read: {error.strerror or error}"
        return
    if before == again:
        return
    figures = list(_figures(json.loads(before), json.loads(again))) if name == RESULT else []
    yield from (f"{name}: {one}" for one in figures[:SHOWN])
    if len(figures) > SHOWN:
        yield f"{name}: and {len(figures) - SHOWN} figures more"
    if not figures:
        yield f"{name}: {first_difference(before, again)}"


def _figures(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The figures that differ; ``inputs`` are told elsewhere."""
    for group in ("summary", "metrics"):
        old, new = before.get(group, {}), after.get(group, {})
        for name in old | new:
            if old.get(name) != new.get(name):
                yield f"{name} was {old.get(name)}, is {new.get(name)}"


def first_difference(before: bytes, after: bytes) -> str:
    """The first line in which two texts differ, in words."""
    pairs = zip_longest(before.decode(errors="replace").splitlines(), after.decode(errors="replace").splitlines())
    for number, (old, new) in enumerate(pairs, 1):
        if old != new:
            return f"line {number} was {_short(old)}, is {_short(new)}"
    return "only its line ends differ"


def _short(line: str | None) -> str:
    if line is None:
        return "not there"
    return repr(line if len(line) <= LINE else line[:LINE] + "…")
