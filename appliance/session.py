"""One run of `appliance up`: drive the box, tell how it goes, and end it with its figures."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from appliance.core.record import plain
from appliance.domain.messages import Event, EventType
from appliance.domain.operations import Alert, ProcessState
from appliance.errors import StrategyError
from appliance.launch import WATCHDOG, Launch
from appliance.runs import RunSpec
from appliance.shell.clock import machine_ticks
from appliance.shell.paths import StatePaths
from appliance.summary import Refusals, RunFigures
from appliance.watching import FileWatch, Reloader, stamp_of

POLL_S = 0.02
SAY_EVERY_S = 1.0
_PLACE = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in .*\n +(?P<source>.*)')
_RAISED = re.compile(r"^\S", re.MULTILINE)


class Session:
    """Brings a box up and stays with it until Ctrl-C, or with ``until_done`` until the recorded data has been traded.

    ``say`` gets one line a second, ``tell`` what its owner must not miss; ``outside`` is how many bars of the files are
    outside the session; a process silent for longer than ``watchdog`` ns is killed and started again. Recorded data
    ends with the first failure of a strategy, unless ``keep_going``: then, as live, the strategy is paused after the
    third and the others go on. ``reload``: a strategy's file that changes is told to its host.
    """

    def __init__(
        self,
        paths: StatePaths,
        spec: RunSpec,
        say: Callable[[str], None],
        tell: Callable[[str], None],
        outside: int = 0,
        watchdog: int = WATCHDOG,
        keep_going: bool = False,
        reload: bool = False,
    ) -> None:
        self.figures = RunFigures()
        self.alerts: dict[str, Alert] = {}
        self._paths = paths
        self._spec = spec
        self._say = say
        self._tell = tell
        self._since = time.time_ns()
        self._refusals = Refusals(self._since)
        self._heard_out = False
        self._outside = outside
        self._stop = ""
        self._strict = spec.lockstep and not keep_going
        self._launch = Launch(paths, spec, self._note, watchdog, self._strict)
        self._reloader = self._watch() if reload else None
        self._began = time.monotonic()
        self._last_beats: dict[str, tuple[str, int]] | None = None

    def _watch(self) -> Reloader:
        return Reloader(
            FileWatch(self._spec.strategies, stamp_of), self._launch.say, self._tell, machine_ticks, time.time_ns,
            lambda: f"cli-{secrets.token_hex(8)}",
        )  # fmt: skip

    def run(self, until_done: bool) -> dict[str, Any]:
        """The whole run; its summary. Raises what ends it early: data, strategy, settings, environment."""
        self._began = time.monotonic()
        with self._signals():
            try:
                self._launch.start()
                self._drive(until_done)
                return self.summary()
            finally:
                self._launch.stop()

    def _drive(self, until_done: bool) -> None:
        told = 0.0
        while not self._stop:
            self._launch.poll(POLL_S)
            if self._reloader is not None:
                self._reloader.tend()
            if until_done:
                if self._strict:
                    self._refuse_failed_strategies()
                if self._is_done() and (not self._strict or self._have_beaten()):
                    return
            if time.monotonic() - told >= SAY_EVERY_S:
                told = time.monotonic()
                self._tell_what_lasts()
                self._say(self.line())

    def _is_done(self) -> bool:
        collector = self._launch.collector
        return self.figures.done and collector is not None and collector.caught_up()

    def _have_beaten(self) -> bool:
        """Whether every host has told how its strategies are since the data ended: a short run ends between two
        heartbeats."""
        beats = self._launch.collector.beats if self._launch.collector is not None else {}
        beaten = {name: (beat.instance, beat.n) for name, beat in beats.items() if name.startswith("host@")}
        if self._last_beats is None:
            self._last_beats = beaten
        hosts = [f"host@{name}" for name in self._spec.hosts]
        return all(name in beaten and beaten[name] != self._last_beats.get(name) for name in hosts)

    def _refuse_failed_strategies(self) -> None:
        """A recorded run whose strategy raised has no meaning; live, its host contains it and the box goes on."""
        collector = self._launch.collector
        for name, beat in collector.beats.items() if collector is not None else ():
            if beat.counters.get("strategy_failures"):
                self._launch.supervisor.child(name).catch_up()  # its heartbeat overtakes what it said before that
                files = [strategy.file for strategy in self._spec.strategies]
                told = last_failure(self._paths.log(name), files) or f"{name}: a strategy raised, or ended its process"
                raise StrategyError(told, hint="correct it, run it with `appliance backtest`, and begin a new --state")

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended it."""
        return bool(self._stop)

    def _note(self, event: Event) -> None:
        if event.type is EventType.ALERT:
            self._alert(event.body)
        if self._reloader is not None:
            self._reloader.heard(event)
        self.figures.note(event)
        if not self._spec.lockstep and (refused := self._refusals.line(event)):
            self._tell(refused)

    def _alert(self, alert: Alert) -> None:
        """Tell an alert; what the monitor said to another run of this state directory only while it lasts."""
        before = self.alerts.get(alert.code)
        self.alerts[alert.code] = alert
        if max(alert.last_seen, alert.resolved) < self._since and not self._spec.lockstep:
            return
        if alert.resolved and before is not None:
            self._tell(f"resolved: {alert.text}")
        elif not alert.resolved:
            self._tell(f"{alert.severity.value}: {alert.text}")

    def _tell_what_lasts(self) -> None:
        """Once all that was ever said has been heard: the alerts of former runs that nothing has resolved."""
        collector = self._launch.collector
        if self._heard_out or collector is None or not (collector.beats and collector.caught_up()):
            return
        self._heard_out = True
        for alert in self.alerts.values():
            if not alert.resolved and alert.last_seen < self._since and not self._spec.lockstep:
                self._tell(f"{alert.severity.value}: {alert.text}")

    # --- telling --------------------------------------------------------------------------------------------------

    def line(self) -> str:
        """The box in one line."""
        figures, children = self.figures, list(self._launch.supervisor)
        ready = sum(self._state(child.spec.name) == "ready" for child in children)
        state = figures.latch.state.value if ready == len(children) else f"{ready} of {len(children)} ready"
        equity = f"{figures.equity:,.2f} USD" if figures.equity is not None else "unknown"
        held = " ".join(f"{s} {plain(q)}" for s, q in sorted(figures.record.positions.items()) if q) or "none"
        return (
            f"{state} | equity {equity} | position {held} | {figures.bars} bars, {figures.signals} signals, "
            f"{figures.record.orders} orders, {figures.record.fills} fills, {figures.record.denied} denied"
        )

    def _state(self, name: str) -> str:
        beats = self._launch.collector.beats if self._launch.collector is not None else {}
        if name in beats and beats[name].state is not ProcessState.READY:
            return beats[name].state.value
        return self._launch.supervisor.child(name).state.value

    def summary(self) -> dict[str, Any]:
        """The figures of the run so far."""
        beats = self._launch.collector.beats.values() if self._launch.collector is not None else ()
        return self.figures.summary(beats, self._outside, time.monotonic() - self._began)

    # --- ending ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, _: FrameType | None) -> None:
            if self._stop:
                os._exit(130)  # asked twice: children die with us
            self._stop = signal.Signals(number).name

        old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


def last_failure(log: Path, files: Sequence[str]) -> str:
    """What a strategy of ``files`` raised last, by its host's log: file, line, source and text; "" when none did."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for text in (_text_of(line) for line in reversed(lines)):
        places = [place for place in _PLACE.finditer(text) if place["file"] in files]
        if places:
            place = places[-1]
            raised = _RAISED.search(text, place.end())
            said = text[raised.start() :].strip() if raised else ""
            return f"{place['file']}:{place['line']}: {place['source']}\n    {said}"
    return ""


def _text_of(line: str) -> str:
    """The text of one line of a log in JSON."""
    try:
        return str(json.loads(line)["text"])
    except (ValueError, KeyError, TypeError):
        return ""


def lasting_line(text: str) -> None:
    """One line that stays, in place of the one that replaces itself; on standard error."""
    sys.stderr.write(f"\r\x1b[2K{text}\n" if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()


def progress_line(text: str) -> None:
    """One line that replaces itself on a terminal, and a line each elsewhere; on standard error."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{text}")
    else:
        sys.stderr.write(text + "\n")
    sys.stderr.flush()
