"""Which of the two libraries is used, where only one of them should be installed."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from appliance.errors import EnvironmentFault

LIBRARIES = ("ib_insync", "ib_async")
"""In the order that decides between two of the same directory."""
_SILENT = logging.CRITICAL + 1


def load() -> Any:
    """The library that comes first on ``sys.path``, imported where an event loop is set: ib_insync asks for one. What
    it logs by itself is told by us. Raises EnvironmentFault when there is none."""
    where = {name: directory for name in LIBRARIES if (directory := _directory(name)) is not None}
    if not where:
        raise EnvironmentFault(
            "neither ib_insync nor ib_async is installed", hint="install ib_insync to use Interactive Brokers"
        )
    name = first(where, sys.path)
    library = importlib.import_module(name)
    logging.getLogger(name).setLevel(_SILENT)
    return library


def first(where: dict[str, str], path: Sequence[str]) -> str:
    """The package whose directory comes first on ``path``: an overlay wins over what is installed."""
    places = [os.path.realpath(entry or os.curdir) for entry in path]

    def place(name: str) -> int:
        directory = os.path.realpath(where[name])
        return places.index(directory) if directory in places else len(places)

    return min(where, key=place)


def _directory(name: str) -> str | None:
    """Where a package lies, not imported yet. A directory that only has its name is none."""
    found = find_spec(name)
    if found is None or found.origin is None:
        return None
    return os.path.dirname(os.path.dirname(found.origin))
