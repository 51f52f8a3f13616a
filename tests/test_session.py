"""What is told of a strategy that raised, from its host's log."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

from appliance.session import last_failure

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
