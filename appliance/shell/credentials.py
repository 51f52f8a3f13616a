"""Keys and secrets of sources and brokers: from systemd on a box, from the state directory on a desk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from appliance.errors import EnvironmentFault
from appliance.shell.paths import StatePaths

DIRECTORY = "CREDENTIALS_DIRECTORY"
"""Names the directory where systemd lays what a unit's ``LoadCredential=alpaca-key:/etc/…`` names."""


def read(paths: StatePaths, owner: str, part: str, env: Mapping[str, str] = os.environ) -> str:
    """The ``part`` (key, secret) of the credential of ``owner`` (a source's name), or "" where there is none.

    Raises EnvironmentFault for one that may not be read."""
    name = f"{owner}-{part}"
    given = [Path(env[DIRECTORY]) / name] if env.get(DIRECTORY) else []
    for place in [*given, paths.credentials / name]:
        try:
            return place.read_text().strip()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise EnvironmentFault(f"{place}: cannot be read: {why}", hint="check its owner and mode (0600)") from error
    return ""


def keep(paths: StatePaths, owner: str, part: str, value: str) -> None:
    """Keep a credential in the state directory, closed to others. Raises EnvironmentFault."""
    write_private(paths.credentials / f"{owner}-{part}", value + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file, 0600, whole or not at all: a torn password file would lock everybody out."""
    part = path.with_name(path.name + ".part")
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise EnvironmentFault(
            f"{path}: cannot be written: {error.strerror}", hint="check the state directory's owner and free space"
        ) from error
