"""A strategy's life in a box that trades a simulated market: paused, resumed, stopped, given values and new code."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.messages import Event, EventType
from appliance.domain.performance import PerformanceReport
from appliance.shell.paths import StatePaths
from appliance.shell.window import Window
from tests.integration.conftest import STEADY
from tests.integration.running import Box, until

COUNTING = '''
from appliance.strategy import Strategy, param


class Counting(Strategy):
    """Holds what it is told, with a stop far away."""

    symbol: str = param("ALFA")
    shares: int = param(100, 0, 1000, live=True)
    period: int = param(2, 1, 50)

    def on_start(self):
        self.average = self.sma(self.symbol, self.period)

    def on_bar(self, bar):
        if self.position(bar.symbol) != self.shares:
            self.target(bar.symbol, quantity=self.shares, reason="told", stop_loss=round(bar.close / 2, 2))

    def on_stop(self):
        self.log("its last word")
'''
HELD = {"ALFA": "100"}


class Heard:
    """What a window hears of one strategy: its report and the alerts about it.

    It listens all the time: a window that is not polled for some seconds, while a test waits for a command, is put off
    by Mosquitto's silence, connects anew and has missed what was said meanwhile.
    """

    def __init__(self, box: Box) -> None:
        self.window = Window(StatePaths(box.state), hears=("view/strategy/<strategy>", "monitor/alerts"))
        self.report: PerformanceReport | None = None
        self.alerts: dict[str, Any] = {}
        self._news = threading.Condition()
        self.window.events = self._note
        self.window.connect()
        self._over = threading.Event()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _listen(self) -> None:
        while not self._over.is_set():
            self.window.poll(0.05)

    def _note(self, event: Event) -> None:
        with self._news:
            if event.type is EventType.PERFORMANCE and event.body.name == "counting":
                self.report = event.body
            elif event.type is EventType.ALERT:
                self.alerts[event.body.code] = event.body
            self._news.notify_all()

    def until(self, state: str, resolved: bool | None = None, seconds: float = 20.0) -> PerformanceReport:
        """Wait until it is in that state; with ``resolved``, its alert is told and over, or not."""

        def found() -> bool:
            alert = self.alerts.get("STRATEGY_counting")
            told = resolved is None or (alert is not None and bool(alert.resolved) is resolved)
            return self.report is not None and self.report.state == state and told

        self.wait(found, seconds)
        assert self.report is not None
        return self.report

    def wait(self, found: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until what was heard is as it should be."""
        with self._news:
            assert self._news.wait_for(found, seconds), (self.report, self.alerts)

    def params(self, values: dict[str, str]) -> None:
        """Wait until it runs with these parameters."""
        self.wait(lambda: self.report is not None and self.report.params == values)

    def close(self) -> None:
        self._over.set()
        self._listening.join()
        self.window.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "counting.py"
    path.write_text(COUNTING)
    return path


@pytest.fixture
def holding(live: Box, file: Path) -> Box:
    """A box that holds a hundred shares of ALFA by ``counting``."""
    live.up("--strategy", file, "--no-check", "--reload").ready()
    holds(live, HELD)
    return live


def holds(box: Box, positions: dict[str, str]) -> None:
    until(lambda: box.status()["positions"] == positions, 20, f"holds {positions}")


def stops(box: Box) -> int:
    """Protective stops that rest at the broker, by the gateway's own count of its orders."""
    done = box.ask("journal", "tail", "gateway", "--lines", 5_000, "--json")
    rows = [json.loads(line) for line in done.out.splitlines()]
    orders = [row["message"]["body"] for row in rows if row["kind"] == "out" and row["message"]["type"] == "order"]
    last = {order["id"]: order for order in orders if order.get("protects")}
    return sum(order["status"] == "accepted" for order in last.values())


def test_pause_resume_and_stop_leave_position_and_stop_alone_and_survive_a_restart_of_the_host(holding: Box) -> None:
    heard = Heard(holding)
    try:
        until(lambda: stops(holding) == 1, 10, "the stop rests")
        done = holding.ask("strategy", "pause", "counting", "--reason", "news", "--json")
        assert (done.code, done.json["done"]) == (0, True), done
        assert heard.until("paused", resolved=False).why == "news"
        assert "news" in heard.alerts["STRATEGY_counting"].text
        again = holding.ask("strategy", "pause", "counting", "--json")
        assert (again.code, again.json["text"]) == (1, "counting is paused: only a running strategy can be paused")
        _restart(holding)
        heard.report = None
        assert heard.until("paused").why == "news"
        assert holding.status()["positions"] == HELD
        assert stops(holding) == 1

        assert holding.ask("strategy", "resume", "counting").code == 0
        heard.until("running", resolved=True)

        done = holding.ask("strategy", "stop", "counting", "--reason", "enough", "--json")
        assert "its positions and protective stops stay" in done.json["text"]
        assert heard.until("stopped", resolved=False).why == "enough"
        assert "its last word" in (holding.state / "log" / "host@counting.log").read_text()
        _restart(holding)
        heard.report = None
        heard.until("stopped")
        assert holding.status()["positions"] == HELD
        assert stops(holding) == 1
        assert holding.ask("strategy", "resume", "counting").code == 0
        heard.until("running", resolved=True)
    finally:
        heard.close()


def _restart(box: Box) -> None:
    old = box.hit("host@counting")
    until(lambda: box.pid("host@counting") != old, 10, "a new host")
    until(lambda: box.status()["state"] == "ready", 20, "all ready")


def test_live_parameters_are_set_while_it_runs_and_kept_and_others_wait_for_a_reload(holding: Box) -> None:
    heard = Heard(holding)
    try:
        done = holding.ask("strategy", "set", "counting", "shares=60", "--json")
        assert (done.code, done.json["text"]) == (0, "counting: shares = 60"), done
        holds(holding, {"ALFA": "60"})
        _restart(holding)
        heard.params({"symbol": "ALFA", "shares": "60", "period": "2"})
        for wrong, words in {
            "shares=5000": "1000", "share=60": "did you mean 'shares'?", "period=9": "reload", "shares=many": "many",
        }.items():  # fmt: skip
            done = holding.ask("strategy", "set", "counting", wrong, "--json")
            assert (done.code, done.json["done"]) == (1, False)
            assert words in done.json["text"]
        done = holding.ask("strategy", "reload", "counting", "--param", "period=9", "--json")
        assert done.code == 0, done
        heard.params({"symbol": "ALFA", "shares": "60", "period": "9"})
    finally:
        heard.close()


def test_a_file_that_is_saved_is_taken_over_and_a_bad_one_is_not_and_a_restart_keeps_that(
    holding: Box, file: Path
) -> None:
    file.write_text(COUNTING.replace("param(100,", "param(30,"))
    holds(holding, {"ALFA": "30"})
    bad = COUNTING.replace("param(100,", "param(10,").replace("self.target", "self.log(1 / 0)\n            self.target")
    file.write_text(bad)
    heard = Heard(holding)
    try:
        _told(heard, "RELOAD_counting")
        assert "ZeroDivisionError" in heard.alerts["RELOAD_counting"].text
        _restart(holding)
        heard.report = None
        heard.until("running")
        assert holding.status()["positions"] == {"ALFA": "30"}
    finally:
        heard.close()


def _told(heard: Heard, code: str) -> None:
    heard.wait(lambda: code in heard.alerts)


# --- what is refused at the start, while the rest runs ----------------------------------------------------------------


WRONG = {
    "a symbol that is not here": (
        'param("ALFA")',
        'param("ALFAA")',
        "no symbol 'ALFAA' in this market; did you mean 'ALFA'?; it has ALFA, BRVO, CHLE",
    ),
    "a strategy that is not here": (
        "    symbol: str",
        '    follows = ("stedy",)\n    symbol: str',
        "follows 'stedy', which does not run here; did you mean 'steady'?; there is steady",
    ),
    "a parameter out of range": ("param(100, 0, 1000", "param(100, 0, 10", "allowed: a whole number from 0 to 10"),
    "on_start raises": (
        "        self.average",
        "        raise ValueError('no')\n        self.average",
        "ValueError: no",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_live_a_strategy_that_does_not_fit_is_refused_and_the_rest_runs(
    live: Box, file: Path, tmp_path: Path, wrong: str
) -> None:
    old, new, words = WRONG[wrong]
    file.write_text(COUNTING.replace(old, new))
    (tmp_path / "steady.py").write_text(STEADY)
    live.up("--strategy", file, "--strategy", tmp_path / "steady.py", "--no-check").ready()
    heard = Heard(live)
    try:
        assert words in heard.until("failed").why
        assert words in live.alerts()["STRATEGY_counting"]["text"]
        holds(live, HELD)
    finally:
        heard.close()
    assert words in (live.folder / "err").read_text()
