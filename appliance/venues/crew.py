"""Threads that ask the broker: each does one thing at a time, and whoever does not come back is left behind.

A broker's library may hang in a system call for ever, and a thread cannot be ended from outside. So each job has a
deadline; past it, the job counts as unanswered, its thread is left to itself, and another takes its place.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from msgspec import Struct

from appliance.clients.bell import Bell
from appliance.errors import EnvironmentFault

log = logging.getLogger(__name__)

LEFT_MAX = 16
"""Threads that may hang at once; beyond, the process ends: a new one begins with none."""

Work = Callable[[], Any]


class Job(Struct, eq=False):
    """Something to do by ``deadline`` (ticks, ns): ``about`` says what for."""

    about: Any
    work: Work
    deadline: int


class Done(Struct, frozen=True):
    """What became of a job: its ``value``, or what it raised."""

    job: Job
    value: Any = None
    error: BaseException | None = None


class _Worker:
    def __init__(self, lane: str, number: int, done: Callable[[Done], None]) -> None:
        self.lane = lane
        self.job: Job | None = None
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done = done
        self.thread = threading.Thread(target=self._run, name=f"venue-{lane}-{number}", daemon=True)
        self.thread.start()

    def give(self, job: Job) -> None:
        self.job = job
        self._jobs.put(job)

    def dismiss(self) -> None:
        """Let it end, once it comes back from what it does."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                done = Done(job, job.work())
            except BaseException as error:  # the loop judges it: what is no VenueError ends the process
                done = Done(job, error=error)
            self._done(done)


class Crew:
    """So many workers in each lane. Only the thread that made it may use it; ``bell`` rings when a job is done."""

    def __init__(self, lanes: Mapping[str, int], bell: Bell) -> None:
        self._bell = bell
        self._results: deque[Done] = deque()
        self._number = 0
        self._workers: list[_Worker] = []
        self._left: list[threading.Thread] = []
        for lane, size in lanes.items():
            for _ in range(size):
                self._hire(lane)

    def idle(self, lane: str) -> int:
        """How many workers of a lane have nothing to do."""
        return sum(worker.job is None for worker in self._workers if worker.lane == lane)

    def give(self, lane: str, about: object, work: Work, deadline: int) -> Job:
        """Let an idle worker of ``lane`` do ``work`` by ``deadline`` (ticks); there must be one."""
        job = Job(about, work, deadline)
        next(worker for worker in self._workers if worker.lane == lane and worker.job is None).give(job)
        return job

    def take(self) -> list[Done]:
        """What was done since the last call; not what came of jobs that were given up."""
        taken = []
        while self._results:
            done = self._results.popleft()
            worker = next((one for one in self._workers if one.job is done.job), None)
            if worker is not None:
                worker.job = None
                taken.append(done)
            elif done.error is not None:
                log.info("%s, given up before, has ended: %r", done.job.about, done.error)
        return taken

    def overdue(self, now: int) -> list[Job]:
        """Give up the jobs whose time is over, and return them. Raises EnvironmentFault when too many threads hang."""
        return [self._leave(worker) for worker in list(self._workers) if worker.job and now >= worker.job.deadline]

    def abandon(self, lane: str) -> list[Job]:
        """Give up what a lane does. Raises EnvironmentFault when too many threads hang."""
        return [self._leave(worker) for worker in list(self._workers) if worker.lane == lane and worker.job]

    def hurry(self, deadline: int) -> None:
        """Nothing under way may take longer than until ``deadline`` (ticks)."""
        for job in self._jobs():
            job.deadline = min(job.deadline, deadline)

    def deadline(self) -> int | None:
        """When (ticks) the next job is overdue."""
        return min((job.deadline for job in self._jobs()), default=None)

    def close(self, timeout: float) -> None:
        """Let the workers go; wait for each ``timeout`` seconds at most."""
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.thread.join(timeout)

    @property
    def left(self) -> int:
        """How many threads hang."""
        self._left = [thread for thread in self._left if thread.is_alive()]
        return len(self._left)

    def _jobs(self) -> list[Job]:
        return [worker.job for worker in self._workers if worker.job is not None]

    def _hire(self, lane: str) -> None:
        self._number += 1
        self._workers.append(_Worker(lane, self._number, self._did))

    def _leave(self, worker: _Worker) -> Job:
        job = worker.job
        assert job is not None
        self._workers.remove(worker)
        worker.dismiss()
        self._left.append(worker.thread)
        if self.left > LEFT_MAX:
            raise EnvironmentFault(
                f"{self.left} threads hang in questions to the broker",
                hint="the process begins anew; see whether the network or the broker's program hangs",
            )
        self._hire(worker.lane)
        return job

    def _did(self, done: Done) -> None:
        self._results.append(done)
        self._bell.ring()
