"""Live, each strategy tells each second how it does; what it raised is an alert until it runs again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from appliance.core.limits import LimitValues
from appliance.data.sources.simulated import SYMBOLS
from appliance.domain import wire
from appliance.domain.market import SECOND
from appliance.domain.messages import Event, EventType
from appliance.domain.operations import Alert, CommandResult, Verb
from appliance.domain.performance import PerformanceReport
from appliance.domain.trading import Fill
from appliance.launch import Launch
from appliance.runs import RunSpec, StrategySpec
from appliance.shell import audit
from appliance.shell.paths import StatePaths
from appliance.shell.window import Window

D = Decimal
CASH = D(90_000)
GIDDY = '''
from appliance.strategy import Strategy


class Giddy(Strategy):
    """Raises with every bar of its first seconds."""

    symbols = ("ALFA",)

    def on_start(self):
        self.state["well_at"] = self.now + 7_000_000_000

    def on_bar(self, bar):
        if self.now < self.state["well_at"]:
            raise ValueError("giddy")
'''


class Live:
    """A live box of three strategies, what it has told, and what its journals hold in the end."""

    def __init__(self, folder: Path, strategies: Path) -> None:
        self.paths = StatePaths(folder / "state")
        files = {"flip": strategies / "flip.py", "steady": strategies / "steady.py", "giddy": folder / "giddy.py"}
        files["giddy"].write_text(GIDDY)
        of = tuple(StrategySpec(name, str(file)) for name, file in files.items())
        spec = RunSpec("test", of, CASH, LimitValues(), symbols=SYMBOLS, timeframe="1s")
        self.launch = Launch(self.paths, spec, self._note)
        self.alerts: list[Alert] = []
        self.reports: dict[str, list[tuple[int, PerformanceReport]]] = {name: [] for name in files}
        self.fills: list[Fill] = []

    def _note(self, event: Event) -> None:
        if event.type is EventType.ALERT:
            self.alerts.append(event.body)
        elif event.type is EventType.PERFORMANCE:
            self.reports[event.body.name].append((time.monotonic_ns(), event.body))

    def until(self, found: Callable[[], object], why: str, seconds: float = 25) -> None:
        deadline = time.monotonic() + seconds
        while not found():
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {why}"
            self.launch.poll(0.02)

    def kill(self, process: str) -> None:
        pid = self.launch.supervisor.child(process).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def last(self, name: str) -> PerformanceReport:
        return self.reports[name][-1][1]

    def alert(self, code: str) -> Alert | None:
        """As it was told last."""
        return next((alert for alert in reversed(self.alerts) if alert.code == code), None)

    def ask(self, verb: Verb, strategy: str) -> CommandResult:
        with Window(self.paths, name="console") as window:
            return window.command(verb, strategy=strategy)

    def play(self) -> None:
        """Trade; let one strategy fail, the monitor die twice, a host die; resume; trade on."""
        self.launch.start()
        self.until(lambda: self.reports["giddy"] and self.last("giddy").state == "failed", "giddy has failed")
        self.kill("monitor")
        self.until(lambda: (a := self.alert("STRATEGY_giddy")) and not a.resolved, "an alert that giddy has failed")
        self.until(lambda: self.last("flip").figures.trips >= 2, "flip has been in and out twice")
        self.before = self.last("flip")
        self.kill("host@flip")
        self.kill("monitor")
        self.until(lambda: self.last("flip").at > self.before.at + 2 * SECOND, "flip's host is back")
        self.after = self.last("flip")
        self.until(lambda: self.last("flip").figures.trips > self.after.figures.trips, "flip goes on")
        self.resumed = self.ask(Verb.RESUME_STRATEGY, "giddy")
        self.until(lambda: (a := self.alert("STRATEGY_giddy")) and a.resolved, "the alert is resolved")
        self.until(lambda: self.last("giddy").state == "running", "giddy runs")
        self.until(lambda: len(self.reports["giddy"]) > 20, "twenty reports")

    def stop(self) -> None:
        self.launch.stop()
        connection = audit.opened(self.paths.journal("gateway"))
        told = [wire.decode(line.payload) for line in audit.lines(connection) if line.kind == "out"]
        connection.close()
        self.fills = [event.body for event in told if event.type is EventType.FILL]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, strategies: Path) -> Live:
    """It has traded for a while, and is stopped."""
    made = Live(tmp_path_factory.mktemp("reports"), strategies)
    try:
        made.play()
    finally:
        made.stop()
    return made


def test_each_strategy_is_reported_each_second_also_one_that_has_failed(live: Live) -> None:
    for name in ("steady", "giddy"):
        times = [at for at, _ in live.reports[name]]
        gaps = [(after - before) / SECOND for before, after in pairwise(times)]
        assert sorted(gaps)[len(gaps) // 2] == pytest.approx(1.0, abs=0.3)
        assert max(gaps) < 4
    assert {report.state for _, report in live.reports["giddy"]} == {"running", "failed"}
    assert {report.state for _, report in live.reports["steady"]} == {"running"}
    failed = next(report for _, report in live.reports["giddy"] if report.state == "failed")
    assert "giddy" in failed.why
    assert (failed.allotment, failed.cash, failed.positions) == (CASH / 3, CASH / 3, {})


def test_a_report_is_what_the_gateways_fills_come_to(live: Live) -> None:
    for name in ("flip", "steady"):
        report = live.last(name)
        mine = [fill for fill in live.fills if fill.strategy == name][: report.figures.fills]
        assert len(mine) == report.figures.fills > 0
        cash = CASH / 3 - sum(fill.signed * fill.price + fill.commission for fill in mine)
        held = sum((fill.signed for fill in mine), D(0))
        assert (report.cash, report.fees) == (cash, sum(fill.commission for fill in mine))
        assert report.positions == ({"ALFA": held} if held else {})
        assert report.figures.traded == sum(fill.quantity * fill.price for fill in mine)
        assert report.equity is not None
        assert report.unrealised is not None
        assert report.equity == report.allotment + report.realised + report.unrealised - report.fees


def test_round_trips_and_their_win_rate_are_those_of_the_fills(live: Live) -> None:
    report = live.last("flip")
    mine = [fill for fill in live.fills if fill.strategy == "flip"][: report.figures.fills]
    profits = [
        -(into.signed * into.price + out.signed * out.price) - into.commission - out.commission
        for into, out in zip(mine[::2], mine[1::2], strict=False)
    ]
    assert report.figures.trips == len(profits) >= 3
    assert report.figures.win_rate == pytest.approx(sum(profit > 0 for profit in profits) / len(profits), abs=1e-6)
    assert report.realised == sum(profits) + sum(fill.commission for fill in mine[: 2 * len(profits)])


def test_slippage_and_latency_are_measured_and_plausible(live: Live) -> None:
    figures = live.last("flip").figures
    assert figures.slippage is not None
    assert figures.slippage_bps is not None
    assert abs(figures.slippage_bps) < 100
    assert figures.order_latency_p50 is not None
    assert figures.fill_latency_p50 is not None
    assert 0 < figures.order_latency_p50 <= figures.fill_latency_p50 < 3 * SECOND
    assert figures.exposure is not None
    assert 0 < figures.exposure < 1


def test_after_a_killed_host_the_figures_go_on(live: Live) -> None:
    before, after = live.before, live.after
    assert after.figures.fills >= before.figures.fills
    assert after.figures.trips >= before.figures.trips
    assert after.figures.order_latency_p50 is not None
    assert after.state == "running"


def test_what_a_strategy_raised_is_an_alert_with_its_traceback(live: Live) -> None:
    alert = next(alert for alert in live.alerts if alert.code == "STRATEGY_giddy")
    assert 'raise ValueError("giddy")' in alert.text
    assert "ValueError: giddy" in alert.text
    line = GIDDY.splitlines().index('            raise ValueError("giddy")') + 1
    assert f'giddy.py", line {line}, in on_bar' in alert.text


def test_the_alert_outlives_the_monitor_is_told_once_and_resolved_when_the_strategy_runs(live: Live) -> None:
    assert live.resumed.done, live.resumed
    told = [alert for alert in live.alerts if alert.code == "STRATEGY_giddy"]
    assert [bool(alert.resolved) for alert in told] == [False, True]
    assert (told[-1].count, told[-1].first_seen) == (1, told[0].first_seen)
