"""The stand-in for systemd where there is none: READY, WATCHDOG, restart with backoff, stop order; no more than that.

One selector; ``poll`` does all the work, so that the caller can drive it beside a loop of its own. Only what the
children print is copied by a thread (``output.py``).
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from itertools import groupby

from appliance.domain.market import SECOND
from appliance.domain.topics import kind_of
from appliance.errors import EnvironmentFault
from appliance.shell.child import Child, ChildState, Spec
from appliance.shell.output import Copier
from appliance.shell.paths import StatePaths

__all__ = ["Child", "ChildState", "Spec", "Supervisor"]

log = logging.getLogger(__name__)

MS = 1_000_000
BACKOFF_FIRST, BACKOFF_MAX = 100 * MS, 5 * SECOND
HEALTHY_AFTER = 10 * SECOND
"""A child that has been ready for so long (ns) has its quick deaths forgiven."""
ABORT_GRACE = 2 * SECOND
"""From SIGABRT, which lets faulthandler write its stack, to SIGKILL."""
STOP_WITHIN = 4_500 * MS
_PROBE_EVERY = 20 * MS


class Supervisor:
    """Keeps child processes running in the order they were started, and stops them in reverse.

    ``failed`` names each child that ended with a code of its spec's ``fatal`` (settings, data, strategy) or never came
    up: ``(exit code, its last lines)``. It is not started again; what to do is the caller's decision.
    """

    def __init__(self, paths: StatePaths, ticks: Callable[[], int] = time.monotonic_ns) -> None:
        self.failed: dict[str, tuple[int, list[str]]] = {}
        self._paths = paths
        self._ticks = ticks
        self._children: dict[str, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._copier = Copier()

    def start(self, spec: Spec) -> None:
        """Start a child and keep it running. Raises EnvironmentFault when its program cannot be executed."""
        if spec.name in self._children:
            raise ValueError(f"{spec.name} is started already")
        child = Child(spec, self._paths.log(spec.name), self._copier)
        if child.socket is not None:
            self._selector.register(child.socket, selectors.EVENT_READ, child)
        self._children[spec.name] = child
        self._spawn(child)
        self._write()

    def poll(self, timeout: float = 0.0) -> None:
        """Handle what has happened, waiting at most ``timeout`` seconds for something to happen."""
        wait = self._wait(timeout)
        for key, _ in self._selector.select(wait):
            if isinstance(key.data, Child) and key.fileobj is key.data.socket:
                self._listen(key.data)
        for child in self._children.values():
            self._judge(child)
        if any(child.changed for child in self._children.values()):
            self._write()

    def ready(self) -> bool:
        """Whether every child is ready."""
        return all(child.state is ChildState.READY for child in self._children.values())

    def until_ready(self, seconds: float) -> bool:
        """Poll until every child is ready. False when ``seconds`` pass or one fails first (see ``failed``)."""
        return self._until(lambda: self.ready() or bool(self.failed), round(seconds * SECOND)) and not self.failed

    def stop(self, within: int = STOP_WITHIN) -> None:
        """Stop all in reverse order, hosts side by side: SIGTERM, then SIGKILL after a fair share of ``within`` ns."""
        self._stopping = True
        end = self._ticks() + within
        groups = [
            list(group) for _, group in groupby(reversed(self._children.values()), lambda c: kind_of(c.spec.name))
        ]
        for at, group in enumerate(groups):
            for child in group:
                child.terminate()
            share = max(0, end - self._ticks()) // (len(groups) - at)
            if not self._until(lambda group=group: not any(c.alive for c in group), share):  # type: ignore[misc]
                self._kill(group)
        self._write()

    def close(self) -> None:
        """Kill what still runs and release every descriptor."""
        self._stopping = True
        self._kill([child for child in self._children.values() if child.alive])
        self._write()
        for child in self._children.values():
            child.close()
        self._copier.close()
        self._selector.close()

    def child(self, name: str) -> Child:
        """The child of that name. Raises KeyError."""
        return self._children[name]

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children.values())

    def _kill(self, children: list[Child]) -> None:
        for child in children:
            child.signal(signal.SIGKILL)
        self._until(lambda: not any(child.alive for child in children), SECOND)

    def _until(self, done: Callable[[], bool], within: int) -> bool:
        end = self._ticks() + within
        while not done():
            left = end - self._ticks()
            if left <= 0:
                return False
            self.poll(left / SECOND)
        return True

    def _spawn(self, child: Child) -> None:
        child.spawn(self._ticks())
        if child.pidfd is not None:
            self._selector.register(child.pidfd, selectors.EVENT_READ, child)

    def _listen(self, child: Child) -> None:
        for lines in child.messages():
            child.hear(self._ticks())
            if "READY=1" in lines and child.state is ChildState.STARTING:
                child.become_ready(self._ticks())

    def _judge(self, child: Child) -> None:
        """One look at one child: has it ended, does it hang, is it up, is its next start due?"""
        if child.alive:
            code = child.ended()
            if code is not None:
                self._bury(child, code)
            elif child.state is ChildState.STARTING and child.accepts():
                child.become_ready(self._ticks())
            else:
                self._watch(child)
        if child.state is ChildState.WAITING and not self._stopping and self._ticks() >= child.start_at:
            self._restart(child)

    def _restart(self, child: Child) -> None:
        child.restarts += 1
        try:
            self._spawn(child)
        except EnvironmentFault as fault:  # a full disk may be emptied; ending here would take the others along
            log.error("%s", fault)
            self._schedule(child, quick=True)

    def _watch(self, child: Child) -> None:
        now = self._ticks()
        if child.ready_at and now - child.ready_at >= HEALTHY_AFTER:
            child.quick_deaths = 0
        if child.abort_at and now >= child.abort_at + ABORT_GRACE:
            child.signal(signal.SIGKILL)
        elif child.hangs(now) and not child.abort_at:
            child.abort_at = now
            child.signal(signal.SIGABRT)

    def _bury(self, child: Child, code: int) -> None:
        if child.pidfd is not None:
            self._selector.unregister(child.pidfd)
        came_up = child.bury(code)
        if self._stopping:
            child.become(ChildState.STOPPED)
        elif code in child.spec.fatal or (child.spec.must_start and not child.was_ready and code >= 0):
            self.failed[child.spec.name] = (code, child.last_lines())
            child.become(ChildState.FAILED)
        else:
            self._schedule(child, quick=not came_up and code != -signal.SIGKILL)

    def _schedule(self, child: Child, quick: bool) -> None:
        """The first start after a death is immediate; only deaths of its own before READY make the next ones wait."""
        child.quick_deaths += quick
        again = child.quick_deaths - 2
        delay = min(BACKOFF_FIRST << min(again, 10), BACKOFF_MAX) if quick and again >= 0 else 0
        child.start_at = self._ticks() + delay
        child.become(ChildState.WAITING)

    def _wait(self, timeout: float) -> float:
        """Seconds until the next thing to do that no descriptor announces."""
        now = self._ticks()
        due = [child.next_look(now, _PROBE_EVERY, ABORT_GRACE) for child in self._children.values()]
        soonest = min((at for at in due if at is not None), default=None)
        return timeout if soonest is None else max(0.0, min(timeout, (soonest - now) / SECOND))

    def _write(self) -> None:
        """Who runs, in a file: ``status`` must find the pids when Mosquitto is dead."""
        if not self._children:  # refused before the first start: the list is another box's, or of an earlier run
            return
        rows = [child.row() for child in self._children.values()]
        part = self._paths.processes.with_suffix(".part")
        try:
            part.write_text(json.dumps({"supervisor": os.getpid(), "processes": rows}))
            part.replace(self._paths.processes)
        except OSError as error:  # a full disk must not end what still trades
            log.error("%s: cannot be written: %s", self._paths.processes, error)
        for child in self._children.values():
            child.changed = False
