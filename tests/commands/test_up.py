"""`appliance up` before anything is started."""

from __future__ import annotations

from pathlib import Path

from appliance.shell.locks import Lock
from appliance.shell.paths import StatePaths
from tests.commands.conftest import SMA, Appliance

SETTINGS = """
[market]
source = "live"
symbols = ["SPY"]

[[sources]]
kind = "alpaca"
name = "alpaca"
key = "another"
secret = "another"
rest_url = "http://127.0.0.1:1"
stream_url = "ws://127.0.0.1:1"
connect = 0.1
answer = 0.1
"""


def test_a_second_up_leaves_the_credentials_and_the_past_of_the_running_box_alone(
    appliance: Appliance, tmp_path: Path
) -> None:
    paths = StatePaths(tmp_path / "state")
    paths.prepare()
    (tmp_path / "box.toml").write_text(SETTINGS)
    with Lock(paths.lock("appliance")):
        told = appliance(
            "up", "--state", paths.root, "--settings", tmp_path / "box.toml", "--strategy", SMA, "--param",
            "symbol=SPY", "--no-check", "--json",
        )  # fmt: skip
    assert (told.code, "in use by process" in told.err) == (5, True), told
    assert not paths.past.exists()
    assert [*paths.credentials.glob("alpaca*")] == []
