"""`appliance up`: what it says of a market before it starts anything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.commands.up import closed_until
from appliance.data.calendars import CalendarOptions
from appliance.data.live.spec import LiveSpec
from appliance.domain.market import SECOND, Session, Sessions
from appliance.shell.locks import Lock
from appliance.shell.paths import StatePaths
from tests.commands.conftest import SMA, Appliance


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


WEEKDAYS = ("2026-11-27", "2026-11-30")
EXCHANGE = Sessions([Session(day, _at(f"{day} 14:30"), _at(f"{day} 21:00")) for day in WEEKDAYS])


@pytest.mark.parametrize(
    ("now", "hours", "said"),
    [
        ("2026-11-29 10:00", "regular", "; closed until 2026-11-30 09:30 in New York"),
        ("2026-11-29 10:00", "extended", "; closed until 2026-11-30 04:00 in New York"),
        ("2026-11-30 15:00", "regular", ""),
        ("2026-11-29 10:00", "always", ""),
        ("2026-12-29 10:00", "regular", ""),
    ],
)
def test_a_box_that_starts_on_a_sunday_says_when_its_market_opens(now: str, hours: str, said: str) -> None:
    live = LiveSpec((), ("SPY", "QQQ"), calendar=CalendarOptions(hours))
    assert closed_until(live, EXCHANGE, _at(now)) == said


def test_one_symbol_that_is_traded_is_a_market_that_is_open() -> None:
    live = LiveSpec((), ("SPY", "BTC/USD"))
    assert closed_until(live, EXCHANGE, _at("2026-11-29 10:00")) == ""


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


def test_a_live_market_goes_at_no_speed_but_its_own(appliance: Appliance, tmp_path: Path) -> None:
    (tmp_path / "box.toml").write_text(SETTINGS)
    told = appliance(
        "up", "--state", tmp_path / "state", "--settings", tmp_path / "box.toml", "--strategy", SMA, "--speed", "max"
    )
    assert (told.code, "--speed max with live data" in told.err) == (2, True), told
    assert not (tmp_path / "state").exists()
