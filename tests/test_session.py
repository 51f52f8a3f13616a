"""What is told while a box runs, and of a strategy that raised, from its host's log."""

from __future__ import annotations

import io
import json
import sys
import time
import traceback
from decimal import Decimal
from pathlib import Path

import pytest

from appliance.domain.messages import local
from appliance.domain.operations import Alert, Severity
from appliance.runs import RunSpec, StrategySpec
from appliance.session import Session, last_failure, lasting_line, progress_line
from appliance.shell.paths import StatePaths

SOURCE = "def on_bar():\n    raise ValueError('first line\\nsecond line')\n"


def _logged(path: Path, file: str) -> None:
    try:
        exec(compile(SOURCE, file, "exec"), scope := {})
        scope["on_bar"]()
    except ValueError as error:
        text = "mine raised: " + "".join(traceback.format_exception(error))
    path.write_text("\n".join([json.dumps({"text": "ready"}), json.dumps({"text": text}), "not JSON", "7"]))


def test_the_line_in_the_strategys_own_file_is_named_with_all_of_the_text(tmp_path: Path) -> None:
    mine, log = tmp_path / "mine.py", tmp_path / "host.log"
    mine.write_text(SOURCE)
    _logged(log, str(mine))
    told = last_failure(log, [str(mine)])
    assert told == f"{mine}:2: raise ValueError('first line\\nsecond line')\n    ValueError: first line\nsecond line"


def test_nothing_is_told_of_other_files_or_without_a_log(tmp_path: Path) -> None:
    _logged(tmp_path / "host.log", str(tmp_path / "other.py"))
    assert last_failure(tmp_path / "host.log", [str(tmp_path / "mine.py")]) == ""
    assert last_failure(tmp_path / "none.log", [str(tmp_path / "mine.py")]) == ""


@pytest.mark.parametrize(("terminal", "shown"), [(True, "\r\x1b[2Kcritical: look\n"), (False, "critical: look\n")])
def test_an_alert_is_not_written_over_by_the_next_line(monkeypatch: pytest.MonkeyPatch, terminal: bool, shown: str):
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    lasting_line("critical: look")
    progress_line("active | …")
    assert screen.getvalue().startswith(shown)


def _alerted(session: Session, code: str, seen: int, resolved: int = 0) -> None:
    session._note(local(Alert(code, Severity.CRITICAL, f"{code}: look", seen, seen, resolved=resolved), seen, "alerts"))


class Heard:
    """A collector that has heard everything."""

    def __init__(self) -> None:
        self.beats = {"monitor": object()}

    def caught_up(self) -> bool:
        return True


def test_of_a_former_runs_alerts_only_what_lasts_is_told_and_once(tmp_path: Path) -> None:
    told: list[str] = []
    spec = RunSpec("test", (StrategySpec("a", "a.py", params={"symbol": "SPY"}),), Decimal(1_000))
    session = Session(StatePaths(tmp_path), spec, told.append, told.append)
    _alerted(session, "OLD", 1)
    _alerted(session, "OLD", 1, resolved=2)
    _alerted(session, "LASTS", 3)
    assert told == []
    session._launch.collector = Heard()  # type: ignore[assignment]
    session._tell_what_lasts()
    session._tell_what_lasts()
    now = time.time_ns()
    _alerted(session, "NEW", now)
    _alerted(session, "LASTS", 3, resolved=now)
    assert told == ["critical: LASTS: look", "critical: NEW: look", "resolved: LASTS: look"]
