"""A window onto a running appliance: hear what it says, tell it what to do, wait for the answer. Nobody needs it."""

from __future__ import annotations

import os
import re
import secrets
import select
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from appliance.domain import topics, wire
from appliance.domain.messages import Event, EventType, local
from appliance.domain.operations import Command, CommandResult, Heartbeat, Latch, ProcessState, Verb
from appliance.errors import BusError, EnvironmentFault, RefusedError
from appliance.shell.bus import EventBus
from appliance.shell.clock import machine_ticks
from appliance.shell.mosquitto import password
from appliance.shell.paths import StatePaths

MS = 1_000_000
SECOND = 1_000 * MS
TICK = 50 * MS
"""The connection is looked after this often (ns)."""
ANSWER_S = 5.0
"""A process answers a command within this many seconds, or it is called silent."""
AGAIN = SECOND
"""A command nobody answered is said again this often (ns): Mosquitto may have lost it, and its id makes it one."""
AWAY = (ProcessState.LOST, ProcessState.STOPPED, ProcessState.STOPPING)
_ROOT = re.compile(r"\bappliance/1/([^/\s]+)/")


def box_of(paths: StatePaths) -> str:
    """The name of the box in a state directory. Raises EnvironmentFault when no appliance was ever started there."""
    try:
        found = _ROOT.search(paths.mosquitto_acl.read_text())
    except OSError:
        found = None
    if found is None:
        raise EnvironmentFault(
            f"{paths.root}: no appliance was started here", hint="name its state directory with --state DIR"
        )
    return found[1]


class Window:
    """A connection of its own as user ``name`` (``cli``, ``console``, ``web``). ``box`` is found when not given.

    ``events`` gets every message; ``beats`` and ``latch`` are the last ones heard. ``hears`` chooses topics of the
    table by their names (``("heartbeat/<process>", "result")``); by default everything a window may read.
    """

    def __init__(self, paths: StatePaths, box: str = "", name: str = "cli", hears: Sequence[str] | None = None) -> None:
        """Raises EnvironmentFault when there is no appliance in this state directory, or it is another user's."""
        self.name = name
        self.events: Callable[[Event], None] = lambda event: None
        self.beats: dict[str, Heartbeat] = {}
        self.latch: Latch | None = None
        self._paths = paths
        self._results: dict[str, CommandResult] = {}
        client = f"{name}-{os.getpid()}-{secrets.token_hex(4)}"
        self._bus = EventBus(
            name,
            box or box_of(paths),
            paths.mqtt_socket,
            password(paths, name),
            client=client,
            filters=None if hears is None else _filters(name, hears),
        )
        self._bus.receive = self._receive

    def __enter__(self) -> Window:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def up(self) -> bool:
        """Whether the connection stands; it is made again by itself while somebody polls."""
        return self._bus.up

    def connect(self, seconds: float = ANSWER_S) -> None:
        """Wait for the connection. Raises BusError saying why there is none."""
        if not self.until(lambda: self._bus.up, seconds):
            why = self._bus.why
            self.close()
            raise BusError(
                f"Mosquitto of {self._paths.root} cannot be reached: {why}",
                hint="is the appliance running? 'appliance status' tells what is; 'appliance up' starts it",
            )

    def close(self) -> None:
        """Leave."""
        self._bus.close()

    # --- hearing --------------------------------------------------------------------------------------------------

    def poll(self, seconds: float = 0.0) -> None:
        """Take what has come, waiting at most ``seconds`` for something to come."""
        end = machine_ticks() + round(seconds * SECOND)
        while True:
            self._bus.tick()
            left = max(0, end - machine_ticks())
            if self._serve(min(left, TICK)) or not left:
                return

    def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Poll until ``done()``; False when ``seconds`` pass first."""
        end = machine_ticks() + round(seconds * SECOND)
        while not done():
            left = end - machine_ticks()
            if left <= 0:
                return False
            self.poll(min(left, TICK) / SECOND)
        return True

    def collect(self, seconds: float, enough: Callable[[list[Event]], bool] = lambda found: False) -> list[Event]:
        """What is said within ``seconds``, or until it is ``enough``; ``events`` hears it too."""
        found: list[Event] = []
        before = self.events

        def note(event: Event) -> None:
            found.append(event)
            before(event)

        self.events = note
        try:
            self.until(lambda: enough(found), seconds)
        finally:
            self.events = before
        return found

    def _serve(self, longest: int) -> bool:
        fd = self._bus.fileno()
        if fd is None:
            time.sleep(longest / SECOND)
            return False
        poll = select.poll()
        poll.register(fd, select.POLLIN | (select.POLLOUT if self._bus.wants_write else 0))
        ready = poll.poll(-(-longest // MS))
        for _, events in ready:
            if events & ~select.POLLOUT:
                self._bus.read()
            if events & select.POLLOUT:
                self._bus.write()
        return bool(ready)

    def _receive(self, event: Event) -> None:
        if event.type is EventType.HEARTBEAT:
            self.beats[event.body.process] = event.body
        elif event.type is EventType.LATCH:
            self.latch = event.body
        elif event.type is EventType.RESULT:
            self._results[event.body.id] = event.body
        self.events(event)

    # --- telling --------------------------------------------------------------------------------------------------

    def command(
        self,
        verb: Verb,
        *,
        target: str = "",
        reason: str = "",
        symbol: str = "",
        generation: int = -1,
        everything: bool = False,
        strategy: str = "",
        source: str = "",
        params: Mapping[str, str] | None = None,
        seconds: float = ANSWER_S,
    ) -> CommandResult:
        """Give a command and wait for its result; it is void after ``seconds``. See ``ask`` for what is raised."""
        now = time.time_ns()
        made = Command(
            id=f"{self.name}-{now:x}-{secrets.token_hex(4)}",
            verb=verb,
            by=self.name,
            expires=now + round(seconds * SECOND),
            target=target,
            reason=reason,
            symbol=symbol,
            generation=generation,
            everything=everything,
            strategy=strategy,
            source=source,
            params=dict(params or {}),
        )
        return self.ask(made, seconds)

    def ask(self, command: Command, seconds: float = ANSWER_S) -> CommandResult:
        """Publish a command until its result comes. Raises EnvironmentFault when nobody answers within ``seconds``."""
        end = machine_ticks() + round(seconds * SECOND)
        event = local(command, time.time_ns(), "command")
        payload = wire.encode(event)
        while command.id not in self._results:
            left = end - machine_ticks()
            if left <= 0:
                raise self._unanswered(command, seconds)
            if self._bus.up:
                self._bus.publish(event, payload)
            self.until(lambda: command.id in self._results, min(left, AGAIN) / SECOND)
        return self._results.pop(command.id)

    def done(self, command: CommandResult) -> CommandResult:
        """The result itself. Raises RefusedError with its words when the answer was no."""
        if not command.done:
            raise RefusedError(f"{command.process}: {command.text}")
        return command

    def _unanswered(self, command: Command, seconds: float) -> EnvironmentFault:
        who = command.target or "gateway"
        if not self._bus.up:
            return BusError(f"{command.verb.value}: Mosquitto is away: {self._bus.why}", hint=self._next_step(command))
        beat = self.beats.get(who)
        if beat is None:
            known = ", ".join(sorted(self.beats)) or "nobody"
            said = f"{who} has not been heard; there is {known}"
        elif beat.state in AWAY:
            said = f"{who} is {beat.state.value}{f' ({beat.why})' if beat.why else ''}"
        else:
            said = f"{who} (pid {beat.pid}) is {beat.state.value}, but did not answer within {seconds:g} s"
        return EnvironmentFault(f"{command.verb.value}: {said}", hint=self._next_step(command))

    def _next_step(self, command: Command) -> str:
        if command.verb is Verb.HALT:
            return "the latch files halt without Mosquitto; 'appliance panic' cancels at the broker itself"
        return f"look at 'appliance status --state {self._paths.root}' and at log/{command.target or 'gateway'}.log"


def _filters(name: str, hears: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """The subscriptions for some topics of the table, in the order of ``hears``; results and heartbeats always, since
    ``ask`` needs them."""
    wanted = (*hears, "result", "heartbeat/<process>")
    offered = {topics.pattern_of(found.replace("+", "x")): (found, qos) for found, qos in topics.filters_for(name)}
    return tuple(offered[topic] for topic in wanted if topic in offered)
