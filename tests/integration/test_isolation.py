"""What one strategy does to itself, its neighbours never notice: not in their orders, not in their processes.

The refusals keep mistakes out of a strategy file, not malice; so each of these finds a way round them, and what is
tested is the kernel's work and the supervisor's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from appliance.shell.journal import Journal
from appliance.shell.locks import Lock
from appliance.shell.output import LOG_BYTES_MAX
from appliance.shell.paths import StatePaths
from tests.integration.conftest import LIVE
from tests.integration.running import STRATEGIES, Box, Done, orders_of, random_walk, until

LIMITS = {"APPLIANCE_WATCHDOG__SECONDS": "2.5", "APPLIANCE_HOST__MEMORY_MB": "128"}
HEALTHY = ("--strategy", str(STRATEGIES / "sma_cross.py"))
SOURCE = '''
import operator
import statistics

import numpy as np

from appliance.strategy import Strategy, param

SYS = operator.attrgetter("s" + "ys")(statistics)
OS = SYS.modules["o" + "s"]
HOARD = SYS.modules.setdefault("hoard", [])


class Bad(Strategy):
    """Behaves until its average is ready."""

    symbol: str = param("SPY")

    def on_start(self):
        self.average = self.sma(self.symbol, 5)
        {at_start}

    def on_bar(self, bar):
        if self.average.ready:
            {in_bar}
'''


class Evil(NamedTuple):
    """What it does in ``on_bar`` (one line, or a loop's), what its pause says, and how often its host was restarted
    (None: as memory has it)."""

    line: str
    paused: str
    restarts: int | None = 0


EVILS = {
    "raises at every bar": Evil("raise ValueError('not again')", "not again"),
    "loops for ever": Evil("while True: pass", "watchdog in bad.py", 3),
    "sleeps": Evil("SYS.modules['t' + 'ime'].sleep(3600)", "watchdog in bad.py", 3),
    "heaps up lists": Evil("[[0.0] * 1000 for _ in iter(int, 1)]", "", None),
    "heaps up lists and keeps them": Evil("while True: HOARD.append([0.0] * 1000)", "emory", None),
    "wants one big array": Evil("np.ones(10**12)", "MemoryError"),
    "calls os._exit": Evil("OS._exit(3)", "exit code 3", 3),
    "raises SystemExit": Evil("raise SystemExit(4)", "SystemExit"),
    "crashes": Evil("SYS.modules['ct' + 'ypes'].string_at(0)", "SIGSEGV", 3),
}


def _write(folder: Path, name: str, in_bar: str = "pass", at_start: str = "") -> Path:
    path = folder / f"{name}.py"
    path.write_text(SOURCE.format(in_bar=in_bar, at_start=at_start))
    return path


@pytest.fixture(scope="module")
def undisturbed(boxes: Callable[..., Box], walk: tuple[str, ...]) -> list[dict[str, Any]]:
    """The healthy one's orders when nobody else is there."""
    box = boxes("undisturbed")
    assert box.finish(*walk, *HEALTHY, "--speed", "max").code == 0
    rows = _healthy(box)
    assert len(rows) > 5
    return rows


def _healthy(box: Box) -> list[dict[str, Any]]:
    return [row for row in orders_of(box.orders) if row["id"].startswith("sma_cross-")]


def _restarts(box: Box) -> dict[str, int]:
    kept = json.loads((box.state / "run" / "processes.json").read_bytes())
    return {row["name"]: row["restarts"] for row in kept["processes"] if row["restarts"]}


def _kept(box: Box, process: str, row: str) -> dict[str, Any]:
    """A row of a process's state, by its journal."""
    paths = StatePaths(box.state)
    journal = Journal(paths.journal(process), process, Lock(paths.lock(process)))
    try:
        found: dict[str, Any] = json.loads(journal.load().rows.get(row, b"{}"))
    finally:
        journal.close()
    return found


def _paused(box: Box, name: str) -> str:
    """Why a strategy is paused, by its host's journal; "" when it is not."""
    standing = _kept(box, f"host@{name}", f"standing/{name}")
    return str(standing["why"]) if standing.get("state") in ("paused", "failed") else ""


def _keep_going(box: Box, *options: object, **env: str) -> Done:
    """Recorded data to its end, whatever a strategy does."""
    always = ("--speed", "max", "--until-done", "--keep-going", "--orders-out", box.orders)
    done = box.up(*options, *always, env=LIMITS | env).end(90)
    assert done.code == 0, done
    return done


@pytest.mark.parametrize("evil", EVILS)
def test_a_bad_strategy_is_paused_with_a_reason_and_its_neighbours_orders_are_as_without_it(
    box: Box, walk: tuple[str, ...], undisturbed: list[dict[str, Any]], evil: str
) -> None:
    bad = _write(box.folder, "bad", EVILS[evil].line)
    done = _keep_going(box, *walk, *HEALTHY, "--strategy", bad)
    assert done.json["bars"] == 300
    assert _healthy(box) == undisturbed
    why = _paused(box, "bad")
    assert why
    assert EVILS[evil].paused in why
    restarts = _restarts(box)
    assert set(restarts) <= {"host@bad"}
    assert EVILS[evil].restarts in (restarts.get("host@bad", 0), None)


def test_a_million_lines_fill_no_disk_and_change_no_order(
    box: Box, walk: tuple[str, ...], undisturbed: list[dict[str, Any]]
) -> None:
    line = (
        "for n in range(1_000_000 * (not HOARD)): OS.write(1 + n % 2, b'a line nobody asked for, again and again\\n')"
    )
    bad = _write(box.folder, "bad", f"{line}\n            HOARD.append(1)")
    done = box.finish(*walk, *HEALTHY, "--strategy", bad, "--speed", "max", seconds=90)
    assert done.code == 0, done
    assert _healthy(box) == undisturbed
    assert (_paused(box, "bad"), _restarts(box)) == ("", {})
    kept = sum(path.stat().st_size for path in (box.state / "log").glob("host@bad.log*"))
    assert 500_000 < kept < 2 * LOG_BYTES_MAX


def test_without_keep_going_a_recorded_run_ends_with_the_first_death_and_the_host_replays_to_the_byte(
    box: Box, walk: tuple[str, ...]
) -> None:
    bad = _write(box.folder, "bad", "OS._exit(3)")
    done = box.finish(*walk, *HEALTHY, "--strategy", bad, "--speed", "max")
    assert done.code == 4, done
    assert "ended its process" in done.err
    replayed = box.ask("replay", "host@bad")
    assert replayed.code == 0, replayed


def test_a_hook_that_hangs_at_the_start_of_its_host_is_ended_too_and_the_box_ends_normally(box: Box) -> None:
    data = random_walk(box.folder / "few.csv", 40)
    hangs = "while 'run' in SYS.argv and HOARD: pass"  # when it is loaded once more in the same process
    bad = _write(box.folder, "bad", at_start=f"{hangs}\n        HOARD.append(1)")
    done = _keep_going(
        box, "--data", data, "--session", "all", *HEALTHY, "--strategy", bad, APPLIANCE_WATCHDOG__SECONDS="2"
    )
    assert done.json["bars"] == 40
    assert "watchdog in bad.py" in _paused(box, "bad")


# --- live -----------------------------------------------------------------------------------------------------------


def test_live_each_bad_strategy_is_paused_and_a_healthy_one_trades_on(live: Box, strategies: Path) -> None:
    stop = "stop_loss=round(bar.close / 2, 2)"
    buys = f"1 / 0 if self.position(bar.symbol) else self.target(bar.symbol, quantity=100, {stop})"
    bad = {
        "raises": _write(live.folder, "raises", buys),
        "exits": _write(live.folder, "exits", "OS._exit(3)"),
        "dies": _write(live.folder, "dies", at_start="OS._exit(7) if 'run' in SYS.argv else None"),
        "wrong": _write(live.folder, "wrong", "this is wrong syntax"),
    }
    for path in bad.values():
        path.write_text(path.read_text().replace("SPY", "ALFA"))
    options = [part for path in (strategies / "flip.py", *bad.values()) for part in ("--strategy", path)]
    live.up(*options, env=LIVE | LIMITS)
    until(lambda: live.ended() or live.rows().get("host@exits", {}).get("restarts") == 3, 30, "three deaths")
    assert not live.ended(), live.end()
    until(lambda: "ZeroDivisionError" in (live.state / "log" / "host@raises.log").read_text(), 30, "it has raised")
    live.ready(40)
    bars = max(live.handled("host@flip", "feed/bars", 50))
    cash = live.status()["account"]["cash"]
    until(lambda: max(live.handled("host@flip", "feed/bars", 50)) > bars + 3, 30, "three more bars")
    until(lambda: live.status()["account"]["cash"] != cash, 20, "the healthy one trades on")
    assert live.status()["positions"].get("ALFA") in ("100", "200")
    done = live.interrupt()
    assert done.code == 0
    assert "refused: " in done.err
    assert _restarts(live) == {"host@exits": 3, "host@dies": 1}
    assert "ZeroDivisionError" in _paused(live, "raises")
    assert "exit code 3" in _paused(live, "exits")
    assert "exit code 7" in _paused(live, "dies")
    assert "cannot start" in _paused(live, "wrong")
    assert _paused(live, "flip") == ""
    alert = _kept(live, "monitor", "alert/STRATEGY_raises")
    assert "its protective stops stay" in alert["text"]
    assert "raises.py" in alert["text"]  # the traceback
    assert not alert["resolved"]
