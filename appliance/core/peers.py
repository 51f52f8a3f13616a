"""Who else is there: when each was last heard, where it stands, and who fell silent."""

from __future__ import annotations

from appliance.domain import topics
from appliance.domain.operations import Heartbeat, Peer, ProcessState, Progress, Spot

SILENCE = 3_000_000_000
"""A peer not heard for this many ns (machine ticks) is silent."""
LATE = 1_800_000_000
"""A peer not heard for this many ns is late: one heartbeat was missed."""


class Peers:
    """Signs of life by process, on the machine's ticks in every driver."""

    def __init__(self, process: str, reads: tuple[str, ...]) -> None:
        self.process = process
        self.publishers = tuple(dict.fromkeys(topics.publisher_of(stream) for stream in reads))
        self._heard: dict[str, int] = {}
        self._poisoned: dict[str, int] = {}
        self._alive: dict[str, bool] = {}
        self._cursors: dict[str, dict[str, Spot]] = {}
        self._late: dict[str, bool] = {}
        self._asked = 0

    def heard(self, beat: Heartbeat, ticks: int) -> list[Peer]:
        """Note a heartbeat; the peers whose standing changed by it."""
        name = beat.process
        stopped = beat.state in (ProcessState.STOPPED, ProcessState.STOPPING)
        alive = not stopped and beat.state is not ProcessState.LOST
        poisoned = beat.progress.poisoned
        self._heard[name] = ticks
        late = self._late.pop(name, False)
        if self._alive.get(name) == alive and self._poisoned.get(name, 0) == poisoned and not late:
            return []
        self._alive[name], self._poisoned[name] = alive, poisoned
        return [Peer(name, alive, poisoned, stopped=stopped)]

    def progressed(self, progress: Progress) -> None:
        """Note a consumer's cursors, which retention follows."""
        self._cursors[progress.process] = progress.cursors

    def silent(self, ticks: int) -> list[Peer]:
        """Peers that became late or fell silent since the last call."""
        found = []
        for name in [name for name, alive in self._alive.items() if alive]:
            age = ticks - self._heard[name]
            if age > SILENCE:
                self._alive[name] = False
                found.append(Peer(name, False, self._poisoned.get(name, 0)))
            elif age > LATE and name not in self._late:
                self._late[name] = True
                found.append(Peer(name, True, self._poisoned.get(name, 0), late=True))
        return found

    def lowest_cursor(self, stream: str) -> Spot | None:
        """The lowest cursor of all known consumers of one of our streams, or None when nobody consumes it."""
        spots = [cursors[stream] for cursors in self._cursors.values() if stream in cursors]
        return min(spots, default=None)

    def patience_over(self, ticks: int, patience: int) -> bool:
        """Whether to ask for heads again."""
        if ticks - self._asked < patience:
            return False
        self._asked = ticks
        return True
