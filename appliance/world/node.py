"""One process of the world: the shipped turn and core on a simulated disk, wire and clock, until something kills it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from appliance.core.base import Core
from appliance.core.ports import Commit, Publish
from appliance.core.streams import Writers
from appliance.core.turn import Turn
from appliance.domain.messages import Event, Now, local
from appliance.domain.operations import Heartbeat, ProcessState
from appliance.world.disk import SimulatedStore
from appliance.world.faults import Faults
from appliance.world.scheduler import Scheduler


class Crashed(Exception):
    """The process is killed here."""


class WorldClock:
    """The machine all nodes live on: one wall clock, one boot; ticks begin anew with each boot."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._boots = 1
        self._booted = scheduler.time

    def now(self, event: Event | None) -> Now:
        return Now(self._scheduler.time, f"boot-{self._boots}", self.ticks())

    def resume(self, time: int) -> None:
        """A machine's clock does not go back to where the journal ended."""

    def ticks(self) -> int:
        return self._scheduler.time - self._booted

    def reboot(self) -> None:
        """Another boot id, ticks from zero."""
        self._boots += 1
        self._booted = self._scheduler.time


class Node:
    """A process that can be killed between any two of its actions on the outside world."""

    def __init__(
        self,
        name: str,
        build: Callable[[Writers], Core],
        reads: tuple[str, ...],
        gate: str,
        clock: WorldClock,
        faults: Faults,
        random: Random,
        publish: Publish,
    ) -> None:
        self.name = name
        self.store = SimulatedStore()
        self._build = build
        self._reads = reads
        self._gate = gate
        self._clock = clock
        self._faults = faults
        self._random = random
        self._outside = publish
        self.turn: Turn | None = None
        self.paused = False
        self.waiting: list[Event] = []
        self.deaths = 0
        self.lives = 0
        self._n = 0

    # --- the doors, with a killer in each -------------------------------------------------------------------------

    def load(self):  # type: ignore[no-untyped-def]
        return self.store.load()

    def commit(self, commit: Commit) -> None:
        if self._random.random() < self._faults.crash_before_commit:
            raise Crashed
        self.store.commit(commit)
        if self._random.random() < self._faults.crash_after_commit:
            raise Crashed

    def read(self, stream, after, limit):  # type: ignore[no-untyped-def]
        return self.store.read(stream, after, limit)

    def floor(self, stream):  # type: ignore[no-untyped-def]
        return self.store.floor(stream)

    def prune(self, stream, upto) -> None:  # type: ignore[no-untyped-def]
        self.store.prune(stream, upto)

    def _publish(self, event: Event, payload: bytes) -> None:
        if self._random.random() < self._faults.crash_in_publish:
            raise Crashed
        self._outside(event, payload)

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> bool:
        """Come (back) to life; False when it was killed while it did."""
        self.lives += 1
        self.waiting.clear()
        try:
            self.turn = Turn(self.name, self._build, self, self._publish, self._clock, self._reads, self._gate)
            self.turn.start()
        except Crashed:
            self.die()
        return self.turn is not None

    def die(self) -> None:
        """Everything that is not in the store is gone."""
        self.turn = None
        self.paused = False
        self.deaths += 1

    def hear(self, event: Event) -> bool:
        """A message arrives. False when the process died of it."""
        if self.turn is None:
            return True
        if self.paused:
            self.waiting.append(event)
            return True
        return self._alive(lambda turn: self._take(turn, event))

    def _take(self, turn: Turn, event: Event) -> None:
        turn.accept(event)
        while turn.run():
            pass

    def go_on(self) -> bool:
        """The end of a pause: everything that came meanwhile is there at once."""
        self.paused = False
        events, self.waiting = self.waiting, []

        def all_of_it(turn: Turn) -> None:
            for event in events:
                turn.accept(event)
            while turn.run():
                pass

        return self._alive(all_of_it)

    def tend(self) -> bool:
        """The engine's timer."""
        if self.paused:
            return True

        def act(turn: Turn) -> None:
            turn.tend()
            while turn.run():
                pass

        return self._alive(act)

    def beat(self) -> bool:
        """The engine's heartbeat."""
        if self.paused:
            return True
        return self._alive(lambda turn: self._publish(self._heartbeat(turn), b""))

    def _heartbeat(self, turn: Turn) -> Event:
        self._n += 1
        now = self._clock.now(None)
        state = ProcessState.READY if turn.caught_up() else ProcessState.RECOVERING
        beat = Heartbeat(self.name, state, self.lives, str(self.lives), now.boot, self._n, turn.progress())
        return local(beat, now.time, f"heartbeat/{self.name}")

    def reconnected(self) -> bool:
        """The broker is back."""
        return self._alive(lambda turn: turn.connected())

    def _alive(self, act: Callable[[Turn], object]) -> bool:
        if self.turn is None:
            return True
        try:
            act(self.turn)
        except Crashed:
            self.die()
            return False
        return True
