"""The loop of a live process: wait, take what came, run turns, look after time, tell how we are.

One thread. Whatever raises here ends the process; whoever started it starts it again, and the journal knows the rest.
"""

from __future__ import annotations

import gc
import logging
import os
import secrets
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Protocol

from appliance.core.ports import Clock, Commit, DeadLetter
from appliance.core.turn import INBOX_MAX, Turn
from appliance.domain import topics, wire
from appliance.domain.messages import Event, EventType, local
from appliance.domain.operations import LIFE_CYCLE, Heartbeat, Inhibit, ProcessState
from appliance.errors import ApplianceError, BusError
from appliance.shell.bus import EventBus
from appliance.shell.errands import Errands
from appliance.shell.journal import Journal
from appliance.shell.notify import Notifier

MS = 1_000_000
SECOND = 1_000 * MS
TEND_EVERY = 50 * MS
BEAT_EVERY = SECOND
PRUNE_EVERY = 60 * SECOND
FLUSH_MAX = SECOND
"""Stopping waits this long (ns) for Mosquitto to take what we still have to say."""
RUNS_MAX = 16
"""Batches handled before the socket, the timers and the watchdog get their turn."""
RETAIN = 10_000
"""Messages of each stream kept although every consumer has them."""
STRANGERS_MAX = 3
BUS_LOST = "BUS_LOST"

log = logging.getLogger("appliance.engine")


class Hooks(Protocol):
    """What a process has besides Mosquitto: the gateway's venue, the feed's sources, the latch files."""

    def fds(self) -> Sequence[tuple[int, Callable[[], None]]]:
        """File descriptors to wait for, each with what to call when it is readable."""
        ...

    def poll(self, turn: Turn) -> None:
        """Called every round, before the turn runs; what it found goes to ``turn.accept``."""
        ...

    def next_deadline(self) -> int | None:
        """When (machine ticks, ns) it wants to be polled at the latest, or None."""
        ...


class CoreEngine:
    """Runs one process. ``tmp`` is where snapshots go, ``build`` and ``settings`` are hashes told in heartbeats.

    ``lockstep``: the data's clock rules; no wake-ups from the machine's time, and a lost bus makes the feed wait.
    """

    def __init__(
        self,
        process: str,
        turn: Turn,
        bus: EventBus,
        journal: Journal,
        clock: Clock,
        *,
        notify: Notifier | None = None,
        hooks: Sequence[Hooks] = (),
        tmp: Path | None = None,
        build: str = "",
        settings: str = "",
        lockstep: bool = False,
        retain: int = RETAIN,
    ) -> None:
        self.process = process
        self.turn = turn
        self.bus = bus
        self.journal = journal
        self.clock = clock
        self.state = ProcessState.STARTING
        self.why = ""
        self.instance = secrets.token_hex(6)
        self.counters: dict[str, int] = {}
        self._notify = notify or Notifier({})
        self._hooks = tuple(hooks)
        self._build = build
        self._settings = settings
        self._lockstep = lockstep
        self._retain = retain
        self._beats = 0
        self._worked = self._more = False
        self._ready_told = self._was_up = False
        self._stop_why = ""
        self._errands = Errands(process, journal, tmp or journal.path.parent, self.request_stop)
        self._said = False
        self._strangers = 0
        self._waker = -1
        self._seen = self._tend_at = self._beat_at = 0
        self._prune_at = clock.ticks() + PRUNE_EVERY
        bus.receive = self._receive
        bus.connected = self._connected
        bus.will = lambda: self._heartbeat(ProcessState.LOST)
        bus.full = self._full

    # --- the life of a process ------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until SIGTERM, SIGINT or a STOP command; the exit code (5 when the journal or the bus fails us)."""
        with self._signals():
            try:
                self.start()
                gc.freeze()  # what is loaded stays: a full collection then no longer holds up an order by looking at it
                while not self._stop_why:
                    self.step()
                self.stop()
            except ApplianceError as error:
                log.critical("%s", error)
                self.abandon(error.text)
                return error.exit_code
        return 0

    def start(self) -> None:
        """Load, say what a new start has to say, and begin to connect. Raises JournalError."""
        self._notify.status("starting")
        self.turn.start()
        self._become(ProcessState.RECOVERING, "starting")
        self.bus.tick()

    def step(self, longest: int = TEND_EVERY) -> bool:
        """One round, waiting at most ``longest`` ns for something to happen; whether something was handled."""
        self._wait(longest)
        for hook in self._hooks:
            hook.poll(self.turn)
        worked = self._work()  # an order must not wait until the house is kept
        ticks = self.clock.ticks()
        if ticks >= self._tend_at or self._crossed_deadline(ticks):
            self._tend_at = ticks + TEND_EVERY
            self.bus.tick()
            self.turn.tend()
            self._judge()
        self._seen = ticks
        if ticks >= self._beat_at:
            self._beat_at = ticks + BEAT_EVERY
            self._beat()
        if ticks >= self._prune_at:
            self._prune_at = ticks + PRUNE_EVERY
            self.turn.prune(self._retain)
            self.journal.retain()
        return worked

    def request_stop(self, why: str) -> None:
        """Ask ``run`` to end after the round it is in."""
        self._stop_why = self._stop_why or why

    def stop(self) -> None:
        """End in order: tell everybody, let the last words leave, close the journal."""
        self._notify.stopping()
        self._become(ProcessState.STOPPING, self._stop_why)
        self._become(ProcessState.STOPPED, self._stop_why)
        self.bus.receive, self.bus.full = lambda event: None, lambda: False
        until = self.clock.ticks() + FLUSH_MAX
        while self.bus.up and self.bus.unsettled and self.clock.ticks() < until:
            self._wait(TEND_EVERY)
        self.bus.close()
        self.journal.close()

    def abandon(self, why: str) -> None:
        """End at once: nothing more is written or said, so that Mosquitto publishes our will."""
        self._notify.status(why)
        self.bus.drop(why)
        self.journal.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, _: FrameType | None) -> None:
            self.request_stop(signal.Signals(number).name)

        read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._waker = read_end
        old = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        old_fd = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(old_fd)
            for number, handler in old.items():
                signal.signal(number, handler)
            self._waker = -1
            os.close(read_end)
            os.close(write_end)

    # --- one round ------------------------------------------------------------------------------------------------

    def _wait(self, longest: int) -> None:
        """Sleep until something is readable, a time has come or ``longest`` ns are over, and take what is there."""
        # Built anew each round: a handful of descriptors, and none of a closed connection can be left in it.
        poll = select.poll()
        calls = {fd: call for hook in self._hooks for fd, call in hook.fds()}
        for fd in calls:
            poll.register(fd, select.POLLIN)
        bus_fd = self.bus.fileno()
        if bus_fd is not None:
            reading = 0 if self.bus.paused else select.POLLIN
            poll.register(bus_fd, reading | (select.POLLOUT if self.bus.wants_write else 0))
        if self._waker >= 0:
            poll.register(self._waker, select.POLLIN)
        for fd, events in poll.poll(self._timeout(longest)):
            if fd == bus_fd:
                self._serve_bus(events)
            elif fd in calls:
                calls[fd]()
            else:
                os.read(fd, 64)

    def _serve_bus(self, events: int) -> None:
        if events & ~select.POLLOUT:  # readable, or closed by the other side
            self.bus.read()
        if events & select.POLLOUT:
            self.bus.write()

    def _timeout(self, longest: int) -> int:
        """How long to sleep, in ms."""
        if self._more or (self.turn.inbox and self.turn.gate_open):
            return 0
        ticks = self.clock.ticks()
        times = [self._tend_at, self._beat_at, ticks + longest]
        deadline = None if self._lockstep else self.turn.core.deadline()
        if deadline is not None and deadline > ticks:
            times.append(deadline)
        times += [at for hook in self._hooks if (at := hook.next_deadline()) is not None]
        return max(0, -((ticks - min(times)) // MS))

    def _crossed_deadline(self, ticks: int) -> bool:
        deadline = None if self._lockstep else self.turn.core.deadline()
        return deadline is not None and self._seen < deadline <= ticks

    def _work(self) -> bool:
        runs = 0
        while runs < RUNS_MAX and self.turn.run():
            runs += 1
        self._more = runs == RUNS_MAX
        for line in self.turn.core.logged:
            log.warning("%s", line)
        self.turn.core.logged.clear()
        self._worked = self._worked or runs > 0
        return runs > 0

    # --- what comes in --------------------------------------------------------------------------------------------

    def _full(self) -> bool:
        # Behind a closed gate the inbox cannot drain, and the messages that open the gate come by the same socket.
        return self.turn.gate_open and len(self.turn.inbox) >= INBOX_MAX

    def _receive(self, event: Event) -> None:
        if event.type is EventType.HEARTBEAT and event.body.process == self.process:
            self._meet(event.body)
        elif event.type is EventType.COMMAND and self._errands.are_ours(event.body):
            self._say(self._errands.run(event.body))
        elif event.stream or self._has_room(event):
            self.turn.accept(event)

    def _has_room(self, event: Event) -> bool:
        """Keep the inbox bounded by its topic's policy: the newest replaces the oldest, or is refused."""
        row = topics.topic(event.topic)
        inbox = self.turn.inbox
        if len(inbox) < row.bound or not self.turn.core.understands(event.type):
            return True
        if row.overflow is topics.Overflow.CONFLATE:
            at = next((i for i, old in enumerate(inbox) if old.topic == event.topic), None)
            if at is not None:
                del inbox[at]
                self._count("conflated")
            return True
        self._count("refused_full")
        return False

    def _meet(self, beat: Heartbeat) -> None:
        """Mosquitto may drop the older of two clients of one name without a word; then they evict each other for ever.

        After our first heartbeat no other instance of us has anything to say. One may still be on its way.
        """
        if self._said and beat.instance != self.instance:
            self._strangers += 1
            if self._strangers >= STRANGERS_MAX:
                raise BusError(
                    f"another {self.process} (pid {beat.pid}) uses this Mosquitto",
                    hint="stop one of the two; boxes that share a Mosquitto need different names",
                )

    # --- how we are -----------------------------------------------------------------------------------------------

    def _connected(self) -> None:
        self.turn.connected()
        self._judge()
        self._beat()  # a late will of our last connection may have called us lost

    def _judge(self) -> None:
        """Compare what we are with what we say we are."""
        if self.bus.up != self._was_up:
            self._inhibit(not self.bus.up)
        if not self.bus.up:
            state = ProcessState.DEGRADED if self._was_up or self.state is ProcessState.DEGRADED else self.state
            why = self.bus.why
        elif self.turn.caught_up():
            state, why = ProcessState.READY, ""
        else:
            state, why = ProcessState.RECOVERING, "catching up"
        self._was_up = self.bus.up
        if state is not self.state:
            self._become(state, why)
        self.why = why

    def _inhibit(self, lost: bool) -> None:
        """Tell our own core that the bus is gone, or back after it was gone."""
        known = lost or self.state is ProcessState.DEGRADED
        if known and not self._lockstep:
            now = self.clock.now(None)
            self.turn.accept(local(Inhibit(BUS_LOST, lost, self.bus.why), now.time))

    def _become(self, state: ProcessState, why: str) -> None:
        assert state in LIFE_CYCLE[self.state], f"{self.process} cannot go from {self.state} to {state}"
        log.info("%s%s", state.value, f": {why}" if why else "")
        self.state, self.why = state, why
        if state is ProcessState.READY and not self._ready_told:
            self._ready_told = self._notify.ready()
        else:
            self._notify.status(f"{state.value} {why}")
        self._tell()

    def _beat(self) -> None:
        """Once a second, and only after work or the proof that work is possible."""
        self._set_aside_poison()
        if not self._worked:
            self.journal.readable()
        self._worked = False
        self._notify.alive()
        self._tell()
        for report in self.turn.core.reports(self.clock.now(None)) if self.bus.up else ():
            self._say(report)

    def _tell(self) -> None:
        if self.bus.up:
            self._say(self._heartbeat(self.state))
            self._said = True

    def _set_aside_poison(self) -> None:
        poison = self.bus.poison
        if poison:
            now = time.time_ns()
            letters = [DeadLetter(bad.topic, bad.payload, bad.error, now) for bad in poison]
            self.journal.commit(Commit(dead_letters=letters))
            poison.clear()

    def _heartbeat(self, state: ProcessState) -> Event:
        now = self.clock.now(None)
        self._beats += 1
        beat = Heartbeat(
            process=self.process,
            state=state,
            pid=os.getpid(),
            instance=self.instance,
            boot=now.boot,
            n=self._beats,
            progress=self.turn.progress(),
            counters={**self.turn.counters, **self.turn.core.figures(), **self.bus.counters, **self.counters},
            queues={**self.turn.depth(), "unsent": self.bus.unsettled},
            latency=percentiles(self.bus.latencies),
            build=self._build,
            settings=self._settings,
            why=self.why,
            at=time.time_ns(),
        )
        return local(beat, now.time, f"heartbeat/{self.process}")

    def _say(self, event: Event) -> None:
        self.bus.publish(event, wire.encode(event))

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1


def percentiles(samples: Iterable[int]) -> tuple[int, ...]:
    """p50, p99 and the greatest of some samples; empty when there are none."""
    ordered = sorted(samples)
    if not ordered:
        return ()
    last = len(ordered) - 1
    return ordered[last // 2], ordered[last * 99 // 100], ordered[-1]
