"""A box on one machine without systemd: lay out the state directory, start everything, watch it, stop it."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Callable

from msgspec.structs import replace

from appliance.domain import wire
from appliance.domain.messages import Event
from appliance.domain.topics import WINDOWS, kind_of
from appliance.errors import ApplianceError, DataError, EnvironmentFault, RefusedError, SettingsError, StrategyError
from appliance.runs import RunSpec, read_spec, spec_path, write_spec
from appliance.shell import latchfiles, mosquitto
from appliance.shell.bus import EventBus
from appliance.shell.collector import Collector
from appliance.shell.locks import Lock
from appliance.shell.paths import StatePaths
from appliance.shell.supervisor import Spec, Supervisor

MOSQUITTO_STARTS_WITHIN = 10.0
WATCHDOG = 12_000_000_000
_BY_EXIT_CODE: dict[int, type[ApplianceError]] = {2: SettingsError, 3: DataError, 4: StrategyError}


class Launch:
    """One run of the box. ``start`` brings it up, ``poll`` drives it, ``stop`` ends it; ``collector`` reads along.

    ``strict``: a host that ends for its strategy's sake ends the run; otherwise it is started again, whatever it
    ended with, and the strategy is paused when that happens too often.
    """

    def __init__(
        self,
        paths: StatePaths,
        spec: RunSpec,
        note: Callable[[Event], None],
        watchdog: int = WATCHDOG,
        strict: bool = False,
    ) -> None:
        self.paths = paths
        self.spec = spec
        self._watchdog = watchdog
        self._strict = strict
        self._lock = Lock(paths.lock("appliance"))
        self.supervisor = Supervisor(paths)
        self._note = note
        self.bus: EventBus | None = None
        self.collector: Collector | None = None

    def start(self) -> None:
        """Lay out the state directory and start Mosquitto and every process.

        Raises EnvironmentFault: not writable, in use, Mosquitto missing or not starting; RefusedError: the directory
        belongs to another run of recorded data.
        """
        self.paths.prepare()
        self._lock.acquire()
        self._check_same_run()
        write_spec(self.paths, self.spec)
        latchfiles.prepare(self.paths.latch_files)
        mosquitto.write_config(self.paths, (*self.spec.processes, *WINDOWS), f"appliance/1/{self.spec.box}/")
        self.supervisor.start(mosquitto.spec(self.paths))
        if not self.supervisor.until_ready(MOSQUITTO_STARTS_WITHIN):
            failed = self.supervisor.failed.get("mosquitto")
            raise mosquitto.start_fault(failed[1] if failed else self.supervisor.child("mosquitto").last_lines())
        for process in self.spec.processes:
            self.supervisor.start(self._child(process))
        self._open_window()

    def _check_same_run(self) -> None:
        """Recorded data is replayed once: a directory that began with other data or rules cannot go on with these."""
        if not spec_path(self.paths).exists():
            return
        before = read_spec(self.paths)
        if (held := _account(before)) != (wanted := _account(self.spec)):
            raise RefusedError(
                f"{self.paths.root} holds the orders of another account: {held}, and not of {wanted}",
                hint="give each account a --state of its own",
            )
        if (before.lockstep or self.spec.lockstep) and _same(before) != _same(self.spec):
            raise RefusedError(
                f"{self.paths.root} holds another run: {_differences(_same(before), _same(self.spec))}",
                hint="give the same options as before to go on with it, or another --state for a new run",
            )

    def _child(self, process: str) -> Spec:
        command = (sys.executable, "-m", "appliance", "run", process, "--state", str(self.paths.root))
        child = Spec(process, command, env=_environment(), watchdog=self._watchdog)
        if kind_of(process) != "host":
            return child
        return replace(child, fatal=(StrategyError.exit_code,) if self._strict else ())

    def _open_window(self) -> None:
        self.bus = EventBus("cli", self.spec.box, self.paths.mqtt_socket, mosquitto.password(self.paths, "cli"))
        streams = ("guard/decisions", "gateway/orders", *(f"host/{host}/signals" for host in self.spec.hosts))
        streams = (*streams, "monitor/alerts")
        if self.spec.lockstep:
            streams = ("feed/steps", *streams)
        self.collector = Collector(self.bus, streams, self._note)
        self.bus.receive = self.collector.receive
        self.bus.connected = self.collector.connected

    def poll(self, seconds: float) -> None:
        """Let ``seconds`` pass at most. Raises the error of a process that ended for a reason of the owner's."""
        assert self.bus is not None
        assert self.collector is not None
        self.bus.tick()
        self.collector.tend()
        fd = self.bus.fileno()
        if fd is None:
            self.supervisor.poll(seconds)
        else:
            readable, _, _ = select.select([fd], [fd] if self.bus.wants_write else [], [], seconds)
            self.supervisor.poll()
            if readable:
                self.bus.read()
            if self.bus.wants_write:
                self.bus.write()
        for name, (code, lines) in self.supervisor.failed.items():
            kind = _BY_EXIT_CODE.get(code, EnvironmentFault)
            raise kind(f"{name} ended with code {code}:\n" + "\n".join(f"  {line}" for line in lines[-12:]))

    def say(self, event: Event) -> None:
        """Publish what the owner says; dropped while there is no connection."""
        if self.bus is not None and self.bus.up:
            self.bus.publish(event, wire.encode(event))

    def stop(self) -> None:
        """End everything within five seconds and release the directory."""
        if self.bus is not None:
            with contextlib.suppress(ApplianceError):
                self.bus.close()
        self.supervisor.stop()
        self.supervisor.close()
        self._lock.release()


def _account(spec: RunSpec) -> str:
    """Whose orders a state directory holds."""
    return "the paper broker" if spec.broker is None else f"{spec.broker.name} at {spec.broker.venue}"


def _same(spec: RunSpec) -> RunSpec:
    """What must not change from one start to the next on recorded data: all but speed, memory and hashes.

    The text of strategies is compared by the digest of their files.
    """
    strategies = tuple(replace(strategy, source=None) for strategy in spec.strategies)
    return replace(
        spec, speed="", build="", settings="", sessions=None, host_memory=0, keep_going=False, strategies=strategies
    )


def _differences(before: RunSpec, after: RunSpec) -> str:
    names = [name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    told = [f"{name} was {getattr(before, name)!r}, now {getattr(after, name)!r}" for name in names if name != "inputs"]
    changed = [path for path, digest in before.inputs.items() if after.inputs.get(path, digest) != digest]
    return "; ".join([*told, *(f"{path} has changed since it began" for path in changed)])[:600]


def _environment() -> dict[str, str]:
    return {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", "")}
