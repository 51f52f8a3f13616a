"""A journal in memory whose un-fsynced commits vanish with the power, as SQLite's do with WAL and NORMAL."""

from __future__ import annotations

from bisect import bisect_right
from random import Random

from appliance.core.ports import Commit, DeadLetter, Saved
from appliance.domain.operations import Spot


class SimulatedStore:
    """Implements core.ports.Store. ``kill`` keeps every commit; ``cut`` keeps what was synced and maybe a bit more."""

    def __init__(self) -> None:
        self._log: list[Commit] = []
        self._synced = 0
        self.saved = Saved()
        self.outputs: dict[str, list[tuple[Spot, bytes]]] = {}
        self.inputs: list[str] = []
        self.dead: list[DeadLetter] = []

    def load(self) -> Saved:
        saved = self.saved
        return Saved(
            saved.boot, saved.time, dict(saved.cursors), dict(saved.rows), dict(saved.heads), dict(saved.counters)
        )

    def commit(self, commit: Commit) -> None:
        self._log.append(commit)
        self._apply(commit)
        if commit.sync:
            self._synced = len(self._log)

    def _apply(self, commit: Commit) -> None:
        saved = self.saved
        saved.boot = commit.boot or saved.boot
        saved.time = max(saved.time, commit.time)
        saved.cursors.update(commit.cursors)
        saved.heads.update(commit.heads)
        saved.counters.update(commit.counters)
        for key, row in commit.rows.items():
            if row is None:
                saved.rows.pop(key, None)
            else:
                saved.rows[key] = row
        for event, payload in commit.outputs:
            self.outputs.setdefault(event.stream, []).append((event.spot, payload))
        self.inputs.extend(given.position for given in commit.inputs)
        self.dead.extend(commit.dead_letters)

    def read(self, stream: str, after: Spot, limit: int) -> list[bytes]:
        rows = self.outputs.get(stream, [])
        start = bisect_right(rows, after, key=lambda row: row[0])
        return [payload for _, payload in rows[start : start + limit]]

    def floor(self, stream: str) -> Spot:
        return Spot()

    def prune(self, stream: str, upto: Spot) -> None:
        """The world's runs are short; nothing is pruned."""

    def cut(self, random: Random) -> int:
        """The power goes: a random part of what was not synced is gone. How many commits were lost."""
        kept = random.randint(self._synced, len(self._log))
        lost = len(self._log) - kept
        log = self._log[:kept]
        self.saved, self.outputs, self.inputs, self.dead = Saved(), {}, [], []
        for commit in log:
            self._apply(commit)
        self._log, self._synced = log, kept
        return lost

    def durable(self, key: str) -> bytes | None:
        """A state row as it would be after a power cut at its worst."""
        for commit in reversed(self._log[: self._synced]):
            if key in commit.rows:
                return commit.rows[key]
        return None
