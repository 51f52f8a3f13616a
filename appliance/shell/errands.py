"""Commands that are for the process itself and not for its core: a copy of the journal, and stopping."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from appliance.domain.messages import Event, local
from appliance.domain.operations import Command, CommandResult, Verb
from appliance.errors import EnvironmentFault
from appliance.shell.journal import Journal

ANSWERS_KEPT = 64
NAME_MAX = 48


class Errands:
    """Runs a command once and answers it; the same command again gets the same answer. Copies go to ``tmp``."""

    def __init__(self, process: str, journal: Journal, tmp: Path, stop: Callable[[str], None]) -> None:
        self._process = process
        self._journal = journal
        self._tmp = tmp
        self._stop = stop
        self._answers: deque[CommandResult] = deque(maxlen=ANSWERS_KEPT)

    def are_ours(self, command: Command) -> bool:
        """Whether the command names this process and is none of its core's business."""
        return command.target == self._process and command.verb in (Verb.SNAPSHOT, Verb.STOP)

    def run(self, command: Command) -> Event:
        """Do it and return the result to publish; a snapshot's text is the path of the copy."""
        result = next((known for known in self._answers if known.id == command.id), None)
        if result is None:
            done, text = self._do(command)
            result = CommandResult(command.id, done, text, self._process)
            self._answers.append(result)
        return local(result, time.time_ns(), "result")

    def _do(self, command: Command) -> tuple[bool, str]:
        if command.expires < time.time_ns():
            return False, "the command came after it had expired; give it again"
        if command.verb is Verb.STOP:
            self._stop(f"stopped by {command.by}")
            return True, f"{self._process} stops"
        name = re.sub(r"[^A-Za-z0-9_-]", "_", command.id)[:NAME_MAX]  # whatever the id says, the file stays in tmp
        path = self._tmp / f"{self._process}-{name}.db"
        try:
            self._journal.snapshot_to(path)
        except EnvironmentFault as error:
            return False, str(error)
        return True, str(path)
