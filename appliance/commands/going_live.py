"""Before a strategy trades by itself, it is checked; what was found right is remembered, so that a restart is quick."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from appliance.commands.checking import subject_of
from appliance.errors import StrategyError
from appliance.research.apart import Apart
from appliance.research.subject import Subject
from appliance.research.verdict import Verdict, failed
from appliance.runs import RunSpec, StrategySpec
from appliance.shell.paths import StatePaths

REMEMBERED_MAX = 1_000
CHECKED_WITHIN_S = 90.0
"""A check takes a few seconds; on a small machine with much to do it may take so many."""


def sound(spec: RunSpec, paths: StatePaths, say: Callable[[str], None], refuse: Callable[[str], None]) -> RunSpec:
    """The run without the strategies a check fails; ``say`` hears of each that is checked, ``refuse`` why one may not.

    What does not load is left in: its host says so. Raises StrategyError when nothing would be left.
    """
    known = _remembered(paths)
    keyed = [(_key(subject, spec.build), subject) for subject in map(_loaded, spec.strategies) if subject is not None]
    new = [(key, subject) for key, subject in keyed if key not in known]
    refused = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # each waits for a process of its own
        for (key, subject), found in zip(new, threads.map(_checked, (one for _, one in new)), strict=True):
            say(f"checked {subject.name}")
            if found:
                refused[subject.name] = _told(subject, found)
                refuse(refused[subject.name])
            else:
                known[key] = subject.name
    _remember(paths, known)
    left = tuple(one for one in spec.strategies if one.name not in refused)
    if not left:
        raise StrategyError(
            "; ".join(refused.values()),
            hint="`appliance strategy check FILE` tells more; `appliance up --no-check` trades it all the same",
        )
    return replace(spec, strategies=left)


def _checked(subject: Subject) -> list[Verdict]:
    """What fails, found out in a process of its own: what it takes of time and memory is gone with it."""
    try:
        with Apart("check", (subject,)) as work:
            return work.answer(list[Verdict], CHECKED_WITHIN_S)
    except StrategyError as error:
        return [failed("run", error.text, error.hint)]


def _loaded(strategy: StrategySpec) -> Subject | None:
    try:
        subject = subject_of(strategy)
        subject()
    except StrategyError:
        return None
    return subject


def _key(subject: Subject, build: str) -> str:
    what = (subject.source, subject.class_name, sorted(subject.params.items()), build)
    return sha256(repr(what).encode()).hexdigest()


def _told(subject: Subject, found: list[Verdict]) -> str:
    return f"{subject.name} ({subject.file}): " + "; ".join(f"{one.check}: {one.text} ({one.hint})" for one in found)


def _file(paths: StatePaths) -> Path:
    return paths.run / "checked.json"


def _remembered(paths: StatePaths) -> dict[str, str]:
    """Digests of what has passed, with the strategy's name; what cannot be read is checked again."""
    try:
        found = json.loads(_file(paths).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(paths: StatePaths, known: dict[str, str]) -> None:
    paths.prepare()
    aside = _file(paths).with_suffix(".new")
    aside.write_text(json.dumps(dict(list(known.items())[-REMEMBERED_MAX:])))
    aside.replace(_file(paths))
